"""Who is late and for how long, what of past months came in, how many days of sales are owed.

Figures to look at: they decide nothing and are no money of the books. Ages are in local days from
the due date itself, as late charges are; whether an invoice is late at all is ladder rule 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

from billing.calendar import ONE_DAY, Calendar
from billing.ladder import overdue_from
from billing.money import half_up
from billing.policy import Policy

RECOVERY_DAYS: Final = (0, 15, 30, 60, 90)
"""Days after the due date by which a cohort is told."""
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
