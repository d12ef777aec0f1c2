"""`religa bill` as others call it: killed at its named points, beside another run, on odd dates."""

import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from api import billing_run
from api.house import House
from api.store.billing_tables import billed_cycles, billing_runs
from api.store.money_tables import invoices
from api.verify import verify
from tests.support.database import add_contract, add_plan
from tests.support.product import ROOT

pytestmark = pytest.mark.anyio

# More than two batches, so that some are done and some are not.
MANY = 2_010
_PEOPLE = """
with people as (
    insert into subscribers (name, document, created_at)
    select 'Assinante ' || n, lpad(n::text, 11, '0'), now() from generate_series(1, :count) n
    returning id
)
insert into contracts (subscriber_id, plan_id, due_day, policy, created_at, since)
select id, :plan, 10, 'simple', now(), now() from people
"""


def religa(house: House, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    given = {
        "data_dir": house.settings.data_dir,
        "database_url": house.settings.database_url.get_secret_value(),
        **settings,
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RELIGA_")}
    return subprocess.run(
        [sys.executable, "-m", "api", *arguments],
        cwd=ROOT,
        env=kept | {f"RELIGA_{k.upper()}": str(v) for k, v in given.items()},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("point", ["billing-written", "billing-batch"])
async def test_killed_at_a_point_every_cycle_has_one_invoice_after_the_next_run(
    house: House, point: str
) -> None:
    plan = await add_plan(house)
    async with house.store.writing() as connection:
        await connection.execute(text(_PEOPLE), {"count": MANY, "plan": plan})
    until = str(house.clock.now().date() + timedelta(days=25))
    killed = religa(house, "bill", "--until", until, crash_at=point)
    assert killed.returncode == -signal.SIGKILL
    # The server may still be at what it was last told; its lock says when it has noticed.
    async with house.store.dedicated() as waiting:
        await waiting.execute("select pg_advisory_lock(%s)", (billing_run.LOCK,))
    done = await _issued(house)
    assert (done == 0) if point == "billing-written" else (0 < done < MANY), done

    ran = religa(house, "bill", "--until", until)
    assert ran.returncode == 0, ran.stderr
    async with house.store.reading() as connection:
        each = select(invoices.c.contract_id, invoices.c.due_on, func.count())
        found = await connection.execute(each.group_by(invoices.c.contract_id, invoices.c.due_on))
        counts = [count for _, _, count in found]
        assert set(counts) == {1}
        assert len(counts) % MANY == 0
        billed = await connection.scalar(select(func.count(billed_cycles.c.invoice_id)))
        assert billed == len(counts)
        # The run that was cut short never ended, and says so.
        ended = await connection.scalars(
            select(billing_runs.c.ended_at.is_not(None)).order_by(billing_runs.c.id)
        )
        assert ended.all() == [False, True]
    async with house.store.reading() as connection:
        assert await verify(house, connection) == []


async def _issued(house: House) -> int:
    async with house.store.reading() as connection:
        return int(await connection.scalar(select(func.count()).select_from(invoices)) or 0)


async def test_what_the_command_answers(house: House) -> None:
    await add_contract(house, await add_plan(house))
    today = house.clock.now().date()
    until, far = str(today + timedelta(days=40)), today + timedelta(days=400)
    async with billing_run._alone(house):
        busy = religa(house, "bill", "--until", until)
    assert (busy.returncode, busy.stdout) == (1, "")
    assert (
        busy.stderr.strip()
        .splitlines()[-1]
        .endswith("another billing run is at work; wait for its end (GET /api/v1/billing-runs)")
    )
    first = religa(house, "bill", "--until", until)
    assert first.returncode == 0, first.stderr
    assert first.stdout.endswith(" cents issued, 0 parked\n")
    again = religa(house, "bill", "--until", until)
    expected = f"nothing is due to be issued until {until}: that was billed already\n"
    assert (again.returncode, again.stdout) == (0, expected)
    beyond = religa(house, "bill", "--until", str(far))
    assert (beyond.returncode, beyond.stdout) == (1, "")
    last = today + billing_run.AHEAD
    assert f"{far} is more than a year ahead of {today}; give a date up to {last}" in beyond.stderr
    odd = religa(house, "bill", "--until", "2027-02-30")
    assert (odd.returncode, odd.stdout) == (2, "")
    assert "'--until'" in odd.stderr
    assert "2027-02-30" in odd.stderr
