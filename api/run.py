"""`religa run`: every role as a process of its own, watched and started again.

One role's death costs that role a restart and nothing else: all work is rows in the database.
"""

import asyncio
import logging
import signal
import socket
import sys
from asyncio import FIRST_COMPLETED
from typing import Any

from api.compose import open_house, prepare
from api.operators import ensure_admin
from api.ports import PortInUse, bind_sockets
from api.store import embedded
from api.waiting import wait_for
from config.settings import Settings

log = logging.getLogger(__name__)

ROLES = ("radius", "worker", "api")
RESTART_FIRST_S = 0.2
RESTART_MAX_S = 5.0
STOP_WITHIN_S = 8.0


async def run(settings: Settings) -> None:
    """Prepare the database, start all roles, keep them running until SIGTERM or Ctrl-C.

    Raises:
        PortInUse: before anything is started.
    """
    await check_ports(settings)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    url: asyncio.Future[str] = loop.create_future()
    # The roles load while the database is prepared.
    keepers = [asyncio.create_task(_keep(role, url, stop)) for role in ROLES]
    try:
        url.set_result(await _prepare(settings))
        if _is_embedded(settings):
            keepers.append(asyncio.create_task(_keep_database(settings, stop)))
        await asyncio.gather(*keepers)
    finally:
        stop.set()
        await asyncio.gather(*keepers, return_exceptions=True)
        if _is_embedded(settings):
            await asyncio.to_thread(embedded.stop, settings.data_dir)


async def _prepare(settings: Settings) -> str:
    """Answers the database's URL."""
    async with open_house(settings) as house:
        await prepare(house)
        password = await ensure_admin(house)
        if password is not None:
            print(f"operator admin, password {password} (shown once)", file=sys.stderr)  # noqa: T201
        return house.store.url


def _is_embedded(settings: Settings) -> bool:
    return not settings.database_url.get_secret_value()


async def check_ports(settings: Settings) -> None:
    """Refuse early, and in one sentence, a port that somebody else holds."""
    for port in {settings.radius_auth_port, settings.radius_acct_port} - {0}:
        for sockets in await bind_sockets(settings, port, 1):
            for opened in sockets:
                opened.close()
    family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.http_host, settings.http_port))
        except OSError as error:
            raise PortInUse(
                f"TCP port {settings.http_port} of {settings.http_host} cannot be taken"
                f" ({error.strerror}); stop what uses it or set RELIGA_HTTP_PORT"
            ) from error


async def _keep(role: str, url: asyncio.Future[str], stop: asyncio.Event) -> None:
    pause = RESTART_FIRST_S
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        started = loop.time()
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "api", role, "--with-parent", stdin=asyncio.subprocess.PIPE
        )
        stopped = asyncio.create_task(stop.wait())
        waits: set[asyncio.Future[Any]] = {url, stopped}
        await asyncio.wait(waits, return_when=FIRST_COMPLETED)
        if url.done() and child.stdin is not None:
            # The database's address, so that only this process tends the server; and the leash:
            # its end tells the child that we are gone.
            child.stdin.write(url.result().encode() + b"\n")
        gone = asyncio.create_task(child.wait())
        await asyncio.wait({gone, stopped}, return_when=FIRST_COMPLETED)
        stopped.cancel()
        if stop.is_set():
            await _end(role, child)
            return
        if loop.time() - started > 30:
            pause = RESTART_FIRST_S
        log.error("%s ended with %s; starting it again", role, child.returncode)
        await wait_for(stop, pause)
        pause = min(pause * 2, RESTART_MAX_S)


async def _end(role: str, child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    child.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_WITHIN_S):
            await child.wait()
    except TimeoutError:
        log.error("%s did not stop within %.0f s; killing it", role, STOP_WITHIN_S)
        child.kill()
        await child.wait()


async def _keep_database(settings: Settings, stop: asyncio.Event) -> None:
    """Start the embedded server again should it die."""
    while not await wait_for(stop, 1.0):
        if not await asyncio.to_thread(embedded.running, settings.data_dir):
            log.error("the embedded database is gone; starting it again")
            await asyncio.to_thread(embedded.start, settings.data_dir)
