"""The must-reject list through a worker's real sockets: silence, and the right counter."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from radius.counters import Counters
from tests.support.must_reject import ANSWERED, REJECTED, Case, Port, access
from tests.support.radius_worker import (
    SECRET,
    WorkerProcess,
    client,
    grant,
    publish,
    settings,
    udp,
)
from tests.support.signatures import authentic_reply


@dataclass(frozen=True, slots=True)
class Wire:
    """A NAS's socket towards each port of one worker that serves all tests here."""

    folder: Path
    nas: dict[Port, socket.socket]

    def send(self, case: Case) -> socket.socket:
        self.nas[case.port].send(case.datagram)
        return self.nas[case.port]

    def counted(self) -> dict[str, int]:
        with Counters(settings(self.folder).counters_path) as counters:
            return counters.read()


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    folder = tmp_path_factory.mktemp("must-reject")
    configured = settings(folder)
    publish(configured.table_path, [(b"bia", grant(1))], [client(require="no")])
    with udp() as auth, udp() as acct, udp() as to_auth, udp() as to_acct:
        to_auth.connect(auth.getsockname())
        to_acct.connect(acct.getsockname())
        with WorkerProcess(configured, [auth], [acct]):
            yield Wire(folder, {"auth": to_auth, "acct": to_acct})


@pytest.fixture
def fence() -> bytes:
    """A Status-Server: the first to be answered is the one that deserves it."""
    return access(b"", code=12, identifier=77)


@pytest.mark.parametrize("case", REJECTED.values(), ids=REJECTED)
def test_silence(wire: Wire, fence: bytes, case: Case) -> None:
    before = wire.counted()
    sock = wire.send(case)
    sock.send(fence)
    assert authentic_reply(sock.recv(8192), fence, SECRET.value)
    moved = {name: count - before[name] for name, count in wire.counted().items()}
    assert {name: by for name, by in moved.items() if by} == {case.counter: 1, "status_server": 1}


@pytest.mark.parametrize("case", ANSWERED.values(), ids=ANSWERED)
def test_odd_and_allowed(wire: Wire, case: Case) -> None:
    # A socket of its own: with the same port, Identifier and authenticator it would be a repeat.
    with udp() as sock:
        sock.connect(wire.nas[case.port].getpeername())
        before = wire.counted()[case.counter]
        sock.send(case.datagram)
        assert authentic_reply(sock.recv(8192), case.datagram, SECRET.value)
        assert wire.counted()[case.counter] == before + 1
