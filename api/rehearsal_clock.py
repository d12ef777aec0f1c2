"""Moving the rehearsal clock: what is due on the way is done, in its order, before the answer."""

import asyncio
import contextlib
from datetime import datetime

from sqlalchemy import text

from api import (
    billing_run,
    listings,
    payment_receipts,
    quota,
    reminding,
    rescinding,
    review,
    surveys,
)
from api.bureau_clerk import BureauClerk
from api.cashier import Cashier
from api.enforce import Enforcer
from api.house import House
from api.messenger import Messenger
from api.store import canary_rows, queues
from api.store.claims import STOPPED
from api.waiting import wait_for

# Routers that do not answer hold an answer back no longer than this; the work itself goes on.
PATIENCE_S = 45.0

# What is due now in real time, whoever is at it: the worker's loops and we take from one queue.
_OPEN = text(f"""
select (select count(*) from payment_notices
         where state = 'received' and next_attempt_wall <= clock_timestamp())
     + (select count(*) from notices
         where state = 'drawn' and next_attempt_wall <= clock_timestamp()
           and (wait_until is null or wait_until <= cast(:now as timestamptz)))
     + (select count(*) from messages
         where state = 'queued' and next_attempt_wall <= clock_timestamp()
           and (wait_until is null or wait_until <= cast(:now as timestamptz)))
     + (select count(*) from payment_receipts where told_at is null)
     + (select count(*) from listing_letters
         where state = 'drawn' and next_attempt_wall <= clock_timestamp()
           and (wait_until is null or wait_until <= cast(:now as timestamptz)))
     + (select count(*) from listings
         where state in ('pending', 'sent', 'awaiting', 'removing', 'removal_sent',
                         'removal_awaiting')
           and next_attempt_wall <= clock_timestamp())
     + (select count(*) from contracts
         where review_on <= cast(:now as timestamptz)
           and id not in (select contract_id from review_rows where state = 'waiting'))
     + (select count(*) from sessions s join contracts c on c.id = s.contract_id
         where s.stopped_at is null
           and (s.applied_generation < c.generation and not {STOPPED}
                or c.ended_on is not null)
           and (s.next_attempt_wall is null or s.next_attempt_wall <= clock_timestamp()))
""")  # noqa: S608 -- no text but our own constants


class ClockGoesForward(ValueError):
    """The rehearsal clock was asked to go back; facts already stand at its present instant."""


class ClockMover:
    """Moves the clock of a house in rehearsal."""

    def __init__(self, house: House, enforcer: Enforcer) -> None:
        self._house = house
        self._cashier = Cashier(house)
        self._messenger = Messenger(house)
        self._clerk = BureauClerk(house)
        self._enforcer = enforcer
        self._lock = asyncio.Lock()

    async def move(self, to: datetime, correlation_id: str) -> dict[str, object]:
        """Move to `to`, stopping at every instant on the way at which something is due."""
        async with self._lock:
            now = await self._set(None)
            if to < now:
                raise ClockGoesForward(
                    f"the clock stands at {now.isoformat()} and moves forward only"
                )
            stops = 0
            left = await self._drain(correlation_id)
            while True:
                async with self._house.store.reading() as connection:
                    now = self._house.clock.now()
                    instants = [
                        await review.next_due(connection),
                        await quota.next_due(connection, now),
                        await billing_run.next_at(self._house, connection),
                        await rescinding.next_at(self._house, connection),
                        await review.next_rules_at(self._house, connection),
                        await queues.next_at(connection, now),
                        await reminding.next_at(self._house, connection),
                        await surveys.next_at(self._house, connection),
                        await listings.next_at(self._house, connection),
                        await canary_rows.next_end(connection),
                    ]
                    due = min(filter(None, instants), default=None)
                if due is None or due > to:
                    break
                await self._set(max(due, self._house.clock.now()))
                left = await self._drain(correlation_id)
                stops += 1
            await self._set(to)
            left = await self._drain(correlation_id)
            return {"now": self._house.clock.now().isoformat(), "stops": stops, "open": left}

    async def _set(self, instant: datetime | None) -> datetime:
        """Set the clock for every process, or with None only read it."""
        async with self._house.uow("clock", "clock") as uow:
            if instant is not None:
                await uow.move_clock(instant)
            return uow.clock.now()

    async def _drain(self, correlation_id: str) -> int:
        """Do all that is due at this instant; answers how much is still open after patience."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S
        never = asyncio.Event()
        async with self._house.store.reading() as connection:
            bills = await billing_run.bills_by_itself(self._house, connection)
        if bills:
            # Somebody else's run does the same.
            with contextlib.suppress(billing_run.RunGoesOn):
                today = self._house.clock.now().date()
                await billing_run.run(self._house, today, correlation_id, "clock")
        while True:
            await self._cashier.drain()
            await review.run(self._house, None, correlation_id, "clock")
            await quota.look(self._house, correlation_id, "clock")
            await reminding.run(self._house, correlation_id, "clock")
            await surveys.run(self._house, correlation_id, "clock")
            await payment_receipts.run(self._house, correlation_id, "clock")
            await listings.look(self._house, correlation_id, "clock")
            await self._messenger.drain()
            await self._clerk.drain()
            # A silent router outlasts patience; giving up the wait does not give up the line.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._enforcer.converge_all()
            async with self._house.store.reading() as connection:
                now = self._house.clock.now()
                left = int((await connection.execute(_OPEN, {"now": now})).scalar_one())
            if left == 0 or loop.time() > deadline:
                return left
            await wait_for(never, 0.02)
