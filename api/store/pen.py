"""What writes the facts of one payer: the connection, and what recording leaves for the end."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store import chain
from api.store.audit import Item
from billing.ledger import Entry

Row = dict[str, Any]

# Built once: building a statement anew costs more than running it.
_ENTRY = text("""
with entry as (
    insert into ledger_entries (kind, at, reference, correlation_id, document)
    values (:kind, :at, :reference, :correlation_id, cast(:document as jsonb))
    returning id, recorded_wall
)
insert into ledger_postings (entry_id, position, account, cents)
select entry.id, part.n - 1, part.account, part.cents
from entry, unnest(cast(:accounts as text[]), cast(:cents as bigint[]))
    with ordinality as part(account, cents, n)
returning entry_id, (select recorded_wall from entry)
""")


@dataclass(frozen=True, slots=True)
class Written:
    """What recording leaves for the end of the transaction."""

    audits: list[Item] = field(default_factory=list)
    notifications: list[tuple[str, str]] = field(default_factory=list)
    entries: list[chain.Unsealed] = field(default_factory=list)

    def tell(self, action: str, subject: str, **data: object) -> None:
        self.audits.append(Item(action, subject, data))


@dataclass(frozen=True, slots=True)
class Pen:
    """Writes one payer's facts, inside the caller's transaction."""

    connection: AsyncConnection
    subscriber_id: int
    correlation_id: str
    written: Written

    async def post(self, entry: Entry, **rows: Sequence[Row]) -> int:
        """Write an entry with the rows that come with it; its id."""
        return await post(self.connection, entry, self.correlation_id, rows, self.written)

    def tell(self, action: str, subject: str, **data: object) -> None:
        """Leave a row for the audit chain."""
        self.written.tell(action, subject, **data)


async def post(
    connection: AsyncConnection,
    entry: Entry,
    correlation_id: str,
    rows: Mapping[str, Sequence[Row]],
    written: Written,
) -> int:
    """Write an entry with the rows that come with it, and leave it to be sealed; its id."""
    document = chain.document(rows)
    posted = await connection.execute(
        _ENTRY,
        {
            "kind": entry.kind,
            "at": entry.at,
            "reference": entry.reference,
            "correlation_id": correlation_id,
            "accounts": [posting.account for posting in entry.postings],
            "cents": [posting.cents for posting in entry.postings],
            "document": json.dumps(document),
        },
    )
    entry_id, recorded_wall = posted.all()[0]
    written.entries.append(chain.Unsealed(entry_id, entry, correlation_id, recorded_wall, document))
    return int(entry_id)
