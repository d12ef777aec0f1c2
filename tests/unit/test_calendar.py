from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from billing.calendar import (
    add_bank_days,
    brazil,
    day_start,
    is_bank_day,
    known_from,
    local_instant,
    next_bank_day,
    next_cut,
)
from billing.place import Place
from tests.support.accounts import CALENDAR, ZONE, at, day, policy


@pytest.mark.parametrize(
    ("text", "bank", "holiday"),
    [
        ("2026-02-16", False, False),  # Carnival Monday: banks only
        ("2026-02-17", False, False),
        ("2026-02-18", True, False),  # Ash Wednesday
        ("2026-04-03", False, True),  # Good Friday
        ("2026-06-04", False, False),  # Corpus Christi: banks only
        ("2026-09-07", False, True),
        ("2026-11-20", False, True),  # national since law 14.759/2023
        ("2026-12-24", True, False),
        ("2026-12-31", True, False),
        ("2026-09-05", False, False),  # a Saturday
        ("2024-02-12", False, False),  # Carnival of another year
        ("2023-11-20", True, False),  # before the law
    ],
)
def test_banks_and_holidays_of_brazil(text: str, bank: bool, holiday: bool) -> None:
    assert is_bank_day(CALENDAR, day(text)) is bank
    assert (day(text) in CALENDAR.holidays) is holiday


def test_a_state_adds_holidays_and_closes_no_bank() -> None:
    paulista = brazil([2026], "SP")
    assert paulista.holidays - brazil([2026]).holidays == {date(2026, 7, 9)}
    assert paulista.bank_closed == brazil([2026]).bank_closed


def test_an_unknown_state_is_refused() -> None:
    with pytest.raises(ValueError, match="no such state: 'XX'; use one of AC, AL"):
        brazil([2026], "XX")


@pytest.mark.parametrize(
    ("start", "count", "end"),
    [
        ("2026-09-02", 1, "2026-09-03"),
        ("2026-09-05", 1, "2026-09-08"),  # over a weekend and 7 September
        ("2026-09-05", 0, "2026-09-05"),
        ("2026-12-31", 1, "2027-01-04"),  # over the year
        ("2026-02-13", 2, "2026-02-19"),  # over Carnival
    ],
)
def test_bank_days_are_added(start: str, count: int, end: str) -> None:
    assert add_bank_days(CALENDAR, day(start), count) == day(end)


def test_the_next_bank_day_may_be_the_day_itself() -> None:
    assert next_bank_day(CALENDAR, day("2026-09-04")) == day("2026-09-04")
    assert next_bank_day(CALENDAR, day("2026-09-05")) == day("2026-09-08")


@pytest.mark.parametrize(
    ("instant", "allowed"),
    [
        ("2026-09-21 07:59", "2026-09-21 08:00"),
        ("2026-09-21 08:00", "2026-09-21 08:00"),
        ("2026-09-21 15:59", "2026-09-21 15:59"),
        ("2026-09-21 16:00", "2026-09-22 08:00"),
        ("2026-09-17 16:00", "2026-09-21 08:00"),  # Thursday evening: Friday is refused
        ("2026-09-18 10:00", "2026-09-21 08:00"),  # Friday
        ("2026-09-19 10:00", "2026-09-21 08:00"),  # Saturday
        ("2026-09-07 10:00", "2026-09-08 08:00"),  # a holiday on Monday
        ("2026-10-11 10:00", "2026-10-13 08:00"),  # Sunday, then a holiday
        ("2026-04-20 10:00", "2026-04-22 08:00"),  # Monday, the eve of a holiday
        ("2026-11-19 10:00", "2026-11-23 08:00"),  # eve, holiday on Friday, weekend
        ("2026-12-31 10:00", "2027-01-04 08:00"),  # eve of New Year, a Friday
        ("2026-02-16 10:00", "2026-02-16 10:00"),  # Carnival is no national holiday
    ],
)
def test_when_a_cut_may_start(instant: str, allowed: str) -> None:
    assert next_cut(CALENDAR, policy(), at(instant)) == at(allowed)


def test_a_policy_may_allow_any_day_but_not_any_hour() -> None:
    rules = policy(cut_any_day=True)
    assert next_cut(CALENDAR, rules, at("2026-09-19 10:00")) == at("2026-09-19 10:00")
    assert next_cut(CALENDAR, rules, at("2026-09-18 16:30")) == at("2026-09-19 08:00")


def test_a_state_holiday_holds_cuts_back() -> None:
    paulista = brazil([2026], "SP")
    assert next_cut(paulista, policy(), at("2026-07-08 10:00")) == at("2026-07-13 08:00")


def test_a_day_begins_at_its_first_existing_instant() -> None:
    # São Paulo put its clocks forward at midnight: 2017-10-15 began at 01:00.
    assert day_start(day("2017-10-15"), ZONE).isoformat() == "2017-10-15T01:00:00-02:00"
    assert day_start(day("2017-10-16"), ZONE).isoformat() == "2017-10-16T00:00:00-02:00"
    # And back: the last hour of 2018-02-17 came twice, the day after began once.
    before = day_start(day("2018-02-18"), ZONE)
    assert (before.astimezone(UTC) - timedelta(seconds=1)).astimezone(ZONE).date() == day(
        "2018-02-17"
    )
    # Havana repeats the hour after midnight: the first of the two is the start.
    havana = ZoneInfo("America/Havana")
    assert day_start(date(2026, 11, 1), havana).astimezone(UTC).hour == 4


def test_hours_that_the_clock_skips_allow_no_cut() -> None:
    night = policy(cut_any_day=True, cut_from="00:00", cut_until="01:00")
    skipped = next_cut(CALENDAR, night, at("2017-10-14 12:00"))
    assert skipped == local_instant(day("2017-10-16"), time(), ZONE)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="carries its zone"):
        next_cut(CALENDAR, policy(), datetime(2026, 9, 21, 10))  # noqa: DTZ001 -- the case itself


def test_a_calendar_is_known_from_an_earlier_year_on_for_whoever_judges_again() -> None:
    place = Place("SP", "3548500")
    late = replace(brazil(range(2027, 2043), "SP"), place=place)
    assert date(2026, 11, 2) not in late.holidays
    wider = known_from(late, 2026)
    assert {date(2026, 11, 2), date(2026, 7, 9), date(2023, 11, 2)} <= wider.holidays
    assert (wider.years, wider.place) == (tuple(range(2023, 2043)), place)
    assert late.holidays < wider.holidays
    assert known_from(wider, 2030) == wider
