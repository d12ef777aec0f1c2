"""Does the caller know the password? By PAP, CHAP, MS-CHAP, MS-CHAPv2; and what an Accept adds.

Passwords are octets and compared as octets: decoding them first makes different ones equal.

Source: RFC 2865 section 5.2 and 5.3, RFC 2433, RFC 2759, RFC 2548 (how they travel), RFC 3079 (MPPE
keys). The algorithms are old and broken in themselves; the NAS chooses them, not we.
"""

import hashlib
import hmac
import os
from collections.abc import Sequence
from enum import Enum
from typing import Final, Literal, NamedTuple, assert_never

from Crypto.Cipher import DES
from Crypto.Hash import MD4

from radius.codec import VENDOR_SPECIFIC, Packet, Secret, md5, vendor_attribute
from radius.errors import LocalError

USER_NAME: Final = 1
USER_PASSWORD: Final = 2
CHAP_PASSWORD: Final = 3
CHAP_CHALLENGE: Final = 60
MICROSOFT: Final = 311
MS_CHAP_RESPONSE: Final = 1
MS_CHAP_ERROR: Final = 2
MS_MPPE_ENCRYPTION_POLICY: Final = 7
MS_MPPE_ENCRYPTION_TYPES: Final = 8
MS_CHAP_CHALLENGE: Final = 11
MS_CHAP_MPPE_KEYS: Final = 12
MS_MPPE_SEND_KEY: Final = 16
MS_MPPE_RECV_KEY: Final = 17
MS_CHAP2_RESPONSE: Final = 25
MS_CHAP2_SUCCESS: Final = 26

_MICROSOFT_PREFIX: Final = MICROSOFT.to_bytes(4, "big")
_PASSWORD_OCTETS_MAX: Final = 128


# Constants of the RFCs, to the letter.
_LM_TEXT: Final = b"KGS!@#$%"
_SIGNING: Final = b"Magic server to client signing constant"
_PADDING: Final = b"Pad to make it do more than one iteration"
_MASTER: Final = b"This is the MPPE Master Key"
_CLIENT_TO_SERVER: Final = (
    b"On the client side, this is the send key; on the server side, it is the receive key."
)
_SERVER_TO_CLIENT: Final = (
    b"On the client side, this is the receive key; on the server side, it is the send key."
)

# MPPE may be used, at 40 or 128 bits, and need not be: PPPoE lines run without.
_MPPE_ALLOWED: Final = vendor_attribute(
    MICROSOFT, MS_MPPE_ENCRYPTION_POLICY, (1).to_bytes(4, "big")
) + vendor_attribute(MICROSOFT, MS_MPPE_ENCRYPTION_TYPES, (6).to_bytes(4, "big"))


class Accepted(NamedTuple):
    """The password is known. `attributes` (encoded) belong into the Accept."""

    attributes: bytes


class Refused(NamedTuple):
    """It is not. `attributes` (encoded) belong into the Reject; `reason` is for the operator."""

    attributes: bytes
    reason: str


class Mschap2Proof(NamedTuple):
    """What the server proves and shares after MS-CHAPv2.

    Attributes:
        success: the value of MS-CHAP2-Success, 43 octets.
        master_key: 16 octets, from which both MPPE keys come (RFC 3079 section 3.4).
    """

    success: bytes
    master_key: bytes


class Method(Enum):
    """How a credential travels. The value names it for the operator."""

    PAP = "PAP"
    CHAP = "CHAP"
    MSCHAP = "MS-CHAP"
    MSCHAP2 = "MS-CHAPv2"


_PLAIN: Final = Accepted(b"")
_WRONG_PAP: Final = Refused(b"", "wrong password (PAP)")
_WRONG_CHAP: Final = Refused(b"", "wrong password (CHAP)")


