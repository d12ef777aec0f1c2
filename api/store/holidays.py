"""Sheets of local holidays in the database, and the calendars that are made with them.

A sheet is never changed: another one of the same place and year stands instead of it. A decision
keeps the number of the newest sheet of its time, so that it can be judged again.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.place_tables import holiday_sheets
from billing.calendar import Calendar
from billing.local_holidays import Calendars, LocalHoliday, Sheet
from billing.place import Place

_NEWEST = select(func.coalesce(func.max(holiday_sheets.c.id), 0))
# One writer at a time, from before the number is drawn to the commit: numbers are in that order.
_LOCK = text("select pg_advisory_xact_lock(hashtextextended('holiday_sheets', 0))")


class KnownCalendars:
    """The calendars of one database, made anew when a sheet was written."""

    def __init__(self) -> None:
        self._known: tuple[int, Calendar, Calendars] | None = None

    async def read(self, connection: AsyncConnection, own: Calendar) -> Calendars:
        """As they stand now; `own` is the provider's calendar without what was written down."""
        newest = int(await connection.scalar(_NEWEST) or 0)
        if self._known is None or self._known[0] != newest or self._known[1] is not own:
            sheets = await every_sheet(connection)
            # Another may have been written since: then the next reader finds a greater number.
            made = Calendars(own, [sheet for sheet in sheets if sheet.id <= newest])
            self._known = (newest, own, made)
        return self._known[2]


class PastCalendars:
    """The calendars by which decisions were made, whenever that was."""

    def __init__(self, own: Calendar, sheets: Sequence[Sheet]) -> None:
        self._own = own
        self._sheets = sheets
        self._made: dict[int, Calendars] = {}

    def of(self, situation: Mapping[str, Any], place: Place | None = None) -> Calendar:
        """The calendar of a stored situation.

        Where it names none: that of a place, as it is known now, or the provider's own.
        """
        named = situation.get("calendar")
        if named is not None:
            return self._by(named["sheet_id"])[Place(named["state"], named["city_code"])]
        if place is not None:
            return self._by(max((sheet.id for sheet in self._sheets), default=0))[place]
        return self._own

    def _by(self, newest: int) -> Calendars:
        if newest not in self._made:
            known = [sheet for sheet in self._sheets if sheet.id <= newest]
            self._made[newest] = Calendars(self._own, known)
        return self._made[newest]


def named(calendar: Calendar | None) -> dict[str, object]:
    """What a stored situation says of its calendar."""
    if calendar is None:
        return {}
    return {
        "calendar": {
            "state": calendar.place.state,
            "city_code": calendar.place.city_code,
            "sheet_id": calendar.sheet_id,
        }
    }


async def every_sheet(connection: AsyncConnection) -> list[Sheet]:
    """All that were ever written, oldest first."""
    rows = await connection.execute(select(holiday_sheets).order_by(holiday_sheets.c.id))
    return [_sheet(row) for row in rows]


async def sheet_of(
    connection: AsyncConnection, place: Place, year: int
) -> Mapping[Any, Any] | None:
    """The row of the sheet that holds for a place and a year, if one was written."""
    query = (
        select(holiday_sheets)
        .filter_by(state=place.state, city_code=place.city_code, year=year)
        .order_by(holiday_sheets.c.id.desc())
        .limit(1)
    )
    return (await connection.execute(query)).mappings().one_or_none()


async def write_sheet(
    connection: AsyncConnection,
    place: Place,
    year: int,
    days: Sequence[LocalHoliday],
    author: str,
    at: datetime,
) -> int:
    """Write what holds from now on; the sheet's number."""
    await connection.execute(_LOCK)
    values = {
        "state": place.state,
        "city_code": place.city_code,
        "year": year,
        "days": [{"on": day.on.isoformat(), "name": day.name} for day in days],
        "author": author,
        "written_at": at,
    }
    made = await connection.execute(
        insert(holiday_sheets).values(values).returning(holiday_sheets.c.id)
    )
    return int(made.scalar_one())


def read_days(stored: Sequence[Mapping[str, str]]) -> tuple[LocalHoliday, ...]:
    """The days of a stored sheet."""
    return tuple(LocalHoliday(date.fromisoformat(day["on"]), day["name"]) for day in stored)


def _sheet(row: Any) -> Sheet:
    return Sheet(row.id, Place(row.state, row.city_code), row.year, read_days(row.days))
