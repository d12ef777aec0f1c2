"""Rows of bills: what a payer of several contracts is sent as one, for each due date."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.customer_tables import contracts
from api.store.money_tables import bills, invoices
from billing.account import Account

_MAKE = text("""
insert into bills (subscriber_id, due_on, made_at)
select m.subscriber_id, m.due_on, :made_at
  from unnest(cast(:ids as bigint[]), cast(:dues as date[])) as m(subscriber_id, due_on)
on conflict do nothing
""")
_FIND = text("""
select b.subscriber_id, b.due_on, b.id
  from unnest(cast(:ids as bigint[]), cast(:dues as date[])) as m(subscriber_id, due_on)
  join bills b on b.subscriber_id = m.subscriber_id and b.due_on = m.due_on
""")


def is_billed_jointly(payer: Account) -> bool:
    """Whether the payer's invoices come as bills: one of one running contract gets them alone."""
    return sum(contract.ended_on is None for contract in payer.contracts) > 1


async def bill_for(
    connection: AsyncConnection, payer: Account, due_on: date, made_at: datetime
) -> int | None:
    """The bill that an invoice of this payer with this due date belongs to, made if need be.

    None: a payer of one running contract gets the invoice alone. The payer must be under lock.
    """
    if not is_billed_jointly(payer):
        return None
    place = (payer.subscriber_id, due_on)
    return (await bills_for(connection, [place], made_at))[place]


async def bills_for(
    connection: AsyncConnection, places: Collection[tuple[int, date]], made_at: datetime
) -> dict[tuple[int, date], int]:
    """The bills of payers under lock and due dates, made if need be."""
    if not places:
        return {}
    ids, dues = zip(*places, strict=True)
    asked = {"ids": list(ids), "dues": list(dues)}
    await connection.execute(_MAKE, asked | {"made_at": made_at})
    return {(payer, on): number for payer, on, number in await connection.execute(_FIND, asked)}


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
