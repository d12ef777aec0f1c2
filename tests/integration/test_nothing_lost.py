"""Whatever is issued ahead, voided and issued anew: in the end each day and line is paid for once.

Random lives of one contract each, from a seed, with a booklet, changes of plan, days without
access, outages, lines by hand and an end. Judged by one invoice over the whole life, worked out
at once from what the contract was (M5, M17).
"""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import func, insert, select, text

from api import billing_run, booklet, contract_changes, ending
from api.house import House
from api.store import situations, subscriptions
from api.store.billing_tables import (
    outage_contracts,
    outages,
    parked_invoices,
    waiting_lines,
)
from api.store.money_tables import invoice_lines, invoices
from api.verify import verify
from billing.account import clear_payment
from billing.cycle import next_due
from billing.ladder import Situation
from billing.payer import Payment, Refused
from billing.recurring import propose
from billing.subscription import Extra
from billing.term import Leaving
from tests.support.database import Added, add_contract, add_plan, make_house

pytestmark = pytest.mark.anyio

START = datetime.fromisoformat("2027-01-05T09:00:00-03:00")
STEPS = 14
# A look finds no debt, and restores: the days until then are without access.
_WALL = text("""
with cut as (
    update contracts set level = 'walled', generation = generation + 1, since = :now
     where id = :contract_id and level = 'full' returning id, subscriber_id, generation
), notice as (
    insert into notices (subscriber_id, drawn_at, amounts_cents)
    select subscriber_id, :now, '{}' from cut returning id
)
insert into access_decisions (contract_id, generation, level, rate_down_bps, rate_up_bps, reason,
  invoice_ids, counted_cents, notice_id, policy, policy_version, rungs, situation, decided_at,
  correlation_id)
select cut.id, cut.generation, 'walled', 1, 1, 'test', '{}', 0, notice.id, 'simple', 1, '[]',
  cast(:situation as jsonb), :now, 'test' from cut, notice
""")


