"""Issued invoices corrected by an operator: notes, voiding, writing off."""

from api.store.shares import shares_of_invoice
from api.store.uow import Uow
from billing.account import (
    Correction,
    CorrectionKind,
    add_note,
    void_invoice,
    write_off_invoice,
)
from billing.correct import Correcting
from billing.invoice import Kind

_VERBS = {
    CorrectionKind.CREDIT_NOTE: add_note,
    CorrectionKind.DEBIT_NOTE: add_note,
    CorrectionKind.VOID: void_invoice,
    CorrectionKind.WRITE_OFF: write_off_invoice,
}


async def correct(
    uow: Uow,
    invoice_id: int,
    kind: CorrectionKind,
    *,
    author: str,
    reason: str,
    amount_cents: int = 0,
    line_kind: Kind | None = None,
) -> None:
    """Correct one invoice.

    Raises:
        LookupError: there is no such invoice.
        Refused: it may not be done; the text says why.
    """
    payer = await uow.payer_of_invoice(invoice_id)
    if payer is None:
        raise LookupError(f"there is no invoice {invoice_id}")
    account = await uow.account(payer, [invoice_id])
    correction = Correction(
        id=await uow.draw("corrections"),
        kind=kind,
        invoice_id=invoice_id,
        amount_cents=amount_cents,
        author=author,
        reason=reason,
        at=uow.clock.now(),
    )
    shares = await shares_of_invoice(uow.connection, invoice_id)
    correcting = Correcting(correction, shares, line_kind)
    _, facts = _VERBS[kind](account, correcting, await uow.desk())
    await uow.record(account, facts)
