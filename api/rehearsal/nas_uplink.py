"""The NAS as a RADIUS client: requests out, genuine answers in, resent until there is one.

Source: RFC 5080 section 2.2.1 (timers), RFC 2865 section 3 (identifiers).
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

from api.rehearsal.nas_wire import (
    Code,
    Datagram,
    Type,
    message_authenticator,
    read,
    reply_is_genuine,
)

# Four ports give a kernel that spreads by source port something to spread. A quarter of their
# identifiers in flight keeps a burst within the server's receive buffer.
_SOURCE_PORTS = 4
_IN_FLIGHT_PER_PORT = 64


@dataclass(frozen=True, slots=True)
class Timers:
    """RFC 5080's four: first wait, longest wait, sends, whole time. `sends_max` 0: no end."""

    first_wait_s: float = 2.0
    longest_wait_s: float = 16.0
    sends_max: int = 5
    whole_s: float = 30.0


ACCESS_TIMERS = Timers()
# RFC 5080 gives accounting no end. The longest wait is kept, so that an outage is not outlasted.
ACCOUNTING_TIMERS = Timers(sends_max=0, whole_s=0.0)


def waits_s(timers: Timers, jitter: Callable[[], float]) -> Iterator[float]:
    """How long to wait for an answer after each send.

    Args:
        timers: the four figures.
        jitter: gives a factor between -0.1 and 0.1, anew for each wait.
    """
    spent_s = 0.0
    sends = 0
    wait_s = timers.first_wait_s * (1 + jitter())
    while timers.sends_max == 0 or sends < timers.sends_max:
        if timers.whole_s:
            wait_s = min(wait_s, timers.whole_s - spent_s)
            if wait_s <= 0:
                return
        yield wait_s
        sends += 1
        spent_s += wait_s
        wait_s = wait_s * (2 + jitter())
        if wait_s > timers.longest_wait_s:
            wait_s = timers.longest_wait_s * (1 + jitter())


def jitter() -> float:
    return random.uniform(-0.1, 0.1)  # noqa: S311 -- spreads retries, hides nothing


@dataclass(slots=True)
class _Asked:
    authenticator: bytes
    answer: asyncio.Future[Datagram]


@dataclass(eq=False)
class _SourcePort(asyncio.DatagramProtocol):
    """One socket and its 256 identifiers, the longest unused first."""

    secret: bytes
    suspect: Callable[[bytes, str], None]
    free: deque[int] = field(default_factory=lambda: deque(range(256)))
    asked: dict[int, _Asked] = field(default_factory=dict)
    transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def error_received(self, exc: Exception) -> None:
        # Nobody listens there just now: the same as silence, the timers go on.
        pass

    def datagram_received(self, data: bytes, addr: object) -> None:
        answer = read(data)
        if answer is None:
            self.suspect(b"", "malformed")
            return
        asked = self.asked.get(answer.identifier)
        if asked is None or asked.answer.done():
            return  # an answer to something that was answered before
        fault = fault_of(answer, asked.authenticator, self.secret)
        if fault is not None:
            self.suspect(asked.authenticator, fault)
            return
        asked.answer.set_result(answer)

    def send(self, octets: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.sendto(octets)


def fault_of(answer: Datagram, request_authenticator: bytes, secret: bytes) -> str | None:
    """Why a NAS that knows of BlastRADIUS would not believe this answer; None: it would."""
    if not reply_is_genuine(answer, request_authenticator, secret):
        return "response_authenticator"
    if answer.code == Code.ACCOUNTING_RESPONSE:
        return None  # its request was keyed, which is proof enough
    if message_authenticator(answer, request_authenticator, secret) is not True:
        return "message_authenticator"
    if answer.attributes[0][0] != Type.MESSAGE_AUTHENTICATOR:
        return "message_authenticator_not_first"
    return None


class Uplink:
    """Towards one port of the server, over a few source ports, so that many workers share it."""

    def __init__(
        self,
        server: tuple[str, int],
        bind_host: str,
        secret: bytes,
        suspect: Callable[[bytes, str], None],
    ) -> None:
        """`suspect` is told the request's authenticator and why an answer was not believed."""
        self._server = server
        self._bind_host = bind_host
        self._secret = secret
        self._suspect = suspect
        self._ports: deque[_SourcePort] = deque()
        self._in_flight = asyncio.Semaphore(_SOURCE_PORTS * _IN_FLIGHT_PER_PORT)

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_SOURCE_PORTS):
            _, port = await loop.create_datagram_endpoint(
                lambda: _SourcePort(self._secret, self._suspect),
                local_addr=(self._bind_host, 0),
                remote_addr=self._server,
            )
            self._ports.append(port)

    async def ask(self, build: Callable[[int], bytes], timers: Timers) -> Datagram | None:
        """Send what `build` makes of an identifier; None if nobody answered in time.

        Every resend is the same octets from the same port.
        """
        async with self._in_flight:
            port = self._next_port()
            identifier = port.free.popleft()
            octets = build(identifier)
            answer: asyncio.Future[Datagram] = asyncio.get_running_loop().create_future()
            port.asked[identifier] = _Asked(octets[4:20], answer)
            try:
                for wait_s in waits_s(timers, jitter):
                    port.send(octets)
                    await asyncio.wait((answer,), timeout=wait_s)
                    if answer.done():
                        return answer.result()
                return None
            finally:
                del port.asked[identifier]
                port.free.append(identifier)

    def _next_port(self) -> _SourcePort:
        self._ports.rotate(-1)
        while not self._ports[-1].free:  # one has some: all together hold more than are in flight
            self._ports.rotate(-1)
        return self._ports[-1]

    def close(self) -> None:
        for port in self._ports:
            if port.transport is not None:
                port.transport.close()
