"""One request's life in virtual time: the schedule of RFC 5080, and which answers are believed."""

import pytest

from radius.codec import Code, Secret, attribute, encode_reply, encode_request, parse
from radius.dynauth import Ack, Exchange, Nak, Silence, Timers
from radius.errors import LocalError

SECRET = Secret(b"xyzzy5461")
NOW_EPOCH_S = 1_795_000_000.0


def request(code: Code = Code.COA_REQUEST, identifier: int = 9) -> bytes:
    named = attribute(1, b"nemo") + attribute(44, b"81d00032")
    return encode_request(code, identifier, named, SECRET, message_authenticator=True)


def exchange(octets: bytes, jitter: float = 0.5) -> Exchange:
    """`jitter` 0.5 is the middle of the range: no stretch."""
    return Exchange(octets, SECRET, Timers(), lambda: jitter, now=100.0)


def sending_times(jitter: float) -> tuple[list[float], float, int]:
    """Instants of sending, the end, and the number of sends that Silence reports."""
    one = exchange(request(), jitter)
    times = []
    while True:
        now = one.wake_at
        match one.poll(now):
            case bytes():
                times.append(round(now - 100, 6))
            case Silence(sends):
                return times, round(now - 100, 6), sends


@pytest.mark.parametrize(
    ("jitter", "times", "end"),
    [
        # 2, 4, 8, then 16 s; the fifth would be due as the 30 s end.
        (0.5, [0.0, 2.0, 6.0, 14.0], 30.0),
        # Shrunk by a tenth each time: 1.8, then 1.9 times the one before.
        (0.0, [0.0, 1.8, 5.22, 11.718, 24.0642], 30.0),
        (0.999999, [0.0, 2.2, 6.819999, 16.521994], 30.0),
    ],
)
def test_schedule_of_an_unanswered_request(jitter: float, times: list[float], end: float) -> None:
    sent, ended, sends = sending_times(jitter)
    assert sent == pytest.approx(times, abs=1e-4)
    assert ended == end
    assert sends == len(times)


def test_every_resend_repeats_the_octets() -> None:
    octets = request()
    one = exchange(octets)
    assert {one.poll(one.wake_at), one.poll(one.wake_at), one.poll(one.wake_at)} == {octets}


def test_nothing_is_due_before_its_time() -> None:
    one = exchange(request())
    one.poll(100.0)
    assert one.poll(101.99) is None
    assert one.sends == 1


def answer(octets: bytes, code: Code, attributes: bytes = b"", ma: bool = False) -> bytes:
    return encode_reply(code, parse(octets), attributes, SECRET, message_authenticator=ma)


def cause(number: int) -> bytes:
    return attribute(101, number.to_bytes(4, "big"))


def stamp(epoch_s: float) -> bytes:
    return attribute(55, int(epoch_s).to_bytes(4, "big"))


@pytest.mark.parametrize(
    ("asked", "code", "attributes", "expected"),
    [
        (Code.COA_REQUEST, Code.COA_ACK, b"", Ack(1)),
        (Code.COA_REQUEST, Code.COA_NAK, cause(503), Nak(503, 1)),
        (Code.COA_REQUEST, Code.COA_NAK, b"", Nak(None, 1)),
        (Code.COA_REQUEST, Code.COA_NAK, attribute(101, b"\x01"), Nak(None, 1)),
        (Code.DISCONNECT_REQUEST, Code.DISCONNECT_ACK, cause(201), Ack(1)),
        (Code.DISCONNECT_REQUEST, Code.DISCONNECT_NAK, cause(404), Nak(404, 1)),
        (Code.COA_REQUEST, Code.COA_ACK, stamp(NOW_EPOCH_S - 299), Ack(1)),
        # A replay from another day, or a clock that nobody can trust.
        (Code.COA_REQUEST, Code.COA_ACK, stamp(NOW_EPOCH_S - 301), None),
        (Code.COA_REQUEST, Code.COA_ACK, stamp(NOW_EPOCH_S + 301), None),
        (Code.COA_REQUEST, Code.DISCONNECT_ACK, b"", None),
        (Code.DISCONNECT_REQUEST, Code.COA_ACK, b"", None),
    ],
)
@pytest.mark.parametrize("ma", [True, False])
def test_answers(
    asked: Code, code: Code, attributes: bytes, expected: Ack | Nak | None, ma: bool
) -> None:
    octets = request(asked)
    one = exchange(octets)
    one.poll(100.0)
    assert one.receive(answer(octets, code, attributes, ma), NOW_EPOCH_S) == expected


def test_a_late_answer_counts_the_sends() -> None:
    octets = request()
    one = exchange(octets)
    for _ in range(3):
        one.poll(one.wake_at)
    assert one.receive(answer(octets, Code.COA_ACK), NOW_EPOCH_S) == Ack(3)


def test_what_is_not_an_authentic_answer_to_this_request_is_ignored() -> None:
    octets = request()
    one = exchange(octets)
    one.poll(100.0)
    good = answer(octets, Code.COA_ACK)
    other_secret = encode_reply(
        Code.COA_ACK, parse(octets), b"", Secret(b"guessed"), message_authenticator=False
    )
    earlier = encode_request(
        Code.COA_REQUEST, 9, attribute(1, b"other"), SECRET, message_authenticator=True
    )
    bad_ma = answer(octets, Code.COA_ACK, attribute(80, bytes(16)))
    for forged in (
        other_secret,
        answer(earlier, Code.COA_ACK),  # the answer to what had this Identifier before
        bytes([good[0], good[1] ^ 1]) + good[2:],
        bytes([Code.COA_NAK]) + good[1:],
        bad_ma,
        good[:19],
        b"",
        octets,
    ):
        assert one.receive(forged, NOW_EPOCH_S) is None
    assert one.receive(good, NOW_EPOCH_S) == Ack(1)


def test_only_dynamic_authorization_is_exchanged() -> None:
    access = encode_request(Code.ACCESS_REQUEST, 1, b"", SECRET, message_authenticator=True)
    with pytest.raises(LocalError, match="code 1 is neither"):
        exchange(access)
