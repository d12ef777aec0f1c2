"""Right passwords pass, wrong ones do not, and what is not well formed is no credential."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyrad.packet import AuthPacket

from radius import credentials
from radius.codec import (
    Code,
    Packet,
    Secret,
    attribute,
    encode_reply,
    encode_request,
    parse,
    vendor_attribute,
)
from radius.credentials import (
    MICROSOFT,
    Accepted,
    Refused,
    authenticate,
    chap_response,
    hide_pap,
    mschap2_response,
    mschap_response,
    nt_hash,
)
from radius.errors import LocalError

SECRET = Secret(b"testing123")
VECTOR = bytes(range(16))
NAME = attribute(1, b"joao")


def _request(attributes: bytes) -> Packet:
    return parse(
        encode_request(
            Code.ACCESS_REQUEST,
            1,
            attributes,
            SECRET,
            message_authenticator=True,
            authenticator=VECTOR,
        )
    )


def _pap(password: bytes) -> bytes:
    return attribute(2, hide_pap(password, SECRET, VECTOR))


def _chap(password: bytes, challenge: bytes | None = None) -> bytes:
    answer = attribute(3, chap_response(9, password, VECTOR if challenge is None else challenge))
    return answer if challenge is None else answer + attribute(60, challenge)


def _mschap(password: str) -> bytes:
    challenge = b"8 octets"
    answer = mschap_response(9, nt_hash(password), challenge)
    return vendor_attribute(MICROSOFT, 11, challenge) + vendor_attribute(MICROSOFT, 1, answer)


def _mschap2(password: str, username: bytes = b"joao") -> bytes:
    challenge, peer = b"sixteen octets..", b"peer's challenge"
    answer = mschap2_response(9, nt_hash(password), username, challenge, peer)
    return vendor_attribute(MICROSOFT, 11, challenge) + vendor_attribute(MICROSOFT, 25, answer)


RIGHT = [
    _pap(b"s\xc3\xa9nha"),
    _chap("sénha".encode()),
    _chap("sénha".encode(), b"another challenge"),
    _mschap("sénha"),
    _mschap2("sénha"),
]
WRONG = [
    _pap(b"s\xe9nha"),
    _pap(b"snha"),
    _pap(b""),
    _chap(b"snha"),
    _chap(b"snha", b"another challenge"),
    _mschap("snha"),
    _mschap2("snha"),
    _mschap2("sénha", b"maria"),
]


@pytest.mark.parametrize("attributes", RIGHT)
def test_the_right_password_is_accepted(attributes: bytes) -> None:
    assert isinstance(authenticate(_request(NAME + attributes), SECRET, "sénha".encode()), Accepted)


@pytest.mark.parametrize("attributes", WRONG)
def test_a_wrong_password_is_refused(attributes: bytes) -> None:
    outcome = authenticate(_request(NAME + attributes), SECRET, "sénha".encode())
    assert isinstance(outcome, Refused)
    assert outcome.reason.startswith("wrong password")


def test_passwords_are_compared_as_octets() -> None:
    # Decoded with errors ignored, this wrong password would read as the right one.
    assert not credentials.check_pap(_request(_pap(b"p\xe9ss")), SECRET, b"pss")
    assert credentials.check_chap(_request(_chap(b" pw ")), b" pw ")
    assert not credentials.check_chap(_request(_chap(b" pw ")), b"pw")


@pytest.mark.parametrize(
    "attributes",
    [
        attribute(2, b""),
        attribute(2, bytes(15)),
        attribute(2, bytes(17)),
        attribute(2, bytes(144)),
        attribute(3, b""),
        attribute(3, bytes(16)),
        attribute(3, bytes(18)),
        attribute(3, chap_response(9, b"", b"")) + attribute(60, b""),
        vendor_attribute(MICROSOFT, 1, bytes(50)),
        vendor_attribute(MICROSOFT, 1, b"") + vendor_attribute(MICROSOFT, 11, bytes(8)),
        vendor_attribute(MICROSOFT, 1, bytes(50)) + vendor_attribute(MICROSOFT, 11, bytes(8)),
        vendor_attribute(MICROSOFT, 1, bytes(50)) + vendor_attribute(MICROSOFT, 11, bytes(16)),
        vendor_attribute(MICROSOFT, 25, bytes(50)),
        vendor_attribute(MICROSOFT, 25, bytes(49)) + vendor_attribute(MICROSOFT, 11, bytes(16)),
        vendor_attribute(MICROSOFT, 25, bytes(50)) + vendor_attribute(MICROSOFT, 11, bytes(8)),
    ],
)
def test_what_is_not_well_formed_is_refused(attributes: bytes) -> None:
    assert isinstance(authenticate(_request(attributes), SECRET, b""), Refused)


def test_the_lm_response_alone_does_not_count() -> None:
    challenge = b"8 octets"
    answer = mschap_response(9, nt_hash("pw"), challenge)
    lm_only = answer[:1] + b"\x00" + answer[2:]
    attributes = vendor_attribute(MICROSOFT, 11, challenge) + vendor_attribute(
        MICROSOFT, 1, lm_only
    )
    assert isinstance(authenticate(_request(attributes), SECRET, b"pw"), Refused)


@pytest.mark.parametrize(
    "attributes",
    [
        b"",
        attribute(79, b"\x02\x01\x00\x05\x01"),
        _pap(b"pw") + _pap(b"pw"),
        _pap(b"pw") + _chap(b"pw"),
        _pap(b"pw") + _mschap2("pw"),
        _chap(b"pw") + _mschap("pw"),
        _mschap("pw") + vendor_attribute(MICROSOFT, 25, bytes(50)),
    ],
)
def test_none_or_several_credentials_are_refused(attributes: bytes) -> None:
    outcome = authenticate(_request(NAME + attributes), SECRET, b"pw")
    assert isinstance(outcome, Refused)
    assert outcome.attributes == b""
    assert "credential" in outcome.reason


def test_a_precomputed_nt_hash_stands_for_the_password() -> None:
    request = _request(NAME + _mschap2("pw"))
    assert isinstance(authenticate(request, SECRET, b"pw", nt=nt_hash("pw")), Accepted)
    assert isinstance(authenticate(request, SECRET, b"pw", nt=nt_hash("other")), Refused)


def test_a_password_that_is_not_utf_8_has_no_nt_hash() -> None:
    outcome = authenticate(_request(NAME + _mschap2("p?")), SECRET, b"p\xff")
    assert isinstance(outcome, Refused)
    assert "UTF-8" in outcome.reason


def test_the_domain_is_no_part_of_the_challenge() -> None:
    for given_name in (b"joao", b"ISP\\joao"):
        request = _request(attribute(1, given_name) + _mschap2("pw"))
        assert isinstance(authenticate(request, SECRET, b"pw"), Accepted)


@pytest.mark.parametrize(
    ("attributes", "shape"),
    [
        (_mschap("no"), rb"\x09E=691 R=0 C=[0-9A-F]{16} V=2"),
        (_mschap2("no"), rb"\x09E=691 R=0 C=[0-9A-F]{32} V=3 M=Authentication failed"),
    ],
)
def test_a_refusal_of_mschap_says_so_with_a_fresh_challenge(
    attributes: bytes, shape: bytes
) -> None:
    errors = set()
    for _ in range(2):
        request = _request(NAME + attributes)
        outcome = authenticate(request, SECRET, b"pw")
        assert isinstance(outcome, Refused)
        error = _reply(request, outcome.attributes).vendor(MICROSOFT, 2)
        assert error is not None
        assert re.fullmatch(shape, error)
        errors.add(error)
    assert len(errors) == 2


def _reply(request: Packet, attributes: bytes) -> Packet:
    return parse(
        encode_reply(Code.ACCESS_ACCEPT, request, attributes, SECRET, message_authenticator=True)
    )


def test_mppe_keys_travel_salted_differently_and_pyrad_reads_them() -> None:
    request = _request(NAME + _mschap2("pw"))
    outcome = authenticate(request, SECRET, b"pw")
    assert isinstance(outcome, Accepted)
    reply = _reply(request, outcome.attributes)
    success = reply.vendor(MICROSOFT, 26)
    send, receive = reply.vendor(MICROSOFT, 16), reply.vendor(MICROSOFT, 17)
    assert success is not None
    assert send is not None
    assert receive is not None
    assert (success[:3], len(success)) == (b"\x09S=", 43)
    assert (len(send), len(receive)) == (34, 34)
    assert send[0] & receive[0] & 0x80, "RFC 2548: the top bit of a salt is set"
    assert send[:2] != receive[:2]
    proof = credentials.check_mschap2(request, nt_hash("pw"), b"joao")
    assert proof is not None
    oracle = AuthPacket(code=1, id=1, secret=SECRET.value, authenticator=VECTOR)
    for hidden, server_sends in ((send, True), (receive, False)):
        key = credentials.mppe_key(proof.master_key, server_sends=server_sends)
        assert oracle.SaltDecrypt(hidden) == key


def test_pap_holds_128_octets() -> None:
    password = b"x" * 128
    assert credentials.check_pap(_request(_pap(password)), SECRET, password)
    with pytest.raises(LocalError):
        hide_pap(b"x" * 129, SECRET, VECTOR)


secrets = st.binary(min_size=1, max_size=80)
passwords = st.binary(max_size=128).filter(lambda octets: not octets.endswith(b"\0"))
vectors = st.binary(min_size=16, max_size=16)


@given(secrets, passwords, passwords, vectors)
def test_pap_law(secret: bytes, password: bytes, other: bytes, vector: bytes) -> None:
    hidden = hide_pap(password, Secret(secret), vector)
    assert hidden == AuthPacket(secret=secret, authenticator=vector).PwCrypt(password)
    request = parse(
        encode_request(
            1,
            0,
            attribute(2, hidden),
            Secret(secret),
            message_authenticator=False,
            authenticator=vector,
        )
    )
    assert credentials.check_pap(request, Secret(secret), password)
    assert credentials.check_pap(request, Secret(secret), other) == (password == other)


@given(passwords, passwords, st.binary(min_size=1, max_size=40))
def test_chap_law(password: bytes, other: bytes, challenge: bytes) -> None:
    request = _request(_chap(password, challenge))
    assert credentials.check_chap(request, password)
    assert credentials.check_chap(request, other) == (password == other)


words = st.text(st.characters(codec="utf-8"), max_size=20)


@settings(max_examples=50)
@given(words, words)
def test_mschap_law(password: str, other: str) -> None:
    for attributes in (_mschap(password), _mschap2(password)):
        request = _request(NAME + attributes)
        assert isinstance(authenticate(request, SECRET, password.encode()), Accepted)
        accepted = isinstance(authenticate(request, SECRET, other.encode()), Accepted)
        assert accepted == (password == other)


@settings(max_examples=200)
@given(st.binary(max_size=60), st.sampled_from([2, 3, 60]), st.sampled_from([1, 11, 25]))
def test_any_octets_are_refused_without_an_error(value: bytes, kind: int, number: int) -> None:
    for attributes in (attribute(kind, value), vendor_attribute(MICROSOFT, number, value)):
        request = _request(attributes + vendor_attribute(MICROSOFT, 11, bytes(16)))
        assert isinstance(authenticate(request, SECRET, b"not guessed"), Refused)
