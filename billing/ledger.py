"""Double entry in integer cents, append only. A correction is a new entry.

Debits are positive, credits negative; the postings of an entry sum to zero (invariant M1).
Accounts are named by what they hold:

- `receivable:{contract_id}`: unpaid principal. `cash:{provider}`: money that a provider holds.
- `revenue:{kind}` for each kind of line but instalments, `revenue:fine`, `revenue:interest`,
  `revenue:recovered` (paid after it was written off).
- `discounts`: conditional discounts that were earned. `write_off`: principal given up.
- `renegotiated`: what agreements took from old invoices and have yet to put on instalments, which
  are no revenue a second time.
- `forgiven`: principal that agreements gave up. `disputed`: principal that nobody collects until a
  dispute is answered. `compensation`: what undue charges cost beyond giving them back.
- `credit:{subscriber_id}`: a liability, what a customer paid ahead. `suspense`: money that nobody
  could be credited with yet.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.invoice import Allocation, Invoice, InvoiceState, Kind, Line
from billing.payer import Correction, Payment, Reversal

SUSPENSE = "suspense"
DISCOUNTS = "discounts"
WRITE_OFF = "write_off"
RENEGOTIATED = "renegotiated"
FORGIVEN = "forgiven"
DISPUTED = "disputed"
COMPENSATION = "compensation"
REVENUE_FINE = "revenue:fine"
REVENUE_INTEREST = "revenue:interest"
REVENUE_RECOVERED = "revenue:recovered"

Paid = tuple[Invoice, Allocation]


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


def revenue(kind: Kind) -> str:
    """The ledger account that a line of this kind credits."""
    return RENEGOTIATED if kind is Kind.INSTALMENT else f"revenue:{kind.value}"


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
    """The invoice's principal becomes a receivable of its contract, and revenue by kind."""
    return entry(
        "invoice",
        invoice.issued_at,
        f"invoice:{invoice.id}",
        (receivable(invoice.contract_id), invoice.amount_cents),
        *_revenues(invoice.lines, -1),
    )


def payment_entry(payment: Payment, paid: Sequence[Paid], subscriber_id: int) -> Entry:
    """A payment over the invoices it paid; what they leave over becomes the customer's credit.

    Late charges are recognised here, when they are paid.

    Args:
        payment: the money.
        paid: each invoice that it paid, and what it gave it.
        subscriber_id: whose credit grows.
    """
    return entry(
        "payment",
        payment.cleared_at,
        f"{payment.provider}:{payment.external_id}",
        (cash(payment.provider), payment.amount_cents),
        *_spent(payment.amount_cents, paid, subscriber_id),
    )


def assignment_entry(
    payment: Payment, cents: int, paid: Sequence[Paid], subscriber_id: int, at: datetime
) -> Entry:
    """`cents` of a payment that waited in suspense, over the invoices that it pays after all."""
    return entry(
        "assignment",
        at,
        f"{payment.provider}:{payment.external_id}",
        (SUSPENSE, cents),
        *_spent(cents, paid, subscriber_id),
    )


def credit_entry(paid: Paid, subscriber_id: int, at: datetime, reference: str) -> Entry:
    """Credit of the customer pays a part of an invoice."""
    _, allocation = paid
    return entry(
        "credit",
        at,
        reference,
        (credit(subscriber_id), allocation.total_cents),
        *_credits([paid]),
    )


def suspense_entry(payment: Payment) -> Entry:
    """Money that came and that nobody can be credited with yet; a person looks at it."""
    return entry(
        "suspense",
        payment.cleared_at,
        f"{payment.provider}:{payment.external_id}",
        (cash(payment.provider), payment.amount_cents),
        (SUSPENSE, -payment.amount_cents),
    )


def reversal_entry(
    reversal: Reversal, payment: Payment, taken: Sequence[Paid], subscriber_id: int
) -> Entry:
    """Money goes back: out of the invoices that gave it up, the rest out of the credit.

    Args:
        reversal: how much, and under which name.
        payment: whose provider the money leaves.
        taken: each invoice, as it stood before, and what it gives up.
        subscriber_id: whose credit gives the rest.
    """
    rest_cents = reversal.amount_cents - sum(part.total_cents for _, part in taken)
    return entry(
        reversal.kind.value,
        reversal.at,
        f"{reversal.provider}:{reversal.external_id}",
        (cash(payment.provider), -reversal.amount_cents),
        (credit(subscriber_id), rest_cents),
        *_negated(_credits(taken)),
    )


def suspense_reversal_entry(reversal: Reversal, payment: Payment) -> Entry:
    """Money that nobody could be credited with goes back to where it came from."""
    return entry(
        reversal.kind.value,
        reversal.at,
        f"{reversal.provider}:{reversal.external_id}",
        (cash(payment.provider), -reversal.amount_cents),
        (SUSPENSE, reversal.amount_cents),
    )


