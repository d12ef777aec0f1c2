"""Debts on a real database, made the way the product makes them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Table, select

from api.house import House
from api.store.staff_tables import audit_log
from billing.account import issue_invoice
from billing.invoice import Invoice, Line
from billing.payments.provider import PaymentProvider


def with_provider(house: House, provider: PaymentProvider) -> House:
    """The same house, at which money comes in through this provider."""
    return replace(house, providers={provider.name: provider})


async def issue(house: House, contract_id: int, due_on: date, cents: int = 9990) -> int:
    """An issued invoice; its id."""
    async with house.uow("test", "issue") as uow:
        before = await uow.account(await uow.payer_of_contract(contract_id))
        invoice = Invoice(
            id=await uow.draw("invoices"),
            contract_id=contract_id,
            due_on=due_on,
            issued_at=uow.clock.now(),
            lines=(Line("Plano", cents),),
        )
        _, facts = issue_invoice(before, invoice, await uow.desk())
        await uow.record(before, facts)
        return invoice.id


async def move_clock(house: House, to: datetime) -> None:
    """Set the rehearsal clock; nothing that is due is done."""
    async with house.uow("test", "clock") as uow:
        await uow.move_clock(to)


async def rows(house: House, table: Table) -> Sequence[Mapping[str, Any]]:
    """All rows of a table, by its first column."""
    async with house.uow("test", "read") as uow:
        found = await uow.connection.execute(select(table).order_by(table.c[0]))
        return [dict(row) for row in found.mappings()]


async def audited(house: House, action: str) -> list[Mapping[str, Any]]:
    """The audit rows of one action."""
    return [row for row in await rows(house, audit_log) if row["action"] == action]
