"""Rows of overdue notices: what they list, and the proof that is kept with them."""

from typing import NamedTuple

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.tables import notices, subscribers


class Addressee(NamedTuple):
    name: str
    document: str
    email: str | None
    phone: str | None


async def addressee(connection: AsyncConnection, subscriber_id: int) -> Addressee:
    """The person under lock, so that whoever else is about to write to them waits."""
    row = (
        await connection.execute(
            select(
                subscribers.c.name,
                subscribers.c.document,
                subscribers.c.email,
                subscribers.c.phone,
            )
            .where(subscribers.c.id == subscriber_id)
            .with_for_update()
        )
    ).one()
    return Addressee(*row)


async def listed(connection: AsyncConnection, notice_id: int) -> tuple[int, ...]:
    """The invoices that a notice lists."""
    found = await connection.scalar(
        select(notices.c.amounts_cents).where(notices.c.id == notice_id)
    )
    return tuple(map(int, found or {}))


async def keep_proof(
    connection: AsyncConnection,
    notice_id: int,
    *,
    channel: str,
    address: str,
    message_id: str,
    content_sha256: bytes,
) -> None:
    """What was sent, and where to. The state follows when the account has recorded it."""
    await connection.execute(
        update(notices)
        .where(notices.c.id == notice_id)
        .values(
            channel=channel, address=address, message_id=message_id, content_sha256=content_sha256
        )
    )
