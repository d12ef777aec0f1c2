"""What the grant table is compiled from: logins with their contract's standing, plan and NASes.

The change log is read by transaction id against the snapshot's oldest running transaction, so that
a row committed late is read late but never missed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Row, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.rates import RATES

_GRANTS = f"""
select l.id, l.username, l.password, host(l.static_ipv4) as static_ipv4,
       l.delegated_ipv6::text as delegated_ipv6, c.id as contract_id, c.level, c.generation,
       c.quota_spent_until is not null as quota_spent, c.ended_on is not null as ended,
       {RATES}, p.ipv4_pool, p.ipv6_pool, p.simultaneous_use,
       p.simultaneous_policy
  from logins l join contracts c on c.id = l.contract_id join plans p on p.id = c.plan_id
"""  # noqa: S608 -- no text but our own constants


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed since a mark; `mark` is where the next read starts."""

    mark: int
    login_ids: tuple[int, ...]
    nases: bool


async def snapshot_mark(connection: AsyncConnection) -> int:
    """The oldest transaction still running: all older ones are visible to this snapshot."""
    query = text("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
    return int((await connection.execute(query)).scalar_one())


async def changes_since(connection: AsyncConnection, mark: int) -> Changes:
    """Subjects changed by transactions at or after `mark`, in this connection's snapshot."""
    low = await snapshot_mark(connection)
    rows = await connection.execute(
        text("select distinct subject, subject_id from grant_changes where xid >= :mark"),
        {"mark": mark},
    )
    login_ids: list[int] = []
    nases = False
    for subject, subject_id in rows:
        if subject == "nas":
            nases = True
        else:
            login_ids.append(subject_id)
    return Changes(low, tuple(login_ids), nases)


async def rows_of(
    connection: AsyncConnection, login_ids: Sequence[int]
) -> Sequence[Row[tuple[object, ...]]]:
    """The rows of these logins; a deleted login has none."""
    query = text(_GRANTS + " where l.id in :ids").bindparams(bindparam("ids", expanding=True))
    return (await connection.execute(query, {"ids": list(login_ids)})).all()


async def page(
    connection: AsyncConnection, after: int, limit: int
) -> Sequence[Row[tuple[object, ...]]]:
    """Logins with ids above `after`, in order of id."""
    query = text(_GRANTS + " where l.id > :after order by l.id limit :limit")
    return (await connection.execute(query, {"after": after, "limit": limit})).all()


async def count(connection: AsyncConnection) -> int:
    """How many logins there are."""
    return int((await connection.execute(text("select count(*) from logins"))).scalar_one())


async def nas_rows(connection: AsyncConnection) -> Sequence[Row[tuple[object, ...]]]:
    """Every NAS with its sealed secret."""
    query = text(
        "select id, name, address::text as address, secret, dialect,"
        " require_message_authenticator from nases order by id"
    )
    return (await connection.execute(query)).all()


async def installation(connection: AsyncConnection) -> int:
    """A number that names this database, made once, so that a node notices another one."""
    made = "insert into facts values ('installation', to_jsonb((random() * 1e15)::bigint))"
    await connection.execute(text(made + " on conflict do nothing"))
    query = text("select value::text::bigint from facts where name = 'installation'")
    return int((await connection.execute(query)).scalar_one())


async def recently_seen(connection: AsyncConnection, name: str) -> bool:
    """Was node `name` seen within a day? One away for longer may have missed pruned changes."""
    query = text(
        "select seen_wall > clock_timestamp() - interval '1 day' from nodes where name = :name"
    )
    return bool((await connection.execute(query, {"name": name})).scalar_one_or_none())


async def beat(connection: AsyncConnection, name: str, state: str) -> None:
    """Say that node `name` lives; `state` is JSON for readiness, metrics and pruning."""
    await connection.execute(
        text(
            "insert into nodes values (:name, clock_timestamp(), cast(:state as jsonb))"
            " on conflict (name) do update set seen_wall = excluded.seen_wall,"
            " state = excluded.state"
        ),
        {"name": name, "state": state},
    )


async def prune(connection: AsyncConnection) -> None:
    """Forget changes that every node seen within a day has read."""
    await connection.execute(
        text(
            "delete from grant_changes where xid < (select min((state->>'mark')::bigint)"
            " from nodes where state ? 'mark' and seen_wall > clock_timestamp() - interval '1 day')"
        )
    )
