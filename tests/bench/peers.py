"""Ours against FreeRADIUS on the same machine in the same run: authentications and accounting.

Both servers run, with 50,000 users that are granted the same, and are asked in turn by the same
load generator: 128 requests in flight over 16 source ports; PAP and CHAP in turn, each request
with a Message-Authenticator; or Start, Interim-Update and Stop of sessions not seen before. The
figure is the ratio of the medians. Nothing is pinned to a processor: server, its database where it
has one, and generator share the machine in both cases.

Ours has two workers. FreeRADIUS has the number of threads that was the best of 1 to 32 for it on
two cores. Accounting is durable on both sides: a commit of PostgreSQL with fsync, a journal with
fsync.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Literal

import psutil
import psycopg

from api.store import embedded
from radius.codec import parse
from radius.dictionary import encode
from radius.journal import Journal
from tests.bench.figure import Figure
from tests.bench.flood import Load, Outcome, flood
from tests.bench.ours import accounting_settings, make_table, serving
from tests.bench.requests import USERS, access_request, name_of, password_of
from tests.support.database import libpq
from tests.support.freeradius import (
    ANSWER,
    FreeRadius,
    fill,
    freeradius_with_files,
    freeradius_with_sql,
)
from tests.support.product import own_folder
from tests.support.radius_worker import udp

ROUNDS = 7
ROUND_S = 2.0
WARM_UP_REQUESTS = 8_192
THREADS_FILES = 2
THREADS_SQL = 4
THREADS_SQL_ACCOUNTING = 8

Kind = Literal["access", "accounting"]


def auth_against_sql() -> Iterator[Figure]:
    """Yield `radius_auth_vs_freeradius_sql`."""
    yield _versus("radius_auth_vs_freeradius_sql", "access", _sql(THREADS_SQL), 10.0)


def auth_against_files() -> Iterator[Figure]:
    """Yield `radius_auth_vs_freeradius_files`."""
    yield _versus("radius_auth_vs_freeradius_files", "access", _files, 1.5)


def accounting_against_sql() -> Iterator[Figure]:
    """Yield `radius_acct_vs_freeradius_sql`."""
    peer = _sql(THREADS_SQL_ACCOUNTING)
    yield _versus("radius_acct_vs_freeradius_sql", "accounting", peer, 5.0)


def rate(port: int, kind: Kind, users: int = USERS) -> Callable[[int], Outcome]:
    """A measurement of one server to repeat, each time with another seed; warms it up."""
    warm_up = flood(Load(port, kind, WARM_UP_REQUESTS, seed=-1, users=users))
    enough = max(WARM_UP_REQUESTS, int(2 * warm_up.per_s * ROUND_S))

    def measure(seed: int) -> Outcome:
        return flood(Load(port, kind, enough, seed, ROUND_S, users))

    return measure


def processor_s(roots: Sequence[int]) -> float:
    """Processor time that these processes and their children have used so far."""
    used_s = 0.0
    for root in map(psutil.Process, roots):
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used_s += times.user + times.system
    return used_s


def tell(who: str, number: int, outcome: Outcome, used_s: float) -> None:
    """One round, for who watches. `used_s`: processor time of the server."""
    print(
        f"round {number}, {who}: {outcome.per_s:,.0f}/s,"
        f" p50 {outcome.p50_ms:.1f} ms, p99 {outcome.p99_ms:.1f} ms,"
        f" {outcome.replies} checked, {outcome.lost} lost, {outcome.resent} sent again,"
        f" server {1e6 * used_s / outcome.replies:.0f} us each,"
        f" generator {outcome.generator_us:.0f} us",
        file=sys.stderr,
    )


def _versus(
    bench: str,
    kind: Kind,
    start_peer: Callable[[Path], AbstractContextManager[FreeRadius]],
    reach: float,
) -> Figure:
    with own_folder() as folder, ExitStack() as stack:
        peer = stack.enter_context(start_peer(folder))
        make_table(folder / "ours", USERS)
        ours = stack.enter_context(serving(folder / "ours"))
        access = kind == "access"
        measures = {
            "ours": rate(ours.auth_port if access else ours.acct_port, kind),
            "FreeRADIUS": rate(peer.auth_port if access else peer.acct_port, kind),
        }
        roots = {"ours": ours.pids, "FreeRADIUS": (peer.pid, *_database_pids(folder))}
        rates: dict[str, list[float]] = {who: [] for who in measures}
        replies = dict.fromkeys(measures, 0)
        for number in range(ROUNDS):
            for who, measure in measures.items():
                before_s = processor_s(roots[who])
                outcome = measure(number)
                tell(who, number, outcome, processor_s(roots[who]) - before_s)
                rates[who].append(outcome.per_s)
                replies[who] += outcome.replies
        if access:
            _check_answers(ours.auth_port, peer.auth_port)
        else:
            _check_kept(folder, replies["ours"], replies["FreeRADIUS"])
    mine, theirs = (median(several) for several in rates.values())
    return Figure(bench, mine, "replies/s", reach, peer=theirs, better="larger")


def _database_pids(folder: Path) -> list[int]:
    """The postmaster, where the peer has a database."""
    found = folder.glob("database/postgres/postmaster.pid")
    return [int(path.read_text().split()[0]) for path in found]


def _check_answers(*ports: int) -> None:
    """Both must grant the same, else one of them did less work."""
    for port in ports:
        request = access_request(7, 7, by_chap=True)
        with udp() as nas:
            nas.sendto(request, ("127.0.0.1", port))
            accept = parse(nas.recv(4096))
        missing = [pair for pair in ANSWER.items() if encode([pair]) not in accept.octets]
        if missing:
            raise RuntimeError(f"port {port} does not grant {missing}")


def _check_kept(folder: Path, ours: int, theirs: int) -> None:
    """Every record that was answered is in a journal; FreeRADIUS holds a row a session."""
    kept = 0
    for told in accounting_settings(folder / "ours"):
        with Journal(told.journal_path, told.journal_max_bytes) as journal:
            kept += journal.depth()
    with psycopg.connect(libpq(embedded.start(folder / "database"))) as connection:
        [(rows, *durable)] = connection.execute(
            "select count(*), current_setting('fsync'), current_setting('synchronous_commit')"
            " from radacct"
        ).fetchall()
    if kept < ours or rows < theirs // 3 or durable != ["on", "on"]:
        raise RuntimeError(f"{ours} and {theirs} answered, {kept} and {rows} kept; {durable}")


@contextmanager
def _files(folder: Path) -> Iterator[FreeRadius]:
    with freeradius_with_files(_peers_folder(folder), _users(), THREADS_FILES) as server:
        yield server


def _sql(threads: int) -> Callable[[Path], AbstractContextManager[FreeRadius]]:
    @contextmanager
    def start(folder: Path) -> Iterator[FreeRadius]:
        database = folder / "database"
        url = embedded.start(database)
        try:
            fill(url, _users())
            with freeradius_with_sql(_peers_folder(folder), url, threads) as server:
                yield server
        finally:
            embedded.stop(database)

    return start


def _peers_folder(folder: Path) -> Path:
    made = folder / "freeradius"
    made.mkdir()
    return made


def _users() -> Iterator[tuple[str, str]]:
    return ((name_of(user), password_of(user)) for user in range(USERS))
