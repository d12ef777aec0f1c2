"""One Accounting-Request as a record: sizes joined, addresses and times readable. No I/O, no clock.

What identifies the record (status type, session id) must be right or nothing is read. The rest is
read as far as it is: an attribute of the wrong size counts as absent, because losing one field of
a bill is better than losing the record, which the NAS believes to be safe with us.

Source: RFC 2866 section 5, 2869 section 5.1 to 5.3, 3162, 4818, 6911.
"""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from radius.codec import Code, Packet
from radius.errors import PeerError

USER_NAME: Final = 1
NAS_PORT: Final = 5
FRAMED_IP_ADDRESS: Final = 8
REPLY_MESSAGE: Final = 18
CLASS: Final = 25
CALLING_STATION_ID: Final = 31
NAS_IDENTIFIER: Final = 32
ACCT_STATUS_TYPE: Final = 40
ACCT_DELAY_TIME: Final = 41
ACCT_INPUT_OCTETS: Final = 42
ACCT_OUTPUT_OCTETS: Final = 43
ACCT_SESSION_ID: Final = 44
ACCT_SESSION_TIME: Final = 46
ACCT_TERMINATE_CAUSE: Final = 49
ACCT_INPUT_GIGAWORDS: Final = 52
ACCT_OUTPUT_GIGAWORDS: Final = 53
EVENT_TIMESTAMP: Final = 55
NAS_PORT_ID: Final = 87
FRAMED_IPV6_PREFIX: Final = 97
DELEGATED_IPV6_PREFIX: Final = 123
FRAMED_IPV6_ADDRESS: Final = 168

_OUR_CLASS: Final = b"ai:"
_MAC: Final = re.compile(
    r"((?:[0-9a-f]{2}[:-]?){5}[0-9a-f]{2}|(?:[0-9a-f]{4}[.-]){2}[0-9a-f]{4})(?![0-9a-z])"
)

# RFC 2866 section 5.10 from 1, then RFC 3580 section 2.3 from 19.
_TERMINATE_CAUSES: Final = (
    "User-Request",
    "Lost-Carrier",
    "Lost-Service",
    "Idle-Timeout",
    "Session-Timeout",
    "Admin-Reset",
    "Admin-Reboot",
    "Port-Error",
    "NAS-Error",
    "NAS-Request",
    "NAS-Reboot",
    "Port-Unneeded",
    "Port-Preempted",
    "Port-Suspended",
    "Service-Unavailable",
    "Callback",
    "User-Error",
    "Host-Request",
    "Supplicant-Restart",
    "Reauthentication-Failure",
    "Port-Reinitialized",
    "Port-Administratively-Disabled",
)


class Status(IntEnum):
    """Acct-Status-Type (RFC 2866 section 5.1), the values that say something about sessions."""

    START = 1
    STOP = 2
    INTERIM = 3
    ON = 7
    OFF = 8


@dataclass(frozen=True, slots=True)
class Record:
    """What a NAS says about one session, or with ON and OFF about itself.

    Attributes:
        acct_session_id: empty only with ON and OFF.
        username: as text, empty when absent.
        class_value: ours when there are several; not yet believed (see `session_class.read`).
        event_at: Event-Timestamp, seconds since 1970; None when absent. The NAS's own clock.
        delay_s: Acct-Delay-Time, seconds that the NAS has been trying to send this.
        session_seconds: Acct-Session-Time.
        input_octets: from the subscriber, gigawords joined.
        output_octets: to the subscriber, gigawords joined.
        gigawords_given: whether a Gigawords attribute was there; without, a counter may have
            wrapped at 4 GiB.
        ipv6: Framed-IPv6-Address, or else Framed-IPv6-Prefix as in `2001:db8::/64`.
        delegated_ipv6: Delegated-IPv6-Prefix.
        mac: Calling-Station-Id as `aa:bb:cc:dd:ee:ff`; None when it is no MAC address.
        nas_port_id: NAS-Port-Id, or else NAS-Port as decimal digits.
        terminate_cause: the RFC's word, or the number of an unknown one.
    """

    status: Status
    acct_session_id: str
    username: str
    class_value: bytes | None
    event_at: float | None
    delay_s: int
    session_seconds: int
    input_octets: int
    output_octets: int
    gigawords_given: bool
    ipv4: str | None
    ipv6: str | None
    delegated_ipv6: str | None
    mac: str | None
    nas_port_id: str | None
    nas_identifier: str | None
    terminate_cause: str | None


def join_gigawords(octets: int, gigawords: int) -> int:
    """Total octets of a session. Both are uint32 on the wire (RFC 2869 section 5.1).

    >>> join_gigawords(5, 1)
    4294967301
    """
    return (gigawords << 32) | octets


