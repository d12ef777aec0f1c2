"""The simulated NAS's own reading of RADIUS, against recorded datagrams; no sockets."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.rehearsal.nas_control import BadOrderError, behaviour_of, read_order
from api.rehearsal.nas_dynauth import Ack, Admitted, Dropped, Gate, Late, Lie, Nak, Repeat, Silent
from api.rehearsal.nas_profile import Profile
from api.rehearsal.nas_session import Line, Session, Sessions
from api.rehearsal.nas_uplink import Timers, fault_of, waits_s
from api.rehearsal.nas_wire import (
    ZERO_AUTHENTICATOR,
    Code,
    Datagram,
    access_request,
    hidden_password,
    keyed_request,
    keyed_request_is_genuine,
    message_authenticator,
    number,
    pack,
    read,
    reply,
    reply_is_genuine,
)

# RFC 2865 section 7.1, RFC 2866 and RFC 5176 packets under the secret of that example.
SECRET = b"xyzzy5461"
PAP_REQUEST = bytes.fromhex(
    "010000380f403f9473978057bd83d5cb98f4227a01066e656d6f02120dbe708d93d413ce3196e43f782a0aee"
    "0406c0a80110050600000003"
)
PAP_ACCEPT = bytes.fromhex(
    "0200002686fe220e7624ba2a1005f6bf9b55e0b20606000000010f06000000000e06c0a80103"
)
SIGNED_ACCEPT = bytes.fromhex(
    "0200002c0e28e13bb2ff9188f2b23e4412c2c6c25012385b899f61a9e7c802bb3546c10a2a8b060600000001"
)
ACCOUNTING_START = bytes.fromhex(
    "040700369061e25185d2cffdabd7d29e388a56a701066e656d6f0406c0a801102806000000012c0a3831643030"
    "303332080664400102"
)
ACCOUNTING_RESPONSE = bytes.fromhex("0507001478b0e5eb8df1e1fc78f24c9749a4dd34")
COA = bytes.fromhex(
    "2b090043f9c6bccd4e1462f7be27de494a93c19e01066e656d6f2c0a38316430303033321a0d00003a8c080731"
    "4d2f314d5012e6c9fb23848a67547f8ee231454d3887"
)
COA_NAK_503 = bytes.fromhex("2d09001ab6c4a0dc8fad7a3b6c22c2248a937c836506000001f7")

HOME = ("192.0.2.1", 40_000)


def parsed(octets: bytes) -> Datagram:
    packet = read(octets)
    assert packet is not None
    return packet


def test_the_recorded_coa_is_genuine_and_reads_as_sent() -> None:
    coa = parsed(COA)
    assert keyed_request_is_genuine(coa, SECRET)
    assert message_authenticator(coa, ZERO_AUTHENTICATOR, SECRET) is True
    assert (coa.first(1), coa.first(44)) == (b"nemo", b"81d00032")
    assert coa.vendor(14988, 8) == b"1M/1M"
    assert coa.vendor(14988, 19) is None
    assert coa.vendor(311, 8) is None


def test_the_recorded_coa_is_refused_under_another_secret_or_with_one_bit_changed() -> None:
    assert not keyed_request_is_genuine(parsed(COA), b"xyzzy5462")
    spoilt = parsed(COA[:25] + bytes((COA[25] ^ 1,)) + COA[26:])
    assert not keyed_request_is_genuine(spoilt, SECRET)
    assert message_authenticator(spoilt, ZERO_AUTHENTICATOR, SECRET) is False


def test_answers_come_out_as_recorded() -> None:
    nak = reply(
        Code.COA_NAK, parsed(COA), [(101, number(503))], SECRET, message_authenticator=False
    )
    assert nak == COA_NAK_503
    signed = reply(
        Code.ACCESS_ACCEPT,
        parsed(PAP_REQUEST),
        [(6, number(1))],
        SECRET,
        message_authenticator=True,
    )
    assert signed == SIGNED_ACCEPT


def test_the_recorded_start_comes_out_of_its_attributes() -> None:
    start = parsed(ACCOUNTING_START)
    assert keyed_request(Code.ACCOUNTING_REQUEST, 7, start.attributes, SECRET) == ACCOUNTING_START
    assert reply_is_genuine(parsed(ACCOUNTING_RESPONSE), start.authenticator, SECRET)


def test_the_password_is_hidden_as_recorded() -> None:
    request = parsed(PAP_REQUEST)
    assert hidden_password(b"arctangent", request.authenticator, SECRET) == request.first(2)
    assert len(hidden_password(b"", request.authenticator, SECRET)) == 16
    assert len(hidden_password(b"p" * 17, request.authenticator, SECRET)) == 32


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        (SIGNED_ACCEPT, None),
        (ACCOUNTING_RESPONSE, "response_authenticator"),
        (PAP_ACCEPT, "message_authenticator"),
        (PAP_ACCEPT[:-1] + b"\x04", "response_authenticator"),
    ],
)
def test_an_accept_is_believed_only_if_both_signatures_hold(
    octets: bytes, fault: str | None
) -> None:
    assert fault_of(parsed(octets), PAP_REQUEST[4:20], SECRET) == fault


def test_a_message_authenticator_that_is_not_first_is_a_fault() -> None:
    request = parsed(PAP_REQUEST)
    late = reply(Code.ACCESS_REJECT, request, [], SECRET, message_authenticator=True)
    assert fault_of(parsed(late), request.authenticator, SECRET) is None
    # The same with Reply-Message before it, signed as it stands.
    body = pack([(18, b"no"), (80, bytes(16))])
    head = bytes((3, 0, 0, 20 + len(body)))
    octets = _signed(head, body, request.authenticator)
    assert fault_of(parsed(octets), request.authenticator, SECRET) == (
        "message_authenticator_not_first"
    )


def _signed(head: bytes, body: bytes, request_authenticator: bytes) -> bytes:
    signature = hmac.digest(SECRET, head + request_authenticator + body, "md5")
    body = body[:-16] + signature
    return head + hashlib.md5(head + request_authenticator + body + SECRET).digest() + body


@given(st.binary(max_size=200))
def test_any_bytes_read_as_a_packet_or_as_nothing(octets: bytes) -> None:
    packet = read(octets)
    if packet is not None:
        assert packet.octets == octets[: len(packet.octets)]
        assert packet.octets[20:] == pack(packet.attributes)


@given(st.binary(min_size=1, max_size=128), st.binary(min_size=1, max_size=40))
def test_an_access_request_carries_a_valid_message_authenticator_first(
    name: bytes, secret: bytes
) -> None:
    request = parsed(access_request(9, bytes(range(16)), [(1, name)], secret))
    assert request.attributes[0][0] == 80
    assert message_authenticator(request, request.authenticator, secret) is True
    assert request.first(1) == name


def gate(*clients: str, checks: bool = True) -> Gate:
    return Gate(SECRET, 300.0, frozenset(clients), checks_message_authenticator=checks)


def stamped(at: int, identifier: int = 1, name: bytes = b"nemo") -> bytes:
    return keyed_request(Code.COA_REQUEST, identifier, [(1, name), (55, number(at))], SECRET)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "malformed"),
        (COA[:30], "malformed"),
        (ACCOUNTING_START, "code"),
        (COA[:4] + bytes(16) + COA[20:], "authenticator"),
        (stamped(699), "event_timestamp"),
        (stamped(1_301), "event_timestamp"),
        (keyed_request(Code.COA_REQUEST, 1, [(55, b"now")], SECRET), "event_timestamp"),
        (keyed_request(Code.COA_REQUEST, 1, [(80, bytes(16))], SECRET), "message_authenticator"),
    ],
)
def test_what_is_not_genuine_or_not_fresh_gets_no_answer(octets: bytes, reason: str) -> None:
    verdict = gate().admit(octets, HOME, now_s=1_000.0)
    assert isinstance(verdict, Dropped)
    assert verdict.reason == reason


@pytest.mark.parametrize("octets", [COA, stamped(700), stamped(1_300)])
def test_what_is_genuine_and_within_the_window_is_let_in(octets: bytes) -> None:
    assert isinstance(gate().admit(octets, HOME, now_s=1_000.0), Admitted)


def test_only_the_clients_named_may_ask() -> None:
    named = gate("192.0.2.1")
    assert named.admit(COA, ("192.0.2.9", 1), 0.0) == Dropped("source")
    assert isinstance(named.admit(COA, HOME, 0.0), Admitted)


def test_accel_ppp_does_not_look_at_the_message_authenticator() -> None:
    octets = keyed_request(Code.COA_REQUEST, 1, [(80, bytes(16))], SECRET)
    assert isinstance(gate(checks=False).admit(octets, HOME, 0.0), Admitted)


def test_a_repeat_gets_the_same_octets_and_one_in_progress_gets_none() -> None:
    door = gate()
    first = door.admit(COA, HOME, 0.0)
    assert isinstance(first, Admitted)
    assert door.admit(COA, HOME, 1.0) == Dropped("in_progress", first.request)
    door.answered(first.request, HOME, b"answer")
    assert door.admit(COA, HOME, 2.0) == Repeat(first.request, b"answer")
    assert isinstance(door.admit(COA, (HOME[0], 40_001), 3.0), Admitted)
    assert door.admit(COA, HOME, 301.0) == Admitted(first.request, reused=False)


def test_an_ignored_request_is_new_when_it_comes_again() -> None:
    door = gate()
    first = door.admit(COA, HOME, 0.0)
    assert isinstance(first, Admitted)
    door.ignored(first.request, HOME)
    assert door.admit(COA, HOME, 1.0) == first


def test_an_identifier_used_again_within_the_window_is_told() -> None:
    door = gate()
    door.admit(stamped(1_000, name=b"ana"), HOME, 1_000.0)
    again = door.admit(stamped(1_001, name=b"bia"), HOME, 1_001.0)
    assert isinstance(again, Admitted)
    assert again.reused


FULL = Profile(50_000_000, 10_000_000, walled=False)


def test_sessions_are_found_by_every_identifier_given_at_once() -> None:
    table = Sessions()
    for port, username in enumerate(("ana", "bia", "ana"), start=1):
        line = Line(username, "pw", port)
        table.add(Session(line, f"s{port}", line.own_ipv4, FULL, None, 0))
    ana, bia, second = table
    assert table.matching({1: b"ana"}) == [ana, second]
    assert table.matching({1: b"ana", 8: second.ipv4.packed}) == [second]
    assert table.matching({44: b"s2"}) == [bia]
    assert table.matching({44: b"s2", 1: b"ana"}) == []
    assert table.matching({31: b"02:00:00:00:00:02"}) == [bia]
    assert table.matching({1: b"ANA"}) == []
    assert table.drop(ana)
    assert not table.drop(ana)
    assert table.of("ana") == (second,)


def test_waits_double_to_the_longest_and_end_with_the_whole_time() -> None:
    timers = Timers(first_wait_s=2, longest_wait_s=16, sends_max=5, whole_s=30)
    assert list(waits_s(timers, lambda: 0.0)) == [2, 4, 8, 16]
    without_whole = Timers(first_wait_s=2, longest_wait_s=5, sends_max=4, whole_s=0)
    assert list(waits_s(without_whole, lambda: 0.0)) == [2, 4, 5, 5]
    assert list(waits_s(without_whole, lambda: 0.1))[:2] == pytest.approx([2.2, 4.62])


@pytest.mark.parametrize(
    ("line", "behaviour"),
    [
        ('{"do":"behave","behaviour":"ack"}', Ack()),
        ('{"do":"behave","behaviour":"nak","cause":503}', Nak(503)),
        ('{"do":"behave","behaviour":"nak"}', Nak(None)),
        ('{"do":"behave","behaviour":"silent"}', Silent()),
        ('{"do":"behave","behaviour":"late","seconds":2.5}', Late(2.5)),
        ('{"do":"behave","behaviour":"lie"}', Lie()),
    ],
)
def test_an_order_names_its_behaviour(line: str, behaviour: object) -> None:
    assert behaviour_of(read_order(line)) == behaviour


@pytest.mark.parametrize(
    "line",
    [
        "dial",
        "[]",
        "{}",
        '{"do":"behave","behaviour":"sulk"}',
        '{"do":"behave","behaviour":"nak","cause":"503"}',
        '{"do":"behave","behaviour":"nak","cause":true}',
    ],
)
def test_an_order_that_makes_no_sense_is_refused(line: str) -> None:
    with pytest.raises(BadOrderError):
        behaviour_of(read_order(line))
