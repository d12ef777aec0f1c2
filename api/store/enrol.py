"""Whom the runs bill: contracts are enrolled by the first run, or change, that meets them."""

from datetime import date, tzinfo

from sqlalchemy import TextClause, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.billing_tables import contract_billing
from api.store.uow import Uow
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
on conflict do nothing returning contract_id, started_on, next_due_on
""")
AT_ONCE = 10_000


async def enrol(uow: Uow, after: int, zone: tzinfo) -> int | None:
    """Enrol some contracts that no run has met, by id; the last id, None: there are no more."""
    ids = await _enrol(uow, _NEW_ONES, {"after": after, "limit": AT_ONCE}, zone)
    return ids[-1] if ids else None


async def enrol_one(uow: Uow, contract_id: int, zone: tzinfo) -> None:
    """Enrol one contract, if it is not."""
    await _enrol(uow, _NEW_ONE, {"contract_id": contract_id}, zone)


async def pays_automatically(connection: AsyncConnection, contract_id: int) -> bool:
    """Whether an enrolled contract is paid automatically."""
    query = select(contract_billing.c.automatic_payment).where(
        contract_billing.c.contract_id == contract_id
    )
    return bool(await connection.scalar(query))


async def _enrol(uow: Uow, query: TextClause, which: dict[str, int], zone: tzinfo) -> list[int]:
    """A contract begins on the local day on which it was made.

    One that has invoices by then is billed by hand, and runs leave it alone.
    """
    ids, started, dues = [], [], []
    for row in (await uow.connection.execute(query, which)).all():
        begins = row.created_at.astimezone(zone).date()
        due_on = first_due(begins, (DueDay(begins, row.due_day),), Mode.ARREARS)
        ids.append(row.id)
        started.append(begins)
        dues.append(None if row.by_hand or row.ended_on is not None else due_on)
    if ids:
        made = {"ids": ids, "started": started, "dues": dues}
        begun = (await uow.connection.execute(_ENROL, made)).all()
        if begun:
            one = len(begun) == 1
            subject = f"contract:{begun[0].contract_id}" if one else f"contracts:{len(begun)}"
            # By place, as `api.verify_billing` reads it.
            told = [
                [row.contract_id, _shown(row.started_on), _shown(row.next_due_on)] for row in begun
            ]
            await uow.audit("cycles.began", subject, {"contracts": told})
    return ids


def _shown(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None
