"""Policies as somebody answered for them: by what a hastier version is measured.

One row holds each policy's document. A version of few contracts is trusted as it is, and so is a
policy that is new.
"""

from collections.abc import Collection, Mapping
from datetime import date

from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.policies import policies_on
from api.store.staff_tables import facts
from billing import policy
from billing.policy import Policy

_NAME = "trusted_rules"
_FOLLOWERS = text("""
select policy, count(*) as contracts from contracts
 where ended_on is null and policy = any(cast(:names as text[])) group by policy
""")
_TAKE_LOCK = text("select pg_advisory_xact_lock(hashtextextended('trusted_rules', 0))")
_KEEP = text("""
insert into facts (name, value) values (:name, :value)
on conflict (name) do update set value = excluded.value
""").bindparams(bindparam("value", type_=JSONB))


async def doubted(connection: AsyncConnection, today: date, few: int) -> dict[str, Policy]:
    """The policies that rule otherwise than anybody answered for, as they were trusted before.

    Args:
        connection: to read by.
        today: the local day.
        few: so many contracts may follow another version without anybody's answer.
    """
    return await _in_doubt(
        connection, await _read(connection), await policies_on(connection, today), few
    )


async def trust_undoubted(connection: AsyncConnection, today: date, few: int) -> dict[str, Policy]:
    """The same; nobody needs to answer for the others, so that those are trusted from now on."""
    known = await _lock(connection)
    ruling = await policies_on(connection, today)
    found = await _in_doubt(connection, known, ruling, few)
    others = {name: rules for name, rules in ruling.items() if name not in found}
    await _keep(connection, known, others)
    return found


async def _in_doubt(
    connection: AsyncConnection,
    known: dict[str, dict[str, object]],
    ruling: Mapping[str, Policy],
    few: int,
) -> dict[str, Policy]:
    changed = {
        name: rules for name, rules in ruling.items() if known.get(name) != policy.document(rules)
    }
    if not changed:
        return {}
    rows = await connection.execute(_FOLLOWERS, {"names": list(changed)})
    followers = {row.policy: row.contracts for row in rows}
    return {
        name: policy.read(name, rules.version, known[name])
        for name, rules in changed.items()
        if name in known and followers.get(name, 0) > few
    }


async def trust(
    connection: AsyncConnection, today: date, seen: Collection[tuple[str, int]]
) -> None:
    """Somebody answered for these versions of policies; one that rules no more says nothing."""
    known = await _lock(connection)
    ruling = await policies_on(connection, today)
    answered = {name: rules for name, rules in ruling.items() if (name, rules.version) in seen}
    await _keep(connection, known, answered)


async def _keep(
    connection: AsyncConnection,
    known: dict[str, dict[str, object]],
    trusted: dict[str, Policy],
) -> None:
    value = known | {name: policy.document(rules) for name, rules in trusted.items()}
    if value != known:
        await connection.execute(_KEEP, {"name": _NAME, "value": value})


async def _lock(connection: AsyncConnection) -> dict[str, dict[str, object]]:
    """What is trusted, which nobody else changes until the commit."""
    await connection.execute(_TAKE_LOCK)
    return await _read(connection)


async def _read(connection: AsyncConnection) -> dict[str, dict[str, object]]:
    kept: dict[str, dict[str, object]] | None = await connection.scalar(
        select(facts.c.value).where(facts.c.name == _NAME)
    )
    return kept or {}
