"""Octets that others computed: examples of the RFCs, tests of FreeRADIUS, packets pyrad took."""

import pytest

from radius import credentials
from radius.codec import (
    Code,
    Packet,
    Secret,
    encode_reply,
    encode_request,
    parse,
    verify_access_request,
    verify_keyed_request,
    verify_reply,
)
from radius.credentials import Accepted, Refused, authenticate
from radius.dictionary import describe, encode

SECRET = Secret(b"xyzzy5461")  # of all these examples
PAP_REQUEST = (
    "010000380f403f9473978057bd83d5cb98f4227a01066e656d6f02120dbe708d93d413ce3196e43f782a0aee"
    "0406c0a80110050600000003"
)
PAP_REPLY = "0200002686fe220e7624ba2a1005f6bf9b55e0b20606000000010f06000000000e06c0a80103"
PAP_REPLY_SIGNED = (
    "0200002c0e28e13bb2ff9188f2b23e4412c2c6c25012385b899f61a9e7c802bb3546c10a2a8b060600000001"
)
CHAP_REQUEST = (
    "010100472aee86f08d0d55969ca5978e0d3367a20108666c6f707379031316e97557c316185895f293ff6344"
    "0772750406c0a80110050600000014060600000002070600000001"
)
CHAP_REPLY = (
    "0201003815efbc7dab26cfa3dc34d9c03c8601a40606000000020706000000010806fffffffe0a0600000002"
    "0d06000000010c06000005dc"
)
ACCOUNTING_REQUEST = (
    "040700369061e25185d2cffdabd7d29e388a56a701066e656d6f0406c0a801102806000000012c0a38316430"
    "303033320806 64400102"
)
ACCOUNTING_REPLY = "0507001478b0e5eb8df1e1fc78f24c9749a4dd34"
COA_REQUEST = (
    "2b090043f9c6bccd4e1462f7be27de494a93c19e01066e656d6f2c0a38316430303033321a0d00003a8c0807"
    "314d2f314d5012e6c9fb23848a67547f8ee231454d3887"
)
COA_NAK = "2d09001ab6c4a0dc8fad7a3b6c22c2248a937c836506000001f7"
STATUS_AUTH = "0cda00268a54f4686fb394c52866e302185d062350125a665e2e1e8411f3e243822097c84fa3"
STATUS_AUTH_REPLY = "02da0014ef0d552a4bf2d693ec2b6fe8b5411d66"
STATUS_ACCT = "0cb30026925f6b66dd5fed571fcb1db7ad3882605012e8d6eabda910875cd91fdade26367858"
STATUS_ACCT_REPLY = "05b300140f6f92145f107e2f504e860a4860669c"

# RFC 2759 section 9.2 and RFC 3079 section 3.5.3
MSCHAP2_CHALLENGE = bytes.fromhex("5B5D7C7D7B3F2F3E3C2C602132262628")
MSCHAP2_PEER_CHALLENGE = bytes.fromhex("21402324255E262A28295F2B3A337C7E")
MSCHAP2_NT_RESPONSE = bytes.fromhex("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF")
MSCHAP2_SUCCESS = b"S=407A5589115FD0D6209F510FE9C04566932CDA56"
MPPE_MASTER = bytes.fromhex("FDECE3717A8C838CB388E527AE3CDD31")
MPPE_SERVER_SEND = bytes.fromhex("8B7CDC149B993A1BA118CB153F56DCCB")
MPPE_SERVER_RECV = bytes.fromhex("D5F0E9521E3EA9589645E86051C82226")


def _packet(text: str) -> Packet:
    return parse(bytes.fromhex(text))


@pytest.mark.parametrize(
    ("request_hex", "code", "reply_hex", "signed"),
    [
        (PAP_REQUEST, Code.ACCESS_ACCEPT, PAP_REPLY, False),
        (PAP_REQUEST, Code.ACCESS_ACCEPT, PAP_REPLY_SIGNED, True),
        (CHAP_REQUEST, Code.ACCESS_ACCEPT, CHAP_REPLY, False),
        (STATUS_AUTH, Code.ACCESS_ACCEPT, STATUS_AUTH_REPLY, False),
        (STATUS_ACCT, Code.ACCOUNTING_RESPONSE, STATUS_ACCT_REPLY, False),
        (ACCOUNTING_REQUEST, Code.ACCOUNTING_RESPONSE, ACCOUNTING_REPLY, False),
        (COA_REQUEST, Code.COA_NAK, COA_NAK, False),
    ],
    ids=["pap", "pap-signed", "chap", "status-auth", "status-acct", "accounting", "coa-nak"],
)
def test_reply_is_the_published_one_and_verifies(
    request_hex: str, code: Code, reply_hex: str, signed: bool
) -> None:
    request, reply = _packet(request_hex), _packet(reply_hex)
    attributes = reply.octets[38:] if signed else reply.octets[20:]
    made = encode_reply(code, request, attributes, SECRET, message_authenticator=signed)
    assert made.hex() == reply.octets.hex()
    verify_reply(reply, request.authenticator, SECRET, require_ma=signed)


def test_rfc_2865_7_1_pap() -> None:
    request = _packet(PAP_REQUEST)
    assert verify_access_request(request, SECRET, "no") is False
    assert authenticate(request, SECRET, b"arctangent") == Accepted(b"")
    assert isinstance(authenticate(request, SECRET, b"arctangenT"), Refused)
    hidden = credentials.hide_pap(b"arctangent", SECRET, request.authenticator)
    assert hidden == request.first(credentials.USER_PASSWORD)
    assert describe(request) == [
        ("User-Name", "nemo"),
        ("User-Password", "(hidden)"),
        ("NAS-IP-Address", "192.168.1.16"),
        ("NAS-Port", "3"),
    ]


