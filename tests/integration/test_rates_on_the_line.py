"""Another plan, or a good payer's bonus, on a line that is up: told to the NAS on the day."""

from collections.abc import AsyncIterator
from datetime import date, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, text

from api import billing_run, contract_changes
from api.enforce import Enforcer
from api.house import House
from api.store import grants
from api.store.access_tables import access_decisions
from api.store.money_tables import invoices
from api.store.terms import write_terms
from api.verify import verify
from billing.access import Rates
from billing.account import clear_payment
from billing.payer import Payment
from billing.terms import Terms
from radius.client import DynauthClient
from tests.support.dae import dae
from tests.support.database import Added, add_contract, add_nas, add_plan, make_house

pytestmark = pytest.mark.anyio

START = datetime.fromisoformat("2027-02-10T08:00:00-03:00")


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(database_url, tmp_path, now=START)
    yield made
    await made.store.close()


async def dialled(house: House, port: int, username: str) -> Added:
    """A contract on 100/50 Mbit/s with an open session on the NAS at a port."""
    nas = await add_nas(house, coa_port=port)
    added = await add_contract(house, await add_plan(house), username)
    async with house.uow("test", "dial") as uow:
        await uow.connection.execute(
            text(
                "insert into sessions (unique_id, acct_session_id, username, contract_id, nas_id,"
                " nas_address, ipv4, started_at, updated_at, received_at, applied_generation,"
                " applied_level, applied_wall) values (sha256('s'), 's', :username, :contract,"
                " :nas, '127.0.0.1', '100.64.0.7', now(), now(), now(), 1, 'full', now())"
            ),
            {"username": username, "contract": added.contract_id, "nas": nas},
        )
    return added


async def move(house: House, to: str) -> None:
    async with house.uow("test", "move") as uow:
        await uow.move_clock(datetime.fromisoformat(to))


async def change(house: House, contract_id: int, plan_id: int, from_on: date | None) -> None:
    async with house.uow("test", "change") as uow:
        await contract_changes.change_plan(house, uow, contract_id, plan_id, from_on, "test")


async def decisions(house: House) -> list[tuple[int, str, int, int]]:
    async with house.store.reading() as connection:
        rows = await connection.execute(
            select(
                access_decisions.c.generation,
                access_decisions.c.reason,
                access_decisions.c.rate_down_bps,
                access_decisions.c.rate_up_bps,
            ).order_by(access_decisions.c.id)
        )
        return [tuple(row) for row in rows]


async def test_a_plan_change_is_told_to_the_nas_on_its_day(house: House) -> None:
    async with dae() as nas:
        added = await dialled(house, nas.port, "ana")
        client = DynauthClient()
        enforcer = Enforcer(house, client)
        quick = await add_plan(house, down_bps=300_000_000, up_bps=150_000_000)
        await change(house, added.contract_id, quick, date(2027, 2, 20))
        await billing_run.run(house, START.date(), "c", "t")
        assert await enforcer.converge_all() == 0
        await move(house, "2027-02-20T00:00:00-03:00")
        ran = await billing_run.run(house, date(2027, 2, 20), "c", "t")
        assert ran.failed == ()
        assert await enforcer.converge_all() == 1
        assert nas.sent("ana") == ["coa 150M/300M"]
        # At once, where it counts from today; a plan at the same speed tells nobody anything.
        slow = await add_plan(house, down_bps=50_000_000, up_bps=25_000_000)
        await change(house, added.contract_id, slow, None)
        assert await enforcer.converge_all() == 1
        dear = await add_plan(house, down_bps=50_000_000, up_bps=25_000_000, price_cents=500_00)
        await change(house, added.contract_id, dear, None)
        assert await enforcer.converge_all() == 0
        assert nas.sent("ana") == ["coa 150M/300M", "coa 25M/50M"]
        await client.close()
    assert await decisions(house) == [
        (2, "rates_changed", 300_000_000, 150_000_000),
        (3, "rates_changed", 50_000_000, 25_000_000),
    ]
    async with house.store.reading() as connection:
        assert await verify(house, connection) == []


async def test_a_good_payer_is_quicker_until_the_first_invoice_paid_late(house: House) -> None:
    """Money rule 15, with two invoices in a row."""
    async with house.uow("test", "terms") as uow:
        await write_terms(uow.connection, Terms(reward_invoices=2, reward_speed_percent=20))
    async with dae() as nas:
        added = await dialled(house, nas.port, "ana")
        client = DynauthClient()
        enforcer = Enforcer(house, client)
        told: list[tuple[str, list[str]]] = []
        for day in ("02-28", "03-09", "03-31", "04-09", "05-09", "05-10", "05-11"):
            await move(house, f"2027-{day}T09:00:00-03:00")
            await billing_run.run(house, house.clock.now().date(), "c", "t")
            if day in ("03-09", "04-09"):
                await pay(house, added)
            await enforcer.converge_all()
            told.append((day, nas.sent("ana")))
            if day == "05-10":
                assert await granted(house) == Rates(120_000_000, 60_000_000, 2_000_000, 1_000_000)
        await client.close()
    # From the cycle on before which two were paid in time, until one was not.
    assert told[4:] == [
        ("05-09", []),
        ("05-10", ["coa 60M/120M"]),
        ("05-11", ["coa 60M/120M", "coa 50M/100M"]),
    ]
    async with house.store.reading() as connection:
        assert await verify(house, connection) == []


async def pay(house: House, added: Added) -> None:
    """Pay what is open, now."""
    async with house.uow("test", "pay") as uow:
        now = uow.clock.now()
        query = select(invoices).where(invoices.c.state == "open")
        row = (await uow.connection.execute(query)).one()
        payment = Payment(
            id=await uow.draw("payments"),
            provider="hand",
            external_id=f"r-{row.id}",
            amount_cents=row.amount_cents,
            method="cash",
            reference="",
            paid_at=now,
            cleared_at=now,
            invoice_id=row.id,
        )
        _, facts = clear_payment(await uow.account(added.subscriber_id), payment, await uow.desk())
        await uow.record(await uow.account(added.subscriber_id), facts)


async def granted(house: House) -> Rates:
    """What a redial is granted."""
    async with house.store.reading() as connection:
        (row,) = await grants.page(connection, 0, 10)
        values = row._asdict()
    return Rates(
        values["down_bps"],
        values["up_bps"],
        values["reduced_down_bps"],
        values["reduced_up_bps"],
    )
