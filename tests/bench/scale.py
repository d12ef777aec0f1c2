"""What a million subscribers cost: the rate, a worker's memory, a start without a database.

The rate is measured in turn at 10,000, 100,000 and 1,000,000 grants in the table, users drawn from
all of them; the figure is the slowest median by the fastest. Memory is what a worker has for
itself after that load, its two processes together (Private_* of smaps_rollup; pages of the table
that only one of them happened to touch count too). The start is that of a whole node (`religa
radius`): from its exec to the first right Access-Accept, its database unreachable and the table not
in the page cache.
"""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from api.store.secrets import SecretBox
from radius.codec import Code
from radius.table import GrantTable
from tests.bench.figure import Figure
from tests.bench.ours import WORKERS, Ours, grants, make_table, serving
from tests.bench.peers import processor_s, rate, tell
from tests.bench.requests import access_request
from tests.support.product import ROOT, Product, own_folder
from tests.support.radius_worker import believed, client

SIZES = (10_000, 100_000, 1_000_000)
ROUNDS = 7
STARTS = 3


def scale_and_memory() -> Iterator[Figure]:
    """Yield `radius_scale_1m` and `radius_worker_memory_1m`."""
    with own_folder() as folder, ExitStack() as stack:
        servers: dict[int, Ours] = {}
        for size in SIZES:
            print(f"making a table of {size:,}", file=sys.stderr)
            make_table(folder / str(size), size)
            servers[size] = stack.enter_context(serving(folder / str(size)))
        measures = {
            size: rate(server.auth_port, "access", size) for size, server in servers.items()
        }
        rates: dict[int, list[float]] = {size: [] for size in SIZES}
        for number in range(ROUNDS):
            for size, measure in measures.items():
                before_s = processor_s(servers[size].pids)
                outcome = measure(number)
                tell(f"{size:,}", number, outcome, processor_s(servers[size].pids) - before_s)
                rates[size].append(outcome.per_s)
        private_mb = sum(map(_private_mb, servers[SIZES[-1]].pids)) / WORKERS
    medians = [median(several) for several in rates.values()]
    flat = min(medians) / max(medians)
    yield Figure("radius_scale_1m", flat, "slowest : fastest", 0.85, better="larger")
    yield Figure("radius_worker_memory_1m", private_mb, "MB", 100.0)


def cold_start() -> Iterator[Figure]:
    """Yield `radius_cold_start_1m`."""
    with own_folder() as folder:
        key = secrets.token_bytes(32)
        nowhere = "postgresql+psycopg://postgres@127.0.0.1:1/religa"
        product = Product(folder, database_url=nowhere, secret_key=key.hex(), radius_workers=2)
        path = _table_of(product)
        print(f"making a table of {SIZES[-1]:,}", file=sys.stderr)
        with GrantTable(path, SecretBox(key).derive("grant-table"), readonly=False) as table:
            table.write_clients([client(require="yes")])
            table.replace_all(grants(SIZES[-1], 0), {})
        took_s = []
        for number in range(STARTS):
            _evict(path / "data.mdb")
            took_s.append(_start_to_answer_s(product))
            print(f"start {number}: {took_s[-1]:.2f} s", file=sys.stderr)
    yield Figure("radius_cold_start_1m", median(took_s), "s", 2.0)


def _private_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1_000


def _evict(path: Path) -> None:
    """Let the kernel forget what it has read of a file, as after a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _table_of(product: Product) -> Path:
    """Where a node keeps its table: it makes an empty one at its first start."""
    with _node(product):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for data in product.data_dir.glob("radius/grants*/data.mdb"):
                return data.parent
            time.sleep(0.05)
    raise RuntimeError(f"the node made no table: {product.log_path.read_text()[-2000:]}")


def _start_to_answer_s(product: Product) -> float:
    began = time.monotonic()
    with _node(product):
        try:
            _ask_until_accepted(product.auth_port, began + 30)
        except RuntimeError as error:
            raise RuntimeError(f"{error}: {product.log_path.read_text()[-2000:]}") from error
        return time.monotonic() - began


@contextmanager
def _node(product: Product) -> Iterator[None]:
    with product.log_path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "api", "radius"],
            cwd=ROOT,
            env=product.environment(),
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(15)


def _ask_until_accepted(port: int, deadline: float) -> None:
    """As a NAS that asks every 10 ms; each time about another subscriber."""
    asked: dict[int, bytes] = {}
    number = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nas:
        nas.connect(("127.0.0.1", port))
        nas.settimeout(0.01)
        while time.monotonic() < deadline:
            number += 1
            request = access_request(number % 256, number * 7_919 % SIZES[-1], by_chap=False)
            asked[request[1]] = request
            try:
                nas.send(request)
                reply = nas.recv(4096)
            except ConnectionRefusedError:
                time.sleep(0.01)
            except TimeoutError:
                pass
            else:
                if believed(reply, asked[reply[1]]).code != Code.ACCESS_ACCEPT:
                    raise RuntimeError("the node does not accept its own subscriber")
                return
    raise RuntimeError("the node does not answer")
