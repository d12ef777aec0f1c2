"""The cycles of a contract: from its due day in one month to the day before that of the next.

Source: money rules 1 and 4. Days are local dates.
"""

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from billing.calendar import ONE_DAY

DUE_DAYS = range(1, 32)
DECEMBER = 12


class Mode(StrEnum):
    """What the invoice due on a day pays for: the cycle that ends before it, or the one from it."""

    ARREARS = "arrears"
    ADVANCE = "advance"


@dataclass(frozen=True, slots=True)
class Cycle:
    """Local days from `starts_on` until before `ends_on`.

    `full_days` is what a price is for: the cycle's own length or, of the bridging cycle after a
    change of the due day, the length that the old cycle would have had (rule 4).
    """

    starts_on: date
    ends_on: date
    full_days: int


@dataclass(frozen=True, slots=True)
class DueDay:
    """The due day (1 to 31) in force from `from_on`, which is a due date of the one before it."""

    from_on: date
    day: int

    def __post_init__(self) -> None:
        if self.day not in DUE_DAYS:
            raise ValueError(f"a due day is one of 1 to 31, not {self.day}")


def due_in(year: int, month: int, due_day: int) -> date:
    """The due date of a month; a day that it lacks is its last.

    >>> due_in(2027, 2, 31)
    datetime.date(2027, 2, 28)
    """
    return date(year, month, min(due_day, calendar.monthrange(year, month)[1]))


def due_after(day: date, due_day: int) -> date:
    """The first due date after `day`."""
    here = due_in(day.year, day.month, due_day)
    if here > day:
        return here
    year, month = (day.year + 1, 1) if day.month == DECEMBER else (day.year, day.month + 1)
    return due_in(year, month, due_day)


def due_on_or_before(day: date, due_day: int) -> date:
    """The last due date that is not after `day`."""
    here = due_in(day.year, day.month, due_day)
    if here <= day:
        return here
    before = day.replace(day=1) - ONE_DAY
    return due_in(before.year, before.month, due_day)


def cycle_of(day: date, due_days: tuple[DueDay, ...]) -> Cycle:
    """The cycle that `day` falls in.

    Args:
        day: any local date.
        due_days: those of the contract, oldest first; the first holds for all days before it too.
    """
    place = len(due_days) - 1
    while place > 0 and due_days[place].from_on > day:
        place -= 1
    now = due_days[place]
    # Nothing is to be bridged where the new due day falls on the end of the old cycle.
    if place > 0 and due_on_or_before(now.from_on, now.day) != now.from_on:
        ends_on = due_after(now.from_on, now.day)
        if day < ends_on:
            old_length = due_after(now.from_on, due_days[place - 1].day) - now.from_on
            return Cycle(now.from_on, ends_on, old_length.days)
    starts_on = due_on_or_before(day, now.day)
    ends_on = due_after(starts_on, now.day)
    return Cycle(starts_on, ends_on, (ends_on - starts_on).days)


def next_due(day: date, due_days: tuple[DueDay, ...]) -> date:
    """The first due date after `day`."""
    return cycle_of(day, due_days).ends_on


def change_due_day(
    due_days: tuple[DueDay, ...], day: int, billed_until: date
) -> tuple[DueDay, ...]:
    """The due day changed at the end of the running cycle, with one bridging cycle (rule 4).

    Args:
        due_days: as they are.
        day: the new due day, 1 to 31.
        billed_until: the first day that may still be billed otherwise; a change that was to come
            later than that is replaced.

    Raises:
        ValueError: no such day of month, or it is the due day already.
    """
    kept = tuple(item for item in due_days if item.from_on <= billed_until)
    kept = kept or due_days[:1]
    if kept[-1].day == day:
        if len(kept) < len(due_days):
            return kept
        raise ValueError(f"the due day is {day} already; choose another")
    running = cycle_of(billed_until, kept)
    from_on = billed_until if running.starts_on == billed_until else running.ends_on
    if kept[-1].from_on == from_on and len(kept) > 1:
        # The bridge that was to begin on this day has not begun: another takes its place.
        kept = kept[:-1]
        if kept[-1].day == day:
            return kept
    return (*kept, DueDay(from_on, day))


def next_due_changed(due_on: date, before: tuple[DueDay, ...], after: tuple[DueDay, ...]) -> date:
    """The next due date of a contract in arrears, once its due days are others.

    Args:
        due_on: the next due date so far. What was due before it is done.
        before: the due days so far.
        after: what `change_due_day` made of them.

    >>> before = (DueDay(date(2026, 8, 10), 10), DueDay(date(2027, 3, 10), 25))
    >>> next_due_changed(date(2027, 3, 25), before, before[:1])
    datetime.date(2027, 4, 10)
    """
    if due_on <= after[-1].from_on:
        return due_on
    # Without the cycle's start a bridge that is taken back would lead to the first due date of all.
    start = cycle_of(due_on - ONE_DAY, before).starts_on
    return cycle_of(max(after[-1].from_on, start), after).ends_on


def as_many_on(
    due_on: date,
    was: date,
    before: tuple[DueDay, ...],
    now: date,
    after: tuple[DueDay, ...],
) -> date:
    """What waited for the k-th invoice from now waits for the k-th one under other due days too.

    Args:
        due_on: the first due date that it waited for.
        was: the next due date so far, by the due days `before`.
        before: the due days so far.
        now: the next due date by those `after`.
        after: the due days as they are.
    """
    while was < due_on:
        was, now = next_due(was, before), next_due(now, after)
    return now


def issue_on(due_on: date, days_before: int) -> date:
    """The day on which the invoice of a due date is issued (rule 1)."""
    return due_on - timedelta(days=days_before)
