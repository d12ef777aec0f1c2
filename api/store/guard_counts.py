"""What the guards count for a plan alone: a weekday's sweeps, and contracts by NAS.

Too dear for every look at an account; a plan is made once.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Before this day, that is before `now`'s own: a day that is not over says too little. What was cut
# half a year ago says nothing of today.
_WEEKDAY = text("""
select sum(made)::int as cuts from (
  select (p.made_at at time zone :zone)::date as day,
         (select count(*) from review_rows r where r.plan_id = p.id and r.state = 'cut') as made
    from review_plans p
   where p.state in ('running', 'released', 'done')
     and p.made_at > cast(:now as timestamptz) - interval '26 weeks' and p.made_at <= :now
     and extract(dow from p.made_at at time zone :zone)
         = extract(dow from cast(:now as timestamptz) at time zone :zone)
     and (p.made_at at time zone :zone)::date
         < (cast(:now as timestamptz) at time zone :zone)::date) as plans
 group by day having sum(made) > 0 order by day desc limit :days
""")

# The same NAS that a row of a plan tells: that of the open line, else of the last one.
_CONTRACTS_ON = text("""
select n.name, count(*) as contracts
  from contracts c
  join lateral (
    select s.nas_id from sessions s where s.contract_id = c.id
     order by s.stopped_at is null desc, s.started_at desc limit 1) as line on true
  join nases n on n.id = line.nas_id
 where c.ended_on is null and n.name = any(cast(:names as text[]))
 group by n.name
""")


async def weekday_cuts(
    connection: AsyncConnection, now: datetime, zone: str, days: int
) -> tuple[int, ...]:
    """What sweeps cut on each of the last days of this weekday that had cuts, the newest first."""
    found = await connection.execute(_WEEKDAY, {"now": now, "zone": zone, "days": days})
    return tuple(found.scalars())


async def contracts_on(connection: AsyncConnection, names: Collection[str]) -> dict[str, int]:
    """Running contracts of these NASes, by name; one without any is not in it."""
    if not names:
        return {}
    rows = await connection.execute(_CONTRACTS_ON, {"names": list(names)})
    return {row.name: row.contracts for row in rows}
