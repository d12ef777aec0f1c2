"""Customer classes, and which policy a contract follows and why.

Its own, else that of its subscriber's class, else of its region, else of its plan, else the one
that all are given. `contracts.policy` is what came out of that; whatever it comes from, changed,
moves the contract.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.customer_tables import subscribers
from api.store.place_tables import customer_classes, policy_assignments, subscriber_classes
from api.store.places import JOINED, REGION, lock_payers, look_again

DEFAULT_POLICY = "anatel-765"
Because = Literal["contract", "class", "region", "plan", "default"]

_FOLLOWS = f"""
    select c.id, c.policy, c.plan_id, c.ended_on, class.name as class, {REGION} as region,
        case when c.policy_own then c.policy
            else coalesce(of_class.policy, of_region.policy, of_plan.policy, :otherwise)
        end as follows,
        case when c.policy_own then 'contract'
            when of_class.policy is not null then 'class'
            when of_region.policy is not null then 'region'
            when of_plan.policy is not null then 'plan'
            else 'default'
        end as because
    from contracts c {JOINED}
        left join policy_assignments of_class
            on of_class.scope = 'class' and of_class.key = class.name
        left join policy_assignments of_region
            on of_region.scope = 'region' and of_region.key = {REGION}
        left join policy_assignments of_plan
            on of_plan.scope = 'plan' and of_plan.key = c.plan_id::text