class Life:
    """One contract and what may happen to it."""

    def __init__(self, house: House, added: Added, plans: list[int], seed: int) -> None:
        self.house, self.contract_id, self.payer = house, added.contract_id, added.subscriber_id
        self.plans = plans
        self.random = Random(seed)
        self.outage_ids: list[int] = []

    async def days_pass(self) -> None:
        await self.move(self.random.randint(1, 20))

    async def move(self, days: int) -> None:
        async with self.house.uow("test", "move") as uow:
            await uow.move_clock(uow.clock.now() + timedelta(days=days))
        ran = await billing_run.run(self.house, self.house.clock.now().date(), "c", "t")
        assert ran.failed == ()

    async def issue_ahead(self) -> None:
        async with self.house.uow("test", "booklet") as uow:
            await booklet.issue(self.house, uow, self.contract_id, self.random.randint(1, 4))

    async def change_plan(self) -> None:
        ahead = self.random.choice([0, 0, 5, 40])
        async with self.house.uow("test", "plan") as uow:
            on = uow.clock.now().date() + timedelta(days=1 + ahead)
            plan = self.random.choice(self.plans)
            await contract_changes.change_plan(self.house, uow, self.contract_id, plan, on, "t")

    async def add_line(self) -> None:
        cents = self.random.choice([50_00, 7_77, -3_33])
        async with self.house.uow("test", "line") as uow:
            await contract_changes.add_one_off(
                self.house, uow, self.contract_id, "linha", cents, "t"
            )

    async def add_instalments(self) -> None:
        async with self.house.uow("test", "line") as uow:
            await contract_changes.add_instalments(
                self.house, uow, self.contract_id, "instalação", 100_00, 3, "t"
            )

    async def cut(self) -> None:
        async with self.house.uow("test", "cut") as uow:
            given = {"contract_id": self.contract_id, "now": uow.clock.now()}
            situation = json.dumps(situations.write(Situation(()), None))
            await uow.connection.execute(_WALL, given | {"situation": situation})

    async def outage(self) -> None:
        async with self.house.uow("test", "outage") as uow:
            now = uow.clock.now()
            values = {"started_at": now - timedelta(hours=7), "ended_at": now - timedelta(hours=1)}
            made = await uow.connection.execute(
                insert(outages).values(**values, reason="x", author="t").returning(outages.c.id)
            )
            number = int(made.scalar_one())
            row = {"outage_id": number, "contract_id": self.contract_id}
            await uow.connection.execute(insert(outage_contracts).values(**row))

    async def pay(self) -> None:
        """The oldest open invoice, whole."""
        async with self.house.uow("test", "pay") as uow:
            query = select(invoices).where(
                invoices.c.contract_id == self.contract_id, invoices.c.state == "open"
            )
            row = (await uow.connection.execute(query.order_by(invoices.c.due_on))).first()
            if row is None:
                return
            number = await uow.draw("payments")
            payment = Payment(
                id=number,
                provider="hand",
                external_id=f"r-{number}",
                amount_cents=row.amount_cents - row.paid_cents,
                method="cash",
                reference="",
                paid_at=uow.clock.now(),
                cleared_at=uow.clock.now(),
                invoice_id=row.id,
            )
            account = await uow.account(self.payer)
            account, facts = clear_payment(account, payment, await uow.desk())
            await uow.record(account, facts)

    async def live(self) -> None:
        told = [
            self.days_pass,
            self.days_pass,
            self.issue_ahead,
            self.issue_ahead,
            self.change_plan,
            self.change_plan,
            self.add_line,
            self.add_instalments,
            self.cut,
            self.outage,
            self.pay,
        ]
        await self.move(1)
        for _ in range(STEPS):
            try:
                await self.random.choice(told)()
            except Refused:
                continue
        await self.move(1)
        async with self.house.uow("test", "end") as uow:
            last = uow.clock.now().date() + timedelta(days=self.random.randint(0, 30))
            await ending.end(self.house, uow, self.contract_id, Leaving.CUSTOMER, "t", last)
        await self.move(45)

    async def charged(self) -> int:
        """What all its invoices that stand ask for, notes included."""
        async with self.house.store.reading() as connection:
            query = (
                select(func.coalesce(func.sum(invoice_lines.c.amount_cents), 0))
                .join(invoices, invoices.c.id == invoice_lines.c.invoice_id)
                .where(
                    invoices.c.contract_id == self.contract_id,
                    invoices.c.state.in_(("open", "paid")),
                )
            )
            return int(await connection.scalar(query) or 0)

    async def right(self) -> int:
        """The same as one invoice over all of it."""
        zone, today = self.house.settings.zone, self.house.clock.now().date()
        async with self.house.uow("test", "oracle") as uow:
            own = waiting_lines.c.contract_id == self.contract_id
            by_hand = await uow.connection.execute(
                select(waiting_lines).where(own, waiting_lines.c.by_hand)
            )
            extras = tuple(
                Extra(row["id"], subscriptions._extra(row).line, date.min)
                for row in by_hand.mappings()
            )
            # As if no invoice had taken any of them.
            await uow.connection.execute(
                text("update outage_contracts set invoice_id = null where contract_id = :id"),
                {"id": self.contract_id},
            )
            loaded = await subscriptions.load(uow.connection, [self.contract_id], today, zone)
            terms = (await uow.desk()).terms
        bill = loaded[self.contract_id].subscription
        whole = replace(
            bill, billed_until=bill.started_on, credited_until=bill.started_on, extras=extras
        )
        due_on = bill.started_on
        while due_on < today:
            due_on = next_due(due_on, bill.due_days)
        return propose(whole, due_on, terms).amount_cents


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(database_url, tmp_path, now=START)
    yield made
    await made.store.close()


@pytest.mark.parametrize("seed", [0, 1, 2, 15, 26, 29])
async def test_each_day_and_line_is_paid_for_once(house: House, seed: int) -> None:
    plans = [await add_plan(house, price_cents=cents) for cents in (99_90, 149_90, 59_99)]
    life = Life(house, await add_contract(house, plans[0], policy="simple"), plans, seed)
    await life.live()
    async with house.store.reading() as connection:
        parked = await connection.scalar(
            select(func.count()).where(parked_invoices.c.state == "parked")
        )
    assert parked == 0
    charged = await life.charged()
    async with house.store.reading() as connection:
        assert [line for line in await verify(house, connection) if "judged" not in line] == []
    assert charged == await life.right()
