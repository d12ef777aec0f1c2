"""Which days are not charged: of debt by the decisions, of pauses by themselves (money rule 8)."""

from dataclasses import replace

import pytest

from billing.access import Level
from billing.pause import Pause
from billing.suspended_days import Decided, suspensions
from tests.support.accounts import ZONE, at, day

TODAY = day("2026-11-30")
PAUSE = Pause(1, 1, at("2026-10-01 10:00"), "ana", day("2026-10-05"), day("2026-11-13"))
Told = tuple[str, str]
Span = tuple[str, str, str]


def spans(told: list[Told], *pauses: Pause) -> list[Span]:
    decisions = [Decided(Level(level), at(instant)) for instant, level in told]
    return [
        (f"{span.from_on:%m-%d}", f"{span.until_on:%m-%d}", span.level.value)
        for span in suspensions(decisions, pauses, TODAY, ZONE)
    ]


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([], []),
        # Cut and restored within a day: its first instant was at full level.
        ([("2026-11-24 09:00", "walled"), ("2026-11-24 11:00", "full")], []),
        (
            [
                ("2026-11-24 09:00", "walled"),
                ("2026-11-27 00:00", "full"),
                ("2026-11-28 15:00", "blocked"),
            ],
            [("11-25", "11-27", "walled"), ("11-29", "12-01", "blocked")],
        ),
        ([("2026-11-30 09:00", "walled")], []),
        (
            [("2026-11-10 09:00", "reduced"), ("2026-11-20 09:00", "walled")],
            [("11-11", "11-21", "reduced"), ("11-21", "12-01", "walled")],
        ),
    ],
)
def test_days_of_debt_are_those_that_began_so(told: list[Told], found: list[Span]) -> None:
    assert spans(told) == found


@pytest.mark.parametrize(
    "told",
    [
        [],
        [("2026-10-05 00:00", "blocked"), ("2026-11-14 00:00", "full")],
        # Looked at some minutes, or two days, after midnight.
        [("2026-10-05 00:07", "blocked"), ("2026-11-14 00:07", "full")],
        [("2026-10-07 09:00", "blocked"), ("2026-11-16 09:00", "full")],
        # A quota that changes on the way decides anew.
        [
            ("2026-10-05 00:07", "blocked"),
            ("2026-10-20 09:00", "blocked"),
            ("2026-11-14 00:07", "full"),
        ],
        # Not looked at since.
        [("2026-10-05 00:07", "blocked")],
    ],
)
def test_the_days_of_a_pause_are_its_own_whenever_it_was_looked_at(told: list[Told]) -> None:
    assert spans(told, PAUSE) == [("10-05", "11-14", "blocked")]


def test_an_end_asked_for_ends_them_and_one_taken_back_has_none() -> None:
    ended = replace(PAUSE, ended_at=at("2026-10-20 15:00"))
    told = [("2026-10-05 00:00", "blocked"), ("2026-10-20 15:00", "full")]
    assert spans(told, ended) == [("10-05", "10-21", "blocked")]
    assert spans([], replace(PAUSE, ended_at=at("2026-10-03 15:00"))) == []


def test_debt_before_and_after_a_pause_and_no_day_twice() -> None:
    told = [
        ("2026-10-03 09:00", "walled"),
        ("2026-10-05 00:07", "blocked"),
        ("2026-11-14 00:07", "walled"),
        ("2026-11-20 12:00", "full"),
    ]
    assert spans(told, PAUSE) == [
        ("10-04", "10-05", "walled"),
        ("10-05", "11-14", "blocked"),
        ("11-14", "11-21", "walled"),
    ]


def test_debt_that_nobody_looked_at_during_a_pause() -> None:
    told = [("2026-10-03 09:00", "walled"), ("2026-11-20 12:00", "full")]
    assert spans(told, PAUSE) == [
        ("10-04", "10-05", "walled"),
        ("10-05", "11-14", "blocked"),
        ("11-14", "11-21", "walled"),
    ]
