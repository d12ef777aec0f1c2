"""Sessions not yet as desired: claimed under a lease, sent to, and marked with the outcome.

A row is the schedule. It is due while its contract's generation is ahead of what it applied, while
its contract has newer lines than the plan allows and the plan drops the oldest, or while its
contract has ended. Leases run on the database's clock and are fenced: who lost the lease cannot
mark.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.levels import SEVERITY
from api.store.rates import RATES
from api.store.silence import STALE
from billing.access import Access, Level, Rates
from network.device import SessionKey


@dataclass(frozen=True, slots=True)
class Claim:
    """One open session, what it should be, and where to say so.

    Attributes:
        before: the level that the line is known to be at. Also FULL for a line that we never
            granted but whose contract was never walled: no wall of ours can be around it.
        restores: whether the line gets better, or may get better, by this.
        attempts: how many tries for this generation came to nothing so far.
        redials: how often each line of this contract was made to redial for this generation.
        failed: a person was called for this generation already.
        surplus: it is one line too many: to be dropped, whatever its access.
        ended: so is every line of a contract that has ended.
        cut: the line gets worse for debt by this.
        stopped: it is a cut, and a kill switch is on.
        correlation_id: of the decision; one id from the webhook to the answer of the NAS.
    """

    session_id: int
    contract_id: int
    nas_id: int
    nas_name: str
    nas_address: str
    coa_port: int
    sealed_secret: bytes
    dialect: str
    key: SessionKey
    generation: int
    access: Access
    before: Level | None
    restores: bool
    attempts: int
    redials: int
    failed: bool
    surplus: bool
    ended: bool
    cut: bool
    stopped: bool
    correlation_id: str

    @property
    def unwanted(self) -> bool:
        """Whether the line is to be dropped and not changed."""
        return self.surplus or self.ended


@dataclass(frozen=True, slots=True)
class Action:
    """One request and what came of it, as it is kept."""

    kind: Literal["coa", "disconnect"]
    outcome: Literal["ack", "nak", "silence", "superseded"]
    error_cause: int | None
    sends: int
    sent_wall: datetime
    answered_wall: datetime | None


# Not known what the line is at: perhaps the worst, so that whatever comes may be a restore.
# The quota alone makes a line better where the level stays and nothing is used up any more.
_RESTORES = f"""
({SEVERITY.format("c.level")} < {SEVERITY.format("s.applied_level")}
 or (c.level = s.applied_level and c.quota_spent_until is null))
"""

# Whether anything came to nothing for the generation that is desired now. Only then do the row's
# attempts and its next attempt speak of this generation and not of an older one.
_TRIED = """
(s.failed_generation = c.generation or exists (
   select from network_actions a where a.session_id = s.id and a.generation = c.generation))
"""

# Lines beyond what their plan allows, the newest of each contract never among them. A line whose
# device dialled again on its port is a ghost, and goes before any other. What is silent for long
# does not count as a line. `{}`: of which contracts.
_SURPLUS = f"""
crowded as (
  select s.contract_id, p.simultaneous_use
    from sessions s join contracts c on c.id = s.contract_id join plans p on p.id = c.plan_id
   where s.stopped_at is null and p.simultaneous_policy = 'drop_oldest' and {{}}
     -- Asked once: without such a plan no session is looked at.
     and (select count(*) > 0 from plans where simultaneous_policy = 'drop_oldest')
   group by s.contract_id, p.simultaneous_use having count(*) > p.simultaneous_use
), lines as (
  select s.id, s.contract_id, w.simultaneous_use, s.started_at,
         s.mac is not null and row_number() over (
           partition by s.contract_id, s.nas_id, s.nas_address, s.mac, s.nas_port_id
           order by s.started_at desc, s.id desc) > 1 as ghost
    from sessions s join crowded w on w.contract_id = s.contract_id
   where s.stopped_at is null and not {STALE}
), surplus as (
  select id from (
    select id, simultaneous_use, row_number() over (
             partition by contract_id order by ghost, started_at desc, id desc) as place
      from lines) as ranked
   where place > simultaneous_use
)
"""  # noqa: S608 -- no text but our own constants
_IS_SURPLUS = "s.id in (select id from surplus)"
_UNWANTED = f"(c.ended_on is not null or {_IS_SURPLUS})"

# The line gets worse for debt; the customer's own suspension is no cut.
_IS_CUT = f"""
({SEVERITY.format("c.level")} > {SEVERITY.format("coalesce(s.applied_level, 'full')")}
 and c.reason <> 'paused')
