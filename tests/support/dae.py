"""A dynamic authorization server of a few lines: a NAS that answers as it is told.

pyrad takes the requests apart and signs the answers, so nothing of ours judges ours.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from pyrad.packet import CoAPacket

from radius.client import DynauthClient
from radius.codec import Code
from radius.dynauth import Outcome, Timers

SECRET = b"nas-secret"

# Silence is known after half a second: by the last sending, however busy the machine is.
QUICK = Timers(initial_s=0.1, wait_max_s=0.2, sends_max=3, duration_max_s=60.0)
# An unanswered request waits longer than any test does.
PATIENT = Timers(initial_s=30.0, wait_max_s=30.0, duration_max_s=90.0)

# Vendor 14988, type 8; its length follows.
MIKROTIK_RATE_LIMIT = b"\x00\x00\x3a\x8c\x08"

_TURN_S = 0.05
_ACK = {Code.COA_REQUEST: Code.COA_ACK, Code.DISCONNECT_REQUEST: Code.DISCONNECT_ACK}
_NAK = {Code.COA_REQUEST: Code.COA_NAK, Code.DISCONNECT_REQUEST: Code.DISCONNECT_NAK}


@dataclass(frozen=True, slots=True)
class Heard:
    """One request as it arrived; `attributes` by number, each with its values."""

    code: Code
    identifier: int
    port: int
    octets: bytes
    attributes: dict[Any, list[bytes]]

    @property
    def username(self) -> str:
        return self.attributes[1][0].decode()


# What to answer to a request, given how often these octets came: "ack", "nak" without a cause, a
# cause as a number, or None for silence.
Behaviour = Callable[[Heard, int], str | int | None]


@dataclass(eq=False)
class Dae(asyncio.DatagramProtocol):
    """What it heard, in order, and how it answers."""

    behave: Behaviour = lambda heard, times: "ack"
    secret: bytes = SECRET
    heard: list[Heard] = field(default_factory=list)
    transport: asyncio.DatagramTransport | None = None
    port: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        packet = CoAPacket(packet=data, secret=self.secret)
        # A NAS is silent to what it cannot believe.
        if not packet.VerifyCoARequest() or not packet.verify_message_authenticator():
            return
        values = {key: packet[key] for key in packet}
        heard = Heard(Code(packet.code), packet.id, addr[1], data, values)
        self.heard.append(heard)
        self.arrived.set()
        times = sum(one.octets == data for one in self.heard)
        answer = self.behave(heard, times)
        if answer is not None:
            self.send(self.reply(heard, answer), addr)

    def reply(self, heard: Heard, answer: str | int) -> bytes:
        """The octets of an answer to what was heard."""
        request = CoAPacket(packet=heard.octets, secret=self.secret)
        reply = request.CreateReply()
        reply.code = _ACK[heard.code] if answer == "ack" else _NAK[heard.code]
        if isinstance(answer, int):
            reply[101] = [answer.to_bytes(4, "big")]
        octets: bytes = reply.ReplyPacket()
        return octets

    def send(self, octets: bytes, addr: tuple[str, int]) -> None:
        assert self.transport is not None
        self.transport.sendto(octets, addr)

    async def hears(self, count: int, within_s: float = 20.0) -> None:
        """Wait until that many requests came, resends included."""
        async with asyncio.timeout(within_s):
            while len(self.heard) < count:
                self.arrived.clear()
                await self.arrived.wait()

    async def quiet(
        self, of: Callable[[Heard], bool] = lambda heard: True, for_s: float = 1.0
    ) -> float:
        """Wait until nothing such came for so long; how long it went on before, in seconds.

        Both are counted in turns of the loop, which client and NAS share: a second that the
        machine slept through is one turn, for in it nothing could have been sent.
        """
        count, turns, last = sum(map(of, self.heard)), 0, 0
        async with asyncio.timeout(30.0):
            while (turns - last) * _TURN_S < for_s:
                await asyncio.sleep(_TURN_S)
                turns += 1
                now = sum(map(of, self.heard))
                if now != count:
                    count, last = now, turns
        return last * _TURN_S

    def sent(self, username: str) -> list[str]:
        """The requests for one line in short: `coa 50M/100M`, `disconnect`; resends once."""
        seen: dict[bytes, str] = {}
        for heard in self.heard:
            if heard.username == username:
                kind = "coa" if heard.code == Code.COA_REQUEST else "disconnect"
                rates = [
                    value[len(MIKROTIK_RATE_LIMIT) + 1 :].decode()
                    for value in heard.attributes.get(26, [])
                    if value.startswith(MIKROTIK_RATE_LIMIT)
                ]
                seen[heard.octets] = " ".join([kind, *rates])
        return list(seen.values())


class HalfPatient(DynauthClient):
    """Waits for ever, but where `hopeless` says so of a request's attributes only briefly."""

    def __init__(self, hopeless: Callable[[bytes], bool] = lambda attributes: True) -> None:
        super().__init__(PATIENT)
        self.hopeless = hopeless
        self._quick = DynauthClient(QUICK)

    async def exchange(
        self, address: str, port: int, code: int, attributes: bytes, *args: Any, **more: Any
    ) -> Outcome:
        exchange = self._quick.exchange if self.hopeless(attributes) else super().exchange
        return await exchange(address, port, code, attributes, *args, **more)

    def expect_answers(self) -> None:
        """The NAS has come back."""
        self.hopeless = lambda attributes: False

    async def close(self) -> None:
        await super().close()
        await self._quick.close()


@asynccontextmanager
async def dae(behave: Behaviour | None = None, secret: bytes = SECRET) -> AsyncIterator[Dae]:
    """A NAS on a free port of loopback; `behave` None acknowledges everything."""
    server = Dae(secret=secret)
    if behave is not None:
        server.behave = behave
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", 0))
    try:
        yield server
    finally:
        transport.close()
