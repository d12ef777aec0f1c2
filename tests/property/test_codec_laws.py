"""Laws of the codec; pyrad, an independent implementation, is the oracle."""

from hypothesis import given
from hypothesis import strategies as st
from pyrad.dictionary import Dictionary
from pyrad.packet import AcctPacket, AuthPacket, CoAPacket
from pyrad.packet import Packet as PyradPacket

from radius.codec import (
    Code,
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
from radius.errors import PeerError

# Not Vendor-Specific, Proxy-State, EAP-Message or Message-Authenticator: they have rules.
PLAIN = sorted(set(range(1, 256)) - {26, 33, 79, 80})

secrets = st.binary(min_size=1, max_size=70).map(Secret)
identifiers = st.integers(0, 255)
vectors = st.binary(min_size=16, max_size=16)
plain = st.lists(st.tuples(st.sampled_from(PLAIN), st.binary(max_size=40)), max_size=12)
vendor = st.lists(
    st.tuples(st.integers(1, 2**24), st.integers(1, 255), st.binary(max_size=40)), max_size=4
)
proxy_states = st.lists(st.binary(max_size=20), max_size=4)
access_replies = st.sampled_from([Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE])
keyed = st.sampled_from([Code.ACCOUNTING_REQUEST, Code.COA_REQUEST, Code.DISCONNECT_REQUEST])


def _octets(attributes: list[tuple[int, bytes]]) -> bytes:
    return b"".join(attribute(kind, value) for kind, value in attributes)


def _refused(datagram: bytes, secret: Secret, request_authenticator: bytes | None = None) -> bool:
    """Whether nothing in us believes it."""
    try:
        packet = parse(datagram)
    except PeerError:
        return True
    believed = 0
    for verify in (
        lambda: verify_access_request(packet, secret, "yes"),
        lambda: verify_keyed_request(packet, secret),
        lambda: verify_reply(packet, request_authenticator or bytes(16), secret),
    ):
        try:
            verify()
        except PeerError:
            continue
        believed += 1
    return not believed


@given(
    st.one_of(
        st.binary(max_size=120),
        st.builds(
            lambda head, length, body: head + length.to_bytes(2, "big") + bytes(16) + body,
            st.binary(min_size=2, max_size=2),
            st.integers(0, 160),
            st.binary(max_size=140),
        ),
    )
)
def test_any_octets_are_a_packet_or_their_fault(datagram: bytes) -> None:
    assert _refused(datagram, Secret(b"nobody guesses this"))


@given(plain, vendor, identifiers, vectors, secrets, st.binary(max_size=40))
def test_what_is_encoded_is_read_back_padding_or_not(
    attributes: list[tuple[int, bytes]],
    vendors: list[tuple[int, int, bytes]],
    identifier: int,
    vector: bytes,
    secret: Secret,
    padding: bytes,
) -> None:
    body = _octets(attributes) + b"".join(vendor_attribute(*each) for each in vendors)
    octets = encode_request(
        Code.ACCESS_REQUEST,
        identifier,
        body,
        secret,
        message_authenticator=True,
        authenticator=vector,
    )
    packet = parse(octets + padding)
    assert packet.octets == octets
    assert (packet.code, packet.identifier, packet.authenticator) == (1, identifier, vector)
    assert packet.attributes[0][0] == 80
    assert packet.attributes[1 : 1 + len(attributes)] == tuple(attributes)
    for vendor_id, number, _ in vendors:
        firsts = [value for v, n, value in vendors if (v, n) == (vendor_id, number)]
        assert packet.vendor(vendor_id, number) == firsts[0]
    assert verify_access_request(packet, secret, "yes")


@given(plain, vendor, identifiers, vectors)
def test_we_read_what_pyrad_reads(
    attributes: list[tuple[int, bytes]],
    vendors: list[tuple[int, int, bytes]],
    identifier: int,
    vector: bytes,
) -> None:
    body = _octets(attributes) + b"".join(vendor_attribute(*each) for each in vendors)
    octets = bytes((1, identifier)) + (20 + len(body)).to_bytes(2, "big") + vector + body
    ours, theirs = parse(octets), PyradPacket(packet=octets, dict=Dictionary())
    assert (ours.code, ours.identifier, ours.authenticator) == (
        theirs.code,
        theirs.id,
        theirs.authenticator,
    )
    kinds = {kind for kind, _ in attributes}
    assert {key for key in theirs if isinstance(key, int)} == kinds
    for kind in kinds:
        assert list(ours.all(kind)) == theirs[kind]
    for vendor_id, number, _ in vendors:
        assert ours.vendor(vendor_id, number) == theirs[(vendor_id, number)][0]


@given(plain, proxy_states, identifiers, secrets, st.booleans(), access_replies)
def test_pyrad_believes_our_request_and_our_reply_is_its_own(
    attributes: list[tuple[int, bytes]],
    states: list[bytes],
    identifier: int,
    secret: Secret,
    signed: bool,
    code: Code,
) -> None:
    octets = encode_request(
        Code.ACCESS_REQUEST,
        identifier,
        _octets([(33, state) for state in states]),
        secret,
        message_authenticator=True,
    )
    theirs = AuthPacket(packet=octets, id=identifier, secret=secret.value)
    assert theirs.verify_message_authenticator()

    # One value a type: pyrad groups what repeats, so only then is the order the same.
    each_once = list(dict(attributes).items())
    reply = encode_reply(
        code, parse(octets), _octets(each_once), secret, message_authenticator=signed
    )
    oracle = theirs.CreateReply(message_authenticator=signed)
    oracle.code = code
    for kind, value in each_once:
        oracle[kind] = [value]
    if states:
        oracle.move_to_end(33)
    assert reply == oracle.ReplyPacket()
    assert theirs.VerifyReply(theirs.CreateReply(packet=reply), reply, enforce_ma=signed)
    assert parse(reply).all(33) == tuple(states)


@given(plain, identifiers, secrets, st.booleans(), keyed)
def test_pyrad_believes_our_keyed_requests_and_we_its_replies(
    attributes: list[tuple[int, bytes]], identifier: int, secret: Secret, signed: bool, code: Code
) -> None:
    octets = encode_request(
        code, identifier, _octets(attributes), secret, message_authenticator=signed
    )
    ours = parse(octets)
    verify_keyed_request(ours, secret)
    if code is Code.ACCOUNTING_REQUEST:
        theirs = AcctPacket(packet=octets, secret=secret.value)
        assert theirs.VerifyAcctRequest()
    else:
        theirs = CoAPacket(packet=octets, secret=secret.value)
        assert theirs.VerifyCoARequest()
    assert not signed or theirs.verify_message_authenticator()
    answer = theirs.CreateReply(message_authenticator=signed).ReplyPacket()
    verify_reply(parse(answer), ours.authenticator, secret, require_ma=signed)


@given(plain, identifiers, secrets, st.data())
def test_no_bit_of_a_signed_packet_can_be_turned(
    attributes: list[tuple[int, bytes]], identifier: int, secret: Secret, data: st.DataObject
) -> None:
    body = _octets(attributes)
    access = encode_request(
        Code.ACCESS_REQUEST, identifier, body, secret, message_authenticator=True
    )
    accounting = encode_request(
        Code.ACCOUNTING_REQUEST, identifier, body, secret, message_authenticator=False
    )
    request = parse(access)
    reply = encode_reply(Code.ACCESS_ACCEPT, request, body, secret, message_authenticator=False)
    for octets in (access, accounting, reply):
        bit = data.draw(st.integers(0, 8 * len(octets) - 1))
        turned = bytearray(octets)
        turned[bit // 8] ^= 1 << bit % 8
        assert _refused(bytes(turned), secret, request.authenticator)


@given(plain, secrets, secrets)
def test_another_secret_believes_nothing(
    attributes: list[tuple[int, bytes]], secret: Secret, other: Secret
) -> None:
    octets = encode_request(
        Code.ACCESS_REQUEST, 1, _octets(attributes), secret, message_authenticator=True
    )
    # HMAC pads a key with zeros: b"k" and b"k\0" are one key (RFC 2104).
    same = other.hmac_md5(b"") == secret.hmac_md5(b"")
    assert _refused(octets, other) != same


@given(plain)
def test_a_packet_says_what_is_on_the_wire(attributes: list[tuple[int, bytes]]) -> None:
    body = _octets(attributes)
    octets = b"\x01\x01" + (20 + len(body)).to_bytes(2, "big") + bytes(16) + body
    packet = parse(octets)
    assert packet.attributes == tuple(attributes)
    assert {kind: packet.first(kind) for kind in packet.places} == dict(reversed(attributes))
    assert packet.repeats == len(attributes) - len(packet.places)
    for kind in packet.places:
        assert packet.all(kind) == tuple(value for number, value in attributes if number == kind)
