"""Who may be answered, judged from the RFCs alone: not one line of the product's own codec is used.

Source: RFC 2865 sections 3 and 5 (structure), 2866 section 3 and 2869 section 5.14 (signatures),
3579 section 3.2, 5080 section 2.2.2, 5997 section 3. Beside them three rules of ours: at most 200
attributes, at most 4096 octets of datagram, and no Proxy-State in an unsigned request.
"""

import hashlib
import hmac
from typing import Final

ACCESS_REQUEST, ACCESS_ACCEPT, ACCESS_REJECT, ACCESS_CHALLENGE = 1, 2, 3, 11
ACCOUNTING_REQUEST, ACCOUNTING_RESPONSE, STATUS_SERVER = 4, 5, 12
PROXY_STATE, EAP_MESSAGE, MESSAGE_AUTHENTICATOR = 33, 79, 80
_ZEROS: Final = bytes(16)
_ATTRIBUTES_MAX: Final = 200
_OCTETS_MAX: Final = 4096

Attribute = tuple[int, int, bytes]
"""Offset of its type octet, type, value."""


def attributes(packet: bytes) -> list[Attribute] | None:
    """The attributes of a packet without padding; None where one does not fit exactly."""
    found = []
    at = 20
    while at < len(packet):
        if at + 2 > len(packet) or packet[at + 1] < 2 or at + packet[at + 1] > len(packet):
            return None
        found.append((at, packet[at], packet[at + 2 : at + packet[at + 1]]))
        at += packet[at + 1]
    return found


def without_padding(datagram: bytes) -> bytes | None:
    """The packet in a datagram; None where Length cannot be."""
    length = int.from_bytes(datagram[2:4], "big")
    if len(datagram) < 20 or not 20 <= length <= min(len(datagram), _OCTETS_MAX):
        return None
    return datagram[:length]


def answerable_access(datagram: bytes, secret: bytes, *, unsigned_allowed: bool) -> bool:
    """Whether a server that knows `secret` may answer this on its authentication port."""
    packet = _sound(datagram)
    if packet is None or packet[0] not in (ACCESS_REQUEST, STATUS_SERVER):
        return False
    kinds = [kind for _, kind, _ in attributes(packet) or ()]
    if MESSAGE_AUTHENTICATOR in kinds:
        return _signature_holds(packet, packet[4:20], secret)
    if packet[0] == STATUS_SERVER or EAP_MESSAGE in kinds or PROXY_STATE in kinds:
        return False
    return unsigned_allowed


def answerable_accounting(datagram: bytes, secret: bytes) -> bool:
    """Whether a server that knows `secret` may answer this on its accounting port."""
    packet = _sound(datagram)
    if packet is None:
        return False
    kinds = [kind for _, kind, _ in attributes(packet) or ()]
    signed = MESSAGE_AUTHENTICATOR in kinds
    if packet[0] == STATUS_SERVER:
        return signed and _signature_holds(packet, packet[4:20], secret)
    if packet[0] != ACCOUNTING_REQUEST or packet[4:20] != _keyed(packet, _ZEROS, secret):
        return False
    return not signed or _signature_holds(packet, _ZEROS, secret)


def authentic_reply(reply: bytes, request: bytes, secret: bytes) -> bool:
    """Whether `reply` answers `request`, is whole, keyed, and signed where Access must be."""
    packet = _sound(reply)
    if packet is None or len(packet) != len(reply) or packet[1] != request[1]:
        return False
    if packet[4:20] != _keyed(packet, request[4:20], secret):
        return False
    if packet[0] == ACCOUNTING_RESPONSE:
        return request[0] in (ACCOUNTING_REQUEST, STATUS_SERVER)
    first = (attributes(packet) or [(20, 0, b"")])[0]
    return (
        packet[0] in (ACCESS_ACCEPT, ACCESS_REJECT, ACCESS_CHALLENGE)
        and first[1] == MESSAGE_AUTHENTICATOR
        and _signature_holds(packet, request[4:20], secret)
    )


def proxy_state_octets(request: bytes) -> int:
    """How much of the reply the Proxy-States of this request take up."""
    packet = without_padding(request) or b""
    return sum(len(value) + 2 for _, kind, value in attributes(packet) or () if kind == PROXY_STATE)


def signed_anew(datagram: bytes, secret: bytes) -> bytes:
    """The same octets with Length and every signature made right, as far as they have a place."""
    octets = bytearray(datagram[:_OCTETS_MAX].ljust(20, b"\0"))
    octets[2:4] = len(octets).to_bytes(2, "big")
    keyed = octets[0] == ACCOUNTING_REQUEST
    if keyed:
        octets[4:20] = _ZEROS
    for at, kind, value in attributes(bytes(octets)) or ():
        if kind == MESSAGE_AUTHENTICATOR and len(value) == 16:
            octets[at + 2 : at + 18] = _ZEROS
            octets[at + 2 : at + 18] = hmac.digest(secret, bytes(octets), "md5")
            break
    if keyed:
        octets[4:20] = _keyed(bytes(octets), _ZEROS, secret)
    return bytes(octets)


def _sound(datagram: bytes) -> bytes | None:
    packet = without_padding(datagram) if len(datagram) <= _OCTETS_MAX else None
    found = None if packet is None else attributes(packet)
    if found is None or len(found) > _ATTRIBUTES_MAX:
        return None
    kinds = [kind for _, kind, _ in found]
    return None if 0 in kinds or kinds.count(MESSAGE_AUTHENTICATOR) > 1 else packet


def _keyed(packet: bytes, vector: bytes, secret: bytes) -> bytes:
    return hashlib.md5(packet[:4] + vector + packet[20:] + secret).digest()


def _signature_holds(packet: bytes, vector: bytes, secret: bytes) -> bool:
    for at, kind, value in attributes(packet) or ():
        if kind == MESSAGE_AUTHENTICATOR:
            blank = packet[:4] + vector + packet[20 : at + 2] + _ZEROS + packet[at + 18 :]
            return len(value) == 16 and hmac.digest(secret, blank, "md5") == value
    return False
