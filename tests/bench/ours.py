"""Our RADIUS server for benches: worker processes as a node starts them, on a table made here.

Processes of `api.radius_worker`, those that authenticate apart from those that account, on the
sockets of `bind_sockets`; only the node itself is missing, which does nothing for a packet.
"""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from socket import SOCK_DGRAM

from api.compiled import worker_command
from api.ports import bind_sockets
from config.settings import Settings
from radius.counters import Counters
from radius.server import WorkerSettings
from radius.table import Grant
from tests.bench.requests import name_of, password_of
from tests.support.freeradius import GRANTED
from tests.support.product import ROOT, free_port
from tests.support.radius_worker import client, grant, publish, settings

WORKERS = 2
_JOURNAL_BYTES = 2 << 30


@dataclass(frozen=True, slots=True)
class Ours:
    """A running server; `pids` are all its processes."""

    auth_port: int
    acct_port: int
    pids: tuple[int, ...]

    def kill(self) -> None:
        """As `kill -9`, all workers at once."""
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)


def grants(users: int, sessions_max: int) -> Iterator[tuple[bytes, Grant]]:
    """Grants that say the same as FreeRADIUS beside us."""
    for user in range(users):
        granted = replace(
            grant(user + 1, password_of(user)),
            replies={"mikrotik": GRANTED},
            sessions_max=sessions_max,
        )
        yield name_of(user).encode(), granted


def make_table(folder: Path, users: int, *, sessions_max: int = 0) -> None:
    """The table of `folder`, for one NAS that signs its requests."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = grants(users, sessions_max)
    publish(settings(folder).table_path, rows, [client(require="yes")])


def accounting_settings(folder: Path, workers: int = WORKERS) -> list[WorkerSettings]:
    """What the accounting workers of this folder are told: where their journals are."""
    return [_told(folder, f"acct-{index}") for index in range(workers)]


def accepted(folder: Path, workers: int) -> list[int]:
    """How many Accepts each authenticating worker has sent, as it counts them."""
    counts = []
    for index in range(workers):
        with Counters(_told(folder, f"auth-{index}").counters_path) as counters:
            counts.append(counters.read()["access_accept"])
    return counts


@contextmanager
def serving(folder: Path, workers: int = WORKERS) -> Iterator[Ours]:
    """Serve the table of `folder` that `make_table` made."""
    ports = free_port(SOCK_DGRAM), free_port(SOCK_DGRAM)
    auth, acct = (
        asyncio.run(bind_sockets(Settings(radius_host="127.0.0.1"), port, workers))
        for port in ports
    )
    processes = [
        _start(
            _told(folder, f"{kind}-{index}"),
            [sock.fileno() for sock in sockets] if kind == "auth" else [],
            [sock.fileno() for sock in sockets] if kind == "acct" else [],
            [
                s.fileno()
                for i, ss in enumerate(several)
                for s in ss
                if kind == "auth" and i != index
            ],
        )
        for kind, several in (("auth", auth), ("acct", acct))
        for index, sockets in enumerate(several)
    ]
    for sock in [sock for several in (*auth, *acct) for sock in several]:
        sock.close()
    try:
        yield Ours(*ports, tuple(process.pid for process in processes))
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(10)


def _told(folder: Path, name: str) -> WorkerSettings:
    return replace(
        settings(folder, _JOURNAL_BYTES),
        journal_path=folder / f"journal-{name}",
        counters_path=folder / f"counters-{name}",
    )


def _start(
    given: WorkerSettings, auth: list[int], acct: list[int], neighbours: list[int]
) -> subprocess.Popen[bytes]:
    command, environment = worker_command()
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        pass_fds=[*auth, *acct, *neighbours],
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    told = {name: _plain(value) for name, value in asdict(given).items()}
    told |= {"auth_fds": auth, "acct_fds": acct, "neighbour_fds": neighbours, "log_level": "info"}
    if process.stdin is None:
        raise RuntimeError("a worker was started without its stdin")
    with process.stdin as stdin:
        stdin.write(json.dumps(told).encode() + b"\n")
    return process


def _plain(value: object) -> object:
    """As a node writes it for its workers."""
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, Path) else value
