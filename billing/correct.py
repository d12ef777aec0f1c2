"""An issued invoice is corrected: by credit and debit notes, by voiding, by writing off.

Source: money rule 13. Verbs as `billing.account` describes them; each has its author and a reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from billing.agreement import AgreementState
from billing.events import Fact, InvoiceCorrected
from billing.invoice import (
    Allocation,
    Invoice,
    InvoiceState,
    Kind,
    Line,
    Share,
    allocate,
    in_time,
    release,
    with_line,
)
from billing.ledger import correction_entry, void_entry, write_off_entry
from billing.payer import Account, Correction, CorrectionKind, Desk, Refused
from billing.policy import Policy
from billing.settle import use_credit, with_invoices
from billing.standing import look, policy_of

_NOTES = {CorrectionKind.CREDIT_NOTE: -1, CorrectionKind.DEBIT_NOTE: 1}
_NOUNS = {
    CorrectionKind.CREDIT_NOTE: "Nota de crédito",
    CorrectionKind.DEBIT_NOTE: "Nota de débito",
}


@dataclass(frozen=True, slots=True)
class Correcting:
    """A correction, and what the core must know of its invoice.

    Attributes:
        correction: what is asked for.
        shares: what stands allocated to the invoice.
        kind: of a note, what it changes; None: what all lines of the invoice are.
    """

    correction: Correction
    shares: tuple[Share, ...] = ()
    kind: Kind | None = None


def add_note(
    account: Account, correcting: Correcting, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Add a credit or a debit note to an invoice, as a line of it.

    What was paid of that which a credit note takes away becomes the customer's credit.

    Raises:
        Refused: no author or reason; an amount that is not positive, or above what the invoice
            still stands at; a debit note on an invoice that is not open; a kind that is not plain.
    """
    correction = correcting.correction
    sign = _NOTES[correction.kind]
    invoice = _invoice(account, correction)
    cents = correction.amount_cents
    if cents <= 0:
        raise Refused(f"a note must be of more than 0 cents, not {cents}")
    if sign > 0 and invoice.state is not InvoiceState.OPEN:
        raise Refused(f"invoice {invoice.id} is {invoice.state}; issue a new invoice instead")
    if sign < 0 and invoice.state not in (InvoiceState.OPEN, InvoiceState.PAID):
        raise Refused(f"invoice {invoice.id} is {invoice.state}; nothing is owed on it")
    standing_cents = invoice.amount_cents - invoice.discount_cents
    if sign < 0 and cents > standing_cents:
        raise Refused(f"invoice {invoice.id} stands at {standing_cents} cents, below {cents}")
    kind = correcting.kind or _only_kind(invoice)
    line = Line(f"{_NOUNS[correction.kind]}: {correction.reason}", sign * cents, kind)
    policy, today = _policy(account, invoice, desk), desk.now.date()
    over_cents = max(0, cents - invoice.rest_cents) if sign < 0 else 0
    taken = _principal(correcting.shares, over_cents)
    after = invoice
    for share in taken:
        after = release(after, share.allocation, policy, desk.calendar, today)
    after = with_line(after, line, policy, desk.calendar, today)
    given: Allocation | None = None
    if after.state is InvoiceState.OPEN and (
        after.unpaid_cents == 0 or in_time(after, desk.calendar, today)
    ):
        # What was paid may be all that is asked for now.
        settled, allocation, _ = allocate(after, 0, policy, desk.calendar, today)
        if settled != after:
            after = settled
            given = allocation if allocation.discount_cents else None
    entry = correction_entry(
        correction,
        line,
        [(invoice, share.allocation) for share in taken],
        (invoice, given) if given else None,
        account.subscriber_id,
        invoice.contract_id,
    )
    fact = InvoiceCorrected(correction, taken, given, over_cents, entry, after)
    return _done(account, fact, desk)


