"""A morning on which 20,000 payers are reminded: found, judged under lock, worded and enqueued.

There is no payment provider, so no charge is made; what is said of each is a row of the outbox.
Sending has a pace of its own, which is no part of the figure.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import func, select, text

from api import reminding
from api.compose import open_house, prepare
from api.store import embedded
from api.store.outbox_tables import messages
from config.settings import Settings
from tests.bench.figure import Figure
from tests.support.database import add_plan
from tests.support.product import own_folder

PAYERS = 20_000
# Five days before the due date, at ten local time.
MORNING = datetime(2026, 9, 10, 13, tzinfo=UTC)
# Enough of a morning for all of them to be told before noon.
REACH_S = 600.0
_ROWS = (
    """
    insert into subscribers (id, name, document, email, created_at)
    select n, 'Assinante ' || n, lpad(n::text, 11, '0'), 'a' || n || '@cliente.invalid', now()
    from generate_series(1, :count) n
    """,
    """
    insert into contracts (id, subscriber_id, plan_id, due_day, policy, created_at, since)
    select n, n, :plan, 15, 'anatel-765', now(), now() from generate_series(1, :count) n
    """,
    """
    insert into invoices (id, contract_id, due_on, issued_at, amount_cents)
    select n, n, date '2026-09-15', :morning, 9990 from generate_series(1, :count) n
    """,
    """
    insert into invoice_lines (invoice_id, position, description, amount_cents, kind, service)
    select id, 0, 'Fibra 300', amount_cents, 'scm', 'internet' from invoices
    """,
)


def reminded() -> Iterator[Figure]:
    """Yield the seconds that a whole run takes."""
    with own_folder() as folder:
        settings = Settings(data_dir=folder / "var", clock="manual")
        settings.data_dir.mkdir()
        try:
            took_s = asyncio.run(_measure(settings))
        finally:
            embedded.stop(settings.data_dir)
    yield Figure("reminders_20k", took_s, "s", REACH_S)


async def _measure(settings: Settings) -> float:
    async with open_house(settings) as house:
        await prepare(house)
        given = {"count": PAYERS, "plan": await add_plan(house, "Fibra 300"), "morning": MORNING}
        async with house.store.writing() as connection:
            for statement in _ROWS:
                await connection.execute(text(statement), given)
        async with house.uow("bench", "bench") as uow:
            await uow.move_clock(MORNING)
        print(f"reminding {PAYERS} payers", file=sys.stderr)
        began = time.monotonic()
        sent = await reminding.run(house, "bench", "bench")
        took_s = time.monotonic() - began
        async with house.uow("bench", "bench") as uow:
            kept = await uow.connection.scalar(select(func.count()).select_from(messages))
    if (sent, kept) != (PAYERS, PAYERS):
        raise RuntimeError(f"{sent} reminded, {kept} messages wait")
    return took_s
