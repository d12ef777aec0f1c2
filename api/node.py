"""A RADIUS node: the parent that publishes and ships, and the workers that answer.

Workers run on the table that is there, so a node serves with no database from its first second.
The node holds their sockets: a worker that dies loses no port and no queued datagram.
"""

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from api import compiled
from api.clock import wall
from api.house import House
from api.publisher import Publisher
from api.shipper import Shipper
from api.waiting import wait_for
from config.settings import Settings
from radius.counters import Counters
from radius.soundness import is_sound
from radius.table import FORMAT, GrantTable

log = logging.getLogger(__name__)

RESTART_AFTER_S = 0.2
# A session that was not heard of for three interims is not counted any more.
STALE_INTERIMS = 3
STALE_GRACE_S = 60


class _Sockets(NamedTuple):
    """Of one worker; `neighbours` are those of the others that it helps."""

    auth: Sequence[socket.socket] = ()
    acct: Sequence[socket.socket] = ()
    neighbours: Sequence[socket.socket] = ()


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
        # Another version of the rows lives beside it: an upgrade builds its own, and may be undone.
        self._table_path = self._folder / f"grants-{FORMAT}"
        self._presence_path = self._folder / f"presence-{_boot_id()}"
        self._table_key = house.secrets.derive("grant-table")
        self._name = f"radius@{socket.gethostname()}:{house.settings.radius_auth_port}"
        self._journal_bytes = house.settings.radius_journal_mib * 2**20
        self._worker_command = compiled.worker_command()

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until told to stop."""
        self._forget_earlier_boots()
        table = GrantTable(self._table_path, self._table_key, readonly=False)
        publisher = Publisher(self._house, table, self._name, self._counted)
        shipper = Shipper(self._house, self._journals, self._journal_bytes)
        async with asyncio.TaskGroup() as group:
            # Apart, so that no login waits while accounting is written to disk.
            for index, auth in enumerate(self._auth):
                others = [sock for owned in self._auth if owned is not auth for sock in owned]
                sockets = _Sockets(auth, neighbours=others)
                group.create_task(self._keep_worker(f"auth-{index}", sockets, table, stop))
            group.create_task(publisher.run(stop))
            await self._set_damaged_aside()
            for index, acct in enumerate(self._acct):
                group.create_task(
                    self._keep_worker(f"acct-{index}", _Sockets(acct=acct), table, stop)
                )
            group.create_task(shipper.run(stop))

    def _counted(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for path in sorted(self._folder.glob("counters-*")):
            for name, value in Counters(path).read().items():
                total[name] = total.get(name, 0) + value
        return total

    def _forget_earlier_boots(self) -> None:
        for path in self._folder.glob("presence-*"):
            if path != self._presence_path:
                shutil.rmtree(path)

    async def _set_damaged_aside(self) -> None:
        """A journal that would end its reader is kept for people to look at, and made anew."""
        paths = [path for path in self._journals.glob("w*") if (path / "data.mdb").exists()]
        sound = await asyncio.gather(*(asyncio.to_thread(is_sound, path) for path in paths))
        for path in (path for path, whole in zip(paths, sound, strict=True) if not whole):
            aside = path.with_name(f"damaged-{path.name}-{int(wall().timestamp())}")
            path.rename(aside)
            log.error("journal %s cannot be read; what waited in it is in %s", path, aside)

    async def _keep_worker(
        self, name: str, sockets: _Sockets, table: GrantTable, stop: asyncio.Event
    ) -> None:
        while not stop.is_set():
            worker = await self._start_worker(name, sockets)
            gone = asyncio.create_task(worker.wait())
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait({gone, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if stop.is_set():
                await _end(worker)
                return
            log.error("RADIUS worker %s ended with %s; starting it again", name, worker.returncode)
            table.forget_dead_readers()
            await wait_for(stop, RESTART_AFTER_S)

    async def _start_worker(self, name: str, sockets: _Sockets) -> asyncio.subprocess.Process:
        auth, acct, neighbours = ([sock.fileno() for sock in kind] for kind in sockets)
        settings = self._house.settings
        command, environment = self._worker_command
        worker = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            pass_fds=[*auth, *acct, *neighbours],
            env={**os.environ, **environment},
        )
        given = {
            "table_path": str(self._table_path),
            "presence_path": str(self._presence_path),
            "journal_path": str(self._journals / name.replace("acct-", "w")),
            "counters_path": str(self._folder / f"counters-{name}"),
            "table_key": self._table_key.hex(),
            "class_key": self._house.secrets.derive("radius-class").hex(),
            "journal_max_bytes": self._journal_bytes,
            "stale_after_s": STALE_INTERIMS * settings.radius_interim_s + STALE_GRACE_S,
            "reject_step_s": settings.radius_reject_step_s,
            "log_level": settings.log_level,
            "auth_fds": auth,
            "acct_fds": acct,
            "neighbour_fds": neighbours,
        }
        if worker.stdin is None:
            raise RuntimeError("a worker was started without its stdin")
        worker.stdin.write(json.dumps(given).encode() + b"\n")
        await worker.stdin.drain()
        return worker


def _boot_id() -> str:
    """Changes with every start of the machine: what was not on disk then is gone."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


async def _end(worker: asyncio.subprocess.Process) -> None:
    if worker.returncode is None:
        worker.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(3):
                await worker.wait()
        except TimeoutError:
            worker.kill()
            await worker.wait()
