"""What must be refused, whose counter it bumps, and what must be kept as it came."""

from collections.abc import Callable

import pytest

from radius.codec import (
    ATTRIBUTES_MAX,
    Code,
    Packet,
    Secret,
    attribute,
    encode_reply,
    encode_request,
    parse,
    vendor_attribute,
    verify_access_request,
    verify_keyed_request,
    verify_reply,
)
from radius.errors import LocalError, PeerError

SECRET = Secret(b"xyzzy5461")
VECTOR = bytes(range(16))


def _datagram(body: bytes, *, code: int = 1, length: int | None = None) -> bytes:
    size = 20 + len(body) if length is None else length
    return bytes((code, 7)) + size.to_bytes(2, "big") + VECTOR + body


def _access(attributes: bytes, *, signed: bool, code: int = Code.ACCESS_REQUEST) -> Packet:
    return parse(encode_request(code, 7, attributes, SECRET, message_authenticator=signed))


@pytest.mark.parametrize(
    ("datagram", "counter"),
    [
        (b"", "malformed"),
        (_datagram(b"")[:19], "malformed"),
        (_datagram(b"", length=19), "malformed"),
        (_datagram(b"", length=100), "malformed"),
        (_datagram(attribute(1, b"x" * 253) * 15 + attribute(1, b"y" * 250)), "malformed"),
        (_datagram(b"\x01"), "malformed"),
        (_datagram(b"\x01\x00"), "malformed"),
        (_datagram(b"\x01\x01"), "malformed"),
        (_datagram(b"\x01\x0a\x01\x02"), "malformed"),
        (_datagram(b"\x00\x02"), "malformed"),
        (_datagram(attribute(1, b"nemo"), length=25), "malformed"),
        (_datagram(attribute(25, b"") * (ATTRIBUTES_MAX + 1)), "malformed"),
        (_datagram(b"\x50\x05\x00\x00\x00"), "bad_message_authenticator"),
        (_datagram(attribute(80, bytes(17))), "bad_message_authenticator"),
        (_datagram(attribute(80, bytes(16)) * 2), "bad_message_authenticator"),
    ],
    ids=[
        "nothing",
        "19 octets",
        "Length below the header",
        "Length beyond the datagram",
        "4097 octets",
        "a lone octet at the end",
        "attribute length 0",
        "attribute length 1",
        "attribute past the end",
        "attribute type 0",
        "padding cuts an attribute",
        "too many attributes",
        "short Message-Authenticator",
        "long Message-Authenticator",
        "two Message-Authenticators",
    ],
)
def test_a_malformed_datagram_is_their_fault(datagram: bytes, counter: str) -> None:
    with pytest.raises(PeerError) as caught:
        parse(datagram)
    assert caught.value.counter == counter


def test_the_largest_packet_and_the_most_attributes_are_read() -> None:
    largest = _datagram(attribute(1, b"x" * 253) * 15 + attribute(1, b"y" * 249))
    assert len(largest) == 4096
    assert len(parse(largest).attributes) == 16
    many = _datagram(attribute(25, b"") * ATTRIBUTES_MAX)
    assert parse(many).all(25) == (b"",) * ATTRIBUTES_MAX


def test_padding_is_ignored() -> None:
    plain = _datagram(attribute(1, b"nemo"))
    assert parse(plain + b"\x01\x00" * 2500).octets == parse(plain).octets


def test_vendor_finds_sub_attributes_and_takes_other_layouts_for_opaque() -> None:
    two_in_one = (14988).to_bytes(4, "big") + attribute(3, b"gold") + attribute(8, b"1M/1M")
    packet = parse(
        _datagram(
            attribute(26, b"\x00\x00")
            + attribute(26, (14988).to_bytes(4, "big") + b"\x08\x09x")
            + attribute(26, (14988).to_bytes(4, "big") + b"\x08")
            + vendor_attribute(14122, 8, b"else")
            + attribute(26, two_in_one)
        )
    )
    assert packet.vendor(14988, 8) == b"1M/1M"
    assert packet.vendor(14122, 8) == b"else"
    assert packet.vendor(311, 8) is None


