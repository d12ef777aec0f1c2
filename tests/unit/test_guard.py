"""What the guards let through, line by line."""

from dataclasses import replace
from datetime import timedelta

import pytest

from billing.guard import (
    Flaw,
    Limits,
    RefusedPlan,
    Sight,
    bars,
    blindness,
    flaws,
    held_by,
    plan_flaws,
    sweep_max,
    to_answer,
    window_max,
)
from billing.guard import knows_the_day as knows
from billing.ladder import Bar
from tests.support.accounts import at

NOW = at("2026-09-21 08:00")
LIMITS = Limits()
CLEAR = Sight(
    now=NOW,
    heard_at={"pix": NOW - timedelta(minutes=5)},
    seen_at=NOW - timedelta(seconds=30),
    clocks_apart=timedelta(0),
    primary=True,
    active=20_000,
    cuts_in_window=0,
    plan_waits=False,
)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("active", "sweep", "window"),
    [
        (0, 20, 50),
        (1_000, 20, 50),
        (1_050, 21, 52),
        (20_000, 400, 1_000),
        (100_000, 2_000, 5_000),
    ],
)
def test_two_percent_a_sweep_and_five_a_day(active: int, sweep: int, window: int) -> None:
    assert (sweep_max(active, LIMITS), window_max(active, LIMITS)) == (sweep, window)


@pytest.mark.parametrize(
    ("cuts", "changed", "expected"),
    [
        (0, {"plan_waits": True, "primary": False}, ()),
        (400, {}, ()),
        (401, {}, (Flaw.TOO_MANY,)),
        (20, {"active": 3}, ()),
        (21, {"active": 3}, (Flaw.TOO_MANY,)),
        (400, {"cuts_in_window": 600}, ()),
        (400, {"cuts_in_window": 601}, (Flaw.TOO_MANY_TODAY,)),
        (1, {"plan_waits": True}, (Flaw.PLAN_WAITS,)),
        (1, {"heard_at": {}}, ()),
        (1, {"heard_at": {"pix": NOW - HOUR}}, ()),
        (1, {"heard_at": {"pix": NOW - HOUR - SECOND}}, (Flaw.STALE_FEED,)),
        (1, {"heard_at": {"pix": NOW, "boleto": NOW - 72 * HOUR}}, (Flaw.STALE_FEED,)),
        # News of a time to come was heard by a wrong clock.
        (1, {"heard_at": {"pix": NOW + timedelta(minutes=2)}}, ()),
        (1, {"heard_at": {"pix": NOW + timedelta(days=40)}}, (Flaw.STALE_FEED,)),
        (1, {"seen_at": None}, ()),
        (1, {"seen_at": NOW + timedelta(minutes=2)}, ()),
        (1, {"seen_at": NOW + timedelta(minutes=2) + SECOND}, (Flaw.CLOCK_BACK,)),
        (1, {"seen_at": NOW - 48 * HOUR}, ()),
        (1, {"seen_at": NOW - timedelta(days=40)}, (Flaw.CLOCK_AHEAD,)),
        (1, {"clocks_apart": timedelta(minutes=-3)}, (Flaw.CLOCKS_APART,)),
        (1, {"primary": False}, (Flaw.NOT_PRIMARY,)),
        (
            500,
            {"heard_at": {"pix": NOW - 3 * 24 * HOUR}, "primary": False},
            (Flaw.TOO_MANY, Flaw.STALE_FEED, Flaw.NOT_PRIMARY),
        ),
    ],
)
def test_why_a_plan_is_refused(
    cuts: int, changed: dict[str, object], expected: tuple[Flaw, ...]
) -> None:
    assert flaws(cuts, replace(CLEAR, **changed), LIMITS) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "expected", "released"),
    [
        ({}, (), ()),
        ({"switched_off": True}, (Bar.KILL_SWITCH,), (Bar.KILL_SWITCH,)),
        ({"heard_at": {"pix": NOW - 2 * HOUR}}, (Bar.STALE_FEED,), (Bar.STALE_FEED,)),
        ({"seen_at": NOW - timedelta(days=40)}, (Bar.GUARD,), (Bar.GUARD,)),
        ({"cuts_in_window": 999}, (), ()),
        ({"cuts_in_window": 1_000}, (Bar.GUARD,), ()),
        ({"plan_waits": True}, (Bar.GUARD,), ()),
    ],
)
def test_what_stands_against_a_single_cut(
    changed: dict[str, object], expected: tuple[Bar, ...], released: tuple[Bar, ...]
) -> None:
    sight = replace(CLEAR, **changed)  # type: ignore[arg-type]
    assert bars(sight, LIMITS) == expected
    assert bars(sight, LIMITS, released=True) == released


