"""Each role of the product as a process: `religa api`, `religa radius`, `religa worker`.

Each imports what it runs, as it starts: three processes share the processors of a small machine,
and half of a start is imports.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress

from pydantic import SecretStr

from api.compose import open_house
from api.crashpoints import arm
from api.house import House
from api.store.secrets import check_key
from api.store.uow import DatabaseAway
from config.settings import Settings

# After this, an open request is cut: SIGTERM must end a role well within ten seconds.
GRACE_S = 4


async def serve_api(settings: Settings, *, with_parent: bool) -> None:
    """The HTTP face."""
    from api.serving import serve

    async with _role(settings, with_parent) as (house, stop):
        await serve(house, stop, GRACE_S)


async def serve_worker(settings: Settings, *, with_parent: bool) -> None:
    """Settling, notices, enforcement and the schedule."""
    from api import worker

    async with _role(settings, with_parent) as (house, stop):
        await _until(stop, worker.run(house, stop))


async def serve_radius(settings: Settings, *, with_parent: bool) -> None:
    """One RADIUS node."""
    from api.node import Node, worker_count
    from api.ports import bind_sockets

    workers = worker_count(settings)
    auth = await bind_sockets(settings, settings.radius_auth_port, workers)
    acct = await bind_sockets(settings, settings.radius_acct_port, workers)
    async with _role(settings, with_parent) as (house, stop):
        await _until(stop, Node(house, auth, acct).run(stop))


@asynccontextmanager
async def _role(
    settings: Settings, with_parent: bool
) -> AsyncIterator[tuple[House, asyncio.Event]]:
    """A house, and an event that is set when this process should end.

    Under `religa run` the database's URL comes by stdin, and its end is the parent's end.
    """
    arm(settings.crash_at, settings.data_dir)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watch = None
    if with_parent:
        leash = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(leash), sys.stdin)
        url = (await leash.readline()).decode().strip()
        if not url:
            sys.exit(0)
        settings = settings.model_copy(update={"database_url": SecretStr(url)})
        watch = asyncio.create_task(_watch_parent(leash, stop))
    async with open_house(settings) as house:
        # A node or worker on a machine of its own may have been given another key.
        with suppress(DatabaseAway):
            async with house.store.reading() as connection:
                await check_key(connection, house.secrets)
        yield house, stop
    if watch is not None:
        watch.cancel()


async def _watch_parent(leash: asyncio.StreamReader, stop: asyncio.Event) -> None:
    """Roles of a `religa run` that was killed end themselves: the next run starts its own."""
    await leash.read()
    stop.set()


async def _until(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Run `work`, which ends by itself after `stop`; cut what lingers."""
    task = asyncio.create_task(work)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not task.done():
        await asyncio.wait({task}, timeout=GRACE_S)
        task.cancel()
    with suppress(asyncio.CancelledError):
        await task
