"""What is true of a customer, whatever the product believes, and whether a cut was right by it.

The ladder is the calculator written from the policy text (`tests.support.ladder_oracle`); days are
those of the calendar on the wall, payments those that the payment provider has.
"""

from copy import copy
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from tests.support.ladder_cases import Rules
from tests.support.ladder_oracle.rules import (
    LEVEL,
    SEVERITY,
    Contract,
    Invoice,
    Notice,
    counted,
    judge,
    may_cut,
    notice_from,
)
from tests.support.money_oracle.bank_days import payable_until

RULES = Rules(
    name="anatel-765",
    notice_after_days=3,
    notice_days=15,
    steps=(
        ("reduced", "maturity", 0),
        ("walled", "reduced", 15),
        ("rescind", "walled", 60),
        ("bureau", "rescind", 0),
        ("agency", "rescind", 30),
    ),
    numbers={
        "window": "08:00-16:00",
        "float": "1",
        "minimum_cents": "1",
        "promise_level": "full",
        "scope": "contract",
    },
)
# Invariant A11: news may be so old before nobody is cut any more.
NEWS_WITHIN = timedelta(hours=1)
_EVER = datetime(9999, 1, 1)  # noqa: DTZ001 -- the calculator reads the wall, which has no zone


@dataclass(slots=True)
class Bill:
    """An invoice that is really owed, until it is paid at the provider."""

    number: int
    due: date
    cents: int
    paid_at: datetime | None = None

    def as_owed(self) -> Invoice:
        return Invoice(self.number, 1, self.due, self.cents)


@dataclass(slots=True)
class Truth:
    """One customer. `bills` are those that are owed, and those whose payment nobody has seen yet.

    `contract` holds the days on which steps were really entered.
    """

    bills: dict[int, Bill] = field(default_factory=dict)
    notices: dict[int, Notice] = field(default_factory=dict)
    contract: Contract = field(default_factory=lambda: Contract(1))
    habits: set[str] = field(default_factory=set)

    def owed(self) -> list[Bill]:
        return [bill for bill in self.bills.values() if bill.paid_at is None]

    def notify(self, notice_id: int, listed: frozenset[int], today: date) -> None:
        """A notice was drawn: it says the truth of what is past due, and nothing of the rest."""
        late = frozenset(
            bill.number
            for bill in self.owed()
            if bill.number in listed and payable_until(bill.due) < today
        )
        self.notices[notice_id] = Notice(late, today, None)

    def prove(self, notice_id: int, today: date) -> None:
        self.notices[notice_id].proven = today

    def pay(self, number: int, at: datetime) -> None:
        """A payment arrived at the provider: what no debt carries any more is over."""
        self.bills[number].paid_at = at
        probe = self.contract
        probe.bars["look"] = _EVER
        self._judge(probe, self.owed(), at)
        del probe.bars["look"]

    def seen(self, number: int) -> None:
        """The product knows of it too; what nothing is owed on is forgotten."""
        del self.bills[number]
        self.notices = {
            notice_id: notice
            for notice_id, notice in self.notices.items()
            if not notice.listed.isdisjoint(self.bills)
        }

    def is_right(self, after: str, at: datetime) -> bool:
        """Whether a line may be cut to this level now."""
        found = copy(self.contract)
        found.steps = list(found.steps)
        word = self._judge(found, self.owed(), at)
        return _severity(word) >= SEVERITY.index(after) and may_cut(_wall(at), RULES, ())

    def was_unseen(self, after: str, at: datetime) -> bool:
        """Whether only a payment of the last hour, that nobody could know of, makes it wrong."""
        young = [
            bill
            for bill in self.bills.values()
            if bill.paid_at is not None and at - bill.paid_at <= NEWS_WITHIN
        ]
        if not young:
            return False
        probe = Truth(self.bills, self.notices, copy(self.contract))
        probe.contract.steps = list(self.contract.steps)
        kept = {bill.number: bill.paid_at for bill in young}
        for bill in young:
            bill.paid_at = None
        right = probe.is_right(after, at)
        for bill in young:
            bill.paid_at = kept[bill.number]
        return right

    def cut(self, at: datetime) -> None:
        """A right cut was made: the step is entered."""
        self._judge(self.contract, self.owed(), at)

    def lags(self, at: datetime) -> bool:
        """Whether a step could be entered now that was not."""
        found = copy(self.contract)
        found.steps = list(found.steps)
        self._judge(found, self.owed(), at)
        return len(found.steps) > len(self.contract.steps)

    def lacks_notice(self, today: date, days: int) -> bool:
        """Whether a bill is past the day of its notice for longer, and in none."""
        told = frozenset().union(*(notice.listed for notice in self.notices.values()))
        grace = timedelta(days=days)
        return any(
            bill.number not in told and notice_from(bill.due, RULES) + grace <= today
            for bill in self.owed()
        )

    def _judge(self, contract: Contract, owed: list[Bill], at: datetime) -> str:
        found, ripe = counted(
            [bill.as_owed() for bill in owed], list(self.notices.values()), RULES, at.date()
        )
        return judge(contract, found, ripe, RULES, (), _wall(at))


def _wall(at: datetime) -> datetime:
    return at.replace(tzinfo=None)


def _severity(word: str) -> int:
    return SEVERITY.index(LEVEL.get(word, word))
