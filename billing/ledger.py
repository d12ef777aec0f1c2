"""Double entry in integer cents, append only. A correction is a new entry.

Debits are positive, credits negative; the postings of an entry sum to zero (invariant M1).
Accounts are named by what they hold: `receivable:{contract_id}`, `cash:{provider}`,
`revenue:service`, `revenue:fine`, `revenue:interest`, `credit:{subscriber_id}` (a liability: what a
customer paid ahead), `suspense` (money that nobody could be credited with yet).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.invoice import Allocation, Invoice
from billing.payer import Payment

SUSPENSE = "suspense"
REVENUE_SERVICE = "revenue:service"
REVENUE_FINE = "revenue:fine"
REVENUE_INTEREST = "revenue:interest"


@dataclass(frozen=True, slots=True)
class Posting:
    """`cents` to one ledger account: positive debits it, negative credits it, never zero."""

    account: str
    cents: int

    def __post_init__(self) -> None:
        if type(self.cents) is not int or self.cents == 0:
            raise ValueError(f"a posting is a whole, nonzero number of cents: {self}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One balanced set of postings. `kind` says which event of the business made it."""

    kind: str
    at: datetime
    reference: str
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        if sum(p.cents for p in self.postings) != 0:
            raise ValueError(f"an entry must sum to zero: {self}")
        if len(self.postings) < 2:
            raise ValueError(f"an entry has at least two postings: {self}")
        if self.at.tzinfo is None:
            raise ValueError(f"an entry's instant carries its zone: {self}")


def receivable(contract_id: int) -> str:
    """The ledger account of what one contract owes; its balance is the unpaid principal."""
    return f"receivable:{contract_id}"


def cash(provider: str) -> str:
    """The ledger account of the money that one provider holds for us."""
    return f"cash:{provider}"


def credit(subscriber_id: int) -> str:
    """The ledger account of what a customer paid ahead; its balance is never a debit."""
    return f"credit:{subscriber_id}"


def invoice_entry(invoice: Invoice) -> Entry:
    """The invoice's principal becomes a receivable of its contract."""
    return _entry(
        "invoice",
        invoice.issued_at,
        f"invoice:{invoice.id}",
        (receivable(invoice.contract_id), invoice.amount_cents),
        (REVENUE_SERVICE, -invoice.amount_cents),
    )


def payment_entry(
    payment: Payment, shares: Sequence[tuple[int, Allocation]], subscriber_id: int
) -> Entry:
    """A payment over the invoices it paid; what they leave over becomes the customer's credit.

    Late charges are recognised here, when they are paid.

    Args:
        payment: the money.
        shares: contract id and allocation of each invoice that it paid.
        subscriber_id: whose credit grows.
    """
    over_cents = payment.amount_cents - sum(share.total_cents for _, share in shares)
    return _entry(
        "payment",
        payment.cleared_at,
        f"{payment.provider}:{payment.external_id}",
        (cash(payment.provider), payment.amount_cents),
        *_credits(shares),
        (credit(subscriber_id), -over_cents),
    )


def credit_entry(
    invoice: Invoice, allocation: Allocation, subscriber_id: int, at: datetime
) -> Entry:
    """Credit of the customer pays a part of an invoice."""
    return _entry(
        "credit",
        at,
        f"invoice:{invoice.id}",
        (credit(subscriber_id), allocation.total_cents),
        *_credits([(invoice.contract_id, allocation)]),
    )


def suspense_entry(payment: Payment) -> Entry:
    """Money that came and that nobody can be credited with yet; a person looks at it."""
    return _entry(
        "suspense",
        payment.cleared_at,
        f"{payment.provider}:{payment.external_id}",
        (cash(payment.provider), payment.amount_cents),
        (SUSPENSE, -payment.amount_cents),
    )


def _credits(shares: Sequence[tuple[int, Allocation]]) -> tuple[tuple[str, int], ...]:
    principal = ((receivable(contract_id), -share.principal_cents) for contract_id, share in shares)
    return (
        *principal,
        (REVENUE_FINE, -sum(share.fine_cents for _, share in shares)),
        (REVENUE_INTEREST, -sum(share.interest_cents for _, share in shares)),
    )


def _entry(kind: str, at: datetime, reference: str, *sums: tuple[str, int]) -> Entry:
    """One posting for each account; an account with nothing has none."""
    by_account: dict[str, int] = {}
    for account, cents in sums:
        by_account[account] = by_account.get(account, 0) + cents
    postings = tuple(Posting(account, cents) for account, cents in by_account.items() if cents)
    return Entry(kind, at, reference, postings)
