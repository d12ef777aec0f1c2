"""Years of a small provider in virtual time, from one seed: random payers, daily invariants.

The checks are written from the policy text, not from the code: an own count of the notice's days,
of the days on which a cut may start, and of every cent that came in.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from random import Random

from billing.access import Level
from billing.account import (
    Account,
    Desk,
    Notice,
    clear_payment,
    draw_notice,
    issue_invoice,
    notice_due,
    prove_notice,
    review,
)
from billing.events import (
    AccessDecided,
    CreditUsed,
    Fact,
    InvoiceIssued,
    PaymentPosted,
)
from billing.invoice import Invoice, Line, amount_due
from billing.policy import Policy, parse
from tests.support.accounts import CALENDAR, STAGED, ZONE, account, payment

POLICY: Policy = parse("anatel-765", 1, {"steps": STAGED})
START = date(2026, 1, 1)
PRICES = (79_90, 99_90, 149_90)


class Broken(AssertionError):
    """An invariant does not hold; the text names it, the day and the payer."""


@dataclass(slots=True)
class Payer:
    """One subscriber's truth outside of the account: how he pays, and what he was told."""

    number: int
    account: Account
    price_cents: int
    # Days after the due date on which he usually pays; None: he lets it come to the cut.
    pays_after: int | None
    due_day: int
    paid_cents: int = 0
    notices: dict[int, Notice] = field(default_factory=dict)
    cuts: int = 0


class World:
    """All payers, one clock, one ledger."""

    def __init__(self, seed: int, payers: int) -> None:
        self._random = Random(seed)
        self._numbers = 0
        self.ledger: Counter[str] = Counter()
        self.payers = [self._payer(number) for number in range(payers)]
        self.restores = 0

    def run(self, days: int) -> None:
        """Live so many days; raises Broken at the first invariant that does not hold."""
        for elapsed in range(days):
            day = START + timedelta(days=elapsed)
            for payer in self.payers:
                self._live(payer, day)
            self._check_books(day)

    def _payer(self, number: int) -> Payer:
        habit = self._random.choice([-3, 0, 0, 1, 4, 9, 25, 40, None])
        return Payer(
            number, account(), self._random.choice(PRICES), habit, self._random.choice([1, 10, 28])
        )

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _live(self, payer: Payer, day: date) -> None:
        if day.day == max(1, payer.due_day - 10) and self._random.random() > 0.02:
            line = (Line("Plano", payer.price_cents),)
            due_on = day + timedelta(days=10)
            new = Invoice(self._number(), 1, due_on, self._desk(day, 0).now, line)
            self._do(payer, issue_invoice(payer.account, new, self._desk(day, 0)), day)
        for hour in (0, 9):
            self._notify(payer, day, hour)
            self._do(payer, review(payer.account, self._desk(day, hour)), day, hour)
        self._maybe_pay(payer, day, self._random.choice([7, 13, 23]))

    def _notify(self, payer: Payer, day: date, hour: int) -> None:
        desk = self._desk(day, hour)
        if not notice_due(payer.account, desk):
            return
        number = self._number()
        self._do(payer, draw_notice(payer.account, number, desk), day, hour)
        if self._random.random() < 0.9:  # some mail is refused; the ladder must wait for proof
            self._do(payer, prove_notice(payer.account, number, desk.now, desk), day, hour)
            payer.notices[number] = next(n for n in payer.account.notices if n.id == number)

    def _maybe_pay(self, payer: Payer, day: date, hour: int) -> None:
        owed = [item for item in payer.account.invoices if item.unpaid_cents > 0]
        walled = payer.account.contracts[0].access.level.severity > Level.REDUCED.severity
        for item in sorted(owed, key=lambda i: (i.due_on, i.id))[:1]:
            late = (day - item.due_on).days
            if payer.pays_after is None:
                pays = walled and self._random.random() < 0.2
            else:
                pays = late >= payer.pays_after + self._random.choice([0, 0, 0, 1, 5])
            if not pays:
                continue
            desk = self._desk(day, hour)
            due = amount_due(item, POLICY, CALENDAR, day)
            cents = self._random.choice([due, due, due, max(1, due // 2), due + 5_00])
            number = self._number()
            money = payment(cents, desk.now, item.id, number)
            payer.paid_cents += cents
            self._do(payer, clear_payment(payer.account, money, desk), day, hour)
            still = sum(i.unpaid_cents for i in payer.account.invoices)
            if still == 0 and payer.account.contracts[0].access.level is not Level.FULL:
                raise Broken(f"A5 paid everything and is cut: payer {payer.number} on {day}")

    def _do(
        self, payer: Payer, outcome: tuple[Account, tuple[Fact, ...]], day: date, hour: int = 0
    ) -> None:
        before = payer.account.contracts[0].access.level
        payer.account, facts = outcome
        for fact in facts:
            match fact:
                case (
                    InvoiceIssued(entry=entry)
                    | CreditUsed(entry=entry)
                    | PaymentPosted(entry=entry)
                ):
                    for posting in entry.postings:
                        self.ledger[posting.account] += posting.cents
                case AccessDecided(access=access):
                    if access.level.severity > before.severity:
                        payer.cuts += 1
                        self._check_cut(payer, day, hour)
                    else:
                        self.restores += 1

    def _check_cut(self, payer: Payer, day: date, hour: int) -> None:
        who = f"payer {payer.number} on {day} at {hour}"
        off = CALENDAR.holidays
        if day.weekday() > 3 or day in off or day + timedelta(days=1) in off or not 8 <= hour < 16:
            raise Broken(f"rule 6: a cut started when none may: {who}")
        unpaid = {i.id for i in payer.account.invoices if i.unpaid_cents > 0 and i.due_on < day}
        covered = any(
            notice.proven_at is not None
            and (day - notice.proven_at.astimezone(ZONE).date()).days >= 15
            and unpaid & set(notice.amounts_cents)
            for notice in payer.notices.values()
        )
        if not covered:
            raise Broken(f"A2 cut without a proven notice fifteen days old: {who}")

    def _check_books(self, day: date) -> None:
        if sum(self.ledger.values()) != 0:
            raise Broken(f"M1 the ledger does not sum to zero on {day}")
        came_in = sum(payer.paid_cents for payer in self.payers)
        if self.ledger["cash:pix"] != came_in:
            raise Broken(f"M3 {came_in} came in, {self.ledger['cash:pix']} is posted, on {day}")
        open_cents = sum(i.unpaid_cents for p in self.payers for i in p.account.invoices)
        receivable = sum(c for name, c in self.ledger.items() if name.startswith("receivable"))
        if receivable != open_cents:
            raise Broken(f"M7 receivables {receivable}, open invoices {open_cents}, on {day}")

    @staticmethod
    def _desk(day: date, hour: int) -> Desk:
        now = datetime.combine(day, time(hour), ZONE)
        return Desk({POLICY.name: POLICY}, CALENDAR, now)
