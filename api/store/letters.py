"""Rows of letters before a listing: claimed to be sent, and what became of them.

A row being worked on has no `last_error`; one that waits for its next try has.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.credit_tables import listing_letters
from api.store.payments import in_seconds
from api.store.tables import contracts

# Longer than one sending may take.
LEASE_S = 30


class Claimed(NamedTuple):
    id: int
    contract_id: int
    subscriber_id: int
    bureaus: Sequence[str]
    amounts_cents: Mapping[int, int]
    attempts: int


async def claim(connection: AsyncConnection, limit: int) -> list[Claimed]:
    """Take up to `limit` drawn letters that are due, for `LEASE_S`."""
    due = (
        select(listing_letters.c.id)
        .where(
            listing_letters.c.state == "drawn",
            listing_letters.c.next_attempt_wall <= func.clock_timestamp(),
        )
        .order_by(listing_letters.c.next_attempt_wall)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claimed = await connection.execute(
        update(listing_letters)
        .where(
            listing_letters.c.id.in_(select(due.c.id)),
            contracts.c.id == listing_letters.c.contract_id,
        )
        .values(
            attempts=listing_letters.c.attempts + 1,
            next_attempt_wall=in_seconds(LEASE_S),
            last_error=None,
        )
        .returning(
            listing_letters.c.id,
            listing_letters.c.contract_id,
            contracts.c.subscriber_id,
            listing_letters.c.bureaus,
            listing_letters.c.amounts_cents,
            listing_letters.c.attempts,
        )
    )
    return [
        Claimed(
            row.id,
            row.contract_id,
            row.subscriber_id,
            tuple(row.bureaus),
            {int(key): cents for key, cents in row.amounts_cents.items()},
            row.attempts,
        )
        for row in claimed
    ]


async def in_work(connection: AsyncConnection) -> bool:
    """Whether somebody holds a lease on a letter."""
    held = select(listing_letters.c.id).where(
        listing_letters.c.state == "drawn",
        listing_letters.c.attempts > 0,
        listing_letters.c.last_error.is_(None),
        listing_letters.c.next_attempt_wall > func.clock_timestamp(),
    )
    return bool(await connection.scalar(select(held.exists())))


async def prove(
    connection: AsyncConnection,
    letter_id: int,
    at: datetime,
    *,
    amounts_cents: Mapping[int, int],
    channel: str,
    address: str,
    message_id: str,
    content_sha256: bytes,
) -> None:
    """What was sent, where to, and which debts it named."""
    await connection.execute(
        update(listing_letters)
        .where(listing_letters.c.id == letter_id, listing_letters.c.state == "drawn")
        .values(
            state="proven",
            proven_at=at,
            amounts_cents={str(key): cents for key, cents in amounts_cents.items()},
            channel=channel,
            address=address,
            message_id=message_id,
            content_sha256=content_sha256,
        )
    )


async def fail(connection: AsyncConnection, letter_id: int, reason: str, at: datetime) -> None:
    await connection.execute(
        update(listing_letters)
        .where(listing_letters.c.id == letter_id, listing_letters.c.state == "drawn")
        .values(state="failed", failed_at=at, last_error=reason)
    )


async def retry(connection: AsyncConnection, letter_id: int, after_s: float, error: str) -> None:
    """Due again after a while, with the reason why it waits."""
    await connection.execute(
        update(listing_letters)
        .where(listing_letters.c.id == letter_id, listing_letters.c.state == "drawn")
        .values(next_attempt_wall=in_seconds(after_s), last_error=error)
    )
