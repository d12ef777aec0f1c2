"""A provider in rehearsal whose clock is moved, and what it had to say to people."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from api.cashier import post_payment
from api.enforce import Enforcer
from api.house import House
from api.rehearsal_clock import ClockMover
from api.store.outbox_tables import messages
from radius.client import DynauthClient
from tests.support.accounts import at
from tests.support.database import make_house
from tests.support.debtors import with_provider
from tests.support.provider import FakeProvider


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A house, its payment provider, and the mover of its clock."""

    house: House
    provider: FakeProvider
    mover: ClockMover

    async def move(self, to: str) -> dict[str, object]:
        """To a local instant, doing what is due on the way."""
        return await self.mover.move(at(to), "walk")

    async def sent(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What was enqueued, in order."""
        query = select(messages).order_by(messages.c.id)
        if kind is not None:
            query = query.where(messages.c.kind == kind)
        async with self.house.uow("test", "read") as uow:
            return [dict(row) for row in (await uow.connection.execute(query)).mappings()]

    async def pay(
        self, invoice_id: int | None, cents: int = 9990, number: str = "r-1", method: str = "cash"
    ) -> int:
        """Money taken by hand; the payment's id."""
        async with self.house.uow("ana", "hand") as uow:
            posted = await post_payment(
                self.house,
                uow,
                provider="hand",
                external_id=number,
                amount_cents=cents,
                method=method,
                reference=number,
                paid_at=uow.clock.now(),
                invoice_id=invoice_id,
            )
        return posted.id


@asynccontextmanager
async def rehearse(url: str, data_dir: Path, now: datetime) -> AsyncIterator[Rehearsal]:
    provider = FakeProvider()
    house = with_provider(await make_house(url, data_dir, now=now), provider)
    client = DynauthClient()
    try:
        yield Rehearsal(house, provider, ClockMover(house, Enforcer(house, client)))
    finally:
        await client.close()
        await house.store.close()
