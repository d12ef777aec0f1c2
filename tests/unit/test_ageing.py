"""Worked numbers of ages, cohorts, days of sales and expected cash."""

from datetime import date, timedelta

import pytest

from billing.ageing import (
    BUCKETS,
    History,
    Outstanding,
    bucket_of,
    cohorts,
    days_late,
    late_until,
    outstanding,
)
from billing.calendar import brazil
from billing.cash_forecast import Curve, curves, forecast
from tests.support.accounts import policy

TODAY = date(2026, 9, 28)
CALENDAR = brazil([2026])


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


@pytest.mark.parametrize(
    ("days", "bucket"),
    [
        (0, "0-15"),
        (1, "0-15"),
        (15, "0-15"),
        (16, "16-30"),
        (30, "16-30"),
        (31, "31-60"),
        (60, "31-60"),
        (61, "61-90"),
        (90, "61-90"),
        (91, "over-90"),
        (4000, "over-90"),
    ],
)
def test_a_debt_is_in_the_bucket_of_its_age(days: int, bucket: str) -> None:
    assert days_late(ago(days), TODAY) == days
    assert bucket_of(ago(days), TODAY).name == bucket
    (within,) = [
        b.name
        for b in BUCKETS
        for first_on, last_on in [b.due_between(TODAY)]
        if (first_on is None or first_on <= ago(days)) and ago(days) <= last_on
    ]
    assert within == bucket


def test_what_is_not_due_has_no_bucket() -> None:
    with pytest.raises(ValueError, match="has not passed"):
        bucket_of(TODAY + timedelta(days=1), TODAY)


# 2026-09-07 is a national holiday and a Monday; the float is one bank day.
@pytest.mark.parametrize(
    ("today", "due_on", "why"),
    [
        ("2026-09-03", "2026-09-01", "due Tuesday: overdue on Thursday"),
        ("2026-09-02", "2026-08-31", "due Monday: overdue on Wednesday"),
        ("2026-09-08", "2026-09-04", "due Friday: a bank day after Saturday is Tuesday"),
        ("2026-09-07", "2026-09-02", "due Thursday waits for Tuesday too"),
        ("2026-09-10", "2026-09-08", "due Saturday to Monday is payable on Tuesday"),
        ("2026-09-09", "2026-09-04", "and is overdue on Thursday"),
    ],
)
def test_late_is_ladder_rule_1(today: str, due_on: str, why: str) -> None:
    found = late_until(policy(), CALENDAR, date.fromisoformat(today))
    assert found == date.fromisoformat(due_on), why


def test_a_cohort_is_told_by_what_was_paid_in_time_and_later() -> None:
    """100.00 due on July 10: 40.00 the day before, 20.00 on day 15, 10.00 on day 16, 5.00 on 61."""
    due_on = date(2026, 7, 10)
    late = {-1: 40_00, 15: 20_00, 16: 10_00, 61: 5_00}
    paid = {(due_on, due_on + timedelta(days=n)): cents for n, cents in late.items()}
    (cohort,) = cohorts(History({due_on: 100_00}, paid), date(2026, 10, 8))
    assert (cohort.month, cohort.due_cents) == (date(2026, 7, 1), 100_00)
    assert [(r.days, r.paid_cents, r.basis_points) for r in cohort.recovered] == [
        (0, 40_00, 4000),
        (15, 60_00, 6000),
        (30, 70_00, 7000),
        (60, 70_00, 7000),
        (90, None, None),  # day 90 is today, and not over
    ]


def test_a_share_is_rounded_half_up_and_what_went_back_is_taken_off() -> None:
    due_on = date(2026, 1, 5)
    paid = {
        (due_on, due_on): 2_00,
        (due_on, due_on + timedelta(days=20)): -1_00,
    }
    (cohort,) = cohorts(History({due_on: 3_00}, paid), TODAY)
    assert [r.basis_points for r in cohort.recovered] == [6667, 6667, 3333, 3333, 3333]


