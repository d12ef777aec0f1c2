"""An SMTP server on loopback that keeps what it accepts, and refuses or delays as told."""

import asyncio
import email
import email.policy
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP


@dataclass(slots=True)
class Sink:
    """`answer` by recipient address: another reply to RCPT TO than acceptance.

    `faults` are used up one for each DATA: a reply, as `451 come back later`; `drop`: hangs up
    without taking it; `lost`: takes it, and hangs up without a reply.
    """

    answer: dict[str, str] = field(default_factory=dict)
    faults: deque[str] = field(default_factory=deque)
    received: list[tuple[str, EmailMessage]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd's own name
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address in self.answer:
            return self.answer[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        fault = self.faults.popleft() if self.faults else ""
        if fault not in ("", "lost"):
            if fault == "drop":
                server.transport.abort()
            return fault
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.raw.append(bytes(envelope.content))
        self.received.extend((address, message) for address in envelope.rcpt_tos)
        if fault == "lost":
            server.transport.abort()
        return "250 kept"


@asynccontextmanager
async def smtp_sink() -> AsyncIterator[Sink]:
    """The server, on the test's own event loop and a port of the system's choice."""
    sink = Sink()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(sink, hostname="sink.invalid", loop=loop), "127.0.0.1", 0
    )
    async with server:
        sink.port = server.sockets[0].getsockname()[1]
        yield sink
