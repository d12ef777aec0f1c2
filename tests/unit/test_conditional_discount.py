"""Money rule 5: a discount that holds only if the invoice is paid in time."""

from dataclasses import replace

import pytest

from billing.account import clear_payment, issue_invoice
from billing.events import CreditUsed, PaymentPosted
from billing.invoice import Allocation, Invoice, InvoiceState, Line, allocate, amount_due
from tests.support.accounts import CALENDAR, account, day, desk, invoice, payment, policy

RULES = policy()


def offered(*discounts: int, cents: int = 99_90, due: str = "2026-09-01") -> Invoice:
    lines = [Line("Desconto", -discount, conditional=True) for discount in discounts]
    return replace(invoice(due=due, cents=cents), lines=(Line("Plano", cents), *lines))


@pytest.mark.parametrize(
    ("discounts", "due", "on", "cents"),
    [
        ((10_00,), "2026-09-01", "2026-08-20", 89_90),
        ((10_00,), "2026-09-01", "2026-09-01", 89_90),  # on the due date
        ((10_00,), "2026-09-01", "2026-09-02", 99_90 + 2_00 + 3),  # the full price, and its charges
        ((10_00,), "2026-09-05", "2026-09-08", 89_90),  # Saturday; Monday is a holiday
        ((10_00,), "2026-09-05", "2026-09-09", 99_90 + 2_00 + 13),
        ((10_00, 5_00), "2026-09-01", "2026-09-01", 84_90),  # several add up
        ((60_00, 60_00), "2026-09-01", "2026-09-01", 0),  # capped at the price
    ],
)
def test_what_settles_it(discounts: tuple[int, ...], due: str, on: str, cents: int) -> None:
    bill = offered(*discounts, due=due)
    assert bill.amount_cents == 99_90
    assert amount_due(bill, RULES, CALENDAR, day(on)) == cents
    after, _, rest = allocate(bill, cents, RULES, CALENDAR, day(on))
    assert (after.state, rest) == (InvoiceState.PAID, 0)


def test_payments_in_time_earn_it_together() -> None:
    bill, first, _ = allocate(offered(10_00), 40_00, RULES, CALENDAR, day("2026-08-25"))
    assert (first, bill.unpaid_cents) == (Allocation(1, 0, 0, 40_00), 59_90)
    assert amount_due(bill, RULES, CALENDAR, day("2026-09-01")) == 49_90
    bill, second, rest = allocate(bill, 50_00, RULES, CALENDAR, day("2026-09-01"))
    assert (second, rest) == (Allocation(1, 0, 0, 49_90, 10_00), 10)
    assert (bill.state, bill.discount_cents, bill.paid_cents) == (InvoiceState.PAID, 10_00, 89_90)


def test_a_partial_payment_in_time_does_not_keep_it() -> None:
    bill, _, _ = allocate(offered(10_00), 89_89, RULES, CALENDAR, day("2026-09-01"))
    assert bill.state is InvoiceState.OPEN
    # What is left of the full price, 10.01: fine 0.20, a day's interest 0.00.
    assert amount_due(bill, RULES, CALENDAR, day("2026-09-02")) == 10_01 + 20


def test_paying_the_full_price_in_time_leaves_the_discount_as_credit() -> None:
    payer, _ = issue_invoice(account(), offered(10_00), desk("2026-08-20 09:00"))
    payer, facts = clear_payment(
        payer, payment(99_90, "2026-09-01 22:00", 1), desk("2026-09-01 22:00")
    )
    assert payer.credit_cents == 10_00
    (posted,) = (fact for fact in facts if isinstance(fact, PaymentPosted))
    assert {item.account: item.cents for item in posted.entry.postings} == {
        "cash:pix": 99_90,
        "discounts": 10_00,
        "receivable:1": -99_90,
        "credit:7": -10_00,
    }


def test_the_payments_own_date_counts_not_that_of_clearing() -> None:
    payer, _ = issue_invoice(account(), offered(10_00), desk("2026-08-20 09:00"))
    payer, _ = clear_payment(payer, payment(89_90, "2026-09-01 23:59", 1), desk("2026-09-03 09:00"))
    assert payer.invoices[0].state is InvoiceState.PAID


def test_a_payment_in_time_that_is_learnt_of_late_gives_back_what_lateness_cost() -> None:
    late, _, _ = allocate(offered(10_00), 12_50, RULES, CALENDAR, day("2026-09-16"))
    assert (late.interest_paid_cents, late.fine_paid_cents, late.paid_cents) == (50, 2_00, 10_00)
    bill, allocation, rest = allocate(late, 89_90, RULES, CALENDAR, day("2026-09-01"))
    assert allocation == Allocation(1, -50, -2_00, 79_90, 10_00)
    assert (bill.state, rest) == (InvoiceState.PAID, 12_50)
    assert (bill.fine_paid_cents, bill.interest_paid_cents, bill.paid_cents) == (0, 0, 89_90)


def test_credit_that_was_there_before_earns_it() -> None:
    payer, facts = issue_invoice(
        account(credit_cents=90_00), offered(10_00), desk("2026-08-20 09:00")
    )
    assert (payer.credit_cents, payer.invoices[0].state) == (10, InvoiceState.PAID)
    (used,) = (fact for fact in facts if isinstance(fact, CreditUsed))
    assert used.allocation == Allocation(1, 0, 0, 89_90, 10_00)


def test_a_discount_as_high_as_the_price_is_earned_by_nothing() -> None:
    payer, _ = issue_invoice(account(), offered(120_00), desk("2026-08-20 09:00"))
    assert payer.invoices[0].state is InvoiceState.PAID
    assert payer.invoices[0].discount_cents == 99_90