def void_invoice(
    account: Account, correcting: Correcting, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Undo an invoice: it is owed no longer, and what was paid of it is the customer's credit.

    Raises:
        Refused: no author or reason; or the invoice is neither open nor paid.
    """
    correction = correcting.correction
    invoice = _invoice(account, correction)
    if invoice.state not in (InvoiceState.OPEN, InvoiceState.PAID) or not invoice.amount_cents:
        raise Refused(f"invoice {invoice.id} is {invoice.state}; there is nothing to void")
    shares = correcting.shares
    credit_cents = sum(share.allocation.total_cents for share in shares)
    after = replace(
        invoice,
        state=InvoiceState.VOID,
        paid_cents=0,
        fine_paid_cents=0,
        interest_paid_cents=0,
        discount_cents=0,
        paid_in_time_cents=0,
    )
    correction = replace(correction, amount_cents=invoice.amount_cents)
    entry = void_entry(
        correction,
        invoice,
        [(invoice, share.allocation) for share in shares],
        account.subscriber_id,
    )
    fact = InvoiceCorrected(correction, shares, None, credit_cents, entry, after)
    return _done(account, fact, desk)


def write_off_invoice(
    account: Account, correcting: Correcting, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Give up what is unpaid of an invoice; late charges that nobody paid go with it.

    Raises:
        Refused: no author or reason; or nothing is owed on the invoice.
    """
    correction = correcting.correction
    invoice = _invoice(account, correction)
    if invoice.unpaid_cents <= 0:
        raise Refused(f"invoice {invoice.id} is {invoice.state}; nothing is owed on it")
    correction = replace(correction, amount_cents=invoice.unpaid_cents)
    after = replace(invoice, state=InvoiceState.WRITTEN_OFF)
    entry = write_off_entry(correction, invoice)
    return _done(account, InvoiceCorrected(correction, (), None, 0, entry, after), desk)


def _done(account: Account, fact: InvoiceCorrected, desk: Desk) -> tuple[Account, tuple[Fact, ...]]:
    account = with_invoices(account, [fact.invoice])
    account = replace(account, credit_cents=account.credit_cents + fact.credit_cents)
    account, used = use_credit(account, desk, f"correction:{fact.correction.id}")
    return look(account, desk, [fact, *used])


def _invoice(account: Account, correction: Correction) -> Invoice:
    if not correction.author.strip() or not correction.reason.strip():
        raise Refused("a correction needs its author and a reason")
    for agreement in account.agreements:
        running = agreement.state is AgreementState.RUNNING
        if running and correction.invoice_id in agreement.invoice_ids:
            raise Refused(
                f"invoice {correction.invoice_id} is a part of agreement {agreement.id}, which must"
                " come to what was agreed; make another agreement instead"
            )
    for invoice in account.invoices:
        if invoice.id == correction.invoice_id:
            return invoice
    raise Refused(
        f"subscriber {account.subscriber_id} has no invoice {correction.invoice_id};"
        " check the number"
    )


def _policy(account: Account, invoice: Invoice, desk: Desk) -> Policy:
    (contract,) = (item for item in account.contracts if item.id == invoice.contract_id)
    return policy_of(contract, desk)


def _only_kind(invoice: Invoice) -> Kind:
    kinds = {line.kind for line in invoice.lines}
    if len(kinds) > 1:
        names = ", ".join(sorted(kinds))
        raise Refused(f"invoice {invoice.id} has lines of kinds {names}; say which the note is of")
    return kinds.pop()


def _principal(shares: Sequence[Share], cents: int) -> tuple[Share, ...]:
    """`cents` of the principal that stands paid, out of what was given last."""
    taken: list[Share] = []
    for share in reversed(shares):
        part = min(cents, max(0, share.allocation.principal_cents))
        if part:
            allocation = Allocation(share.allocation.invoice_id, 0, 0, part)
            taken.append(Share(share.payment_id, allocation))
        cents -= part
    if cents:
        raise ValueError(f"{cents} cents more stand paid than the shares say")
    return tuple(taken)
