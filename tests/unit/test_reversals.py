"""Money rule 12: what a refund, a chargeback or a returned Pix does."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from billing.access import Level
from billing.account import (
    Account,
    Refused,
    Reversal,
    ReversalKind,
    clear_payment,
    draw_notice,
    issue_invoice,
    notice_due,
    prove_notice,
    reverse_payment,
    review,
)
from billing.events import Fact, PaymentPosted, PaymentReversed
from billing.invoice import Allocation, InvoiceState, Line, Share, amount_due
from billing.payer import Payment
from billing.reverse import Reversing
from tests.support.accounts import CALENDAR, account, at, day, desk, invoice, payment, policy


def paid(payer: Account, money: Payment, now: str) -> tuple[Account, tuple[Share, ...]]:
    payer, facts = clear_payment(payer, money, desk(now))
    shares = [
        Share(money.id, allocation)
        for fact in facts
        if isinstance(fact, PaymentPosted)
        for allocation in fact.allocations
    ]
    return payer, tuple(shares)


def back(
    payer: Account,
    money: Payment,
    shares: Sequence[Share],
    now: str,
    kind: ReversalKind = ReversalKind.CHARGEBACK,
    cents: int | None = None,
    before: int = 0,
) -> tuple[Account, tuple[Fact, ...]]:
    asked = money.amount_cents if cents is None else cents
    reversal = Reversal(1, kind, money.id, "pix", "back-1", asked, "ana", "pedido", at(now))
    return reverse_payment(payer, Reversing(reversal, money, before, tuple(shares)), desk(now))


def reversed_fact(facts: Sequence[Fact]) -> PaymentReversed:
    (fact,) = (item for item in facts if isinstance(item, PaymentReversed))
    return fact


def test_a_chargeback_opens_the_invoice_anew_without_charges_for_the_time_it_stood_paid() -> None:
    payer, _ = issue_invoice(account(), invoice(), desk("2026-08-20 09:00"))
    money = payment(99_90, "2026-09-01 10:00", 1)
    payer, shares = paid(payer, money, "2026-09-01 10:00")
    payer, facts = back(payer, money, shares, "2026-10-01 10:00")
    (bill,) = payer.invoices
    assert (bill.state, bill.due_on, bill.unpaid_cents) == (
        InvoiceState.OPEN,
        day("2026-10-06"),
        99_90,
    )
    assert amount_due(bill, policy(), CALENDAR, day("2026-10-06")) == 99_90
    # Late from its new date on: fine 2.00 and a day's interest.
    assert amount_due(bill, policy(), CALENDAR, day("2026-10-07")) == 99_90 + 2_00 + 3
    assert {p.account: p.cents for p in reversed_fact(facts).entry.postings} == {
        "cash:pix": -99_90,
        "receivable:1": 99_90,
    }


def test_the_ladder_starts_anew_with_a_new_notice() -> None:
    payer, _ = issue_invoice(account(), invoice(), desk("2026-08-20 09:00"))
    payer, _ = draw_notice(payer, 5, desk("2026-09-04 09:00"))
    payer, _ = prove_notice(payer, 5, at("2026-09-04 09:00"), desk("2026-09-04 09:00"))
    payer, _ = review(payer, desk("2026-09-21 09:00"))
    assert payer.contracts[0].access.level is Level.WALLED
    money = payment(102_57, "2026-09-21 10:00", 1)
    payer, shares = paid(payer, money, "2026-09-21 10:00")
    assert payer.contracts[0].access.level is Level.FULL
    payer, _ = back(payer, money, shares, "2026-09-28 10:00")
    for now in ("2026-09-28 10:00", "2026-10-05 10:00", "2026-10-13 10:00"):
        payer, _ = review(payer, desk(now))
        assert payer.contracts[0].access.level is Level.FULL
    assert notice_due(payer, desk("2026-10-13 10:00")) == {1: 99_90}


def test_a_discount_that_was_earned_can_be_earned_again_until_the_new_date() -> None:
    bill = replace(
        invoice(), lines=(Line("Plano", 99_90), Line("Desconto", -10_00, conditional=True))
    )
    payer, _ = issue_invoice(account(), bill, desk("2026-08-20 09:00"))
    first, second = payment(40_00, "2026-08-25 10:00", 1), payment(49_90, "2026-09-01 10:00", 1, 2)
    payer, shares = paid(payer, first, "2026-08-25 10:00")
    payer, more = paid(payer, second, "2026-09-01 10:00")
    payer, facts = back(payer, first, (*shares, *more), "2026-10-01 10:00")
    (bill,) = payer.invoices
    assert (bill.discount_cents, bill.unpaid_cents) == (0, 50_00)
    assert (
        sum(p.cents for p in reversed_fact(facts).entry.postings if p.account == "discounts")
        == -10_00
    )
    assert amount_due(bill, policy(), CALENDAR, day("2026-10-06")) == 40_00
    payer, _ = paid(payer, payment(40_00, "2026-10-06 10:00", 1, 3), "2026-10-06 10:00")
    assert payer.invoices[0].state is InvoiceState.PAID


def test_a_refund_takes_credit_first_and_leaves_the_invoice_paid() -> None:
    payer, _ = issue_invoice(account(), invoice(), desk("2026-08-20 09:00"))
    money = payment(120_00, "2026-09-01 10:00", 1)
    payer, shares = paid(payer, money, "2026-09-01 10:00")
    payer, facts = back(payer, money, shares, "2026-09-02 10:00", ReversalKind.REFUND, 20_10)
    assert (payer.credit_cents, payer.invoices[0].state) == (0, InvoiceState.PAID)
    assert (reversed_fact(facts).credit_cents, reversed_fact(facts).taken) == (20_10, ())
    # More than the credit opens the invoice again.
    payer, facts = back(
        payer, money, shares, "2026-09-03 10:00", ReversalKind.REFUND, 99_90, before=20_10
    )
    assert payer.invoices[0].unpaid_cents == 99_90


def test_no_more_goes_back_than_came() -> None:
    payer, _ = issue_invoice(account(), invoice(), desk("2026-08-20 09:00"))
    money = payment(99_90, "2026-09-01 10:00", 1)
    payer, shares = paid(payer, money, "2026-09-01 10:00")
    for cents, before in ((99_91, 0), (50_00, 49_91), (1, 99_90), (0, 0), (-1, 0)):
        with pytest.raises(Refused, match="went back before"):
            back(payer, money, shares, "2026-09-02 10:00", cents=cents, before=before)


def test_a_chargeback_of_credit_that_was_spent_opens_what_the_credit_paid() -> None:
    money = payment(99_90, "2026-08-19 10:00")
    payer, _ = paid(account(), money, "2026-08-19 10:00")
    payer, _ = issue_invoice(payer, invoice(), desk("2026-08-20 09:00"))
    assert payer.invoices[0].state is InvoiceState.PAID
    shares = (Share(None, Allocation(1, 0, 0, 99_90)),)
    payer, _ = back(payer, money, shares, "2026-09-10 10:00")
    assert (payer.invoices[0].unpaid_cents, payer.credit_cents) == (99_90, 0)


def test_a_part_that_goes_back_of_an_invoice_still_open_keeps_its_due_date() -> None:
    payer, _ = issue_invoice(account(), invoice(), desk("2026-08-20 09:00"))
    money = payment(49_90, "2026-09-01 10:00", 1)
    payer, shares = paid(payer, money, "2026-09-01 10:00")
    payer, _ = back(payer, money, shares, "2026-09-11 10:00")
    (bill,) = payer.invoices
    assert (bill.due_on, bill.unpaid_cents) == (day("2026-09-01"), 99_90)
    # 50.00 for 10 days, then 99.90 for 10: 0.17 + 0.33; the fine is of the 50.00.
    assert amount_due(bill, policy(), CALENDAR, day("2026-09-21")) == 99_90 + 1_00 + 50


def test_what_went_back_earns_no_discount_any_more() -> None:
    bill = replace(
        invoice(), lines=(Line("Plano", 99_90), Line("Desconto", -10_00, conditional=True))
    )
    payer, _ = issue_invoice(account(), bill, desk("2026-08-20 09:00"))
    money = payment(40_00, "2026-08-25 10:00", 1)
    payer, shares = paid(payer, money, "2026-08-25 10:00")
    payer, _ = back(payer, money, shares, "2026-08-26 10:00")
    payer, _ = paid(payer, payment(49_90, "2026-08-27 10:00", 1, 2), "2026-08-27 10:00")
    assert payer.invoices[0].discount_cents == 0
    assert amount_due(payer.invoices[0], policy(), CALENDAR, day("2026-09-01")) == 40_00


def test_what_lateness_cost_before_the_payment_is_owed_again_at_once() -> None:
    bill = replace(
        invoice(), lines=(Line("Plano", 99_90), Line("Desconto", -10_00, conditional=True))
    )
    payer, _ = issue_invoice(account(), bill, desk("2026-08-20 09:00"))
    money = payment(102_40, "2026-09-16 10:00", 1)  # 15 days late
    payer, shares = paid(payer, money, "2026-09-16 10:00")
    assert payer.invoices[0].state is InvoiceState.PAID
    payer, _ = back(payer, money, shares, "2026-10-01 10:00")
    (bill,) = payer.invoices
    # No discount, and no interest until the new date has passed.
    for asked in ("2026-10-01", "2026-10-06"):
        assert amount_due(bill, policy(), CALENDAR, day(asked)) == 99_90 + 2_00 + 50
    assert amount_due(bill, policy(), CALENDAR, day("2026-10-16")) == 99_90 + 2_00 + 83
    # Of a part paid before the new date interest and fine are met first (Código Civil art. 354).
    payer, parts = paid(payer, payment(50_00, "2026-10-02 10:00", 1, 2), "2026-10-02 10:00")
    assert parts[0].allocation == Allocation(1, 50, 2_00, 47_50)
    assert amount_due(payer.invoices[0], policy(), CALENDAR, day("2026-10-06")) == 52_40
    # 52.40 for 10 days: 0.1747 on the 0.4995 that are paid as 0.50.
    assert amount_due(payer.invoices[0], policy(), CALENDAR, day("2026-10-16")) == 52_40 + 17
    payer, _ = paid(payer, payment(52_57, "2026-10-16 10:00", 1, 3), "2026-10-16 10:00")
    assert (payer.invoices[0].state, payer.credit_cents) == (InvoiceState.PAID, 0)


def test_charges_alone_that_go_back_are_owed_again_and_cut_nobody() -> None:
    payer, _ = issue_invoice(account(), invoice(), desk("2026-08-20 09:00"))
    first = payment(2_00, "2026-09-16 10:00", 1)
    payer, shares = paid(payer, first, "2026-09-16 10:00")
    payer, more = paid(payer, payment(100_40, "2026-09-16 11:00", 1, 2), "2026-09-16 11:00")
    assert payer.invoices[0].state is InvoiceState.PAID
    payer, _ = back(payer, first, (*shares, *more), "2026-10-01 10:00")
    (bill,) = payer.invoices
    assert (bill.state, bill.unpaid_cents) == (InvoiceState.OPEN, 0)
    for asked in ("2026-10-01", "2026-12-01"):
        assert amount_due(bill, policy(), CALENDAR, day(asked)) == 2_00
    payer, _ = review(payer, desk("2026-12-01 09:00"))
    assert payer.contracts[0].access.level is Level.FULL
    payer, _ = paid(payer, payment(1_50, "2026-12-01 10:00", 1, 3), "2026-12-01 10:00")
    assert payer.invoices[0].state is InvoiceState.OPEN
    payer, _ = paid(payer, payment(50, "2026-12-02 10:00", 1, 4), "2026-12-02 10:00")
    assert (payer.invoices[0].state, payer.credit_cents) == (InvoiceState.PAID, 0)
