"""Rows of overdue notices: claimed to be sent, and what became of it.

A row being worked on has no `last_error`; one that waits for its next try has.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.payments import in_seconds
from api.store.tables import notices, subscribers

# Longer than one sending may take.
LEASE_S = 30


class ClaimedNotice(NamedTuple):
    id: int
    subscriber_id: int
    invoice_ids: tuple[int, ...]
    attempts: int


class Addressee(NamedTuple):
    name: str
    document: str
    email: str | None


async def claim(connection: AsyncConnection, limit: int) -> list[ClaimedNotice]:
    """Take up to `limit` drawn notices that are due, for `LEASE_S`."""
    due = (
        select(notices.c.id)
        .where(notices.c.state == "drawn", notices.c.next_attempt_wall <= func.clock_timestamp())
        .order_by(notices.c.next_attempt_wall)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claimed = await connection.execute(
        update(notices)
        .where(notices.c.id.in_(select(due.c.id)))
        .values(
            attempts=notices.c.attempts + 1,
            next_attempt_wall=in_seconds(LEASE_S),
            last_error=None,
        )
        .returning(
            notices.c.id, notices.c.subscriber_id, notices.c.amounts_cents, notices.c.attempts
        )
    )
    return [
        ClaimedNotice(row.id, row.subscriber_id, tuple(map(int, row.amounts_cents)), row.attempts)
        for row in claimed
    ]


async def in_work(connection: AsyncConnection) -> bool:
    """Whether somebody holds a lease on a notice."""
    held = select(notices.c.id).where(
        notices.c.state == "drawn",
        notices.c.attempts > 0,
        notices.c.last_error.is_(None),
        notices.c.next_attempt_wall > func.clock_timestamp(),
    )
    return bool(await connection.scalar(select(held.exists())))


async def addressee(connection: AsyncConnection, subscriber_id: int) -> Addressee:
    row = (
        await connection.execute(
            select(subscribers.c.name, subscribers.c.document, subscribers.c.email).where(
                subscribers.c.id == subscriber_id
            )
        )
    ).one()
    return Addressee(*row)


async def is_drawn(connection: AsyncConnection, notice_id: int) -> bool:
    """Whether it still waits to be sent. Ask with the payer's account under lock."""
    state = await connection.scalar(select(notices.c.state).where(notices.c.id == notice_id))
    return state == "drawn"


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


async def fail(
    connection: AsyncConnection, notice_id: int, reason: str, failed_at: datetime
) -> None:
    await connection.execute(
        update(notices)
        .where(notices.c.id == notice_id)
        .values(state="failed", failed_at=failed_at, last_error=reason)
    )


async def retry(connection: AsyncConnection, notice_id: int, after_s: float, error: str) -> None:
    """Due again after a while, with the reason why it waits."""
    await connection.execute(
        update(notices)
        .where(notices.c.id == notice_id, notices.c.state == "drawn")
        .values(next_attempt_wall=in_seconds(after_s), last_error=error)
    )
