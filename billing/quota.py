"""Traffic quotas: the cycle that a day falls in, and whether what it used is all that it had.

A quota is a rate and not a level: nobody owes anything, so no notice is needed and no step entered.
No I/O, no clock.
"""

import calendar
from dataclasses import dataclass
from datetime import date

from billing.calendar import ONE_DAY

RESET_DAYS = range(1, 32)
DECEMBER = 12


@dataclass(frozen=True, slots=True)
class Cycle:
    """Local days from `starts_on` until before `ends_on`, on which the quota is whole again."""

    starts_on: date
    ends_on: date


@dataclass(frozen=True, slots=True)
class Meter:
    """One contract's quota and what its cycle used of it, in octets of both directions together."""

    quota_octets: int
    used_octets: int
    cycle: Cycle

    def __post_init__(self) -> None:
        if self.quota_octets <= 0 or self.used_octets < 0:
            raise ValueError(f"a quota is more than 0 octets and use is no less: {self}")


def cycle_of(day: date, reset_day: int) -> Cycle:
    """The cycle that `day` falls in.

    It starts on `reset_day` (1 to 31, else ValueError) of each month, in a shorter month on its
    last day.

    >>> cycle_of(date(2027, 3, 30), 31)
    Cycle(starts_on=datetime.date(2027, 2, 28), ends_on=datetime.date(2027, 3, 31))
    """
    if reset_day not in RESET_DAYS:
        raise ValueError(f"a reset day is one of 1 to 31, not {reset_day}")
    here = _reset_in(day.year, day.month, reset_day)
    if day < here:
        before = day.replace(day=1) - ONE_DAY
        return Cycle(_reset_in(before.year, before.month, reset_day), here)
    year, month = (day.year + 1, 1) if day.month == DECEMBER else (day.year, day.month + 1)
    return Cycle(here, _reset_in(year, month, reset_day))


def spent_until(meter: Meter | None, today: date) -> date | None:
    """The day on which a used up quota is whole again; None: there is none, or some is left.

    A meter read before midnight says nothing of a cycle that began since: hence `today`.
    """
    if meter is None or meter.used_octets < meter.quota_octets or today >= meter.cycle.ends_on:
        return None
    return meter.cycle.ends_on


def _reset_in(year: int, month: int, reset_day: int) -> date:
    return date(year, month, min(reset_day, calendar.monthrange(year, month)[1]))
