"""Writing facts of money: invoices, payments, credit, what goes back, corrections, suspense.

Each row that comes with a ledger entry is in its sealed document.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import assert_never

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.message_tables import payment_receipts
from api.store.money_tables import (
    allocations,
    corrections,
    invoice_lines,
    invoices,
    payments,
    reversals,
)
from api.store.pen import Pen, Row, Written, post
from api.store.record_rows import (
    allocation_row,
    credit_item,
    invoice_rows,
    issued_item,
    line_row,
    payment_row,
    reversal_row,
    standing_row,
    taken_row,
    without_id,
)
from billing.account import CorrectionKind, Payment, Reversal
from billing.events import (
    CreditUsed,
    InvoiceCorrected,
    InvoiceIssued,
    PaymentAssigned,
    PaymentPosted,
    PaymentReversed,
)
from billing.invoice import Invoice
from billing.ledger import Entry

Money = (
    InvoiceIssued
    | PaymentPosted
    | PaymentAssigned
    | CreditUsed
    | PaymentReversed
    | InvoiceCorrected
)

_INSERT_ALLOCATION = insert(allocations)
_INSERT_CORRECTION = insert(corrections)
_INSERT_INVOICE = insert(invoices)
_INSERT_LINE = insert(invoice_lines)
_INSERT_PAYMENT = insert(payments)
_INSERT_RECEIPT = insert(payment_receipts)
_INSERT_REVERSAL = insert(reversals)
_UPDATE_INVOICE = update(invoices).where(invoices.c.id == bindparam("which"))
_UPDATE_PAYMENT = update(payments).where(payments.c.id == bindparam("which"))


async def write_money(pen: Pen, fact: Money) -> None:
    """Write one of these facts."""
    match fact:
        case InvoiceIssued(invoice=invoice, entry=entry):
            await _invoice_issued(pen, invoice, entry)
        case PaymentPosted():
            await _payment_posted(pen, fact)
        case PaymentAssigned():
            await _payment_assigned(pen, fact)
        case CreditUsed():
            await _credit_used(pen, fact)
        case PaymentReversed():
            await _payment_reversed(pen, fact)
        case InvoiceCorrected():
            await _invoice_corrected(pen, fact)
        case _:
            assert_never(fact)


async def write_suspense(
    connection: AsyncConnection, payment: Payment, reason: str, entry: Entry, correlation_id: str
) -> Written:
    """Write a payment that nobody can be credited with yet (invariant M15)."""
    written = Written()
    # The invoice that it names may not exist.
    found = select(invoices.c.id).where(invoices.c.id == payment.invoice_id)
    row = payment_row(payment, correlation_id) | {
        "subscriber_id": None,
        "credit_cents": 0,
        "state": "suspense",
        "suspense_reason": reason,
        "invoice_id": await connection.scalar(found),
    }
    entry_id = await post(connection, entry, correlation_id, {"payments": [row]}, written)
    await connection.execute(_INSERT_PAYMENT, row | {"entry_id": entry_id})
    written.tell(
        "payment.suspended",
        f"payment:{payment.id}",
        provider=payment.provider,
        external_id=payment.external_id,
        amount_cents=payment.amount_cents,
        invoice_id=payment.invoice_id,
        reason=reason,
    )
    return written


async def write_suspense_reversal(
    connection: AsyncConnection, reversal: Reversal, entry: Entry, correlation_id: str
) -> Written:
    """Write that money which waited in suspense went back."""
    written = Written()
    row = reversal_row(reversal, 0, correlation_id)
    entry_id = await post(connection, entry, correlation_id, {"reversals": [row]}, written)
    await connection.execute(_INSERT_REVERSAL, row | {"entry_id": entry_id})
    written.tell(
        "payment.reversed",
        f"payment:{reversal.payment_id}",
        kind=reversal.kind.value,
        external_id=reversal.external_id,
        amount_cents=reversal.amount_cents,
        credit_cents=0,
        author=reversal.author,
        reason=reversal.reason,
        reopened={},
    )
    return written


async def _invoice_issued(pen: Pen, invoice: Invoice, entry: Entry) -> None:
    row, lines = invoice_rows(invoice)
    await pen.connection.execute(_INSERT_INVOICE, row)
    await pen.connection.execute(_INSERT_LINE, lines)
    await pen.post(entry, invoices=[row], invoice_lines=lines)
    pen.written.audits.append(issued_item(invoice))


async def _payment_posted(pen: Pen, fact: PaymentPosted) -> None:
    payment = fact.payment
    row = payment_row(payment, pen.correlation_id) | {
        "subscriber_id": pen.subscriber_id,
        "credit_cents": fact.credit_cents,
        "state": "posted",
        "suspense_reason": None,
    }
    shares = [allocation_row(payment.id, item) for item in fact.allocations]
    standings = [standing_row(invoice) for invoice in fact.invoices]
    entry_id = await pen.post(fact.entry, payments=[row], allocations=shares, invoices=standings)
    await pen.connection.execute(_INSERT_PAYMENT, row | {"entry_id": entry_id})
    await _allocate(pen, shares, standings)
    await pen.connection.execute(_INSERT_RECEIPT, {"payment_id": payment.id})
    pen.tell(
        "payment.posted",
        f"payment:{payment.id}",
        subscriber_id=pen.subscriber_id,
        provider=payment.provider,
        external_id=payment.external_id,
        amount_cents=payment.amount_cents,
        credit_cents=fact.credit_cents,
        allocations=[asdict(a) for a in fact.allocations],
    )


async def _payment_assigned(pen: Pen, fact: PaymentAssigned) -> None:
    payment = fact.payment
    row: dict[str, object] = {
        "id": payment.id,
        "subscriber_id": pen.subscriber_id,
        "credit_cents": fact.credit_cents,
        "state": "posted",
        "invoice_id": payment.invoice_id,
        "bill_id": payment.bill_id,
    }
    shares = [allocation_row(payment.id, item) for item in fact.allocations]
    standings = [standing_row(invoice) for invoice in fact.invoices]
    await pen.post(fact.entry, payments=[row], allocations=shares, invoices=standings)
    await pen.connection.execute(_UPDATE_PAYMENT, {"which": payment.id, **without_id(row)})
    await _allocate(pen, shares, standings)
    await pen.connection.execute(_INSERT_RECEIPT, {"payment_id": payment.id})
    pen.tell(
        "payment.assigned",
        f"payment:{payment.id}",
        subscriber_id=pen.subscriber_id,
        credit_cents=fact.credit_cents,
        allocations=[asdict(a) for a in fact.allocations],
    )


async def _credit_used(pen: Pen, fact: CreditUsed) -> None:
    share, standing = allocation_row(None, fact.allocation), standing_row(fact.invoice)
    await pen.post(fact.entry, allocations=[share], invoices=[standing])
    await _allocate(pen, [share], [standing])
    pen.written.audits.append(credit_item(fact.allocation))


async def _payment_reversed(pen: Pen, fact: PaymentReversed) -> None:
    reversal = fact.reversal
    row = reversal_row(reversal, fact.credit_cents, pen.correlation_id)
    shares = [taken_row(share, "reversal_id", reversal.id) for share in fact.taken]
    standings = [standing_row(invoice) for invoice in fact.invoices]
    entry_id = await pen.post(fact.entry, reversals=[row], allocations=shares, invoices=standings)
    await pen.connection.execute(_INSERT_REVERSAL, row | {"entry_id": entry_id})
    await _allocate(pen, shares, standings)
    pen.tell(
        "payment.reversed",
        f"payment:{reversal.payment_id}",
        kind=reversal.kind.value,
        external_id=reversal.external_id,
        amount_cents=reversal.amount_cents,
        credit_cents=fact.credit_cents,
        author=reversal.author,
        reason=reversal.reason,
        reopened={str(i.id): i.due_on.isoformat() for i in fact.invoices},
    )


async def _invoice_corrected(pen: Pen, fact: InvoiceCorrected) -> None:
    correction, invoice = fact.correction, fact.invoice
    row: dict[str, object] = {
        **asdict(correction),
        "kind": correction.kind.value,
        "credit_cents": fact.credit_cents,
        "correlation_id": pen.correlation_id,
    }
    shares = [taken_row(share, "correction_id", correction.id) for share in fact.taken]
    if fact.given is not None:
        shares.append(allocation_row(None, fact.given))
    lines = []
    if correction.kind in (CorrectionKind.CREDIT_NOTE, CorrectionKind.DEBIT_NOTE):
        lines.append(line_row(invoice, len(invoice.lines) - 1))
        await pen.connection.execute(_INSERT_LINE, lines)
    entry_id = await pen.post(
        fact.entry,
        corrections=[row],
        allocations=shares,
        invoices=[standing_row(invoice)],
        invoice_lines=lines,
    )
    await pen.connection.execute(_INSERT_CORRECTION, row | {"entry_id": entry_id})
    await _allocate(pen, shares, [standing_row(invoice)])
    pen.tell(
        f"invoice.{correction.kind.value}",
        f"invoice:{invoice.id}",
        correction_id=correction.id,
        amount_cents=correction.amount_cents,
        credit_cents=fact.credit_cents,
        author=correction.author,
        reason=correction.reason,
    )


async def _allocate(pen: Pen, shares: Sequence[Row], standings: Sequence[Row]) -> None:
    if shares:
        await pen.connection.execute(_INSERT_ALLOCATION, list(shares))
    for row in standings:
        await pen.connection.execute(_UPDATE_INVOICE, {"which": row["id"], **without_id(row)})
