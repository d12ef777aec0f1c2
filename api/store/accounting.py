"""Accounting records into sessions and usage: many to a statement, harmless when repeated.

The sessions of a batch are locked, each is taken further by `session_state.take`, and what that
adds to their usage is added in the same transaction.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.meter import Usage
from api.session_state import SessionChange, State, restored_meter, take
from api.store.usage import add


@dataclass(frozen=True, slots=True)
class Restart:
    """A NAS said by Accounting-On or -Off that it has no session begun before `at`."""

    nas_id: int
    nas_address: str
    at: datetime


@dataclass(frozen=True, slots=True)
class _Nas:
    wraps_at_4_gib: bool
    input_is_upload: bool


@dataclass(slots=True)
class _Taken:
    change: SessionChange
    state: State
    usage: Usage


_NASES = text("""
select id, wraps_at_4_gib, input_is_upload from nases where id = any(cast(:ids as bigint[]))
""")

# One text costs a quarter of what an array of octet strings does.
_IDS = "array(select decode(id, 'hex') from unnest(string_to_array(:{}, ',')) as told (id))"
_UNIQUE_IDS, _NEW_IDS = _IDS.format("unique_ids"), _IDS.format("new_ids")

# In order of their names, so that two shippers do not wait for each other.
_LOCK = text(f"""
select unique_id, contract_id, started_at, updated_at, stopped_at, stopped_by, terminate_cause,
       input_octets, output_octets, meter
  from sessions where unique_id = any({_UNIQUE_IDS}) order by unique_id for update
""")  # noqa: S608 -- no text but our own constants

_TOLD = """
select * from json_to_recordset(cast(:told as json)) as t (
  unique_id bytea, acct_session_id text, username text, login_id bigint, granted int,
  nas_id bigint, nas_address inet, nas_port_id text, ipv4 inet, ipv6 cidr, delegated_ipv6 cidr,
  mac text, class_value bytea, started_at timestamptz, updated_at timestamptz,
  told_at timestamptz, stopped_at timestamptz, stopped_by text, terminate_cause text,
  session_seconds bigint, input_octets bigint, output_octets bigint, meter bigint[],
  received_at timestamptz)
"""

# The Class that came with the Access-Accept says which generation the line was granted, so a
# redial needs no CoA and is its own proof.
_INSERT = text(f"""
with told as ({_TOLD}), known as (
  select t.*, l.contract_id, t.granted > 0 as proven,
         -- A NAS that returns no Class: the line was granted what was published when it came up.
         case when t.granted > 0 then t.granted when l.contract_id is null then 0
              else coalesce((select max(generation) from access_decisions d
                              where d.contract_id = l.contract_id
                                and d.decided_wall < t.started_at - interval '5 seconds'), 1)
         end as generation
    from told t
    left join logins l on l.id = t.login_id or (t.login_id is null and l.username = t.username)
), matched as (
  select k.*, coalesce(d.level, case when k.generation = 1 then 'full' end) as granted_level
    from known k
    left join access_decisions d
      on d.contract_id = k.contract_id and d.generation = k.generation
)
insert into sessions (
  unique_id, acct_session_id, username, contract_id, nas_id, nas_address, nas_port_id, ipv4, ipv6,
  delegated_ipv6, mac, class, started_at, updated_at, stopped_at, stopped_by, terminate_cause,
  session_seconds, input_octets, output_octets, meter, received_at, applied_generation,
  applied_level, applied_wall, observed_generation, observed_wall)
select unique_id, acct_session_id, username, contract_id, nas_id, nas_address, nas_port_id, ipv4,
  ipv6, delegated_ipv6, mac, class_value, started_at, updated_at, stopped_at, stopped_by,
  terminate_cause, session_seconds, input_octets, output_octets, meter, received_at, generation,
  granted_level, case when generation > 0 then received_at end,
  case when proven then generation else 0 end, case when proven then received_at end
  from matched order by unique_id
