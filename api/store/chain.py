"""The chain of ledger entries (invariant M11): each sealed over itself and the one before it.

A seal covers the entry, its postings and its document: every row of money that was written with
it. So no such row can be changed unnoticed, and how an invoice stands is what the last document
that names it says. The chain is in the order of commits, appended under the audit log's lock.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.bulk import copy_rows
from api.store.money_tables import ledger_seals
from billing.ledger import Entry, Posting

VERSION = 1
# From so many rows on, COPY is the quicker way.
MANY = 100
GENESIS = bytes(32)
_HEAD = select(ledger_seals.c.seq, ledger_seals.c.hash).order_by(ledger_seals.c.seq.desc()).limit(1)
_INSERT = insert(ledger_seals)

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unsealed:
    """An entry as it was stored, `document` in plain JSON types."""

    entry_id: int
    entry: Entry
    correlation_id: str
    recorded_wall: datetime
    document: Document | None


def document(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Document:
    """Rows by table in plain JSON types; a table without rows is left out."""
    return {table: [plain(row) for row in some] for table, some in rows.items() if some}


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row in plain JSON types: dates in ISO 8601, instants too and in UTC."""
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: object) -> object:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case date():
            return value.isoformat()
        case None | bool() | int() | str():
            return value
        case _:
            raise TypeError(f"a document takes no {type(value).__name__}: {value!r}")


def link(previous: bytes, seq: int, unsealed: Unsealed) -> bytes:
    """The hash that seals an entry onto the chain."""
    entry = unsealed.entry
    said = {
        "seq": seq,
        "id": unsealed.entry_id,
        "kind": entry.kind,
        "at": _plain(entry.at),
        "reference": entry.reference,
        "correlation_id": unsealed.correlation_id,
        "recorded_wall": _plain(unsealed.recorded_wall),
        "postings": [[posting.account, posting.cents] for posting in entry.postings],
        "document": unsealed.document,
    }
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(bytes([VERSION]) + previous + canonical.encode()).digest()


async def append(connection: AsyncConnection, entries: Sequence[Unsealed]) -> None:
    """Seal entries of this transaction. The caller holds the audit log's lock until its commit."""
    head = (await connection.execute(_HEAD)).one_or_none()
    seq, previous = (head.seq, head.hash) if head is not None else (0, GENESIS)
    rows: list[dict[str, object]] = []
    for unsealed in entries:
        seq += 1
        sealed = link(previous, seq, unsealed)
        rows.append(
            {
                "seq": seq,
                "entry_id": unsealed.entry_id,
                "version": VERSION,
                "previous": previous,
                "hash": sealed,
            }
        )
        previous = sealed
    if len(rows) < MANY:
        await connection.execute(_INSERT, rows)
    else:
        plain_rows = [tuple(row.values()) for row in rows]
        await copy_rows(connection, ledger_seals, tuple(rows[0]), plain_rows)


async def verify(connection: AsyncConnection) -> list[str]:
    """Recompute the chain: where it breaks first, and every entry that is not in it."""
    query = text("""
        select s.seq, s.version, s.previous, s.hash, e.id, e.kind, e.at, e.reference,
               e.correlation_id, e.recorded_wall, e.document, p.positions, p.accounts, p.cents
        from ledger_seals s left join ledger_entries e on e.id = s.entry_id
        left join lateral (
            select array_agg(position order by position) as positions,
                   array_agg(account order by position) as accounts,
                   array_agg(cents order by position) as cents
            from ledger_postings where entry_id = e.id
        ) p on true order by s.seq
    """)
    differences: list[str] = []
    expected, previous = 1, GENESIS
    async with connection.stream(query) as rows:
        async for row in rows:
            if row.seq != expected or not _whole(row, previous):
                differences.append(
                    f"the chain of ledger entries breaks at seal {expected},"
                    f" entry {row.id if row.id is not None else 'gone'}"
                )
                break
            expected, previous = expected + 1, row.hash
    unsealed = text("""
        select e.id from ledger_entries e left join ledger_seals s on s.entry_id = e.id
        where s.seq is null order by e.id
    """)
    differences += [
        f"ledger entry {row.id} is not sealed" for row in await connection.execute(unsealed)
    ]
    return differences


def _whole(row: Any, previous: bytes) -> bool:
    if row.id is None or row.positions != list(range(len(row.positions or ()))):
        return False
    try:
        postings = tuple(map(Posting, row.accounts, row.cents))
        entry = Entry(row.kind, row.at, row.reference, postings)
    except ValueError:
        return False
    unsealed = Unsealed(row.id, entry, row.correlation_id, row.recorded_wall, row.document)
    return bool(
        row.version == VERSION
        and row.previous == previous
        and row.hash == link(previous, row.seq, unsealed)
    )
