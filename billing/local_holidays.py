"""Holidays that a provider writes down, and the calendar of each place with them.

The country's and the states' come from the library; a city's are in no list, and neither are days
on which a provider does not work. Each sheet holds those of one place in one year; a later sheet of
the same place and year stands instead of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from billing.calendar import Calendar, brazil
from billing.place import Place


class HolidaysRefused(ValueError):
    """Not a list of one year's holidays; the text says which day is wrong and why."""


@dataclass(frozen=True, slots=True)
class LocalHoliday:
    """A local date without cuts, and what people call it."""

    on: date
    name: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """One place's local holidays in one year. An empty place is the whole country."""

    id: int
    place: Place
    year: int
    days: tuple[LocalHoliday, ...]


def check_days(year: int, days: Sequence[LocalHoliday]) -> tuple[LocalHoliday, ...]:
    """The days of one sheet, in order.

    Raises:
        HolidaysRefused: a day of another year, or one that is there twice.
    """
    seen: dict[date, str] = {}
    for day in days:
        if day.on.year != year:
            raise HolidaysRefused(
                f"{day.on} ({day.name}) is not in {year}; this is the calendar of another year, or"
                " the date is wrong"
            )
        if day.on in seen:
            raise HolidaysRefused(
                f"{day.on} is there twice, as {seen[day.on]!r} and as {day.name!r}; keep one"
            )
        seen[day.on] = day.name
    return tuple(sorted(days, key=lambda day: day.on))


class Calendars(dict[Place, Calendar]):
    """The calendar of every place, each made when it is asked for first.

    Banks keep one calendar everywhere: local holidays close none of them.
    """

    def __init__(self, own: Calendar, sheets: Iterable[Sheet]) -> None:
        """`own` says which years are known; `sheets` may have older ones of a place and year."""
        super().__init__()
        self._years = own.years
        latest: dict[tuple[Place, int], Sheet] = {}
        newest = 0
        for sheet in sorted(sheets, key=lambda sheet: sheet.id):
            latest[sheet.place, sheet.year] = sheet
            newest = sheet.id
        self._sheet_id = newest
        self._local: dict[Place, set[date]] = {}
        for sheet in latest.values():
            self._local.setdefault(sheet.place, set()).update(day.on for day in sheet.days)

    def __missing__(self, place: Place) -> Calendar:
        general = brazil(self._years, place.state)
        local = (self._local.get(part, set()) for part in place.within())
        made = replace(
            general,
            holidays=general.holidays.union(*local),
            place=place,
            sheet_id=self._sheet_id,
        )
        self[place] = made
        return made
