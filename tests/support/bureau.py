"""A credit bureau over HTTP on loopback that loses, delays, refuses, and falls silent when told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from api.house import House
from api.store.credit_tables import bureaus

CREDENTIAL = "bureau-token"
# Where the bureau falls silent: long enough for a busy machine to hear the answers in between.
IMPATIENT_MS = 800
CREDITOR = "11222333000181"


@dataclass
class Bureau:
    """`moods` are taken one a POST, then `ok`; a repeated reference is answered from memory.

    `silent_after`: done, and no answer. `lost`: not done, and no answer. `late`: no answer, and
    done only when `catch_up` is called. `accept`: done when it is asked about. Others are statuses.
    """

    moods: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)
    # What was billed, and what is on record, as (document, contract, due date).
    billed: list[str] = field(default_factory=list)
    records: list[tuple[str, str, str]] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    delayed: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    silent_status: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def catch_up(self) -> None:
        """What was delayed is done now."""
        for path, reference, body in self.delayed:
            self._do(path, reference, body)
        self.delayed.clear()

    async def answer(self, method: str, path: str, reference: str, body: Any) -> Any:
        """The status and document of one request; None: silence."""
        self.asked.append((method, path, body))
        if method == "GET":
            if self.silent_status:
                self.silent_status -= 1
                return None
            found = self.operations.get(path.rpartition("/")[2])
            if found is None:
                return 404, {"error": "unknown"}
            said, found["state"] = found["state"], "done"
            return 200, {**found, "state": said if said == "refused" else "done"}
        if reference in self.operations:
            return 200, self.operations[reference]
        mood = self.moods.pop(0) if self.moods else "ok"
        if mood == "lost":
            return None
        if mood == "late":
            self.delayed.append((path, reference, body))
            return None
        if mood == "refuse":
            return 422, {"state": "refused", "code": "E17", "error": f"names {body}"}
        if mood.isdecimal():
            return int(mood), {"error": "trouble"}
        self._do(path, reference, body)
        if mood == "silent_after":
            return None
        if mood == "accept":
            return 202, {**self.operations[reference], "state": "accepted"}
        return 200, self.operations[reference]

    def _do(self, path: str, reference: str, body: Any) -> None:
        if reference in self.operations:
            return
        done: dict[str, Any] = {"state": "done", "protocol": f"P{len(self.operations) + 1}"}
        if path.endswith("inquiries"):
            self.billed.append(reference)
            done["report"] = self.report
        elif path.endswith("listings"):
            self.records.append(_key(body))
        elif _key(body) in self.records:
            self.records.remove(_key(body))
        self.operations[reference] = done


def _key(body: Any) -> tuple[str, str, str]:
    document = body.get("documentNumber") or body["debtor"]["documentNumber"]
    return document, body["contractNumber"], body["dueDate"]


@asynccontextmanager
async def bureau_server() -> AsyncIterator[Bureau]:
    """The bureau, on the test's own event loop and a port of the system's choice."""
    bureau = Bureau()
    open_connections: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_connections.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.split("\r\n")
            method, path, _ = first.split(" ")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines if line)
            }
            assert headers["authorization"] == f"Bearer {CREDENTIAL}"
            raw = await reader.readexactly(int(headers.get("content-length", 0)))
            body = json.loads(raw) if raw else None
            found = await bureau.answer(method, path, headers.get("idempotency-key", ""), body)
            if found is None:  # the caller gives up, and closes
                await reader.read()
                return
            status, document = found
            content = json.dumps(document).encode()
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n"
                f"Content-Length: {len(content)}\r\n\r\n".encode()
                + content
            )
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            open_connections.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    bureau.port = server.sockets[0].getsockname()[1]
    try:
        yield bureau
    finally:
        server.close()
        for writer in open_connections:
            writer.close()


async def add_bureau(
    house: House, url: str, name: str = "serasa", *, timeout_ms: int = 5000, price_cents: int = 250
) -> None:
    """Have the house reach a bureau there."""
    row = {
        "url": url,
        "credential": house.secrets.seal("bureaus", name, "credential", CREDENTIAL.encode()),
        "creditor_document": CREDITOR,
        "price_cents": price_cents,
        "timeout_ms": timeout_ms,
    }
    async with house.uow("test", "bureau") as uow:
        await uow.connection.execute(
            insert(bureaus)
            .values(name=name, **row)
            .on_conflict_do_update(index_elements=["name"], set_=row)
        )
