"""The simulated NAS over UDP, against a server made of pyrad."""

import asyncio
import socket
import struct
import time
from collections import Counter
from pathlib import Path

import pytest
from pyrad.packet import CoAACK, CoAPacket, CoARequest, DisconnectACK, DisconnectRequest

from api.rehearsal.nas import Dialled, SimulatedNas
from api.rehearsal.nas_dynauth import Ack, Behaviour, Late, Lie, Nak, Silent
from api.rehearsal.nas_log import by_username, read_log, restored, standing
from api.rehearsal.nas_profile import Profile
from tests.support.pyrad_server import (
    GRANTS,
    SECRET,
    Key,
    dialled_nas,
    integer,
    nas_config,
    pyrad_server,
    text,
    until,
)

pytestmark = pytest.mark.anyio

FULL = Profile(50_000_000, 10_000_000, walled=False)
# How long an answer may take on a busy machine, and how long silence is listened to.
ANSWER_S, SILENCE_S = 5.0, 0.4


async def ask(
    nas: SimulatedNas,
    code: int,
    attributes: dict[Key, bytes],
    *waits_s: float,
    secret: bytes = SECRET,
    signed: bool = False,
) -> list[bytes]:
    """Send a CoA- or Disconnect-Request by pyrad, once for each wait, and gather what comes back.

    No wait given: once, and an answer is expected.
    """
    request = CoAPacket(code=code, secret=secret, id=7)
    if signed:
        request.add_message_authenticator()
    for key, value in attributes.items():
        request[key] = [value]
    octets = request.RequestPacket()
    loop = asyncio.get_running_loop()
    answers: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.setblocking(False)
        link.connect(("127.0.0.1", nas.coa_port))
        for wait_s in waits_s or (ANSWER_S,):
            await loop.sock_sendall(link, octets)
            try:
                answer = await asyncio.wait_for(loop.sock_recv(link, 4096), wait_s)
            except TimeoutError:
                continue
            reply = request.CreateReply(packet=answer)
            assert request.VerifyReply(reply, answer)
            answers.append(answer)
    return answers


def outcome(answer: bytes) -> tuple[int, int | None]:
    """Code and Error-Cause of an answer."""
    packet = CoAPacket(packet=answer, secret=SECRET)
    return packet.code, integer(packet, 101) if 101 in packet else None


@pytest.mark.parametrize("dialect", ["mikrotik", "accel_ppp", "wispr"])
@pytest.mark.parametrize("method", ["pap", "chap"])
async def test_dialling_logs_in_and_starts_accounting(
    tmp_path: Path, dialect: str, method: str
) -> None:
    log = tmp_path / "nas.jsonl"
    async with dialled_nas(log, dialect, ("ana", "bia"), method=method) as (nas, server):
        assert {session.line.username: session.profile for session in nas.sessions()} == {
            "ana": FULL,
            "bia": FULL,
        }
        assert server.statuses() == [1, 1]
        request = server.access[0]
        assert text(request, 32) == "bng-1"
        assert request[4] == [bytes((127, 0, 0, 1))]
        assert integer(request, 6) == 2
        assert integer(request, 7) == 1
        assert len({integer(request, 5) for request in server.access}) == 2
        assert len({text(record, 44) for record in server.accounting}) == 2
        assert abs(integer(server.accounting[0], 55) - time.time()) < 5
    assert standing(read_log(log)) == {"ana": FULL, "bia": FULL}


async def test_wrong_password_unknown_user_and_unreadable_grant_are_told_apart(
    tmp_path: Path,
) -> None:
    log = tmp_path / "nas.jsonl"
    async with (
        pyrad_server({"ana": "right"}, {(14988, 8): b"soon"}) as server,
        SimulatedNas(nas_config(server, log, "mikrotik")) as nas,
    ):
        dialled = await nas.dial([("ana", "right"), ("ana", "wrong"), ("bia", "x")], 500)
        assert dialled == Dialled(accepted=0, rejected=2, silence=0, unusable=1)
        assert nas.sessions() == []
    assert [event.outcome for event in read_log(log) if event.event == "bad_reply"] == [
        "Mikrotik-Rate-Limit 'soon'"
    ]