"""  # noqa: S608 -- no text but our own constants
_ONE = text(f"{_FOLLOWS} where c.id = :id")
_ASTRAY = text(f"""
select id, policy, follows, because from ({_FOLLOWS}) as f
where policy <> follows and id = any(cast(:ids as bigint[])) and ended_on is null order by id
""")  # noqa: S608
_MOVE = text("""
update contracts c set policy = m.policy
from unnest(cast(:ids as bigint[]), cast(:policies as text[])) as m(id, policy)
where c.id = m.id
""")
_TELL = text("""
insert into policy_moves (contract_id, before, policy, because, author, written_at)
select m.*, :author, :at from unnest(
    cast(:ids as bigint[]), cast(:befores as text[]), cast(:policies as text[]),
    cast(:causes as text[])
) as m
""")
_OWN = text(
    "update contracts set policy_own = :own, policy = coalesce(:policy, policy) where id = :id"
)
_IN_SCOPE = {
    scope: text(f"select c.id from contracts c {JOINED} where c.ended_on is null and {condition}")  # noqa: S608
    for scope, condition in (
        ("class", "class.name = :key"),
        ("region", f"{REGION} = :key"),
        ("plan", "c.plan_id::text = :key"),
    )
}


@dataclass(frozen=True, slots=True)
class Followed:
    """Which policy a contract follows. `because` says whose choice it is, `key` of which one."""

    policy: str
    because: Because
    key: str | None


@dataclass(frozen=True, slots=True)
class Move:
    """A contract that is to follow another policy."""

    contract_id: int
    before: str
    after: str
    because: str


async def followed(connection: AsyncConnection, contract_id: int) -> Followed | None:
    """What a contract follows and why; None: there is no such contract."""
    asked = {"id": contract_id, "otherwise": DEFAULT_POLICY}
    row = (await connection.execute(_ONE, asked)).one_or_none()
    if row is None:
        return None
    keys = {
        "class": row._mapping["class"],
        "region": row.region,
        "plan": str(row.plan_id),
    }
    return Followed(row.follows, row.because, keys.get(row.because))


async def settle(
    connection: AsyncConnection, contract_ids: Sequence[int], at: datetime, author: str
) -> list[Move]:
    """Have running contracts follow what they should, and be looked at anew; those that moved.

    Args:
        connection: inside the transaction that changed what it comes from.
        contract_ids: whose.
        at: the business instant, from which they are due for a look.
        author: who changed it.
    """
    moves = await astray(connection, contract_ids)
    if moves:
        await lock_payers(connection, [move.contract_id for move in moves])
        await _move(connection, moves)
        await tell(connection, moves, at, author)
    return moves


async def settle_new(connection: AsyncConnection, contract_ids: Sequence[int]) -> None:
    """The same of contracts that are being made: nobody judged them, and nothing is told."""
    moves = await astray(connection, contract_ids)
    if moves:
        await _move(connection, moves)


async def tell(
    connection: AsyncConnection, moves: Sequence[Move], at: datetime, author: str
) -> None:
    """Keep for their timelines that contracts moved, and have them looked at anew."""
    ids = [move.contract_id for move in moves]
    told = {
        "ids": ids,
        "befores": [move.before for move in moves],
        "policies": [move.after for move in moves],
        "causes": [move.because for move in moves],
    }
    await connection.execute(_TELL, {**told, "author": author, "at": at})
    await look_again(connection, ids, at)


async def _move(connection: AsyncConnection, moves: Sequence[Move]) -> None:
    ids = [move.contract_id for move in moves]
    await connection.execute(_MOVE, {"ids": ids, "policies": [move.after for move in moves]})


async def astray(connection: AsyncConnection, contract_ids: Sequence[int]) -> list[Move]:
    """Which of these contracts follow another policy than they should."""
    asked = {"ids": list(contract_ids), "otherwise": DEFAULT_POLICY}
    return [
        Move(row.id, row.policy, row.follows, row.because)
        for row in await connection.execute(_ASTRAY, asked)
    ]


async def contracts_in(connection: AsyncConnection, scope: str, key: str) -> Sequence[int]:
    """The running contracts of a class, a region or a plan."""
    return (await connection.scalars(_IN_SCOPE[scope], {"key": key})).all()


async def assign(
    connection: AsyncConnection,
    scope: str,
    key: str,
    policy: str | None,
    author: str,
    at: datetime,
) -> None:
    """Say which policy a class, a region or a plan follows; None: none of its own any more."""
    if policy is None:
        await connection.execute(delete(policy_assignments).filter_by(scope=scope, key=key))
        return
    written = {"policy": policy, "author": author, "written_at": at}
    await connection.execute(
        insert(policy_assignments)
        .values(scope=scope, key=key, **written)
        .on_conflict_do_update(index_elements=["scope", "key"], set_=written)
    )


async def choose(connection: AsyncConnection, contract_id: int, policy: str | None) -> None:
    """Give a contract a policy of its own, or (None) have it follow again."""
    values = {"id": contract_id, "own": policy is not None, "policy": policy}
    await connection.execute(_OWN, values)


def assignment_rows(scope: str | None = None) -> Select[Any]:
    query = select(policy_assignments)
    return query.where(policy_assignments.c.scope == scope) if scope is not None else query


def class_rows() -> Select[Any]:
    """Classes, each with the policy that it follows."""
    policy = (
        select(policy_assignments.c.policy)
        .where(
            policy_assignments.c.scope == "class",
            policy_assignments.c.key == customer_classes.c.name,
        )
        .scalar_subquery()
    )
    return select(*customer_classes.c, policy.label("policy"))


async def class_named(connection: AsyncConnection, name: str) -> Mapping[Any, Any] | None:
    query = class_rows().where(customer_classes.c.name == name)
    found: Mapping[Any, Any] | None = (await connection.execute(query)).mappings().one_or_none()
    return found


async def put_class(
    connection: AsyncConnection,
    name: str,
    never_block: bool,
    note: str,
    author: str,
    at: datetime,
) -> int:
    """Write a class over the one of that name; its id."""
    values = {"never_block": never_block, "note": note, "author": author, "written_at": at}
    made = await connection.execute(
        insert(customer_classes)
        .values(name=name, **values)
        .on_conflict_do_update(index_elements=["name"], set_=values)
        .returning(customer_classes.c.id)
    )
    return int(made.scalar_one())


async def class_of(connection: AsyncConnection, subscriber_id: int) -> Mapping[Any, Any] | None:
    """The class of a subscriber, with who said so, why and since when; None: of none."""
    query = (
        select(
            customer_classes.c.name.label("customer_class"),
            customer_classes.c.never_block,
            subscriber_classes.c.reason,
            subscriber_classes.c.author,
            subscriber_classes.c.written_at.label("since"),
        )
        .join(subscriber_classes, subscriber_classes.c.class_id == customer_classes.c.id)
        .where(subscriber_classes.c.subscriber_id == subscriber_id)
    )
    found: Mapping[Any, Any] | None = (await connection.execute(query)).mappings().one_or_none()
    return found


async def class_of_document(connection: AsyncConnection, document: str) -> str | None:
    """The class of whoever has this document; None: nobody, or of none."""
    query = (
        select(customer_classes.c.name)
        .join(subscriber_classes, subscriber_classes.c.class_id == customer_classes.c.id)
        .join(subscribers, subscribers.c.id == subscriber_classes.c.subscriber_id)
        .where(subscribers.c.document == document)
        .order_by(subscribers.c.id)
        .limit(1)
    )
    found: str | None = await connection.scalar(query)
    return found


async def put_into_class(
    connection: AsyncConnection,
    subscriber_id: int,
    class_id: int | None,
    reason: str,
    author: str,
    at: datetime,
) -> None:
    """Put a subscriber into a class; None: into none."""
    if class_id is None:
        await connection.execute(
            delete(subscriber_classes).where(subscriber_classes.c.subscriber_id == subscriber_id)
        )
        return
    values = {"class_id": class_id, "reason": reason, "author": author, "written_at": at}
    await connection.execute(
        insert(subscriber_classes)
        .values(subscriber_id=subscriber_id, **values)
        .on_conflict_do_update(index_elements=["subscriber_id"], set_=values)
    )
