"""`religa verify` is silent about an untouched database and names what was tampered with."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from api.house import House
from api.verify import verify
from billing.account import Payment
from billing.ledger import suspense_entry
from tests.support.database import add_contract, add_plan, make_house
from tests.support.money import add_invoice, add_payment, cut

TUESDAY = date(2026, 9, 1)


@pytest.fixture
async def lived_in(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """A house with cuts, restores, credit, late charges and suspense behind it."""
    house = await make_house(database_url, tmp_path, now=datetime(2026, 9, 1, 13, tzinfo=UTC))
    plan_id = await add_plan(house)
    restored = await add_contract(house, plan_id)
    await add_payment(house, restored, 90, "ahead")
    await cut(house, restored, TUESDAY)
    await add_payment(house, restored, 12_000, "all")
    walled = await add_contract(house, plan_id)
    await cut(house, walled, date(2026, 10, 6))
    await add_payment(house, walled, 1_000, "part")
    fresh = await add_contract(house, plan_id)
    await add_invoice(house, fresh, date(2026, 12, 1))
    async with house.uow("test", "suspense") as uow:
        now = uow.clock.now()
        money = Payment(await uow.draw("payments"), "pix", "s", 700, "pix", "x", now, now, None)
        await uow.record_suspense(money, "it names no invoice", suspense_entry(money))
    yield house
    await house.store.close()


async def _differences(house: House) -> list[str]:
    async with house.store.reading() as connection:
        return await verify(house, connection)


@pytest.mark.anyio
async def test_what_was_lived_through_can_be_computed_again(lived_in: House) -> None:
    assert await _differences(lived_in) == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "update ledger_postings set cents = cents + 1 where entry_id = 1 and position = 0",
            r"ledger entry 1 sums to 1 cents, not 0",
        ),
        ("update invoices set amount_cents = 99999 where id = 3", "its lines add up to 9990"),
        ("update invoices set paid_cents = 5 where id = 3", r"invoice 3 has 5\+0\+0 cents"),
        (
            "update invoices set state = 'void' where id = 3",
            "9990 cents receivable of contract 3, its invoices have 0 unpaid",
        ),
        ("update payments set credit_cents = 7 where external_id = 'ahead'", "cents of credit of"),
        ("update payments set amount_cents = 7 where external_id = 'all'", "is of 7 cents"),
        ("update payments set amount_cents = 7 where external_id = 's'", "cents in suspense"),
        ("update payments set provider = 'x' where external_id = 's'", "from cash:x"),
        ("update contracts set level = 'full' where id = 2", r"contract 2 stands at full \(2\)"),
        ("update contracts set generation = 9 where id = 3", r"contract 3 stands at full \(9\)"),
        ("update audit_log set actor = 'mallory' where seq = 2", "chain breaks at row 2"),
        (
            "update access_decisions set counted_cents = 1 where contract_id = 2",
            "contract 2, decision 2: stored",
        ),
        (
            "update access_decisions set situation = jsonb_set(situation, '{notices}', '[]')"
            " where contract_id = 1 and level = 'walled'",
            "judged again",
        ),
    ],
)
async def test_a_change_behind_our_back_is_named(
    lived_in: House, statement: str, said: str
) -> None:
    async with lived_in.uow("test", "tamper") as uow:
        # As somebody would who owns the database.
        await uow.connection.execute(text("set local session_replication_role = replica"))
        await uow.connection.execute(text(statement))
    differences = await _differences(lived_in)
    assert re.search(said, "\n".join(differences))
