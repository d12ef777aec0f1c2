"""Rows of money compared with what was told of them under a seal (invariants M2 and M7).

The ledger's documents tell of rows that hold money, the audit log of those that decide about it.
What they told of a row, the later over the earlier, is how it must stand: so a row that somebody
changed, removed or added is named.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.verify_billing import TOLD, verify_spans

LEDGER, LOG = "the ledger", "the audit log"
# Table, what names a row in it, and what a document leaves to its entry.
_KEYED = (
    ("invoices", "{row} ->> 'id'", "'{{}}'"),
    ("invoice_lines", "concat({row} ->> 'invoice_id', '/', {row} ->> 'position')", "'{{}}'"),
    (
        "payments",
        "{row} ->> 'id'",
        "case when e.kind in ('payment', 'suspense')"
        " then jsonb_build_object('entry_id', e.id) else '{{}}' end",
    ),
    ("reversals", "{row} ->> 'id'", "jsonb_build_object('entry_id', e.id)"),
    ("corrections", "{row} ->> 'id'", "jsonb_build_object('entry_id', e.id)"),
)
# Table, which actions tell of it, what names a row in it, and the id as the data calls it.
_LOGGED = (
    ("agreements", "agreement", "{row} ->> 'id'", "agreement_id"),
    ("disputes", "dispute", "{row} ->> 'id'", "dispute_id"),
    ("pauses", "pause", "{row} ->> 'id'", "pause_id"),
    ("holds", "hold", "{row} ->> 'id'", "hold_id"),
    ("charges", "charge", "concat({row} ->> 'provider', '/', {row} ->> 'txid')", "charge_id"),
)
# Rows of before the log told of such: older than the first that it tells of.
_UNTOLD = {
    "charges": """
        select concat(provider, '/', txid) as key from charges
        where id < coalesce((select min(c.id) from charges c join audit_log l
            on l.subject = concat('charge:', c.txid) and l.action = 'charge.made'),
            9223372036854775807)
    """
}
_NONE = "select cast(null as text) as key where false"
_FROM_LEDGER = """
    select s.seq, item || cast({extra} as jsonb) as doc
    from ledger_entries e join ledger_seals s on s.entry_id = e.id,
        jsonb_array_elements(e.document -> '{table}') as item
"""
_FROM_LOG = """
    select seq, data || jsonb_strip_nulls(jsonb_build_object('id', data -> '{id}')) as doc
    from audit_log where action like '{verb}.%'
"""
_ROWS = """
with told as ({source}), merged as (
    select {told_key} as key, jsonb_object_agg(part.key, part.value order by seq) as doc
    from told, jsonb_each(doc) as part group by 1
), typed as (
    select key, doc, to_jsonb(jsonb_populate_record(cast(null as {table}), doc)) as row from merged
), kept as (
    select {kept_key} as key, row from (select to_jsonb(a) as row from {table} a) as a
), older as ({untold})
select key, typed.key is null, kept.key is null, part.name, part.found, part.told
from typed full join kept using (key)
left join older as o(old) on o.old = kept.key left join lateral (
    select e.key as name, e.value as found, typed.row -> e.key as told
    from jsonb_each(case when typed.row = kept.row then '{{}}' else kept.row end) as e
    where typed.doc ? e.key and e.value is distinct from typed.row -> e.key
) as part on true
where typed.key is null and o.old is null or kept.key is null or part.name is not null
order by key, part.name
"""
_ALLOCATIONS = """
with told as (
    select to_jsonb(jsonb_populate_record(cast(null as allocations), item)) - 'id' as row
    from ledger_entries e join ledger_seals s on s.entry_id = e.id,
        jsonb_array_elements(e.document -> 'allocations') as item
), counted as (
    select row, count(*) as times from told group by row
), kept as (
    select to_jsonb(a) - 'id' as row, count(*) as times from allocations a group by 1
)
select row, coalesce(counted.times, 0), coalesce(kept.times, 0)
from counted full join kept using (row)
where coalesce(counted.times, 0) <> coalesce(kept.times, 0)
"""


# A bill is made with its first invoice, whose document names it.
_BILLS = """
with issued as (
    select (item ->> 'bill_id')::bigint as id, c.subscriber_id,
           (item ->> 'due_on')::date as due_on, min((item ->> 'issued_at')::timestamptz) as made_at
    from ledger_entries e, jsonb_array_elements(e.document -> 'invoices') as item
        join contracts c on c.id = (item ->> 'contract_id')::bigint
    where e.kind = 'invoice' and item ->> 'bill_id' is not null group by 1, 2, 3
)
select id, concat_ws(' ', b.subscriber_id, b.due_on, b.made_at),
       concat_ws(' ', i.subscriber_id, i.due_on, i.made_at)
from bills b full join issued i using (id)
where (b.subscriber_id, b.due_on, b.made_at)
    is distinct from (i.subscriber_id, i.due_on, i.made_at)
"""


async def verify_rows(connection: AsyncConnection) -> list[str]:
    """Every difference as a sentence."""
    differences: list[str] = []
    for table, key, extra in _KEYED:
        source = _FROM_LEDGER.format(table=table, extra=extra.format())
        differences += await _verify_table(connection, table, key, source, LEDGER)
    for table, verb, key, row_id in _LOGGED:
        source = _FROM_LOG.format(verb=verb, id=row_id)
        untold = _UNTOLD.get(table, _NONE)
        differences += await _verify_table(connection, table, key, source, LOG, untold)
    for told in TOLD:
        differences += await _verify_table(
            connection, told.table, told.key, told.source, LOG, told.untold
        )
    differences += await verify_spans(connection)
    for bill_id, found, told in await connection.execute(text(_BILLS)):
        differences.append(f"bill {bill_id} is {found!r}, its invoices tell {told!r}")
    for row, told_times, found_times in await connection.execute(text(_ALLOCATIONS)):
        differences.append(
            f"allocation {row} is there {found_times} times, the ledger tells it {told_times} times"
        )
    return differences


async def _verify_table(
    connection: AsyncConnection,
    table: str,
    key: str,
    source: str,
    teller: str,
    untold: str = _NONE,
) -> list[str]:
    query = _ROWS.format(
        table=table,
        told_key=key.format(row="doc"),
        kept_key=key.format(row="row"),
        source=source,
        untold=untold,
    )
    differences: list[str] = []
    for row_id, unknown, gone, column, found, told in await connection.execute(text(query)):
        if unknown:
            entry = "entry" if teller == LEDGER else "audit row"
            differences.append(f"no {entry} tells of {table} {row_id}")
        elif gone:
            differences.append(f"{table} {row_id} is gone, {teller} tells of it")
        else:
            differences.append(f"{table} {row_id} has {column} {found}, {teller} tells {told}")
    return differences
