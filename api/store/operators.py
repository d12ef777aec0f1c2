"""Rows of operators, tokens and login attempts."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.staff_tables import login_failures, operators, tokens


class OperatorRow(NamedTuple):
    id: int
    name: str
    role: str
    password_hash: str | None


class TokenRow(NamedTuple):
    id: int
    name: str
    role: str


async def lock_names(connection: AsyncConnection) -> None:
    """Until commit, nobody else adds a name: tokens and operators share one space of names."""
    await connection.execute(text("select pg_advisory_xact_lock(hashtextextended('names', 0))"))


async def name_taken(connection: AsyncConnection, name: str) -> bool:
    await lock_names(connection)
    operator = select(operators.c.id).where(operators.c.name == name)
    token = select(tokens.c.id).where(
        tokens.c.name == name, tokens.c.revoked_at.is_(None), tokens.c.operator_id.is_(None)
    )
    found = await connection.scalar(select(or_(operator.exists(), token.exists())))
    return bool(found)


async def any_operator(connection: AsyncConnection) -> bool:
    return bool(await connection.scalar(select(select(operators.c.id).exists())))


async def insert_operator(
    connection: AsyncConnection, *, name: str, role: str, password_hash: str, created_at: datetime
) -> int:
    made: int = (
        await connection.execute(
            insert(operators)
            .values(name=name, role=role, password_hash=password_hash, created_at=created_at)
            .returning(operators.c.id)
        )
    ).scalar_one()
    return made


async def operator_by_name(connection: AsyncConnection, name: str) -> OperatorRow | None:
    row = (
        await connection.execute(
            select(
                operators.c.id, operators.c.name, operators.c.role, operators.c.password_hash
            ).where(operators.c.name == name, operators.c.disabled_at.is_(None))
        )
    ).one_or_none()
    return OperatorRow(*row) if row else None


async def insert_token(
    connection: AsyncConnection,
    *,
    name: str,
    role: str,
    operator_id: int | None,
    sha256: bytes,
    created_at: datetime,
    expires_at: datetime | None,
) -> int:
    made: int = (
        await connection.execute(
            insert(tokens)
            .values(
                name=name,
                role=role,
                operator_id=operator_id,
                sha256=sha256,
                created_at=created_at,
                expires_at=expires_at,
            )
            .returning(tokens.c.id)
        )
    ).scalar_one()
    return made


async def live_token(connection: AsyncConnection, sha256: bytes, at: datetime) -> TokenRow | None:
    """The token if it works now. An operator's present role counts, not that of the login."""
    row = (
        await connection.execute(
            select(tokens.c.id, tokens.c.name, func.coalesce(operators.c.role, tokens.c.role))
            .select_from(tokens.outerjoin(operators, tokens.c.operator_id == operators.c.id))
            .where(
                tokens.c.sha256 == sha256,
                tokens.c.revoked_at.is_(None),
                or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > at),
                operators.c.disabled_at.is_(None),
            )
        )
    ).one_or_none()
    return TokenRow(*row) if row else None


async def revoke_token(connection: AsyncConnection, token_id: int, at: datetime) -> str | None:
    """Its name; None if there is no such token. Revoking twice keeps the first instant."""
    name: str | None = (
        await connection.execute(
            update(tokens)
            .where(tokens.c.id == token_id)
            .values(revoked_at=func.coalesce(tokens.c.revoked_at, at))
            .returning(tokens.c.name)
        )
    ).scalar_one_or_none()
    return name


async def note_attempt(
    connection: AsyncConnection, name: str, peer: str, at: datetime, horizon: datetime
) -> int:
    """Write an attempt down; drop those that no longer count."""
    await connection.execute(delete(login_failures).where(login_failures.c.at_wall < horizon))
    made: int = (
        await connection.execute(
            insert(login_failures)
            .values(name=name, peer=peer, at_wall=at)
            .returning(login_failures.c.id)
        )
    ).scalar_one()
    return made


async def attempts(
    connection: AsyncConnection, name: str, peer: str, since: datetime, before_id: int
) -> list[datetime]:
    """When the attempts before this one were made, oldest first."""
    found = await connection.scalars(
        select(login_failures.c.at_wall)
        .where(
            login_failures.c.name == name,
            login_failures.c.peer == peer,
            login_failures.c.at_wall >= since,
            login_failures.c.id < before_id,
        )
        .order_by(login_failures.c.id)
    )
    return list(found)


async def forget_attempt(connection: AsyncConnection, attempt_id: int) -> None:
    await connection.execute(delete(login_failures).where(login_failures.c.id == attempt_id))


async def forget_attempts(connection: AsyncConnection, name: str, peer: str) -> None:
    await connection.execute(
        delete(login_failures).where(login_failures.c.name == name, login_failures.c.peer == peer)
    )
