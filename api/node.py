"""A RADIUS node: the parent that publishes and ships, and the workers that answer.

Workers run on the table that is there, so a node serves with no database from its first second.
The node holds their sockets: a worker that dies loses no port and no queued datagram.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence

from api.house import House
from api.publisher import Publisher
from api.shipper import Shipper
from api.waiting import wait_for
from config.settings import Settings
from radius.counters import Counters
from radius.table import GrantTable

log = logging.getLogger(__name__)

RESTART_AFTER_S = 0.2
BIND_PATIENCE_S = 3.0


class PortInUse(Exception):
    """Another process listens there already. Says which port and what to do."""


async def bind_sockets(settings: Settings, port: int, workers: int) -> list[list[socket.socket]]:
    """Sockets for each worker on one UDP port; refuses a port that somebody else serves.

    SO_REUSEPORT alone would let a second server silently share the port, so it is first taken
    without it. Workers of a node that just died may hold it for a moment.
    """
    families = [(socket.AF_INET6 if ":" in settings.radius_host else socket.AF_INET)]
    hosts = [settings.radius_host]
    if settings.radius_host == "0.0.0.0" and socket.has_dualstack_ipv6():  # noqa: S104
        families.append(socket.AF_INET6)
        hosts.append("::")
    deadline = asyncio.get_running_loop().time() + BIND_PATIENCE_S
    while True:
        try:
            for family, host in zip(families, hosts, strict=True):
                with _open(family, host, port, share=False):
                    pass
            return [
                [
                    _open(family, host, port, share=True)
                    for family, host in zip(families, hosts, strict=True)
                ]
                for _ in range(workers)
            ]
        except OSError as error:
            if asyncio.get_running_loop().time() > deadline:
                raise PortInUse(
                    f"UDP port {port} of {settings.radius_host} cannot be taken"
                    f" ({error.strerror}); stop what uses it (ss -ulpn 'sport = :{port}')"
                    " or set RELIGA_RADIUS_AUTH_PORT / RELIGA_RADIUS_ACCT_PORT"
                ) from error
            await asyncio.sleep(0.1)


def _open(family: int, host: str, port: int, *, share: bool) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if share:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.bind((host, port))
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened


def worker_count(settings: Settings) -> int:
    """As many as asked for, or one per processor."""
    return settings.radius_workers or os.cpu_count() or 1


class Node:
    """Runs one node: `auth` and `acct` hold the sockets of each worker."""

    def __init__(
        self,
        house: House,
        auth: Sequence[Sequence[socket.socket]],
        acct: Sequence[Sequence[socket.socket]],
    ) -> None:
        self._house = house
        self._auth = auth
        self._acct = acct
        self._folder = house.settings.data_dir / "radius"
        self._journals = self._folder / "journal"
        self._journals.mkdir(parents=True, exist_ok=True)
        self._table_path = self._folder / "grants"
        self._table_key = house.secrets.derive("grant-table")
        self._name = f"radius@{socket.gethostname()}:{house.settings.radius_auth_port}"
        self._journal_bytes = house.settings.radius_journal_mib * 2**20

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until told to stop."""
        table = GrantTable(self._table_path, self._table_key, readonly=False)
        publisher = Publisher(self._house, table, self._name, self._counted)
        shipper = Shipper(self._house, self._journals, self._journal_bytes)
        async with asyncio.TaskGroup() as group:
            for index in range(len(self._auth)):
                group.create_task(self._keep_worker(index, stop))
            group.create_task(publisher.run(stop))
            group.create_task(shipper.run(stop))

    def _counted(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for path in sorted(self._folder.glob("counters-*")):
            for name, value in Counters(path).read().items():
                total[name] = total.get(name, 0) + value
        return total

    async def _keep_worker(self, index: int, stop: asyncio.Event) -> None:
        while not stop.is_set():
            worker = await self._start_worker(index)
            gone = asyncio.create_task(worker.wait())
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait({gone, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if stop.is_set():
                await _end(worker)
                return
            log.error("RADIUS worker %d ended with %s; starting it again", index, worker.returncode)
            await wait_for(stop, RESTART_AFTER_S)

    async def _start_worker(self, index: int) -> asyncio.subprocess.Process:
        auth = [s.fileno() for s in self._auth[index]]
        acct = [s.fileno() for s in self._acct[index]]
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "api.radius_worker",
            stdin=asyncio.subprocess.PIPE,
            pass_fds=[*auth, *acct],
        )
        given = {
            "table_path": str(self._table_path),
            "journal_path": str(self._journals / f"w{index}"),
            "counters_path": str(self._folder / f"counters-{index}"),
            "table_key": self._table_key.hex(),
            "class_key": self._house.secrets.derive("radius-class").hex(),
            "journal_max_bytes": self._journal_bytes,
            "log_level": self._house.settings.log_level,
            "auth_fds": auth,
            "acct_fds": acct,
        }
        if worker.stdin is None:
            raise RuntimeError("a worker was started without its stdin")
        worker.stdin.write(json.dumps(given).encode() + b"\n")
        await worker.stdin.drain()
        return worker


async def _end(worker: asyncio.subprocess.Process) -> None:
    if worker.returncode is None:
        worker.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(3):
                await worker.wait()
        except TimeoutError:
            worker.kill()
            await worker.wait()