"""
# A cut that a kill switch stops is not sent, whatever was decided; the line stays as it is.
STOPPED = f"""
({_IS_CUT} and exists (
   select from kill_switches k
    where k.lifted_at is null
      and (k.scope = 'global' or k.nas_id = s.nas_id or k.contract_id = c.id)))
"""

_FREE = "(s.lease_until_wall is null or s.lease_until_wall <= clock_timestamp())"

_DUE = f"""
select s.id, s.nas_id, c.generation, s.next_attempt_wall, {_UNWANTED} as unwanted,
       {_RESTORES} and not {_UNWANTED} as restores
  from sessions s join contracts c on c.id = s.contract_id
 where s.stopped_at is null and {_FREE}
   and (s.applied_generation < c.generation and not {STOPPED} or {_UNWANTED})
   and (s.next_attempt_wall is null or s.next_attempt_wall <= clock_timestamp() or not {_TRIED})
"""  # noqa: S608 -- no text but our own constants

_LEASE = """
update sessions s
   set lease_owner = :owner,
       lease_until_wall = clock_timestamp() + make_interval(secs => :lease_s)
"""

_CLAIM_CONTRACTS = text(f"""
with {_SURPLUS.format("s.contract_id = any(cast(:contracts as bigint[]))")}, due as (
  {_DUE} and s.contract_id = any(cast(:contracts as bigint[])) for update of s skip locked
)
{_LEASE} from due where s.id = due.id returning s.id
""")

# A NAS that does not answer holds up its own lines only: of each NAS a bounded number is claimed.
# What another replica did between the ranking and the lock is seen by the conditions of the lock.
_CLAIM_SWEEP = text(f"""
with {_SURPLUS.format("true")}, due as ({_DUE}), ranked as (
  select *, row_number() over (partition by nas_id, restores order by id) as place
    from due
   where case when restores then nas_id <> all(cast(:full_of_restores as bigint[]))
              else nas_id <> all(cast(:full_of_cuts as bigint[])) end
), locked as (
  select s.id from sessions s join ranked r on r.id = s.id
   where r.place <= :limit and {_FREE}
     and s.stopped_at is null and (s.applied_generation < r.generation or r.unwanted)
     and s.next_attempt_wall is not distinct from r.next_attempt_wall
     for update of s skip locked
)
{_LEASE} from locked where s.id = locked.id returning s.id
""")  # noqa: S608 -- no text but our own constants

_OF_THESE = """
s.contract_id in (select contract_id from sessions where id = any(cast(:sessions as bigint[])))
"""

_READ = text(f"""
with {_SURPLUS.format(_OF_THESE)}
select s.id as session_id, s.contract_id, s.nas_id, n.name as nas_name,
       host(s.nas_address) as nas_address, n.coa_port, n.secret, n.dialect,
       s.username, s.acct_session_id, host(s.ipv4) as ipv4, s.nas_port_id,
       c.generation, c.level, c.quota_spent_until is not null as quota_spent,
       {RATES},
       coalesce(s.applied_level, case when not exists (
           select from access_decisions w
            where w.contract_id = c.id and w.level in ('walled', 'blocked')
         ) then 'full' end) as before,
       {_RESTORES} and not {_UNWANTED} as restores, {_IS_SURPLUS} as surplus,
       c.ended_on is not null as ended,
       case when {_TRIED} then s.attempts else 0 end as attempts,
       (select count(*) from network_actions a
         where a.contract_id = c.id and a.generation = c.generation
           and a.reason = 'access' and a.kind = 'disconnect' and a.outcome = 'ack'
       ) / p.simultaneous_use as redials,
       s.failed_generation is not distinct from c.generation as failed,
       {_IS_CUT} and not {_UNWANTED} as cut, {STOPPED} and not {_UNWANTED} as stopped,
       coalesce(d.correlation_id, 'contract-' || c.id || '-generation-' || c.generation)
         as correlation_id
  from sessions s
  join contracts c on c.id = s.contract_id
  join plans p on p.id = c.plan_id
  join nases n on n.id = s.nas_id
  left join access_decisions d on d.contract_id = c.id and d.generation = c.generation
 where s.id = any(cast(:sessions as bigint[])) and s.lease_owner = :owner
   and s.stopped_at is null and (s.applied_generation < c.generation or {_UNWANTED})
 order by restores desc, s.id
