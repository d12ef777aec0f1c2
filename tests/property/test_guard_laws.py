"""Laws of the guards: more to cut or less to see never lets more through."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from billing.guard import Limits, Sight, bars, flaws, sweep_max, window_max
from tests.support.accounts import at

NOW = at("2026-09-21 08:00")
LIMITS = Limits()
minutes = st.integers(-200_000, 200_000).map(lambda count: timedelta(minutes=count))


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
    assert cuts <= sweep_max(sight.active, LIMITS)
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