EAP = attribute(79, b"\x02\x01\x00\x05\x01")
PROXY = attribute(33, b"one")


@pytest.mark.parametrize(
    ("attributes", "code", "require", "counter"),
    [
        (b"", Code.ACCESS_REQUEST, "yes", "missing_message_authenticator"),
        (EAP, Code.ACCESS_REQUEST, "no", "missing_message_authenticator"),
        (EAP, Code.ACCESS_REQUEST, "auto", "missing_message_authenticator"),
        (PROXY, Code.ACCESS_REQUEST, "no", "proxy_state_without_ma"),
        (PROXY, Code.ACCESS_REQUEST, "auto", "proxy_state_without_ma"),
        (b"", Code.STATUS_SERVER, "no", "missing_message_authenticator"),
    ],
)
def test_what_an_unsigned_request_may_not_be(
    attributes: bytes, code: int, require: str, counter: str
) -> None:
    packet = _access(attributes, signed=False, code=code)
    with pytest.raises(PeerError) as caught:
        verify_access_request(packet, SECRET, require)  # type: ignore[arg-type]
    assert caught.value.counter == counter


@pytest.mark.parametrize("attributes", [b"", EAP, PROXY])
@pytest.mark.parametrize("code", [Code.ACCESS_REQUEST, Code.STATUS_SERVER])
def test_a_signed_request_is_believed_whatever_it_carries(attributes: bytes, code: int) -> None:
    assert verify_access_request(_access(attributes, signed=True, code=code), SECRET, "yes")


def test_an_unsigned_request_of_an_old_nas_passes_where_that_is_allowed() -> None:
    packet = _access(attribute(1, b"nemo"), signed=False)
    assert verify_access_request(packet, SECRET, "no") is False
    assert verify_access_request(packet, SECRET, "auto") is False


@pytest.mark.parametrize("require", ["yes", "no", "auto"])
def test_a_wrong_message_authenticator_is_never_taken(require: str) -> None:
    packet = _access(attribute(1, b"nemo"), signed=True)
    forged = parse(packet.octets[:-1] + b"O")
    with pytest.raises(PeerError) as caught:
        verify_access_request(forged, SECRET, require)  # type: ignore[arg-type]
    assert caught.value.counter == "bad_message_authenticator"


def _keyed(*, signed: bool) -> Packet:
    return parse(
        encode_request(
            Code.COA_REQUEST, 7, attribute(1, b"nemo"), SECRET, message_authenticator=signed
        )
    )


def test_a_keyed_request_needs_its_authenticator_and_a_right_signature() -> None:
    verify_keyed_request(_keyed(signed=False), SECRET)
    signed = _keyed(signed=True)
    verify_keyed_request(signed, SECRET)
    with pytest.raises(PeerError) as caught:
        verify_keyed_request(signed, Secret(b"other"))
    assert caught.value.counter == "bad_authenticator"
    # Keyed anew around a signature that is wrong: only one who knows the secret can do it.
    body = signed.octets[:22].replace(signed.authenticator, bytes(16)) + bytes(16)
    body += signed.octets[38:]
    forged = parse(body[:4] + SECRET.md5_after(body) + body[20:])
    with pytest.raises(PeerError) as caught:
        verify_keyed_request(forged, SECRET)
    assert caught.value.counter == "bad_message_authenticator"


