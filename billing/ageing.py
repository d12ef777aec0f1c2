"""Who is late and for how long, what of past months came in, and what that says of the next weeks.

Figures to look at: they decide nothing and are no money of the books. Ages are in local days from
the due date itself, as late charges are; whether an invoice is late at all is ladder rule 1.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

from billing.calendar import ONE_DAY, Calendar
from billing.ladder import overdue_from
from billing.money import half_up
from billing.policy import Policy

RECOVERY_DAYS: Final = (0, 15, 30, 60, 90)
"""Days after the due date by which a cohort is told."""
EARLIEST: Final = -30
"""Days from the due date; what is paid earlier than that is taken as paid then."""
LATEST: Final = 120
"""Days from the due date; what is unpaid for longer is not expected any more."""
PARTS: Final = 1_000_000
"""Of a cent: what expected cash is reckoned in, so that only its sum is rounded."""
WHOLE: Final = 10_000
"""Basis points of all."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """An age: from `least_days` to `most_days` past the due date, both included; None: no end."""

    name: str
    least_days: int
    most_days: int | None

    def due_between(self, today: date) -> tuple[date | None, date]:
        """First (None: any) and last due date of the invoices that have this age on `today`."""
        first_on = None if self.most_days is None else today - timedelta(days=self.most_days)
        return first_on, today - timedelta(days=self.least_days)


BUCKETS: Final = (
    Bucket("0-15", 0, 15),
    Bucket("16-30", 16, 30),
    Bucket("31-60", 31, 60),
    Bucket("61-90", 61, 90),
    Bucket("over-90", 91, None),
)


def days_late(due_on: date, today: date) -> int:
    """Local days from the due date to `today`."""
    return (today - due_on).days


def bucket_of(due_on: date, today: date) -> Bucket:
    """The bucket of what was due on `due_on`.

    Raises:
        ValueError: it is not due yet.
    """
    days = days_late(due_on, today)
    for bucket in BUCKETS:
        if days >= bucket.least_days and (bucket.most_days is None or days <= bucket.most_days):
            return bucket
    raise ValueError(f"{due_on} has not passed on {today}")


def late_until(policy: Policy, calendar: Calendar, today: date) -> date:
    """The last due date whose unpaid invoices are overdue on `today` (ladder rule 1).

    What was due earlier is overdue too: no later due date is overdue sooner.
    """
    due_on = today - ONE_DAY
    while overdue_from(due_on, policy, calendar) > today:
        due_on -= ONE_DAY
    return due_on


# --- what of past months came in ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recovered:
    """Principal paid until `days` after its due date.

    `paid_cents` and `basis_points` of what was due are None while not all of the cohort is so old.
    """

    days: int
    paid_cents: int | None
    basis_points: int | None


@dataclass(frozen=True, slots=True)
class Cohort:
    """The invoices due in a month, by its first day. Principal, less discounts that were earned."""

    month: date
    due_cents: int
    recovered: tuple[Recovered, ...]


@dataclass(frozen=True, slots=True)
class History:
    """What fell due and what was paid of it, each in cents of principal.

    Attributes:
        due_cents: by due date.
        paid_cents: by due date and local day of payment; below zero where more went back.
    """

    due_cents: Mapping[date, int]
    paid_cents: Mapping[tuple[date, date], int]


def month_of(day: date) -> date:
    """The first day of its month."""
    return day.replace(day=1)


def cohorts(history: History, today: date) -> tuple[Cohort, ...]:
    """What was paid of each month's invoices, and how soon; the earliest month first."""
    due: dict[date, int] = {}
    last_due_on: dict[date, date] = {}
    for due_on, cents in history.due_cents.items():
        month = month_of(due_on)
        due[month] = due.get(month, 0) + cents
        last_due_on[month] = max(due_on, last_due_on.get(month, due_on))
    paid: dict[tuple[date, int], int] = {}
    for (due_on, paid_on), cents in history.paid_cents.items():
        for days in RECOVERY_DAYS:
            if days_late(due_on, paid_on) <= days:
                key = (month_of(due_on), days)
                paid[key] = paid.get(key, 0) + cents
    return tuple(
        Cohort(
            month,
            due[month],
            tuple(
                _recovered(days, paid.get((month, days), 0), due[month])
                if last_due_on[month] + timedelta(days=days) < today
                else Recovered(days, None, None)
                for days in RECOVERY_DAYS
            ),
        )
        for month in sorted(due)
    )


def _recovered(days: int, paid_cents: int, due_cents: int) -> Recovered:
    share = half_up(Fraction(paid_cents * WHOLE, due_cents)) if due_cents > 0 else None
    return Recovered(days, paid_cents, share)


# --- days sales outstanding -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outstanding:
    """Days of sales that customers owe, in tenths of a day.

    Attributes:
        all_tenths: of everything that is unpaid (DSO).
        not_late_tenths: of what is not late (best possible DSO).
        late_tenths: of what is late (average days delinquent); the two make up the first.
    """

    all_tenths: int
    not_late_tenths: int
    late_tenths: int


def outstanding(
    unpaid_cents: int, late_cents: int, due_cents: int, days: int
) -> Outstanding | None:
    """Unpaid principal over a day's sales: what fell due in the last `days`, over `days`.

    None where nothing fell due in them.
    """
    if due_cents <= 0:
        return None
    whole = half_up(Fraction(unpaid_cents * days * 10, due_cents))
    late = half_up(Fraction(late_cents * days * 10, due_cents))
    return Outstanding(whole, whole - late, late)


# --- cash that is expected ------------------------------------------------------------------------


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