on conflict (unique_id) do nothing
returning unique_id, contract_id
""")  # noqa: S608 -- no text but our own constants

_LATER = "case when t.told_at >= s.updated_at then coalesce(t.{0}, s.{0})" + (
    " else coalesce(s.{0}, t.{0}) end"
)

_UPDATE = text(f"""
with t as ({_TOLD})
update sessions s set
  started_at = t.started_at, updated_at = t.updated_at,
  received_at = greatest(s.received_at, t.received_at),
  stopped_at = t.stopped_at, stopped_by = t.stopped_by, terminate_cause = t.terminate_cause,
  session_seconds = greatest(s.session_seconds, t.session_seconds),
  input_octets = t.input_octets, output_octets = t.output_octets, meter = t.meter,
  nas_port_id = {_LATER.format("nas_port_id")}, mac = {_LATER.format("mac")},
  ipv4 = {_LATER.format("ipv4")}, ipv6 = {_LATER.format("ipv6")},
  delegated_ipv6 = {_LATER.format("delegated_ipv6")},
  observed_generation = case when t.received_at > s.applied_wall
    then s.applied_generation else s.observed_generation end,
  observed_wall = case when t.received_at > s.applied_wall
    and s.observed_generation < s.applied_generation then clock_timestamp()
    else s.observed_wall end
  from t where s.unique_id = t.unique_id
""")  # noqa: S608 -- no text but our own constants

# Lines that lag behind, and contracts whose newest line may have been one too many.
_WAKE = text(f"""
select pg_notify('religa_access', contract_id::text) from (
  select s.contract_id
    from sessions s join contracts c on c.id = s.contract_id join plans p on p.id = c.plan_id
   where s.unique_id = any({_UNIQUE_IDS}) and s.stopped_at is null
     and (s.applied_generation < c.generation
          or (p.simultaneous_policy = 'drop_oldest'
              and s.unique_id = any({_NEW_IDS})))
) as due group by contract_id
""")  # noqa: S608 -- no text but our own constants

_KEEP_RESTARTS = text("""
insert into nas_restarts (nas_id, nas_address, at)
select nas_id, nas_address, at from json_to_recordset(cast(:restarts as json))
       as r (nas_id bigint, nas_address inet, at timestamptz) join nases n on n.id = nas_id
 order by nas_id, nas_address, at
on conflict do nothing
""")

# A session ends with the first restart that it had begun before and was not heard of after,
# whichever of the two we are told of first. A NAS that stopped it by name knows better.
_END_BY_RESTART = """
with ended as (
  select s.id, greatest(s.updated_at, min(r.at)) as at
    from sessions s
    join nas_restarts r on r.nas_id = s.nas_id and r.nas_address = s.nas_address
     and r.at >= s.started_at and r.at >= s.updated_at - interval '5 seconds'
   where (s.stopped_at is null or s.stopped_by = 'restart') and {}
   group by s.id
)
update sessions s
   set stopped_at = e.at, stopped_by = 'restart', terminate_cause = 'NAS-Reboot'
  from ended e where s.id = e.id and s.stopped_at is distinct from e.at
