"""Each role of the product as a process: `religa api`, `religa radius`, `religa worker`."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import uvicorn

from api import worker
from api.app import create_app
from api.compose import open_house
from api.crashpoints import arm
from api.enforce import Enforcer
from api.house import House
from api.node import Node, bind_sockets, worker_count
from api.rehearsal_clock import ClockMover
from api.waiting import wait_for
from config.settings import Settings
from radius.client import DynauthClient

# After this, an open request is cut: SIGTERM must end a role well within ten seconds.
GRACE_S = 4


class _Server(uvicorn.Server):
    """The HTTP server; signals are the role's business, not its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_api(settings: Settings, *, with_parent: bool) -> None:
    """The HTTP face."""
    async with _role(settings, with_parent) as (house, stop):
        mover = ClockMover(house, Enforcer(house, DynauthClient()))
        server = _Server(
            uvicorn.Config(
                create_app(house, clock_mover=mover.move),
                host=settings.http_host,
                port=settings.http_port,
                log_config=None,
                access_log=False,
                server_header=False,
                # The peer that counts is who really connects: the webhook trusts loopback only.
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        serving = asyncio.create_task(server.serve())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        server.should_exit = True
        await serving


async def serve_worker(settings: Settings, *, with_parent: bool) -> None:
    """Settling, notices, enforcement and the schedule."""
    async with _role(settings, with_parent) as (house, stop):
        await _until(stop, worker.run(house, stop))


async def serve_radius(settings: Settings, *, with_parent: bool) -> None:
    """One RADIUS node."""
    workers = worker_count(settings)
    auth = await bind_sockets(settings, settings.radius_auth_port, workers)
    acct = await bind_sockets(settings, settings.radius_acct_port, workers)
    async with _role(settings, with_parent) as (house, stop):
        await _until(stop, Node(house, auth, acct).run(stop))


@asynccontextmanager
async def _role(
    settings: Settings, with_parent: bool
) -> AsyncIterator[tuple[House, asyncio.Event]]:
    """A house, and an event that is set when this process should end."""
    arm(settings.crash_at, settings.data_dir)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watch = asyncio.create_task(_watch_parent(stop)) if with_parent else None
    async with open_house(settings) as house:
        yield house, stop
    if watch is not None:
        watch.cancel()


async def _watch_parent(stop: asyncio.Event) -> None:
    """Roles of a `religa run` that was killed end themselves: the next run starts its own."""
    parent = os.getppid()
    while not await wait_for(stop, 0.25):
        if os.getppid() != parent:
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
