"""The simulated NAS as a program: orders on stdin, answers on stdout."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from api.rehearsal.nas_log import read_log, standing
from tests.support.pyrad_server import GRANTS, pyrad_server, until

pytestmark = pytest.mark.anyio

REPO = Path(__file__).parents[2]

PROGRAM = """
import asyncio, sys
from pathlib import Path
from api.rehearsal.nas_config import NasConfig
from api.rehearsal.nas_control import run

auth, acct, log = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
config = NasConfig(
    "bng-1", "mikrotik", b"testing123", log, auth_port=auth, acct_port=acct, coa_port=0
)
asyncio.run(run(config))
"""


async def start_program(
    ports: tuple[int, int], log: Path
) -> tuple[asyncio.subprocess.Process, Callable[[object], "asyncio.Future[dict[str, object]]"]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        *map(str, ports),
        str(log),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )

    async def order(what: object) -> dict[str, object]:
        assert process.stdin is not None
        assert process.stdout is not None
        if what is not None:
            process.stdin.write(json.dumps(what).encode() + b"\n")
        line = await asyncio.wait_for(process.stdout.readline(), 10)
        answer: dict[str, object] = json.loads(line)
        return answer

    return process, lambda what: asyncio.ensure_future(order(what))


async def test_as_a_program_it_takes_orders_and_ends_with_its_stdin(tmp_path: Path) -> None:
    log = tmp_path / "nas.jsonl"
    async with pyrad_server({"ana": "pw"}, GRANTS["mikrotik"]) as server:
        process, order = await start_program(server.ports, log)
        started = await order(None)
        assert started["do"] == "start"
        credentials = [["ana", "pw"], ["bia", "x"]]
        dialled = await order({"do": "dial", "credentials": credentials, "rate_per_s": 500})
        assert dialled == {
            "do": "dial",
            "ok": True,
            "accepted": 1,
            "rejected": 1,
            "silence": 0,
            "unusable": 0,
        }
        assert (await order({"do": "interim"}))["sessions"] == 1
        assert server.statuses() == [1, 3]
        sessions = (await order({"do": "sessions"}))["sessions"]
        assert isinstance(sessions, list)
        assert sessions[0]["profile"]["rate_down_bps"] == 50_000_000
        nonsense = await order({"do": "dance"})
        assert nonsense == {"ok": False, "error": "no order 'dance'"}
        assert (await order({"do": "hang_up"}))["ended"] == 1
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 5) == 0
    assert standing(read_log(log)) == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_as_a_program_it_ends_at_a_signal_even_while_dialling(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with pyrad_server({}, {}) as server:
        server.drop_next = 1_000
        process, order = await start_program(server.ports, tmp_path / "nas.jsonl")
        await order(None)
        waiting = order({"do": "dial", "credentials": [["ana", "pw"]]})
        await until(lambda: server.drop_next < 1_000)
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 5) == 0
        with pytest.raises(json.JSONDecodeError):
            await waiting
