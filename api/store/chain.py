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

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.tables import ledger_seals
from billing.ledger import Entry

VERSION = 1
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
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(bytes([VERSION]) + previous + text.encode()).digest()


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
    await connection.execute(_INSERT, rows)
