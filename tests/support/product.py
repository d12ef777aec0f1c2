"""The whole product as a user runs it: `religa run` in a process of its own, on free ports."""

import csv
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from tests.support.memory import in_memory

ADMIN_PASSWORD = "rehearsal-only-password"
ROOT = Path(__file__).resolve().parents[2]
_PORTS, _BLOCK = range(12_000, 32_000), 250


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port of loopback that nobody uses now, nor takes before it is used: see `_own_ports`."""
    ports = _own_ports()
    for _ in range(_BLOCK):
        port = next(ports)
        if _takes(port, kind):
            return port
    raise RuntimeError("no port is free")


@cache
def _own_ports() -> Iterator[int]:
    """The ports of a block, for ever in turn, that is this process's alone.

    Below those that the kernel gives to connections and to whoever asks for any: what is chosen
    here is used only later, by a program that is started with it, and tests run beside each other.
    Whoever holds a block's first port has the block.
    """
    for first in range(_PORTS.start, _PORTS.stop, _BLOCK):
        if _takes(first, socket.SOCK_STREAM, for_good=True):
            return itertools.cycle(range(first + 1, first + _BLOCK))
    raise RuntimeError("every block of ports has somebody")


def _takes(port: int, kind: int, *, for_good: bool = False) -> bool:
    """Whether the port could be taken; it is let go of, or held until the process ends."""
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        if for_good:
            probe.detach()
        return True


class Product:
    """One installation: a data directory and the settings it runs with."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.http_port = free_port()
        self.auth_port = free_port(socket.SOCK_DGRAM)
        self.acct_port = free_port(socket.SOCK_DGRAM)
        self.data_dir = folder / "data"
        self.log_path = folder / "religa.log"
        self.settings: dict[str, object] = {
            "data_dir": self.data_dir,
            "http_port": self.http_port,
            "radius_host": "127.0.0.1",
            "radius_auth_port": self.auth_port,
            "radius_acct_port": self.acct_port,
            "radius_workers": 1,
            "admin_password": ADMIN_PASSWORD,
            # Stories tell their own invoices, whatever day it is.
            "billing": "off",
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self._client: httpx.Client | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def environment(self, **more: object) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("RELIGA_")}
        given = {**self.settings, **more}
        return kept | {f"RELIGA_{k.upper()}": str(v) for k, v in given.items()}

    def start(self, **more: object) -> "Product":
        """Start all roles and wait until they are ready."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "api", "run"],
                cwd=ROOT,
                env=self.environment(**more),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.await_ready()
        return self

    def await_ready(self, within_s: float = 120.0) -> None:
        """Wait until every part says that it is ready."""
        deadline = time.monotonic() + within_s
        answer = ""
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                raise RuntimeError(f"religa run ended: {self.log_path.read_text()[-3000:]}")
            try:
                response = httpx.get(f"{self.url}/readyz", timeout=2)
                if response.status_code == 200:
                    return
                answer = response.text
            except httpx.TransportError as error:
                answer = str(error)
            time.sleep(0.05)
        raise RuntimeError(f"not ready: {answer}; {self.log_path.read_text()[-3000:]}")

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one `religa` command against this installation."""
        return subprocess.run(
            [sys.executable, "-m", "api", *arguments],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def import_csv(self, kind: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Import rows through the command, as a user would."""
        path = write_csv(self.folder / f"{kind}.csv", rows)
        done = self.command("import", kind, str(path))
        if done.returncode != 0:
            raise RuntimeError(f"import of {kind} failed: {done.stderr}")

    @property
    def client(self) -> httpx.Client:
        """A client with the administrator's token."""
        if self._client is None:
            answer = httpx.post(
                f"{self.url}/api/v1/login",
                json={"name": "admin", "password": ADMIN_PASSWORD},
                timeout=30,
            )
            answer.raise_for_status()
            self._client = httpx.Client(
                base_url=f"{self.url}/api/v1",
                headers={"Authorization": f"Bearer {answer.json()['token']}"},
                timeout=60,
            )
        return self._client

    def get(self, path: str, **params: Any) -> Any:
        answer = self.client.get(path, params=params)
        if answer.is_error:
            raise RuntimeError(f"GET {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def post(self, path: str, body: object) -> Any:
        answer = self.client.post(path, json=body)
        if answer.is_error:
            raise RuntimeError(f"POST {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def pids(self) -> list[tuple[int, str]]:
        """Every process of this installation but PostgreSQL's, with its command line."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes()
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            mine = f"RELIGA_DATA_DIR={self.data_dir}".encode() in environment.split(b"\0")
            if mine and " -m api" in line:
                found.append((int(folder.name), line))
        return found

    def kill(self, signal_number: int = signal.SIGKILL) -> None:
        """kill -9 every process of this installation but the database's."""
        for pid, _line in self.pids():
            with_pid(pid, signal_number)
        if self.process is not None:
            self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM, as an operator would; answers the exit status."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        self.process = None
        return status

    def log_lines(self) -> Iterable[dict[str, Any]]:
        """The structured log so far."""
        for line in self.log_path.read_text().splitlines():
            if line.startswith("{"):
                yield json.loads(line)


def with_pid(pid: int, signal_number: int) -> None:
    """Signal one process that may be gone already."""
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        return


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder that the database's own user may pass through.

    pytest's own lie under one that it closes to others whenever a session starts.
    """
    with tempfile.TemporaryDirectory(
        prefix="religa-test-", dir=in_memory(), ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Rows as the CSV that the import reads."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def cpf(number: int) -> str:
    """A valid made-up CPF for a number of up to nine digits."""
    digits = [int(d) for d in f"{number:09d}"]
    for weight in (10, 11):
        total = sum(d * w for d, w in zip(digits, range(weight, 1, -1), strict=True))
        digits.append(total * 10 % 11 % 10)
    return "".join(map(str, digits))


def plan_row(name: str = "fibra100", **more: object) -> dict[str, object]:
    """One plan: 100/50 Mbit/s, reduced to 2/1."""
    return {
        "name": name,
        "down_bps": 100_000_000,
        "up_bps": 50_000_000,
        "reduced_down_bps": 2_000_000,
        "reduced_up_bps": 1_000_000,
        "price_cents": 9_990,
        "ipv4_pool": "pool4",
        "ipv6_pool": "pool6",
        "simultaneous_use": 1,
        **more,
    }


def nas_row(
    name: str, address: str, dialect: str, coa_port: int, **more: object
) -> dict[str, object]:
    """One NAS with a rehearsal secret."""
    return {
        "name": name,
        "address": address,
        "secret": f"secret-of-{name}",
        "dialect": dialect,
        "coa_port": coa_port,
        "require_message_authenticator": "yes",
        **more,
    }


def subscriber_row(index: int, plan: str = "fibra100", **more: object) -> dict[str, object]:
    """One made-up subscriber with a contract and a login `user{index}`."""
    return {
        "name": f"Assinante {index}",
        "document": cpf(100_000_000 + index),
        "email": f"assinante{index}@exemplo.invalid",
        "phone": "",
        "plan": plan,
        "due_day": 10,
        "username": f"user{index}",
        "password": f"pw-{index}",
        "mac": "",
        "static_ipv4": "",
        "delegated_ipv6": "",
        **more,
    }
