"""BNGs whose subscribers all dial again at once: Access-Request, then the session's Start.

Run as a process of its own. A BNG has as many dialling subscribers under way as it is told; the
next one dials when one is up. The Start carries the Class that the Accept gave. What is not
answered is sent again after a second, as often as it takes. Access-Requests are made before the
clock starts; every reply is checked after it stopped.
"""

import json
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from radius.accounting import CLASS
from radius.codec import Code, parse, verify_reply
from radius.errors import PeerError
from tests.bench.requests import access_requests, start_record
from tests.support.product import ROOT
from tests.support.radius_worker import SECRET

RESEND_AFTER_S = 1.0
_REMIND_EVERY_S = 0.1
_BEAT_S = 0.000_5
_BUFFER_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Redial:
    """How many dial, over how many BNGs, and how many at once at each; given up at the latest."""

    auth_port: int
    acct_port: int
    subscribers: int
    bngs: int
    at_once: int
    within_s: float


@dataclass(frozen=True, slots=True)
class Dialled:
    """What came of it.

    Attributes:
        seconds: from the first request to the last acknowledged Start.
        waits_ms: of every reply, from the first sending of its request.
        acknowledged: Acct-Session-Id of every Start that was answered.
        wrong: replies that are forged, malformed or refuse, by reason.
    """

    seconds: float
    waits_ms: list[float]
    acknowledged: list[str]
    resent: int
    wrong: dict[str, int]


def redial(order: Redial) -> Dialled:
    """Run it as a process of its own.

    Raises:
        RuntimeError: it failed, or a reply was wrong.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.redial"],
        input=json.dumps(asdict(order)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=order.within_s + 60,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the BNGs failed: {done.stderr[-2000:]}")
    dialled = Dialled(**json.loads(done.stdout))
    if dialled.wrong:
        raise RuntimeError(f"wrong replies: {dialled.wrong}")
    return dialled


@dataclass(slots=True)
class _Call:
    """One request that is out or was answered."""

    user: int
    request: bytes
    first_sent: float
    last_sent: float
    reply: bytes = b""
    replied_at: float = 0.0


class _Port:
    """A source port: at most one open request an Identifier."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.open: dict[int, _Call] = {}
        self.answered: list[_Call] = []
        self.resent = 0

    def ask(self, user: int, request: bytes, now: float) -> None:
        self.open[request[1]] = _Call(user, request, now, now)
        self.socket.send(request)

    def replies(self, now: float) -> list[_Call]:
        """The open calls that have just been answered."""
        found: list[_Call] = []
        while True:
            try:
                reply = self.socket.recv(4096)
            except BlockingIOError:
                return found
            call = self.open.pop(reply[1], None)
            if call is not None:
                call.reply, call.replied_at = reply, now
                self.answered.append(call)
                found.append(call)

    def remind(self, now: float) -> None:
        for call in self.open.values():
            if now - call.last_sent >= RESEND_AFTER_S:
                call.last_sent = now
                self.resent += 1
                self.socket.send(call.request)


class _Bng:
    """One NAS with a port for each service, and the subscribers that have yet to dial."""

    def __init__(self, order: Redial, users: Sequence[int]) -> None:
        self.auth, self.acct = _Port(order.auth_port), _Port(order.acct_port)
        self._at_once = order.at_once
        self._waiting = list(zip(users, access_requests(users), strict=True))[::-1]
        self._starts = 0

    def busy(self) -> bool:
        return bool(self._waiting or self.auth.open or self.acct.open)

    def dial(self, now: float) -> None:
        """Let the next ones dial, in order, as far as an Identifier is free."""
        while (
            self._waiting
            and len(self.auth.open) + len(self.acct.open) < self._at_once
            and self._waiting[-1][1][1] not in self.auth.open
        ):
            self.auth.ask(*self._waiting.pop(), now)

    def report(self, call: _Call, now: float) -> None:
        """An accepted subscriber's session starts."""
        packet = parse(call.reply)
        if packet.code != Code.ACCESS_ACCEPT:
            return  # told as wrong when replies are checked
        while self._starts % 256 in self.acct.open:
            self._starts += 1
        identifier = self._starts % 256
        self._starts += 1
        mark = packet.first(CLASS) or b""
        session_id = session_of(call.user).encode()
        self.acct.ask(call.user, start_record(identifier, call.user, session_id, mark), now)


def session_of(user: int) -> str:
    """The Acct-Session-Id of this subscriber after the power cut."""
    return f"{user:08x}"


def run(order: Redial) -> Dialled:
    """Dial from this process."""
    bngs = [
        _Bng(order, range(number, order.subscribers, order.bngs)) for number in range(order.bngs)
    ]
    poller = select.epoll()
    ports = {}
    for bng in bngs:
        for port in (bng.auth, bng.acct):
            ports[port.socket.fileno()] = bng, port
            poller.register(port.socket, select.EPOLLIN)
    clock = time.perf_counter
    began = now = clock()
    remind_at = began + _REMIND_EVERY_S
    while any(bng.busy() for bng in bngs) and now < began + order.within_s:
        now = clock()
        for bng in bngs:
            bng.dial(now)
        time.sleep(_BEAT_S)
        for descriptor, _ in poller.poll(_REMIND_EVERY_S):
            bng, port = ports[descriptor]
            now = clock()
            for call in port.replies(now):
                if port is bng.auth:
                    bng.report(call, now)
        if now >= remind_at:
            remind_at = now + _REMIND_EVERY_S
            for _, port in ports.values():
                port.remind(now)
    poller.close()
    for _, port in ports.values():
        port.socket.close()
    return _judge(bngs, began)


def _judge(bngs: Sequence[_Bng], began: float) -> Dialled:
    wrong: Counter[str] = Counter()
    waits_ms, acknowledged, ended = [], [], began
    for bng in bngs:
        for port, expected in (
            (bng.auth, Code.ACCESS_ACCEPT),
            (bng.acct, Code.ACCOUNTING_RESPONSE),
        ):
            for call in port.answered:
                waits_ms.append(1_000 * (call.replied_at - call.first_sent))
                flaw = _flaw(call, expected)
                if flaw is not None:
                    wrong[flaw] += 1
                elif port is bng.acct:
                    acknowledged.append(session_of(call.user))
                    ended = max(ended, call.replied_at)
    resent = sum(bng.auth.resent + bng.acct.resent for bng in bngs)
    return Dialled(ended - began, waits_ms, acknowledged, resent, dict(wrong))


def _flaw(call: _Call, expected: Code) -> str | None:
    access = expected == Code.ACCESS_ACCEPT
    try:
        packet = parse(call.reply)
        verify_reply(packet, call.request[4:20], SECRET, require_ma=access)
    except PeerError as error:
        return error.counter
    return None if packet.code == expected else f"code {packet.code}"


if __name__ == "__main__":
    print(json.dumps(asdict(run(Redial(**json.loads(sys.stdin.read()))))))
