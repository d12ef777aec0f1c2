"""Invoices as `billing` knows them, read from rows."""

from collections.abc import Iterable, Mapping
from typing import Any

from billing.invoice import Invoice, InvoiceState, Kind, Line

Row = Mapping[Any, Any]


def invoice_of(row: Row, lines: Iterable[Row]) -> Invoice:
    """The invoice of a row of `invoices` and its rows of `invoice_lines`, in their order."""
    return Invoice(
        id=row["id"],
        contract_id=row["contract_id"],
        due_on=row["due_on"],
        issued_at=row["issued_at"],
        lines=tuple(map(line_of, lines)),
        state=InvoiceState(row["state"]),
        paid_cents=row["paid_cents"],
        fine_paid_cents=row["fine_paid_cents"],
        interest_paid_cents=row["interest_paid_cents"],
        fine_base_cents=row["fine_base_cents"],
        interest_accrued_parts=row["interest_accrued_parts"],
        interest_since=row["interest_since"],
        discount_cents=row["discount_cents"],
        paid_in_time_cents=row["paid_in_time_cents"],
        reopened_at=row["reopened_at"],
        late_before=row["late_before"],
        bill_id=row["bill_id"],
    )


def line_of(row: Row) -> Line:
    """One line."""
    return Line(
        description=row["description"],
        amount_cents=row["amount_cents"],
        kind=Kind(row["kind"]),
        service=row["service"],
        from_on=row["from_on"],
        until_on=row["until_on"],
        conditional=row["conditional"],
    )


def standing_of(invoice: Invoice) -> dict[str, object]:
    """The columns of an invoice that may change after it was issued."""
    return {
        "due_on": invoice.due_on,
        "state": invoice.state.value,
        "amount_cents": invoice.amount_cents,
        "paid_cents": invoice.paid_cents,
        "fine_paid_cents": invoice.fine_paid_cents,
        "interest_paid_cents": invoice.interest_paid_cents,
        "fine_base_cents": invoice.fine_base_cents,
        "interest_accrued_parts": invoice.interest_accrued_parts,
        "interest_since": invoice.interest_since,
        "discount_cents": invoice.discount_cents,
        "paid_in_time_cents": invoice.paid_in_time_cents,
        "reopened_at": invoice.reopened_at,
        "late_before": invoice.late_before,
    }
