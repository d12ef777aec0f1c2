"""Compiles what billing decided into the grant table that RADIUS workers read.

PostgreSQL in, LMDB out; the only way from one plane to the other. Level-triggered: a wake-up only
says "look"; the mark in the table says what was read, so a crash costs a second look.
"""

import asyncio
import contextlib
import functools
import gc
import ipaddress
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from api.crashpoints import reach
from api.house import House
from api.store import grants
from api.store.secrets import SecretError
from api.store.uow import DatabaseAway
from api.waiting import wait_for, wait_for_either
from billing.access import Access, Level, Rates
from network.dialects import DIALECTS
from network.render import Line, accept
from radius import dictionary
from radius.errors import LocalError
from radius.table import Client, Grant, GrantTable

log = logging.getLogger(__name__)

PAGE = 5_000
PROGRESS_EVERY = 10_000
LOOK_EVERY_S = 5.0
BEAT_EVERY_S = 5.0


class Publisher:
    """Keeps one node's table equal to the database.

    `counters` is asked for what the workers counted, to be reported with the node's heartbeat.
    """

    def __init__(
        self,
        house: House,
        table: GrantTable,
        node: str,
        counters: Callable[[], dict[str, int]] = dict,
    ) -> None:
        self._house = house
        self._table = table
        self._node = node
        self._counters = counters
        self._compile = functools.lru_cache(maxsize=65_536)(self._compile_replies)

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until told to stop; an absent database is waited for."""
        woken = asyncio.Event()
        listener = asyncio.create_task(self._listen(woken))
        heartbeat = asyncio.create_task(self._heartbeat(stop))
        try:
            while not stop.is_set():
                woken.clear()
                try:
                    await self.publish(_tell_progress)
                except (DatabaseAway, LocalError) as error:
                    # Workers go on from the table as it is, whether the database or the disk fails.
                    log.warning("publisher waits: %s", error)
                    await wait_for(stop, 1.0)
                    continue
                await wait_for_either(woken, stop, LOOK_EVERY_S)
        finally:
            for task in (listener, heartbeat):
                task.cancel()
            await asyncio.gather(listener, heartbeat, return_exceptions=True)

    async def publish(self, progress: Callable[[int, int], None] | None = None) -> int:
        """Bring the table up to date; answers how many logins were written."""
        async with self._house.store.snapshot() as connection:
            installation = await grants.installation(connection)
            mark = self._table.marked("mark")
            current = (
                mark is not None
                and mark <= await grants.snapshot_mark(connection)
                and self._table.marked("installation") == installation
                and await grants.recently_seen(connection, self._node)
            )
            if mark is not None and current:
                return await self._catch_up(connection, mark)
            written = await self._rebuild(connection, installation, progress)
        await self._beat()
        return written

    async def _catch_up(self, connection: AsyncConnection, mark: int) -> int:
        changes = await grants.changes_since(connection, mark)
        if changes.nases:
            self._table.write_clients(await self._clients(connection))
        for start in range(0, len(changes.login_ids), PAGE):
            ids = changes.login_ids[start : start + PAGE]
            found = {row.id: row for row in await grants.rows_of(connection, ids)}
            self._table.write(self._differences(ids, found))
            reach("grants-written")
        if changes.mark != mark:
            self._table.write((), marks={"mark": changes.mark})
        return len(changes.login_ids)

    async def _rebuild(
        self,
        connection: AsyncConnection,
        installation: int,
        progress: Callable[[int, int], None] | None,
    ) -> int:
        mark = await grants.snapshot_mark(connection)
        total = await grants.count(connection)
        self._table.write_clients(await self._clients(connection))
        rows: list[Row[Any]] = []
        after = 0
        while page := await grants.page(connection, after, PAGE):
            rows.extend(page)
            after = page[-1].id
        done = 0
        # The rows live until the end: the collector need not go through them again and again.
        gc.collect()
        gc.freeze()

        def compiled() -> Iterator[tuple[bytes, Grant]]:
            nonlocal done
            for row in rows:
                grant = None if row.ended else self._grant(row)
                if grant is not None:
                    yield row.username.encode(), grant
                done += 1
                if progress is not None and done % PROGRESS_EVERY == 0:
                    progress(done, total)

        marks = {"mark": mark, "installation": installation}
        try:
            self._table.replace_all(compiled(), marks)
        finally:
            gc.unfreeze()
        log.info("grant table rebuilt: %d logins", total)
        return total

    def _differences(
        self, ids: Iterable[int], found: dict[int, Row[Any]]
    ) -> Iterator[tuple[bytes, Grant | None]]:
        for login_id in ids:
            row = found.get(login_id)
            before = self._table.username_of(login_id)
            after = row.username.encode() if row is not None and not row.ended else None
            # A rename is the table's business: it knows which name the login had.
            if before is not None and after is None:
                yield before, None
            grant = self._grant(row) if row is not None and after is not None else None
            if after is not None and grant is not None:
                yield after, grant

    def _grant(self, row: Row[Any]) -> Grant | None:
        """The grant of a row; None, and said so, for one that cannot be granted: others can."""
        try:
            return self._granted(row)
        except (SecretError, LocalError) as error:
            log.error("login %d cannot be published: %s", row.id, error)
            return None

    def _granted(self, row: Row[Any]) -> Grant:
        password = self._house.secrets.open("logins", row.username, "password", row.password)
        rates = Rates(
            row.down_bps,
            row.up_bps,
            row.reduced_down_bps,
            row.reduced_up_bps,
            row.quota_down_bps,
            row.quota_up_bps,
        )
        line = Line(
            ipv4_pool=row.ipv4_pool,
            ipv6_pool=row.ipv6_pool,
            static_ipv4=row.static_ipv4,
            delegated_ipv6=row.delegated_ipv6,
            interim_s=self._house.settings.radius_interim_s,
        )
        return Grant(
            login_id=row.id,
            contract_id=row.contract_id,
            generation=row.generation,
            password=password,
            replies=self._compile(rates.at(Level(row.level), quota_spent=row.quota_spent), line),
            # The other policies are not the workers' business: nobody is kept out by them.
            sessions_max=row.simultaneous_use if row.simultaneous_policy == "reject" else 0,
        )

    @staticmethod
    def _compile_replies(access: Access, line: Line) -> dict[str, bytes]:
        # Subscribers of one plan mostly share these bytes; building them is the slow part.
        return {dialect: dictionary.encode(accept(dialect, access, line)) for dialect in DIALECTS}

    async def _clients(self, connection: AsyncConnection) -> list[Client]:
        clients = []
        for row in await grants.nas_rows(connection):
            try:
                secret = self._house.secrets.open("nases", row.name, "secret", row.secret)
            except SecretError as error:
                log.error("NAS %s cannot be published: %s", row.name, error)
                continue
            network = ipaddress.ip_network(row.address)
            wanted = row.require_message_authenticator
            clients.append(Client(row.id, network, secret, row.dialect, wanted))
        return clients

    async def _beat(self) -> None:
        state = {
            "role": "radius",
            "mark": self._table.marked("mark"),
            "counters": self._counters(),
        }
        async with self._house.store.writing() as connection:
            await grants.beat(connection, self._node, json.dumps(state))

    async def _listen(self, woken: asyncio.Event) -> None:
        async for _channel, _payload in self._house.store.listen(["religa_grants"]):
            woken.set()

    async def _heartbeat(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await wait_for(stop, BEAT_EVERY_S)
            if self._table.marked("mark") is not None:
                with contextlib.suppress(DatabaseAway):
                    await self._beat()


def _tell_progress(done: int, total: int) -> None:
    """A line of log now and then: a node has no terminal of its own to draw a bar on."""
    log.info("publishing grants: %d of %d", done, total)