"""
_END_TOLD = text(_END_BY_RESTART.format(f"s.unique_id = any({_UNIQUE_IDS})"))
_END_OF_NAS = text(_END_BY_RESTART.format("s.nas_id = any(cast(:nas_ids as bigint[]))"))


async def keep(
    connection: AsyncConnection,
    changes: Iterable[SessionChange],
    restarts: Collection[Restart],
    zone: tzinfo,
) -> None:
    """Write what a batch of records says, and wake whoever converges the lines it speaks of.

    Args:
        connection: in the transaction that is to hold all of it.
        changes: folded, one a session.
        restarts: of NASes.
        zone: whose days usage is counted in.
    """
    if restarts:
        told = [
            {"nas_id": r.nas_id, "nas_address": r.nas_address, "at": r.at.isoformat()}
            for r in restarts
        ]
        await connection.execute(_KEEP_RESTARTS, {"restarts": json.dumps(told)})
    await _keep_changes(connection, {change.unique_id: change for change in changes}, zone)
    if restarts:
        nas_ids = list({restart.nas_id for restart in restarts})
        await connection.execute(_END_OF_NAS, {"nas_ids": nas_ids})


async def _keep_changes(
    connection: AsyncConnection, changes: dict[bytes, SessionChange], zone: tzinfo
) -> None:
    ids = list({change.nas_id for change in changes.values()})
    nases = {
        row.id: _Nas(row.wraps_at_4_gib, row.input_is_upload)
        for row in await connection.execute(_NASES, {"ids": ids})
    }
    # A NAS that was removed since.
    changes = {key: change for key, change in changes.items() if change.nas_id in nases}
    if not changes:
        return

    def taken(states: Mapping[bytes, State | None]) -> dict[bytes, _Taken]:
        return {
            key: _Taken(
                changes[key],
                *take(state, changes[key], wraps=nases[changes[key].nas_id].wraps_at_4_gib),
            )
            for key, state in states.items()
        }

    contracts, states = await _locked(connection, list(changes))
    new = taken({key: None for key in changes if key not in states})
    inserted = await _inserted(connection, new)
    # Another node's shipper was told of the same session at the same time.
    raced = [key for key in new if key not in inserted]
    if raced:
        contracts_raced, states_raced = await _locked(connection, raced)
        contracts |= contracts_raced
        states |= states_raced
    updated = taken(states)
    if updated:
        await connection.execute(_UPDATE, {"told": _json(updated.values())})
    every = {key: one for key, one in new.items() if key in inserted} | updated
    await _add_usage(connection, every, contracts | inserted, nases, zone)
    unique_ids = _hex(every)
    await connection.execute(_END_TOLD, {"unique_ids": unique_ids})
    await connection.execute(_WAKE, {"unique_ids": unique_ids, "new_ids": _hex(inserted)})


async def _locked(
    connection: AsyncConnection, unique_ids: Sequence[bytes]
) -> tuple[dict[bytes, int | None], dict[bytes, State]]:
    """Contract and state of each of these sessions that is known, nobody else's until commit."""
    contracts: dict[bytes, int | None] = {}
    states: dict[bytes, State] = {}
    for row in await connection.execute(_LOCK, {"unique_ids": _hex(unique_ids)}):
        contracts[row.unique_id] = row.contract_id
        counted = row.input_octets, row.output_octets
        states[row.unique_id] = State(
            *(row.started_at, row.updated_at),
            *(row.stopped_at, row.stopped_by, row.terminate_cause),
            *counted,
            restored_meter(row.meter, row.updated_at, *counted),
        )
    return contracts, states


async def _inserted(
    connection: AsyncConnection, new: dict[bytes, _Taken]
) -> dict[bytes, int | None]:
    """The contract of each session that was not there before."""
    if not new:
        return {}
    rows = await connection.execute(_INSERT, {"told": _json(new.values())})
    return {row.unique_id: row.contract_id for row in rows}


def _hex(unique_ids: Iterable[bytes]) -> str:
    return ",".join(map(bytes.hex, unique_ids))


def _json(taken: Iterable[_Taken]) -> str:
    return json.dumps([_told(one.change, one.state) for one in taken])


def _told(change: SessionChange, state: State) -> dict[str, Any]:
    stopped_at = state.stopped_at
    class_value = change.class_value
    return {
        "unique_id": "\\x" + change.unique_id.hex(),
        "acct_session_id": change.acct_session_id,
        "username": change.username,
        "login_id": change.login_id,
        "granted": change.granted_generation,
        "nas_id": change.nas_id,
        "nas_address": change.nas_address,
        "nas_port_id": change.nas_port_id,
        "ipv4": change.ipv4,
        "ipv6": change.ipv6,
        "delegated_ipv6": change.delegated_ipv6,
        "mac": change.mac,
        "class_value": None if class_value is None else "\\x" + class_value.hex(),
        "started_at": state.started_at.isoformat(),
        "updated_at": state.updated_at.isoformat(),
        "told_at": change.updated_at.isoformat(),
        "stopped_at": None if stopped_at is None else stopped_at.isoformat(),
        "stopped_by": state.stopped_by,
        "terminate_cause": state.terminate_cause,
        "session_seconds": change.session_seconds,
        "input_octets": state.input_octets,
        "output_octets": state.output_octets,
        "meter": state.meter.pack(),
        "received_at": change.received_at.isoformat(),
    }


async def _add_usage(
    connection: AsyncConnection,
    taken: dict[bytes, _Taken],
    contracts: dict[bytes, int | None],
    nases: dict[int, _Nas],
    zone: tzinfo,
) -> None:
    """Traffic of known contracts. What is not known whose it is counts for nobody."""
    used: dict[tuple[int, int], list[int]] = {}
    for key, one in taken.items():
        contract_id = contracts[key]
        if contract_id is not None:
            down = 1 if nases[one.change.nas_id].input_is_upload else 0
            for quarter, octets in one.usage.items():
                cell = used.setdefault((contract_id, quarter), [0, 0])
                cell[0] += octets[down]
                cell[1] += octets[1 - down]
    await add(connection, used, zone)
