"""The rows of facts, and what the audit log says of them, whoever writes them: one by one or many.

Standings are an invoice's row without what never changes.
"""

from dataclasses import asdict

from api.store.audit import Item
from api.store.invoices import standing_of
from api.store.pen import Row
from billing.account import Notice, Payment, Reversal
from billing.events import Allocation
from billing.invoice import Invoice, Share


def issued_item(invoice: Invoice) -> Item:
    """What the audit log says of a new invoice."""
    data = {
        "contract_id": invoice.contract_id,
        "due_on": invoice.due_on.isoformat(),
        "amount_cents": invoice.amount_cents,
    }
    return Item("invoice.issued", f"invoice:{invoice.id}", data)


def credit_item(allocation: Allocation) -> Item:
    """What it says of credit that paid of an invoice."""
    return Item("credit.used", f"invoice:{allocation.invoice_id}", asdict(allocation))


def notice_row(subscriber_id: int, notice: Notice) -> Row:
    """The row of a newly drawn notice."""
    return {
        "id": notice.id,
        "subscriber_id": subscriber_id,
        "drawn_at": notice.drawn_at,
        "amounts_cents": _amounts(notice),
    }


def notice_item(subscriber_id: int, notice: Notice) -> Item:
    """What the audit log says of it."""
    data = {"subscriber_id": subscriber_id, "amounts_cents": _amounts(notice)}
    return Item("notice.drawn", f"notice:{notice.id}", data)


def _amounts(notice: Notice) -> dict[str, int]:
    return {str(invoice_id): cents for invoice_id, cents in notice.amounts_cents.items()}


def payment_row(payment: Payment, correlation_id: str) -> dict[str, object]:
    return {**asdict(payment), "correlation_id": correlation_id}


def invoice_rows(invoice: Invoice) -> tuple[Row, list[Row]]:
    """The rows of a newly issued invoice: of `invoices`, and of `invoice_lines`."""
    row = {
        "id": invoice.id,
        "contract_id": invoice.contract_id,
        "issued_at": invoice.issued_at,
        "bill_id": invoice.bill_id,
        **standing_of(invoice),
    }
    return row, [line_row(invoice, n) for n in range(len(invoice.lines))]


def line_row(invoice: Invoice, position: int) -> Row:
    line = invoice.lines[position]
    return {
        "invoice_id": invoice.id,
        "position": position,
        "description": line.description,
        "amount_cents": line.amount_cents,
        "kind": line.kind.value,
        "service": line.service,
        "from_on": line.from_on,
        "until_on": line.until_on,
        "conditional": line.conditional,
    }


def allocation_row(payment_id: int | None, allocation: Allocation) -> Row:
    """The row of an allocation. `payment_id` None: from customer credit."""
    return {
        "payment_id": payment_id,
        **asdict(allocation),
        "reversal_id": None,
        "correction_id": None,
    }


def taken_row(share: Share, cause: str, cause_id: int) -> Row:
    part = share.allocation
    taken = Allocation(part.invoice_id, 0, 0, 0).plus(part, -1)
    return allocation_row(share.payment_id, taken) | {cause: cause_id}


def standing_row(invoice: Invoice) -> Row:
    return {"id": invoice.id, **standing_of(invoice)}


def reversal_row(reversal: Reversal, credit_cents: int, correlation_id: str) -> Row:
    return {
        **asdict(reversal),
        "kind": reversal.kind.value,
        "credit_cents": credit_cents,
        "correlation_id": correlation_id,
    }


def without_id(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "id"}
