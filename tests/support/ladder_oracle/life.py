"""A case lived day by day by the judge: every hour at which the text lets something happen."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from tests.support.ladder_cases import Case, Happening, Rules, cents, happenings
from tests.support.ladder_oracle.rules import (
    DAY,
    SEVERITY,
    Contract,
    Invoice,
    Notice,
    counted,
    judge,
    may_cut,
    notice_from,
    overdue_from,
)

ANSWER_DAYS, BILL_DAYS = 30, 5
# An agreement is broken when a part is unpaid after these (ADR 0024).
GRACE = timedelta(days=5)


@dataclass
class _Life:
    rules: Rules
    extra: tuple[date, ...]
    contracts: dict[int, Contract] = field(default_factory=lambda: {1: Contract(1)})
    invoices: list[Invoice] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    # Days from drawing a notice to its proof; None: it is never proven.
    delivery_days: int | None = 0
    # What an agreement took over, and the steps that stood when it was signed.
    old: list[Invoice] = field(default_factory=list)
    stood: list[date] = field(default_factory=list)
    waiting: bool = False
    told: list[str] = field(default_factory=list)
    shown: dict[int, str] = field(default_factory=dict)

    def tell(self, at: datetime, words: str) -> None:
        midnight = at.time() == time()
        self.told.append(f"{at:%Y-%m-%d} {words}" if midnight else f"{at:%Y-%m-%d %H:%M} {words}")

    def look(self, at: datetime) -> None:
        today = at.date()
        self._lapse(today)
        if self.old and any(
            not i.replaced and i.cents and today > i.due + GRACE for i in self.invoices
        ):
            self.invoices, self.old = self.old, []
            self.waiting = bool(self.stood)
            self._release()
        if self.old and not any(not i.replaced and i.cents for i in self.invoices):
            self.invoices, self.old = [], []
            self._release()
        self._notice(at)
        for contract in self.contracts.values():
            if contract.ends is not None and contract.ends <= today:
                contract.ended, contract.ends = contract.ends, None
                self._tell_of(at, contract, "ended")
            scope = self.rules.numbers["scope"]
            whose = [i for i in self.invoices if scope == "payer" or i.contract == contract.number]
            owed, ripe = counted(whose, self.notices, self.rules, today)
            word = self._judge(contract, owed, ripe, at)
            last = self.shown.get(contract.number, "full")
            self.shown[contract.number] = word
            if word == "rescind" and last != word and contract.ended is None:
                contract.ends = today + DAY
            if last == "rescind" and word in SEVERITY and contract.ended is None:
                contract.ends = None
            if word != last:
                self._tell_of(at, contract, word)

    def _judge(
        self, contract: Contract, owed: list[Invoice], ripe: date | None, at: datetime
    ) -> str:
        if not self.waiting:
            return judge(contract, owed, ripe, self.rules, self.extra, at)
        # Rule 12: what stood at signature stands again at the next instant for a cut.
        probe = Contract(contract.number, list(self.stood), bars=contract.bars)
        was = len(probe.steps)
        judge(probe, owed, ripe, self.rules, self.extra, at)
        kept = min(was, len(probe.steps))
        if kept and may_cut(at, self.rules, self.extra):
            self.waiting = False
            contract.steps = [at.date()] * kept
            return judge(contract, owed, ripe, self.rules, self.extra, at)
        return "full"

    def _tell_of(self, at: datetime, contract: Contract, word: str) -> None:
        several = len(self.contracts) > 1
        self.tell(at, f"contract {contract.number} {word}" if several else word)

    def _lapse(self, today: date) -> None:
        for item in list(self.invoices):
            if item.disputed_on and today > item.disputed_on + timedelta(days=ANSWER_DAYS):
                self.invoices.remove(item)  # rule 11: decided for the customer

    def _notice(self, at: datetime) -> None:
        today = at.date()
        listed = {number for notice in self.notices for number in notice.listed}
        owed = [
            item
            for item in self.invoices
            if item.cents and item.disputed_on is None and not item.replaced
        ]
        asks = [
            i for i in owed if i.number not in listed and notice_from(i.due, self.rules) <= today
        ]
        if asks:
            whole = [item for item in owed if overdue_from(item.due, self.rules) <= today]
            days = self.delivery_days
            proven = None if days is None else today + timedelta(days=days)
            self.notices.append(Notice(frozenset(i.number for i in whole), today, proven))
            self.tell(at, "notice " + ", ".join(str(item.number) for item in whole))

    def happen(self, one: Happening) -> None:
        at, words = one.instant(), one.words
        getattr(self, f"_{one.what}")(at, *words)

    def _invoice(
        self, _at: datetime, number: str, amount: str, _due: str, day: str, *of: str
    ) -> None:
        contract = int(of[1]) if of else 1
        self.contracts.setdefault(contract, Contract(contract))
        self.invoices.append(Invoice(int(number), contract, date.fromisoformat(day), cents(amount)))

    def _paid(self, _at: datetime, number: str, amount: str) -> None:
        item = self._of(int(number))
        item.cents -= cents(amount)

    def _delivery(self, _at: datetime, days: str) -> None:
        self.delivery_days = None if days == "never" else int(days)

    def _promise(self, at: datetime, _until: str, day: str) -> None:
        contract, until, today = self.contracts[1], date.fromisoformat(day), at.date()
        whose = [item for item in self.invoices if item.contract == 1]
        owed, _ = counted(whose, self.notices, self.rules, today)
        owes = owed or [
            i
            for i in whose
            if i.cents and not i.disputed_on and overdue_from(i.due, self.rules) <= today
        ]
        last, made = contract.promise_until, contract.promised_on
        unpaid = {item.number for item in self.invoices if item.cents}
        every, most = self.rules.number("promise_every"), self.rules.number("promise_days")
        too_soon = made is not None and today < made + timedelta(days=every)
        broken = last is not None and last < today and bool(contract.promised & unpaid)
        if not owes or not today <= until <= today + timedelta(days=most) or broken or too_soon:
            self.tell(at, "promise refused")
            return
        contract.promise_until, contract.promised_on, contract.lifted = until, today, True
        contract.promised = frozenset(item.number for item in owes)

    def _hold(self, at: datetime, _until: str, *when: str) -> None:
        self._bar(at, "hold", "until", *when)

    def _bar(self, _at: datetime, name: str, _until: str = "", *when: str) -> None:
        until = datetime.fromisoformat(" ".join(when)) if when else datetime.max  # noqa: DTZ901
        for contract in self.contracts.values():
            contract.bars[name] = until

    def _disputed(self, at: datetime, number: str, amount: str = "") -> None:
        item = self._of(int(number))
        part = cents(amount) if amount else item.cents
        if part < item.cents:
            apart = Invoice(item.number, item.contract, item.due, part, at.date(), item.shift)
            self.invoices.append(apart)
            item.cents -= part
            item.due = max(item.due, at.date() + timedelta(days=BILL_DAYS))
        else:
            item.disputed_on = at.date()

    def _rejected(self, at: datetime) -> None:
        (item,) = (i for i in self.invoices if i.disputed_on is not None)
        opened, today = item.disputed_on, at.date()
        proven = [n.proven for n in self.notices if item.number in n.listed and n.proven]
        if opened is not None and proven:
            item.shift += max(0, (today - max(opened, min(proven))).days)
        item.due = max(item.due, today + timedelta(days=BILL_DAYS))
        item.disputed_on = None

    def _accepted(self, _at: datetime) -> None:
        self.invoices = [item for item in self.invoices if item.disputed_on is None]

    def _pause(self, at: datetime, _until: str, day: str) -> None:
        self.contracts[1].pause = (at.date(), date.fromisoformat(day))

    def _ended(self, at: datetime) -> None:
        self.contracts[1].ends = at.date()

    def _agreement(self, _at: datetime, number: str, _due: str, day: str) -> None:
        self.old = [item for item in self.invoices if item.cents]
        total = sum(item.cents for item in self.old)
        self.invoices = [Invoice(int(number), 1, date.fromisoformat(day), total)]
        self.stood = list(self.contracts[1].steps)
        if self.rules.numbers["restore_on"] == "first_payment":
            for item in self.old:
                item.replaced = True
            self.invoices += self.old
            self.stood = []
            self.contracts[1].bars["agreement"] = datetime.max  # noqa: DTZ901

    def _release(self) -> None:
        """Nothing waits for a first payment any more."""
        self.contracts[1].bars.pop("agreement", None)
        for item in self.invoices:
            item.replaced = False

    def _end(self, _at: datetime) -> None:
        pass

    def _of(self, number: int) -> Invoice:
        return next(i for i in self.invoices if i.number == number and i.disputed_on is None)


def lived(case: Case, rules: Rules) -> tuple[str, ...]:
    """What happens under a case's facts, as the page writes it."""
    facts = happenings(case)
    life = _Life(rules, case.holidays)
    last = facts[-1].instant()
    opens = time.fromisoformat(rules.numbers["window"].split("-")[0])
    day = facts[0].instant().date()
    ends = {
        datetime.fromisoformat(" ".join(one.words[one.words.index("until") + 1 :]))
        for one in facts
        if one.what in ("hold", "bar") and "until" in one.words
    }
    while day <= last.date():
        at = datetime.combine(day, time())
        looks = {at, datetime.combine(day, opens)}
        looks |= {one.instant() for one in facts if one.instant().date() == day}
        looks |= {end for end in ends if end.date() == day}
        for instant in sorted(looks):
            if instant <= last:
                for one in facts:
                    if one.instant() == instant:
                        life.happen(one)
                life.look(instant)
        day += DAY
    return tuple(life.told)
