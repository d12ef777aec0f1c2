"""The unit of work: what is loaded is what was recorded; one commit, one lock."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Table, func, select

from api.house import House
from api.store.customer_tables import contracts
from api.store.money_tables import ledger_entries, payments
from api.store.staff_tables import audit_log
from api.store.uow import DatabaseAway, Store, UnknownContract
from billing.access import Level
from billing.account import (
    Hold,
    Payment,
    Promise,
    clear_payment,
    issue_invoice,
    place_hold,
    review,
    take_promise,
)
from billing.events import AccessDecided, CreditUsed, PaymentPosted
from billing.invoice import Invoice, Line
from billing.ledger import suspense_entry
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.money import add_invoice, add_payment, cut, move_clock, notify_payer

TUESDAY = date(2026, 9, 1)


@pytest.fixture
async def rehearsal(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """A house in rehearsal, on the morning of the first due date."""
    house = await make_house(database_url, tmp_path, now=datetime(2026, 9, 1, 13, tzinfo=UTC))
    yield house
    await house.store.close()


@pytest.fixture
async def payer(rehearsal: House) -> Added:
    return await add_contract(rehearsal, await add_plan(rehearsal))


async def _count(house: House, table: Table) -> int:
    async with house.store.reading() as connection:
        found: int | None = await connection.scalar(select(func.count()).select_from(table))
    return found or 0


@pytest.mark.anyio
async def test_what_the_core_answers_is_what_is_loaded_next(rehearsal: House, payer: Added) -> None:
    async with rehearsal.uow("test", "c-1") as uow:
        account = await uow.account(payer.subscriber_id)
        now = uow.clock.now()
        desk = await uow.desk()
        money = Payment(
            await uow.draw("payments"), "pix", "ahead", 5000, "pix", "x", now, now, None
        )
        account, posted = clear_payment(account, money, desk)
        lines = (Line("Internet", 9990), Line("Discount", -1000))
        new = Invoice(await uow.draw("invoices"), payer.contract_id, TUESDAY, now, lines)
        account, issued = issue_invoice(account, new, desk)
        assert any(isinstance(fact, CreditUsed) for fact in issued)
        await uow.record(account, (*posted, *issued))
    async with rehearsal.uow("test", "c-2") as uow:
        assert await uow.account(payer.subscriber_id) == account


@pytest.mark.anyio
async def test_notices_promises_and_holds_come_back_as_they_went(
    rehearsal: House, payer: Added
) -> None:
    invoice_id = await add_invoice(rehearsal, payer, TUESDAY)
    await move_clock(rehearsal, datetime(2026, 9, 8, 13, tzinfo=UTC))
    notice_id = await notify_payer(rehearsal, payer)
    async with rehearsal.uow("test", "c-1") as uow:
        account = await uow.account(payer.subscriber_id)
        now = uow.clock.now()
        until = now.date() + timedelta(days=2)
        promise = Promise(
            await uow.draw("promises"), payer.contract_id, now, until, "payer", (invoice_id,)
        )
        hold = Hold(
            *(await uow.draw("holds"), payer.contract_id, "ana", "storm"),
            placed_at=now,
            expires_at=now + timedelta(days=1),
        )
        account, promised = take_promise(account, promise, await uow.desk())
        account, held = place_hold(account, hold, await uow.desk())
        await uow.record(account, (*promised, *held))
    async with rehearsal.uow("test", "c-2") as uow:
        loaded = await uow.account(payer.subscriber_id)
    assert loaded == account
    assert [notice.id for notice in loaded.notices] == [notice_id]
    # An expired hold is nothing that anyone needs to know.
    await move_clock(rehearsal, now + timedelta(days=2))
    async with rehearsal.uow("test", "c-3") as uow:
        assert (await uow.account(payer.subscriber_id)).holds == ()


@pytest.mark.anyio
async def test_paying_restores_and_says_so_on_the_channel(rehearsal: House, payer: Added) -> None:
    await cut(rehearsal, payer, TUESDAY)
    async with rehearsal.store.reading() as connection:
        row = (await connection.execute(select(contracts))).one()
    assert (row.level, row.generation) == (Level.WALLED, 2)

    told = rehearsal.store.listen(["religa_access", "religa_grants"])
    assert await anext(told) == ("reconnected", "")
    await add_payment(rehearsal, payer, 20_000, "e2e-1")
    words = {await asyncio.wait_for(anext(told), 5) for _ in range(2)}
    await told.aclose()
    assert words == {("religa_access", str(payer.contract_id)), ("religa_grants", "")}
    async with rehearsal.store.reading() as connection:
        row = (await connection.execute(select(contracts))).one()
    assert (row.level, row.generation, row.reason) == (Level.FULL, 3, "no_debt")


@pytest.mark.anyio
async def test_a_review_that_keeps_the_level_is_not_audited(rehearsal: House, payer: Added) -> None:
    await add_invoice(rehearsal, payer, TUESDAY)
    before = await _count(rehearsal, audit_log)
    await move_clock(rehearsal, datetime(2026, 9, 3, 13, tzinfo=UTC))
    async with rehearsal.uow("test", "look") as uow:
        account = await uow.account(payer.subscriber_id)
        account, facts = review(account, await uow.desk())
        assert facts
        assert not any(isinstance(fact, AccessDecided | PaymentPosted) for fact in facts)
        await uow.record(account, facts)
    assert await _count(rehearsal, audit_log) == before
    async with rehearsal.uow("test", "look") as uow:
        assert await uow.account(payer.subscriber_id) == account


async def _pay_half_way(house: House, payer: Added) -> None:
    async with house.uow("test", "c-1") as uow:
        account = await uow.account(payer.subscriber_id)
        now = uow.clock.now()
        money = Payment(await uow.draw("payments"), "pix", "x", 1, "pix", "x", now, now, None)
        _, facts = clear_payment(account, money, await uow.desk())
        await uow.record(account, facts)
        uow.notify("spoken", "never")
        raise RuntimeError("half way")


@pytest.mark.anyio
async def test_an_error_leaves_nothing_behind(rehearsal: House, payer: Added) -> None:
    await add_invoice(rehearsal, payer, TUESDAY)
    entries = await _count(rehearsal, ledger_entries)
    told = rehearsal.store.listen(["spoken"])
    await anext(told)
    with pytest.raises(RuntimeError, match="half way"):
        await _pay_half_way(rehearsal, payer)
    async with rehearsal.uow("test", "c-2") as uow:
        uow.notify("spoken", "after")
    assert await asyncio.wait_for(anext(told), 5) == ("spoken", "after")
    await told.aclose()
    assert await _count(rehearsal, payments) == 0
    assert await _count(rehearsal, ledger_entries) == entries


@pytest.mark.anyio
async def test_two_changes_of_one_account_come_one_after_the_other(
    rehearsal: House, payer: Added
) -> None:
    await add_invoice(rehearsal, payer, TUESDAY)
    await asyncio.gather(*(add_payment(rehearsal, payer, 1000, f"e{n}") for n in range(8)))
    async with rehearsal.uow("test", "c-1") as uow:
        account = await uow.account(payer.subscriber_id)
    assert account.invoices[0].paid_cents == 8000


@pytest.mark.anyio
async def test_money_for_nobody_is_kept_in_suspense(rehearsal: House) -> None:
    async with rehearsal.uow("test", "c-1") as uow:
        now = uow.clock.now()
        money = Payment(await uow.draw("payments"), "pix", "s", 700, "pix", "x", now, now, 4711)
        await uow.record_suspense(money, "it names invoice 4711", suspense_entry(money))
    async with rehearsal.store.reading() as connection:
        row = (await connection.execute(select(payments))).one()
        logged = (await connection.execute(select(audit_log))).one()
    assert (row.state, row.suspense_reason, row.invoice_id) == (
        *("suspense", "it names invoice 4711"),
        None,
    )
    assert (logged.action, logged.data["invoice_id"]) == ("payment.suspended", 4711)


@pytest.mark.anyio
async def test_payers_are_found_by_contract_and_invoice(rehearsal: House, payer: Added) -> None:
    invoice_id = await add_invoice(rehearsal, payer, TUESDAY)
    async with rehearsal.uow("test", "c-1") as uow:
        assert await uow.payer_of_contract(payer.contract_id) == payer.subscriber_id
        assert await uow.payer_of_invoice(invoice_id) == payer.subscriber_id
        assert await uow.payer_of_invoice(10**9) is None
        with pytest.raises(UnknownContract, match="1000000000"):
            await uow.payer_of_contract(10**9)
        with pytest.raises(LookupError, match="no subscriber"):
            await uow.account(10**9)


@pytest.mark.anyio
async def test_the_rehearsal_clock_is_the_same_for_all_processes(
    rehearsal: House, database_url: str, tmp_path: Path
) -> None:
    noon = datetime(2027, 1, 1, 15, tzinfo=UTC)
    other = await make_house(database_url, tmp_path, now=datetime(2026, 9, 1, 13, tzinfo=UTC))
    await move_clock(rehearsal, noon)
    async with other.uow("test", "c-1") as uow:
        assert uow.clock.now() == noon
    await other.store.close()


@pytest.mark.anyio
async def test_a_database_that_is_not_there_is_away() -> None:
    store = Store("postgresql://postgres@/religa?host=/nonexistent")
    with pytest.raises(DatabaseAway):
        async with store.reading():
            pytest.fail("entered")
    await store.close()
