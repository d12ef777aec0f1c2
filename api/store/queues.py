"""The queues of what is sent: notices, messages and letters before a listing, claimed alike.

A row being worked on has no `last_error`; one that waits for its next try has. What waits by the
business clock (quiet hours, a receipt that may come) is in `wait_until`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Column, ColumnElement, Table, func, or_, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.access_tables import notices
from api.store.credit_tables import listing_letters
from api.store.outbox_tables import deliveries, messages
from api.store.payments import in_seconds

# Longer than one sending may take.
LEASE_S = 30


@dataclass(frozen=True, slots=True)
class Queue:
    """A table of what is to be sent, the state in which it waits, and its column in deliveries."""

    name: str
    table: Table
    waiting: str
    delivered: "Column[int]"

    @property
    def open(self) -> ColumnElement[bool]:
        return self.table.c.state == self.waiting

    @property
    def woken_on(self) -> str:
        """The NOTIFY channel that tells of a row that is due."""
        return f"religa_{self.name}s"


NOTICES = Queue("notice", notices, "drawn", deliveries.c.notice_id)
MESSAGES = Queue("message", messages, "queued", deliveries.c.message_id)
LETTERS = Queue("letter", listing_letters, "drawn", deliveries.c.letter_id)
QUEUES = (NOTICES, MESSAGES, LETTERS)


class Claimed(NamedTuple):
    """A row that we hold for `LEASE_S`."""

    queue: Queue
    id: int
    subscriber_id: int

    @property
    def name(self) -> str:
        """As in `notice-12`: what its letters are called by."""
        return f"{self.queue.name}-{self.id}"


async def claim(
    connection: AsyncConnection, queue: Queue, limit: int, now: datetime
) -> list[Claimed]:
    """Take up to `limit` rows that are due, for `LEASE_S`."""
    table = queue.table
    due = (
        select(table.c.id)
        .where(queue.open, _due(table, now))
        .order_by(table.c.next_attempt_wall)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claimed = await connection.execute(
        update(table)
        .where(table.c.id.in_(select(due.c.id)))
        .values(
            attempts=table.c.attempts + 1,
            next_attempt_wall=in_seconds(LEASE_S),
            wait_until=None,
            last_error=None,
        )
        .returning(table.c.id, table.c.subscriber_id)
    )
    return [Claimed(queue, row.id, row.subscriber_id) for row in claimed]


async def in_work(connection: AsyncConnection, queue: Queue) -> bool:
    """Whether somebody holds a lease on a row."""
    table = queue.table
    held = select(table.c.id).where(
        queue.open,
        table.c.attempts > 0,
        table.c.last_error.is_(None),
        table.c.next_attempt_wall > func.clock_timestamp(),
    )
    return bool(await connection.scalar(select(held.exists())))


async def is_open(connection: AsyncConnection, queue: Queue, row_id: int) -> bool:
    """Whether it still waits to be sent. Ask with the person under lock."""
    state = await connection.scalar(select(queue.table.c.state).where(queue.table.c.id == row_id))
    return state == queue.waiting


async def may_be_proven(connection: AsyncConnection, queue: Queue, row_id: int) -> bool:
    """Whether a confirmation is news of it: it waits, or was given up. Ask as for `is_open`."""
    state = await connection.scalar(select(queue.table.c.state).where(queue.table.c.id == row_id))
    return state in (queue.waiting, "failed")


async def retry(
    connection: AsyncConnection, queue: Queue, row_id: int, after_s: float, why: str
) -> None:
    """Due again after a while of real time, with the reason why it waits."""
    await _wait(connection, queue, row_id, {"next_attempt_wall": in_seconds(after_s)}, why)


async def wait(
    connection: AsyncConnection, queue: Queue, row_id: int, until: datetime, why: str
) -> None:
    """Due again at an instant of the business clock, with the reason why it waits."""
    values = {"wait_until": until, "next_attempt_wall": func.clock_timestamp()}
    await _wait(connection, queue, row_id, values, why)


async def next_at(connection: AsyncConnection, now: datetime) -> datetime | None:
    """The first instant of the business clock, after `now`, for which anything waits."""
    waits = [
        select(queue.table.c.wait_until.label("at")).where(
            queue.open, queue.table.c.wait_until > now
        )
        for queue in QUEUES
    ]
    every = union_all(*waits).subquery()
    found: datetime | None = await connection.scalar(select(func.min(every.c.at)))
    return found


async def fail(
    connection: AsyncConnection, queue: Queue, row_id: int, reason: str, failed_at: datetime
) -> None:
    """Given up, for the list that people work through."""
    table = queue.table
    await connection.execute(
        update(table)
        .where(table.c.id == row_id, queue.open)
        .values(state="failed", failed_at=failed_at, wait_until=None, last_error=reason)
    )


async def _wait(
    connection: AsyncConnection,
    queue: Queue,
    row_id: int,
    values: dict[str, object],
    why: str,
) -> None:
    await connection.execute(
        update(queue.table)
        .where(queue.table.c.id == row_id, queue.open)
        .values(**values, last_error=why)
    )


def _due(table: Table, now: datetime) -> ColumnElement[bool]:
    arrived: Sequence[ColumnElement[bool]] = (
        table.c.wait_until.is_(None),
        table.c.wait_until <= now,
    )
    return (table.c.next_attempt_wall <= func.clock_timestamp()) & or_(*arrived)
