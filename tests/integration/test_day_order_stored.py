"""M9 through the store: one day's payments and chargebacks in several orders, the same books."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path

import pytest
from sqlalchemy import text

from api.house import House
from api.reversing import Asked, reverse
from api.store.payments import lock_payment_key
from api.verify import verify
from billing.account import Payment, ReversalKind, clear_payment
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.money import add_invoice

DAY = ("back-old", "back-late", "named", "plain", "again")
_STATE = text("""
    select to_jsonb(i) - 'id' - 'contract_id' - 'issued_at' - 'bill_id' as invoice
    from invoices i where contract_id = :contract_id order by id
""")
_BALANCES = text("""
    select replace(replace(account, ':' || :subscriber_id, ' of the payer'),
                   ':' || :contract_id, ' of the line'),
        sum(cents)::bigint
    from ledger_postings p join ledger_entries e on e.id = p.entry_id
    where p.entry_id in (select entry_id from ledger_postings
        where account in ('receivable:' || :contract_id, 'credit:' || :subscriber_id))
    group by 1 having sum(cents) <> 0 order by 1
""")


@dataclass(frozen=True, slots=True)
class Payer:
    """Three invoices: one paid in time, one late and in part, one that falls due soon."""

    added: Added
    invoices: tuple[int, ...]
    old: int
    late: int


async def pay(
    house: House, key: str, cents: int, invoice_id: int | None, payer: Added, ago: int = 0
) -> int:
    async with house.uow("test", key) as uow:
        money = Payment(
            id=await uow.draw("payments"),
            provider="pix",
            external_id=key,
            amount_cents=cents,
            method="pix",
            reference=key,
            paid_at=uow.clock.now() - timedelta(days=ago),
            cleared_at=uow.clock.now(),
            invoice_id=invoice_id,
        )
        standing = await lock_payment_key(uow.connection, "pix", key)
        if standing is not None:
            return standing.id
        account = await uow.account(payer.subscriber_id, [invoice_id] if invoice_id else [])
        _, facts = clear_payment(account, money, await uow.desk())
        await uow.record(account, facts)
    return money.id


async def make_payer(house: House, added: Added) -> Payer:
    today, name = house.clock.now().date(), f"{added.contract_id}"
    numbers = tuple(
        [
            await add_invoice(house, added, today + timedelta(days=days), 99_90)
            for days in (-60, -30, 8)
        ]
    )
    old = await pay(house, f"{name}-old", 99_90, numbers[0], added, ago=61)
    late = await pay(house, f"{name}-late", 40_00, numbers[1], added, ago=20)
    return Payer(added, numbers, old, late)


async def live(house: House, payer: Payer, order: Sequence[str]) -> None:
    name = f"{payer.added.contract_id}"
    for step in order:
        match step:
            case "named":
                await pay(house, f"{name}-named", 30_00, payer.invoices[0], payer.added)
            case "plain" | "again":
                await pay(house, f"{name}-plain", 120_00, None, payer.added)
            case _:
                money = payer.old if step == "back-old" else payer.late
                async with house.uow("test", step) as uow:
                    asked = Asked(ReversalKind.CHARGEBACK, f"{name}-{step}", None, "ana", "teste")
                    await reverse(uow, money, asked)


async def end_of(house: House, payer: Payer) -> tuple[object, ...]:
    added = payer.added
    names = {"contract_id": str(added.contract_id), "subscriber_id": str(added.subscriber_id)}
    async with house.store.reading() as connection:
        invoices = await connection.execute(_STATE, {"contract_id": added.contract_id})
        balances = await connection.execute(_BALANCES, names)
        return [row.invoice for row in invoices], [tuple(row) for row in balances]


@pytest.mark.anyio
async def test_any_order_with_repeats_ends_the_same(database_url: str, tmp_path: Path) -> None:
    house = await make_house(database_url, tmp_path, now=datetime(2026, 10, 20, 13, tzinfo=UTC))
    try:
        plan_id = await add_plan(house)
        orders = list(permutations(DAY))[::7]
        payers = [await make_payer(house, await add_contract(house, plan_id)) for _ in orders]
        # What came before was learnt of on an earlier day.
        async with house.uow("test", "tomorrow") as uow:
            await uow.move_clock(datetime(2026, 10, 21, 13, tzinfo=UTC))
        for payer, order in zip(payers, orders, strict=True):
            await live(house, payer, order)
        ends = [await end_of(house, payer) for payer in payers]
        assert "2026-10-26" in str(ends[0]), "one of them was opened again"
        for end in ends:
            assert end == ends[0]
        async with house.store.reading() as connection:
            assert await verify(house, connection) == []
    finally:
        await house.store.close()
