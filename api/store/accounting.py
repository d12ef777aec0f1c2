"""Accounting records into the sessions table: many to a statement, harmless when repeated.

Counters take the greater value and instants the later one, so replays, duplicates and records out
of order end in the same row (invariant N5).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(slots=True)
class SessionChange:
    """What one or more accounting records of one session say, already folded together."""

    unique_id: bytes
    acct_session_id: str
    username: str
    login_id: int | None
    granted_generation: int
    nas_id: int
    nas_address: str
    nas_port_id: str | None
    ipv4: str | None
    ipv6: str | None
    delegated_ipv6: str | None
    mac: str | None
    class_value: bytes | None
    started_at: datetime
    updated_at: datetime
    stopped_at: datetime | None
    session_seconds: int
    input_octets: int
    output_octets: int
    terminate_cause: str | None
    received_at: datetime

    def fold(self, later: "SessionChange") -> None:
        """Take in another record of the same session, in any order."""
        self.started_at = min(self.started_at, later.started_at)
        self.updated_at = max(self.updated_at, later.updated_at)
        self.received_at = max(self.received_at, later.received_at)
        self.session_seconds = max(self.session_seconds, later.session_seconds)
        self.input_octets = max(self.input_octets, later.input_octets)
        self.output_octets = max(self.output_octets, later.output_octets)
        self.stopped_at = self.stopped_at or later.stopped_at
        self.terminate_cause = self.terminate_cause or later.terminate_cause
        for name in ("nas_port_id", "ipv4", "ipv6", "delegated_ipv6", "mac"):
            setattr(self, name, getattr(self, name) or getattr(later, name))


# A NAS may acknowledge a Disconnect and not do it: a line that we closed and that is heard of later
# is open, and due for what it should be.
_REOPENS = """
(s.terminate_cause in ('Admin-Reset', 'Lost-Session') and excluded.stopped_at is null
 and excluded.updated_at > s.stopped_at + interval '5 seconds')
"""

# The Class that came with the Access-Accept says which generation the line was granted, so a
# redial needs no CoA and is its own proof.
_UPSERT = text(
    """
with told as (
  select * from unnest(
    cast(:unique_id as bytea[]), cast(:acct_session_id as text[]), cast(:username as text[]),
    cast(:login_id as bigint[]), cast(:granted_generation as int[]), cast(:nas_id as bigint[]),
    cast(:nas_address as inet[]), cast(:nas_port_id as text[]), cast(:ipv4 as inet[]),
    cast(:ipv6 as cidr[]), cast(:delegated_ipv6 as cidr[]), cast(:mac as text[]),
    cast(:class_value as bytea[]), cast(:started_at as timestamptz[]),
    cast(:updated_at as timestamptz[]), cast(:stopped_at as timestamptz[]),
    cast(:session_seconds as bigint[]), cast(:input_octets as bigint[]),
    cast(:output_octets as bigint[]), cast(:terminate_cause as text[]),
    cast(:received_at as timestamptz[])
  ) as t (unique_id, acct_session_id, username, login_id, granted, nas_id, nas_address,
    nas_port_id, ipv4, ipv6, delegated_ipv6, mac, class_value, started_at, updated_at, stopped_at,
    session_seconds, input_octets, output_octets, terminate_cause, received_at)
), known as (
  select t.*, l.contract_id, t.granted > 0 as proven,
         -- A NAS that returns no Class: the line was granted what was published when it came up.
         case when t.granted > 0 then t.granted when l.contract_id is null then 0
              else coalesce((select max(generation) from access_decisions d
                              where d.contract_id = l.contract_id
                                and d.decided_wall < t.started_at - interval '5 seconds'), 1)
         end as generation
    from told t
    join nases n on n.id = t.nas_id
    left join logins l on l.id = t.login_id or (t.login_id is null and l.username = t.username)
), matched as (
  select k.*, coalesce(d.level, case when k.generation = 1 then 'full' end) as granted_level
    from known k
    left join access_decisions d
      on d.contract_id = k.contract_id and d.generation = k.generation
)
insert into sessions as s (
  unique_id, acct_session_id, username, contract_id, nas_id, nas_address, nas_port_id, ipv4, ipv6,
  delegated_ipv6, mac, class, started_at, updated_at, stopped_at, session_seconds, input_octets,
  output_octets, terminate_cause, received_at, applied_generation, applied_level, applied_wall,
  observed_generation, observed_wall)
select unique_id, acct_session_id, username, contract_id, nas_id, nas_address, nas_port_id, ipv4,
  ipv6, delegated_ipv6, mac, class_value, started_at, updated_at, stopped_at, session_seconds,
  input_octets, output_octets, terminate_cause, received_at, generation, granted_level,
  case when generation > 0 then received_at end,
  case when proven then generation else 0 end, case when proven then received_at end
  from matched order by unique_id
on conflict (unique_id) do update set
  started_at = least(s.started_at, excluded.started_at),
  updated_at = greatest(s.updated_at, excluded.updated_at),
  received_at = greatest(s.received_at, excluded.received_at),
  stopped_at = case when _REOPENS then null else coalesce(s.stopped_at, excluded.stopped_at) end,
  terminate_cause = case when _REOPENS then null
    else coalesce(excluded.terminate_cause, s.terminate_cause) end,
  session_seconds = greatest(s.session_seconds, excluded.session_seconds),
  input_octets = greatest(s.input_octets, excluded.input_octets),
  output_octets = greatest(s.output_octets, excluded.output_octets),
  ipv4 = coalesce(excluded.ipv4, s.ipv4),
  ipv6 = coalesce(excluded.ipv6, s.ipv6),
  delegated_ipv6 = coalesce(excluded.delegated_ipv6, s.delegated_ipv6),
  mac = coalesce(excluded.mac, s.mac),
  observed_generation = case when excluded.received_at > s.applied_wall
    then s.applied_generation else s.observed_generation end,
  observed_wall = case when excluded.received_at > s.applied_wall
    and s.observed_generation < s.applied_generation then clock_timestamp()
    else s.observed_wall end
""".replace("_REOPENS", _REOPENS)
)

_WAKE = text("""
select pg_notify('religa_access', c.id::text)
  from contracts c join sessions s on s.contract_id = c.id
 where s.unique_id = any(cast(:unique_id as bytea[])) and s.stopped_at is null
   and s.applied_generation < c.generation
""")

_CLOSE_ALL = text("""
update sessions set stopped_at = greatest(updated_at, cast(:at as timestamptz)),
       terminate_cause = coalesce(terminate_cause, 'NAS-Reboot')
 where nas_id = :nas_id and nas_address = cast(:nas_address as inet) and stopped_at is null
   and started_at <= cast(:at as timestamptz)
""")


async def upsert(connection: AsyncConnection, changes: Sequence[SessionChange]) -> None:
    """Write folded changes, one a session, and wake whoever converges lines that lag behind."""
    if not changes:
        return
    columns: dict[str, list[object]] = {}
    for change in changes:
        for name, value in asdict(change).items():
            columns.setdefault(name, []).append(value)
    await connection.execute(_UPSERT, columns)
    await connection.execute(_WAKE, {"unique_id": columns["unique_id"]})


async def close_all(
    connection: AsyncConnection, nas_id: int, nas_address: str, at: datetime
) -> None:
    """Accounting-On or -Off: every session of this NAS begun by then is over."""
    await connection.execute(_CLOSE_ALL, {"nas_id": nas_id, "nas_address": nas_address, "at": at})
