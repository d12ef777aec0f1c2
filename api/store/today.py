"""What a payer's money did today and how its invoices stood before, read from sealed documents.

A document holds invoices as they stood after its entry, so the last one of before tells how the
day began. What is never undone (a refund, a note, an invoice, an agreement) begins it anew.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, replace
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.chain import Document
from api.store.money_tables import reversals
from api.store.shares import read_payments
from billing.invoice import Allocation, Invoice, InvoiceState, Share
from billing.ledger import credit, receivable
from billing.payer import Account, Payment, Reversal, ReversalKind
from billing.reverse import Reversing
from billing.same_day import Day
from billing.settle import Waiting

_MONEY_IN = frozenset({"payment", "assignment"})
_MONEY_BACK = frozenset({ReversalKind.CHARGEBACK.value, ReversalKind.RETURNED.value})
_ENTRIES = text("""
    select e.kind, e.reference, e.document, s.seq,
           coalesce(sum(p.cents) filter (where p.account = :credit), 0)::bigint as credit_cents
    from ledger_entries e left join ledger_seals s on s.entry_id = e.id
        join ledger_postings p on p.entry_id = e.id
    where e.id in (select entry_id from ledger_postings where account = any(:accounts))
        and e.at >= :since
    group by e.id, s.seq order by s.seq nulls last
""")
_STOOD = text("""
    select distinct on (item ->> 'id') item
    from ledger_entries e join ledger_seals s on s.entry_id = e.id,
        jsonb_array_elements(e.document -> 'invoices') as item
    where e.id in (select entry_id from ledger_postings where account = any(:accounts))
        and s.seq < :seq and (item ->> 'id')::bigint = any(:invoice_ids)
    order by item ->> 'id', s.seq desc
""")

_Item = Mapping[str, Any]


class _Entry(NamedTuple):
    kind: str
    reference: str
    document: Document | None
    seq: int | None
    credit_cents: int


async def day_of(
    connection: AsyncConnection, account: Account, shares: Sequence[Share], since: datetime
) -> Day | None:
    """What the payer's money did since `since`, the start of the local day; under their lock.

    `shares` are what stands allocated now. None: no money came, or an entry does not tell enough.
    """
    accounts = [credit(account.subscriber_id)]
    accounts += [receivable(contract.id) for contract in account.contracts]
    asked = {"credit": accounts[0], "accounts": accounts, "since": since}
    entries = _since_the_last_act(
        [_Entry(*row) for row in await connection.execute(_ENTRIES, asked)]
    )
    documents = [entry.document for entry in entries if entry.document is not None]
    if not any(entry.kind in _MONEY_IN for entry in entries):
        return None
    met = {item["id"] for item in _items(documents, "invoices")}
    known = {invoice.id: invoice for invoice in account.invoices}
    asked = {"accounts": accounts, "seq": entries[0].seq, "invoice_ids": sorted(met)}
    stood = [item for (item,) in await connection.execute(_STOOD, asked)]
    if {item["id"] for item in stood} != met or not met <= known.keys():
        return None
    money_in = [(e.document or {}) for e in entries if e.kind in _MONEY_IN]
    went_back = await _reversals(
        connection, [item["id"] for item in _items(documents, "reversals")]
    )
    numbers = [item["id"] for item in _items(money_in, "payments")]
    numbers += [reversal.payment_id for reversal in went_back]
    payments = await read_payments(connection, numbers, since.tzinfo)
    return Day(
        invoices=tuple(_as_it_stood(known[item["id"]], item) for item in stood),
        credit_cents=account.credit_cents + sum(entry.credit_cents for entry in entries),
        shares=_without(shares, _items(documents, "allocations")),
        payments=tuple(_spent(document, payments) for document in money_in),
        reversals=tuple(Reversing(item, payments[item.payment_id], 0, ()) for item in went_back),
    )


def _since_the_last_act(entries: Sequence[_Entry]) -> list[_Entry]:
    acts = [place for place, entry in enumerate(entries, 1) if not _can_be_undone(entry)]
    return list(entries[max(acts, default=0) :])


def _can_be_undone(entry: _Entry) -> bool:
    if entry.seq is None or entry.document is None:  # of this very transaction, or of before seals
        return False
    if entry.kind == "credit":  # used for what a reversal had opened, or for a new invoice
        return entry.reference.startswith("reversal:")
    return entry.kind in _MONEY_IN | _MONEY_BACK


def _items(documents: Iterable[Document], table: str) -> Iterator[_Item]:
    for document in documents:
        yield from document.get(table, ())


def _as_it_stood(invoice: Invoice, item: _Item) -> Invoice:
    since, reopened = item["interest_since"], item["reopened_at"]
    return replace(
        invoice,
        due_on=date.fromisoformat(item["due_on"]),
        state=InvoiceState(item["state"]),
        paid_cents=item["paid_cents"],
        fine_paid_cents=item["fine_paid_cents"],
        interest_paid_cents=item["interest_paid_cents"],
        fine_base_cents=item["fine_base_cents"],
        interest_accrued_parts=item["interest_accrued_parts"],
        interest_since=None if since is None else date.fromisoformat(since),
        discount_cents=item["discount_cents"],
        paid_in_time_cents=item["paid_in_time_cents"],
        reopened_at=None if reopened is None else datetime.fromisoformat(reopened),
        # Documents of before it was known do not tell it.
        late_before=item.get("late_before", False),
    )


def _without(shares: Sequence[Share], given: Iterable[_Item]) -> tuple[Share, ...]:
    """What stood allocated before these were."""
    sums: Counter[tuple[int | None, int, str]] = Counter()
    kinds = ("interest_cents", "fine_cents", "principal_cents", "discount_cents")
    for item in given:
        for kind in kinds:
            sums[item["payment_id"], item["invoice_id"], kind] -= item[kind]
    for share in shares:
        number, *parts = astuple(share.allocation)
        for kind, cents in zip(kinds, parts, strict=True):
            sums[share.payment_id, number, kind] += cents
    keys = dict.fromkeys((payment_id, number) for payment_id, number, _ in sums)
    stood = [
        Share(payment_id, Allocation(number, *(sums[payment_id, number, kind] for kind in kinds)))
        for payment_id, number in keys
    ]
    return tuple(share for share in stood if any(astuple(share.allocation)[1:]))


def _spent(document: Document, payments: Mapping[int, Payment]) -> Waiting:
    """The payment of an entry, and what of it was spent then."""
    (money,) = document["payments"]
    given = _items([document], "allocations")
    parts = sum(
        item["interest_cents"] + item["fine_cents"] + item["principal_cents"] for item in given
    )
    return Waiting(payments[money["id"]], parts + money["credit_cents"])


async def _reversals(connection: AsyncConnection, numbers: Sequence[int]) -> list[Reversal]:
    rows = await connection.execute(select(reversals).where(reversals.c.id.in_(numbers)))
    return [
        Reversal(
            id=row.id,
            kind=ReversalKind(row.kind),
            payment_id=row.payment_id,
            provider=row.provider,
            external_id=row.external_id,
            amount_cents=row.amount_cents,
            author=row.author,
            reason=row.reason,
            at=row.at,
        )
        for row in rows
    ]
