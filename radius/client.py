"""Dynamic authorization client: many CoA- and Disconnect-Requests in flight over UDP.

The NAS tells duplicates by source port and Identifier, and remembers them for its replay window
(RFC 5176 section 6.3). So an Identifier is not used again towards a NAS for that long; who needs
more than 256 requests in a window sends them from another source port.
"""

import asyncio
import contextlib
import random
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Final, cast

from radius.codec import Secret, attribute, encode_request
from radius.dynauth import EVENT_TIMESTAMP, REPLAY_WINDOW_S, Exchange, Outcome, Silence, Timers

IDENTIFIERS: Final = 256

Peer = tuple[str, int]


class Identifiers:
    """The 256 Identifiers of one source port towards one NAS, the longest unused one first."""

    def __init__(self) -> None:
        self._fresh = 0
        self._resting: deque[tuple[float, int]] = deque()

    def take(self, now: float) -> int | None:
        """An Identifier that was not in use for the replay window; None: there is none."""
        if self._fresh < IDENTIFIERS:
            self._fresh += 1
            return self._fresh - 1
        if self._resting and self._resting[0][0] <= now:
            return self._resting.popleft()[1]
        return None

    def give_back(self, identifier: int, now: float) -> None:
        """Its exchange is over; it rests for the replay window."""
        self._resting.append((now + REPLAY_WINDOW_S, identifier))


class _Port(asyncio.DatagramProtocol):
    """One source port: hands each datagram to the exchange that waits for it."""

    def __init__(self) -> None:
        self.identifiers: dict[Peer, Identifiers] = {}
        self.waiting: dict[tuple[Peer, int], tuple[Exchange, asyncio.Future[Outcome]]] = {}
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's and uvloop's own datagram transports are not subclasses of the declared one.
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) < 2:
            return
        waiting = self.waiting.get(((addr[0], addr[1]), data[1]))
        if waiting is None:
            return
        exchange, answer = waiting
        outcome = exchange.receive(data, time.time())
        if outcome is not None and not answer.done():
            answer.set_result(outcome)

    def error_received(self, exc: Exception) -> None:
        """An unreachable NAS is a silent one; the timers see to it."""

    def send(self, octets: bytes, peer: Peer) -> None:
        if self.transport is not None:
            self.transport.sendto(octets, peer)


class DynauthClient:
    """Sends requests and waits for their answers. Pacing is the caller's."""

    def __init__(self, timers: Timers | None = None) -> None:
        self._timers = Timers() if timers is None else timers
        self._ports: dict[socket.AddressFamily, list[_Port]] = {}
        self._opening = asyncio.Lock()
        # Jitter needs no secrecy.
        self._random = random.Random()  # noqa: S311

    async def exchange(
        self,
        address: str,
        port: int,
        code: int,
        attributes: bytes,
        secret: Secret,
        *,
        message_authenticator: bool,
        on_sent: Callable[[], None] | None = None,
    ) -> Outcome:
        """Send one request until it is answered or given up; cancelling abandons it.

        Args:
            address: of the NAS, IPv4 or IPv6 in text form.
            port: on which the NAS listens for dynamic authorization.
            code: `Code.COA_REQUEST` or `Code.DISCONNECT_REQUEST`.
            attributes: encoded, without Event-Timestamp, which is added with the real time.
            secret: shared with the NAS.
            message_authenticator: whether the request carries one.
            on_sent: called once, after the first datagram left.

        Raises:
            LocalError: the attributes do not fit a packet.
            OSError: no socket can be opened.
        """
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        peer = (address, port)
        source, identifier = await self._identifier(family, peer)
        try:
            stamped = attributes + attribute(EVENT_TIMESTAMP, int(time.time()).to_bytes(4, "big"))
            request = encode_request(
                code, identifier, stamped, secret, message_authenticator=message_authenticator
            )
            exchange = Exchange(request, secret, self._timers, self._random.random, loop.time())
            answer: asyncio.Future[Outcome] = loop.create_future()
            source.waiting[peer, identifier] = (exchange, answer)
            while not answer.done():
                match exchange.poll(loop.time()):
                    case bytes(octets):
                        source.send(octets, peer)
                        if exchange.sends == 1 and on_sent is not None:
                            on_sent()
                    case Silence() as silence:
                        return silence
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(exchange.wake_at):
                        await asyncio.shield(answer)
            return answer.result()
        finally:
            source.waiting.pop((peer, identifier), None)
            source.identifiers[peer].give_back(identifier, loop.time())

    async def close(self) -> None:
        """Close the source ports; what still waits hears silence."""
        for ports in self._ports.values():
            for port in ports:
                if port.transport is not None:
                    port.transport.close()
        self._ports.clear()

    async def _identifier(self, family: socket.AddressFamily, peer: Peer) -> tuple[_Port, int]:
        # Locked, so that a burst opens the ports that it needs and not one for each request.
        async with self._opening:
            now = asyncio.get_running_loop().time()
            for port in self._ports.setdefault(family, []):
                identifier = port.identifiers.setdefault(peer, Identifiers()).take(now)
                if identifier is not None:
                    return port, identifier
            port = await self._open(family)
            self._ports[family].append(port)
            first = port.identifiers.setdefault(peer, Identifiers())
            identifier = first.take(now)
            if identifier is None:
                raise RuntimeError("a new source port has no free Identifier")
            return port, identifier

    async def _open(self, family: socket.AddressFamily) -> _Port:
        loop = asyncio.get_running_loop()
        wildcard = "::" if family is socket.AF_INET6 else "0.0.0.0"  # noqa: S104 -- a client's port
        _, port = await loop.create_datagram_endpoint(
            _Port, local_addr=(wildcard, 0), family=family
        )
        return port