async def test_a_lost_request_is_sent_again_unchanged_from_the_same_port(tmp_path: Path) -> None:
    async with (
        pyrad_server({"ana": "pw"}, GRANTS["mikrotik"]) as server,
        SimulatedNas(nas_config(server, tmp_path / "nas.jsonl", "mikrotik")) as nas,
    ):
        server.drop_next = 1
        dialled = await nas.dial([("ana", "pw")], 500)
        assert dialled.accepted == 1
        assert server.sources[0] == server.sources[1]


async def test_a_forged_answer_is_not_believed_and_the_wait_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "nas.jsonl"
    async with (
        pyrad_server({"ana": "pw"}, GRANTS["mikrotik"]) as server,
        SimulatedNas(nas_config(server, log, "mikrotik")) as nas,
    ):
        server.spoil_next = 1
        assert (await nas.dial([("ana", "pw")], 500)).accepted == 1
        await nas.accounted()
    events = Counter((event.event, event.outcome) for event in read_log(log))
    assert events["bad_reply", "response_authenticator"] == 1
    assert events["access_accept", ""] == 1


async def test_nobody_there_is_silence(tmp_path: Path) -> None:
    async with pyrad_server({}, {}) as server:
        config = nas_config(server, tmp_path / "nas.jsonl", "mikrotik")
    async with SimulatedNas(config) as nas:
        assert (await nas.dial([("ana", "pw")], 500)).silence == 1


async def test_interim_and_stop_carry_class_and_64_bit_counters(tmp_path: Path) -> None:
    grant: dict[Key, bytes] = {(14988, 8): b"10M/50M", 25: b"ai:1", 8: bytes((10, 9, 8, 7))}
    async with (
        pyrad_server({"ana": "pw"}, grant) as server,
        SimulatedNas(nas_config(server, tmp_path / "nas.jsonl", "mikrotik")) as nas,
    ):
        await nas.dial([("ana", "pw")], 500)
        nas.sessions()[0].output_octets = (5 << 32) + 17
        await nas.interim_all()
        assert await nas.hang_up(["ana", "nobody"]) == 1
        assert server.statuses() == [1, 3, 2]
        start, interim, stop = server.accounting
        assert start[25] == interim[25] == stop[25] == [b"ai:1"]
        assert start[8] == [bytes((10, 9, 8, 7))]
        assert integer(interim, 53) == 5
        assert integer(interim, 43) >= 17
        assert integer(stop, 49) == 1
        assert 49 not in interim
        assert nas.sessions() == []


async def test_interims_come_on_time_as_the_server_asked(tmp_path: Path) -> None:
    grant = {**GRANTS["mikrotik"], 85: struct.pack("!I", 1)}
    async with (
        pyrad_server({"ana": "pw"}, grant) as server,
        SimulatedNas(nas_config(server, tmp_path / "nas.jsonl", "mikrotik")) as nas,
    ):
        assert nas.config.interim_s > 60, "unasked it would come too late for this test"
        began = time.monotonic()
        await nas.dial([("ana", "pw")], 500)
        await until(lambda: server.statuses()[:2] == [1, 3])
        assert time.monotonic() - began > 0.9


CHANGES: list[tuple[str, dict[Key, bytes], Profile]] = [
    ("mikrotik", {(14988, 8): b"500k/1M"}, Profile(1_000_000, 500_000, walled=False)),
    ("mikrotik", {(14988, 19): b"religa-walled"}, FULL),
    (
        "accel_ppp",
        {11: b"1000/500", (55999, 1): b"religa-walled"},
        Profile(1_000_000, 500_000, walled=True),
    ),
    ("wispr", {(14122, 8): struct.pack("!I", 9)}, Profile(9, 10_000_000, walled=False)),
]


