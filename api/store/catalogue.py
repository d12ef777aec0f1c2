"""Rows of what is sold, to whom and over which equipment, one at a time; importing many is COPY."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

import psycopg
from sqlalchemy import Executable, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.access_tables import policies
from api.store.customer_tables import contracts, logins, nases, plans, subscribers
from api.store.money_tables import invoices
from billing.access import Level

FIRST_GENERATION = 1


class Taken(ValueError):
    """Something of the new row belongs to another row already. `column` names it."""

    def __init__(self, column: str) -> None:
        super().__init__(f"another {column} like this exists")
        self.column = column


_UNIQUE = {
    "uq_plans_name": "name",
    "uq_nases_name": "name",
    "uq_nases_address": "address",
    "uq_subscribers_document": "document",
    "uq_logins_username": "username",
    "uq_logins_static_ipv4": "static_ipv4",
    "uq_logins_delegated_ipv6": "delegated_ipv6",
}


@contextmanager
def _naming_taken() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        cause = error.orig
        name = cause.diag.constraint_name if isinstance(cause, psycopg.Error) else None
        if name in _UNIQUE:
            raise Taken(_UNIQUE[name]) from error
        raise


async def _inserted(connection: AsyncConnection, statement: Executable) -> int:
    made: int = (await connection.execute(statement)).scalar_one()
    return made


async def insert_plan(connection: AsyncConnection, values: Mapping[str, Any]) -> int:
    """Raises: Taken."""
    with _naming_taken():
        return await _inserted(connection, insert(plans).values(**values).returning(plans.c.id))


async def insert_nas(connection: AsyncConnection, values: Mapping[str, Any]) -> int:
    """`secret` comes sealed. Raises: Taken."""
    with _naming_taken():
        return await _inserted(connection, insert(nases).values(**values).returning(nases.c.id))


async def insert_subscriber(connection: AsyncConnection, values: Mapping[str, Any]) -> int:
    """Raises: Taken."""
    with _naming_taken():
        return await _inserted(
            connection, insert(subscribers).values(**values).returning(subscribers.c.id)
        )


async def insert_contract(
    connection: AsyncConnection,
    *,
    subscriber_id: int,
    plan_id: int,
    due_day: int,
    policy: str,
    quota_reset_day: int | None,
    at: datetime,
    policy_own: bool = False,
) -> int:
    """A contract at full level, owing nothing."""
    return await _inserted(
        connection,
        insert(contracts)
        .values(
            subscriber_id=subscriber_id,
            plan_id=plan_id,
            due_day=due_day,
            policy=policy,
            policy_own=policy_own,
            quota_reset_day=quota_reset_day,
            created_at=at,
            level=Level.FULL.value,
            generation=FIRST_GENERATION,
            since=at,
        )
        .returning(contracts.c.id),
    )


async def insert_login(connection: AsyncConnection, values: Mapping[str, Any]) -> int:
    """`password` comes sealed. Raises: Taken."""
    with _naming_taken():
        return await _inserted(connection, insert(logins).values(**values).returning(logins.c.id))


async def plan_id_of(connection: AsyncConnection, name: str) -> int | None:
    found: int | None = await connection.scalar(select(plans.c.id).where(plans.c.name == name))
    return found


async def plan_withdrawn_on(connection: AsyncConnection, plan_id: int) -> date | None:
    """From which day the plan is sold no more; None: no such day is known."""
    found: date | None = await connection.scalar(
        select(plans.c.withdrawn_on).where(plans.c.id == plan_id)
    )
    return found


async def exists(connection: AsyncConnection, table: str, row_id: int) -> bool:
    column = {"plans": plans.c.id, "subscribers": subscribers.c.id}[table]
    return await connection.scalar(select(column).where(column == row_id)) is not None


async def policy_exists(connection: AsyncConnection, name: str) -> bool:
    query = select(select(policies.c.name).where(policies.c.name == name).exists())
    return bool(await connection.scalar(query))


async def policy_versions(connection: AsyncConnection, name: str) -> list[int]:
    query = select(policies.c.version).where(policies.c.name == name)
    return list(await connection.scalars(query.order_by(policies.c.version)))


async def policy_row(
    connection: AsyncConnection, name: str, version: int
) -> Mapping[Any, Any] | None:
    query = select(*policies.c).where(policies.c.name == name, policies.c.version == version)
    return (await connection.execute(query)).mappings().one_or_none()


async def lock_policy(connection: AsyncConnection, name: str) -> None:
    """Until commit, nobody else writes a version of this policy."""
    lock = text("select pg_advisory_xact_lock(hashtextextended(:name, 0))")
    await connection.execute(lock, {"name": f"policy:{name}"})


async def insert_policy(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(policies).values(**values))


async def look_again(connection: AsyncConnection, policy: str, at: datetime) -> int:
    """Have the ladder look anew at whoever owes under this policy: its numbers are new facts."""
    owing = select(invoices.c.contract_id).where(invoices.c.state == "open")
    done = await connection.execute(
        update(contracts)
        .where(
            contracts.c.policy == policy,
            contracts.c.ended_on.is_(None),
            contracts.c.id.in_(owing),
        )
        .values(review_on=at)
    )
    changed: int = done.rowcount
    return changed
