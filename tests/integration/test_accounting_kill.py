"""kill -9 of workers under load, then of the shipper while it drains: nothing that was acknowledged
is lost, and PostgreSQL holds it once.
"""

import asyncio
import multiprocessing
import random
import time
from collections import Counter
from contextlib import closing
from multiprocessing.synchronize import Event
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from api.house import House
from api.shipper import Shipper
from tests.support.database import add_nas, libpq, make_house
from tests.support.killed_accounting import Outcome, kill_under_load

pytestmark = pytest.mark.anyio
KILLS, SEED = 20, 20_261_124
SHIPPER_KILLS = 6
JOURNAL_BYTES = 256 << 20


async def test_killed_workers_lose_nothing_and_a_killed_shipper_doubles_nothing(
    house: House, database_url: str, tmp_path: Path
) -> None:
    nas_id = await add_nas(house)
    outcome = await asyncio.to_thread(
        kill_under_load, tmp_path / "radius", KILLS, SEED, nas_id=nas_id
    )
    check_acknowledged(outcome)

    await asyncio.to_thread(kill_shippers, database_url, tmp_path / "house", outcome.journals)
    assert 0 < sum((await stored(house)).values()) < len(set(outcome.journalled)), "killed too late"
    with closing(Shipper(house, outcome.journals, JOURNAL_BYTES)) as shipper:
        while await shipper.ship():
            pass
    rows = await stored(house)
    assert set(rows) == set(outcome.journalled)
    assert max(rows.values()) == 1


async def stored(house: House) -> Counter[bytes]:
    """How often each session stands in PostgreSQL."""
    async with house.store.reading() as connection:
        rows = await connection.execute(text("select acct_session_id from sessions"))
        return Counter(row[0].encode() for row in rows)


def check_acknowledged(outcome: Outcome) -> None:
    """Also that the story was hard enough to prove anything."""
    assert outcome.lost() == set()
    assert set(outcome.journalled) <= set(outcome.sent)
    assert outcome.strange == 0
    assert len(outcome.acknowledged) > 1_000
    doubled = len(outcome.journalled) - len(set(outcome.journalled))
    assert doubled > 0, "no kill fell between a record and its answer"


def kill_shippers(url: str, data_dir: Path, journals: Path) -> None:
    """Start one after the other on the same journals and kill each at some moment of its work.

    The last one when something is known to be shipped, so that a slow machine proves as much.
    """
    chance = random.Random(SEED)
    context = multiprocessing.get_context("spawn")
    for number in range(SHIPPER_KILLS):
        begun = context.Event()
        process = context.Process(target=_ship, args=(url, data_dir, journals, begun))
        process.start()
        try:
            assert begun.wait(30), "the shipper did not start"
            time.sleep(chance.uniform(0.0, 0.3))
            if number == SHIPPER_KILLS - 1:
                await_first_row(url)
        finally:
            process.kill()
            process.join()


def await_first_row(url: str) -> None:
    """Until a session stands in PostgreSQL."""
    deadline = time.monotonic() + 30
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        while connection.execute("select from sessions limit 1").fetchone() is None:
            assert time.monotonic() < deadline, "the shipper ships nothing"
            time.sleep(0.005)


def _ship(url: str, data_dir: Path, journals: Path, begun: Event) -> None:
    async def drain() -> None:
        house = await make_house(url, data_dir)
        begun.set()
        with closing(Shipper(house, journals, JOURNAL_BYTES)) as shipper:
            while await shipper.ship():
                pass

    asyncio.run(drain())