def authenticate(
    packet: Packet, secret: Secret, password: bytes, *, nt: bytes | None = None
) -> Accepted | Refused:
    """Check the one credential in an Access-Request that `verify_access_request` let through.

    `password` is UTF-8; `nt` is its `nt_hash`, where that is at hand and need not be computed.
    A request without a credential, or with several, is refused: which one counts would be a guess.
    """
    places = packet.places
    if not packet.repeats and VENDOR_SPECIFIC not in places:
        # As from most NASes. It needs no walk over all attributes.
        pap, chap = USER_PASSWORD in places, CHAP_PASSWORD in places
        if pap and not chap:
            return _PLAIN if check_pap(packet, secret, password) else _WRONG_PAP
        if chap and not pap:
            return _PLAIN if check_chap(packet, password) else _WRONG_CHAP
    offered = _offered(packet)
    if len(offered) != 1:
        if not offered:
            return Refused(b"", "no credential that we know (PAP, CHAP, MS-CHAP)")
        return Refused(b"", "several credentials: " + ", ".join(m.value for m in offered))
    method = offered[0]
    if method is Method.PAP:
        return _PLAIN if check_pap(packet, secret, password) else _WRONG_PAP
    if method is Method.CHAP:
        return _PLAIN if check_chap(packet, password) else _WRONG_CHAP
    return _authenticate_mschap(method, packet, secret, password, nt or _nt_hash(password))


def check_pap(packet: Packet, secret: Secret, password: bytes) -> bool:
    """Whether User-Password, hidden under `secret`, is `password` (RFC 2865 section 5.2)."""
    hidden = packet.first(USER_PASSWORD)
    if hidden is None or not hidden or len(hidden) % 16 or len(hidden) > _PASSWORD_OCTETS_MAX:
        return False
    if len(hidden) == 16:  # as nearly all are
        clear = _xor(hidden, secret.md5_before(packet.authenticator))
        return hmac.compare_digest(clear.rstrip(b"\0"), password)
    clear, vector = b"", packet.authenticator
    for at in range(0, len(hidden), 16):
        block = hidden[at : at + 16]
        clear += _xor(block, secret.md5_before(vector))
        vector = block
    return hmac.compare_digest(clear.rstrip(b"\0"), password)


def check_chap(packet: Packet, password: bytes) -> bool:
    """Whether CHAP-Password answers CHAP-Challenge, or the Request Authenticator in its place."""
    answer = packet.first(CHAP_PASSWORD)
    challenge = packet.first(CHAP_CHALLENGE)
    if challenge is None:
        challenge = packet.authenticator
    if answer is None or len(answer) != 17 or not challenge:
        return False
    return hmac.compare_digest(chap_response(answer[0], password, challenge), answer)


def check_mschap(packet: Packet, nt: bytes) -> bytes | None:
    """The hash of the NT hash (16 octets, RFC 3079 section 2.3) if MS-CHAP-Response is right.

    Only the NT response counts (flags 1): the LM response says nothing about case.
    """
    challenge = packet.vendor(MICROSOFT, MS_CHAP_CHALLENGE)
    answer = packet.vendor(MICROSOFT, MS_CHAP_RESPONSE)
    if challenge is None or len(challenge) != 8 or answer is None or len(answer) != 50:
        return None
    if answer[1] != 1 or not hmac.compare_digest(challenge_response(challenge, nt), answer[26:]):
        return None
    return _md4(nt)


def check_mschap2(packet: Packet, nt: bytes, username: bytes) -> Mschap2Proof | None:
    """Our half of the proof if MS-CHAP2-Response is right (RFC 2759 section 8)."""
    challenge = packet.vendor(MICROSOFT, MS_CHAP_CHALLENGE)
    answer = packet.vendor(MICROSOFT, MS_CHAP2_RESPONSE)
    if challenge is None or len(challenge) != 16 or answer is None or len(answer) != 50:
        return None
    hashed_challenge = challenge_hash(answer[2:18], challenge, username)
    nt_response = answer[26:]
    if not hmac.compare_digest(challenge_response(hashed_challenge, nt), nt_response):
        return None
    hash_hash = _md4(nt)
    digest = _sha1(_sha1(hash_hash + nt_response + _SIGNING) + hashed_challenge + _PADDING)
    success = answer[:1] + b"S=" + digest.hex().upper().encode()
    return Mschap2Proof(success, _sha1(hash_hash + nt_response + _MASTER)[:16])


