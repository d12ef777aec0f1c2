"""Traffic quotas: what a cycle used, and whose quota is to be looked at.

Cycles are worked out by `billing.quota` and handed to the statements, one for each reset day.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.quota import RESET_DAYS, Meter, cycle_of

_RESET_DAY = "coalesce(c.quota_reset_day, c.due_day)"

# What contract `c` of plan `p` used; null without a quota. Sums are wide enough for whatever a NAS
# tells; one row's two counters together are not.
METERED = f"""
p.quota_octets, {_RESET_DAY} as reset_day,
case when p.quota_octets is not null then (
  select coalesce(sum(u.down_octets) + sum(u.up_octets), 0) from usage_days u
   where u.contract_id = c.id and u.day >= (cast(:cycles_start_on as date[]))[{_RESET_DAY}]
     and u.day < (cast(:cycles_end_on as date[]))[{_RESET_DAY}]
) end as used_octets
"""  # noqa: S608 -- no text but our own constants

_STANDING = f"""
select c.id, c.quota_spent_until, {METERED}
  from contracts c join plans p on p.id = c.plan_id
 where c.id = any(cast(:ids as bigint[])) and c.ended_on is null order by c.id
"""  # noqa: S608 -- no text but our own constants

_STANDINGS = text(_STANDING)

# Of most there is nothing to say: fetching them would take longer than adding them up.
_SPENT = text(f"""
select * from ({_STANDING}) as standing
 where quota_spent_until is not null or used_octets >= quota_octets
""")  # noqa: S608 -- no text but our own constants

_OVER = text("""
select id from contracts
 where quota_spent_until <= :today and ended_on is null and id > :after order by id limit :limit
""")

_NEXT_RESET = text("""
select min(quota_spent_until) from contracts
 where quota_spent_until > :today and ended_on is null
""")

_CHANGED = text("""
select contract_id, changes from quota_looks
 where contract_id > :after order by contract_id limit :limit
""")

# What changed again meanwhile was not seen by the look that is over.
_SEEN = text("""
delete from quota_looks q
 using unnest(cast(:ids as bigint[]), cast(:changes as bigint[])) as seen(contract_id, changes)
 where q.contract_id = seen.contract_id and q.changes = seen.changes
""")


@dataclass(frozen=True, slots=True)
class Standing:
    """A running contract's quota: what was decided of it, and what its meter shows now."""

    contract_id: int
    spent_until: date | None
    meter: Meter | None


@lru_cache(maxsize=4)
def cycles(today: date) -> Mapping[str, Sequence[date]]:
    """The parameters of `METERED`: the cycles that `today` falls in, by reset day."""
    every = [cycle_of(today, reset_day) for reset_day in RESET_DAYS]
    return {
        "cycles_start_on": [cycle.starts_on for cycle in every],
        "cycles_end_on": [cycle.ends_on for cycle in every],
    }


def read_meter(row: Mapping[Any, Any], today: date) -> Meter | None:
    """The meter of a row with the columns of `METERED`, read with the cycles of `today`."""
    if row["quota_octets"] is None:
        return None
    used_octets = int(row["used_octets"])
    return Meter(row["quota_octets"], used_octets, cycle_of(today, row["reset_day"]))


async def standings(
    connection: AsyncConnection, contract_ids: Collection[int], today: date
) -> list[Standing]:
    """How the quotas of these contracts stand; not of those that have ended."""
    rows = await connection.execute(_STANDINGS, {"ids": list(contract_ids), **cycles(today)})
    return [_standing(row, today) for row in rows.mappings()]


async def spent_standings(
    connection: AsyncConnection, contract_ids: Collection[int], today: date
) -> list[Standing]:
    """The same of those only whose quota is used up, by what was decided or by the meter."""
    rows = await connection.execute(_SPENT, {"ids": list(contract_ids), **cycles(today)})
    return [_standing(row, today) for row in rows.mappings()]


async def cycle_over(
    connection: AsyncConnection, today: date, after: int, limit: int
) -> Sequence[int]:
    """Contracts above `after` whose quota was used up until `today` or before."""
    asked = {"today": today, "after": after, "limit": limit}
    return (await connection.execute(_OVER, asked)).scalars().all()


async def next_reset(connection: AsyncConnection, today: date) -> date | None:
    """The first day after `today` on which a used up quota is whole again."""
    found: date | None = await connection.scalar(_NEXT_RESET, {"today": today})
    return found


async def changed(connection: AsyncConnection, after: int, limit: int) -> dict[int, int]:
    """Contracts above `after` of which something changed; how often, by contract id."""
    rows = await connection.execute(_CHANGED, {"after": after, "limit": limit})
    return {row.contract_id: row.changes for row in rows}


async def seen(connection: AsyncConnection, changes: Mapping[int, int]) -> None:
    """Forget changes that a look has seen, as `changed` answered them."""
    await connection.execute(
        _SEEN, {"ids": list(changes.keys()), "changes": list(changes.values())}
    )


def _standing(row: Mapping[Any, Any], today: date) -> Standing:
    return Standing(row["id"], row["quota_spent_until"], read_meter(row, today))