@pytest.mark.parametrize(("dialect", "change", "after"), CHANGES)
async def test_a_coa_is_acknowledged_and_applied_as_the_make_can(
    tmp_path: Path, dialect: str, change: dict[Key, bytes], after: Profile
) -> None:
    log = tmp_path / "nas.jsonl"
    async with dialled_nas(log, dialect) as (nas, _server):
        answers = await ask(nas, CoARequest, {1: b"ana", **change})
        assert [outcome(answer) for answer in answers] == [(CoAACK, None)]
        assert nas.sessions()[0].profile == after
    changes = [event for event in read_log(log) if event.event == "profile"]
    assert changes[-1].after == after
    assert len(changes) == (1 if after == FULL else 2)


@pytest.mark.parametrize(("dialect", "returned"), [("mikrotik", True), ("accel_ppp", False)])
async def test_a_signed_coa_is_answered_signed_except_by_accel_ppp(
    tmp_path: Path, dialect: str, returned: bool
) -> None:
    async with dialled_nas(tmp_path / "nas.jsonl", dialect) as (nas, _server):
        (answer,) = await ask(nas, CoARequest, {1: b"ana"}, signed=True)
        assert (80 in CoAPacket(packet=answer, secret=SECRET)) is returned


NAKS: list[tuple[dict[Key, bytes], int]] = [
    ({(14988, 8): b"1M/1M"}, 402),
    ({1: b"nobody"}, 503),
    ({1: b"ana", 44: b"another"}, 503),
    ({1: b"ana", 32: b"bng-2"}, 403),
    ({1: b"ana", 4: bytes((10, 0, 0, 1))}, 403),
    ({1: b"ana", (14988, 8): b"fast"}, 407),
]


@pytest.mark.parametrize(("attributes", "cause"), NAKS)
async def test_what_cannot_be_done_is_refused_with_its_cause(
    tmp_path: Path, attributes: dict[Key, bytes], cause: int
) -> None:
    async with dialled_nas(tmp_path / "nas.jsonl", "mikrotik") as (nas, _server):
        (answer,) = await ask(nas, CoARequest, attributes)
        assert outcome(answer) == (45, cause)
        stale = attributes | {55: b"\0\0\0\0"}
        assert await ask(nas, DisconnectRequest, stale, SILENCE_S) == []


async def test_a_disconnect_stops_and_the_line_dials_again(tmp_path: Path) -> None:
    log = tmp_path / "nas.jsonl"
    async with dialled_nas(log, "mikrotik", redial_after_s=0.01) as (nas, server):
        first = nas.sessions()[0]
        server.grant = {(14988, 8): b"1M/2M", (14988, 19): b"religa-walled"}
        (answer,) = await ask(nas, DisconnectRequest, {44: first.acct_session_id.encode()})
        assert outcome(answer) == (DisconnectACK, None)
        await until(lambda: server.statuses() == [1, 2, 1] and len(nas.sessions()) == 1)
        second = nas.sessions()[0]
        assert second.acct_session_id != first.acct_session_id
        assert second.line == first.line
        assert second.profile == Profile(2_000_000, 1_000_000, walled=True)
        assert integer(server.accounting[1], 49) == 6
        walled_at = time.time_ns()
        server.grant = dict(GRANTS["mikrotik"])
        await ask(nas, DisconnectRequest, {1: b"ana"})
        await until(lambda: server.statuses() == [1, 2, 1, 2, 1])
    events = by_username(read_log(log))["ana"]
    restored_at = restored(events, "ana", walled_at, 50_000_000, 10_000_000)
    assert restored_at is not None
    assert walled_at < restored_at < time.time_ns()


SCRIPTS: list[tuple[Behaviour, list[tuple[int, int | None]], bool, str]] = [
    (Ack(), [(44, None)], True, "ack"),
    (Nak(506), [(45, 506)], False, "nak:506"),
    (Nak(None), [(45, None)], False, "nak"),
    (Silent(), [], False, "silent"),
    (Late(0.05), [(44, None)], True, "ack"),
    (Lie(), [(44, None)], False, "lie"),
]


