"""Rows of money compared with what the ledger's documents tell of them (invariants M2 and M7).

Every document is under its entry's seal. What documents told of a row, the later over the earlier,
is how the row must stand: so a row that somebody changed, removed or added is named.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

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
_ROWS = """
with told as (
    select s.seq, item || cast({extra} as jsonb) as doc
    from ledger_entries e join ledger_seals s on s.entry_id = e.id,
        jsonb_array_elements(e.document -> '{table}') as item
), merged as (
    select {told_key} as key, jsonb_object_agg(part.key, part.value order by seq) as doc
    from told, jsonb_each(doc) as part group by 1
), typed as (
    select key, doc, to_jsonb(jsonb_populate_record(cast(null as {table}), doc)) as row from merged
), kept as (
    select {kept_key} as key, row from (select to_jsonb(a) as row from {table} a) as a
)
select key, typed.key is null, kept.key is null, part.name, part.found, part.told
from typed full join kept using (key) left join lateral (
    select e.key as name, e.value as found, typed.row -> e.key as told
    from jsonb_each(kept.row) as e
    where typed.doc ? e.key and e.value is distinct from typed.row -> e.key
) as part on true
where typed.key is null or kept.key is null or part.name is not null
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


async def verify_rows(connection: AsyncConnection) -> list[str]:
    """Every difference as a sentence."""
    differences: list[str] = []
    for table, key, extra in _KEYED:
        query = _ROWS.format(
            table=table,
            told_key=key.format(row="doc"),
            kept_key=key.format(row="row"),
            extra=extra.format(),
        )
        for row in await connection.execute(text(query)):
            row_id, unknown, gone, column, found, told = row
            if unknown:
                differences.append(f"no entry tells of {table} {row_id}")
            elif gone:
                differences.append(f"{table} {row_id} is gone, an entry tells of it")
            else:
                differences.append(
                    f"{table} {row_id} has {column} {found}, the ledger tells {told}"
                )
    for row, told_times, found_times in await connection.execute(text(_ALLOCATIONS)):
        differences.append(
            f"allocation {row} is there {found_times} times, the ledger tells it {told_times} times"
        )
    return differences
