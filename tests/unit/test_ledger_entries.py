import pytest

from billing.invoice import Allocation
from billing.ledger import (
    Entry,
    Posting,
    credit_entry,
    invoice_entry,
    payment_entry,
    suspense_entry,
)
from tests.support.accounts import at, invoice, payment

NOON = at("2026-09-01 12:00")


def test_an_invoice_debits_its_contract() -> None:
    entry = invoice_entry(invoice())
    assert (entry.kind, entry.reference) == ("invoice", "invoice:1")
    assert entry.postings == (Posting("receivable:1", 99_90), Posting("revenue:other", -99_90))


def test_a_payment_is_spread_over_contracts_charges_and_credit() -> None:
    shares = [
        (invoice(), Allocation(1, 50, 2_00, 99_90)),
        (invoice(2, contract_id=2), Allocation(2, 3, 0, 10_00)),
        (invoice(3), Allocation(3, 0, 0, 5_00)),
    ]
    entry = payment_entry(payment(120_00, NOON), shares, 7)
    assert entry.reference == "pix:e2e-1"
    assert {posting.account: posting.cents for posting in entry.postings} == {
        "cash:pix": 120_00,
        "receivable:1": -104_90,
        "receivable:2": -10_00,
        "revenue:fine": -2_00,
        "revenue:interest": -53,
        "credit:7": -2_57,
    }


def test_an_exact_payment_leaves_no_empty_posting() -> None:
    entry = payment_entry(payment(99_90, NOON), [(invoice(), Allocation(1, 0, 0, 99_90))], 7)
    assert entry.postings == (Posting("cash:pix", 99_90), Posting("receivable:1", -99_90))


def test_credit_pays_an_invoice_without_cash() -> None:
    entry = credit_entry((invoice(), Allocation(1, 0, 0, 5_00)), 7, NOON, "invoice:1")
    assert entry.postings == (Posting("credit:7", 5_00), Posting("receivable:1", -5_00))


def test_money_that_nobody_is_known_for_waits_in_suspense() -> None:
    entry = suspense_entry(payment(5_00, NOON))
    assert entry.kind == "suspense"
    assert entry.postings == (Posting("cash:pix", 5_00), Posting("suspense", -5_00))


def test_an_entry_that_does_not_balance_cannot_exist() -> None:
    with pytest.raises(ValueError, match="sum to zero"):
        Entry("payment", NOON, "x", (Posting("cash:pix", 2), Posting("suspense", -1)))
    with pytest.raises(ValueError, match="at least two"):
        Entry("payment", NOON, "x", ())
    with pytest.raises(ValueError, match="carries its zone"):
        Entry("x", NOON.replace(tzinfo=None), "x", (Posting("a", 1), Posting("b", -1)))


def test_a_posting_of_nothing_cannot_exist() -> None:
    with pytest.raises(ValueError, match="nonzero"):
        Posting("cash:pix", 0)
