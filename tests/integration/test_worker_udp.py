"""A worker process on real UDP sockets: what the NAS sees, and what is on disk when it sees it."""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import pytest

from radius.codec import Code, attribute
from radius.counters import Counters
from radius.journal import Journal
from radius.server import WorkerSettings
from radius.table import Client, GrantTable
from tests.support.radius_worker import (
    RATE,
    SECRET,
    TABLE_KEY,
    WorkerProcess,
    accounting,
    believed,
    chap,
    client,
    grant,
    mschap2,
    pap,
    publish,
    settings,
    status_server,
    udp,
)


class Line:
    """A NAS's socket towards one port of the worker."""

    def __init__(self, mine: socket.socket, port: int) -> None:
        self.mine = mine
        mine.connect(("127.0.0.1", port))

    def ask(self, request: bytes) -> bytes:
        self.mine.send(request)
        return self.mine.recv(8192)

    def hears_nothing(self) -> bool:
        return not waiting(self.mine)


class Bench:
    """A worker's files, its sockets and the NAS's."""

    def __init__(self, configured: WorkerSettings, ports: list[socket.socket]) -> None:
        self.configured = configured
        self.auth_socket, self.acct_socket, mine, mine_too = ports
        self.auth = Line(mine, self.auth_socket.getsockname()[1])
        self.acct = Line(mine_too, self.acct_socket.getsockname()[1])

    def worker(self, **changes: int) -> WorkerProcess:
        configured = settings(self.configured.table_path.parent, **changes)
        return WorkerProcess(configured, [self.auth_socket], [self.acct_socket])

    def counted(self) -> dict[str, int]:
        with Counters(self.configured.counters_path) as counters:
            return {name: count for name, count in counters.read().items() if count}

    def decided(self, records: int) -> bool:
        counted = self.counted()
        names = ("accounting_response", "accounting_shed")
        return sum(counted.get(name, 0) for name in names) == records

    def journalled(self) -> list[bytes]:
        with Journal(self.configured.journal_path, self.configured.journal_max_bytes) as journal:
            return [entry.octets for entry in journal.read(1_000_000)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    configured = settings(tmp_path)
    publish(configured.table_path, [(b"ana", grant(1))], [client()])
    with udp() as auth, udp() as acct, udp() as mine, udp() as mine_too:
        yield Bench(configured, [auth, acct, mine, mine_too])


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_every_method_is_accepted_and_rejected(bench: Bench) -> None:
    with bench.worker():
        for right in (pap(1, b"ana"), chap(2, b"ana"), mschap2(3, b"ana")):
            reply = believed(bench.auth.ask(right), right)
            assert reply.code == Code.ACCESS_ACCEPT
            assert RATE in reply.octets
        for wrong in (
            pap(4, b"ana", b"no"),
            chap(5, b"ana", b"no"),
            mschap2(6, b"ana", "no"),
            pap(7, b"bia"),
        ):
            assert believed(bench.auth.ask(wrong), wrong).code == Code.ACCESS_REJECT
    assert bench.counted() == {"access_request": 7, "access_accept": 3, "access_reject": 4}


def test_an_acknowledged_record_is_in_the_journal(bench: Bench) -> None:
    with bench.worker():
        for number in range(20):
            request = accounting(number, b"s%d" % number)
            assert believed(bench.acct.ask(request), request).code == Code.ACCOUNTING_RESPONSE
            assert bench.journalled()[-1] == request


def test_five_copies_are_one_record_and_one_answer(bench: Bench) -> None:
    with bench.worker():
        for line, request in ((bench.auth, mschap2(1, b"ana")), (bench.acct, accounting(1, b"s"))):
            assert len({line.ask(request) for _ in range(5)}) == 1
    assert bench.journalled() == [request]
    assert bench.counted()["duplicate"] == 8


def test_garbage_is_silence_and_a_counter(bench: Bench) -> None:
    rubbish = [b"", b"\x01", bytes(5000), b"\x04\x01\x00\x14" + bytes(16), accounting(1, b"s")[:-1]]
    with bench.worker():
        for line in (bench.auth, bench.acct):
            for datagram in rubbish:
                line.mine.send(datagram)
            # The first to be answered is the one that deserves it.
            fence = status_server(77)
            assert believed(line.ask(fence), fence).identifier == 77
            assert line.hears_nothing()
    counted = bench.counted()
    assert counted.pop("status_server") == 2
    assert counted == {"malformed": 8, "unexpected_code": 1, "bad_authenticator": 1}
    assert bench.journalled() == []


def test_a_full_journal_silences_accounting_and_not_authentication(bench: Bench) -> None:
    bulk = attribute(88, bytes(250)) * 8
    with bench.worker(journal_max_bytes=64 << 10):
        decided = 0
        while not bench.counted().get("accounting_shed"):
            request = accounting(decided, b"s%d" % decided, extra=bulk)
            bench.acct.mine.send(request)
            decided += 1
            assert eventually(partial(bench.decided, decided))
        assert 5 < decided - 1 == len(waiting(bench.acct.mine)) == len(bench.journalled())
        right = pap(1, b"ana")
        assert believed(bench.auth.ask(right), right).code == Code.ACCESS_ACCEPT
        with Journal(bench.configured.journal_path, 64 << 10) as journal:
            journal.discard(through=3)
        assert believed(bench.acct.ask(request), request).code == Code.ACCOUNTING_RESPONSE


def waiting(sock: socket.socket) -> list[bytes]:
    """What the kernel holds for this socket by now."""
    sock.setblocking(False)
    found = []
    try:
        while True:
            found.append(sock.recv(8192))
    except BlockingIOError:
        return found
    finally:
        sock.settimeout(10)


def burst(line: Line, name: str) -> dict[int, bytes]:
    """64 records under way at once, by Identifier."""
    sent = {number: accounting(number, f"{name}-{number}".encode()) for number in range(64)}
    for request in sent.values():
        line.mine.send(request)
    return sent


def test_kill_nine_loses_no_acknowledged_record(bench: Bench) -> None:
    acknowledged: list[bytes] = []

    def acknowledge(reply: bytes, sent: dict[int, bytes]) -> None:
        request = sent[reply[1]]
        believed(reply, request)
        acknowledged.append(request)

    for round_ in range(3):
        with bench.worker() as worker:
            for turn in range(10):
                sent = burst(bench.acct, f"{round_}-{turn}")
                for _ in sent:
                    acknowledge(bench.acct.mine.recv(8192), sent)
            sent = burst(bench.acct, f"{round_}-last")
            acknowledge(bench.acct.mine.recv(8192), sent)
            worker.kill()
            assert worker.exit_code == -9
        for reply in waiting(bench.acct.mine):
            acknowledge(reply, sent)
        waiting(bench.acct_socket)  # what it did not come to read is nobody's promise
        journalled = bench.journalled()
        assert set(acknowledged) <= set(journalled)
        assert len(journalled) == len(set(journalled))
    assert len(acknowledged) > 3 * 640


def test_a_running_worker_hears_of_new_grants_and_new_clients(tmp_path: Path) -> None:
    configured = settings(tmp_path)
    publish(configured.table_path)
    with udp() as auth, udp() as acct, udp() as mine, udp() as mine_too:
        bench = Bench(configured, [auth, acct, mine, mine_too])
        with bench.worker(), GrantTable(configured.table_path, TABLE_KEY, readonly=False) as table:
            request = pap(1, b"ana")
            bench.auth.mine.send(request)
            assert eventually(lambda: bench.counted().get("unknown_client") == 1)
            table.write([(b"ana", grant(1))])
            table.write_clients([client()])
            table.write_clients(
                [Client(8, ip_network("127.0.0.0/8"), SECRET.value, "mikrotik", "yes")]
            )
            bench.auth.mine.settimeout(0.2)

            def accepted() -> bool:
                try:
                    reply = bench.auth.ask(request)
                except TimeoutError:
                    return False
                return believed(reply, request).code == Code.ACCESS_ACCEPT

            assert eventually(accepted)
            bench.auth.mine.settimeout(10)

            def asked(request: bytes) -> bytes:
                """Its own answer: late ones to what was asked in vain above may come before."""
                bench.auth.mine.send(request)
                while (reply := bench.auth.mine.recv(8192))[1] == 1:
                    pass
                return reply

            table.write([(b"ana", grant(1, password="changed"))])
            stale, fresh = pap(2, b"ana"), pap(3, b"ana", b"changed")
            assert believed(asked(stale), stale).code == Code.ACCESS_REJECT
            assert believed(asked(fresh), fresh).code == Code.ACCESS_ACCEPT


def test_an_ipv6_socket_serves_ipv4_clients(tmp_path: Path) -> None:
    configured = settings(tmp_path)
    publish(configured.table_path, [(b"ana", grant(1))], [client()])
    mapped = "::ffff:127.0.0.1"
    with (
        udp(mapped, socket.AF_INET6) as auth,
        udp(mapped, socket.AF_INET6) as acct,
        udp() as mine,
        udp() as mine_too,
    ):
        bench = Bench(configured, [auth, acct, mine, mine_too])
        with bench.worker():
            right, record = pap(1, b"ana"), accounting(1, b"s")
            assert believed(bench.auth.ask(right), right).code == Code.ACCESS_ACCEPT
            assert believed(bench.acct.ask(record), record).code == Code.ACCOUNTING_RESPONSE
    with Journal(configured.journal_path, configured.journal_max_bytes) as journal:
        assert [entry.source for entry in journal.read(2)] == ["127.0.0.1"]


def test_it_stops_cleanly_when_asked(bench: Bench) -> None:
    with bench.worker() as worker:
        request = status_server(1)
        believed(bench.auth.ask(request), request)
    assert worker.exit_code == 0


def test_a_guess_waits_and_others_do_not(bench: Bench) -> None:
    configured = replace(bench.configured, reject_step_s=2.0)
    with WorkerProcess(configured, [bench.auth_socket], [bench.acct_socket]):
        for identifier in range(3):
            wrong = pap(identifier, b"ana", b"no")
            believed(bench.auth.ask(wrong), wrong)
        guess, right = pap(3, b"ana", b"no"), pap(4, b"ana")
        bench.auth.mine.send(guess)
        # The right password, asked later, is answered first.
        assert believed(bench.auth.ask(right), right).code == Code.ACCESS_ACCEPT
        assert believed(bench.auth.mine.recv(4096), guess).code == Code.ACCESS_REJECT


def test_what_a_neighbour_does_not_take_is_answered_from_its_socket(bench: Bench) -> None:
    with udp() as own, WorkerProcess(bench.configured, [own], [], [bench.auth_socket]):
        for identifier in range(20):  # more than is taken from a neighbour at once
            bench.auth.mine.send(pap(identifier, b"ana"))
        replies = {bench.auth.mine.recv(4096)[1] for _ in range(20)}
    assert replies == set(range(20))
