"""The simulated NAS judged by radclient: it is a Dynamic Authorization Server to others too."""

import asyncio
import time
from pathlib import Path

import pytest

from api.rehearsal.nas import SimulatedNas
from api.rehearsal.nas_dynauth import Lie, Nak
from api.rehearsal.nas_log import read_log
from api.rehearsal.nas_profile import Profile
from tests.support.pyrad_server import SECRET, dialled_nas, until
from tests.support.radclient import Answer, radclient

pytestmark = pytest.mark.anyio


async def ask(
    nas: SimulatedNas, command: str, *lines: str, secret: bytes = SECRET, wait_s: float = 3.0
) -> Answer | None:
    return await asyncio.to_thread(radclient, nas.coa_port, command, lines, secret.decode(), wait_s)


RATES = [
    ("mikrotik", 'Mikrotik-Rate-Limit = "500k/1M"'),
    ("accel_ppp", 'Filter-Id = "1000/500"'),
    ("wispr", "WISPr-Bandwidth-Max-Down = 1000000, WISPr-Bandwidth-Max-Up = 500000"),
]


@pytest.mark.parametrize(("dialect", "rate"), RATES)
async def test_a_coa_is_acknowledged_and_changes_the_rate(
    tmp_path: Path, dialect: str, rate: str
) -> None:
    async with dialled_nas(tmp_path / "nas.jsonl", dialect) as (nas, _server):
        session = nas.sessions()[0]
        answer = await ask(
            nas,
            "coa",
            'User-Name = "ana"',
            f'Acct-Session-Id = "{session.acct_session_id}"',
            f"Framed-IP-Address = {session.ipv4}",
            f"Event-Timestamp = {int(time.time())}",
            rate,
        )
        assert answer == Answer("CoA-ACK", ())
        assert session.profile == Profile(1_000_000, 500_000, walled=False)


async def test_a_signed_coa_is_answered_with_a_signature_that_radclient_believes(
    tmp_path: Path,
) -> None:
    async with dialled_nas(tmp_path / "nas.jsonl", "mikrotik") as (nas, _server):
        answer = await ask(nas, "coa", 'User-Name = "ana"', "Message-Authenticator = 0x00")
        assert answer is not None
        assert answer.code == "CoA-ACK"
        assert "Message-Authenticator" in answer


async def test_a_disconnect_is_acknowledged_and_the_line_comes_back(tmp_path: Path) -> None:
    log = tmp_path / "nas.jsonl"
    async with dialled_nas(log, "mikrotik", redial_after_s=0.01) as (nas, server):
        before = nas.sessions()[0].acct_session_id
        answer = await ask(nas, "disconnect", f'Acct-Session-Id = "{before}"')
        assert answer == Answer("Disconnect-ACK", ())
        await until(lambda: server.statuses() == [1, 2, 1])
        assert nas.sessions()[0].acct_session_id != before
    events = [event.event for event in read_log(log)]
    assert events.index("disconnect") < events.index("stop") < events.index("redial")


REFUSED = [
    (['User-Name = "nobody"'], "Session-Context-Not-Found"),
    (['User-Name = "ana"', 'Acct-Session-Id = "other"'], "Session-Context-Not-Found"),
    (['Mikrotik-Rate-Limit = "1M/1M"'], "Missing-Attribute"),
    (['User-Name = "ana"', 'NAS-Identifier = "bng-2"'], "NAS-Identification-Mismatch"),
]


@pytest.mark.parametrize("command", ["coa", "disconnect"])
@pytest.mark.parametrize(("lines", "cause"), REFUSED)
async def test_what_cannot_be_done_is_refused_with_its_cause(
    tmp_path: Path, command: str, lines: list[str], cause: str
) -> None:
    async with dialled_nas(tmp_path / "nas.jsonl", "mikrotik") as (nas, _server):
        answer = await ask(nas, command, *lines)
        assert answer is not None
        assert answer.code.endswith("-NAK")
        assert answer["Error-Cause"] == cause


@pytest.mark.parametrize("command", ["coa", "disconnect"])
async def test_a_wrong_secret_or_a_stale_time_gets_no_answer(tmp_path: Path, command: str) -> None:
    log = tmp_path / "nas.jsonl"
    async with dialled_nas(log, "mikrotik") as (nas, _server):
        who = 'User-Name = "ana"'
        assert await ask(nas, command, who, secret=b"other", wait_s=0.5) is None
        stale = f"Event-Timestamp = {int(time.time()) - 301}"
        assert await ask(nas, command, who, stale, wait_s=0.5) is None
        assert len(nas.sessions()) == 1
    outcomes = [event.outcome for event in read_log(log) if event.event == command]
    assert outcomes == ["dropped:authenticator", "dropped:event_timestamp"]


async def test_it_refuses_and_lies_to_radclient_as_it_was_told(tmp_path: Path) -> None:
    async with dialled_nas(tmp_path / "nas.jsonl", "mikrotik") as (nas, _server):
        before = nas.sessions()[0].profile
        lines = ('User-Name = "ana"', 'Mikrotik-Rate-Limit = "1M/1M"')
        nas.behave(Nak(506), requests=1)
        answer = await ask(nas, "coa", *lines)
        assert answer == Answer("CoA-NAK", (("Error-Cause", "Resources-Unavailable"),))
        nas.behave(Lie(), "ana")
        assert await ask(nas, "coa", *lines) == Answer("CoA-ACK", ())
        assert nas.sessions()[0].profile == before
