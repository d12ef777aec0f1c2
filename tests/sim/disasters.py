"""What goes wrong in a year, each on a random day: how it is planted, and how it is put right.

Nobody else knows of it: the product sees what it would see, customers and judge go on as ever.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta

from billing.calendar import ONE_DAY, is_cut_day
from billing.guard import Flaw
from billing.invoice import Invoice
from billing.policy import Policy, document, parse, read
from tests.sim.judge import Broken
from tests.sim.year import DUE_DAYS, POLICY, START, Year
from tests.support.accounts import CALENDAR, ZONE

HOUR = timedelta(hours=1)
FIRST, APART = 45, 44
JUMP = timedelta(days=40)
FEED_DEAD = timedelta(days=3)
MANY = 5_000
# What each must have had refused for.
REASONS: Mapping[str, Flaw] = {
    "feed dead": Flaw.STALE_FEED,
    "policy corrupted": Flaw.NEW_RULES,
    "clock ahead": Flaw.CLOCK_AHEAD,
    "everybody late": Flaw.TOO_MANY,
    "clock ahead, then feed dead": Flaw.CLOCK_AHEAD,
    "many really late": Flaw.TOO_MANY,
}


def hasty() -> Policy:
    """A version that passes every check, because it names no law."""
    return parse(
        "anatel-765",
        2,
        {**document(POLICY), "law": "none", "notice_days": 0, "notice_after_days": 0,
         "float_bank_days": 0, "cut_any_day": True, "cut_from": "00:00", "cut_until": "23:59"},
    )  # fmt: skip


def damaged() -> Policy:
    """A row that was changed behind every check."""
    return read("anatel-765", 1, {**document(POLICY), "notice_days": 0})


def sooner() -> Policy:
    """A slip of the keyboard: the wall a day after reduced speed."""
    steps = [
        {"level": "reduced", "anchor": "maturity", "after_days": 0},
        {"level": "walled", "anchor": "reduced", "after_days": 1},
    ]
    return parse("anatel-765", 2, {**document(POLICY), "steps": steps})


def harsher() -> Policy:
    """Lawful: no stage of reduced speed, and nothing is left of the line."""
    steps = [{"level": "blocked", "anchor": "maturity", "after_days": 0}]
    return parse("anatel-765", 2, {**document(POLICY), "steps": steps})


CORRUPTED = (hasty, damaged, sooner, harsher)


class Disasters:
    """Plants them in the order that the year's seed gives, one in each span of days."""

    def __init__(
        self,
        year: Year,
        kinds: Sequence[str] = tuple(REASONS),
        first: int = FIRST,
        corrupted: Sequence[Callable[[], Policy]] = CORRUPTED,
    ) -> None:
        self.year = year
        self.began: list[str] = []
        self._corrupted = corrupted
        verbs: Mapping[str, Callable[[], None]] = {
            "feed dead": self._feed,
            "policy corrupted": self._policy,
            "clock ahead": self._clock,
            "everybody late": self._import,
            "clock ahead, then feed dead": self._clock_and_feed,
            "many really late": self._strike,
        }
        for place, name in enumerate(year.random.sample(kinds, len(kinds))):
            day = START + timedelta(days=first + APART * place + year.random.randrange(8))
            while not _fits(day):
                day += ONE_DAY
            at = datetime.combine(day, time(6), ZONE)
            year.at(at + year.random.randrange(300) * timedelta(minutes=1), verbs[name])

    # One by one

    def _feed(self) -> None:
        self._begin("feed dead")
        self.year.product.feed_alive = False
        self.year.after(FEED_DEAD, self._feed_back)

    def _feed_back(self) -> None:
        self.year.hear_all()
        self._end()

    def _policy(self) -> None:
        self._begin("policy corrupted")
        bad = self.year.random.choice(self._corrupted)
        self.year.product.put_policy(bad())
        self.year.sweep()
        self.year.after(self._hours(8, 47), self._policy_right)

    def _policy_right(self) -> None:
        self.year.product.put_policy(parse("anatel-765", 3, document(POLICY)))
        self._end()

    def _clock(self) -> None:
        self._begin("clock ahead")
        self.year.set_clock(JUMP)
        self.year.sweep()
        self.year.after(self._hours(10, 60), self._clock_right)

    def _clock_right(self) -> None:
        self.year.set_clock(timedelta(0))
        self._end()

    def _clock_and_feed(self) -> None:
        self._begin("clock ahead, then feed dead")
        self.year.set_clock(JUMP)
        self.year.sweep()

        def right_and_blind() -> None:
            self.year.set_clock(timedelta(0))
            self.year.sweep()

        def dies() -> None:
            self.year.product.feed_alive = False

        self.year.after(2 * HOUR, dies)
        self.year.after(8 * HOUR, right_and_blind)
        self.year.after(2 * HOUR + FEED_DEAD, self._feed_back)

    def _import(self) -> None:
        """Invoices that were paid elsewhere come in as open, one for everybody."""
        self._begin("everybody late")
        year, made = self.year, list[Invoice]()
        for number, account in enumerate(year.product.accounts):
            if account.contracts[0].ended_on is None:
                due = year.now.date() - timedelta(days=year.random.randrange(20, 90))
                made.append(year.bill(number, due))
        year.sweep()

        def undo() -> None:
            for invoice in made:
                year.product.void(invoice.contract_id, invoice.id)
            self._end()

        def once_refused() -> None:
            # People read the plan, and find that it is nonsense.
            if Flaw.TOO_MANY in year.seen:
                year.after(self._hours(4, 26), undo)
            elif year.now.date() > began + timedelta(days=30):
                raise Broken("everybody was made late, and no plan was refused")
            else:
                year.after(HOUR, once_refused)

        began = year.now.date()
        year.after(HOUR, once_refused)

    def _strike(self) -> None:
        """Nearly half of those with a due day really do not pay, until they are slowed."""
        year = self.year
        self.began.append("many really late")
        year.strike = min(
            day
            for day in (year.now.date() + timedelta(days=away) for away in range(12, 45))
            if day.day in DUE_DAYS
        )
        year.after(timedelta(days=50), self._struck)

    def _struck(self) -> None:
        self.year.strike = None
        if len(self.year.truths) >= MANY and not self.year.told["released plans"]:
            raise Broken("many were really late, and nobody released a plan")

    # What they have in common

    def _begin(self, name: str) -> None:
        self.began.append(name)
        self.year.seen = set()
        self.year.troubled_until = None

    def _end(self) -> None:
        year, name = self.year, self.began[-1]
        year.sweep()
        # Among few customers nobody may be to be cut in three days.
        many = len(year.truths) >= MANY or name == "everybody late"
        if many and REASONS[name] not in year.seen:
            raise Broken(f"{name}: no plan was refused as {REASONS[name]}, but {year.seen}")
        year.troubled_until = year.now + ONE_DAY

    def _hours(self, least: int, most: int) -> timedelta:
        return self.year.random.randrange(least, most) * HOUR


def _fits(day: date) -> bool:
    """A day on which cuts are made, as they are on the next one."""
    return all(is_cut_day(CALENDAR, POLICY, each) for each in (day, day + ONE_DAY))
