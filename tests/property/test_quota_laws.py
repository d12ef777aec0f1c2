"""Laws of the traffic quota: cycles tile the calendar, use only spends, the reset day restores."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from billing.access import Level, Rates
from billing.quota import Cycle, Meter, cycle_of, spent_until

DAYS = st.dates(date(2000, 1, 1), date(2100, 12, 31))
RESET_DAYS = st.integers(1, 31)
OCTETS = st.integers(0, 2**63)
QUOTAS = st.integers(1, 2**62)
BPS = st.integers(1, 10**13)
ONE_DAY = timedelta(days=1)


@st.composite
def rates(draw: st.DrawFn) -> Rates:
    """Rates as a plan may have them: neither reduced nor the quota's are faster than full."""
    down_bps, up_bps = draw(BPS), draw(BPS)
    least, most = st.integers(1, down_bps), st.integers(1, up_bps)
    return Rates(down_bps, up_bps, draw(least), draw(most), draw(least), draw(most))


@given(DAYS, RESET_DAYS)
def test_each_day_is_in_one_cycle_and_cycles_leave_no_gap(today: date, reset_day: int) -> None:
    cycle = cycle_of(today, reset_day)
    assert cycle.starts_on <= today < cycle.ends_on
    assert cycle_of(cycle.starts_on, reset_day) == cycle
    assert cycle_of(cycle.ends_on - ONE_DAY, reset_day) == cycle
    assert cycle_of(cycle.ends_on, reset_day).starts_on == cycle.ends_on
    assert 28 <= (cycle.ends_on - cycle.starts_on).days <= 31
    for first in (cycle.starts_on, cycle.ends_on):
        assert first.day == reset_day or (first + ONE_DAY).day == 1


@given(QUOTAS, OCTETS, OCTETS, DAYS, RESET_DAYS)
def test_using_more_never_unspends(
    quota: int, used: int, more: int, today: date, reset_day: int
) -> None:
    cycle = cycle_of(today, reset_day)
    before = spent_until(Meter(quota, used, cycle), today)
    if before is not None:
        assert spent_until(Meter(quota, used + more, cycle), today) == before


@given(QUOTAS, OCTETS, DAYS, RESET_DAYS)
def test_what_is_used_up_is_whole_again_on_its_reset_day_and_not_before(
    quota: int, used: int, today: date, reset_day: int
) -> None:
    cycle = cycle_of(today, reset_day)
    until = spent_until(Meter(quota, used, cycle), today)
    assert (until is not None) == (used >= quota)
    if until is not None:
        assert spent_until(Meter(quota, used, cycle), until - ONE_DAY) == until
        assert spent_until(Meter(quota, used, cycle), until) is None
        assert spent_until(Meter(quota, 0, cycle_of(until, reset_day)), until) is None


@given(rates(), st.sampled_from(Level))
def test_a_used_up_quota_never_speeds_a_line_up_and_never_changes_its_level(
    plan: Rates, level: Level
) -> None:
    throttled, granted = plan.at(level, quota_spent=True), plan.at(level)
    assert throttled.level is level
    assert throttled.rate_down_bps <= granted.rate_down_bps
    assert throttled.rate_up_bps <= granted.rate_up_bps
    if level is Level.FULL:
        assert (throttled.rate_down_bps, throttled.rate_up_bps) == (
            plan.quota_down_bps,
            plan.quota_up_bps,
        )


@given(DAYS)
def test_a_meter_of_another_cycle_cannot_be_mistaken(today: date) -> None:
    over = Cycle(today - timedelta(days=30), today)
    assert spent_until(Meter(1, 1, over), today) is None