""")  # noqa: S608 -- no text but our own constants

_RENEW = text("""
update sessions set lease_until_wall = clock_timestamp() + make_interval(secs => :lease_s)
 where id = any(cast(:sessions as bigint[])) and lease_owner = :owner
""")

_RELEASE = text("""
update sessions set lease_owner = null, lease_until_wall = null
 where id = any(cast(:sessions as bigint[])) and lease_owner = :owner
""")

_MARK_APPLIED = text("""
update sessions
   set applied_generation = :generation, applied_level = :level,
       applied_wall = clock_timestamp(), attempts = 0, next_attempt_wall = null,
       failed_generation = null, last_outcome = :last_outcome,
       lease_owner = null, lease_until_wall = null
 where id = :session and lease_owner = :owner and applied_generation < :generation
returning id
""")

# Real time, as the accounting that fills these columns; a late Stop still adds its counters.
_MARK_CLOSED = text("""
update sessions
   set stopped_at = greatest(updated_at, clock_timestamp()), terminate_cause = :cause,
       last_outcome = :last_outcome, lease_owner = null, lease_until_wall = null
 where id = :session and lease_owner = :owner and stopped_at is null
returning id
""")

_MARK_RETRY = text("""
update sessions
   set attempts = :attempts, last_outcome = :last_outcome,
       next_attempt_wall = clock_timestamp() + make_interval(secs => :after_s),
       failed_generation = case when :failed then :generation else failed_generation end,
       lease_owner = null, lease_until_wall = null
 where id = :session and lease_owner = :owner
returning id
""")

# A NAS that is away for days does not fill the table: one silence after another is one row.
_REPEAT_SILENCE = text("""
update network_actions set sends = sends + :sends
 where :outcome = 'silence' and id = (
   select id from network_actions
    where session_id = :session and generation = :generation and kind = :kind
      and reason = :reason
    order by id desc limit 1)
   and outcome = 'silence'
returning id
""")

_ADD_ACTION = text("""
insert into network_actions (session_id, contract_id, nas_id, generation, kind, reason, outcome,
                             error_cause, sends, sent_wall, answered_wall, correlation_id)
values (:session, :contract, :nas, :generation, :kind, :reason, :outcome,
        :error_cause, :sends, :sent_wall, :answered_wall, :correlation_id)
""")

_GENERATIONS = text("select id, generation from contracts where id = any(cast(:ids as bigint[]))")


async def claim_contracts(
    connection: AsyncConnection, owner: str, contract_ids: Collection[int], lease_s: float
) -> list[Claim]:
    """Claim every due session of these contracts; what woke us named them."""
    parameters = {"owner": owner, "lease_s": lease_s, "contracts": list(contract_ids)}
    found = (await connection.execute(_CLAIM_CONTRACTS, parameters)).scalars().all()
    return await read(connection, owner, found)


async def claim(
    connection: AsyncConnection,
    owner: str,
    limit: int,
    lease_s: float,
    *,
    full_of_restores: Collection[int] = (),
    full_of_cuts: Collection[int] = (),
) -> list[Claim]:
    """Claim whatever is due, at most `limit` restores and `limit` cuts of each NAS.

    The two collections name NASes of which the caller holds enough of the kind already.
    """
    parameters = {
        "owner": owner,
        "limit": limit,
        "lease_s": lease_s,
        "full_of_restores": list(full_of_restores),
        "full_of_cuts": list(full_of_cuts),
    }
    found = (await connection.execute(_CLAIM_SWEEP, parameters)).scalars().all()
    return await read(connection, owner, found)


async def read(connection: AsyncConnection, owner: str, session_ids: Sequence[int]) -> list[Claim]:
    """These sessions as they stand now; not those that are done, over, or no longer the owner's."""
    if not session_ids:
        return []
    rows = await connection.execute(_READ, {"sessions": list(session_ids), "owner": owner})
    return [_claim(row) for row in rows]