def correction_entry(
    correction: Correction,
    line: Line,
    taken: Sequence[Paid],
    given: Paid | None,
    subscriber_id: int,
    contract_id: int,
) -> Entry:
    """A note's line on the invoice; what was paid of a line taken away becomes credit.

    Args:
        correction: the note.
        line: what it puts on the invoice, negative for a credit note.
        taken: what the invoice, as it stood before, gives up of what was paid.
        given: a conditional discount that what was paid earns now.
        subscriber_id: whose credit grows.
        contract_id: whose receivable changes.
    """
    return entry(
        correction.kind.value,
        correction.at,
        f"correction:{correction.id}",
        (receivable(contract_id), line.amount_cents),
        (revenue(line.kind), -line.amount_cents),
        *_negated(_credits(taken)),
        (credit(subscriber_id), -sum(part.total_cents for _, part in taken)),
        *_credits([given] if given else []),
    )


def void_entry(
    correction: Correction, invoice: Invoice, taken: Sequence[Paid], subscriber_id: int
) -> Entry:
    """The invoice is undone; what was paid of it becomes credit. `invoice` is as it stood."""
    return entry(
        correction.kind.value,
        correction.at,
        f"correction:{correction.id}",
        (receivable(invoice.contract_id), -invoice.amount_cents),
        *_revenues(invoice.lines, 1),
        *_negated(_credits(taken)),
        (credit(subscriber_id), -sum(part.total_cents for _, part in taken)),
    )


def write_off_entry(correction: Correction, invoice: Invoice) -> Entry:
    """What is unpaid of the invoice becomes a loss (money rule 13). `invoice` is as it stood."""
    return _moved(correction, invoice, WRITE_OFF, 1)


def renegotiation_entry(correction: Correction, invoice: Invoice) -> Entry:
    """What is unpaid of the invoice waits to be put on instalments. `invoice` is as it stood."""
    return _moved(correction, invoice, RENEGOTIATED, 1)


def restoration_entry(correction: Correction, invoice: Invoice) -> Entry:
    """What is unpaid of the invoice is owed again, as it had been. `invoice` is as it stands."""
    return _moved(correction, invoice, RENEGOTIATED, -1)


def dispute_entry(correction: Correction, invoice: Invoice) -> Entry:
    """What is unpaid of the invoice is not collected for now. `invoice` is as it stood."""
    return _moved(correction, invoice, DISPUTED, 1)


def release_entry(correction: Correction, invoice: Invoice) -> Entry:
    """What is unpaid of the invoice is owed again. `invoice` is as it stands."""
    return _moved(correction, invoice, DISPUTED, -1)


def compensation_entry(reference: str, cents: int, subscriber_id: int, at: datetime) -> Entry:
    """The customer is credited with more than an undue charge had taken (CDC art. 42)."""
    return entry(
        "compensation", at, reference, (COMPENSATION, cents), (credit(subscriber_id), -cents)
    )


def _moved(correction: Correction, invoice: Invoice, account: str, sign: int) -> Entry:
    return entry(
        correction.kind.value,
        correction.at,
        f"correction:{correction.id}",
        (account, sign * invoice.rest_cents),
        (receivable(invoice.contract_id), -sign * invoice.rest_cents),
    )


def _revenues(lines: Iterable[Line], sign: int) -> Iterable[tuple[str, int]]:
    return [(revenue(i.kind), sign * i.amount_cents) for i in lines if not i.conditional]


def _spent(cents: int, paid: Sequence[Paid], subscriber_id: int) -> Iterable[tuple[str, int]]:
    over_cents = cents - sum(part.total_cents for _, part in paid)
    return (*_credits(paid), (credit(subscriber_id), -over_cents))


def _credits(paid: Sequence[Paid]) -> Iterable[tuple[str, int]]:
    sums: Counter[str] = Counter()
    for invoice, part in paid:
        written_off = invoice.state is InvoiceState.WRITTEN_OFF
        owed = REVENUE_RECOVERED if written_off else receivable(invoice.contract_id)
        sums[owed] -= part.principal_cents + part.discount_cents
        sums[DISCOUNTS] += part.discount_cents
        sums[REVENUE_FINE] -= part.fine_cents
        sums[REVENUE_INTEREST] -= part.interest_cents
    return sums.items()


def _negated(sums: Iterable[tuple[str, int]]) -> Iterable[tuple[str, int]]:
    return ((account, -cents) for account, cents in sums)


def entry(kind: str, at: datetime, reference: str, *sums: tuple[str, int]) -> Entry:
    """An entry with one posting for each account; an account with nothing has none."""
    by_account: dict[str, int] = {}
    for account, cents in sums:
        by_account[account] = by_account.get(account, 0) + cents
    postings = tuple(Posting(account, cents) for account, cents in by_account.items() if cents)
    return Entry(kind, at, reference, postings)
