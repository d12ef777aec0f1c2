"""Sessions that are not heard of any more: stale first, then closed.

Silence is measured against what was shipped, not against now: after an outage of the database or
of a shipper our own records are late, and nobody is gone because of that.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Three interims may be lost; at six the line is gone.
_STALE_AFTER = "make_interval(secs => 3 * interim_s + 60)"
_LOST_AFTER = "make_interval(secs => 6 * interim_s)"

# What was not heard of since this instant is stale. It suffices that one node has nothing
# outstanding: to be stale costs a line nothing but its place in the count.
STALE_BEFORE = f"""
coalesce((select max(shipped_until - {_STALE_AFTER}) from shippers), '-infinity')
"""  # noqa: S608 -- no text but our own constants
STALE = f"(s.received_at < {STALE_BEFORE})"

# What was not heard of since this instant is over. No node that was there within a day may have
# anything outstanding: one that is cut off from the database may hold records of lines that live.
_LOST_BEFORE = f"""
(select min(shipped_until - {_LOST_AFTER}) from shippers
  where seen_wall > clock_timestamp() - interval '1 day')
"""  # noqa: S608 -- no text but our own constants

_TELL = text("""
insert into shippers (name, shipped_until, interim_s, seen_wall)
values (:name, :until, :interim_s, clock_timestamp())
on conflict (name) do update set
  shipped_until = greatest(shippers.shipped_until, excluded.shipped_until),
  interim_s = excluded.interim_s, seen_wall = excluded.seen_wall
""")

_CLOSE_LOST = text(f"""
with lost as (
  select id from sessions
   where stopped_at is null and received_at < {_LOST_BEFORE}
   limit :limit for update skip locked
)
update sessions s
   set stopped_at = s.updated_at, terminate_cause = 'Lost-Carrier', stopped_by = null
  from lost where s.id = lost.id
returning s.id
""")  # noqa: S608 -- no text but our own constants


async def tell_shipped(
    connection: AsyncConnection, name: str, until: datetime, interim_s: int
) -> None:
    """All that this shipper's workers took in by `until` is stored.

    Args:
        connection: in any transaction after those that stored it.
        name: of the shipper.
        until: real time.
        interim_s: seconds between the interims that its node asks for.
    """
    parameters = {"name": name, "until": until, "interim_s": interim_s}
    await connection.execute(_TELL, parameters)


async def close_lost(connection: AsyncConnection, limit: int) -> int:
    """Close at most `limit` sessions whose line is gone; answers how many there were.

    The end is the last update, the only instant at which the line was known to be up. A record that
    comes later opens the session again.
    """
    return len((await connection.execute(_CLOSE_LOST, {"limit": limit})).all())
