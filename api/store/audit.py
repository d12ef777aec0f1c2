"""The audit log: a chain of rows, each sealed by a hash over itself and the row before it.

Sequence numbers have no gaps: a lock lets one transaction append at a time, from its last
statement to its commit. Cutting off the end shows only against a head kept elsewhere.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.bulk import copy_rows
from api.store.staff_tables import audit_log

VERSION = 1
# From so many rows on, COPY is the quicker way.
MANY = 100
GENESIS = bytes(32)
# Any fixed number: the name of the lock that appending takes.
_LOCK = 0x52454C41
_TAKE_LOCK = select(func.pg_advisory_xact_lock(_LOCK))
_HEAD = select(audit_log.c.seq, audit_log.c.hash).order_by(audit_log.c.seq.desc()).limit(1)
_INSERT = insert(audit_log)


@dataclass(frozen=True, slots=True)
class Item:
    """What is to be logged: a verb in past tense (`payment.posted`), its subject, plain data."""

    action: str
    subject: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the log, without its links."""

    seq: int
    at: datetime
    actor: str
    action: str
    subject: str
    data: Mapping[str, object]
    correlation_id: str


def canonical(row: Row) -> bytes:
    """One spelling of a row: JSON with sorted keys, no spaces, UTF-8, the instant in UTC.

    Raises:
        ValueError: the data holds a float, whose spelling would not survive storage.
    """
    _refuse_floats(row.data)
    document = {
        "seq": row.seq,
        "at": row.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": row.actor,
        "action": row.action,
        "subject": row.subject,
        "data": row.data,
        "correlation_id": row.correlation_id,
    }
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _refuse_floats(value: object) -> None:
    match value:
        case float():
            raise ValueError(f"the audit log takes no floating-point number: {value!r}")
        case Mapping():
            for inner in value.values():
                _refuse_floats(inner)
        case list() | tuple():
            for inner in value:
                _refuse_floats(inner)


def link(previous: bytes, row: Row) -> bytes:
    """The hash that seals `row` onto the chain (invariant M11)."""
    return hashlib.sha256(bytes([VERSION]) + previous + canonical(row)).digest()


async def lock(connection: AsyncConnection) -> None:
    """Be the only one who appends, until the end of the transaction: so take it last of all."""
    await connection.execute(_TAKE_LOCK)


async def append(
    connection: AsyncConnection,
    items: Sequence[Item],
    actor: str,
    correlation_id: str,
    at: datetime,
) -> None:
    """Chain items onto the log, under its lock."""
    # A statement of its own: its snapshot must be younger than the lock.
    head = (await connection.execute(_HEAD)).one_or_none()
    seq, previous = (head.seq, head.hash) if head is not None else (0, GENESIS)
    rows: list[dict[str, object]] = []
    for item in items:
        seq += 1
        row = Row(seq, at, actor, item.action, item.subject, item.data, correlation_id)
        sealed = link(previous, row)
        rows.append(
            {
                "seq": seq,
                "version": VERSION,
                "at": at,
                "actor": actor,
                "action": item.action,
                "subject": item.subject,
                "data": dict(item.data),
                "correlation_id": correlation_id,
                "previous": previous,
                "hash": sealed,
            }
        )
        previous = sealed
    if len(rows) < MANY:
        await connection.execute(_INSERT, rows)
    else:
        plain = [tuple({**row, "data": json.dumps(row["data"])}.values()) for row in rows]
        await copy_rows(connection, audit_log, tuple(rows[0]), plain)


async def verify(connection: AsyncConnection) -> int | None:
    """Recompute the chain; the sequence number of the first row that breaks it, None: whole."""
    expected, previous = 1, GENESIS
    async with connection.stream(select(audit_log).order_by(audit_log.c.seq)) as rows:
        async for stored in rows:
            row = Row(
                stored.seq,
                stored.at,
                stored.actor,
                stored.action,
                stored.subject,
                stored.data,
                stored.correlation_id,
            )
            whole = (
                stored.seq == expected
                and stored.version == VERSION
                and stored.previous == previous
                and stored.hash == link(previous, row)
            )
            if not whole:
                return expected
            expected, previous = expected + 1, stored.hash
    return None