@pytest.mark.parametrize(
    ("made", "expires", "over"),
    [
        (timedelta(0), HOUR, False),
        (-HOUR, SECOND, False),
        (-HOUR, timedelta(0), True),
        # By a clock that was ahead, and was put right.
        (timedelta(days=40), timedelta(days=40) + HOUR, True),
    ],
)
def test_until_when_a_plan_can_be_released(made: timedelta, expires: timedelta, over: bool) -> None:
    plan = RefusedPlan(1, NOW + made, NOW + expires, frozenset({Flaw.TOO_MANY}))
    assert plan.is_over(NOW) is over


@pytest.mark.parametrize(
    ("found", "lacked_sight", "bar", "knows_the_day"),
    [
        ((Flaw.STALE_FEED,), True, Bar.STALE_FEED, True),
        ((Flaw.STALE_FEED, Flaw.CLOCK_AHEAD), True, Bar.GUARD, False),
        ((Flaw.CLOCK_BACK,), True, Bar.GUARD, False),
        ((Flaw.CLOCKS_APART,), True, Bar.GUARD, False),
        ((Flaw.NOT_PRIMARY,), True, Bar.GUARD, True),
        ((Flaw.TOO_MANY, Flaw.STALE_FEED), False, Bar.GUARD, True),
        ((Flaw.PLAN_WAITS,), False, Bar.GUARD, True),
    ],
)
def test_what_the_flaws_of_a_plan_mean(
    found: tuple[Flaw, ...], lacked_sight: bool, bar: Bar, knows_the_day: bool
) -> None:
    assert RefusedPlan(1, NOW, NOW + HOUR, frozenset(found)).lacked_sight() is lacked_sight
    assert (held_by(found), knows(found)) == (bar, knows_the_day)


@pytest.mark.parametrize(
    ("cuts", "waits", "found", "blind", "expected"),
    [
        (0, 0, (), (), []),
        (3, 0, (), (), []),
        (3, 0, (Flaw.TOO_MANY,), (), [Flaw.TOO_MANY]),
        # Who does not know the day asks for it, once.
        (0, 0, (), (Flaw.STALE_FEED, Flaw.CLOCK_AHEAD), [Flaw.CLOCK_AHEAD]),
        (0, 1, (), (Flaw.CLOCK_AHEAD,), []),
        (0, 0, (), (Flaw.STALE_FEED, Flaw.CLOCKS_APART), []),
    ],
)
def test_what_people_are_asked(
    cuts: int,
    waits: int,
    found: tuple[Flaw, ...],
    blind: tuple[Flaw, ...],
    expected: list[Flaw],
) -> None:
    assert to_answer(cuts, waits, found, blind) == expected


def test_cuts_that_wait_their_turn_count_as_made() -> None:
    assert plan_flaws(400, 600, CLEAR, LIMITS) == ()
    assert plan_flaws(400, 601, CLEAR, LIMITS) == (Flaw.TOO_MANY_TODAY,)


def test_a_single_cut_by_new_rules_refuses_a_plan() -> None:
    assert plan_flaws(9, 0, CLEAR, LIMITS, hasty=1) == (Flaw.NEW_RULES,)


def test_a_provider_that_was_never_heard_of_blinds_nobody() -> None:
    assert blindness(replace(CLEAR, heard_at={}), LIMITS) == ()
