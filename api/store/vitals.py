"""What readiness and metrics read: who told that it lives, and how much work is open."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.customer_tables import contracts
from api.store.network_tables import nodes, sessions

# Indexed where rows pile up, so a scrape stays cheap at a hundred thousand contracts.
_OPEN = text("""
select 'payment_notices' as queue, count(*) from payment_notices where state = 'received'
union all select 'notices', count(*) from notices where state = 'drawn'
union all select 'suspense', count(*) from payments where state = 'suspense'
union all select 'reviews', count(*) from contracts where review_on <= :now
union all select 'converge', count(*) from sessions s join contracts c on c.id = s.contract_id
           where s.stopped_at is null
             and (s.applied_generation < c.generation or c.ended_on is not null)
union all select 'failed_lines', count(*) from sessions s join contracts c on c.id = s.contract_id
           where s.stopped_at is null and s.failed_generation >= c.generation
union all select 'listing_alarms', count(*) from listings
           where alarmed_at is not null and state not in ('removed', 'cancelled')
""")


@dataclass(frozen=True, slots=True)
class Beat:
    """A process that tells, every few seconds, that it lives. `age_s` is since the last time."""

    name: str
    age_s: float
    is_worker: bool
    counters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Vitals:
    beats: list[Beat]
    levels: dict[str, int]
    open: dict[str, int]
    online: int


async def beats(connection: AsyncConnection) -> list[Beat]:
    age = func.extract("epoch", func.clock_timestamp() - nodes.c.seen_wall)
    found = await connection.execute(
        select(nodes.c.name, age, nodes.c.state).order_by(nodes.c.name)
    )
    return [
        Beat(name, float(age_s), state.get("role") == "worker", state.get("counters", {}))
        for name, age_s, state in found
    ]


async def read(connection: AsyncConnection, now: datetime) -> Vitals:
    by_level = select(contracts.c.level, func.count()).where(contracts.c.ended_on.is_(None))
    levels = await connection.execute(by_level.group_by(contracts.c.level))
    waiting = await connection.execute(_OPEN, {"now": now})
    online = await connection.scalar(
        select(func.count()).select_from(sessions).where(sessions.c.stopped_at.is_(None))
    )
    return Vitals(
        beats=await beats(connection),
        levels={row[0]: row[1] for row in levels},
        open={row[0]: row[1] for row in waiting},
        online=online or 0,
    )