def test_a_month_waits_for_its_last_due_date() -> None:
    due = {date(2026, 8, 1): 1_00, date(2026, 8, 28): 1_00}
    (cohort,) = cohorts(History(due, {}), date(2026, 9, 12))
    assert [r.paid_cents for r in cohort.recovered] == [0, None, None, None, None]


@pytest.mark.parametrize(
    ("unpaid", "late", "due", "days", "expected"),
    [
        # 5,000.00 owed, 15,000.00 fell due in 90 days: 30.0 days, 7.2 of them late.
        (500_000, 120_000, 1_500_000, 90, Outstanding(300, 228, 72)),
        (0, 0, 1_500_000, 90, Outstanding(0, 0, 0)),
        (1, 1, 3, 30, Outstanding(100, 0, 100)),
        (5, 0, 0, 90, None),
    ],
)
def test_days_of_sales(
    unpaid: int, late: int, due: int, days: int, expected: Outstanding | None
) -> None:
    assert outstanding(unpaid, late, due, days) == expected


def test_a_curve_counts_only_days_that_are_over() -> None:
    """Of 100.00 due four days ago 50.00 came on day 1 and 25.00 on day 3; today is day 4."""
    paid = {(ago(4), ago(3)): 50_00, (ago(4), ago(1)): 25_00}
    (curve,) = curves(History({ago(4): 100_00}, paid), TODAY).values()
    assert [(d, curve.at_risk[d], curve.paid[d]) for d in range(5) if curve.knows(d)] == [
        (0, 100_00, 0),
        (1, 100_00, 50_00),
        (2, 50_00, 0),
        (3, 50_00, 25_00),
    ]


def test_what_came_in_before_is_expected_again() -> None:
    """Half on the due date, half of the rest a day later; another month paid all on the day."""
    first = Curve(paid={0: 50_00, 1: 25_00}, at_risk={0: 100_00, 1: 50_00})
    second = Curve(paid={0: 100_00, 1: 0}, at_risk={0: 100_00, 1: 0})
    owed = {TODAY: 80_00, TODAY + timedelta(days=1): 40_00}
    instalments = {TODAY: 8_00}
    today, tomorrow, after = forecast(owed, instalments, [first, second], TODAY, 3, 1)
    # Together: three quarters on the day, half of the rest on the next.
    assert (today.cents, today.low_cents, today.high_cents) == (60_00, 40_00, 80_00)
    # 80.00 leaves 20.00, half of it; and 30.00 of the other 40.00.
    assert tomorrow.cents == 10_00 + 30_00
    # The first: 20.00 of 40.00 and 20.00; the second: nothing left of 80.00, and 40.00.
    assert (tomorrow.low_cents, tomorrow.high_cents) == (40_00, 40_00)
    assert after.cents == 5_00
    assert [day.instalment_cents for day in (today, tomorrow, after)] == [6_00, 1_00, 0]
    (week,) = forecast(owed, instalments, [first, second], TODAY, 3, 7)
    assert (week.from_on, week.until_on) == (TODAY, TODAY + timedelta(days=3))
    assert week.cents == 60_00 + 40_00 + 5_00


def test_nothing_is_expected_without_a_past_or_of_what_is_too_old() -> None:
    owed = {ago(0): 80_00}
    assert {day.cents for day in forecast(owed, {}, [], TODAY, 60, 1)} == {0}
    every = dict.fromkeys(range(-30, 121), 1)
    whole = Curve(paid=dict(every), at_risk=dict(every))
    assert forecast({ago(121): 80_00}, {}, [whole], TODAY, 60, 60)[0].cents == 0
    assert forecast({ago(120): 80_00}, {}, [whole], TODAY, 60, 60)[0].cents == 80_00


def test_nobody_expects_money_to_go_back() -> None:
    back = Curve(paid={0: -5_00}, at_risk={0: 10_00})
    assert forecast({TODAY: 10_00}, {}, [back], TODAY, 1, 1)[0].cents == 0
