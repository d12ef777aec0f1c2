"""An adapter of SMS or WhatsApp on loopback that loses, delays and refuses, as told.

It keeps to the neutral contract: checks the signature, and does the thing once for an id.
"""

import asyncio
import contextlib
import json
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from api.channels import signature
from api.clock import wall

SECRET = "adapter's secret"


@dataclass(slots=True)
class Adapter:
    """`faults` are used up one for each call, then all is well:

    - `lost`: does the thing, and hangs up without an answer;
    - `late`: does the thing, and answers once the caller has given up, however long that takes;
    - a status, as `503` or `422`: answers it and does nothing;
    - `no_id`: does the thing, and answers without an id.
    """

    faults: deque[str] = field(default_factory=deque)
    # What people got, by our id: `{"to", "text"}`.
    delivered: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, bytes] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    serving: set[asyncio.Task[Any]] = field(default_factory=set)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/send"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self.serving.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = (line.partition(":") for line in head.split("\r\n")[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in lines}
        body = await reader.readexactly(int(headers["content-length"]))
        answer = await self._take(headers, body, reader)
        if answer is not None:
            status, told = answer
            content = json.dumps(told).encode()
            writer.write(
                f"HTTP/1.1 {status} x\r\nContent-Length: {len(content)}\r\n"
                "Content-Type: application/json\r\nConnection: close\r\n\r\n".encode()
                + content
            )
            await writer.drain()

    async def _take(
        self, headers: dict[str, str], body: bytes, caller: asyncio.StreamReader
    ) -> tuple[int, dict[str, Any]] | None:
        said, signed = headers["x-religa-timestamp"], headers["x-religa-signature"]
        signature.check(SECRET, said, signed, body, wall().timestamp())
        told = json.loads(body)
        ours = told["id"]
        self.asked[ours] += 1
        if headers["idempotency-key"] != ours or self.bodies.setdefault(ours, body) != body:
            self.wrong.append(ours)
        fault = self.faults.popleft() if self.faults else ""
        if fault.isdigit():
            return int(fault), {"error": "as told"}
        self.delivered.setdefault(ours, {"to": told["to"], "text": told["text"]})
        if fault == "lost":
            return None
        if fault == "late":
            await caller.read()
        return 200, {} if fault == "no_id" else {"id": f"p-{ours}"}


@asynccontextmanager
async def adapter() -> AsyncIterator[Adapter]:
    """The server, on the test's own event loop and a port of the system's choice."""
    made = Adapter()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    async with server:
        made.port = server.sockets[0].getsockname()[1]
        try:
            yield made
        finally:
            left = [*made.serving]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)


def receipt_headers(body: bytes, *, ago_s: int = 0, secret: str = SECRET) -> dict[str, str]:
    """What a provider that knows the secret sends along."""
    at = int(wall().timestamp()) - ago_s
    return {
        "Content-Type": "application/json",
        signature.TIMESTAMP: str(at),
        signature.SIGNATURE: signature.sign(secret, at, body),
    }


def bounce(message_id: str, *, action: str = "failed", status: str = "5.1.1") -> bytes:
    """A report of RFC 3464 that a letter of ours came back."""
    return f"""From: MAILER-DAEMON@mx.example.invalid
To: cobranca@provedor.invalid
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=_b"

--=_b
Content-Type: text/plain; charset=us-ascii

It could not be delivered.

--=_b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.invalid
Arrival-Date: Fri, 4 Sep 2026 12:00:01 -0300

Final-Recipient: rfc822; ana@example.invalid
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 5.1.1 no such user here

--=_b
Content-Type: text/rfc822-headers

From: Provedor <cobranca@provedor.invalid>
Message-ID: <{message_id}>
Subject: Aviso

--=_b--
""".replace("\n", "\r\n").encode()
