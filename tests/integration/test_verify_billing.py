"""`religa verify` and the rows that invoices to come are made from (invariants M2 and M5)."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api import billing_run, booklet, contract_changes, ending, renegotiating
from api.house import House
from api.verify import verify
from api.verify_rows import verify_rows
from billing.account import take_promise
from billing.cycle import Mode
from billing.pause import Pause
from billing.payer import Promise
from billing.subscription import Discount
from billing.suspension import suspend
from billing.term import Leaving
from tests.integration.test_verify import _OTHER, Lived
from tests.support.database import Added, Cluster, add_contract, add_plan, make_house
from tests.support.money import add_payment, cut, move_clock, review_payer

pytestmark = pytest.mark.anyio

START = datetime.fromisoformat("2026-09-01T10:00:00-03:00")
_ACTS = {"cycles.taken_back", "lines.corrected", "lines.moved", "contract.ended"}
TABLES = ("waiting_lines", "discounts", "contract_billing", "billed_cycles", "promises")
# What the log was told of them before it was told of every row.
_FORGET = """
delete from audit_log where action in ('cycles.began', 'cycles.billed', 'cycles.taken_back',
    'lines.added', 'lines.corrected', 'discount.given', 'promise.taken');
update audit_log set data = data - 'next_due_on';
update audit_log set data = data - 'state' - 'settled_at' where action like 'promise.%'
"""


@pytest.fixture(scope="module")
async def story(
    database_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Lived]:
    """Months of honest billing: lived once, tampered with in copies."""
    lived = Lived(database_cluster.create(), tmp_path_factory.mktemp("lived"), START)
    house = await make_house(lived.url, lived.data_dir, now=START)
    await _promise_twice(house)
    await _bill_for_months(house)
    now = house.clock.now()
    await house.store.close()
    yield replace(lived, now=now)
    database_cluster.drop(lived.url)


@pytest.fixture
async def lived_in(database_cluster: Cluster, story: Lived) -> AsyncIterator[House]:
    """A house on a copy of that database."""
    url = database_cluster.copy(story.url)
    house = await make_house(url, story.data_dir, now=story.now)
    yield house
    await house.store.close()
    database_cluster.drop(url)


async def _promise_twice(house: House) -> None:
    """A promise that is kept, and one that is broken."""
    plan = await add_plan(house)
    kept, broken = await add_contract(house, plan), await add_contract(house, plan)
    await cut(house, kept, date(2026, 9, 1))
    today = house.clock.now()
    await _promise(house, kept, 2)
    await add_payment(house, kept, 12_000, "kept")
    await cut(house, broken, today.date())
    await _promise(house, broken, 1)
    await move_clock(house, house.clock.now() + timedelta(days=5))
    await review_payer(house, broken)


async def _promise(house: House, added: Added, days: int) -> None:
    async with house.uow("test", "promise") as uow:
        now = uow.clock.now()
        account = await uow.account(added.subscriber_id)
        until = now.date() + timedelta(days=days)
        promise = Promise(await uow.draw("promises"), added.contract_id, now, until, "ana", ())
        _, facts = take_promise(account, promise, await uow.desk())
        await uow.record(account, facts)


async def _bill_for_months(house: House) -> None:
    """Every deed that writes these rows, with runs between them."""
    plan = await add_plan(house)
    other = await add_plan(house, price_cents=149_90)
    changed, moved, ahead, gone, paused = [await add_contract(house, plan) for _ in range(5)]
    async with house.uow("test", "mode") as uow:
        await contract_changes.set_mode(house, uow, ahead.contract_id, Mode.ADVANCE, None)
        await contract_changes.set_automatic(house, uow, ahead.contract_id, True)
    off = Discount("em dia", house.clock.now().date(), basis_points=1_000, conditional=True)
    async with house.uow("test", "lines") as uow:
        for item in (changed, gone):
            number = item.contract_id
            await contract_changes.add_discount(house, uow, number, off)
            await contract_changes.add_one_off(house, uow, number, "visita", 50_00, "ana")
            await contract_changes.add_instalments(house, uow, number, "roteador", 90_00, 6, "ana")
    await _days_pass(house, 35)
    async with house.uow("test", "booklet") as uow:
        for item in (changed, gone):
            await booklet.issue(house, uow, item.contract_id, 4)
    await _days_pass(house, 3)
    async with house.uow("test", "change") as uow:
        today = uow.clock.now().date()
        number = changed.contract_id
        await contract_changes.change_plan(house, uow, number, other, None, "ana")
        # Days of it that were paid in advance are corrected.
        number = ahead.contract_id
        await contract_changes.change_plan(house, uow, number, other, None, "ana")
        # What waits for the next invoices moves with them.
        number = moved.contract_id
        await contract_changes.add_instalments(house, uow, number, "Roteador", 900, 3, "ana")
        await contract_changes.change_day(house, uow, moved.contract_id, 20)
    async with house.uow("test", "pause") as uow:
        account = await uow.account(paused.subscriber_id)
        days = (today + timedelta(days=1), today + timedelta(days=80))
        pause = Pause(await uow.draw("pauses"), paused.contract_id, uow.clock.now(), "ana", *days)
        await uow.record(account, suspend(account, pause, await uow.desk())[1])
    await _days_pass(house, 45)
    async with house.uow("test", "pause") as uow:
        await renegotiating.end_pause(uow, pause.id)
    async with house.uow("test", "end") as uow:
        last = uow.clock.now().date() + timedelta(days=5)
        await ending.end(house, uow, gone.contract_id, Leaving.CUSTOMER, "ana", last)
    await _days_pass(house, 40)


async def _days_pass(house: House, days: int) -> None:
    await move_clock(house, house.clock.now() + timedelta(days=days))
    ran = await billing_run.run(house, house.clock.now().date(), "bill", "test")
    assert ran.failed == ()


async def _differences(house: House) -> list[str]:
    async with house.store.reading() as connection:
        return await verify(house, connection)


async def test_an_honest_life_verifies(lived_in: House) -> None:
    async with lived_in.store.reading() as connection:
        states = await connection.scalars(text("select state from promises order by id"))
        assert states.all() == ["kept", "broken"]
        for table in TABLES:
            assert await connection.scalar(text(f"select count(*) from {table}"))
        told = await connection.scalars(text("select distinct action from audit_log"))
        assert _ACTS.issubset(told.all())
    assert await _differences(lived_in) == []


async def _unchecked(connection: AsyncConnection) -> None:
    """As somebody would who owns the database."""
    await connection.execute(text("set local session_replication_role = replica"))
    checks = await connection.execute(
        text("select conrelid::regclass::text, conname from pg_constraint where contype = 'c'")
    )
    for table, name in checks.all():
        if table in TABLES:
            await connection.execute(text(f"alter table {table} drop constraint {name}"))


async def test_a_change_of_any_column_is_named(lived_in: House) -> None:
    async with lived_in.store.reading() as connection:
        await _unchecked(connection)
        named = await connection.execute(
            text(
                "select table_name, column_name, data_type from information_schema.columns"
                " where table_schema = 'public' and table_name = any(:tables)"
            ),
            {"tables": list(TABLES)},
        )
        unseen = []
        columns = [tuple(row) for row in named]
        for table, column, kind in columns:
            # The first that was written, and the last.
            for which in ("min", "max"):
                point = await connection.begin_nested()
                other = _OTHER[kind].format(column)
                one = f"ctid = (select {which}(ctid) from {table})"
                await connection.execute(text(f"update {table} set {column} = {other} where {one}"))
                if table not in "\n".join(await verify_rows(connection)):
                    unseen.append(f"{table}.{column}")
                await point.rollback()
        assert unseen == []
        assert len(columns) == 43


_COPY = """
insert into {0} select (jsonb_populate_record(one, jsonb_build_object('{1}', {2}))).*
from (select o from {0} o limit 1) as kept(one)
"""


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        *(
            (f"delete from {table} where ctid = (select {which}(ctid) from {table})", "is gone")
            for table in TABLES
            for which in ("min", "max")
        ),
        *(
            (_COPY.format(table, "id", "(select max(id) + 1 from " + table + ")"), "no audit row")
            for table in ("waiting_lines", "discounts", "promises")
        ),
        (
            _COPY.format("billed_cycles", "due_on", "date '2031-01-01', 'invoice_id', null"),
            "no audit row tells of billed_cycles",
        ),
        (
            _COPY.format("contract_billing", "contract_id", "1000000"),
            "no audit row tells of contract_billing 1000000",
        ),
        (
            "update waiting_lines set amount_cents = amount_cents + 20000 where invoice_id is null",
            "waiting_lines .* has amount_cents",
        ),
        ("update waiting_lines set invoice_id = null", "has invoice_id None"),
        (
            "update contract_billing set billed_until = billed_until + 28 where contract_id = 3",
            r"contract 3: it is billed until .*, not ",
        ),
        (
            "update billed_cycles set billed_from = billed_from + 28 where contract_id = 3",
            "contract 3: its cycle due .* is billed from .*, not ",
        ),
    ],
)
async def test_a_planted_row_is_named(lived_in: House, statement: str, said: str) -> None:
    async with lived_in.store.reading() as connection:
        await _unchecked(connection)
        await connection.execute(text(statement))
        found = await verify_rows(connection)
    assert re.search(said, "\n".join(found))


async def test_rows_of_before_the_log_told_of_them_are_not_reported(lived_in: House) -> None:
    async with lived_in.store.reading() as connection:
        await connection.execute(text("set local session_replication_role = replica"))
        for statement in _FORGET.split(";"):
            await connection.execute(text(statement))
        await connection.execute(text("update audit_log set at = now() + interval '1 year'"))
        assert await verify_rows(connection) == []
        await connection.execute(
            text("update contract_billing set billed_until = billed_until + 1")
        )
        assert "it is billed until" in "\n".join(await verify_rows(connection))


async def test_what_is_done_to_older_rows_is_told(lived_in: House) -> None:
    """A database that was brought up to date, and lived in since."""
    async with lived_in.store.writing() as connection:
        await connection.execute(text("set local session_replication_role = replica"))
        for statement in _FORGET.split(";"):
            await connection.execute(text(statement))
        await connection.execute(text("update audit_log set at = now() + interval '1 year'"))
    await _bill_for_months(lived_in)
    async with lived_in.store.reading() as connection:
        assert await verify_rows(connection) == []
        await connection.execute(text("set local session_replication_role = replica"))
        copy = _COPY.format("waiting_lines", "id", "(select max(id) + 1 from waiting_lines)")
        await connection.execute(text(copy))
        assert "no audit row tells of waiting_lines" in "\n".join(await verify_rows(connection))
