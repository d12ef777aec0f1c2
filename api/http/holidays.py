"""Holidays of the country, of states and of cities: which days no cut may start on, and before."""

from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from api import placing
from api.http import models
from api.http.fields import Day, Name
from api.http.ladder import AcceptLanguage, AskedLang, spoken
from api.http.problems import invalid, responses
from api.http.security import Caller, require
from api.operators import Permission
from api.sentences import Lang
from api.store import holidays
from api.store.uow import Uow
from billing.calendar import named_holidays
from billing.local_holidays import HolidaysRefused, LocalHoliday, check_days
from billing.place import COUNTRY, InvalidPlace, Place, parse_place

router = APIRouter(tags=["places"], responses=responses(401, 403, 422, 503))

State = Annotated[str | None, Query(max_length=12, description="Two letters, as SP")]
City = Annotated[str | None, Query(max_length=12, description="IBGE's seven digits, as 3550308")]
Year = Annotated[int, Query(ge=2000, le=2100)]


class NewHoliday(models.Body):
    on: Day
    name: Name


class NewHolidays(models.Body):
    """Every local holiday of the place in the year: it stands instead of what was written before.

    Days on which the provider does not work may be among them: no cut starts on them either.
    """

    model_config = models.example({"days": [{"on": "2027-01-25", "name": "Aniversário"}]})

    days: Annotated[list[NewHoliday], Field(max_length=366)]


class Holiday(BaseModel):
    """`source`: the country's and the states' are known; the others were written down here."""

    on: date
    name: str
    source: Literal["national", "state", "written"]


class HolidaysAnswer(BaseModel):
    """`days` are those written for this very place; `binding` is every holiday that binds it.

    `bank_closed` are the days besides Saturdays and Sundays on which banks settle nothing: one
    calendar for all places.
    """

    state: str | None
    city: str | None
    year: int
    days: list[NewHoliday]
    author: str | None
    written_at: datetime | None
    binding: list[Holiday]
    bank_closed: list[date]


class HolidaysWritten(HolidaysAnswer):
    contracts_to_review: int


@router.get(
    "/holidays",
    summary="Read a year's holidays of the country, a state or a city",
    description="Without state and city: the whole country.",
)
async def read_holidays(
    caller: Annotated[Caller, Depends(require(Permission.READ_POLICIES))],
    year: Year,
    state: State = None,
    city: City = None,
    lang: AskedLang = None,
    accepted: AcceptLanguage = "",
) -> HolidaysAnswer:
    place = _place(state, city)
    async with caller.uow() as uow:
        return await _shown(uow, place, year, lang or spoken(accepted))


@router.put(
    "/holidays",
    summary="Write a year's own holidays of the country, a state or a city",
    description="Cuts of the contracts there are judged by them from the next look on.",
)
async def write_holidays(
    body: NewHolidays,
    caller: Annotated[Caller, Depends(require(Permission.WRITE_POLICIES))],
    year: Year,
    state: State = None,
    city: City = None,
    lang: AskedLang = None,
    accepted: AcceptLanguage = "",
) -> HolidaysWritten:
    place = _place(state, city)
    try:
        days = check_days(year, [LocalHoliday(day.on, day.name) for day in body.days])
    except HolidaysRefused as error:
        raise invalid("days", str(error)) from error
    async with caller.uow() as uow:
        own = caller.house.calendar.place
        looked = await placing.put_holidays(uow, place, year, days, own)
        shown = await _shown(uow, place, year, lang or spoken(accepted))
    return HolidaysWritten(**shown.model_dump(), contracts_to_review=looked)


def _place(state: str | None, city: str | None) -> Place:
    try:
        return parse_place(state, city)
    except InvalidPlace as error:
        raise invalid("city" if city else "state", str(error)) from error


async def _shown(uow: Uow, place: Place, year: int, lang: Lang) -> HolidaysAnswer:
    known = named_holidays(year, place.state, "en_US" if lang == "en" else "pt_BR")
    binding = {
        day: Holiday(on=day, name=name, source="national" if national else "state")
        for day, (name, national) in known.items()
    }
    row = None
    for part in place.within():
        row = await holidays.sheet_of(uow.connection, part, year)
        for day in holidays.read_days(row["days"]) if row is not None else ():
            binding.setdefault(day.on, Holiday(on=day.on, name=day.name, source="written"))
    desk = await uow.desk()
    own = holidays.read_days(row["days"]) if row is not None else ()
    written_at = row["written_at"] if row is not None else None
    return HolidaysAnswer(
        state=place.state or None,
        city=place.city_code or None,
        year=year,
        days=[NewHoliday(on=day.on, name=day.name) for day in own],
        author=row["author"] if row is not None else None,
        written_at=written_at.astimezone(desk.now.tzinfo) if written_at is not None else None,
        binding=[binding[day] for day in sorted(binding)],
        bank_closed=sorted(day for day in desk.calendars[COUNTRY].bank_closed if day.year == year),
    )
