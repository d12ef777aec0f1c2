"""Policy documents in the database: versions are added, never changed."""

import json
from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, cast, or_, select, text
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store import catalogue
from api.store.access_tables import policies
from billing import policy
from billing.policy import Policy

# Up to which local day contracts were told of versions that began to rule.
_TOLD = "policies_told_until"
_KEEP = text("""
insert into facts (name, value) values (:name, to_jsonb(cast(:day as text)))
on conflict (name) do update set value = excluded.value
""")
_COMING = text("select min(valid_from) from policies where valid_from > :today")


def _ruling(today: date) -> Select[Any]:
    """Of each policy the version that rules: the last that began to, of those of a day the newest.

    A version without a first day began before all that have one.
    """
    begun = policies.c.valid_from
    return (
        select(policies)
        .ext(distinct_on(policies.c.name))
        .where(or_(begun.is_(None), begun <= today))
        .order_by(policies.c.name, begun.desc().nulls_last(), policies.c.version.desc())
    )


async def policies_on(connection: AsyncConnection, today: date) -> dict[str, Policy]:
    """Every policy in the version that rules on a local day, by name."""
    ruling = _ruling(today).subquery()
    rows = await connection.execute(
        select(ruling.c.name, ruling.c.version, cast(ruling.c.document, Text).label("document"))
    )
    return {row.name: _read(row.name, row.version, row.document) for row in rows}


# Each unit of work asks for the same few versions, which never change.
@lru_cache(maxsize=256)
def _read(name: str, version: int, document: str) -> Policy:
    return policy.read(name, version, json.loads(document))


def rules_on(today: date) -> ColumnElement[bool]:
    """Whether a row is the version of its policy that rules on a local day."""
    return policies.c.id.in_(select(_ruling(today).subquery().c.id))


async def tell_of_new_rules(connection: AsyncConnection, today: date, now: datetime) -> int:
    """Have the ladder look again at who owes under a version that has begun to rule; how many."""
    told = await connection.scalar(
        text("select value #>> '{}' from facts where name = :name"), {"name": _TOLD}
    )
    until = date.fromisoformat(told) if told is not None else None
    if until is not None and until >= today:
        return 0
    begun = select(policies.c.name).where(policies.c.valid_from <= today).distinct()
    if until is not None:
        begun = begun.where(policies.c.valid_from > until)
    looked = 0
    for name in (await connection.scalars(begun)).all():
        looked += await catalogue.look_again(connection, name, now)
    await connection.execute(_KEEP, {"name": _TOLD, "day": today.isoformat()})
    return looked


async def next_rules_on(connection: AsyncConnection, today: date) -> date | None:
    """The next local day on which a version begins to rule."""
    day: date | None = await connection.scalar(_COMING, {"today": today})
    return day


async def ruling_version(connection: AsyncConnection, name: str, today: date) -> int | None:
    """The version of the policy that rules on a local day; None: none does."""
    version: int | None = await connection.scalar(
        select(policies.c.version).where(policies.c.name == name, rules_on(today))
    )
    return version


async def ensure_policies(
    connection: AsyncConnection, shipped: Mapping[str, Mapping[str, object]], at: datetime
) -> None:
    """Store shipped documents as version 1 where a name has no version yet.

    Raises:
        billing.policy.PolicyError: a document is refused.
    """
    for name, document in shipped.items():
        checked = policy.document(policy.parse(name, 1, document))
        row = {"version": 1, "document": checked, "author": "shipped", "created_at": at}
        await connection.execute(insert(policies).values(name=name, **row).on_conflict_do_nothing())
