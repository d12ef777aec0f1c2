"""Planned cuts in real time: at their pace, and going on after a stop."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from api import drip, review
from api.house import House
from api.store.customer_tables import contracts
from api.store.guard_tables import cuts, review_plans
from api.store.policies import ensure_policies
from tests.support.database import add_contract, add_plan, make_house
from tests.support.debtors import issue, rows

pytestmark = pytest.mark.anyio

ANY_TIME = {
    "law": "none",
    "notice_days": 0,
    "notice_after_days": 0,
    "cut_any_day": True,
    "cut_from": "00:00",
    "cut_until": "23:59",
}
COUNT = 6
GAP_S = 0.2


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    made = await _six(database_url, tmp_path)
    yield made
    await made.store.close()


async def _six(database_url: str, tmp_path: Path, **settings: Any) -> House:
    """Six who are to be cut at once, five a second.

    In a zone where it is past noon: no minute of the day is outside of the hours of cuts, and no
    midnight comes in between.
    """
    zone = f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"
    made = await make_house(
        database_url, tmp_path, cuts_per_minute=round(60 / GAP_S), timezone=zone, **settings
    )
    now = made.clock.now()
    async with made.uow("test", "policy") as uow:
        await ensure_policies(uow.connection, {"any-time": ANY_TIME}, now)
    plan_id = await add_plan(made)
    for _ in range(COUNT):
        added = await add_contract(made, plan_id, policy="any-time")
        await issue(made, added.contract_id, now.date() - timedelta(days=30))
    async with made.uow("test", "notices") as uow:
        await uow.connection.execute(
            text(
                "insert into notices (subscriber_id, drawn_at, amounts_cents, state, channel,"
                " content_sha256, proven_at) select c.subscriber_id, now() - interval '9 days',"
                " jsonb_build_object(i.id::text, i.amount_cents), 'proven', 'email', '\\x00',"
                " now() - interval '9 days' from invoices i join contracts c"
                " on c.id = i.contract_id"
            )
        )
    return made


@asynccontextmanager
async def _worker(house: House) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(drip.run(house, stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def _until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await true():  # noqa: ASYNC110 -- the rows are the event
            await asyncio.sleep(0.02)


async def test_cuts_have_a_pace_and_go_on_after_a_stop(house: House) -> None:
    ran = await review.run(house, None, "c", "test", patience_s=0.0)
    assert ran.flaws == ()
    assert len(ran.changes) + ran.waiting == COUNT
    assert ran.waiting >= COUNT - 1

    async def more_than(count: int) -> bool:
        return len(await rows(house, cuts)) > count

    before = len(await rows(house, cuts))
    async with _worker(house):
        await _until(lambda: more_than(before))
    assert 1 <= len(await rows(house, cuts)) < COUNT
    assert (await rows(house, review_plans))[0]["state"] == "running"

    async def done() -> bool:
        return [row["state"] for row in await rows(house, review_plans)] == ["done"]

    async with _worker(house):
        await _until(done)
    assert len(await rows(house, cuts)) == COUNT
    at = [row["at_wall"] for row in sorted(await rows(house, cuts), key=lambda r: r["at_wall"])]
    gaps = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(at)]
    assert min(gaps) >= 0.9 * GAP_S
    assert {row["level"] for row in await rows(house, contracts)} == {"walled"}


async def test_after_the_first_cuts_real_minutes_pass(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drip, "LOOK_EVERY_S", 0.05)
    house = await _six(database_url, tmp_path, cuts_canary=2)
    running = asyncio.create_task(review.run(house, None, "c", "test"))

    async def watched() -> bool:
        return any(row["canary"] is not None for row in await rows(house, review_plans))

    before = house.clock.now()
    await _until(watched)
    (plan,) = await rows(house, review_plans)
    begun = plan["canary_until"] - timedelta(minutes=5)
    assert before <= begun <= house.clock.now()
    # Nobody makes the others meanwhile; one who complains stops them, and whoever waits is told.
    async with _worker(house):
        await asyncio.sleep(3 * GAP_S)
    made = await rows(house, cuts)
    assert (len(made), running.done()) == (2, False)
    async with house.uow("ana", "hold") as uow:
        await uow.connection.execute(
            text(
                "insert into holds (contract_id, author, reason, placed_at, expires_at)"
                " values (:id, 'ana', 'reclama', now(), now() + interval '1 day')"
            ),
            {"id": made[0]["contract_id"]},
        )
    ran = await running
    plans = await rows(house, review_plans)
    assert [(row["state"], row["cuts"]) for row in plans] == [("done", 6), ("refused", 4)]
    assert (len(ran.changes), ran.waiting) == (2, 0)
    assert (ran.plan_id, ran.flaws) == (plans[1]["id"], ("canary",))
    assert len(await rows(house, cuts)) == 2
    await house.store.close()
