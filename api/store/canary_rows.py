"""The first cuts of a plan: watched for a while, and what they brought."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.guard_rows import UNSETTLED

# The rest of a stopped plan was released by two people, who saw what stopped it: it goes on.
_BEGIN = text("""
update review_plans p set canary = 'waiting', canary_until = :until
 where p.id = :plan_id and p.canary is null and p.rest_of is null and p.cuts > :size
   and (select count(*) from review_rows r
         where r.plan_id = p.id and r.state = 'cut') >= :size
   and exists (select from review_rows r where r.plan_id = p.id and r.state = 'waiting')
returning id
""")
_WAITING = text("""
select id, canary_until from review_plans
 where canary = 'waiting' and state in ('running', 'released') order by id for update
""")
_NEXT_END = text("""
select min(canary_until) from review_plans
 where canary = 'waiting' and state in ('running', 'released')
""")
# What came after the cut of the contract: a payment of its payer, or one that is told of and not
# settled; a promise, a dispute or a hold of the contract.
_SIGNS = text(f"""
with first_cuts as (
  select r.contract_id, r.subscriber_id,
         (select max(k.at) from cuts k where k.contract_id = r.contract_id) as at
    from review_rows r where r.plan_id = :plan_id and r.state = 'cut'
)
select contract_id, sign from first_cuts f, lateral (
  select 'payment' as sign where exists (
    select from payments p where p.subscriber_id = f.subscriber_id and p.cleared_at > f.at)
    or f.subscriber_id in ({UNSETTLED} and n.received_at > f.at)
  union all
  select 'promise' where exists (
    select from promises p where p.contract_id = f.contract_id and p.made_at > f.at)
  union all
  select 'dispute' where exists (
    select from disputes d where d.contract_id = f.contract_id and d.opened_at > f.at)
  union all
  select 'hold' where exists (
    select from holds h where h.contract_id = f.contract_id and h.placed_at > f.at)
) as signs order by contract_id, sign
""")  # noqa: S608 -- no text but our own constants
_REST_OF = text("select id from review_plans where rest_of = :plan_id")
_SET = text("update review_plans set canary = :canary where id = :plan_id")
_TAKE_REST = text("""
with rest as (
  update review_rows set state = 'left', outcome = 'canary'
   where plan_id = :plan_id and state = 'waiting' returning *
)
select * from rest order by contract_id
""")


class Watched(NamedTuple):
    """A plan whose first cuts are watched until then, in business time."""

    plan_id: int
    until: datetime


async def begin(connection: AsyncConnection, plan_id: int, size: int, until: datetime) -> bool:
    """Watch a plan's cuts if `size` of them are made and more wait; whether that begins now."""
    asked = {"plan_id": plan_id, "size": size, "until": until}
    return (await connection.execute(_BEGIN, asked)).first() is not None


async def watched(connection: AsyncConnection) -> list[Watched]:
    """The plans that are watched now, locked."""
    return [Watched(*row) for row in await connection.execute(_WAITING)]


async def next_end(connection: AsyncConnection) -> datetime | None:
    """When the first watch ends; None: nothing is watched."""
    found: datetime | None = await connection.scalar(_NEXT_END)
    return found


async def signs(connection: AsyncConnection, plan_id: int) -> Sequence[tuple[int, str]]:
    """Of whom a plan cut who paid or complained since: the contract, and how."""
    rows = await connection.execute(_SIGNS, {"plan_id": plan_id})
    return [(row.contract_id, row.sign) for row in rows]


async def passed(connection: AsyncConnection, plan_id: int) -> None:
    """Nobody did: the rest may be cut."""
    await connection.execute(_SET, {"plan_id": plan_id, "canary": "passed"})


async def rest_of(connection: AsyncConnection, plan_id: int) -> int | None:
    """The plan of what was left of a stopped one; None: it was not stopped."""
    found: int | None = await connection.scalar(_REST_OF, {"plan_id": plan_id})
    return found


async def stop(connection: AsyncConnection, plan_id: int) -> Sequence[Row[Any]]:
    """Take the cuts that wait out of a plan; its rows."""
    await connection.execute(_SET, {"plan_id": plan_id, "canary": "stopped"})
    return (await connection.execute(_TAKE_REST, {"plan_id": plan_id})).all()
