"""A night of 100,000 contracts that are all due, reviewed and previewed.

Of a hundred: 80 with nothing overdue (50 owe nothing, 30 have an invoice that is still to fall
due), 15 that wait (8 for the days of a proven notice, 5 for the day of their notice, 2 whose notice
is made tonight) and 5 whose next step has come. The run judges everybody, writes what it found and
plans the cuts; the cuts themselves then have a pace of their own, which is no part of the figure.
The guard is set so wide that the plan passes. A smaller night tells whether time grows alike.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import text

from api import review
from api.compose import open_house, prepare
from api.previewing import keep, preview
from api.store import embedded
from config.settings import Settings
from tests.bench.figure import Figure
from tests.support.database import add_plan
from tests.support.product import own_folder

CONTRACTS = 100_000
# Thursday, an hour at which cuts may start.
NIGHT = datetime(2026, 9, 24, 12, tzinfo=UTC)
_PEOPLE = """
insert into subscribers (id, name, document, created_at)
select n, 'Assinante ' || n, lpad(n::text, 11, '0'), now() from generate_series(1, :count) n
"""
_LINES = """
insert into contracts (id, subscriber_id, plan_id, due_day, policy, created_at, since, review_on)
select n, n, :plan, 10, 'anatel-765', now(), now(), :night
from generate_series(1, :count) n
"""
# Its last digits say which of the hundred a contract is.
_INVOICES = """
insert into invoices (id, contract_id, due_on, issued_at, amount_cents)
select n, n, case when n % 100 < 80 then date '2026-10-01' when n % 100 < 88 then date '2026-09-07'
    when n % 100 < 93 then date '2026-09-22' when n % 100 < 95 then date '2026-09-21'
    else date '2026-09-01' end, :night, 9990
from generate_series(1, :count) n where n % 100 >= 50
"""
_INVOICE_LINES = """
insert into invoice_lines (invoice_id, position, description, amount_cents, kind, service)
select id, 0, 'Fibra 300', amount_cents, 'scm', 'internet' from invoices
"""
_NOTICES = """
insert into notices (subscriber_id, drawn_at, amounts_cents, state, channel, content_sha256,
  proven_at)
select n, d, jsonb_build_object(n::text, 9990), 'proven', 'email', '\\x00', d
from generate_series(1, :count) n,
  lateral (select case when n % 100 < 88 then timestamptz '2026-09-11 12:00Z'
                  else timestamptz '2026-09-04 12:00Z' end) as day(d)
where n % 100 between 80 and 87 or n % 100 >= 95
"""


def reviewed() -> Iterator[Figure]:
    """Yield seconds of the run and of the preview, and both against half as many."""
    half_run, half_seen = _measured(CONTRACTS // 2)
    run, seen = _measured(CONTRACTS)
    yield Figure("review_100k", run, "s", 15.0)
    yield Figure("review_100k_preview", seen, "s", 15.0)
    # Twice as many take twice as long; 15 percent are the machine's.
    yield Figure("review_100k_vs_50k", run, "s", 2.3, peer=half_run)
    yield Figure("review_100k_preview_vs_50k", seen, "s", 2.3, peer=half_seen)


def _measured(count: int) -> tuple[float, float]:
    with own_folder() as folder:
        settings = Settings(
            data_dir=folder / "var", clock="manual", cuts_sweep_percent=10, cuts_day_percent=10
        )
        settings.data_dir.mkdir()
        try:
            return asyncio.run(_measure(settings, count))
        finally:
            embedded.stop(settings.data_dir)


async def _measure(settings: Settings, count: int) -> tuple[float, float]:
    async with open_house(settings) as house:
        await prepare(house)
        plan = await add_plan(house, "Fibra 300")
        given = {"count": count, "plan": plan, "night": NIGHT}
        async with house.store.writing() as connection:
            for statement in (_PEOPLE, _LINES, _INVOICES, _INVOICE_LINES, _NOTICES):
                await connection.execute(text(statement), given)
        async with house.uow("bench", "bench") as uow:
            await uow.move_clock(NIGHT)
        async with house.store.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("vacuum analyze"))
        print(f"previewing and reviewing {count} contracts", file=sys.stderr)
        began = time.monotonic()
        found = await preview(house, None)
        async with house.uow("bench", "bench") as uow:
            await keep(uow, found)
        previewed_s = time.monotonic() - began
        began = time.monotonic()
        ran = await review.sweep(house, None, "bench", "bench")
        run_s = time.monotonic() - began
    steps = count * 5 // 100
    planned = sum(row.is_cut for row in found.rows)
    if (len(found.rows), planned, ran.waiting) != (count, steps, steps) or ran.failed:
        raise RuntimeError(f"{len(found.rows)} rows, {planned} cuts previewed; {ran}")
    if (ran.accounts, ran.notices) != (count, count * 2 // 100):
        raise RuntimeError(f"{ran.accounts} accounts, {ran.notices} notices")
    return run_s, previewed_s
