"""Datagrams that must meet silence, each sound and rightly signed but for the one fault it is
named after, so that nothing but that fault can be the reason; and some that must be answered.

Made by hand, not by the product's codec. Source: what other servers were found to accept (an
attribute past the end, a second Message-Authenticator, 8192 octets), RFC 2865 section 3 and 5, 3579
section 3.2, 5997 section 3, and CVE-2024-3596.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import md5
from typing import Final, Literal

from tests.support.radius_worker import SECRET

Port = Literal["auth", "acct"]
_VECTOR: Final = bytes(range(16))
_STATUS: Final = b"\x28\x06\x00\x00\x00\x01"


@dataclass(frozen=True, slots=True)
class Case:
    """What to send where, and which counter moves by one."""

    port: Port
    datagram: bytes
    counter: str


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute."""
    return bytes((kind, len(value) + 2)) + value


def access(body: bytes, *, code: int = 1, identifier: int = 9, length: int | None = None) -> bytes:
    """An Access-Request whose Message-Authenticator is first and right, whatever `body` is."""
    size = 38 + len(body) if length is None else length
    head = bytes((code, identifier)) + size.to_bytes(2, "big") + _VECTOR + b"\x50\x12"
    mac = hmac.digest(SECRET.value, (head + bytes(16) + body)[:size], "md5")
    return head + mac + body


def unsigned(body: bytes, *, code: int = 1) -> bytes:
    """An Access-Request or Status-Server without Message-Authenticator."""
    return bytes((code, 9)) + (20 + len(body)).to_bytes(2, "big") + _VECTOR + body


def record(body: bytes, *, code: int = 4, identifier: int = 9, length: int | None = None) -> bytes:
    """An Accounting-Request (Start) whose authenticator is right, whatever `body` is."""
    body = _STATUS + attribute(44, b"must-reject") + body
    size = 20 + len(body) if length is None else length
    head = bytes((code, identifier)) + size.to_bytes(2, "big")
    return head + md5((head + bytes(16) + body)[:size] + SECRET.value).digest() + body


def damaged(datagram: bytes, at: int) -> bytes:
    """The same with one bit of the octet at `at` turned."""
    return datagram[:at] + bytes((datagram[at] ^ 1,)) + datagram[at + 1 :]


_NAME: Final = attribute(1, b"ana")
_MAC: Final = attribute(80, bytes(16))
_UNSOUND: Final[Mapping[str, bytes]] = {
    "an attribute past the end of the packet": b"\x01\x0aana",
    "an attribute of length 0": b"\x01\x00",
    "an attribute of length 1": b"\x01\x01",
    "a lone octet after the last attribute": _NAME + b"\x01",
    "an attribute of type 0": b"\x00\x02",
    "more than 200 attributes": attribute(25, b"") * 201,
    "a Length of 4097": attribute(25, bytes(253)) * 16,
}
_WIDE: Final = attribute(25, b"x" * 253) * 15