def nt_hash(password: str) -> bytes:
    """MD4 of the password in UTF-16 (RFC 2433 section A.3), 16 octets. As good as the password."""
    return _md4(password.encode("utf-16-le"))


def lm_key(password: bytes) -> bytes:
    """The first 8 octets of the LM hash (RFC 2433 section A.2): 40-bit keys of MS-CHAPv1."""
    key = _spread(password[:7].upper().ljust(7, b"\0"))
    return DES.new(key, DES.MODE_ECB).encrypt(_LM_TEXT)  # noqa: S304


def challenge_hash(peer_challenge: bytes, challenge: bytes, username: bytes) -> bytes:
    """The 8 octets that MS-CHAPv2 really answers (RFC 2759 section 8.2); the domain is left out."""
    name = username.partition(b"\\")[2] or username
    return _sha1(peer_challenge + challenge + name)[:8]


def challenge_response(challenge: bytes, nt: bytes) -> bytes:
    """8 octets under three DES keys made of the NT hash (RFC 2433 section A.5), 24 octets."""
    keys = nt.ljust(21, b"\0")
    return b"".join(
        [
            DES.new(_spread(keys[at : at + 7]), DES.MODE_ECB).encrypt(challenge)  # noqa: S304
            for at in (0, 7, 14)
        ]
    )


def mppe_key(master_key: bytes, *, server_sends: bool) -> bytes:
    """One direction's 128-bit start key, seen from the server (RFC 3079 section 3.4)."""
    magic = _SERVER_TO_CLIENT if server_sends else _CLIENT_TO_SERVER
    return _sha1(master_key + bytes(40) + magic + b"\xf2" * 40)[:16]


def hide_pap(password: bytes, secret: Secret, authenticator: bytes) -> bytes:
    """The value of User-Password, 16 to 128 octets; what a NAS does (RFC 2865 section 5.2).

    Raises:
        LocalError: more than 128 octets.
    """
    if len(password) > _PASSWORD_OCTETS_MAX:
        raise LocalError(f"a User-Password holds 128 octets, not {len(password)}")
    return _hide(password or b"\0", secret, authenticator)


def hide_salted(key: bytes, secret: Secret, authenticator: bytes, salt: bytes) -> bytes:
    """A key as MS-MPPE-Send-Key and -Recv-Key carry it (RFC 2548 section 2.4.2).

    `salt` is 2 octets, the top bit set, different for each attribute of a packet.
    """
    return salt + _hide(bytes((len(key),)) + key, secret, authenticator + salt)


def chap_response(identifier: int, password: bytes, challenge: bytes) -> bytes:
    """The value of CHAP-Password, 17 octets; what a subscriber's router does."""
    ident = bytes((identifier,))
    return ident + md5(ident + password + challenge).digest()


def mschap_response(identifier: int, nt: bytes, challenge: bytes) -> bytes:
    """The value of MS-CHAP-Response, 50 octets, with the NT response only."""
    return bytes((identifier, 1)) + bytes(24) + challenge_response(challenge, nt)


def mschap2_response(
    identifier: int, nt: bytes, username: bytes, challenge: bytes, peer_challenge: bytes
) -> bytes:
    """The value of MS-CHAP2-Response, 50 octets. Both challenges are 16 octets."""
    response = challenge_response(challenge_hash(peer_challenge, challenge, username), nt)
    return bytes((identifier, 0)) + peer_challenge + bytes(8) + response


