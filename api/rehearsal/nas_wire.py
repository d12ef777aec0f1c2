"""RADIUS as the simulated NAS reads and writes it: it is to judge our codec, so it shares none.

A datagram that does not hold together reads as None; whoever asks stays silent.
Source: RFC 2865 section 3, RFC 2869 section 5.14, RFC 5176 sections 2.3 and 3.5.
"""

import hashlib
import hmac
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

ZERO_AUTHENTICATOR = bytes(16)


class Code(IntEnum):
    ACCESS_REQUEST = 1
    ACCESS_ACCEPT = 2
    ACCESS_REJECT = 3
    ACCOUNTING_REQUEST = 4
    ACCOUNTING_RESPONSE = 5
    DISCONNECT_REQUEST = 40
    DISCONNECT_ACK = 41
    DISCONNECT_NAK = 42
    COA_REQUEST = 43
    COA_ACK = 44
    COA_NAK = 45


class Type(IntEnum):
    USER_NAME = 1
    USER_PASSWORD = 2
    CHAP_PASSWORD = 3
    NAS_IP_ADDRESS = 4
    NAS_PORT = 5
    SERVICE_TYPE = 6
    FRAMED_PROTOCOL = 7
    FRAMED_IP_ADDRESS = 8
    FILTER_ID = 11
    CLASS = 25
    VENDOR_SPECIFIC = 26
    CALLING_STATION_ID = 31
    NAS_IDENTIFIER = 32
    PROXY_STATE = 33
    ACCT_STATUS_TYPE = 40
    ACCT_DELAY_TIME = 41
    ACCT_INPUT_OCTETS = 42
    ACCT_OUTPUT_OCTETS = 43
    ACCT_SESSION_ID = 44
    ACCT_AUTHENTIC = 45
    ACCT_SESSION_TIME = 46
    ACCT_TERMINATE_CAUSE = 49
    ACCT_INPUT_GIGAWORDS = 52
    ACCT_OUTPUT_GIGAWORDS = 53
    EVENT_TIMESTAMP = 55
    CHAP_CHALLENGE = 60
    NAS_PORT_TYPE = 61
    MESSAGE_AUTHENTICATOR = 80
    ACCT_INTERIM_INTERVAL = 85
    NAS_PORT_ID = 87
    ERROR_CAUSE = 101


Attribute = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Datagram:
    """One packet as it came; `octets` are exactly as many as its Length field says."""

    code: int
    identifier: int
    authenticator: bytes
    attributes: tuple[Attribute, ...]
    octets: bytes

    def first(self, kind: int) -> bytes | None:
        return next((value for number, value in self.attributes if number == kind), None)

    def vendor(self, vendor: int, kind: int) -> bytes | None:
        """The first value of a vendor's attribute, wherever it stands in a Vendor-Specific."""
        for number, value in self.attributes:
            if number != Type.VENDOR_SPECIFIC or len(value) < 4:
                continue
            if int.from_bytes(value[:4], "big") != vendor:
                continue
            for inner, content in _walk(value[4:], overrun_ends=True) or ():
                if inner == kind:
                    return content
        return None


def _walk(octets: bytes, *, overrun_ends: bool = False) -> tuple[Attribute, ...] | None:
    found: list[Attribute] = []
    at = 0
    while at < len(octets):
        length = octets[at + 1] if at + 1 < len(octets) else 0
        if length < 2 or at + length > len(octets):
            return tuple(found) if overrun_ends else None
        found.append((octets[at], octets[at + 2 : at + length]))
        at += length
    return tuple(found)


def read(octets: bytes) -> Datagram | None:
    """The packet in a datagram, or None if it is malformed. Padding after Length is ignored."""
    if len(octets) < 20:
        return None
    length = int.from_bytes(octets[2:4], "big")
    if not 20 <= length <= min(len(octets), 4096):
        return None
    octets = octets[:length]
    attributes = _walk(octets[20:])
    if attributes is None:
        return None
    return Datagram(octets[0], octets[1], octets[4:20], attributes, octets)


def number(value: int) -> bytes:
    """A 32-bit attribute value."""
    return struct.pack("!I", value)


def pack(attributes: Sequence[Attribute]) -> bytes:
    return b"".join(bytes((kind, len(value) + 2)) + value for kind, value in attributes)


