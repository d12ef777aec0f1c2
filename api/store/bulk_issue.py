"""Many payers' new invoices at once, as `api.store.record` would write them: COPY, few statements.

What a run says of nearly everybody is a new invoice, credit that pays of it, and another date of
review. Whoever has more to say is written fact by fact.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store import chain
from api.store.bulk import copy_rows, draw_ids
from api.store.invoices import standing_of
from api.store.money_tables import (
    allocations,
    invoice_lines,
    invoices,
    ledger_entries,
    ledger_postings,
)
from api.store.pen import Written
from api.store.record_rows import allocation_row, credit_item, invoice_rows, issued_item
from api.store.rungs import write_rungs
from billing.events import CreditUsed, Fact, InvoiceIssued, Reviewed
from billing.ledger import Entry

Bulk = InvoiceIssued | CreditUsed | Reviewed

_NOW = select(func.now())
_LOOKS = text("""
update contracts c
   set reason = m.reason, rungs = m.rungs, review_on = m.review_on
  from jsonb_to_recordset(cast(:looks as jsonb))
    as m(id bigint, reason text, rungs jsonb, review_on timestamptz)
 where c.id = m.id
""")
_ENTRY = ("id", "kind", "at", "reference", "correlation_id", "recorded_wall", "document")
_POSTING = ("entry_id", "position", "account", "cents")


def bulk(facts: Sequence[Fact]) -> list[Bulk] | None:
    """The facts, if all of them can be written at once with those of other payers."""
    known = [fact for fact in facts if isinstance(fact, Bulk)]
    return known if len(known) == len(facts) else None


@dataclass(slots=True)
class _Rows:
    correlation_id: str
    now: datetime
    written: Written = field(default_factory=Written)
    invoices: dict[int, dict[str, Any]] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    shares: list[dict[str, Any]] = field(default_factory=list)
    entries: list[Sequence[object]] = field(default_factory=list)
    postings: list[Sequence[object]] = field(default_factory=list)
    looks: dict[int, Reviewed] = field(default_factory=dict)

    def take(self, fact: Bulk, entry_ids: Iterable[int]) -> None:
        match fact:
            case InvoiceIssued(invoice=invoice, entry=entry):
                row, lines = invoice_rows(invoice)
                document = chain.document({"invoices": [row], "invoice_lines": lines})
                self.invoices[invoice.id] = row
                self.lines += lines
                self._post(entry, document, entry_ids)
                self.written.audits.append(issued_item(invoice))
            case CreditUsed(allocation=allocation, entry=entry, invoice=invoice):
                share, standing = allocation_row(None, allocation), standing_of(invoice)
                document = chain.document(
                    {"allocations": [share], "invoices": [{"id": invoice.id, **standing}]}
                )
                # Credit pays of the invoice that was issued just before.
                self.invoices[invoice.id] |= standing
                self.shares.append(share)
                self._post(entry, document, entry_ids)
                self.written.audits.append(credit_item(allocation))
            case Reviewed():
                self.looks[fact.contract_id] = fact

    def _post(self, entry: Entry, document: chain.Document, entry_ids: Iterable[int]) -> None:
        number = next(iter(entry_ids))
        self.entries.append(
            (
                number,
                entry.kind,
                entry.at,
                entry.reference,
                self.correlation_id,
                self.now,
                json.dumps(document),
            )
        )
        self.postings += [(number, n, p.account, p.cents) for n, p in enumerate(entry.postings)]
        self.written.entries.append(
            chain.Unsealed(number, entry, self.correlation_id, self.now, document)
        )


async def write(connection: AsyncConnection, facts: Sequence[Bulk], correlation_id: str) -> Written:
    """Write the facts of many payers in their order, inside the caller's transaction."""
    count = sum(not isinstance(fact, Reviewed) for fact in facts)
    entry_ids = iter(await draw_ids(connection, ledger_entries, count))
    rows = _Rows(correlation_id, (await connection.execute(_NOW)).scalar_one())
    for fact in facts:
        rows.take(fact, entry_ids)
    for table, of in (
        (invoices, list(rows.invoices.values())),
        (invoice_lines, rows.lines),
        (allocations, rows.shares),
    ):
        if of:
            await copy_rows(connection, table, tuple(of[0]), [tuple(row.values()) for row in of])
    await copy_rows(connection, ledger_entries, _ENTRY, rows.entries)
    await copy_rows(connection, ledger_postings, _POSTING, rows.postings)
    await write_looks(connection, list(rows.looks.values()))
    return rows.written


async def write_looks(connection: AsyncConnection, looks: Sequence[Reviewed]) -> None:
    """Write what looks said that kept the level, whose payers the caller has locked."""
    if looks:
        said = [
            {
                "id": look.contract_id,
                "reason": look.verdict.reason,
                "rungs": write_rungs(look.verdict.rungs),
                "review_on": look.verdict.review_on and look.verdict.review_on.isoformat(),
            }
            for look in looks
        ]
        await connection.execute(_LOOKS, {"looks": json.dumps(said)})
