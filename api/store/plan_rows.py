"""Plans of sweeps as rows: kept whole, released, and worked off one planned cut at a time."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Row, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.bulk import copy_rows
from api.store.guard_tables import review_approvals, review_plans, review_rows
from billing.guard import Flaw, RefusedPlan

_HOLD_BACK = text("""
update contracts c set reason = :reason, review_on = :review_on
  from review_rows r
 where r.plan_id = :plan_id and r.contract_id = c.id and c.level = r.before
   and r.state = 'shown' and c.ended_on is null and c.review_on <= :now
""")
_LOCK_PLANS = text("select pg_advisory_xact_lock(:lock)")
PLANS_LOCK = 0x52454C53  # "RELS"
CUTS_LOCK = 0x52454C58  # "RELX"

_REFUSED = text("""
select id, made_at, expires_at, flaws from review_plans where state = 'refused' order by id
""")
_CLOSE_PLANS = text("""
update review_plans set state = :state
 where id = any(cast(:ids as bigint[])) and state = 'refused' returning id
""")
_FORGET_ROWS = text("""
delete from review_rows r using review_plans p
 where p.id = r.plan_id and p.state = 'preview' and p.made_wall < now() - interval '1 day'
""")
_FORGET_PREVIEWS = text("""
delete from review_plans where state = 'preview' and made_wall < now() - interval '1 day'
""")

_NEXT_CUT = text("""
select r.plan_id, r.contract_id, r.subscriber_id, p.state = 'released' as released,
       p.correlation_id, p.actor
  from review_rows r join review_plans p on p.id = r.plan_id
 where r.state = 'waiting' and p.state in ('running', 'released')
   and p.canary is distinct from 'waiting'
   and (cast(:plan_id as bigint) is null or p.id = :plan_id)
 order by p.id, r.contract_id limit 1 for update of r skip locked
""")
_WAITING = text("""
select count(*) from review_rows
 where state = 'waiting' and (cast(:plan_id as bigint) is null or plan_id = :plan_id)
""")
_LOOK_NOW = text("update contracts set review_on = :now where id = :contract_id")
_READ_ROW = text(
    "select * from review_rows where plan_id = :plan_id and contract_id = :contract_id"
)
_POLICIES = text("select distinct policy, policy_version from review_rows where plan_id = :plan_id")
_MARK_ROW = text("""
update review_rows set state = :state, outcome = :outcome
 where plan_id = :plan_id and contract_id = :contract_id
""")
_END_PLANS = text("""
update review_plans p set state = 'done'
 where p.state in ('running', 'released') and not exists (
   select from review_rows r where r.plan_id = p.id and r.state = 'waiting')
returning id
""")
_SINCE_LAST_CUT = text("""
select extract(epoch from clock_timestamp() - max(at_wall))::float8 from cuts
""")
_RELEASE_ROWS = text("""
update review_rows set state = 'waiting' where plan_id = :plan_id and state = 'shown'
""")


class NextCut(NamedTuple):
    """A planned cut whose turn it is."""

    plan_id: int
    contract_id: int
    subscriber_id: int
    released: bool
    correlation_id: str
    actor: str


async def lock_plans(connection: AsyncConnection, lock: int) -> None:
    """One at a time, in all processes, until commit."""
    await connection.execute(_LOCK_PLANS, {"lock": lock})


async def refused(connection: AsyncConnection) -> list[RefusedPlan]:
    """The plans that wait."""
    rows = await connection.execute(_REFUSED)
    return [
        RefusedPlan(row.id, row.made_at, row.expires_at, frozenset(map(Flaw, row.flaws)))
        for row in rows
    ]


async def close_plans(
    connection: AsyncConnection, plan_ids: Collection[int], state: Literal["expired", "overtaken"]
) -> list[int]:
    """Nobody can release these refused plans any more; those that were not closed before."""
    closed = await connection.execute(_CLOSE_PLANS, {"ids": list(plan_ids), "state": state})
    return [row.id for row in closed]


async def insert_plan(connection: AsyncConnection, values: Mapping[str, object]) -> int:
    """A new plan; its id."""
    made = await connection.execute(
        insert(review_plans).values(**values).returning(review_plans.c.id)
    )
    return int(made.scalar_one())


async def insert_rows(
    connection: AsyncConnection, columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    """The rows of a plan, however many."""
    await copy_rows(connection, review_rows, columns, rows)


async def hold_back(
    connection: AsyncConnection, plan_id: int, reason: str, now: datetime, until: datetime
) -> None:
    """Take a refused plan's contracts, as far as they still are due, off the schedule."""
    held = {"plan_id": plan_id, "reason": reason, "review_on": until, "now": now}
    await connection.execute(_HOLD_BACK, held)