@pytest.mark.parametrize("whom", ["ana", None])
@pytest.mark.parametrize(("behaviour", "answered", "done", "logged"), SCRIPTS)
async def test_it_behaves_as_it_was_told(
    tmp_path: Path,
    behaviour: Behaviour,
    answered: list[tuple[int, int | None]],
    done: bool,
    logged: str,
    whom: str | None,
) -> None:
    log = tmp_path / "nas.jsonl"
    async with dialled_nas(log, "mikrotik", ("ana", "bia")) as (nas, _server):
        nas.behave(behaviour, whom)
        slow: dict[Key, bytes] = {(14988, 8): b"1M/1M"}
        wait_s = ANSWER_S if answered else SILENCE_S
        answers = await ask(nas, CoARequest, {1: b"ana", **slow}, wait_s)
        assert [outcome(answer) for answer in answers] == answered
        ana = next(session for session in nas.sessions() if session.line.username == "ana")
        assert (ana.profile != FULL) is done
        if whom is not None:
            (answer,) = await ask(nas, CoARequest, {1: b"bia", **slow})
            assert outcome(answer) == (CoAACK, None)
    assert logged in {event.outcome for event in read_log(log) if event.event == "coa"}


async def test_a_request_lost_once_is_done_when_it_comes_again(tmp_path: Path) -> None:
    async with dialled_nas(tmp_path / "nas.jsonl", "mikrotik") as (nas, _server):
        nas.behave(Silent(), requests=1)
        slow: dict[Key, bytes] = {(14988, 8): b"1M/1M"}
        answers = await ask(nas, CoARequest, {1: b"ana", **slow}, SILENCE_S, ANSWER_S)
        assert [outcome(answer) for answer in answers] == [(CoAACK, None)]


async def test_a_repeat_gets_the_same_octets_and_is_done_once(tmp_path: Path) -> None:
    log = tmp_path / "nas.jsonl"
    async with dialled_nas(log, "mikrotik", redial_after_s=5.0) as (nas, server):
        first, second = await ask(nas, DisconnectRequest, {1: b"ana"}, ANSWER_S, ANSWER_S)
        assert first == second
        await nas.accounted()
        assert server.statuses() == [1, 2]
    outcomes = [event.outcome for event in read_log(log) if event.event == "disconnect"]
    assert outcomes == ["ack", "repeat"]


async def test_accel_ppp_drops_a_second_request_for_a_session_that_is_busy(tmp_path: Path) -> None:
    log = tmp_path / "nas.jsonl"
    async with dialled_nas(log, "accel_ppp") as (nas, _server):
        nas.behave(Late(2.0), requests=1)
        first = asyncio.create_task(ask(nas, CoARequest, {1: b"ana", 11: b"1/1"}, 15.0))
        # The first is on its way once its task has run, and datagrams keep their order.
        await asyncio.sleep(0)
        assert await ask(nas, CoARequest, {1: b"ana", 11: b"2/2"}, SILENCE_S) == []
        assert len(await first) == 1
        assert nas.sessions()[0].profile.rate_down_bps == 1_000
    assert "dropped:pending" in {event.outcome for event in read_log(log)}


async def test_a_reboot_loses_every_session_between_off_and_on(tmp_path: Path) -> None:
    log = tmp_path / "nas.jsonl"
    async with dialled_nas(log, "mikrotik", ("ana", "bia")) as (nas, server):
        assert await nas.reboot() == 2
        assert server.statuses() == [1, 1, 8, 7]
        assert text(server.accounting[-1], 32) == "bng-1"
        (answer,) = await ask(nas, CoARequest, {1: b"ana"})
        assert outcome(answer) == (45, 503)
        assert await nas.reboot(orderly=False) == 0
        assert server.statuses()[-2:] == [7, 7]
    assert standing(read_log(log)) == {}


async def test_a_forgotten_session_is_gone_without_a_stop(tmp_path: Path) -> None:
    async with dialled_nas(tmp_path / "nas.jsonl", "mikrotik", ("ana", "bia")) as (nas, server):
        assert nas.forget("ana") == 1
        assert [session.line.username for session in nas.sessions()] == ["bia"]
        assert server.statuses() == [1, 1]


async def test_a_stranger_is_not_answered(tmp_path: Path) -> None:
    clients = frozenset(("127.0.0.9",))
    async with dialled_nas(tmp_path / "nas.jsonl", "mikrotik", coa_clients=clients) as (nas, _):
        assert await ask(nas, CoARequest, {1: b"ana"}, SILENCE_S) == []