async def generations(connection: AsyncConnection, contract_ids: Collection[int]) -> dict[int, int]:
    """The generation that each contract desires now."""
    rows = await connection.execute(_GENERATIONS, {"ids": list(contract_ids)})
    return {row.id: row.generation for row in rows}


async def renew(
    connection: AsyncConnection, owner: str, session_ids: Collection[int], lease_s: float
) -> None:
    """Hold the leases for another `lease_s` from now."""
    parameters = {"sessions": list(session_ids), "owner": owner, "lease_s": lease_s}
    await connection.execute(_RENEW, parameters)


async def release(connection: AsyncConnection, owner: str, session_ids: Collection[int]) -> None:
    """Let others claim these sessions at once."""
    await connection.execute(_RELEASE, {"sessions": list(session_ids), "owner": owner})


async def add_action(connection: AsyncConnection, claim: Claim, action: Action) -> None:
    """Keep what was sent and what came of it."""
    parameters = {
        "session": claim.session_id,
        "contract": claim.contract_id,
        "nas": claim.nas_id,
        "generation": claim.generation,
        "correlation_id": claim.correlation_id,
        "kind": action.kind,
        "reason": "ended" if claim.ended else "surplus" if claim.surplus else "access",
        "outcome": action.outcome,
        "error_cause": action.error_cause,
        "sends": action.sends,
        "sent_wall": action.sent_wall,
        "answered_wall": action.answered_wall,
    }
    repeated = await connection.execute(_REPEAT_SILENCE, parameters)
    if repeated.first() is None:
        await connection.execute(_ADD_ACTION, parameters)


async def mark_applied(
    connection: AsyncConnection, owner: str, claim: Claim, last_outcome: str
) -> bool:
    """The NAS acknowledged this generation. False: the lease went to somebody else meanwhile."""
    parameters = {
        "session": claim.session_id,
        "owner": owner,
        "generation": claim.generation,
        "level": claim.access.level.value,
        "last_outcome": last_outcome,
    }
    return (await connection.execute(_MARK_APPLIED, parameters)).first() is not None


async def mark_closed(
    connection: AsyncConnection, owner: str, claim: Claim, cause: str, last_outcome: str
) -> bool:
    """The NAS does not have this session any more. False: the lease went to somebody else."""
    parameters = {
        "session": claim.session_id,
        "owner": owner,
        "cause": cause,
        "last_outcome": last_outcome,
    }
    return (await connection.execute(_MARK_CLOSED, parameters)).first() is not None


async def mark_retry(
    connection: AsyncConnection,
    owner: str,
    claim: Claim,
    last_outcome: str,
    after_s: float,
    *,
    failed: bool = False,
) -> bool:
    """Not applied; due again after `after_s`. `failed` says that a person should look, too."""
    parameters = {
        "session": claim.session_id,
        "owner": owner,
        "generation": claim.generation,
        "attempts": claim.attempts + 1,
        "last_outcome": last_outcome,
        "after_s": after_s,
        "failed": failed,
    }
    return (await connection.execute(_MARK_RETRY, parameters)).first() is not None


def _claim(row: Row[Any]) -> Claim:
    rates = Rates(
        row.down_bps,
        row.up_bps,
        row.reduced_down_bps,
        row.reduced_up_bps,
        row.quota_down_bps,
        row.quota_up_bps,
    )
    return Claim(
        session_id=row.session_id,
        contract_id=row.contract_id,
        nas_id=row.nas_id,
        nas_name=row.nas_name,
        nas_address=row.nas_address,
        coa_port=row.coa_port,
        sealed_secret=bytes(row.secret),
        dialect=row.dialect,
        key=SessionKey(row.username, row.acct_session_id, row.ipv4, row.nas_port_id),
        generation=row.generation,
        access=rates.at(Level(row.level), quota_spent=row.quota_spent),
        before=Level(row.before) if row.before is not None else None,
        restores=row.restores,
        attempts=row.attempts,
        redials=row.redials,
        failed=row.failed,
        surplus=row.surplus,
        ended=row.ended,
        cut=row.cut,
        stopped=row.stopped,
        correlation_id=row.correlation_id,
    )
