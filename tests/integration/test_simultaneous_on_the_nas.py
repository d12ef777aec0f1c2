"""The running product drops the oldest line: judged by the log of the NAS that had it."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from api.rehearsal.nas import SimulatedNas
from api.rehearsal.nas_config import NasConfig
from api.rehearsal.nas_log import Event, read_log
from api.waiting import wait_for
from tests.support.product import Product, nas_row, own_folder, plan_row, subscriber_row

pytestmark = pytest.mark.anyio

WITHIN_S = 30.0


async def _until(true: Callable[[], bool]) -> None:
    never = asyncio.Event()
    async with asyncio.timeout(WITHIN_S):
        while not true():
            await wait_for(never, 0.05)


async def _dial(nas: SimulatedNas, username: str) -> str:
    """Dial until let in; the session's id. The next one begins in another second of the NAS."""
    index = username.removeprefix("user")
    never = asyncio.Event()
    known = {session.acct_session_id for session in nas.sessions()}
    async with asyncio.timeout(WITHIN_S):
        while (await nas.dial([(username, f"pw-{index}")], 100)).accepted == 0:
            await wait_for(never, 0.1)
    await nas.accounted()
    await wait_for(never, 1.0 - time.time() % 1)
    (new,) = {session.acct_session_id for session in nas.sessions()} - known
    return new


def _disconnected(log: Path) -> list[tuple[str, str]]:
    events: list[Event] = read_log(log)
    return [(e.session_id, e.outcome) for e in events if e.event == "disconnect"]


async def test_each_line_more_than_two_costs_the_oldest_and_nobody_else() -> None:
    with own_folder() as folder:
        log = folder / "nas.jsonl"
        product = Product(folder)
        config = NasConfig(
            name="bng",
            dialect="mikrotik",
            secret=b"secret-of-bng",
            log_path=log,
            auth_port=product.auth_port,
            acct_port=product.acct_port,
            bind_host="127.0.0.31",
            coa_port=0,
            # Whoever is dropped stays away: the story is about what the others keep.
            redial_after_s=3_600,
        )
        async with SimulatedNas(config) as nas:
            try:
                await asyncio.to_thread(product.start)
                plan = plan_row(simultaneous_use=2, simultaneous_policy="drop_oldest")
                rows = {
                    "plans": [plan],
                    "nas": [nas_row("bng", "127.0.0.31", "mikrotik", nas.coa_port)],
                    "subscribers": [subscriber_row(0), subscriber_row(1)],
                }
                for kind, told in rows.items():
                    await asyncio.to_thread(product.import_csv, kind, told)
                bystander = await _dial(nas, "user1")
                lines = [await _dial(nas, "user0") for _ in range(2)]
                assert _disconnected(log) == []
                for number in range(2):
                    lines.append(await _dial(nas, "user0"))
                    expected = [(line, "ack") for line in lines[: number + 1]]
                    await _until(lambda expected=expected: _disconnected(log) == expected)  # type: ignore[misc]
                left = {session.acct_session_id for session in nas.sessions()}
                assert left == {bystander, *lines[2:]}
                online = await asyncio.to_thread(product.get, "/sessions", online=True)
                assert {item["acct_session_id"] for item in online["items"]} == left
                actions = await asyncio.to_thread(product.get, "/actions")
                assert [a["reason"] for a in actions["items"]] == ["surplus", "surplus"]
            finally:
                await asyncio.to_thread(product.stop)
