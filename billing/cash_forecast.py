"""What of open invoices is coming in, by what past months brought and how late.

A figure to look at: it decides nothing and is no money of the books.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

from billing.ageing import History, days_late, month_of
from billing.money import half_up

EARLIEST: Final = -30
"""Days from the due date; what is paid earlier than that is taken as paid then."""
LATEST: Final = 120
"""Days from the due date; what is unpaid for longer is not expected any more."""
PARTS: Final = 1_000_000
"""Of a cent: what expected cash is reckoned in, so that only its sum is rounded."""


@dataclass(slots=True)
class Curve:
    """Of what was still unpaid on a day from its due date, what was paid on that day.

    Only due dates for which that day is over count, so that a young month says what it knows and
    no more. By days from the due date, in cents.
    """

    paid: dict[int, int] = field(default_factory=dict)
    at_risk: dict[int, int] = field(default_factory=dict)

    def add(self, other: "Curve") -> None:
        """Take in another curve."""
        for mine, theirs in ((self.paid, other.paid), (self.at_risk, other.at_risk)):
            for days, cents in theirs.items():
                mine[days] = mine.get(days, 0) + cents

    def knows(self, days: int) -> bool:
        """Whether anything was unpaid on that day, so that it says how much is paid."""
        return self.at_risk.get(days, 0) > 0

    def share(self, days: int) -> tuple[int, int]:
        """What was paid on that day of what was unpaid, from none (0, 1) to all of it."""
        if not self.knows(days):
            return 0, 1
        # More may have gone back on a day than came in, but nobody expects that.
        return min(self.at_risk[days], max(0, self.paid.get(days, 0))), self.at_risk[days]


def curves(history: History, today: date) -> dict[date, Curve]:
    """A curve for each month of due dates."""
    paid: dict[date, dict[int, int]] = {}
    for (due_on, paid_on), cents in history.paid_cents.items():
        days = max(EARLIEST, days_late(due_on, paid_on))
        by_days = paid.setdefault(due_on, {})
        by_days[days] = by_days.get(days, 0) + cents
    found: dict[date, Curve] = {}
    for due_on, due_cents in history.due_cents.items():
        curve = found.setdefault(month_of(due_on), Curve())
        unpaid_cents, by_days = due_cents, paid.get(due_on, {})
        for days in range(EARLIEST, min(LATEST, days_late(due_on, today) - 1) + 1):
            came_cents = by_days.get(days, 0)
            curve.at_risk[days] = curve.at_risk.get(days, 0) + unpaid_cents
            curve.paid[days] = curve.paid.get(days, 0) + came_cents
            unpaid_cents -= came_cents
    return found


@dataclass(frozen=True, slots=True)
class Expected:
    """Cash from `from_on` until before `until_on`, in cents of principal.

    Attributes:
        low_cents: as the worst of the past months would have it.
        high_cents: as the best would.
        instalment_cents: what of `cents` are instalments of agreements.
    """

    from_on: date
    until_on: date
    cents: int
    low_cents: int
    high_cents: int
    instalment_cents: int


def forecast(
    owed: Mapping[date, int],
    instalments: Mapping[date, int],
    months: Sequence[Curve],
    today: date,
    days: int,
    step_days: int,
) -> tuple[Expected, ...]:
    """Cash of the next `days`, today included, told by `step_days` of them.

    Each day, of what is unpaid until then, the share comes in that came in on the same day from the
    due date in all the months together; low and high are the least and the most that one of the
    months alone (or all) would let come in. A month that knows nothing of a day is taken there as
    all of them.

    Args:
        owed: unpaid principal by due date, instalments too.
        instalments: what of it are instalments.
        months: the curves of past months.
        today: local date.
        days: how many.
        step_days: 1: by day; 7: by week.
    """
    pooled = Curve()
    for month in months:
        pooled.add(month)
    whole = _coming(owed, pooled, pooled, today, days)
    others = [_coming(owed, month, pooled, today, days) for month in months]
    parts = _coming(instalments, pooled, pooled, today, days)
    told = []
    for start in range(0, days, step_days):
        stop = min(days, start + step_days)
        sums = [_cents(way[start:stop]) for way in (whole, *others)]
        told.append(
            Expected(
                from_on=today + timedelta(days=start),
                until_on=today + timedelta(days=stop),
                cents=sums[0],
                low_cents=min(sums),
                high_cents=max(sums),
                instalment_cents=_cents(parts[start:stop]),
            )
        )
    return tuple(told)


def _coming(
    owed: Mapping[date, int], curve: Curve, pooled: Curve, today: date, days: int
) -> list[int]:
    """Parts of cents that come in on each day."""
    shares = [
        (curve if curve.knows(day) else pooled).share(day) for day in range(EARLIEST, LATEST + 1)
    ]
    coming = [0] * days
    for due_on, cents in owed.items():
        rest = cents * PARTS
        age = days_late(due_on, today)
        for day in range(max(0, EARLIEST - age), min(days, LATEST - age + 1)):
            paid, at_risk = shares[age + day - EARLIEST]
            if paid:
                part = rest * paid // at_risk
                coming[day] += part
                rest -= part
    return coming


def _cents(parts: Iterable[int]) -> int:
    return half_up(Fraction(sum(parts), PARTS))
