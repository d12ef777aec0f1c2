"""Attribute names and what their octets mean. For compiling replies and for people, not per packet.

The data files beside this module use the FreeRADIUS 3 names and syntax; pyrad reads them.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from pathlib import Path
from struct import error as StructError  # noqa: N812

from pyrad import tools
from pyrad.dictionary import Attribute, Dictionary

from radius.codec import VENDOR_SPECIFIC, Packet, attribute, vendor_attribute
from radius.errors import LocalError

# What lets its reader log in, guess the password at leisure or decrypt the session.
_HIDDEN = frozenset(
    {
        "User-Password",
        "CHAP-Password",
        "MS-CHAP-Response",
        "MS-CHAP2-Response",
        "MS-CHAP-MPPE-Keys",
        "MS-MPPE-Send-Key",
        "MS-MPPE-Recv-Key",
    }
)


def encode(attributes: Iterable[tuple[str, str | int | bytes]]) -> bytes:
    r"""Named attributes as octets, in the order given.

    A `str` is an address, a prefix, the name of an enumerated value, or text, as the attribute's
    type asks; `int` is a number or a time (seconds since 1970); `bytes` goes for text and octets.

    >>> encode([("Service-Type", "Framed-User"), ("Session-Timeout", 60)])
    b'\x06\x06\x00\x00\x00\x02\x1b\x06\x00\x00\x00<'

    Raises:
        LocalError: an unknown name, a value that is not of the attribute's type or too long, or an
            attribute that must be hidden with a secret (see `radius.credentials`).
    """
    octets = []
    for name, value in attributes:
        definition = _definition(name)
        if definition.encrypt:
            raise LocalError(f"{name} is sent hidden; this cannot encode it")
        vendor_id, kind = number(name)
        encoded = _value(definition, value)
        octets.append(
            attribute(kind, encoded)
            if vendor_id is None
            else vendor_attribute(vendor_id, kind, encoded)
        )
    return b"".join(octets)


def number(name: str) -> tuple[int | None, int]:
    """The vendor (None: a standard attribute) and the type of a name.

    >>> number("Mikrotik-Rate-Limit")
    (14988, 8)

    Raises:
        LocalError: an unknown name.
    """
    definition = _definition(name)
    vendor_id = _dictionary().vendors.GetForward(definition.vendor)
    return vendor_id or None, definition.code


def describe(packet: Packet) -> list[tuple[str, str]]:
    """Names and readable values of any packet, safe to print: text escaped, secrets not shown.

    An attribute that is unknown or not of its type is shown as hex.
    """
    lines = []
    for kind, value in packet.attributes:
        parts = _vendor_parts(value) if kind == VENDOR_SPECIFIC else None
        if parts is None:
            lines.append(_line(_names().get((0, kind)), f"Attr-{kind}", value))
            continue
        vendor_id = int.from_bytes(value[:4], "big")
        for part, octets in parts:
            known = _names().get((vendor_id, part))
            lines.append(_line(known, f"Vendor-{vendor_id}-Attr-{part}", octets))
    return lines


@cache
def _dictionary() -> Dictionary:
    return Dictionary(str(Path(__file__).with_name("dictionary")))


@cache
def _names() -> dict[tuple[int, int], str]:
    """(vendor or 0, type) to name."""
    numbers = ((name, number(name)) for name in _dictionary().attributes)
    return {(vendor_id or 0, kind): name for name, (vendor_id, kind) in numbers}


def _definition(name: str) -> Attribute:
    try:
        return _dictionary().attributes[name]
    except KeyError:
        raise LocalError(f"{name}: no such attribute in the dictionary") from None


def _value(definition: Attribute, value: str | int | bytes) -> bytes:
    kind = definition.type
    if kind in ("string", "octets"):
        # Not by pyrad: it turns the text "65" into the octet 65, and "0x41" into "A".
        if isinstance(value, int):
            raise LocalError(f"{definition.name} takes text or octets, not a number")
        return value.encode() if isinstance(value, str) else value
    if isinstance(value, bytes):
        raise LocalError(f"{definition.name} takes a value of type {kind}, not octets")
    if definition.values.HasForward(value):
        encoded: bytes = definition.values.GetForward(value)
        return encoded
    try:
        encoded = tools.EncodeAttr(kind, value)
    except (ValueError, TypeError, StructError) as error:
        raise LocalError(f"{definition.name}: {value!r} is not of type {kind}") from error
    return encoded


def _vendor_parts(value: bytes) -> list[tuple[int, bytes]] | None:
    """Sub-attributes of a Vendor-Specific, or None when it does not hold any."""
    parts, at = [], 4
    while at < len(value):
        if at + 2 > len(value) or value[at + 1] < 2 or at + value[at + 1] > len(value):
            return None
        parts.append((value[at], value[at + 2 : at + value[at + 1]]))
        at += value[at + 1]
    return parts or None


def _line(name: str | None, fallback: str, value: bytes) -> tuple[str, str]:
    if name is None:
        return fallback, "0x" + value.hex()
    if name in _HIDDEN:
        return name, "(hidden)"
    definition = _definition(name)
    if definition.values.HasBackward(value):
        return name, str(definition.values.GetBackward(value))
    return name, _readable(definition.type, value)


def _readable(kind: str, value: bytes) -> str:
    match kind, len(value):
        case "string", _:
            text = value.decode(errors="backslashreplace")
            return "".join(
                c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
            )
        case "integer", 4:
            return str(int.from_bytes(value, "big"))
        case "date", 4:
            return datetime.fromtimestamp(int.from_bytes(value, "big"), UTC).isoformat()
        case "ipaddr", 4:
            return str(IPv4Address(value))
        case "ipv6addr", 16:
            return str(IPv6Address(value))
        case "ipv6prefix", size if 2 <= size <= 18 and value[1] <= 128:
            prefix = IPv6Address(value[2:].ljust(16, b"\0"))
            return str(IPv6Network((prefix, value[1]), strict=False))
        case "ifid", 8:
            return value.hex(":", 2)
        case _:
            return "0x" + value.hex()