def test_rfc_2865_7_2_chap() -> None:
    request = _packet(CHAP_REQUEST)
    assert authenticate(request, SECRET, b"arctangent") == Accepted(b"")
    assert isinstance(authenticate(request, SECRET, b"Arctangent"), Refused)
    answer = credentials.chap_response(0x16, b"arctangent", request.authenticator)
    assert answer == request.first(credentials.CHAP_PASSWORD)
    assert ("Framed-Protocol", "PPP") in describe(request)


@pytest.mark.parametrize("text", [STATUS_AUTH, STATUS_ACCT])
def test_rfc_5997_status_server_is_believed(text: str) -> None:
    request = _packet(text)
    assert verify_access_request(request, SECRET, "yes") is True
    made = encode_request(
        Code.STATUS_SERVER,
        request.identifier,
        b"",
        SECRET,
        message_authenticator=True,
        authenticator=request.authenticator,
    )
    assert made == request.octets


def test_accounting_start_is_believed_and_made() -> None:
    request = _packet(ACCOUNTING_REQUEST)
    verify_keyed_request(request, SECRET)
    attributes = encode(
        [
            ("User-Name", "nemo"),
            ("NAS-IP-Address", "192.168.1.16"),
            ("Acct-Status-Type", "Start"),
            ("Acct-Session-Id", "81d00032"),
            ("Framed-IP-Address", "100.64.1.2"),
        ]
    )
    made = encode_request(
        Code.ACCOUNTING_REQUEST, 7, attributes, SECRET, message_authenticator=False
    )
    assert made == request.octets


def test_coa_with_a_vendor_attribute_is_believed() -> None:
    request = _packet(COA_REQUEST)
    verify_keyed_request(request, SECRET)
    assert request.vendor(14988, 8) == b"1M/1M"
    assert ("Mikrotik-Rate-Limit", "1M/1M") in describe(request)
    assert describe(_packet(COA_NAK)) == [("Error-Cause", "Session-Context-Not-Found")]


def test_rfc_2433_mschap() -> None:
    nt = credentials.nt_hash("MyPw")
    assert nt.hex().upper() == "FC156AF7EDCD6C0EDDE3337D427F4EAC"
    response = credentials.challenge_response(bytes.fromhex("102DB5DF085D3041"), nt)
    assert response.hex().upper() == "4E9D3C8F9CFD385D5BF4D3246791956CA4C351AB409A3D61"


def test_freeradius_mschap_accept_carries_the_published_keys() -> None:
    challenge = bytes.fromhex("b9634adc358b2ab3")
    response = bytes.fromhex(
        "b901" + "00" * 24 + "7a42408782f745ef90a86fd21b0d9294132750f4af66a419"
    )
    attributes = encode([("MS-CHAP-Challenge", challenge), ("MS-CHAP-Response", response)])
    datagram = encode_request(
        Code.ACCESS_REQUEST, 1, attributes, SECRET, message_authenticator=True
    )
    request = parse(datagram)
    outcome = authenticate(request, SECRET, b"bob")
    assert isinstance(outcome, Accepted)
    reply = parse(
        encode_reply(
            Code.ACCESS_ACCEPT, request, outcome.attributes, SECRET, message_authenticator=True
        )
    )
    hidden = reply.vendor(311, 12)
    keys = "4318b176c3d8e3de9a936faf344359a0f1e3c9b5585b9f1f"
    assert hidden == credentials.hide_pap(bytes.fromhex(keys), SECRET, request.authenticator)
    assert reply.vendor(311, 7) == bytes.fromhex("00000001")
    assert reply.vendor(311, 8) == bytes.fromhex("00000006")


def test_rfc_2759_9_2_mschap2() -> None:
    nt = credentials.nt_hash("clientPass")
    assert nt.hex().upper() == "44EBBA8D5312B8D611474411F56989AE"
    hashed = credentials.challenge_hash(MSCHAP2_PEER_CHALLENGE, MSCHAP2_CHALLENGE, b"User")
    assert hashed.hex().upper() == "D02E4386BCE91226"
    assert credentials.challenge_response(hashed, nt) == MSCHAP2_NT_RESPONSE
    response = credentials.mschap2_response(
        0x2A, nt, b"User", MSCHAP2_CHALLENGE, MSCHAP2_PEER_CHALLENGE
    )
    attributes = encode([("MS-CHAP-Challenge", MSCHAP2_CHALLENGE), ("MS-CHAP2-Response", response)])
    request = parse(
        encode_request(Code.ACCESS_REQUEST, 1, attributes, SECRET, message_authenticator=True)
    )
    for username in (b"User", b"DOMAIN\\User"):
        proof = credentials.check_mschap2(request, nt, username)
        assert proof is not None
        assert proof.success == b"\x2a" + MSCHAP2_SUCCESS
        assert proof.master_key == MPPE_MASTER


def test_rfc_3079_3_5_3_mppe_keys() -> None:
    assert credentials.mppe_key(MPPE_MASTER, server_sends=True) == MPPE_SERVER_SEND
    assert credentials.mppe_key(MPPE_MASTER, server_sends=False) == MPPE_SERVER_RECV


def test_salted_key_as_accepted_by_pyrad() -> None:
    authenticator = bytes.fromhex("0f403f9473978057bd83d5cb98f4227a")
    hidden = credentials.hide_salted(MPPE_SERVER_SEND, SECRET, authenticator, b"\x80\x01")
    assert hidden.hex() == ("8001d7c4aaa4718a06cddca737c2f3bcd1ffef26b141dc036e4cdb731d79248c658e")
