"""A life's invoices, payments and balance, recomputed day by day from the first."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from tests.support.money_oracle.agreement import broken_on, due_dates, offer, pay_oldest_first
from tests.support.money_oracle.bill import Bill, Share
from tests.support.money_oracle.cycles import DAY, Cycle, cycles
from tests.support.money_oracle.life import (
    Agreed,
    Charged,
    ChargedBack,
    DueDayChanged,
    Ended,
    Event,
    Life,
    Paid,
    PlanChanged,
    Refunded,
    WrittenOff,
)
from tests.support.money_oracle.lines import discount, prorated, recurring, suspended_days


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it is printed; days only where it covers some."""

    text: str
    cents: int
    start: date | None = None
    last: date | None = None


@dataclass(slots=True)
class Invoice:
    """A bill with its lines; `used` is what of the customer's credit it took."""

    issued_on: date
    lines: tuple[Line, ...]
    bill: Bill
    used: int = 0

    @property
    def due_on(self) -> date:
        return self.bill.due_on


@dataclass(slots=True)
class Statement:
    """Everything on a day: invoices, credit, and what is owed with charges."""

    invoices: list[Invoice] = field(default_factory=list)
    instalments: list[Bill] = field(default_factory=list)
    credit: int = 0
    received: int = 0
    given_back: int = 0
    owed: int = 0
    lost: int = 0
    parked: list[date] = field(default_factory=list)


def cycle_cents(life: Life, cycle: Cycle, known_on: date | None = None) -> tuple[Line, ...]:
    """The lines for a cycle, by what is known at the end of a day; None: by all that came."""

    def known(event: Event) -> bool:
        return known_on is None or event.on <= known_on

    changes = [(e.on, e.price) for e in life.events if isinstance(e, PlanChanged) and known(e)]
    prices = [(life.activated_on, life.price), *changes]
    ends = [e.on for e in life.events if isinstance(e, Ended) and known(e)]
    parts = recurring(cycle, prices, life.activated_on, ends[0] if ends else None)
    lines = [Line("service", part.cents, part.start, part.last) for part in parts]
    cuts = life.cuts
    if known_on is not None:
        seen = datetime.combine(known_on + DAY, time(0), life.zone)
        cuts = tuple((cut, min(back, seen)) for cut, back in cuts if cut < seen)
    for part in parts:
        days = [day for day in cycle.days() if part.start <= day <= part.last]
        counted = len(suspended_days(days, cuts, life.zone))
        if counted:
            cents = -prorated(part.price, counted, cycle.of_days)
            lines.append(Line("suspended", cents, part.start, part.last))
    return tuple(lines)


def statement(life: Life, until: date) -> Statement:
    """The statement at the end of a day."""
    return _Book(life).run(until)


