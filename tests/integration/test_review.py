"""The ladder looked at on a real database: the worked example, the plan, and who is asked for."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from api import review
from api.cashier import post_payment
from api.house import House
from api.looking import Looked
from api.messenger import Messenger
from api.previewing import preview
from api.store.access_tables import access_decisions, notices
from api.store.customer_tables import contracts
from billing.access import Level
from tests.support.database import Added, add_contract, add_plan, libpq, make_house
from tests.support.debtors import issue, move_clock, rows

pytestmark = pytest.mark.anyio
START = datetime(2026, 8, 20, 12, tzinfo=UTC)
DUE_ON = date(2026, 9, 1)
NOTICE_ON = datetime(2026, 9, 4, 3, tzinfo=UTC)  # midnight in São Paulo
WALLED_AT = datetime(2026, 9, 21, 11, tzinfo=UTC)  # Monday 08:00


@dataclass
class Scene:
    house: House
    plan_id: int
    debtors: list[Added]
    invoice_ids: list[int]

    async def run(self, contract_ids: list[int] | None = None) -> review.ReviewRun:
        return await review.run(self.house, contract_ids, "correlation", "test")

    async def next_due(self) -> datetime | None:
        async with self.house.uow("test", "next") as uow:
            return await review.next_due(uow.connection)

    async def levels(self) -> list[str]:
        return [row["level"] for row in await rows(self.house, contracts)]

    async def walk_to(self, until: datetime) -> list[Looked]:
        """As the rehearsal clock does: stop wherever something is due."""
        changes: list[Looked] = []
        while True:
            changes += (await self.run()).changes
            await Messenger(self.house).drain()
            due = await self.next_due()
            if due is None or due > until:
                await move_clock(self.house, until)
                return changes
            await move_clock(self.house, due)


@pytest.fixture(params=["UTC"])
async def scene(
    database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Scene]:
    with psycopg.connect(libpq(database_url), autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        zone = sql.Literal(request.param)
        connection.execute(sql.SQL("alter database {} set timezone to {}").format(name, zone))
    house = await make_house(database_url, tmp_path, now=START)
    plan_id = await add_plan(house)
    debtors = [await add_contract(house, plan_id) for _ in range(3)]
    invoice_ids = [await issue(house, debtor.contract_id, DUE_ON) for debtor in debtors]
    yield Scene(house, plan_id, debtors, invoice_ids)
    await house.store.close()


# Days are the provider's, whatever the database's own zone: 14 hours ahead of UTC, or 11 behind.
@pytest.mark.parametrize("scene", ["UTC", "Pacific/Kiritimati", "Pacific/Niue"], indirect=True)
async def test_the_worked_example(scene: Scene) -> None:
    assert await scene.walk_to(WALLED_AT - timedelta(seconds=1)) == []
    assert {row["drawn_at"] for row in await rows(scene.house, notices)} == {NOTICE_ON}
    assert await scene.next_due() == WALLED_AT
    changes = await scene.walk_to(WALLED_AT)
    assert [(c.before, c.after, c.counted_cents) for c in changes] == [
        (Level.FULL, Level.WALLED, 9990)
    ] * 3
    assert [c.invoice_ids for c in changes] == [(id_,) for id_ in scene.invoice_ids]
    assert await scene.levels() == ["walled"] * 3
    cuts = await rows(scene.house, access_decisions)
    assert {row["decided_at"] for row in cuts} == {WALLED_AT}
    assert all(row["notice_id"] for row in cuts)


async def test_nothing_happens_before_it_is_due(scene: Scene) -> None:
    await scene.walk_to(WALLED_AT - timedelta(seconds=1))
    assert await scene.run() == review.ReviewRun(0, 0, (), ())
    assert await scene.levels() == ["full"] * 3


async def test_a_plan_tells_what_a_run_does_and_changes_nothing(scene: Scene) -> None:
    await scene.walk_to(WALLED_AT - timedelta(seconds=1))
    await move_clock(scene.house, WALLED_AT)
    before = await rows(scene.house, contracts)
    planned = (await preview(scene.house, None)).changes
    assert [(c.contract_id, c.after) for c in planned] == [
        (debtor.contract_id, Level.WALLED) for debtor in scene.debtors
    ]
    assert await rows(scene.house, contracts) == before
    assert await rows(scene.house, access_decisions) == []
    assert list((await scene.run()).changes) == planned
    assert (await preview(scene.house, None)).rows == ()


async def test_an_empty_list_is_nobody(scene: Scene) -> None:
    await scene.walk_to(WALLED_AT - timedelta(seconds=1))
    await move_clock(scene.house, WALLED_AT)
    assert (await preview(scene.house, [])).rows == ()
    assert await scene.run([]) == review.ReviewRun(0, 0, (), ())
    assert await scene.levels() == ["full"] * 3


async def test_only_those_who_are_named_are_looked_at(scene: Scene) -> None:
    first = scene.debtors[0]
    sibling = await add_contract(scene.house, scene.plan_id, subscriber_id=first.subscriber_id)
    await issue(scene.house, sibling.contract_id, DUE_ON)
    await scene.walk_to(WALLED_AT - timedelta(seconds=1))
    await move_clock(scene.house, WALLED_AT)
    named = [first.contract_id, scene.debtors[1].contract_id]
    assert [c.contract_id for c in (await preview(scene.house, named)).changes] == named
    assert [c.contract_id for c in (await scene.run(named)).changes] == named
    assert await scene.levels() == ["walled", "walled", "full", "full"]
    assert [c.contract_id for c in (await scene.run()).changes] == [
        sibling.contract_id,
        scene.debtors[2].contract_id,
    ]


async def test_paying_restores_without_a_review(scene: Scene) -> None:
    await scene.walk_to(WALLED_AT)
    async with scene.house.uow("ana", "hand") as uow:
        await post_payment(
            scene.house,
            uow,
            provider="hand",
            external_id="r-1",
            amount_cents=20000,
            method="cash",
            reference="r-1",
            paid_at=WALLED_AT,
            invoice_id=scene.invoice_ids[0],
        )
    assert await scene.levels() == ["full", "walled", "walled"]


async def test_one_broken_account_does_not_stop_the_others(scene: Scene) -> None:
    await scene.walk_to(WALLED_AT - timedelta(seconds=1))
    await move_clock(scene.house, WALLED_AT)
    broken = scene.debtors[1]
    async with scene.house.uow("test", "break") as uow:
        await uow.connection.execute(
            text("update contracts set policy = 'gone' where id = :id"),
            {"id": broken.contract_id},
        )
    run = await scene.run()
    assert run.failed == (broken.subscriber_id,)
    assert run.accounts == 2
    assert await scene.levels() == ["walled", "full", "walled"]


async def test_batches_meet_everybody_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.review.BATCH", 2)
    # One batch after the other, so that progress has an order.
    monkeypatch.setattr("api.review.AT_ONCE", 1)
    await scene.walk_to(WALLED_AT - timedelta(seconds=1))
    await move_clock(scene.house, WALLED_AT)
    seen: list[int] = []
    run = await review.run(scene.house, None, "correlation", "test", seen.append)
    assert (run.accounts, len(run.changes), seen) == (3, 3, [2, 3])


async def test_nobody_due_is_no_date(house: House) -> None:
    async with house.uow("test", "next") as uow:
        assert await review.next_due(uow.connection) is None
