"""Rows of charges: what was asked for, of whom, and which invoice or bill a txid stands for."""

from datetime import date
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.customer_tables import contracts
from api.store.invoices import invoice_of
from api.store.money_tables import charges, invoice_lines, invoices
from api.store.payments import in_seconds
from billing.invoice import Invoice
from billing.payments.pix import CHARGE_EXPIRES_S
from billing.payments.provider import Charge


async def subject_of_txid(
    connection: AsyncConnection, provider: str, txid: str
) -> tuple[int | None, int | None]:
    """The invoice or the bill that a charge was made for (invariant M15: nothing else names it)."""
    row = (
        await connection.execute(
            select(charges.c.invoice_id, charges.c.bill_id).where(
                charges.c.provider == provider, charges.c.txid == txid
            )
        )
    ).one_or_none()
    return (None, None) if row is None else (row.invoice_id, row.bill_id)


async def living_charge(
    connection: AsyncConnection,
    invoice_id: int | None,
    amount_cents: int,
    *,
    bill_id: int | None = None,
) -> Charge | None:
    """The youngest charge of this amount, for an invoice or a bill, that lives a day longer."""
    row = (
        await connection.execute(
            select(charges.c.txid, charges.c.amount_cents, charges.c.copy_and_paste)
            .where(
                charges.c.bill_id == bill_id
                if bill_id is not None
                else charges.c.invoice_id == invoice_id,
                charges.c.amount_cents == amount_cents,
                charges.c.created_at > in_seconds(86400 - CHARGE_EXPIRES_S),
            )
            .order_by(charges.c.id.desc())
            .limit(1)
        )
    ).one_or_none()
    return None if row is None else Charge(*row)


async def keep_charge(
    connection: AsyncConnection,
    provider: str,
    invoice_id: int | None,
    charge: Charge,
    *,
    bill_id: int | None = None,
) -> None:
    """Store a charge; the same one again is no second one.

    It is dated in real time, also in rehearsal: the provider lets it expire.
    """
    await connection.execute(
        insert(charges)
        .values(
            provider=provider,
            txid=charge.txid,
            invoice_id=invoice_id,
            bill_id=bill_id,
            amount_cents=charge.amount_cents,
            copy_and_paste=charge.copy_and_paste,
            created_at=func.clock_timestamp(),
        )
        .on_conflict_do_nothing(index_elements=["provider", "txid"])
    )


class InvoiceToCharge(NamedTuple):
    """An invoice, and the policy of its contract; `ended_on` None: the contract runs."""

    invoice: Invoice
    policy: str
    subscriber_id: int
    ended_on: date | None


async def read_invoice(connection: AsyncConnection, invoice_id: int) -> InvoiceToCharge | None:
    """An invoice as `billing` knows it, without locking anything."""
    row = (
        await connection.execute(
            select(invoices, contracts.c.policy, contracts.c.subscriber_id, contracts.c.ended_on)
            .join(contracts, contracts.c.id == invoices.c.contract_id)
            .where(invoices.c.id == invoice_id)
        )
    ).one_or_none()
    if row is None:
        return None
    lines = await connection.execute(
        select(invoice_lines)
        .where(invoice_lines.c.invoice_id == invoice_id)
        .order_by(invoice_lines.c.position)
    )
    invoice = invoice_of(row._mapping, lines.mappings())
    return InvoiceToCharge(invoice, row.policy, row.subscriber_id, row.ended_on)
