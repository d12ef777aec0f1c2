"""Rows of overdue notices: what they list, and the proof that is kept with them."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.access_tables import notices
from api.store.customer_tables import subscribers

# A notice says nothing of an invoice that was reopened after it.
_TOLD_BEFORE = text("""
select i.id, min(n.proven_at) as proven_at
  from notices own
  join notices n on n.subscriber_id = own.subscriber_id and n.id <> own.id and n.state = 'proven'
  join invoices i on i.id = any(cast(:ids as bigint[])) and n.amounts_cents ? i.id::text
   and (i.reopened_at is null or i.reopened_at <= n.drawn_at)
 where own.id = :notice_id
 group by i.id
""")


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


async def told_before(
    connection: AsyncConnection, notice_id: int, invoice_ids: Collection[int]
) -> dict[int, datetime]:
    """Of these invoices those that another notice was proven for, and when the oldest one was."""
    asked = {"notice_id": notice_id, "ids": list(invoice_ids)}
    rows = await connection.execute(_TOLD_BEFORE, asked)
    return {row.id: row.proven_at for row in rows}


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
