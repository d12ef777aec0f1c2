"""Whom the runs bill: contracts are enrolled by the first run, or change, that meets them."""

from datetime import tzinfo

from sqlalchemy import TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.billing_tables import contract_billing
from billing.cycle import DueDay, Mode
from billing.subscription import first_due

_NEW = """
select c.id, c.created_at, c.due_day, c.ended_on,
       exists (select from invoices i where i.contract_id = c.id) as by_hand
  from contracts c left join contract_billing b on b.contract_id = c.id
 where b.contract_id is null
"""
_NEW_ONE = text(f"{_NEW} and c.id = :contract_id")
_NEW_ONES = text(f"{_NEW} and c.id > :after order by c.id limit :limit")
_ENROL = text("""
insert into contract_billing (contract_id, started_on, billed_until, credited_until, next_due_on)
select m.id, m.started_on, m.started_on, m.started_on, m.next_due_on
  from unnest(cast(:ids as bigint[]), cast(:started as date[]), cast(:dues as date[]))
    as m(id, started_on, next_due_on)
on conflict do nothing
""")
AT_ONCE = 10_000


async def enrol(connection: AsyncConnection, after: int, zone: tzinfo) -> int | None:
    """Enrol some contracts that no run has met, by id; the last id, None: there are no more."""
    ids = await _enrol(connection, _NEW_ONES, {"after": after, "limit": AT_ONCE}, zone)
    return ids[-1] if ids else None


async def enrol_one(connection: AsyncConnection, contract_id: int, zone: tzinfo) -> None:
    """Enrol one contract, if it is not."""
    await _enrol(connection, _NEW_ONE, {"contract_id": contract_id}, zone)


async def pays_automatically(connection: AsyncConnection, contract_id: int) -> bool:
    """Whether an enrolled contract is paid automatically."""
    query = select(contract_billing.c.automatic_payment).where(
        contract_billing.c.contract_id == contract_id
    )
    return bool(await connection.scalar(query))


async def _enrol(
    connection: AsyncConnection, query: TextClause, which: dict[str, int], zone: tzinfo
) -> list[int]:
    """A contract begins on the local day on which it was made.

    One that has invoices by then is billed by hand, and runs leave it alone.
    """
    ids, started, dues = [], [], []
    for row in (await connection.execute(query, which)).all():
        begins = row.created_at.astimezone(zone).date()
        due_on = first_due(begins, (DueDay(begins, row.due_day),), Mode.ARREARS)
        ids.append(row.id)
        started.append(begins)
        dues.append(None if row.by_hand or row.ended_on is not None else due_on)
    if ids:
        await connection.execute(_ENROL, {"ids": ids, "started": started, "dues": dues})
    return ids
