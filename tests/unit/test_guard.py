"""What the guards let through, line by line."""

from dataclasses import replace
from datetime import timedelta

import pytest

from billing.guard import (
    OF_THE_PLAN,
    RELEASABLE,
    Bound,
    Crowded,
    Flaw,
    Limits,
    Sight,
    bars,
    blindness,
    crowded,
    flaws,
    sweep_bound,
    sweep_max,
    window_max,
)
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


def test_a_provider_that_was_never_heard_of_blinds_nobody() -> None:
    assert blindness(replace(CLEAR, heard_at={}), LIMITS) == ()
