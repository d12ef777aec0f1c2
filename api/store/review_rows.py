"""Whom a sweep looks at, and who of them needs no look of their own."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store import places
from billing.quiet import Quiet

# Whose cut waits its turn is not planned twice. NOT IN is one hash of those few; as a join it would
# be planned for however many rows a table without statistics may have.
_DUE = """
(c.review_on <= :now
 and c.id not in (select w.contract_id from review_rows w where w.state = 'waiting'))
"""
# For people: also whom something holds back, that no sweep has to look at for it.
_SHOWN = f"""
({_DUE} or c.ended_on is null and (
  c.reason in ('promise', 'hold', 'kill_switch', 'guard', 'stale_feed', 'outage', 'never_block',
               'agreement', 'awaiting_notice', 'below_minimum')
  or exists (select from disputes d where d.contract_id = c.id and d.state = 'open')))
"""
_ASKED = "c.id = any(cast(:asked as bigint[]))"

# By payer, so that whoever is looked at once is not met again in the same run.
_PAYERS = """
select distinct subscriber_id from contracts c
 where subscriber_id > :after and {} order by subscriber_id limit :limit
"""

# A contract is quiet if all that a look could say of it follows from the due dates of what it owes.
_CONTRACTS = """
select c.id as contract_id, c.subscriber_id, c.policy, c.reason, c.review_on, o.due_on,
       c.ended_on is null and c.level = 'full' and c.rungs = '[]'::jsonb
       and c.quota_spent_until is null and p.quota_octets is null
       and not exists (select from promises r where r.contract_id = c.id and r.state = 'running')
       and not exists (select from agreements a where a.contract_id = c.id
                        and a.state in ('awaiting_approval', 'offered', 'running'))
       and not exists (select from disputes d where d.contract_id = c.id and d.state = 'open')
       and not exists (select from pauses s where s.contract_id = c.id
                        and s.until_on >= cast(:today as date) - 1)
       and (o.keys is null or not exists (
         select from notices n
          where n.subscriber_id = c.subscriber_id and n.amounts_cents ?| o.keys)) as quiet
  from contracts c join plans p on p.id = c.plan_id,
       lateral (select array_agg(i.due_on order by i.due_on) as due_on,
                       array_agg(i.id::text) as keys
                  from invoices i
                 where i.contract_id = c.id and i.state = 'open'
                   and i.amount_cents > i.paid_cents + i.discount_cents) as o
 where c.subscriber_id = any(cast(:payers as bigint[])) and {}
 order by c.subscriber_id, c.id
"""
_PAYERS_DUE, _PAYERS_SHOWN, _PAYERS_ASKED = (
    text(_PAYERS.format(wanted)) for wanted in (_DUE, _SHOWN, _ASKED)
)
_CONTRACTS_DUE, _CONTRACTS_SHOWN, _CONTRACTS_ASKED = (
    text(_CONTRACTS.format(wanted)) for wanted in (_DUE, _SHOWN, _ASKED)
)
_LOWERED = text(f"select c.id from contracts c where c.level <> 'full' and {_DUE}")  # noqa: S608
_NEXT_AFTER = text("select min(review_on) from contracts where review_on > :instant")

# In one order, so that two who lock many never wait for each other in a circle.
_LOCK_FREE = text("""
select id from subscribers where id = any(cast(:ids as bigint[])) order by id for update skip locked
""")

_KEEP_QUIET = text("""
update contracts c set reason = m.reason, review_on = m.review_on
  from jsonb_to_recordset(cast(:looks as jsonb))
    as m(id bigint, reason text, review_on timestamptz)
 where c.id = m.id and (c.reason, c.review_on) is distinct from (m.reason, m.review_on)
""")

# Who they are, for people: the NAS is that of the open line, else of the last one.
_CONTEXT = text("""
select c.id, b.name as subscriber, coalesce(n.name, '') as nas
  from contracts c join subscribers b on b.id = c.subscriber_id
  left join lateral (
    select s.nas_id from sessions s where s.contract_id = c.id
     order by s.stopped_at is null desc, s.started_at desc limit 1) as line on true
  left join nases n on n.id = line.nas_id
 where c.id = any(cast(:ids as bigint[]))
""")


class Due(NamedTuple):
    """A contract to look at. `due_on` are the due dates of what it owes."""

    contract_id: int
    subscriber_id: int
    policy: str
    reason: str
    review_on: datetime | None
    due_on: list[date] | None
    quiet: bool


class Context(NamedTuple):
    subscriber: str
    nas: str
    region: str


async def payers(
    connection: AsyncConnection,
    now: datetime,
    asked: Sequence[int] | None,
    after: int,
    limit: int,
    *,
    with_held: bool = False,
) -> Sequence[int]:
    """The next payers with a contract that is due, or with one of those asked for.

    `with_held`: or with one that something holds back.
    """
    wanted: dict[str, object] = {"after": after, "limit": limit}
    if asked is None:
        query = _PAYERS_SHOWN if with_held else _PAYERS_DUE
        found = await connection.execute(query, wanted | {"now": now})
    else:
        found = await connection.execute(_PAYERS_ASKED, wanted | {"asked": asked})
    return found.scalars().all()


async def lowered(connection: AsyncConnection, now: datetime) -> Sequence[int]:
    """The contracts that are due for a look and could only be restored by it, or cut further."""
    return (await connection.execute(_LOWERED, {"now": now})).scalars().all()


async def next_after(connection: AsyncConnection, instant: datetime) -> datetime | None:
    """The first instant after this one at which a contract is to be looked at."""
    found: datetime | None = await connection.scalar(_NEXT_AFTER, {"instant": instant})
    return found


async def due(
    connection: AsyncConnection,
    now: datetime,
    asked: Sequence[int] | None,
    payer_ids: Sequence[int],
    *,
    with_held: bool = False,
) -> list[Due]:
    """The contracts of these payers that are due, or asked for; `with_held`: or held back."""
    wanted: dict[str, object] = {"payers": list(payer_ids), "today": now.date()}
    if asked is None:
        query = _CONTRACTS_SHOWN if with_held else _CONTRACTS_DUE
        found = await connection.execute(query, wanted | {"now": now})
    else:
        found = await connection.execute(_CONTRACTS_ASKED, wanted | {"asked": asked})
    return [Due(*row) for row in found]


async def lock_free(connection: AsyncConnection, payer_ids: Sequence[int]) -> Sequence[int]:
    """Lock those of the payers whom nobody else has locked, until commit."""
    found = await connection.execute(_LOCK_FREE, {"ids": list(payer_ids)})
    return found.scalars().all()


async def keep_quiet(connection: AsyncConnection, looks: Mapping[int, Quiet]) -> None:
    """Write what was said of quiet contracts, whose payers the caller has locked."""
    if looks:
        said = [
            {
                "id": number,
                "reason": look.reason,
                "review_on": look.review_on and look.review_on.isoformat(),
            }
            for number, look in looks.items()
        ]
        await connection.execute(_KEEP_QUIET, {"looks": json.dumps(said)})


async def context(connection: AsyncConnection, contract_ids: Collection[int]) -> dict[int, Context]:
    """Whose contracts these are, on which NAS and where."""
    regions = await places.regions_of(connection, contract_ids)
    rows = await connection.execute(_CONTEXT, {"ids": list(contract_ids)})
    return {row.id: Context(row.subscriber, row.nas, regions.get(row.id, "")) for row in rows}
