"""What payments gave to whom, as it stands now, and what of them went back."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Row, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.customer_tables import contracts
from api.store.money_tables import allocations, invoices, payments, reversals
from billing.invoice import Allocation, Share
from billing.payer import Payment

_SUMS = [
    cast(func.sum(column), BigInteger)
    for column in (
        allocations.c.interest_cents,
        allocations.c.fine_cents,
        allocations.c.principal_cents,
        allocations.c.discount_cents,
    )
]


async def shares_of_payer(connection: AsyncConnection, subscriber_id: int) -> tuple[Share, ...]:
    """What stands allocated to a payer's invoices, first given first."""
    own = (
        select(invoices.c.id)
        .join(contracts, invoices.c.contract_id == contracts.c.id)
        .where(contracts.c.subscriber_id == subscriber_id)
    )
    return await _shares(connection, allocations.c.invoice_id.in_(own))


async def shares_of_invoice(connection: AsyncConnection, invoice_id: int) -> tuple[Share, ...]:
    """What stands allocated to one invoice, first given first."""
    return await _shares(connection, allocations.c.invoice_id == invoice_id)


async def _shares(connection: AsyncConnection, condition: ColumnElement[bool]) -> tuple[Share, ...]:
    rows = await connection.execute(
        select(allocations.c.payment_id, allocations.c.invoice_id, *_SUMS)
        .where(condition)
        .group_by(allocations.c.payment_id, allocations.c.invoice_id)
        .order_by(func.min(allocations.c.id))
    )
    found = (Share(row[0], Allocation(*row[1:])) for row in rows)
    nothing = (0, 0, 0, 0)
    return tuple(
        share
        for share in found
        if (
            share.allocation.interest_cents,
            share.allocation.fine_cents,
            share.allocation.principal_cents,
            share.allocation.discount_cents,
        )
        != nothing
    )


class LockedPayment(NamedTuple):
    """A payment, whose it is (None: it waits in suspense), and what of it went back before."""

    payment: Payment
    subscriber_id: int | None
    reversed_cents: int


async def lock_payment(
    connection: AsyncConnection, payment_id: int, zone: tzinfo | None
) -> LockedPayment | None:
    """A payment that nobody else reverses or assigns until commit. Lock it before its payer."""
    query = select(payments).where(payments.c.id == payment_id).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    went_back = await connection.scalar(
        select(cast(func.coalesce(func.sum(reversals.c.amount_cents), 0), BigInteger)).where(
            reversals.c.payment_id == payment_id
        )
    )
    return LockedPayment(_payment_of(row, zone), row.subscriber_id, went_back or 0)


async def read_payments(
    connection: AsyncConnection, payment_ids: Sequence[int], zone: tzinfo | None
) -> dict[int, Payment]:
    """These payments, by id. Whoever holds their payer's lock need not lock them."""
    rows = await connection.execute(select(payments).where(payments.c.id.in_(payment_ids)))
    return {row.id: _payment_of(row, zone) for row in rows}


def _payment_of(row: Row[Any], zone: tzinfo | None) -> Payment:
    return Payment(
        id=row.id,
        provider=row.provider,
        external_id=row.external_id,
        amount_cents=row.amount_cents,
        method=row.method,
        reference=row.reference,
        paid_at=row.paid_at.astimezone(zone),
        cleared_at=row.cleared_at.astimezone(zone),
        invoice_id=row.invoice_id,
        bill_id=row.bill_id,
    )
