"""A RADIUS server of a few lines over pyrad: the other side when the simulated NAS is tested.

pyrad checks what the NAS sends, so nothing of ours judges ours. Keys of attributes are numbers,
vendors' ones (vendor, number).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, cast

from pyrad.dictionary import Dictionary
from pyrad.packet import AccessAccept, AccessReject, AcctPacket, AuthPacket, Packet

from api.rehearsal.nas import SimulatedNas
from api.rehearsal.nas_config import NasConfig
from api.rehearsal.nas_uplink import Timers

SECRET = b"testing123"
Key = int | tuple[int, int]

# Small enough for a test to see a resend, large enough for a busy machine not to make one.
QUICK = Timers(first_wait_s=0.4, longest_wait_s=1.0, sends_max=4, whole_s=3.0)
# pyrad looks this one up by its name.
_CHAP = Dictionary(StringIO("ATTRIBUTE CHAP-Challenge 60 octets\n"))


@dataclass(eq=False)
class _Port(asyncio.DatagramProtocol):
    server: "PyradServer"
    transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self.server.answer(data, addr)
        if answer is not None and self.transport is not None:
            self.transport.sendto(answer, addr)


@dataclass(eq=False)
class PyradServer:
    """Accepts `passwords` with `grant`; keeps every request that pyrad found genuine."""

    passwords: Mapping[str, str]
    grant: dict[Key, bytes]
    access: list[Packet] = field(default_factory=list)
    accounting: list[Packet] = field(default_factory=list)
    sources: list[tuple[bytes, tuple[str, int]]] = field(default_factory=list)
    drop_next: int = 0
    spoil_next: int = 0
    ports: tuple[int, int] = (0, 0)

    def answer(self, data: bytes, source: tuple[str, int]) -> bytes | None:
        self.sources.append((data, source))
        if self.drop_next:
            self.drop_next -= 1
            return None
        octets = self._accounted(data) if data[0] == 4 else self._authenticated(data)
        if self.spoil_next:
            self.spoil_next -= 1
            return octets[:4] + bytes(16) + octets[20:]
        return octets

    def _authenticated(self, data: bytes) -> bytes:
        request = AuthPacket(packet=data, secret=SECRET, dict=_CHAP)
        assert request.verify_message_authenticator()
        self.access.append(request)
        expected = self.passwords.get(text(request, 1))
        accepted = expected is not None and _has_password(request, expected)
        reply = request.CreateReply()
        reply.code = AccessAccept if accepted else AccessReject
        for key, value in self.grant.items() if accepted else ():
            reply[key] = [value]
        octets: bytes = reply.ReplyPacket()
        return octets

    def _accounted(self, data: bytes) -> bytes:
        request = AcctPacket(packet=data, secret=SECRET)
        assert request.VerifyAcctRequest()
        self.accounting.append(request)
        octets: bytes = request.CreateReply().ReplyPacket()
        return octets

    def statuses(self) -> list[int]:
        """Acct-Status-Type of every record, in order."""
        return [integer(record, 40) for record in self.accounting]


def _has_password(request: Any, expected: str) -> bool:
    if 2 in request:
        return bool(request.PwDecrypt(request[2][0]) == expected)
    if 3 in request:
        return bool(request.VerifyChapPasswd(expected.encode()))
    return False


def text(packet: Packet, key: Key) -> str:
    value: bytes = packet[key][0]
    return value.decode()


def integer(packet: Packet, key: Key) -> int:
    return int.from_bytes(packet[key][0], "big")


@asynccontextmanager
async def pyrad_server(
    passwords: Mapping[str, str], grant: Mapping[Key, bytes]
) -> AsyncIterator[PyradServer]:
    """Serve on two free ports of 127.0.0.1."""
    server = PyradServer(passwords, dict(grant))
    loop = asyncio.get_running_loop()
    transports = []
    for _ in range(2):
        transport, _port = await loop.create_datagram_endpoint(
            lambda: _Port(server), local_addr=("127.0.0.1", 0)
        )
        transports.append(transport)
    auth, acct = (transport.get_extra_info("sockname")[1] for transport in transports)
    server.ports = (auth, acct)
    try:
        yield server
    finally:
        for transport in transports:
            transport.close()
        await asyncio.sleep(0)


GRANTS: Mapping[str, Mapping[Key, bytes]] = {
    "mikrotik": {(14988, 8): b"10M/50M"},
    "accel_ppp": {11: b"50000/10000"},
    "wispr": {
        (14122, 8): (50_000_000).to_bytes(4, "big"),
        (14122, 7): (10_000_000).to_bytes(4, "big"),
    },
}
"""50 Mbit/s down and 10 Mbit/s up, as each dialect is told."""


def nas_config(server: PyradServer, log_path: Path, dialect: str, **more: Any) -> NasConfig:
    auth, acct = server.ports
    values: dict[str, Any] = {
        "name": "bng-1",
        "dialect": dialect,
        "secret": SECRET,
        "log_path": log_path,
        "auth_port": auth,
        "acct_port": acct,
        "coa_port": 0,
        "access_timers": QUICK,
    }
    return NasConfig(**(values | more))


@asynccontextmanager
async def dialled_nas(
    log_path: Path, dialect: str, usernames: Sequence[str] = ("ana",), **more: Any
) -> AsyncIterator[tuple[SimulatedNas, PyradServer]]:
    """A NAS whose users are online at 50/10 Mbit/s and whose Starts are answered."""
    passwords = {name: f"pw-{name}" for name in usernames}
    async with (
        pyrad_server(passwords, GRANTS[dialect]) as server,
        SimulatedNas(nas_config(server, log_path, dialect, **more)) as nas,
    ):
        dialled = await nas.dial(list(passwords.items()), rate_per_s=500)
        assert dialled.accepted == len(usernames)
        await nas.accounted()
        yield nas, server


async def until(true: Callable[[], bool], within_s: float = 15.0) -> None:
    """Wait for it; a test whose wait is too long fails."""
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "did not come true in time"
        await asyncio.sleep(0.01)