def vendor_specific(vendor: int, kind: int, value: bytes) -> Attribute:
    return Type.VENDOR_SPECIFIC, number(vendor) + bytes((kind, len(value) + 2)) + value


def access_request(
    identifier: int, authenticator: bytes, attributes: Sequence[Attribute], secret: bytes
) -> bytes:
    """An Access-Request with its Message-Authenticator first."""
    body = pack([(Type.MESSAGE_AUTHENTICATOR, bytes(16)), *attributes])
    head = struct.pack("!BBH", Code.ACCESS_REQUEST, identifier, 20 + len(body)) + authenticator
    signature = hmac.digest(secret, head + body, "md5")
    return head + body[:2] + signature + body[18:]


def keyed_request(
    code: Code, identifier: int, attributes: Sequence[Attribute], secret: bytes
) -> bytes:
    """An Accounting-, CoA- or Disconnect-Request: its authenticator is a keyed digest."""
    body = pack(attributes)
    head = struct.pack("!BBH", code, identifier, 20 + len(body))
    return head + _md5(head, ZERO_AUTHENTICATOR, body, secret) + body


def reply(
    code: Code,
    request: Datagram,
    attributes: Sequence[Attribute],
    secret: bytes,
    *,
    message_authenticator: bool,
) -> bytes:
    """An answer to `request`, its Proxy-States carried back unchanged."""
    proxied = [(kind, value) for kind, value in request.attributes if kind == Type.PROXY_STATE]
    signed = [(int(Type.MESSAGE_AUTHENTICATOR), bytes(16))] if message_authenticator else []
    body = pack([*signed, *attributes, *proxied])
    head = struct.pack("!BBH", code, request.identifier, 20 + len(body))
    if message_authenticator:
        signature = hmac.digest(secret, head + request.authenticator + body, "md5")
        body = body[:2] + signature + body[18:]
    return head + _md5(head, request.authenticator, body, secret) + body


def _md5(*parts: bytes) -> bytes:
    return hashlib.md5(b"".join(parts)).digest()  # noqa: S324 -- RFC 2865 section 3 says MD5


def reply_is_genuine(answer: Datagram, request_authenticator: bytes, secret: bytes) -> bool:
    """Whether the Response Authenticator of `answer` was made by a holder of the secret."""
    octets = answer.octets
    expected = _md5(octets[:4], request_authenticator, octets[20:], secret)
    return hmac.compare_digest(expected, answer.authenticator)


def keyed_request_is_genuine(request: Datagram, secret: bytes) -> bool:
    octets = request.octets
    expected = _md5(octets[:4], ZERO_AUTHENTICATOR, octets[20:], secret)
    return hmac.compare_digest(expected, request.authenticator)


def message_authenticator(packet: Datagram, authenticator: bytes, secret: bytes) -> bool | None:
    """Whether the packet's Message-Authenticator holds; None if it carries none.

    Args:
        packet: what came.
        authenticator: the 16 bytes that stand in the authenticator's place in the computation:
            the request's own for replies, zeros for CoA- and Disconnect-Requests.
        secret: shared with the peer.
    """
    at = 20
    for kind, value in packet.attributes:
        if kind == Type.MESSAGE_AUTHENTICATOR:
            blank = (
                packet.octets[20 : at + 2]
                + bytes(len(value))
                + packet.octets[at + 2 + len(value) :]
            )
            expected = hmac.digest(secret, packet.octets[:4] + authenticator + blank, "md5")
            return hmac.compare_digest(expected, value)
        at += 2 + len(value)
    return None


def hidden_password(password: bytes, authenticator: bytes, secret: bytes) -> bytes:
    """User-Password as RFC 2865 section 5.2 hides it."""
    padded = password.ljust(max(16, -(-len(password) // 16) * 16), b"\0")
    hidden = b""
    previous = authenticator
    for at in range(0, len(padded), 16):
        mask = int.from_bytes(_md5(secret, previous), "big")
        block = int.from_bytes(padded[at : at + 16], "big")
        previous = (mask ^ block).to_bytes(16, "big")
        hidden += previous
    return hidden


def chap_password(password: bytes, challenge: bytes) -> bytes:
    """CHAP-Password as RFC 2865 section 5.3: an identifier and the digest of RFC 1994."""
    chap_id = os.urandom(1)
    return chap_id + _md5(chap_id, password, challenge)
