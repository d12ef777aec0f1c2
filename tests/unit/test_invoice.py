from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.invoice import Allocation, InvoiceState, allocate, amount_due, charges
from tests.support.accounts import CALENDAR, day, invoice, policy

RULES = policy()


@pytest.mark.parametrize(
    ("cents", "due", "days", "fine", "interest"),
    [
        (99_90, "2026-09-01", 15, 2_00, 50),  # money rule 6
        (99_90, "2026-09-01", 1, 2_00, 3),  # money rule 6
        (123_45, "2026-09-01", 47, 2_47, 1_93),  # money rule 6
        (100_00, "2026-09-01", 10, 2_00, 33),  # brazil.md 1.8
        (99_90, "2026-09-01", 0, 0, 0),  # on the due date
        (99_90, "2026-09-05", 3, 0, 0),  # due on Saturday, paid on Tuesday after a holiday
        (99_90, "2026-09-05", 4, 2_00, 13),  # a day later it counts from the due date itself
        (99_90, "2026-12-31", 4, 2_00, 13),  # over the year
        (25, "2026-09-01", 1, 1, 0),  # half a cent of fine goes up
        (1, "2026-09-01", 3000, 0, 1),
    ],
)
def test_late_charges(cents: int, due: str, days: int, fine: int, interest: int) -> None:
    today = day(due) + timedelta(days=days)
    bill = invoice(due=due, cents=cents)
    assert charges(bill, RULES, CALENDAR, today) == (fine, interest)
    assert amount_due(bill, RULES, CALENDAR, today) == cents + fine + interest


def test_interest_then_fine_then_principal() -> None:
    late = day("2026-09-16")  # 15 days: fine 2.00, interest 0.50
    for cents, expected, rest in [
        (30, (30, 0, 0), 0),
        (51, (50, 1, 0), 0),
        (2_50, (50, 2_00, 0), 0),
        (2_51, (50, 2_00, 1), 0),
        (102_40, (50, 2_00, 99_90), 0),
        (110_00, (50, 2_00, 99_90), 7_60),
    ]:
        after, allocation, over = allocate(invoice(), cents, RULES, CALENDAR, late)
        assert (allocation, over) == (Allocation(1, *expected), rest)
        assert (after.state is InvoiceState.PAID) == (cents >= 102_40)


def test_interest_runs_on_what_is_still_unpaid_and_the_fine_stays() -> None:
    # 10 days on 99.90 (0.333, paid 0.33), fine 2.00, so 52.33 leaves 49.90; 20 days on that are
    # 0.3327, so all interest is 0.6657 = 0.67: nothing is rounded before it is paid or shown.
    after, allocation, _ = allocate(invoice(), 52_33, RULES, CALENDAR, day("2026-09-11"))
    assert allocation == Allocation(1, 33, 2_00, 50_00)
    assert charges(after, RULES, CALENDAR, day("2026-09-11")) == (0, 0)
    assert charges(after, RULES, CALENDAR, day("2026-10-01")) == (0, 34)
    done, allocation, rest = allocate(after, 50_24, RULES, CALENDAR, day("2026-10-01"))
    assert (allocation, rest) == (Allocation(1, 34, 0, 49_90), 0)
    assert done.state is InvoiceState.PAID


def test_a_payment_of_charges_alone_leaves_interest_running_as_before() -> None:
    after, _, _ = allocate(invoice(), 20, RULES, CALENDAR, day("2026-09-11"))
    assert charges(after, RULES, CALENDAR, day("2026-09-16")) == (2_00, 30)


def test_the_fine_is_of_what_was_unpaid_on_the_first_late_day() -> None:
    after, allocation, _ = allocate(invoice(), 49_90, RULES, CALENDAR, day("2026-09-01"))
    assert allocation == Allocation(1, 0, 0, 49_90)
    assert charges(after, RULES, CALENDAR, day("2026-09-02")) == (1_00, 2)
    # Once a late payment fixed it, paying principal does not make it smaller.
    late, _, _ = allocate(after, 21_02, RULES, CALENDAR, day("2026-09-02"))
    assert (late.fine_base_cents, late.fine_paid_cents, late.unpaid_cents) == (50_00, 1_00, 30_00)
    assert charges(late, RULES, CALENDAR, day("2026-12-31")) == (0, 1_20)


def test_a_payment_made_earlier_than_the_last_adds_no_interest() -> None:
    late, _, _ = allocate(invoice(), 52_33, RULES, CALENDAR, day("2026-09-11"))
    again, allocation, _ = allocate(late, 10_00, RULES, CALENDAR, day("2026-09-08"))
    assert allocation == Allocation(1, 0, 0, 10_00)
    assert again.interest_since == day("2026-09-11")


def test_a_payment_in_time_that_was_learnt_of_late_makes_the_fine_smaller() -> None:
    late, _, _ = allocate(invoice(), 51, RULES, CALENDAR, day("2026-09-16"))
    in_time, allocation, _ = allocate(late, 49_90, RULES, CALENDAR, day("2026-09-01"))
    assert allocation == Allocation(1, 0, 0, 49_90)
    assert charges(in_time, RULES, CALENDAR, day("2026-09-16")) == (99, 0)


@pytest.mark.parametrize("state", [InvoiceState.PAID, InvoiceState.VOID])
def test_nothing_is_due_on_a_closed_invoice(state: InvoiceState) -> None:
    closed = replace(invoice(), state=state)
    assert amount_due(closed, RULES, CALENDAR, day("2027-09-01")) == 0
    assert allocate(closed, 5, RULES, CALENDAR, day("2027-09-01")) == (
        closed,
        Allocation(1, 0, 0, 0),
        5,
    )


@given(
    st.integers(1, 10**7),
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 40)), min_size=1, max_size=6),
)
def test_allocation_is_within_payment_and_invoice(
    cents: int, payments: list[tuple[int, int]]
) -> None:
    """Invariant M6, and: paying what is due settles, whatever was paid before."""
    bill, on, principal = invoice(cents=cents), date(2026, 8, 25), 0
    for paid, wait in payments:
        on += timedelta(days=wait)
        due = amount_due(bill, RULES, CALENDAR, on)
        bill, allocation, rest = allocate(bill, paid, RULES, CALENDAR, on)
        principal += allocation.principal_cents
        assert min(allocation.interest_cents, allocation.fine_cents, rest) >= 0
        assert allocation.total_cents + rest == paid
        assert amount_due(bill, RULES, CALENDAR, on) == due - allocation.total_cents
        assert (rest > 0) <= (bill.state is InvoiceState.PAID)
    assert principal == bill.paid_cents <= cents
    due = amount_due(bill, RULES, CALENDAR, on)
    settled, _, rest = allocate(bill, due, RULES, CALENDAR, on)
    assert (settled.state, rest) == (InvoiceState.PAID, 0)
