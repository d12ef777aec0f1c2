"""A month of 100,000 contracts issued, beside a bare COPY of the rows that it leaves.

One in five owes an earlier invoice, one in twenty has credit, three in a hundred share their payer
with another contract, one in ten pays less in time. The run is the one that the command and the
schedule call, contracts never met before included, on the embedded server as it comes. A smaller
run beside it tells whether time grows alike.
"""

import asyncio
import io
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import psycopg
from sqlalchemy import text

from api import billing_run
from api.compose import open_house, prepare
from api.house import House
from api.store import embedded
from config.settings import Settings
from tests.bench.figure import Figure
from tests.support.database import add_plan, libpq
from tests.support.product import own_folder

CONTRACTS = 100_000
WRITTEN = (
    "invoices",
    "invoice_lines",
    "ledger_entries",
    "ledger_postings",
    "ledger_seals",
    "audit_log",
    "billed_cycles",
)
# Of a real base: whoever owes, has credit, has several contracts or pays less in time. Chosen by
# number, so that everybody may be several of these at once.
_PEOPLE = text("""
insert into subscribers (id, name, document, created_at)
select n, 'Assinante ' || n, lpad(n::text, 11, '0'), now() from generate_series(1, :count) n
""")
_LINES = text("""
insert into contracts (subscriber_id, plan_id, due_day, policy, created_at, since)
select payer, :plan, extract(day from current_date + 1 + payer % 13), 'anatel-765',
       now() - interval '15 days', now()
from generate_series(1, :count) n, lateral (select n - (n % 67 = 0)::int) as own(payer)
""")
# Their invoice is ten days overdue and their notice arrived; the line is cut later.
_DEBTORS = (
    """
insert into contract_billing (contract_id, started_on, billed_until, credited_until, next_due_on)
select id, current_date - 40, current_date - 10, current_date - 10,
       current_date + 1 + subscriber_id::int % 13
from contracts where id % 5 = 0
""",
    """
insert into invoices (contract_id, due_on, issued_at, amount_cents)
select id, current_date - 10, now() - interval '20 days', 9990 from contracts where id % 5 = 0
""",
    """
insert into invoice_lines (invoice_id, position, description, amount_cents, kind, service)
select id, 0, 'Fibra 300', amount_cents, 'scm', 'internet' from invoices
""",
    """
insert into notices (subscriber_id, drawn_at, amounts_cents, state, channel, content_sha256,
  proven_at)
select c.subscriber_id, now() - interval '8 days', jsonb_object_agg(i.id::text, i.amount_cents),
  'proven', 'email', '\\x00', now() - interval '8 days'
from invoices i join contracts c on c.id = i.contract_id group by c.subscriber_id
""",
)
_CREDIT = """
with entry as (
    insert into ledger_entries (kind, at, reference, correlation_id)
    select 'payment', now(), 'bench:' || n, 'bench' from generate_series(7, :count, 20) n
    returning id, split_part(reference, ':', 2) as payer
)
insert into ledger_postings (entry_id, position, account, cents)
select id, 0, 'cash:manual', 1000 from entry
union all select id, 1, 'credit:' || payer, -1000 from entry
"""
_DISCOUNTS = """
insert into discounts (contract_id, description, basis_points, conditional, from_on)
select id, 'Desconto em dia', 1000, true, current_date - 40 from contracts where id % 10 = 3
"""


def billing() -> Iterator[Figure]:
    """Yield seconds, the ratio to COPY, and the ratio to a run of half as many."""
    half, _ = _measured(CONTRACTS // 2)
    whole, copied = _measured(CONTRACTS)
    yield Figure("billing_run_100k", whole, "s", 90.0)
    yield Figure("billing_run_100k_vs_copy", whole, "s", peer=copied)
    # Twice as many take twice as long; 15 percent are the machine's.
    yield Figure("billing_run_100k_vs_50k", whole, "s", 2.3, peer=half)


def _measured(count: int) -> tuple[float, float]:
    with own_folder() as folder:
        settings = Settings(data_dir=folder / "var")
        settings.data_dir.mkdir()
        try:
            return asyncio.run(_measure(settings, count))
        finally:
            embedded.stop(settings.data_dir)


async def _measure(settings: Settings, count: int) -> tuple[float, float]:
    async with open_house(settings) as house:
        await prepare(house)
        plan = await add_plan(house, "Fibra 300")
        async with house.store.writing() as connection:
            await connection.execute(_PEOPLE, {"count": count})
            await connection.execute(_LINES, {"count": count, "plan": plan})
            for statement in (*_DEBTORS, _DISCOUNTS):
                await connection.execute(text(statement))
            await connection.execute(text(_CREDIT), {"count": count})
        async with house.store.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("vacuum analyze"))
        print(f"billing {count} contracts", file=sys.stderr)
        # One invoice each: due within thirteen days.
        until = house.clock.now().date() + timedelta(days=4)
        began = time.monotonic()
        ran = await billing_run.run(house, until, "bench", "bench")
        took = time.monotonic() - began
        if ran.invoices < count * 0.9 or ran.failed:
            raise RuntimeError(f"only {ran.invoices} of {count} were issued: {ran}")
        return took, await asyncio.to_thread(_copy, house)


def _copy(house: House) -> float:
    """Seconds that the same rows take into tables without key, index or trigger."""
    took = 0.0
    with psycopg.connect(libpq(house.store.url)) as connection:
        for table in WRITTEN:
            rows = io.BytesIO()
            with connection.cursor().copy(f"copy {table} to stdout".encode()) as out:
                for part in out:
                    rows.write(part)
            began = time.monotonic()
            connection.execute(f"create table bare_{table} (like {table})".encode())
            with connection.cursor().copy(f"copy bare_{table} from stdin".encode()) as copy:
                copy.write(rows.getvalue())
            connection.commit()
            took += time.monotonic() - began
    return took