async def forget_previews(connection: AsyncConnection) -> None:
    """Previews are kept for a day of real time."""
    await connection.execute(_FORGET_ROWS)
    await connection.execute(_FORGET_PREVIEWS)


async def waiting_cuts(connection: AsyncConnection, plan_id: int | None = None) -> int:
    """How many planned cuts wait their turn, of one plan or of all."""
    return int((await connection.execute(_WAITING, {"plan_id": plan_id})).scalar_one())


async def look_now(connection: AsyncConnection, contract_id: int, now: datetime) -> None:
    """Have the next sweep look at a contract."""
    await connection.execute(_LOOK_NOW, {"contract_id": contract_id, "now": now})


async def next_cut(connection: AsyncConnection, plan_id: int | None) -> NextCut | None:
    """Claim the next planned cut, of one plan or of any, until commit."""
    found = (await connection.execute(_NEXT_CUT, {"plan_id": plan_id})).one_or_none()
    return None if found is None else NextCut(*found)


async def read_row(connection: AsyncConnection, plan_id: int, contract_id: int) -> Row[Any]:
    """One row of a plan."""
    asked = {"plan_id": plan_id, "contract_id": contract_id}
    return (await connection.execute(_READ_ROW, asked)).one()


async def policies_of(connection: AsyncConnection, plan_id: int) -> set[tuple[str, int]]:
    """By which policies a plan cuts, each with its version."""
    rows = await connection.execute(_POLICIES, {"plan_id": plan_id})
    return {(row.policy, row.policy_version) for row in rows}


async def mark_row(connection: AsyncConnection, cut: NextCut, state: str, outcome: str) -> None:
    """What became of a planned cut."""
    marked = {"plan_id": cut.plan_id, "contract_id": cut.contract_id}
    await connection.execute(_MARK_ROW, {**marked, "state": state, "outcome": outcome})


async def end_plans(connection: AsyncConnection) -> list[int]:
    """Plans of which nothing waits any more are done; which."""
    return list((await connection.execute(_END_PLANS)).scalars())


async def since_last_cut_s(connection: AsyncConnection) -> float | None:
    """Real seconds since anybody was cut; None: nobody ever was."""
    found: float | None = await connection.scalar(_SINCE_LAST_CUT)
    return found


async def lock_plan(connection: AsyncConnection, plan_id: int) -> Row[Any] | None:
    """A plan under lock until commit."""
    query = review_plans.select().where(review_plans.c.id == plan_id).with_for_update()
    return (await connection.execute(query)).one_or_none()


async def read_plan(connection: AsyncConnection, plan_id: int) -> Mapping[str, Any]:
    """A plan as it is kept, without its rows."""
    query = review_plans.select().where(review_plans.c.id == plan_id)
    return dict((await connection.execute(query)).mappings().one())


async def approvers(connection: AsyncConnection, plan_id: int) -> list[str]:
    """Who approved a plan so far."""
    query = (
        review_approvals.select()
        .where(review_approvals.c.plan_id == plan_id)
        .order_by(review_approvals.c.id)
    )
    return [row.author for row in await connection.execute(query)]


async def approve(
    connection: AsyncConnection, plan_id: int, author: str, plan_hash: bytes, now: datetime
) -> None:
    """Keep that somebody approved a plan, by its hash."""
    row = {"plan_id": plan_id, "author": author, "hash": plan_hash, "at": now}
    await connection.execute(insert(review_approvals).values(**row))


async def release_plan(connection: AsyncConnection, plan_id: int) -> None:
    """Let a refused plan's cuts be made, each after another look."""
    await connection.execute(
        review_plans.update().where(review_plans.c.id == plan_id).values(state="released")
    )
    await connection.execute(_RELEASE_ROWS, {"plan_id": plan_id})
