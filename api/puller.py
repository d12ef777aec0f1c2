"""Pulling work from rows: woken by a notification, looking by itself, a bounded number at once.

The rows are the queue. A claim is a lease that ends by itself, so whatever dies with its row half
done is begun again by whoever looks next.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sqlalchemy.exc import DBAPIError

from api.store.uow import DatabaseAway, Store
from api.waiting import wait_for, wait_for_either

SWEEP_EVERY_S = 1.0
_IN_WORK_LOOK_S = 0.02

Row = TypeVar("Row")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Puller(Generic[Row]):
    """`claim(n)` leases up to n due rows, `work` does one, `in_work` says if any lease stands."""

    store: Store
    channel: str
    at_once: int
    claim: Callable[[int], Awaitable[Sequence[Row]]]
    work: Callable[[Row], Awaitable[None]]
    in_work: Callable[[], Awaitable[bool]]
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _working: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop; what has been begun is finished."""
        listening = asyncio.create_task(self._listen())
        try:
            while not stop.is_set():
                self._woken.clear()
                try:
                    await self._start_due()
                except DatabaseAway:
                    log.warning("%s: waiting for the database", self.channel)
                    await wait_for(stop, SWEEP_EVERY_S)
                await wait_for_either(self._woken, stop, SWEEP_EVERY_S)
        finally:
            listening.cancel()
            await asyncio.gather(listening, *self._working, return_exceptions=True)

    async def drain(self) -> int:
        """Do everything that is due now and wait for what others hold; how many rows we did."""
        done = 0
        while True:
            claimed = await self.claim(self.at_once)
            await asyncio.gather(*(self.work(row) for row in claimed))
            done += len(claimed)
            if not claimed:
                if not await self.in_work():
                    return done
                await asyncio.sleep(_IN_WORK_LOOK_S)

    async def _listen(self) -> None:
        async with aclosing(self.store.listen([self.channel])) as told:
            async for _ in told:
                self._woken.set()

    async def _start_due(self) -> None:
        free = self.at_once - len(self._working)
        if free > 0:
            for row in await self.claim(free):
                task = asyncio.create_task(self._guarded(row))
                self._working.add(task)
                task.add_done_callback(self._done)

    async def _guarded(self, row: Row) -> None:
        try:
            await self.work(row)
        except (DatabaseAway, DBAPIError) as error:
            # The lease ends by itself; then it is begun again.
            log.error("%s: %r was left: %s", self.channel, row, type(error).__name__)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        self._woken.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s: work failed", self.channel, exc_info=error)
