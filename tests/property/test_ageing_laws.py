"""Laws of ages, cohorts and expected cash, for books that nobody thought of."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from billing.ageing import (
    BUCKETS,
    History,
    bucket_of,
    cohorts,
    late_until,
    outstanding,
)
from billing.cash_forecast import curves, forecast
from billing.ladder import overdue_from
from billing.policy import Policy
from tests.support.accounts import CALENDAR, policy

TODAY = date(2026, 9, 28)
POLICIES = tuple(policy(float_bank_days=days) for days in (0, 1, 5, 30))
dates = st.dates(date(2025, 12, 1), date(2027, 1, 31))
past = st.integers(1, 400).map(lambda days: TODAY - timedelta(days=days))
cents = st.integers(1, 10**9)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Due dates of the past, each paid in parts by today and never more than fell due."""
    due = draw(st.dictionaries(past, cents, max_size=12))
    paid: dict[tuple[date, date], int] = {}
    for due_on, left in due.items():
        for days in draw(st.lists(st.integers(-50, 150), max_size=4, unique=True)):
            part = draw(st.integers(0, left))
            paid_on = min(due_on + timedelta(days=days), TODAY)
            paid[due_on, paid_on] = paid.get((due_on, paid_on), 0) + part
            left -= part
    return History(due, paid)


@given(dates, st.integers(-2, 50), st.sampled_from(POLICIES))
def test_late_until_says_what_the_ladder_says(today: date, days: int, chosen: Policy) -> None:
    due_on = today - timedelta(days=days)
    until = late_until(chosen, CALENDAR, today)
    assert (due_on <= until) == (overdue_from(due_on, chosen, CALENDAR) <= today)


@given(st.integers(0, 130))
def test_every_age_is_in_one_bucket(days: int) -> None:
    due_on = TODAY - timedelta(days=days)
    within = [
        bucket
        for bucket in BUCKETS
        for first_on, last_on in [bucket.due_between(TODAY)]
        if due_on <= last_on and (first_on is None or due_on >= first_on)
    ]
    assert within == [bucket_of(due_on, TODAY)]


@given(histories())
def test_a_cohort_never_loses_what_was_paid(history: History) -> None:
    told = cohorts(history, TODAY)
    assert sum(cohort.due_cents for cohort in told) == sum(history.due_cents.values())
    for cohort in told:
        known = [r.paid_cents for r in cohort.recovered if r.paid_cents is not None]
        assert known == sorted(known)
        assert all(0 <= paid <= cohort.due_cents for paid in known)
        assert [r.paid_cents is None for r in cohort.recovered] == sorted(
            r.paid_cents is None for r in cohort.recovered
        )


@given(
    histories(),
    st.dictionaries(
        st.integers(-150, 60).map(lambda days: TODAY + timedelta(days=days)), cents, max_size=8
    ),
    st.integers(0, 3),
)
def test_no_more_is_expected_than_is_owed(
    history: History, owed: dict[date, int], parts: int
) -> None:
    months = list(curves(history, TODAY).values())
    instalments = {day: owed[day] for day in sorted(owed)[:parts]}
    days = forecast(owed, instalments, months, TODAY, 60, 1)
    for day in days:
        assert 0 <= day.low_cents <= day.cents <= day.high_cents
        assert day.instalment_cents <= day.cents
    (whole,) = forecast(owed, instalments, months, TODAY, 60, 60)
    assert whole.high_cents <= sum(owed.values())
    # Each day is rounded by itself.
    assert abs(whole.cents - sum(day.cents for day in days)) <= 30
    backwards = dict(reversed(owed.items()))
    assert forecast(backwards, instalments, months[::-1], TODAY, 60, 60) == (whole,)


@given(st.integers(0, 10**12), st.integers(0, 10**12), cents, st.integers(30, 365))
def test_late_and_not_late_make_up_the_days_of_sales(
    late: int, rest: int, due: int, days: int
) -> None:
    found = outstanding(late + rest, late, due, days)
    assert found is not None
    assert found.all_tenths == found.late_tenths + found.not_late_tenths
    assert min(found.late_tenths, found.not_late_tenths + 1) >= 0