class _Book:
    def __init__(self, life: Life) -> None:
        self.life = life
        self.out = Statement()
        self.payments: list[tuple[date, int, list[tuple[Bill, Share]], int]] = []
        self.by_hand: list[int] = []
        self.billed: dict[date, tuple[Cycle, int]] = {}
        self.agreement: tuple[list[Bill], list[Bill], int] | None = None

    def run(self, until: date) -> Statement:
        day, events = self.life.activated_on, list(self.life.events)
        while day <= until:
            self._break_agreement(day)
            self._issue(day)
            while events and events[0].on <= day:
                self._take(events.pop(0))
            day += DAY
        self.out.owed = sum(bill.owed(until).total for bill in self._open())
        return self.out

    def _open(self) -> list[Bill]:
        bills = [invoice.bill for invoice in self.out.invoices] + self.out.instalments
        return sorted(bills, key=lambda bill: bill.due_on)

    def _issue(self, day: date) -> None:
        moves = [(e.on, e.due_day) for e in self.life.events if isinstance(e, DueDayChanged)]
        moves = [(on, due_day) for on, due_day in moves if on <= day]
        ends = [e.on for e in self.life.events if isinstance(e, Ended) and e.on < day]
        early = timedelta(days=self.life.issue_days)
        run = cycles(self.life.activated_on, self.life.due_day, moves, day + early)
        for cycle in run:
            due = cycle.end - early <= day or (ends and cycle.start <= ends[0])
            if cycle.start in self.billed or not due:
                continue
            if ends and cycle.start > ends[0]:
                continue
            self._bill(cycle, day)

    def _bill(self, cycle: Cycle, day: date) -> None:
        known = day - DAY
        lines = list(cycle_cents(self.life, cycle, known))
        price = sum(line.cents for line in lines)
        for before, cents in self.billed.values():
            now = sum(line.cents for line in cycle_cents(self.life, before, known))
            if now != cents:
                lines.append(Line("correction", now - cents, before.start, before.last))
                self.billed[before.start] = (before, now)
        self.billed[cycle.start] = (cycle, price)
        lines += [Line("by hand", cents) for cents in self.by_hand]
        self.by_hand = []
        total = sum(line.cents for line in lines)
        if total < 0:
            self.out.credit += -total
            total = 0
        off = discount(min(total, max(0, price)), self.life.offers)
        invoice = Invoice(day, tuple(lines), Bill(cycle.end, total, off))
        self.out.invoices.append(invoice)
        invoice.used = invoice.bill.pay(self.out.credit, day).total
        self.out.credit -= invoice.used

    def _take(self, event: Event) -> None:
        match event:
            case Paid(on=on, cents=cents, bill=named):
                self._pay(on, cents, named)
            case Refunded(cents=cents):
                self.out.credit -= cents
                self.out.given_back += cents
            case ChargedBack(on=on, payment=number):
                _, cents, shares, over = self.payments[number]
                for bill, share in shares:
                    bill.reopen(share, on)
                self.out.credit -= over
                self.out.given_back += cents
            case Agreed():
                self._agree(event)
            case WrittenOff(on=on):
                self.out.lost += sum(bill.close(on) for bill in self._open() if bill.owed(on).total)
            case Charged(cents=cents):
                self.by_hand.append(cents)
            case PlanChanged() | DueDayChanged() | Ended():
                pass  # the cycles read them

    def _pay(self, on: date, cents: int, named: date | None) -> None:
        self.out.received += cents
        rest, shares = cents, []
        for bill in self._open():
            if named is None or bill.due_on == named:
                share = bill.pay(rest, on)
                rest -= share.total
                if share.total:
                    shares.append((bill, share))
        self.out.credit += rest
        self.payments.append((on, cents, shares, rest))

    def _agree(self, event: Agreed) -> None:
        old = [bill for bill in self._open() if bill.owed(event.on).total]
        owed = [bill.owed(event.on) for bill in old]
        signed = offer(
            sum(share.principal for share in owed),
            sum(share.interest + share.fine for share in owed),
            event.off_charges,
            down=event.down,
            instalments=event.instalments,
        )
        for bill in old:
            bill.close(event.on)
        dates = due_dates(event.first, event.due_day, event.instalments)
        new = [Bill(due, part) for due, part in zip(dates, signed.instalments, strict=True)]
        if event.down:
            new.insert(0, Bill(event.on, event.down))
        self.out.instalments += new
        self.agreement = (old, new, len(self.payments))

    def _break_agreement(self, day: date) -> None:
        if self.agreement is None:
            return
        old, new, since = self.agreement
        late = [bill for bill in new if bill.paid_on is None and broken_on(bill.due_on) <= day]
        if not late:
            return
        self.agreement = None
        self.out.instalments = [bill for bill in self.out.instalments if bill not in new]
        for bill in old:
            bill.restore()
        given = [
            (paid, sum(share.total for bill, share in shares if bill in new))
            for paid, _, shares, _ in self.payments[since:]
        ]
        self.out.credit += pay_oldest_first(old, [(paid, cents) for paid, cents in given if cents])
