"""Rows of bills: what a payer of several contracts is sent as one, for each due date."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.tables import bills, contracts, invoices
from billing.account import Account


async def bill_for(
    connection: AsyncConnection, payer: Account, due_on: date, made_at: datetime
) -> int | None:
    """The bill that an invoice of this payer with this due date belongs to, made if need be.

    None: a payer of one running contract gets the invoice alone. The payer must be under lock.
    """
    if sum(contract.ended_on is None for contract in payer.contracts) < 2:
        return None
    row = {"subscriber_id": payer.subscriber_id, "due_on": due_on}
    await connection.execute(insert(bills).values(**row, made_at=made_at).on_conflict_do_nothing())
    found: int | None = await connection.scalar(select(bills.c.id).filter_by(**row))
    return found


async def payer_of_bill(connection: AsyncConnection, bill_id: int) -> int | None:
    """The subscriber who owes a bill; None: there is no such bill."""
    query = select(bills.c.subscriber_id).where(bills.c.id == bill_id)
    found: int | None = await connection.scalar(query)
    return found


async def invoices_of_bill(connection: AsyncConnection, bill_id: int) -> list[int]:
    """The ids of its invoices, in order."""
    query = select(invoices.c.id).where(invoices.c.bill_id == bill_id).order_by(invoices.c.id)
    return list(await connection.scalars(query))


def bill_rows(subscriber_id: int | None = None) -> Select[Any]:
    """For lists, a page at a time."""
    query = select(*bills.c)
    return query.where(bills.c.subscriber_id == subscriber_id) if subscriber_id else query


def invoice_rows_of_bills(bill_ids: list[int]) -> Select[Any]:
    """Every invoice of some bills, as lists of invoices show them."""
    return (
        select(*invoices.c, contracts.c.policy)
        .join(contracts, invoices.c.contract_id == contracts.c.id)
        .where(invoices.c.bill_id.in_(bill_ids))
        .order_by(invoices.c.id)
    )
