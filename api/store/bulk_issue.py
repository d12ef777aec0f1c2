"""Many invoices at once, each as `api.store.record` would write it: COPY instead of statements."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store import chain
from api.store.bulk import copy_rows, draw_ids
from api.store.record import Written, invoice_rows, issued_item
from api.store.rungs import write_rungs
from api.store.tables import invoice_lines, invoices, ledger_entries, ledger_postings
from billing.events import InvoiceIssued, Reviewed

_NOW = select(func.now())
_LOOKS = text("""
update contracts c
   set reason = m.reason, rungs = m.rungs, review_on = m.review_on
  from unnest(cast(:ids as bigint[]), cast(:reasons as text[]), cast(:rungs as jsonb[]),
    cast(:reviews as timestamptz[])) as m(id, reason, rungs, review_on)
 where c.id = m.id
""")
_ENTRY = ("id", "kind", "at", "reference", "correlation_id", "recorded_wall", "document")
_POSTING = ("entry_id", "position", "account", "cents")


@dataclass(frozen=True, slots=True)
class Issued:
    """A new invoice on a contract that nothing else came of but another date of review."""

    fact: InvoiceIssued
    looked: Reviewed | None


async def write(
    connection: AsyncConnection, issued: Sequence[Issued], correlation_id: str
) -> Written:
    """Write invoices, lines, entries and looks, inside the caller's transaction."""
    written = Written()
    entry_ids = await draw_ids(connection, ledger_entries, len(issued))
    now = (await connection.execute(_NOW)).scalar_one()
    rows, lines, entries, postings = [], [], [], []
    for entry_id, item in zip(entry_ids, issued, strict=True):
        invoice, entry = item.fact.invoice, item.fact.entry
        row, own = invoice_rows(invoice)
        document = chain.document({"invoices": [row], "invoice_lines": own})
        rows.append(row)
        lines += own
        entries.append(
            (
                entry_id,
                entry.kind,
                entry.at,
                entry.reference,
                correlation_id,
                now,
                json.dumps(document),
            )
        )
        postings += [(entry_id, n, p.account, p.cents) for n, p in enumerate(entry.postings)]
        written.entries.append(chain.Unsealed(entry_id, entry, correlation_id, now, document))
        written.audits.append(issued_item(invoice))
    for table, of in ((invoices, rows), (invoice_lines, lines)):
        await copy_rows(connection, table, tuple(of[0]), [tuple(row.values()) for row in of])
    await copy_rows(connection, ledger_entries, _ENTRY, entries)
    await copy_rows(connection, ledger_postings, _POSTING, postings)
    await _look(connection, [item.looked for item in issued if item.looked is not None])
    return written


async def _look(connection: AsyncConnection, looks: Sequence[Reviewed]) -> None:
    if looks:
        await connection.execute(
            _LOOKS,
            {
                "ids": [look.contract_id for look in looks],
                "reasons": [look.verdict.reason for look in looks],
                "rungs": [json.dumps(write_rungs(look.verdict.rungs)) for look in looks],
                "reviews": [look.verdict.review_on for look in looks],
            },
        )
