"""Payers who are late together, walked by the rehearsal clock to the instant of their cut."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from api import guards, review
from api.house import House
from api.messenger import Messenger
from api.store import guard_rows
from api.store.customer_tables import contracts
from api.store.guard_tables import review_plans
from api.store.policies import ensure_policies
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.debtors import issue, move_clock, rows
from tests.support.money import add_payment

START = datetime(2026, 8, 20, 12, tzinfo=UTC)
DUE_ON = date(2026, 9, 1)
WALLED_AT = datetime(2026, 9, 21, 11, tzinfo=UTC)  # Monday 08:00


# A live line can be told of it without a redial.
SLOWED = {"steps": [{"level": "reduced", "anchor": "maturity", "after_days": 0}]}


@dataclass
class Late:
    house: House
    plan_id: int
    debtors: list[Added]
    invoice_ids: list[int]

    async def run(self) -> review.ReviewRun:
        return await review.run(self.house, None, "correlation", "test")

    async def levels(self) -> list[str]:
        return [row["level"] for row in await rows(self.house, contracts)]

    async def to_the_eve(self) -> None:
        """Noticed, and a second before the cut."""
        while True:
            await self.run()
            await Messenger(self.house).drain()
            async with self.house.uow("test", "next") as uow:
                due = await review.next_due(uow.connection)
            if due is None or due >= WALLED_AT:
                await move_clock(self.house, WALLED_AT - timedelta(seconds=1))
                return
            await move_clock(self.house, due)

    async def at_the_cut(self) -> None:
        await self.to_the_eve()
        await move_clock(self.house, WALLED_AT)

    async def pay(self, index: int, cents: int = 20_000) -> None:
        debtor, invoice_id = self.debtors[index], self.invoice_ids[index]
        await add_payment(self.house, debtor, cents, f"e2e-{index}-{cents}", invoice_id)

    async def hear(self, at: datetime, provider: str = "pix") -> None:
        async with self.house.uow("test", "heard") as uow:
            await guard_rows.hear(uow.connection, provider, at)

    async def plan(self) -> dict[str, Any]:
        """The last plan that was kept."""
        return dict((await rows(self.house, review_plans))[-1])

    async def release(self, plan: dict[str, Any], *people: str) -> list[str]:
        """Each approves the plan; its states."""
        states = []
        for person in people:
            async with self.house.uow(person, "release") as uow:
                given = bytes(plan["hash"])
                state, _ = await guards.release(uow, self.house, plan["id"], person, given)
                states.append(state)
        return states

    async def set_fact(self, name: str, at: datetime) -> None:
        """An instant among the single rows: `clock`, `clock_seen`."""
        await self.change(
            "update facts set value = to_jsonb(cast(:at as text)) where name = :name",
            name=name,
            at=at.isoformat(),
        )

    async def change(self, statement: str, **values: Any) -> None:
        async with self.house.uow("test", "change") as uow:
            await uow.connection.execute(text(statement), values)


async def late(
    url: str, path: Path, debtors: int, policy: str = "anatel-765", **settings: Any
) -> Late:
    house = await make_house(url, path, now=START, **settings)
    async with house.uow("test", "policy") as uow:
        await ensure_policies(uow.connection, {"slowed": SLOWED}, START)
    plan_id = await add_plan(house)
    added = [await add_contract(house, plan_id, policy=policy) for _ in range(debtors)]
    invoices = [await issue(house, debtor.contract_id, DUE_ON) for debtor in added]
    return Late(house, plan_id, added, invoices)
