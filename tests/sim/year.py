"""A year of a provider in virtual time, from one seed: who pays when, and what comes of it.

Every cut is judged by what is true (`tests.sim.truth`); every payment that the product hears of
must restore in that instant; whoever owes must be cut within a few days of cuts, but for the days
of a disaster (`tests.sim.disasters`).
"""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from heapq import heappop, heappush
from random import Random

from billing.access import Level
from billing.account import Payment, Promise
from billing.calendar import ONE_DAY, day_start, is_cut_day, next_cut
from billing.guard import RELEASABLE, Flaw, Limits
from billing.invoice import Invoice, Line, amount_due
from billing.policy import Policy, parse
from billing.promise import PromiseRefused
from tests.sim.judge import Broken
from tests.sim.provider import Plan, Provider
from tests.sim.truth import Bill, Truth
from tests.support.accounts import CALENDAR, STAGED, ZONE

POLICY: Policy = parse(
    "anatel-765",
    1,
    {
        "steps": [
            *STAGED,
            {"level": "rescind", "anchor": "walled", "after_days": 60},
            {"level": "bureau", "anchor": "rescind", "after_days": 0},
            {"level": "agency", "anchor": "rescind", "after_days": 30},
        ]
    },
)
START, DAYS = date(2026, 2, 2), 365
DUE_DAYS = (1, 3, 5, 8, 10, 12, 15, 18, 20, 22, 25, 28)
ISSUED_BEFORE = timedelta(days=10)
SWEEP_EVERY = timedelta(minutes=25)
MINUTE = timedelta(minutes=1)
# How many cut days a rightful cut may take, and days a notice, when nothing is wrong.
CUT_DAYS, NOTICE_DAYS = 3, 3
# How each of many customers takes an invoice, in a hundred thousand.
HABITS = (
    ("in time", 78_000),
    ("days late", 13_000),
    ("at the last minute", 5_000),
    ("once slowed", 2_400),
    ("promises", 1_000),
    ("once walled", 500),
    ("never again", 100),
)


