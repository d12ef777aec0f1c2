"""What the guards let through, line by line."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from billing.guard import (
    OF_THE_PLAN,
    RELEASABLE,
    Bound,
    Crowded,
    Flaw,
    Limits,
    RefusedPlan,
    Sight,
    bars,
    blindness,
    crowded,
    flaws,
    held_by,
    overtaken,
    plan_flaws,
    sweep_bound,
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
    ("active", "weekday_cuts", "most", "by"),
    [
        (20_000, (), 400, Bound.SHARE),
        (20_000, (50,) * 7, 400, Bound.SHARE),
        (20_000, (50,) * 8, 150, Bound.USUAL),
        # Median of 40 and 45; the ninth is too long ago.
        (20_000, (10, 20, 30, 40, 45, 60, 70, 5_000, 1), 127, Bound.USUAL),
        (20_000, (200,) * 8, 400, Bound.SHARE),
        (20_000, (6,) * 8, 20, Bound.FLOOR),
        (900, (200,) * 8, 20, Bound.FLOOR),
    ],
)
def test_three_times_the_weekdays_median_bounds_a_sweep(
    active: int, weekday_cuts: tuple[int, ...], most: int, by: Bound
) -> None:
    assert sweep_bound(active, LIMITS, weekday_cuts) == (most, by)
    sight = replace(CLEAR, active=active, weekday_cuts=weekday_cuts)
    assert flaws(most, sight, LIMITS) == ()
    assert Flaw.TOO_MANY in flaws(most + 1, sight, LIMITS)


@pytest.mark.parametrize(
    ("cuts_on", "contracts_on", "expected"),
    [
        ({}, {}, ()),
        # 3,000 contracts, 60 places: two percent of all may be one whole place.
        ({"pop-7": 50}, {"pop-7": 50}, (Crowded("pop-7", 50, 20, 50),)),
        ({"pop-7": 20}, {"pop-7": 20}, ()),
        (
            {"pop-7": 30, "pop-8": 30},
            {"pop-7": 300, "pop-8": 299},
            (Crowded("pop-8", 30, 29, 299),),
        ),
        # Where there is one NAS, two percent of all is the narrower bound.
        ({"pop-1": 400}, {"pop-1": 20_000}, ()),
        ({"gone": 21}, {}, (Crowded("gone", 21, 20, 21),)),
    ],
)
def test_ten_percent_of_a_nas(
    cuts_on: dict[str, int], contracts_on: dict[str, int], expected: tuple[Crowded, ...]
) -> None:
    assert crowded(cuts_on, contracts_on, LIMITS) == expected
    sight = replace(CLEAR, contracts_on=contracts_on)
    found = flaws(sum(cuts_on.values()), sight, LIMITS, cuts_on)
    assert found == ((Flaw.TOO_MANY_ON_NAS,) if expected else ())


def test_a_sweep_that_may_cut_half_of_all_may_cut_half_of_a_nas() -> None:
    half = replace(LIMITS, sweep_basis_points=5_000, sweep_floor=40)
    assert crowded({"a": 50, "b": 40}, {"a": 100, "b": 40}, half) == ()
    assert crowded({"a": 51}, {"a": 100}, half) == (Crowded("a", 51, 50, 100),)


def test_people_may_answer_for_a_plan_and_never_for_sight() -> None:
    assert OF_THE_PLAN < RELEASABLE
    assert {Flaw.STALE_FEED, Flaw.NOT_PRIMARY, Flaw.CLOCKS_APART, Flaw.BOOKS_DIFFER}.isdisjoint(
        RELEASABLE
    )


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
        (1, {"books_differ": True}, (Flaw.BOOKS_DIFFER,)),
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
        ({"books_differ": True}, (Bar.GUARD,), (Bar.GUARD,)),
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


def test_plans_never_wait_for_each_other() -> None:
    """A small plan that waits for a large one goes when the large one does, not an hour later."""

    def refused(number: int, *flaws: Flaw, made_at: datetime = NOW) -> RefusedPlan:
        return RefusedPlan(number, made_at, made_at + HOUR, frozenset(flaws))

    large, blind = refused(1, Flaw.TOO_MANY, Flaw.PLAN_WAITS), refused(2, Flaw.STALE_FEED)
    small = refused(3, Flaw.PLAN_WAITS, made_at=NOW + HOUR / 2)
    assert overtaken([large, blind, small], NOW + HOUR / 2) == (2,)
    # The large one is over: a sweep plans both anew.
    assert overtaken([large, blind, small], NOW + HOUR) == (3,)
    assert (large.stands(), blind.stands(), small.stands()) == (True, False, False)
