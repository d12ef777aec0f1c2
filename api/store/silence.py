"""Sessions that are not heard of any more: stale first, then closed.

Silence is measured against what was shipped, not against now: after an outage of the database or
of a shipper our own records are late, and nobody is gone because of that.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Three interims may be lost; at six the line is gone.
STALE_INTERIMS = 3
STALE_GRACE_S = 60
LOST_INTERIMS = 6

_TELL = text("""
insert into shippers (name, shipped_until, seen_wall)
values (:name, :until, clock_timestamp())
on conflict (name) do update set
  shipped_until = greatest(shippers.shipped_until, excluded.shipped_until),
  seen_wall = excluded.seen_wall
""")

# Before this instant nothing is outstanding, at any node that was there within a day. A node that
# is cut off from the database may hold what its NASes told of lines that live.
_ALL_SHIPPED = """
(select min(shipped_until) from shippers where seen_wall > clock_timestamp() - interval '1 day')
"""

_CLOSE_LOST = text(f"""
with lost as (
  select id from sessions
   where stopped_at is null and received_at < {_ALL_SHIPPED} - make_interval(secs => :lost_after_s)
   order by id limit :limit for update skip locked
)
update sessions s
   set stopped_at = s.updated_at, terminate_cause = 'Lost-Carrier', stopped_by = null
  from lost where s.id = lost.id
returning s.id
""")  # noqa: S608 -- no text but our own constants


def stale_after_s(interim_s: int) -> int:
    """A session that was not heard of for so long no longer counts as a line in use."""
    return STALE_INTERIMS * interim_s + STALE_GRACE_S


def lost_after_s(interim_s: int) -> int:
    """A session that was not heard of for so long is over."""
    return LOST_INTERIMS * interim_s


async def tell_shipped(connection: AsyncConnection, name: str, until: datetime) -> None:
    """All that this shipper's workers took in by `until` is stored."""
    await connection.execute(_TELL, {"name": name, "until": until})


async def close_lost(connection: AsyncConnection, interim_s: int, limit: int) -> int:
    """Close at most `limit` sessions whose line is gone; answers how many there were.

    The end is the last update, the only instant at which the line was known to be up. A record that
    comes later opens the session again.
    """
    parameters = {"lost_after_s": lost_after_s(interim_s), "limit": limit}
    return len((await connection.execute(_CLOSE_LOST, parameters)).all())
