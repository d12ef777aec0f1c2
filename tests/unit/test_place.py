"""Where a customer is, which holidays bind there, and when a cut may start because of them."""

from datetime import date

import pytest
from pydantic import ValidationError

from billing.calendar import brazil, named_holidays, next_cut
from billing.local_holidays import Calendars, HolidaysRefused, LocalHoliday, Sheet, check_days
from billing.place import (
    COUNTRY,
    InvalidPlace,
    Place,
    parse_cep,
    parse_city_code,
    parse_place,
    parse_state,
)
from config.settings import Settings
from tests.support.accounts import at, day, policy

OWN = brazil(range(2024, 2030), "SP")
SAO_PAULO, SANTOS, RIO = Place("SP", "3550308"), Place("SP", "3548500"), Place("RJ", "3304557")


def sheet(number: int, place: Place, *days: str, year: int = 2026) -> Sheet:
    return Sheet(number, place, year, tuple(LocalHoliday(day(on), "x") for on in days))


@pytest.mark.parametrize(
    ("text", "cep"),
    [("01310-100", "01310100"), ("01310100", "01310100"), (" 88010000 ", "88010000")],
)
def test_a_cep_is_eight_digits(text: str, cep: str) -> None:
    assert parse_cep(text) == cep


@pytest.mark.parametrize("text", ["", "0131010", "013101000", "01310 100", "0131O100", "00000-000"])
def test_what_is_no_cep_is_refused(text: str) -> None:
    with pytest.raises(InvalidPlace, match="no CEP; it is eight digits, as 01310-100"):
        parse_cep(text)


@pytest.mark.parametrize(
    ("state", "city_code", "place"),
    [
        ("sp", None, Place("SP")),
        (None, "3550308", SAO_PAULO),
        ("SP", "3550308", SAO_PAULO),
        (None, None, COUNTRY),
        ("", "", COUNTRY),
    ],
)
def test_a_city_code_says_its_state(state: str | None, city_code: str | None, place: Place) -> None:
    assert parse_place(state, city_code) == place


@pytest.mark.parametrize(
    ("state", "city_code", "says"),
    [
        ("RJ", "3550308", "is of SP, not of RJ"),
        ("XX", None, "no such state: 'XX'; use one of AC, AL"),
        (None, "355030", "seven digits"),
        (None, "9950308", "no IBGE code"),
        (None, "٣٥٥٠٣٠٨", "no IBGE code"),
    ],
)
def test_places_that_do_not_exist_are_refused(
    state: str | None, city_code: str | None, says: str
) -> None:
    with pytest.raises(InvalidPlace, match=says):
        parse_place(state, city_code)


def test_states_and_codes_are_trimmed() -> None:
    assert (parse_state(" mg "), parse_city_code(" 3106200 ")) == ("MG", "3106200")


@pytest.mark.parametrize(
    ("year", "days", "says"),
    [
        (2027, ["2026-01-25"], "2026-01-25 .x. is not in 2027; this is the calendar of another"),
        (2026, ["2026-01-25", "2026-07-08", "2026-01-25"], "2026-01-25 is there twice"),
        (2026, ["2026-12-31", "2027-01-01"], "2027-01-01 .x. is not in 2026"),
    ],
)
def test_a_wrong_list_of_holidays_is_refused(year: int, days: list[str], says: str) -> None:
    with pytest.raises(HolidaysRefused, match=says):
        check_days(year, [LocalHoliday(day(on), "x") for on in days])


def test_a_list_of_holidays_is_kept_in_order() -> None:
    days = [LocalHoliday(day("2026-07-08"), "b"), LocalHoliday(day("2026-01-25"), "a")]
    assert [item.on.month for item in check_days(2026, days)] == [1, 7]


