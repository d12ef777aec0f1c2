"""What is known of sessions: how far each is from desired, and how long restores take."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.levels import SEVERITY
from api.store.silence import STALE

_OF_CONTRACT = text(f"""
select s.id, n.name as nas, host(s.ipv4) as ipv4, s.applied_generation as generation,
       s.last_outcome, {STALE} as stale,
       case when s.applied_generation < c.generation and s.failed_generation = c.generation
              then 'failed'
            when s.applied_generation < c.generation then 'pending'
            when s.observed_generation < s.applied_generation then 'applied'
            else 'observed' end as state
  from sessions s join contracts c on c.id = s.contract_id join nases n on n.id = s.nas_id
 where s.contract_id = :contract and s.stopped_at is null
 order by s.id
""")  # noqa: S608 -- no text but our own constants


# A restore starts with the payment notice that caused it, where one did; else with the decision.
# It is applied by a CoA that was acknowledged, or by a line that dialled and was granted it.
_RESTORES = f"""
with arrived as (
  select correlation_id, min(received_wall) as received_wall from payment_notices
   where received_wall > clock_timestamp() - interval '2 days' group by correlation_id
), restores as (
  select d.contract_id, d.generation, coalesce(a.received_wall, d.decided_wall) as began_wall
    from access_decisions d
    left join access_decisions p
      on p.contract_id = d.contract_id and p.generation = d.generation - 1
    left join arrived a on a.correlation_id = d.correlation_id
   where d.decided_wall > clock_timestamp() - interval '1 day'
     and {SEVERITY.format("d.level")} < {SEVERITY.format("coalesce(p.level, 'full')")}
), told as (
  select contract_id, generation, max(answered_wall) as answered_wall from network_actions
   where kind = 'coa' and outcome = 'ack' group by contract_id, generation
)
"""  # noqa: S608 -- no text but our own constants

_TIMES = text(f"""
{_RESTORES}, ends as (
  select r.began_wall,
         coalesce(t.answered_wall, (
           select min(s.applied_wall) from sessions s
            where s.contract_id = r.contract_id and s.applied_generation = r.generation
         )) as applied_wall,
         (select min(s.observed_wall) from sessions s
           where s.contract_id = r.contract_id and s.observed_generation = r.generation
         ) as observed_wall
    from restores r left join told t using (contract_id, generation)
), waits as (
  select 'applied' as reached, 1000 * extract(epoch from applied_wall - began_wall) as ms from ends
  union all
  select 'observed', 1000 * extract(epoch from observed_wall - began_wall) from ends
)
select reached, count(ms) as count,
       cast(percentile_disc(0.5) within group (order by ms) as bigint) as p50_ms,
       cast(percentile_disc(0.99) within group (order by ms) as bigint) as p99_ms
  from waits group by reached
""")  # noqa: S608 -- no text but our own constants

_OPEN = text(f"""
{_RESTORES}
select r.contract_id, r.generation, s.id as session_id, n.name as nas, s.last_outcome,
       cast(1000 * extract(epoch from clock_timestamp() - r.began_wall) as bigint) as waiting_ms
  from restores r
  join contracts c on c.id = r.contract_id and c.generation = r.generation
  join sessions s on s.contract_id = c.id and s.stopped_at is null
                 and s.applied_generation < c.generation
  join nases n on n.id = s.nas_id
 order by r.began_wall
""")  # noqa: S608 -- no text but our own constants


async def of_contract(connection: AsyncConnection, contract_id: int) -> list[dict[str, Any]]:
    """The contract's open sessions and how far each is: pending, applied, observed or failed."""
    rows = await connection.execute(_OF_CONTRACT, {"contract": contract_id})
    return [dict(row) for row in rows.mappings()]


async def restore_metrics(connection: AsyncConnection) -> dict[str, object]:
    """Restores of the last 24 hours, in milliseconds, and the lines that still wait for theirs.

    A subscriber whose line is down is in neither: the next dial brings it.
    """
    metrics: dict[str, object] = {}
    for row in await connection.execute(_TIMES):
        metrics[row.reached] = {"count": row.count, "p50_ms": row.p50_ms, "p99_ms": row.p99_ms}
    open_rows: list[dict[str, Any]] = [
        dict(row) for row in (await connection.execute(_OPEN)).mappings()
    ]
    return metrics | {"open": open_rows}
