"""What the demo stands on: the product as a process, routers, a Pix provider, an API client."""

import asyncio
import csv
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import date, datetime
from datetime import time as clock_time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

import httpx
import uvicorn

from api.failures import Refused
from api.http.server import Server
from api.rehearsal.demo_cast import DIALECTS, PLANS, Actor
from api.rehearsal.nas import SimulatedNas
from api.rehearsal.nas_config import NasConfig
from api.rehearsal.nas_log import Event, read_log
from api.rehearsal.nas_records import Method
from api.rehearsal.psp import create_psp

READY_WITHIN_S = 60.0
AT_ONCE = 8
METHODS: tuple[Method, ...] = ("chap", "mschap2", "pap")
DIAL_PER_S = 400.0
ZONE = ZoneInfo("America/Sao_Paulo")


class Stage:
    """Opens and closes everything; the methods are what the story does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._stack = AsyncExitStack()
        self._password = secrets.token_urlsafe(12)
        self._http_port = _free_port(socket.SOCK_STREAM)
        self._psp_port = _free_port(socket.SOCK_STREAM)
        self._auth_port = _free_port(socket.SOCK_DGRAM)
        self._acct_port = _free_port(socket.SOCK_DGRAM)
        self._product: asyncio.subprocess.Process | None = None
        self._api = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self._http_port}/api/v1", timeout=90
        )
        self._psp = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._psp_port}", timeout=30)
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._nases = {
            dialect: SimulatedNas(
                NasConfig(
                    name=f"pop-{dialect.replace('_', '-')}",
                    dialect=dialect,
                    secret=secrets.token_hex(8).encode(),
                    log_path=folder / f"nas-{dialect}.jsonl",
                    auth_port=self._auth_port,
                    acct_port=self._acct_port,
                    bind_host=f"127.0.0.{11 + number}",
                    coa_port=_free_port(socket.SOCK_DGRAM),
                    method=METHODS[number],
                )
            )
            for number, dialect in enumerate(DIALECTS)
        }

    async def __aenter__(self) -> Self:
        psp = Server(
            uvicorn.Config(
                create_psp(f"http://127.0.0.1:{self._http_port}/webhooks/pix"),
                port=self._psp_port,
                log_config=None,
                log_level="warning",
                access_log=False,
            )
        )
        serving = asyncio.create_task(psp.serve())
        self._stack.push_async_callback(_end_server, psp, serving)
        for nas in self._nases.values():
            await self._stack.enter_async_context(nas)
        self._stack.push_async_callback(self._api.aclose)
        self._stack.push_async_callback(self._psp.aclose)
        self._stack.push_async_callback(self._stop_product)
        await self._start_product()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def _environment(self) -> dict[str, str]:
        settings = {
            "DATA_DIR": self._data,
            "HTTP_PORT": self._http_port,
            "RADIUS_HOST": "127.0.0.1",
            "RADIUS_AUTH_PORT": self._auth_port,
            "RADIUS_ACCT_PORT": self._acct_port,
            "ADMIN_PASSWORD": self._password,
            "CLOCK": "manual",
            # A fifth of the story's customers is cut at once, which the guards would hold back.
            "CUTS_SWEEP_PERCENT": 50,
            "CUTS_DAY_PERCENT": 50,
            "TIMEZONE": ZONE.key,
            "PIX_URL": f"http://127.0.0.1:{self._psp_port}",
            "PIX_KEY": "financeiro@provedor.invalid",
            "PIX_CLIENT_ID": "demo",
            "PIX_CLIENT_SECRET": "demo",
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith("RELIGA_")}
        return kept | {f"RELIGA_{name}": str(value) for name, value in settings.items()}

    async def _start_product(self) -> None:
        with (self._folder / "religa.log").open("wb") as log:
            self._product = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "api", "run", env=self._environment(), stdout=log, stderr=log
            )
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            if self._product.returncode is not None or time.monotonic() > deadline:
                raise Refused(f"religa run did not become ready; see {self._folder}/religa.log")
            try:
                ready = await self._api.get(f"http://127.0.0.1:{self._http_port}/readyz", timeout=2)
            except httpx.TransportError:
                ready = None
            if ready is not None and ready.status_code == 200:
                break
            await asyncio.sleep(0.05)
        answer = await self.post("/login", {"name": "admin", "password": self._password})
        self._api.headers["Authorization"] = f"Bearer {answer['token']}"

    async def _stop_product(self) -> None:
        if self._product is None or self._product.returncode is not None:
            return
        self._product.send_signal(signal.SIGTERM)
        await self._product.wait()

    async def command(self, *arguments: str) -> int:
        """Run one `religa` command as a user would; its output goes to the demo's log."""
        with (self._folder / "commands.log").open("ab") as log:
            ran = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "api",
                *arguments,
                env=self._environment(),
                stdout=log,
                stderr=log,
            )
            return await ran.wait()

    async def import_all(self, actors: Sequence[Actor]) -> None:
        """Import plans, routers and subscribers from CSV files."""
        nas_rows = [
            {
                "name": nas.config.name,
                "address": nas.config.bind_host,
                "secret": nas.config.secret.decode(),
                "dialect": dialect,
                "coa_port": nas.coa_port,
                "require_message_authenticator": "yes",
            }
            for dialect, nas in self._nases.items()
        ]
        await asyncio.gather(
            self._import("plans", PLANS),
            self._import("nas", nas_rows),
        )
        await self._import("subscribers", [actor.csv_row() for actor in actors])

    async def _import(self, kind: str, rows: Sequence[Mapping[str, object]]) -> None:
        path = self._folder / f"{kind}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        if await self.command("import", kind, str(path)) != 0:
            raise Refused(f"the import of {kind} failed; see {self._folder}/commands.log")

    async def dial(self, actors: Sequence[Actor]) -> int:
        """Dial every line at its router; answers how many are up."""
        accepted = 0
        for dialect, nas in self._nases.items():
            mine = [(a.username, a.password) for a in actors if a.dialect == dialect]
            accepted += (await nas.dial(mine, DIAL_PER_S)).accepted
        for nas in self._nases.values():
            await nas.accounted()
        return accepted

    def events(self) -> list[Event]:
        """What all routers saw, in order."""
        seen = [e for nas in self._nases.values() for e in read_log(nas.config.log_path)]
        return sorted(seen, key=lambda event: event.at_ns)

    def mails(self) -> int:
        """How many notices lie as mail files."""
        return len(list((self._data / "mail").glob("notice-*.eml")))

    async def get(self, path: str, **params: Any) -> Any:
        return _answer(await self._api.get(path, params=params))

    async def post(self, path: str, body: object) -> Any:
        return _answer(await self._api.post(path, json=body))

    async def put(self, path: str, body: object) -> Any:
        return _answer(await self._api.put(path, json=body))

    async def contracts(self) -> dict[str, int]:
        """Contract ids by username."""
        found: dict[str, int] = {}
        after: str | None = None
        while True:
            page = await self.get("/contracts", limit=500, **({"after": after} if after else {}))
            found |= {item["username"]: item["id"] for item in page["items"]}
            after = page["next"]
            if after is None:
                return found

    async def today(self) -> date:
        """The rehearsal clock's date: it starts at this morning's first instant."""
        day = datetime.now(ZONE).date()
        await self.move_clock(day)
        return day

    async def move_clock(self, day: date) -> None:
        """Let time pass until noon of a day; answers when all that was due is done."""
        noon = datetime.combine(day, clock_time(12), ZONE)
        await self.post("/clock", {"to": noon.isoformat()})

    async def issue(self, actors: Sequence[Actor], due_on: date) -> dict[str, int]:
        """One invoice each; answers their ids by username."""
        contracts = await self.contracts()

        async def one(actor: Actor) -> tuple[str, int]:
            line = {
                "description": f"{actor.plan['name']}",
                "amount_cents": actor.plan["price_cents"],
            }
            body = {
                "contract_id": contracts[actor.username],
                "due_on": due_on.isoformat(),
                "lines": [line],
            }
            async with self._at_once:
                return actor.username, (await self.post("/invoices", body))["id"]

        return dict(await asyncio.gather(*[one(actor) for actor in actors]))

    async def pay(
        self, invoices: Collection[int], divisor: int = 1, every_s: float = 0.0
    ) -> dict[int, int]:
        """Pay these invoices by Pix, whole or a part, one after another.

        Answers when each webhook was about to be called (ns).
        """
        told: dict[int, int] = {}

        async def charge(invoice_id: int) -> tuple[int, Any]:
            async with self._at_once:
                return invoice_id, await self.post(f"/invoices/{invoice_id}/pix", {})

        # Payers have their codes before they pay.
        for invoice_id, made in await asyncio.gather(*[charge(number) for number in invoices]):
            body = {"txid": made["txid"], "amount_cents": made["amount_cents"] // divisor}
            next_at = time.monotonic() + every_s
            told[invoice_id] = time.time_ns()
            _answer(await self._psp.post("/simulate/pay", json=body))
            await asyncio.sleep(next_at - time.monotonic())
        return told

    async def take(self, actors: Sequence[Actor], invoices: Mapping[str, int]) -> None:
        """Take these subscribers' money at the counter."""

        async def one(actor: Actor) -> None:
            body = {
                "invoice_id": invoices[actor.username],
                "amount_cents": actor.plan["price_cents"],
                "method": "cash",
                "reference": f"receipt-{actor.index}",
            }
            async with self._at_once:
                await self.post("/payments", body)

        await asyncio.gather(*[one(actor) for actor in actors])


def _answer(response: httpx.Response) -> Any:
    if response.is_error:
        asked = f"{response.request.method} {response.request.url.path}"
        raise Refused(f"{asked} answered {response.status_code}: {response.text}")
    return response.json() if response.content else None


async def _end_server(server: uvicorn.Server, serving: "asyncio.Task[None]") -> None:
    server.should_exit = True
    await serving


def _free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