# 2026: 25 January is a Sunday, 8 July a Wednesday, 23 April a Thursday, 9 July a Thursday.
@pytest.mark.parametrize(
    ("place", "instant", "allowed"),
    [
        # The city's holiday on Wednesday 8 July: it, and its eve.
        (SANTOS, "2026-07-07 10:00", "2026-07-13 08:00"),  # eve, city, state on Thursday, Friday
        (SANTOS, "2026-07-06 10:00", "2026-07-06 10:00"),
        (SAO_PAULO, "2026-07-07 10:00", "2026-07-07 10:00"),  # its neighbour knows of none
        (SAO_PAULO, "2026-07-08 10:00", "2026-07-13 08:00"),  # the eve of the state's
        # The state holiday of another state binds nobody here.
        (RIO, "2026-07-08 10:00", "2026-07-08 10:00"),
        (RIO, "2026-04-22 10:00", "2026-04-27 08:00"),  # Saint George's eve, in Rio only
        (SAO_PAULO, "2026-04-22 10:00", "2026-04-22 10:00"),
        # Carnival Tuesday is a holiday in Rio alone; elsewhere a provider may write it down.
        (RIO, "2026-02-16 10:00", "2026-02-18 08:00"),
        (SAO_PAULO, "2026-02-16 10:00", "2026-02-16 10:00"),
        (SANTOS, "2026-02-16 10:00", "2026-02-18 08:00"),  # written for the city
        # A city's 1 March falls on the eve of nothing; its eve in a leap year is 29 February.
        (Place("MG", "3106200"), "2028-02-28 10:00", "2028-02-28 10:00"),
        (Place("MG", "3106200"), "2028-02-29 10:00", "2028-03-02 08:00"),
        (Place("MG", "3106200"), "2027-02-28 10:00", "2027-03-02 08:00"),  # a Sunday, then it
        # Over the year's end: 2 January of the city, on the sheet of the next year.
        (RIO, "2028-12-31 10:00", "2029-01-03 08:00"),  # a Sunday, New Year, the city's
        (SAO_PAULO, "2028-12-31 10:00", "2029-01-02 08:00"),
        # A day written for the whole country, and one for a state.
        (RIO, "2026-06-10 10:00", "2026-06-15 08:00"),  # eve of Thursday the 11th
        (SAO_PAULO, "2026-09-01 10:00", "2026-09-03 08:00"),  # eve of Wednesday the 2nd, then it
        (RIO, "2026-09-01 10:00", "2026-09-01 10:00"),
    ],
)
def test_when_a_cut_may_start_at_a_place(place: Place, instant: str, allowed: str) -> None:
    calendars = Calendars(
        OWN,
        [
            sheet(1, SANTOS, "2026-07-08", "2026-02-17"),
            sheet(2, COUNTRY, "2026-06-11"),
            sheet(3, Place("SP"), "2026-09-02"),
            sheet(4, Place("MG", "3106200"), "2028-03-01", year=2028),
            sheet(5, Place("MG", "3106200"), "2027-03-01", year=2027),
            sheet(6, RIO, "2029-01-02", year=2029),
        ],
    )
    assert next_cut(calendars[place], policy(), at(instant)) == at(allowed)


def test_a_later_sheet_stands_instead_of_the_one_before() -> None:
    first, second = sheet(1, SANTOS, "2026-07-08"), sheet(9, SANTOS, "2026-07-15")
    other_year = sheet(4, SANTOS, "2027-07-08", year=2027)
    held = Calendars(OWN, [second, other_year, first])[SANTOS]
    assert day("2026-07-08") not in held.holidays
    assert {day("2026-07-15"), day("2027-07-08")} <= held.holidays
    assert (held.place, held.sheet_id) == (SANTOS, 9)
    assert day("2026-07-15") not in Calendars(OWN, [second, first])[SAO_PAULO].holidays


def test_local_holidays_close_no_bank() -> None:
    calendars = Calendars(OWN, [sheet(1, COUNTRY, "2026-06-10"), sheet(2, SANTOS, "2026-07-08")])
    assert calendars[SANTOS].bank_closed == OWN.bank_closed == calendars[RIO].bank_closed


def test_the_provider_is_somewhere() -> None:
    assert Settings(state="sp", city_code="3550308").place == SAO_PAULO
    assert Settings(city_code="3304557").place == RIO
    assert Settings().place == COUNTRY
    for wrong, says in (
        ({"state": "RJ", "city_code": "3550308"}, "is of SP, not of RJ"),
        ({"state": "XX"}, "no such state"),
        ({"city_code": "355"}, "seven digits"),
    ):
        with pytest.raises(ValidationError, match=says):
            Settings(**wrong)  # type: ignore[arg-type]


def test_holidays_have_names_in_two_languages() -> None:
    rio = named_holidays(2026, "RJ", "pt_BR")
    assert rio[date(2026, 4, 23)] == ("São Jorge", False)
    assert rio[date(2026, 11, 20)][1] is True
    assert named_holidays(2026, "RJ", "en_US")[date(2026, 9, 7)] == ("Independence Day", True)
    assert date(2026, 4, 23) not in named_holidays(2026, "", "pt_BR")