def read(packet: Packet) -> Record:
    """Read an Accounting-Request whose authenticator has been verified.

    Raises:
        PeerError: `unexpected_code`; `malformed` without a known Acct-Status-Type, or without an
            Acct-Session-Id where a session is meant.
    """
    if packet.code != Code.ACCOUNTING_REQUEST:
        raise PeerError(f"code {packet.code} is no Accounting-Request", "unexpected_code")
    first = packet.first
    status = _status(first(ACCT_STATUS_TYPE))
    session_id = _text(first(ACCT_SESSION_ID)) or ""
    if not session_id and status not in (Status.ON, Status.OFF):
        raise PeerError(f"{status.name} without Acct-Session-Id names no session")
    input_gigawords = _number(first(ACCT_INPUT_GIGAWORDS))
    output_gigawords = _number(first(ACCT_OUTPUT_GIGAWORDS))
    cause = _number(first(ACCT_TERMINATE_CAUSE))
    return Record(
        status=status,
        acct_session_id=session_id,
        username=_text(first(USER_NAME)) or "",
        class_value=_class(packet.all(CLASS)),
        event_at=_float(_number(first(EVENT_TIMESTAMP))),
        delay_s=_number(first(ACCT_DELAY_TIME)) or 0,
        session_seconds=_number(first(ACCT_SESSION_TIME)) or 0,
        input_octets=join_gigawords(_number(first(ACCT_INPUT_OCTETS)) or 0, input_gigawords or 0),
        output_octets=join_gigawords(
            _number(first(ACCT_OUTPUT_OCTETS)) or 0, output_gigawords or 0
        ),
        gigawords_given=input_gigawords is not None or output_gigawords is not None,
        ipv4=_address(first(FRAMED_IP_ADDRESS), 4),
        ipv6=_address(first(FRAMED_IPV6_ADDRESS), 16) or _prefix(first(FRAMED_IPV6_PREFIX)),
        delegated_ipv6=_prefix(first(DELEGATED_IPV6_PREFIX)),
        mac=_mac(_text(first(CALLING_STATION_ID))),
        nas_port_id=_text(first(NAS_PORT_ID)) or _decimal(_number(first(NAS_PORT))),
        nas_identifier=_text(first(NAS_IDENTIFIER)),
        terminate_cause=None if cause is None else _cause(cause),
    )


def _status(value: bytes | None) -> Status:
    number = _number(value)
    if number is None:
        raise PeerError("Acct-Status-Type is missing or not four octets long")
    try:
        return Status(number)
    except ValueError:
        raise PeerError(f"Acct-Status-Type {number} says nothing about a session") from None


def _number(value: bytes | None) -> int | None:
    return int.from_bytes(value, "big") if value is not None and len(value) == 4 else None


def _float(number: int | None) -> float | None:
    return None if number is None else float(number)


def _decimal(number: int | None) -> str | None:
    return None if number is None else str(number)


def _text(value: bytes | None) -> str | None:
    """Text that is safe to store and to show; None when absent or empty.

    Control characters (NUL is refused by PostgreSQL, ESC is obeyed by terminals) and the invisible
    ones that turn the reading direction become U+FFFD.
    """
    if not value:
        return None
    text = value.decode("utf-8", errors="replace")
    if text.isprintable():
        return text
    return "".join(
        "\ufffd" if unicodedata.category(sign) in ("Cc", "Cf", "Zl", "Zp") else sign
        for sign in text
    )


def _class(values: tuple[bytes, ...]) -> bytes | None:
    for value in values:
        if value.startswith(_OUR_CLASS):
            return value
    return values[0] if values else None


def _address(value: bytes | None, size: int) -> str | None:
    return str(ipaddress.ip_address(value)) if value is not None and len(value) == size else None


def _prefix(value: bytes | None) -> str | None:
    """Reserved octet, prefix length, then as many octets as the NAS cared to send (RFC 3162)."""
    if value is None or not 2 <= len(value) <= 18 or value[1] > 128:
        return None
    base = ipaddress.IPv6Address(value[2:].ljust(16, b"\0"))
    return str(ipaddress.IPv6Network((base, value[1]), strict=False))


def _mac(text: str | None) -> str | None:
    """A MAC address out of `AA-BB-..`, `aabb.ccdd.eeff`, `aabbccddeeff` or `AA-BB-..:SSID`."""
    found = _MAC.match(text.lower()) if text else None
    if found is None:
        return None
    digits = re.sub("[^0-9a-f]", "", found[1])
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def _cause(number: int) -> str:
    return _TERMINATE_CAUSES[number - 1] if 1 <= number <= len(_TERMINATE_CAUSES) else str(number)
