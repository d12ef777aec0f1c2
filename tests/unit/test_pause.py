from dataclasses import replace

import pytest

from billing.pause import Pause, may_pause, paused_days
from billing.refusal import Refused
from tests.support.accounts import ZONE, at, day


def pause(
    first: str = "2026-09-11", last: str = "2026-10-10", asked: str = "2026-09-10 10:00"
) -> Pause:
    return Pause(1, 1, at(asked), "ana", day(first), day(last))


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-09-10", "2026-10-09"),  # 30 days, from today
        ("2026-09-11", "2027-01-08"),  # 120 days
        ("2026-12-09", "2027-01-07"),  # as far ahead as may be
    ],
)
def test_thirty_to_a_hundred_and_twenty_days(first: str, last: str) -> None:
    may_pause(pause(first, last), [], [], ZONE)


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [
        ("2026-09-11", "2026-10-09", "from 30 to 120 days, not 29"),
        ("2026-09-11", "2027-01-09", "from 30 to 120 days, not 121"),
        ("2026-09-11", "2026-09-10", "from 30 to 120 days, not 0"),
        ("2026-09-09", "2026-10-10", "begins on a day from 2026-09-10 to 2026-12-09"),
        ("2026-12-10", "2027-01-10", "begins on a day from 2026-09-10 to 2026-12-09"),
    ],
)
def test_other_days_are_refused(first: str, last: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        may_pause(pause(first, last), [], [], ZONE)


def test_a_debtor_does_not_pause() -> None:
    with pytest.raises(Refused, match=r"has overdue invoices \(3, 7\)"):
        may_pause(pause(), [], [7, 3], ZONE)


def test_once_in_twelve_months() -> None:
    again = pause("2027-09-10", "2027-10-10", "2027-09-09 10:00")
    with pytest.raises(Refused, match="again from 2027-09-11"):
        may_pause(again, [pause()], [], ZONE)
    may_pause(replace(again, from_on=day("2027-09-11")), [pause()], [], ZONE)
    # One taken back before it began was none.
    may_pause(again, [replace(pause(), ended_at=at("2026-09-10 11:00"))], [], ZONE)


@pytest.mark.parametrize(
    ("made", "days"),
    [
        (pause(), 30),
        # Asked for today: its first instant still had the service.
        (pause("2026-09-10", "2026-10-09"), 29),
        # Ended in the morning of the tenth day: that day's first instant had none.
        (replace(pause(), ended_at=at("2026-09-20 08:00")), 10),
        (replace(pause(), ended_at=at("2026-09-20 00:00")), 9),
        (replace(pause(), ended_at=at("2026-09-10 12:00")), 0),
        (replace(pause(), ended_at=at("2026-12-01 12:00")), 30),
    ],
)
def test_days_that_are_not_charged(made: Pause, days: int) -> None:
    first, after = paused_days(made, ZONE)
    assert max((after - first).days, 0) == days


def test_the_days_are_those_from_the_first_to_the_last() -> None:
    assert paused_days(pause(), ZONE) == (day("2026-09-11"), day("2026-10-11"))


def test_a_day_without_a_midnight_is_a_day() -> None:
    # São Paulo's 2018-11-04 began at 01:00.
    made = pause("2018-11-01", "2018-11-30", "2018-10-31 10:00")
    assert paused_days(made, ZONE) == (day("2018-11-01"), day("2018-12-01"))
    made = pause("2018-11-04", "2018-12-03", "2018-10-31 10:00")
    assert paused_days(made, ZONE) == (day("2018-11-04"), day("2018-12-04"))
