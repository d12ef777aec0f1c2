"""Rows of the billing runs: who is due, what ran, what is parked."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, delete, exists, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.billing_tables import billing_runs, contract_billing, parked_invoices
from api.store.chain import plain
from api.store.customer_tables import contracts
from api.store.money_tables import invoices
from api.store.uow import Uow
from billing.invoice import Line
from billing.recurring import Proposal

_PLAN_CHANGES = text("""
select c.id, p.plan_id from contracts c join contract_plans p on p.contract_id = c.id
 where p.plan_id <> c.plan_id and c.ended_on is null
   and p.from_on = (select max(q.from_on) from contract_plans q
       where q.contract_id = c.id and q.from_on <= :today)
""")


async def plan_changes(connection: AsyncConnection, today: date) -> dict[int, int]:
    """The plan that each contract is billed for today, where it has another one still."""
    rows = await connection.execute(_PLAN_CHANGES, {"today": today})
    return {row.id: row.plan_id for row in rows}


async def due_count(connection: AsyncConnection, horizon: date) -> int:
    """How many contracts have an invoice to be issued that is due by `horizon`."""
    query = select(func.count()).where(contract_billing.c.next_due_on <= horizon)
    return int(await connection.scalar(query) or 0)


async def due(connection: AsyncConnection, horizon: date, after: int, limit: int) -> list[int]:
    """Their ids, in order."""
    found = await connection.execute(
        select(contract_billing.c.contract_id)
        .where(contract_billing.c.next_due_on <= horizon, contract_billing.c.contract_id > after)
        .order_by(contract_billing.c.contract_id)
        .limit(limit)
    )
    return list(found.scalars())


async def next_due(connection: AsyncConnection, after: date) -> date | None:
    """The earliest due date after `after` that is to be billed."""
    found: date | None = await connection.scalar(
        select(func.min(contract_billing.c.next_due_on)).where(
            contract_billing.c.next_due_on > after
        )
    )
    return found


async def was_billed_by_hand_first(connection: AsyncConnection) -> bool:
    """Whether there are invoices and no run issued any."""
    query = select(exists(select(invoices.c.id)) & ~exists(select(billing_runs.c.id)))
    return bool(await connection.scalar(query))


async def begin_run(connection: AsyncConnection, until: date, at: datetime, actor: str) -> int:
    made = await connection.execute(
        insert(billing_runs)
        .values(until_on=until, started_at=at, actor=actor)
        .returning(billing_runs.c.id)
    )
    return int(made.scalar_one())


async def forget_run(connection: AsyncConnection, run_id: int) -> None:
    """It found nothing to do: what is due waits for a person."""
    await connection.execute(delete(billing_runs).where(billing_runs.c.id == run_id))


async def end_run(
    connection: AsyncConnection,
    run_id: int,
    at: datetime,
    invoices: int,
    amount_cents: int,
    parked_count: int,
) -> None:
    await connection.execute(
        update(billing_runs)
        .where(billing_runs.c.id == run_id)
        .values(ended_at=at, invoices=invoices, amount_cents=amount_cents, parked=parked_count)
    )


def run_rows() -> Select[Any]:
    return select(*billing_runs.c)


def parked_rows(state: str | None = None) -> Select[Any]:
    query = select(*parked_invoices.c)
    return query.where(parked_invoices.c.state == state) if state is not None else query


@dataclass(frozen=True, slots=True)
class Parked:
    id: int
    state: str


async def parked(connection: AsyncConnection, contract_id: int, due_on: date) -> Parked | None:
    """What is parked of a contract and due date; what was issued since is not."""
    found = await connection.execute(
        select(parked_invoices.c.id, parked_invoices.c.state).where(
            parked_invoices.c.contract_id == contract_id,
            parked_invoices.c.due_on == due_on,
            parked_invoices.c.state != "issued",
        )
    )
    row = found.one_or_none()
    return Parked(row.id, row.state) if row is not None else None


async def with_parked(connection: AsyncConnection, contract_ids: Collection[int]) -> set[int]:
    """Those of the contracts of which an invoice is parked, or released and not issued yet."""
    found = await connection.scalars(
        select(parked_invoices.c.contract_id).where(
            parked_invoices.c.contract_id.in_(contract_ids), parked_invoices.c.state != "issued"
        )
    )
    return set(found)


async def payers(connection: AsyncConnection, contract_ids: Collection[int]) -> list[int]:
    """Who pays for these contracts."""
    query = select(contracts.c.subscriber_id).distinct().where(contracts.c.id.in_(contract_ids))
    return list(await connection.scalars(query))


async def park(uow: Uow, contract_id: int, proposal: Proposal) -> None:
    """Park a proposed invoice, or keep what is wrong with it now where it is parked already."""
    values: Mapping[str, Any] = {
        "flaws": [flaw.value for flaw in proposal.flaws],
        "amount_cents": proposal.amount_cents,
        "lines": [_plain_line(line) for line in proposal.lines],
        "state": "parked",
    }
    known = await parked(uow.connection, contract_id, proposal.due_on)
    if known is not None:
        await uow.connection.execute(
            update(parked_invoices).where(parked_invoices.c.id == known.id).values(**values)
        )
        return
    place = {"contract_id": contract_id, "due_on": proposal.due_on}
    await uow.connection.execute(
        insert(parked_invoices).values(**place, **values, parked_at=uow.clock.now())
    )
    told = {
        "due_on": proposal.due_on.isoformat(),
        "flaws": values["flaws"],
        "amount_cents": proposal.amount_cents,
    }
    await uow.audit("invoice.parked", f"contract:{contract_id}", told)


async def unpark(connection: AsyncConnection, parked_id: int, invoice_id: int | None) -> None:
    """It was issued after all, or there was nothing left to issue."""
    await connection.execute(
        update(parked_invoices)
        .where(parked_invoices.c.id == parked_id)
        .values(state="issued", invoice_id=invoice_id)
    )


def _plain_line(line: Line) -> dict[str, Any]:
    return plain(asdict(line) | {"kind": line.kind.value})


async def next_due_of(connection: AsyncConnection, contract_id: int) -> date | None:
    """The due date of a contract's next invoice; None: no run bills it."""
    found: date | None = await connection.scalar(
        select(contract_billing.c.next_due_on).where(contract_billing.c.contract_id == contract_id)
    )
    return found