REJECTED: Final[Mapping[str, Case]] = {
    "nothing at all": Case("auth", b"", "malformed"),
    "nineteen octets": Case("auth", access(b"")[:19], "malformed"),
    **{
        f"{name}, access": Case("auth", access(body), "malformed")
        for name, body in _UNSOUND.items()
    },
    **{
        f"{name}, accounting": Case("acct", record(body), "malformed")
        for name, body in _UNSOUND.items()
    },
    "a datagram shorter than Length, access": Case("auth", access(_NAME)[:-1], "malformed"),
    "a datagram shorter than Length, accounting": Case("acct", record(_NAME)[:-1], "malformed"),
    "a Length of 19": Case("acct", record(_NAME, length=19), "malformed"),
    "padding that cuts an attribute": Case(
        "auth", access(_NAME + _NAME, length=38 + 8), "malformed"
    ),
    "padding beyond 4096 octets": Case("auth", access(_NAME) + bytes(4096), "malformed"),
    "8192 octets": Case("acct", record(_NAME) + bytes(8192 - len(record(_NAME))), "malformed"),
    "two Message-Authenticators": Case("auth", access(_MAC), "bad_message_authenticator"),
    "two Message-Authenticators, accounting": Case(
        "acct", record(_MAC + _MAC), "bad_message_authenticator"
    ),
    "a Message-Authenticator of 15 octets": Case(
        "auth", unsigned(attribute(80, bytes(15))), "bad_message_authenticator"
    ),
    "a Message-Authenticator of 17 octets": Case(
        "auth", unsigned(attribute(80, bytes(17))), "bad_message_authenticator"
    ),
    "a wrong Message-Authenticator": Case(
        "auth", damaged(access(_NAME), 30), "bad_message_authenticator"
    ),
    "a wrong Message-Authenticator in right accounting": Case(
        "acct", record(_MAC), "bad_message_authenticator"
    ),
    "a right Message-Authenticator over another name": Case(
        "auth", damaged(access(_NAME), 40), "bad_message_authenticator"
    ),
    "a wrong authenticator": Case("acct", damaged(record(_NAME), 4), "bad_authenticator"),
    "a right authenticator over another session": Case(
        "acct", damaged(record(_NAME), 30), "bad_authenticator"
    ),
    "Proxy-State in an unsigned request": Case(
        "auth", unsigned(_NAME + attribute(33, b"collision")), "proxy_state_without_ma"
    ),
    "EAP-Message in an unsigned request": Case(
        "auth", unsigned(_NAME + attribute(79, b"\x02\x01")), "missing_message_authenticator"
    ),
    "an unsigned Status-Server": Case(
        "auth", unsigned(b"", code=12), "missing_message_authenticator"
    ),
    "an unsigned Status-Server, accounting": Case(
        "acct", unsigned(b"", code=12), "missing_message_authenticator"
    ),
    "an Access-Request to the accounting port": Case("acct", access(_NAME), "unexpected_code"),
    "an Accounting-Request to the authentication port": Case(
        "auth", record(_NAME), "unexpected_code"
    ),
    **{
        f"code {code} to the authentication port": Case(
            "auth", access(_NAME, code=code), "unexpected_code"
        )
        for code in (0, 2, 3, 11, 40, 43, 255)
    },
    **{
        f"code {code} to the accounting port": Case(
            "acct", record(_NAME, code=code), "unexpected_code"
        )
        for code in (0, 2, 5, 40, 43, 255)
    },
}
"""Silence, whatever the NAS's settings."""

ANSWERED: Final[Mapping[str, Case]] = {
    "padding beyond Length": Case("auth", access(_NAME) + b"\x01\x00" * 50, "access_reject"),
    "padding beyond Length, accounting": Case(
        "acct", record(_NAME) + b"\x01\x00" * 50, "accounting_response"
    ),
    "4096 octets": Case("auth", access(_WIDE + attribute(25, b"y" * 231)), "access_reject"),
    "200 attributes": Case("auth", access(attribute(25, b"") * 199), "access_reject"),
    "200 attributes, accounting": Case(
        "acct", record(attribute(25, b"") * 198), "accounting_response"
    ),
    "no attribute but the signature": Case("auth", access(b""), "access_reject"),
    "extended attributes": Case(
        "auth",
        access(b"".join(attribute(kind, b"\x01\x80") for kind in range(241, 247))),
        "access_reject",
    ),
    "an EAP-Message in two halves": Case(
        "auth", access(_NAME + attribute(79, bytes(253)) + attribute(79, b"x")), "access_reject"
    ),
    "a vendor's attribute of length 0": Case(
        "auth", access(attribute(26, b"\x00\x00\x01\x37\x0b\x00")), "access_reject"
    ),
    "a Vendor-Specific of two octets": Case(
        "auth", access(attribute(26, b"\0\0")), "access_reject"
    ),
}
"""Odd and allowed: one reply, and `counter` moves by one."""
