"""Laws of the guards: more to cut or less to see never lets more through."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from billing.guard import (
    Limits,
    Sight,
    bars,
    crowded,
    flaws,
    nas_max,
    sweep_bound,
    sweep_max,
    window_max,
)
from tests.support.accounts import at

NOW = at("2026-09-21 08:00")
LIMITS = Limits()
minutes = st.integers(-200_000, 200_000).map(lambda count: timedelta(minutes=count))

weekdays = st.lists(st.integers(1, 5_000), max_size=10).map(tuple)
by_nas = st.dictionaries(st.sampled_from(["bng-1", "bng-2", "bng-3"]), st.integers(0, 3_000))


@st.composite
def sights(draw: st.DrawFn) -> Sight:
    names = draw(st.sets(st.sampled_from(["pix", "boleto", "card"])))
    return Sight(
        now=NOW,
        heard_at={name: NOW - abs(draw(minutes)) for name in sorted(names)},
        seen_at=draw(st.none() | minutes.map(lambda ago: NOW - ago)),
        clocks_apart=draw(minutes),
        primary=draw(st.booleans()),
        active=draw(st.integers(0, 200_000)),
        cuts_in_window=draw(st.integers(0, 10_000)),
        plan_waits=draw(st.booleans()),
        switched_off=draw(st.booleans()),
        books_differ=draw(st.booleans()),
        weekday_cuts=draw(weekdays),
    )


@given(sights(), st.integers(0, 5_000), st.integers(0, 5_000))
def test_more_cuts_never_clear_a_plan(sight: Sight, cuts: int, more: int) -> None:
    assert set(flaws(cuts, sight, LIMITS)) <= set(flaws(cuts + more, sight, LIMITS))


@given(sights())
def test_no_cuts_have_no_flaws(sight: Sight) -> None:
    assert flaws(0, sight, LIMITS) == ()


@given(sights(), st.integers(1, 5_000))
def test_a_plan_that_passes_stays_in_its_bounds_and_sees(sight: Sight, cuts: int) -> None:
    if flaws(cuts, sight, LIMITS):
        return
    assert cuts <= sweep_max(sight.active, LIMITS, sight.weekday_cuts)
    assert cuts + sight.cuts_in_window <= window_max(sight.active, LIMITS)
    assert bars(replace(sight, switched_off=False), LIMITS) == ()


@given(sights(), st.sampled_from(["pix", "boleto"]), minutes)
def test_another_silent_provider_never_opens_a_guard(
    sight: Sight, name: str, ago: timedelta
) -> None:
    if name in sight.heard_at:
        return
    more = replace(sight, heard_at={**sight.heard_at, name: NOW - abs(ago)})
    assert set(bars(sight, LIMITS)) <= set(bars(more, LIMITS))


@given(sights())
def test_a_release_never_adds_a_bar(sight: Sight) -> None:
    assert set(bars(sight, LIMITS, released=True)) <= set(bars(sight, LIMITS))


@given(st.integers(0, 200_000), weekdays)
def test_the_weekday_only_narrows_and_never_below_the_floor(
    active: int, cuts: tuple[int, ...]
) -> None:
    most, _ = sweep_bound(active, LIMITS, cuts)
    assert LIMITS.sweep_floor <= most <= sweep_max(active, LIMITS)
    if len(cuts) < LIMITS.usual_of:
        assert most == sweep_max(active, LIMITS)
        return
    last = cuts[: LIMITS.usual_of]
    twice_the_median = sum(sorted(last)[3:5])
    narrow = min(active * 200 // 10_000, 3 * twice_the_median // 2)
    assert most == max(LIMITS.sweep_floor, narrow)
    assert sweep_max(active, LIMITS, tuple(sorted(last))) == most


@given(st.integers(0, 200_000), weekdays, st.integers(0, 9), st.integers(0, 500))
def test_a_bigger_past_never_lets_less_through(
    active: int, cuts: tuple[int, ...], place: int, more: int
) -> None:
    if place >= len(cuts):
        return
    bigger = (*cuts[:place], cuts[place] + more, *cuts[place + 1 :])
    assert sweep_max(active, LIMITS, cuts) <= sweep_max(active, LIMITS, bigger)


@given(sights(), by_nas, by_nas)
def test_a_plan_that_passes_stays_in_the_bounds_of_every_nas(
    sight: Sight, cuts_on: dict[str, int], contracts_on: dict[str, int]
) -> None:
    there = replace(sight, contracts_on=contracts_on)
    found = {one.nas for one in crowded(cuts_on, contracts_on, LIMITS)}
    for nas, cuts in cuts_on.items():
        most = nas_max(contracts_on.get(nas, cuts), LIMITS)
        assert (nas in found) is (cuts > most)
    total = sum(list(cuts_on.values()))
    if total and not flaws(total, there, LIMITS, cuts_on):
        assert not found
    # Knowing where the lines are never clears a plan.
    assert set(flaws(total, there, LIMITS)) <= set(flaws(total, there, LIMITS, cuts_on))