class Year:
    """All customers, what they really do, and the product that sees some of it."""

    def __init__(
        self,
        seed: int,
        contracts: int,
        *,
        days: int = DAYS,
        provider: type[Provider] = Provider,
        limits: Limits | None = None,
    ) -> None:
        self.random = Random(seed)
        self.now = day_start(START, ZONE)
        self.end = day_start(START + timedelta(days=days), ZONE)
        self.ahead = timedelta(0)
        self.product = provider(contracts, POLICY, self.now, limits or Limits())
        self.product.moved, self.product.drawn = self._moved, self._drawn
        self.product.refused = self._refused
        self.truths = [Truth() for _ in range(contracts)]
        self.told: Counter[str] = Counter()
        self.flaws: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.seen: set[Flaw] = set()
        self.strike: date | None = None
        self.troubled_until: datetime | None = self.now
        self.longest_restore = timedelta(0)
        self._due_days = [self.random.choice(DUE_DAYS) for _ in range(contracts)]
        self._silent: set[int] = set()
        self._unseen: list[tuple[int, Payment]] = []
        self._known_at: datetime | None = None
        self._paid_at: datetime | None = None
        self._behind: Counter[int] = Counter()
        self._noticed: set[int] = set()
        self._mail_free_at = self.now
        self._mail_gap = timedelta(minutes=300) / contracts
        self._drip_gap = MINUTE if contracts < 4_000 else MINUTE / (contracts // 2_000)
        self._dripping = False
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        for number in range(contracts):
            self._issue_next(number, START)
        self.at(self.now, self._sweep)
        self.at(self.now + timedelta(hours=16, minutes=5), self._look_at_lag)

    def at(self, instant: datetime, verb: Callable[[], None]) -> None:
        """Have something happen."""
        self._order += 1
        heappush(self._queue, (instant.timestamp(), self._order, verb))

    def after(self, wait: timedelta, verb: Callable[[], None]) -> None:
        """Have something happen in so long."""
        self.at(self.now + wait, verb)

    def run(self) -> None:
        """Live the year. Raises Broken where what must happen did not."""
        while self._queue:
            seconds, _, verb = heappop(self._queue)
            self.now = datetime.fromtimestamp(seconds, ZONE)
            if self.now >= self.end:
                return
            self.product.now = self.now + self.ahead
            verb()

    def set_clock(self, ahead: timedelta) -> None:
        self.ahead = ahead
        self.product.now = self.now + ahead

    # Bills and payments

    def _issue_next(self, number: int, after: date) -> None:
        day = after + ISSUED_BEFORE
        while day.day != self._due_days[number]:
            day += ONE_DAY
        issued = datetime.combine(day - ISSUED_BEFORE, time(6), ZONE)
        self.at(issued, lambda: self._issue(number, day))

    def _issue(self, number: int, due: date) -> None:
        if self.product.accounts[number].contracts[0].ended_on is not None:
            return
        self._issue_next(number, due - ISSUED_BEFORE + ONE_DAY)
        invoice = self.bill(number, due)
        self.truths[number].bills[invoice.id] = Bill(invoice.id, due, invoice.amount_cents)
        self.told["invoices"] += 1
        if number not in self._silent:
            self._take(number, invoice)

    def bill(self, number: int, due: date) -> Invoice:
        """An invoice as the product knows it; whether it is owed is another question."""
        invoice = Invoice(
            self.product.number(), number, due, self.product.now, (Line("Plano", 99_90),)
        )
        self.product.issue(number, invoice)
        return invoice

    def _take(self, number: int, invoice: Invoice) -> None:
        """What the customer means to do about it."""
        shares = [share for _, share in HABITS]
        (habit,) = self.random.choices([name for name, _ in HABITS], shares)
        if invoice.due_on == self.strike and self.random.random() < 0.45:
            habit = self.random.choice(["once slowed", "once slowed", "at the last minute"])
        if habit == "in time":
            days = -self.random.randrange(0, 9)
        elif habit == "days late":
            days = self.random.randrange(1, 15)
        elif habit == "never again":
            self._silent.add(number)
            return
        else:
            self._habit(number, habit)
            return
        self.pays(number, invoice.due_on + timedelta(days=days))

    def _habit(self, number: int, habit: str) -> None:
        self.truths[number].habits.add(habit)

    def pays(self, number: int, day: date) -> None:
        """The customer pays all that is owed on a day, at any hour."""
        at = datetime.combine(day, time(0), ZONE) + self.random.randrange(1, 1440) * MINUTE
        self.at(max(at, self.now + MINUTE), lambda: self._pay_all(number))

    def _pay_all(self, number: int) -> None:
        self._silent.discard(number)
        self.truths[number].habits.clear()
        for bill in self.truths[number].owed():
            self._pay(number, bill)

    def _pay(self, number: int, bill: Bill) -> None:
        truth, account = self.truths[number], self.product.accounts[number]
        (invoice,) = (item for item in account.invoices if item.id == bill.number)
        cents = amount_due(invoice, POLICY, CALENDAR, self.now.date())
        payment = Payment(
            id=self.product.number(),
            provider="pix",
            external_id=f"e2e-{bill.number}",
            amount_cents=cents,
            method="pix",
            reference="",
            paid_at=self.now,
            cleared_at=self.product.now,
            invoice_id=bill.number,
        )
        truth.pay(bill.number, self.now)
        self.told["payments"] += 1
        # Money at the counter is known at once, whatever the provider tells.
        if self.product.feed_alive or self.random.random() < 0.05:
            self._hear(number, payment)
        else:
            self._unseen.append((number, payment))

    def _hear(self, number: int, payment: Payment) -> None:
        """The product is told: whoever owes nothing any more has the full line in that instant."""
        self._paid_at = payment.paid_at
        self.product.pay(number, payment)
        self._paid_at = None
        assert payment.invoice_id is not None
        self.truths[number].seen(payment.invoice_id)
        account = self.product.accounts[number]
        (contract,) = account.contracts
        full = contract.access.level is Level.FULL
        if not account.invoices and contract.ended_on is None and not full:
            raise Broken(f"A5 customer {number} owes nothing and is {contract.access.level}")

    def hear_all(self) -> None:
        """The feed is back: it lists everything that it has not told."""
        self.product.feed_alive = True
        unseen, self._unseen = self._unseen, []
        for number, payment in unseen:
            self._hear(number, payment)

    # Notices

    def _drawn(self, number: int, notice_id: int, listed: Iterable[int]) -> None:
        truth = self.truths[number]
        truth.notify(notice_id, frozenset(listed), self.now.date())
        self.told["notices"] += 1
        self._mail_free_at = max(self._mail_free_at + self._mail_gap, self.now + MINUTE)
        verb = self._deliver if self.random.random() < 0.93 else self._fail
        self.at(self._mail_free_at, lambda: verb(number, notice_id))

    def _deliver(self, number: int, notice_id: int) -> None:
        truth = self.truths[number]
        if notice_id in truth.notices:
            truth.prove(notice_id, self.now.date())
        self.product.prove(number, notice_id)
        if "at the last minute" in truth.habits:
            announced = day_start(self.now.date() + timedelta(days=15), ZONE)
            cut_at = next_cut(CALENDAR, POLICY, announced)
            at = cut_at + self.random.randrange(0, 90) * MINUTE
            self.at(at, lambda: self._pay_all(number))

    def _fail(self, number: int, notice_id: int) -> None:
        self.truths[number].notices.pop(notice_id, None)
        self.product.fail(number, notice_id)

    # What the product does

    def _sweep(self) -> None:
        self.at(self.now + SWEEP_EVERY, self._sweep)
        self.sweep()

    def sweep(self) -> None:
        """Let the product look at who is due."""
        self.product.sweep()
        self._drip_on()

    def _drip_on(self) -> None:
        if self.product.queue and not self._dripping:
            self._dripping = True
            self.at(self.now, self._drip)

    def _drip(self) -> None:
        self.product.drip()
        self._dripping = bool(self.product.queue)
        if self._dripping:
            self.at(self.now + self._drip_gap, self._drip)

    def _moved(self, number: int, old: Level, new: Level) -> None:
        truth = self.truths[number]
        if new.severity < old.severity:
            self.told["restores"] += 1
            if self._paid_at is not None:
                self.longest_restore = max(self.longest_restore, self.now - self._paid_at)
            return
        self.told["cuts"] += 1
        if truth.is_right(new.value, self.now):
            truth.cut(self.now)
            self._answer(number, new)
        elif truth.was_unseen(new.value, self.now):
            self.told["before the news"] += 1
        else:
            self.wrong.append(f"customer {number} was {new} at {self.now:%Y-%m-%d %H:%M}: {truth}")

    def _answer(self, number: int, level: Level) -> None:
        """What the customer does about being cut."""
        habits, today = self.truths[number].habits, self.now.date()
        if level is Level.BLOCKED:
            self.at(day_start(today + ONE_DAY, ZONE) + MINUTE, lambda: self._end(number))
        elif "promises" in habits:
            self.at(self.now + timedelta(hours=5), lambda: self._promise(number))
        elif "once slowed" in habits or (level is Level.WALLED and number not in self._silent):
            self.pays(number, today + timedelta(days=self.random.choice([0, 0, 1, 2, 4, 7])))

    def _promise(self, number: int) -> None:
        until_on = self.product.now.date() + timedelta(days=self.random.randrange(1, 4))
        word = Promise(self.product.number(), number, self.product.now, until_on, "customer", ())
        try:
            self.product.promise(number, word)
        except PromiseRefused:
            return
        self.truths[number].contract.promise_until = until_on
        self.truths[number].contract.lifted = True
        self.told["promises"] += 1
        keeps = self.random.random() < 0.6
        self.pays(number, until_on + timedelta(days=0 if keeps else 9))

    def _end(self, number: int) -> None:
        (contract,) = self.product.accounts[number].contracts
        if contract.ended_on is None and contract.access.level is Level.BLOCKED:
            self.product.end(number)
            self.told["ended"] += 1

    # Refused plans, and the two people who read them

    def _refused(self, plan: Plan) -> None:
        self.told["refused plans"] += 1
        self.told["refused cuts"] += len(plan.cuts)
        self.seen |= plan.waits.flaws
        for flaw in plan.waits.flaws:
            self.flaws[flaw.value] += len(plan.cuts)
        if plan.waits.flaws <= RELEASABLE and not self.ahead:
            right = all(
                self.truths[cut.contract_id].is_right(cut.after.value, self.now)
                for cut in plan.cuts
            )
            if right:
                wait = self.random.randrange(5, 45) * MINUTE
                self.at(self.now + wait, lambda: self._release(plan))

    def _release(self, plan: Plan) -> None:
        if self.product.release(plan.waits.id, plan.hash):
            self.told["released plans"] += 1
            self._drip_on()

    # Whether what must happen does

    def troubled(self) -> bool:
        """Whether something is wrong, or was until a short while ago."""
        return self.troubled_until is None or self.now < self.troubled_until

    def _look_at_lag(self) -> None:
        self.at(self.now + ONE_DAY, self._look_at_lag)
        today = self.now.date()
        if self.troubled():
            self._behind.clear()
            return
        if not is_cut_day(CALENDAR, POLICY, today):
            return
        at = self.now - timedelta(minutes=10)
        every = today.toordinal() % 5 == 0
        whom = range(len(self.truths)) if every else sorted(self._behind)
        for number in whom:
            truth = self.truths[number]
            if not truth.bills or self.product.accounts[number].contracts[0].ended_on is not None:
                self._behind.pop(number, None)
                continue
            if truth.lacks_notice(today, NOTICE_DAYS):
                raise Broken(f"customer {number} had no notice until {today}: {truth}")
            if truth.lags(at):
                self._behind[number] += 1
                if self._behind[number] > CUT_DAYS:
                    raise Broken(f"customer {number} owes and was not cut until {today}: {truth}")
            else:
                self._behind.pop(number, None)

    def count(self) -> dict[str, object]:
        """What happened, for the line of results."""
        return {
            "invoices": self.told["invoices"],
            "payments": self.told["payments"],
            "notices": self.told["notices"],
            "cuts": self.told["cuts"],
            "restores": self.told["restores"],
            "refused_plans": self.told["refused plans"],
            "refused_cuts": dict(sorted(self.flaws.items())),
            "released_plans": self.told["released plans"],
            "left_at_the_last_look": self.product.told["planned: left"],
            "cut_before_the_news": self.told["before the news"],
            "wrong_cuts": len(self.wrong),
        }