def _offered(packet: Packet) -> Sequence[Method]:
    """Every credential in the packet."""
    found = []
    microsoft = False
    for kind, value in packet.attributes:
        if kind == USER_PASSWORD:
            found.append(Method.PAP)
        elif kind == CHAP_PASSWORD:
            found.append(Method.CHAP)
        elif kind == VENDOR_SPECIFIC and value.startswith(_MICROSOFT_PREFIX):
            microsoft = True
    if microsoft:
        if packet.vendor(MICROSOFT, MS_CHAP_RESPONSE) is not None:
            found.append(Method.MSCHAP)
        if packet.vendor(MICROSOFT, MS_CHAP2_RESPONSE) is not None:
            found.append(Method.MSCHAP2)
    return found


def _authenticate_mschap(
    method: Literal[Method.MSCHAP, Method.MSCHAP2],
    packet: Packet,
    secret: Secret,
    password: bytes,
    nt: bytes | None,
) -> Accepted | Refused:
    if nt is None:
        return Refused(b"", f"the password we hold is not UTF-8, as {method.value} needs")
    vector = packet.authenticator
    match method:
        case Method.MSCHAP:
            hash_hash = check_mschap(packet, nt)
            if hash_hash is None:
                return _refuse_mschap(packet, method, MS_CHAP_RESPONSE, 8, b"V=2")
            keys = _hide(lm_key(password) + hash_hash, secret, vector)
            proof = _microsoft(MS_CHAP_MPPE_KEYS, keys)
        case Method.MSCHAP2:
            known = check_mschap2(packet, nt, packet.first(USER_NAME) or b"")
            if known is None:
                tail = b"V=3 M=Authentication failed"
                return _refuse_mschap(packet, method, MS_CHAP2_RESPONSE, 16, tail)
            salt = os.urandom(2)
            first, second = bytes((salt[0] | 128, salt[1])), bytes((salt[0] | 128, salt[1] ^ 1))
            send = mppe_key(known.master_key, server_sends=True)
            receive = mppe_key(known.master_key, server_sends=False)
            proof = (
                _microsoft(MS_CHAP2_SUCCESS, known.success)
                + _microsoft(MS_MPPE_SEND_KEY, hide_salted(send, secret, vector, first))
                + _microsoft(MS_MPPE_RECV_KEY, hide_salted(receive, secret, vector, second))
            )
        case _:
            assert_never(method)
    return Accepted(proof + _MPPE_ALLOWED)


def _refuse_mschap(
    packet: Packet, method: Method, number: int, challenge_octets: int, tail: bytes
) -> Refused:
    """MS-CHAP-Error: wrong password, do not retry (RFC 2759 section 6, RFC 2548 section 2.1.5)."""
    identifier = (packet.vendor(MICROSOFT, number) or b"")[:1]
    challenge = os.urandom(challenge_octets).hex().upper().encode()
    error = identifier + b"E=691 R=0 C=" + challenge + b" " + tail
    return Refused(_microsoft(MS_CHAP_ERROR, error), f"wrong password ({method.value})")


def _microsoft(number: int, value: bytes) -> bytes:
    return vendor_attribute(MICROSOFT, number, value)


def _nt_hash(password: bytes) -> bytes | None:
    try:
        return nt_hash(password.decode())
    except UnicodeDecodeError:
        return None


def _hide(clear: bytes, secret: Secret, vector: bytes) -> bytes:
    """Pad to whole blocks and mask each with the hash of the one before."""
    hidden = b""
    for at in range(0, len(clear), 16):
        vector = _xor(clear[at : at + 16].ljust(16, b"\0"), secret.md5_before(vector))
        hidden += vector
    return hidden


def _xor(left: bytes, right: bytes) -> bytes:
    """Of 16 octets each; as one number, which is three times as fast as octet by octet."""
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(16, "big")


def _spread(key: bytes) -> bytes:
    """7 octets as the 8 of a DES key, the parity bits left 0, which DES ignores."""
    bits = int.from_bytes(key, "big")
    return bytes([(bits >> shift & 0x7F) << 1 for shift in range(49, -1, -7)])


def _md4(octets: bytes) -> bytes:
    return MD4.new(octets).digest()  # noqa: S303


def _sha1(octets: bytes) -> bytes:
    return hashlib.sha1(octets, usedforsecurity=False).digest()