@pytest.mark.parametrize(
    ("verify", "code"),
    [
        (lambda p: verify_access_request(p, SECRET, "no"), Code.ACCOUNTING_REQUEST),
        (lambda p: verify_access_request(p, SECRET, "no"), 13),
        (lambda p: verify_keyed_request(p, SECRET), Code.ACCESS_REQUEST),
        (lambda p: verify_keyed_request(p, SECRET), Code.COA_ACK),
        (lambda p: verify_reply(p, VECTOR, SECRET), Code.COA_REQUEST),
        (lambda p: verify_reply(p, VECTOR, SECRET), 255),
    ],
)
def test_a_code_out_of_place_is_counted(verify: Callable[[Packet], object], code: int) -> None:
    with pytest.raises(PeerError) as caught:
        verify(parse(_datagram(b"", code=code)))
    assert caught.value.counter == "unexpected_code"


def test_a_reply_is_believed_only_for_its_request() -> None:
    request = _access(attribute(1, b"nemo"), signed=True)
    for signed in (True, False):
        octets = encode_reply(
            Code.ACCESS_ACCEPT, request, attribute(18, b"hi"), SECRET, message_authenticator=signed
        )
        verify_reply(parse(octets), request.authenticator, SECRET, require_ma=signed)
        with pytest.raises(PeerError) as caught:
            verify_reply(parse(octets), bytes(16), SECRET)
        assert caught.value.counter == "bad_authenticator"
    with pytest.raises(PeerError) as caught:
        verify_reply(parse(octets), request.authenticator, SECRET, require_ma=True)
    assert caught.value.counter == "missing_message_authenticator"


@pytest.mark.parametrize("code", [Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE])
def test_message_authenticator_comes_first_and_proxy_states_last_in_order(code: int) -> None:
    states = (b"b", b"", b"a", b"b")
    request = _access(b"".join(attribute(33, state) for state in states), signed=True)
    reply = parse(
        encode_reply(code, request, attribute(18, b"hi"), SECRET, message_authenticator=True)
    )
    assert [kind for kind, _ in reply.attributes] == [80, 18, 33, 33, 33, 33]
    assert reply.all(33) == states


def test_an_accounting_response_is_signed_over_zeros_but_not_after_status_server() -> None:
    accounting = parse(
        encode_request(Code.ACCOUNTING_REQUEST, 1, b"", SECRET, message_authenticator=False)
    )
    status = _access(b"", signed=True, code=Code.STATUS_SERVER)
    for request, vector in ((accounting, bytes(16)), (status, status.authenticator)):
        octets = encode_reply(
            Code.ACCOUNTING_RESPONSE, request, b"", SECRET, message_authenticator=True
        )
        mac = SECRET.hmac_md5(octets[:4] + vector + b"\x50\x12" + bytes(16))
        assert parse(octets).first(80) == mac
        verify_reply(parse(octets), request.authenticator, SECRET, require_ma=True)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: attribute(0, b""),
        lambda: attribute(256, b""),
        lambda: attribute(1, b"x" * 254),
        lambda: vendor_attribute(9, 1, b"x" * 248),
        lambda: encode_request(1, 256, b"", SECRET, message_authenticator=True),
        lambda: encode_request(1, 0, b"", SECRET, message_authenticator=True, authenticator=b"x"),
        lambda: encode_request(2, 0, b"", SECRET, message_authenticator=True),
        lambda: encode_request(
            43, 0, b"", SECRET, message_authenticator=True, authenticator=VECTOR
        ),
        lambda: encode_request(1, 0, bytes(4059), SECRET, message_authenticator=True),
        lambda: encode_reply(
            2, parse(_datagram(b"")), bytes(4077), SECRET, message_authenticator=False
        ),
        lambda: Secret(b""),
    ],
)
def test_what_does_not_fit_the_wire_is_our_fault(ask: Callable[[], object]) -> None:
    with pytest.raises(LocalError):
        ask()


def test_a_long_secret_is_hashed_and_never_shown() -> None:
    secret = Secret(b"s" * 100)
    packet = parse(encode_request(1, 0, b"", secret, message_authenticator=True))
    assert verify_access_request(packet, secret, "yes")
    assert "sss" not in repr(secret)
