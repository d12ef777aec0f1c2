"""From desired to applied: tells NASes what billing decided, until every open session has it.

Level-triggered: a notification only says which contract to look at first; the sweep finds whatever
is not yet as desired, so a crash anywhere costs seconds.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections import Counter
from collections.abc import Collection

from sqlalchemy.exc import SQLAlchemyError

from api.converge import Converger, Held
from api.crashpoints import reach
from api.house import House
from api.kill_switch import CHANNEL
from api.send_rate import IN_FLIGHT_MAX
from api.store import claims
from api.store.claims import Claim
from api.store.uow import RECONNECTED, DatabaseAway, Uow
from api.waiting import wait_for, wait_for_either
from radius.client import DynauthClient

log = logging.getLogger(__name__)

# What a crash costs at most before another process takes the line up.
LEASE_S = 10.0
RENEW_EVERY_S = 3.0
SWEEP_EVERY_S = 2.0
LOOK_FOR_FILE_EVERY_S = 0.2
# A sweep over very many sessions takes at most this share of the time.
SWEEP_SHARE = 0.05


class Enforcer:
    """Converges sessions with the access that their contracts desire.

    Several may run, in one process or many: leases in the database keep them apart.
    """

    def __init__(self, house: House, client: DynauthClient) -> None:
        self._house = house
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._held: dict[int, Held] = {}
        self._converger = Converger(house, client, self._owner)
        self._woken: set[int] = set()
        self._sweep_at = 0.0
        self._renewing: asyncio.Task[None] | None = None
        per_s = house.settings.coa_per_s
        self._held_max = max(IN_FLIGHT_MAX, round(2 * SWEEP_EVERY_S * per_s))

    async def run(self, stop: asyncio.Event) -> None:
        """Converge as notified, and sweep, until told to stop; an absent database is waited for."""
        loop = asyncio.get_running_loop()
        wake = asyncio.Event()
        listener = asyncio.create_task(self._listen(wake))
        watcher = asyncio.create_task(self._watch_file())
        try:
            while not stop.is_set():
                wake.clear()
                try:
                    if self._woken:
                        contract_ids, self._woken = self._woken, set()
                        await self._look_at(contract_ids)
                    if loop.time() >= self._sweep_at:
                        await self._sweep()
                except (DatabaseAway, SQLAlchemyError) as error:
                    log.warning("enforcement waits for the database: %s", error)
                    self._sweep_at = 0.0
                    await wait_for(stop, 1.0)
                    continue
                await wait_for_either(wake, stop, max(0.0, self._sweep_at - loop.time()))
        finally:
            for task in (listener, watcher):
                task.cancel()
            await asyncio.gather(listener, watcher, return_exceptions=True)
            await self._let_go()

    async def converge_contract(self, contract_id: int) -> None:
        """Bring this contract's sessions to what it desires, as far as one round gets."""
        await self._look_at([contract_id])
        held = [held for held in self._held.values() if held.claim.contract_id == contract_id]
        if held:
            await asyncio.wait([one.task for one in held])

    async def converge_all(self) -> int:
        """Do all that is due now and wait for it; answers how many sessions were taken up.

        Cancelling gives up waiting, not the work.
        """
        taken = 0
        while True:
            taken += await self._sweep()
            if not self._held:
                return taken
            await asyncio.wait([held.task for held in self._held.values()], timeout=0.25)

    async def _listen(self, wake: asyncio.Event) -> None:
        async for channel, payload in self._house.store.listen(["religa_access", CHANNEL]):
            if channel == RECONNECTED:
                self._sweep_at = 0.0
            elif channel == CHANNEL:
                # Cuts stop at once, those that wait for an answer too; a lifted switch frees them.
                self._sweep_at = 0.0
                for held in self._held.values():
                    if not held.claim.restores:
                        held.reconsider()
            else:
                self._woken.add(int(payload))
            wake.set()

    async def _watch_file(self) -> None:
        """Cuts that wait for an answer are not sent again once the file stands, database or not."""
        file = self._house.switch_file
        while True:
            if file.stands():
                for held in self._held.values():
                    if held.claim.cut:
                        held.reconsider()
            await asyncio.sleep(LOOK_FOR_FILE_EVERY_S)

    async def _look_at(self, contract_ids: Collection[int]) -> None:
        async with self._uow() as uow:
            newest = await claims.generations(uow.connection, contract_ids)
            found = await claims.claim_contracts(uow.connection, self._owner, contract_ids, LEASE_S)
        self._take(found, newest)

    async def _sweep(self) -> int:
        loop = asyncio.get_running_loop()
        began = loop.time()
        held = Counter((one.claim.nas_id, one.claim.restores) for one in self._held.values())
        full = [kind for kind, count in held.items() if count >= self._held_max]
        contract_ids = {one.claim.contract_id for one in self._held.values()}
        async with self._uow() as uow:
            newest = await claims.generations(uow.connection, contract_ids)
            found = await claims.claim(
                uow.connection,
                self._owner,
                self._held_max,
                LEASE_S,
                full_of_restores=[nas_id for nas_id, restores in full if restores],
                full_of_cuts=[nas_id for nas_id, restores in full if not restores],
            )
        self._take(found, newest)
        took_s = loop.time() - began
        self._sweep_at = loop.time() + max(SWEEP_EVERY_S, took_s / SWEEP_SHARE)
        return len(found)

    def _take(self, found: Collection[Claim], newest: dict[int, int]) -> None:
        for held in self._held.values():
            held.heed(newest.get(held.claim.contract_id, 0))
        if found:
            reach("enforce-claimed")
        for claim in found:
            # Held already: the lease ran out while the database was away, and came back to us.
            if claim.session_id not in self._held:
                held = self._held[claim.session_id] = Held(claim)
                held.task = asyncio.create_task(self._hold(held))
        if self._held and (self._renewing is None or self._renewing.done()):
            self._renewing = asyncio.create_task(self._renew())

    async def _hold(self, held: Held) -> None:
        try:
            await self._converger.converge(held)
        except (DatabaseAway, SQLAlchemyError, OSError) as error:
            # The lease runs out and the row is due again.
            log.warning("session %d is left for later: %s", held.claim.session_id, error)
        finally:
            del self._held[held.claim.session_id]

    async def _renew(self) -> None:
        while self._held:
            await asyncio.sleep(RENEW_EVERY_S)
            with contextlib.suppress(DatabaseAway):
                async with self._uow() as uow:
                    await claims.renew(uow.connection, self._owner, list(self._held), LEASE_S)

    async def _let_go(self) -> None:
        """Stop what is going on and leave it to others at once."""
        held = dict(self._held)
        tasks = [one.task for one in held.values()]
        if self._renewing is not None:
            tasks.append(self._renewing)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(DatabaseAway):
            async with self._uow() as uow:
                await claims.release(uow.connection, self._owner, list(held))

    def _uow(self) -> Uow:
        return self._house.uow("enforcer", "enforce")
