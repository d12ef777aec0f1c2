"""Due dates and cycles (rules 1, 2 and 4), counted day by day."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cycle:
    """From `start` to the day before `end`; `of_days` is what a price is divided by."""

    start: date
    end: date
    of_days: int

    @property
    def last(self) -> date:
        return self.end - DAY

    def days(self) -> list[date]:
        return [self.start + number * DAY for number in range((self.end - self.start).days)]


def is_due(day: date, due_day: int) -> bool:
    """A due day that a month lacks is that month's last day."""
    last_of_month = (day + DAY).day == 1
    return day.day == due_day or (last_of_month and due_day > day.day)


def due_from(day: date, due_day: int) -> date:
    """The first due date on or after a day."""
    while not is_due(day, due_day):
        day += DAY
    return day


def cycle_at(day: date, due_day: int) -> Cycle:
    """The full cycle in which a day lies."""
    start = day
    while not is_due(start, due_day):
        start -= DAY
    end = due_from(day + DAY, due_day)
    return Cycle(start, end, (end - start).days)


def bridge(running: Cycle, old_day: int, new_day: int) -> Cycle | None:
    """Rule 4: from the end of the running cycle to the new due day, by the old cycle's length.

    None if the new due day falls on the end itself: there is nothing to bridge.
    """
    end = due_from(running.end, new_day)
    if end == running.end:
        return None
    return Cycle(running.end, end, cycle_at(running.end, old_day).of_days)


def cycles(
    activated_on: date, due_day: int, changes: Iterable[tuple[date, int]], until: date
) -> list[Cycle]:
    """Every full cycle that begins by `until`, with the bridges of (asked on, new day)."""
    asked, found = sorted(changes), [cycle_at(activated_on, due_day)]
    while found[-1].end <= until:
        running = found[-1]
        if asked and asked[0][0] < running.end:
            new_day = [day for on, day in asked if on < running.end][-1]
            asked = [(on, day) for on, day in asked if on >= running.end]
            between, due_day = bridge(running, due_day, new_day), new_day
            if between is not None:
                found.append(between)
                continue
        found.append(cycle_at(running.end, due_day))
    return found
