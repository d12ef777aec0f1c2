"""The worker's mind, without sockets: who is answered, with what, and who hears nothing."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from radius.clients import Clients
from radius.codec import Code, Secret, attribute, encode_request
from radius.errors import LocalError
from radius.session_class import Issuer
from radius.table import Answer, Client, GrantTable
from radius.worker import Worker, WorkerSettings
from tests.support.radius_worker import (
    CLASS_KEY,
    RATE,
    SECRET,
    TABLE_KEY,
    accounting,
    believed,
    chap,
    client,
    grant,
    mschap2,
    pap,
    publish,
    settings,
    status_server,
)

NAS = ("127.0.0.1", 40_000)


class Bench:
    """A worker on fresh files, with a clock that the test moves."""

    def __init__(self, configured: WorkerSettings) -> None:
        self.now = 1_000.0
        self.wall = 1_795_000_000.5
        self.worker = Worker(configured, monotonic=lambda: self.now, wall=lambda: self.wall)
        assert self.worker._journal is not None
        self.journal = self.worker._journal

    def counted(self) -> dict[str, int]:
        return {name: count for name, count in self.worker._counters.read().items() if count}

    def journalled(self) -> list[bytes]:
        return [entry.octets for entry in self.journal.read(1_000)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    publish(tmp_path / "table", [(b"ana", grant(1, generation=3))], [client()])
    made = Bench(replace(settings(tmp_path), reject_step_s=0.5))
    yield made
    made.worker.close()


def with_clients(folder: Path, *clients: Client) -> Bench:
    publish(folder / "table", [(b"ana", grant(1))], clients)
    return Bench(settings(folder))


@pytest.mark.parametrize(
    "request_", [pap(9, b"ana"), chap(9, b"ana"), mschap2(9, b"ana")], ids=["pap", "chap", "ms2"]
)
def test_a_known_password_is_accepted_with_the_grant(bench: Bench, request_: bytes) -> None:
    reply = believed(bench.worker.handle_access(request_, NAS), request_)
    assert reply.code == Code.ACCESS_ACCEPT
    assert RATE in reply.octets
    assert Issuer(CLASS_KEY).read(reply.first(25) or b"") == (1, 3)
    assert bench.counted() == {"access_request": 1, "access_accept": 1}


def test_mschap2_gets_its_proof_and_its_keys(bench: Bench) -> None:
    request = mschap2(9, b"ana")
    reply = believed(bench.worker.handle_access(request, NAS), request)
    assert (reply.vendor(311, 26) or b"")[1:3] == b"S="
    assert reply.vendor(311, 16) is not None
    assert reply.vendor(311, 17) is not None


@pytest.mark.parametrize(
    "request_",
    [
        pap(9, b"ana", b"wrong"),
        chap(9, b"ana", b"wrong"),
        mschap2(9, b"ana", "wrong"),
        pap(9, b"bia"),
        pap(9, b"Ana"),
        pap(9, b""),
    ],
    ids=["pap", "chap", "ms2", "unknown", "case", "empty"],
)
def test_wrong_credentials_are_rejected(bench: Bench, request_: bytes) -> None:
    reply = believed(bench.worker.handle_access(request_, NAS), request_)
    assert reply.code == Code.ACCESS_REJECT
    assert reply.first(25) is None
    assert bench.counted() == {"access_request": 1, "access_reject": 1}


def test_proxy_states_come_back_in_order_at_the_end(bench: Bench) -> None:
    states = attribute(33, b"one") + attribute(33, b"two")
    request = pap(9, b"ana", extra=states)
    assert believed(bench.worker.handle_access(request, NAS), request).octets.endswith(states)


def test_a_repeat_gets_the_same_octets_for_a_while(bench: Bench) -> None:
    request = mschap2(9, b"ana")
    first = bench.worker.handle_access(request, NAS)
    bench.now += 20
    assert bench.worker.handle_access(request, NAS) == first
    assert bench.counted() == {"access_request": 2, "access_accept": 1, "duplicate": 1}
    assert bench.worker.handle_access(request, ("127.0.0.1", 40_001)) != first
    bench.now += 60
    assert bench.worker.handle_access(request, NAS) != first


def flipped(datagram: bytes, at: int) -> bytes:
    return datagram[:at] + bytes((datagram[at] ^ 1,)) + datagram[at + 1 :]


@pytest.mark.parametrize(
    ("datagram", "address", "counter"),
    [
        (b"", NAS, "malformed"),
        (pap(1, b"ana")[:-1], NAS, "malformed"),
        (pap(1, b"ana") + bytes(4097), NAS, "malformed"),
        (pap(1, b"ana"), ("192.0.2.9", 40_000), "unknown_client"),
        (flipped(pap(1, b"ana"), 30), NAS, "bad_message_authenticator"),
        (pap(1, b"ana", secret=Secret(b"other")), NAS, "bad_message_authenticator"),
        (accounting(1, b"s"), NAS, "unexpected_code"),
        (status_server(1, signed=False), NAS, "missing_message_authenticator"),
        (
            pap(1, b"ana", signed=False, extra=attribute(33, b"x")),
            NAS,
            "proxy_state_without_ma",
        ),
        (
            pap(1, b"ana", signed=False, extra=attribute(79, b"x")),
            NAS,
            "missing_message_authenticator",
        ),
    ],
)
def test_what_cannot_be_believed_hears_nothing(
    bench: Bench, datagram: bytes, address: tuple[str, int], counter: str
) -> None:
    assert bench.worker.handle_access(datagram, address) is None
    assert bench.counted() == {counter: 1}


@pytest.mark.parametrize(
    ("datagram", "counter"),
    [
        (flipped(accounting(1, b"s"), 25), "bad_authenticator"),
        (accounting(1, b"s", secret=Secret(b"other")), "bad_authenticator"),
        (pap(1, b"ana"), "unexpected_code"),
        (
            encode_request(Code.COA_REQUEST, 1, b"", SECRET, message_authenticator=True),
            "unexpected_code",
        ),
        (accounting(1, b"s") + bytes(4097), "malformed"),
    ],
)
def test_accounting_that_cannot_be_believed_hears_nothing(
    bench: Bench, datagram: bytes, counter: str
) -> None:
    assert bench.worker.handle_accounting([(datagram, NAS)]) == []
    assert bench.counted() == {counter: 1}
    assert bench.journalled() == []


def test_a_forgery_does_not_touch_the_reply_that_is_kept(bench: Bench) -> None:
    request = pap(9, b"ana")
    first = bench.worker.handle_access(request, NAS)
    assert bench.worker.handle_access(flipped(request, 10), NAS) is None
    assert bench.worker.handle_access(request, NAS) == first


def test_accounting_is_recorded_then_answered(bench: Bench) -> None:
    requests = [accounting(number, b"s%d" % number, status=number) for number in range(5)]
    replies = bench.worker.handle_accounting([(request, NAS) for request in requests])
    assert bench.journalled() == requests
    for (reply, address), request in zip(replies, requests, strict=True):
        assert believed(reply, request).code == Code.ACCOUNTING_RESPONSE
        assert address == NAS
    entry = bench.journal.read(1)[0]
    assert (entry.received_at, entry.nas_id, entry.source) == (1_795_000_000.5, 7, "127.0.0.1")
    assert bench.counted() == {"accounting_request": 5, "accounting_response": 5}


def test_bad_packets_of_a_batch_cost_the_good_ones_nothing(bench: Bench) -> None:
    good = accounting(1, b"s")
    batch = [(b"junk", NAS), (good, NAS), (good, ("192.0.2.9", 1)), (pap(1, b"ana"), NAS)]
    assert len(bench.worker.handle_accounting(batch)) == 1
    assert bench.journalled() == [good]


def test_a_repeated_record_is_kept_once_and_answered_alike(bench: Bench) -> None:
    request = accounting(1, b"s")
    first = bench.worker.handle_accounting([(request, NAS), (request, NAS)])
    assert len(first) == 1
    assert bench.worker.handle_accounting([(request, NAS), (request, NAS)]) == first * 2
    assert bench.journalled() == [request]
    assert bench.counted()["duplicate"] == 3


def test_a_full_journal_is_silence_for_accounting_only(tmp_path: Path) -> None:
    publish(tmp_path / "table", [(b"ana", grant(1))], [client()])
    bench = Bench(settings(tmp_path, journal_max_bytes=64 << 10))
    with bench.worker as worker:
        bulk = attribute(88, bytes(250)) * 8
        answered = 0
        while worker.handle_accounting([(accounting(answered, b"s", extra=bulk), NAS)]):
            answered += 1
        refused = accounting(200, b"refused", extra=bulk)
        too = accounting(201, b"too", extra=bulk)
        assert worker.handle_accounting([(refused, NAS), (too, NAS)]) == []
        assert bench.counted()["accounting_shed"] == 3
        status = status_server(202)
        assert worker.handle_accounting([(status, NAS)]) == []
        request = pap(9, b"ana")
        assert believed(worker.handle_access(request, NAS), request).code == Code.ACCESS_ACCEPT
        assert len(bench.journalled()) == answered
        bench.journal.discard(through=2**63)
        assert len(worker.handle_accounting([(refused, NAS)])) == 1
        assert bench.journalled() == [refused]


def test_status_server_is_answered_on_both_ports(bench: Bench) -> None:
    request = status_server(5)
    reply = believed(bench.worker.handle_access(request, NAS), request)
    assert (reply.code, reply.attributes[0][0]) == (Code.ACCESS_ACCEPT, 80)
    [(octets, _)] = bench.worker.handle_accounting([(request, NAS)])
    assert believed(octets, request).code == Code.ACCOUNTING_RESPONSE
    assert bench.counted() == {"status_server": 2}
    assert bench.journalled() == []


def test_before_the_first_publish_nobody_is_rejected(tmp_path: Path) -> None:
    with GrantTable(tmp_path / "table", TABLE_KEY, readonly=False) as table:
        table.write_clients([client()])
        table.write([(b"ana", grant(1))])
    bench = Bench(settings(tmp_path))
    with bench.worker as worker:
        known, unknown = pap(1, b"ana"), pap(2, b"bia")
        assert believed(worker.handle_access(known, NAS), known).code == Code.ACCESS_ACCEPT
        assert worker.handle_access(unknown, NAS) is None
        assert worker.handle_access(status_server(3), NAS) is None
        assert bench.counted()["table_incomplete"] == 1


def test_the_longest_prefix_wins_and_ipv4_behind_ipv6_is_ipv4(tmp_path: Path) -> None:
    bench = with_clients(
        tmp_path,
        client("10.0.0.0/8", nas_id=1),
        client("10.1.0.0/16", nas_id=2),
        client("10.1.2.3/32", nas_id=3),
        client("2001:db8::/32", nas_id=4),
    )
    with bench.worker as worker:
        for host in ("10.9.9.9", "10.1.9.9", "10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1", "::1"):
            worker.handle_accounting([(accounting(1, host.encode()), (host, 40_000, 0, 0))])
        entries = bench.journal.read(10)
    assert [(entry.nas_id, entry.source) for entry in entries] == [
        (1, "10.9.9.9"),
        (2, "10.1.9.9"),
        (3, "10.1.2.3"),
        (3, "10.1.2.3"),
        (4, "2001:db8::1"),
    ]


@pytest.mark.parametrize(
    ("first", "unsigned_is_answered"),
    [
        (pap(1, b"ana"), False),
        (pap(1, b"ana", signed=False), True),
        (pap(1, b"ana", extra=attribute(79, b"\x02\x01\x00\x05\x01")), True),
    ],
    ids=["signed", "unsigned", "eap says nothing"],
)
def test_auto_is_decided_by_the_first_request(
    tmp_path: Path, first: bytes, unsigned_is_answered: bool
) -> None:
    bench = with_clients(tmp_path, client(require="auto"))
    with bench.worker as worker:
        worker.handle_access(first, NAS)
        assert (
            worker.handle_access(pap(2, b"ana", signed=False), NAS) is not None
        ) == unsigned_is_answered
        assert worker.handle_access(pap(3, b"ana"), NAS) is not None


def test_what_auto_learnt_outlives_a_reload_but_not_a_setting() -> None:
    def require(clients: Clients) -> str:
        return clients.find("127.0.0.1").require

    first = Clients([client(require="auto")])
    nas = first.find("127.0.0.1")
    assert nas.learn(signed=True, eap=False)
    assert not nas.learn(signed=False, eap=False)
    assert require(Clients([client(require="auto")], first)) == "yes"
    assert require(Clients([client(require="no")], first)) == "no"
    assert require(Clients([client(require="auto", nas_id=8)], first)) == "auto"


def test_a_nas_that_must_sign_and_does_not_hears_nothing(tmp_path: Path) -> None:
    bench = with_clients(tmp_path, client(require="yes"))
    with bench.worker as worker:
        assert worker.handle_access(pap(2, b"ana", signed=False), NAS) is None
        assert bench.counted() == {"missing_message_authenticator": 1}


def test_our_own_mistake_is_silence_and_not_a_reject(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = with_clients(tmp_path, client(dialect="wispr"))
    with bench.worker as worker, caplog.at_level(logging.WARNING):
        for identifier in range(3):
            assert worker.handle_access(pap(identifier, b"ana"), NAS) is None
        assert bench.counted() == {"access_request": 3, "internal_error": 3}
    assert [record.getMessage() for record in caplog.records] == [
        "127.0.0.1: login 1 has no reply for wispr"
    ]


def test_an_unexpected_error_ends_one_packet_only(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> Answer | None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(bench.worker._table._rows, "read_answer", broken)
        assert bench.worker.handle_access(pap(1, b"ana"), NAS) is None
        patched.setattr(bench.journal, "append", broken)
        assert bench.worker.handle_accounting([(accounting(1, b"s"), NAS)]) == []
    assert bench.counted()["internal_error"] == 2
    assert bench.counted()["accounting_shed"] == 1
    assert bench.worker.handle_access(pap(2, b"ana"), NAS) is not None
    assert len(bench.worker.handle_accounting([(accounting(1, b"s"), NAS)])) == 1


def test_a_flood_of_sources_is_a_bounded_number_of_lines(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for number in range(1_000):
            bench.worker.handle_access(pap(1, b"ana"), (f"10.0.{number % 256}.{number // 256}", 1))
    assert 0 < len(caplog.records) < 100
    assert bench.counted() == {"unknown_client": 1_000}
    caplog.clear()
    bench.now += 61
    bench.worker.handle_access(pap(1, b"ana"), ("10.0.0.1", 1))
    assert len(caplog.records) == 1


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=300))
def test_any_octets_give_silence(bench: Bench, datagram: bytes) -> None:
    assert bench.worker.handle_access(datagram, NAS) is None
    assert bench.worker.handle_accounting([(datagram, NAS)]) == []
    assert bench.counted().get("internal_error", 0) == 0


# --- one session too many -------------------------------------------------------------------------


def station(mac: bytes) -> bytes:
    return attribute(31, mac)


def limited(folder: Path, sessions_max: int = 1) -> Bench:
    logins = [(b"ana", replace(grant(1, generation=3), sessions_max=sessions_max))]
    publish(folder / "table", logins, [client()])
    return Bench(settings(folder))


def dial(bench: Bench, identifier: int, mac: bytes) -> bytes | None:
    """The Class of the Accept, or None for a Reject."""
    request = pap(identifier, b"ana", extra=station(mac))
    reply = believed(bench.worker.handle_access(request, NAS), request)
    if reply.code == Code.ACCESS_ACCEPT:
        return reply.first(25)
    assert reply.first(18) == b"Simultaneous use limit reached"
    return None


def tell(bench: Bench, identifier: int, status: int, mac: bytes, class_: bytes) -> None:
    extra = station(mac) + attribute(25, class_)
    request = accounting(identifier, b"s-" + mac, status=status, extra=extra)
    assert len(bench.worker.handle_accounting([(request, NAS)])) == 1


def test_an_accept_takes_the_place_before_the_start_comes(tmp_path: Path) -> None:
    bench = limited(tmp_path)
    with bench.worker:
        assert dial(bench, 1, b"AA") is not None
        assert dial(bench, 2, b"BB") is None
        assert bench.counted()["simultaneous_use"] == 1
        bench.wall += 10  # the line never came up
        assert dial(bench, 3, b"BB") is not None


def test_the_same_equipment_dials_again_after_a_power_cut(tmp_path: Path) -> None:
    bench = limited(tmp_path)
    with bench.worker:
        for identifier in range(4):
            mark = dial(bench, identifier, b"AA")
            assert mark is not None
            tell(bench, identifier, 1, b"AA", mark)  # and never a Stop
        assert dial(bench, 9, b"BB") is None


def test_a_stop_frees_the_place_and_a_late_interim_does_not_take_it(tmp_path: Path) -> None:
    bench = limited(tmp_path)
    with bench.worker:
        mark = dial(bench, 1, b"AA")
        assert mark is not None
        tell(bench, 1, 1, b"AA", mark)
        bench.wall += 60
        assert dial(bench, 2, b"BB") is None
        tell(bench, 2, 2, b"AA", mark)
        tell(bench, 3, 3, b"AA", mark)
        assert dial(bench, 4, b"BB") is not None


def test_a_session_not_heard_of_is_not_counted(tmp_path: Path) -> None:
    bench = limited(tmp_path)
    with bench.worker:
        mark = dial(bench, 1, b"AA")
        assert mark is not None
        tell(bench, 1, 1, b"AA", mark)
        bench.wall += 900
        tell(bench, 2, 3, b"AA", mark)
        bench.wall += 900
        assert dial(bench, 3, b"BB") is None
        bench.wall += 60
        assert dial(bench, 4, b"BB") is not None


@pytest.mark.parametrize("status", [7, 8], ids=["on", "off"])
def test_a_nas_that_restarts_frees_its_places(tmp_path: Path, status: int) -> None:
    bench = limited(tmp_path)
    with bench.worker as worker:
        mark = dial(bench, 1, b"AA")
        assert mark is not None
        tell(bench, 1, 1, b"AA", mark)
        bench.wall += 5
        restarted = accounting(2, b"", status=status)
        assert len(worker.handle_accounting([(restarted, NAS)])) == 1
        assert dial(bench, 3, b"BB") is not None


def test_as_many_as_the_plan_says_and_no_more(tmp_path: Path) -> None:
    bench = limited(tmp_path, sessions_max=3)
    with bench.worker:
        taken = [dial(bench, number, b"%d" % number) for number in range(5)]
    assert [mark is not None for mark in taken] == [True, True, True, False, False]


def test_a_place_goes_to_one_of_those_who_ask_in_the_same_turn(tmp_path: Path) -> None:
    bench = limited(tmp_path, sessions_max=2)
    requests = [pap(number, b"ana", extra=station(b"%d" % number)) for number in range(4)]
    # The first is sent twice before it is answered: one request, one place, one reply.
    turn = [(request, NAS) for request in [requests[0], *requests]]
    with bench.worker as worker:
        replies = worker.handle_accesses(turn)
        codes = [
            believed(octets, request).code
            for (octets, _, _), request in zip(replies, requests, strict=True)
        ]
        assert codes == [Code.ACCESS_ACCEPT] * 2 + [Code.ACCESS_REJECT] * 2
        counted = bench.counted()
        assert (counted["duplicate"], counted["simultaneous_use"]) == (1, 2)
        again = worker.handle_accesses(turn[1:])
    assert [octets for octets, _, _ in again] == [octets for octets, _, _ in replies]


def test_one_whose_reply_cannot_be_written_keeps_no_other_waiting(tmp_path: Path) -> None:
    bench = limited(tmp_path, sessions_max=9)
    states = b"".join(attribute(33, bytes(253)) for _ in range(15))
    states += attribute(33, bytes(190))
    impossible = pap(1, b"ana", extra=station(b"AA") + states)
    fine = pap(2, b"ana", extra=station(b"BB"))
    with bench.worker as worker:
        ((octets, _, _),) = worker.handle_accesses([(impossible, NAS), (fine, NAS)])
        assert believed(octets, fine).code == Code.ACCESS_ACCEPT
        # Ours or theirs to mend, it is tried afresh.
        assert worker.handle_accesses([(impossible, NAS)]) == []
        assert bench.counted().get("duplicate", 0) == 0


def test_equipment_that_lost_its_line_twice_still_takes_one_place(tmp_path: Path) -> None:
    bench = limited(tmp_path, sessions_max=2)
    with bench.worker:
        for identifier in range(3):
            mark = dial(bench, identifier, b"AA")
            assert mark is not None
            tell(bench, identifier, 1, b"AA", mark)
        assert dial(bench, 4, b"BB") is not None
        assert dial(bench, 5, b"CC") is None


def test_a_redial_needs_no_new_place_until_its_lost_line_is_nearly_stale(tmp_path: Path) -> None:
    bench = limited(tmp_path)
    with bench.worker:
        mark = dial(bench, 1, b"AA")
        assert mark is not None
        tell(bench, 1, 1, b"AA", mark)
        bench.wall += 955  # stale in five seconds, and a modem may take ten to come up
        assert dial(bench, 2, b"AA") is not None
        bench.wall += 8
        assert dial(bench, 3, b"BB") is None


def test_without_a_station_a_repeat_is_the_same_and_a_second_line_is_not(tmp_path: Path) -> None:
    bench = limited(tmp_path)
    with bench.worker as worker:
        for identifier in range(3):
            request = pap(identifier, b"ana")
            reply = believed(worker.handle_access(request, NAS), request)
            assert reply.code == Code.ACCESS_ACCEPT
        mark = attribute(25, reply.first(25) or b"")
        assert len(worker.handle_accounting([(accounting(1, b"s", extra=mark), NAS)])) == 1
        request = pap(9, b"ana")
        assert believed(worker.handle_access(request, NAS), request).code == Code.ACCESS_REJECT


def test_who_is_on_cannot_be_told_and_nobody_is_locked_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bool:
        raise LocalError("gone")

    bench = limited(tmp_path)
    with bench.worker:
        assert dial(bench, 1, b"AA") is not None
        monkeypatch.setattr(bench.worker._presence, "take", broken)
        assert dial(bench, 2, b"BB") is not None
        assert bench.counted()["internal_error"] == 1


# --- more than can be kept ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fullness", "kept"),
    [
        (0.94, ["start", "interim", "stop", "on"]),
        (0.95, ["start", "stop", "on"]),
        (0.98, ["stop", "on"]),
    ],
)
def test_interims_go_first_then_starts_and_stops_last(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, fullness: float, kept: list[str]
) -> None:
    monkeypatch.setattr(bench.journal, "fullness", lambda: fullness)
    kinds = {"start": 1, "interim": 3, "stop": 2, "on": 7}
    requests = {name: accounting(number, b"s", status=number) for name, number in kinds.items()}
    replies = bench.worker.handle_accounting([(request, NAS) for request in requests.values()])
    assert bench.journalled() == [requests[name] for name in kept]
    assert [reply[1] for reply, _ in replies] == [kinds[name] for name in kept]
    assert bench.counted().get("accounting_shed", 0) == 4 - len(kept)
    status = status_server(200)
    able = bench.worker.handle_accounting([(status, NAS)]) != []
    assert able == (fullness < 0.975)


def test_what_was_shed_is_recorded_when_it_comes_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    interim = accounting(1, b"s", status=3)
    monkeypatch.setattr(bench.journal, "fullness", lambda: 0.96)
    assert bench.worker.handle_accounting([(interim, NAS)]) == []
    monkeypatch.setattr(bench.journal, "fullness", lambda: 0.5)
    bench.now += 1
    assert len(bench.worker.handle_accounting([(interim, NAS)])) == 1


def test_behind_interims_are_not_even_opened(bench: Bench) -> None:
    requests = [accounting(number, b"s", status=number) for number in (1, 2, 3)]
    forged = flipped(accounting(9, b"s", status=3), 10)
    batch = [(request, NAS) for request in (*requests, forged)]
    assert len(bench.worker.handle_accounting(batch, behind=True)) == 2
    assert bench.journalled() == requests[:2]
    assert bench.counted()["accounting_shed"] == 2
    assert "bad_authenticator" not in bench.counted()


# --- guessing -------------------------------------------------------------------------------------


def test_the_fourth_wrong_password_of_a_minute_waits(bench: Bench) -> None:
    waits = []
    for identifier in range(6):
        [(_, _, delay_s)] = bench.worker.handle_accesses([(pap(identifier, b"ana", b"no"), NAS)])
        waits.append(delay_s)
    assert waits == [0, 0, 0, 0.5, 1.0, 1.5]
    [(_, _, delay_s)] = bench.worker.handle_accesses([(pap(9, b"ana"), NAS)])
    assert delay_s == 0
