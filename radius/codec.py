"""One RADIUS packet: octets in, a value out, and back. No sockets, no clock, no dictionary.

Attribute values stay octets; who needs a meaning reads it (accounting, dictionary, credentials).
The order is always: `parse` (structure), `verify_*` (authenticity), only then belief.

Source: RFC 2865 section 3 and 5, 2866 section 3, 2869 section 5.14, 3579 section 3.2, 5176
section 3.3, 5997; the answer to CVE-2024-3596 (Message-Authenticator first in every Access reply).
"""

import hashlib
import hmac
import os
import struct
from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import Final, Literal

from radius.errors import LocalError, PeerError

# MD5 is the protocol's choice, not ours. The interpreter's own is twice as fast as OpenSSL's for
# messages as short as these, where making and copying states is most of the work.
md5: "Callable[[bytes], hashlib._Hash]"
try:
    from _md5 import md5  # type: ignore[import-not-found,no-redef]
except ImportError:  # an interpreter that was built without it
    md5 = partial(hashlib.md5, usedforsecurity=False)

HEADER_OCTETS: Final = 20
PACKET_OCTETS_MAX: Final = 4096  # RFC 2865 section 3
ATTRIBUTES_MAX: Final = 200  # as FreeRADIUS: bounds the work one datagram can ask for

PROXY_STATE: Final = 33
VENDOR_SPECIFIC: Final = 26
EAP_MESSAGE: Final = 79
MESSAGE_AUTHENTICATOR: Final = 80

_ZEROS: Final = bytes(16)
_MA_HEAD: Final = bytes((MESSAGE_AUTHENTICATOR, 18))
_MA_EMPTY: Final = _MA_HEAD + _ZEROS
_PREFIX: Final = struct.Struct("!BBH")
_WRONG_MA: Final = "wrong Message-Authenticator; is the shared secret the same?"


class Code(IntEnum):
    """Packet types (RFC 2865, 2866, 5176, 5997)."""

    ACCESS_REQUEST = 1
    ACCESS_ACCEPT = 2
    ACCESS_REJECT = 3
    ACCOUNTING_REQUEST = 4
    ACCOUNTING_RESPONSE = 5
    ACCESS_CHALLENGE = 11
    STATUS_SERVER = 12
    DISCONNECT_REQUEST = 40
    DISCONNECT_ACK = 41
    DISCONNECT_NAK = 42
    COA_REQUEST = 43
    COA_ACK = 44
    COA_NAK = 45


# Plain ints: looked up for every packet, and an IntEnum member hashes slowly.
_RANDOM_REQUESTS: Final = frozenset(map(int, (Code.ACCESS_REQUEST, Code.STATUS_SERVER)))
_KEYED_REQUESTS: Final = frozenset(
    map(int, (Code.ACCOUNTING_REQUEST, Code.DISCONNECT_REQUEST, Code.COA_REQUEST))
)
_REPLIES: Final = frozenset(map(int, Code)) - _RANDOM_REQUESTS - _KEYED_REQUESTS
_ACCOUNTING_RESPONSE: Final = int(Code.ACCOUNTING_RESPONSE)
_STATUS_SERVER: Final = int(Code.STATUS_SERVER)


class Packet:
    """A well-formed packet, not yet believed.

    Attributes:
        authenticator: 16 octets, request or response.
        octets: the packet as it came, exactly Length octets, without padding.
        places: of each type where in `octets` its first value begins; most questions are answered
            by the first, and few values are asked for at all.
        repeats: how many attributes are of a type that was there before.
    """

    __slots__ = ("authenticator", "code", "identifier", "octets", "places", "repeats")

    def __init__(
        self,
        code: int,
        identifier: int,
        authenticator: bytes,
        octets: bytes,
        places: dict[int, int],
        repeats: int,
    ) -> None:
        self.code = code
        self.identifier = identifier
        self.authenticator = authenticator
        self.octets = octets
        self.places = places
        self.repeats = repeats

    @property
    def attributes(self) -> tuple[tuple[int, bytes], ...]:
        """(type, value) in the order of the wire, values of 0 to 253 octets. Read at each call."""
        octets, at, found = self.octets, HEADER_OCTETS, []
        while at < len(octets):
            end = at + octets[at + 1]
            found.append((octets[at], octets[at + 2 : end]))
            at = end
        return tuple(found)

    def first(self, number: int) -> bytes | None:
        """The value of the first attribute of this type."""
        at = self.places.get(number)
        if at is None:
            return None
        octets = self.octets
        return octets[at : at + octets[at - 1] - 2]

    def all(self, number: int) -> tuple[bytes, ...]:
        """The values of all attributes of this type, in order."""
        if self.repeats and number in self.places:
            return tuple([value for kind, value in self.attributes if kind == number])
        value = self.first(number)
        return () if value is None else (value,)

    def vendor(self, vendor_id: int, number: int) -> bytes | None:
        """The first value of one vendor's sub-attribute (RFC 2865 section 5.26).

        A Vendor-Specific need not follow the recommended layout: where it does not, nothing is
        found and nothing is wrong.
        """
        if VENDOR_SPECIFIC not in self.places:
            return None
        prefix = vendor_id.to_bytes(4, "big")
        for kind, value in self.attributes:
            if kind == VENDOR_SPECIFIC and value.startswith(prefix):
                at, end = 4, len(value)
                while at + 2 <= end:
                    size = value[at + 1]
                    if size < 2 or at + size > end:
                        break
                    if value[at] == number:
                        return value[at + 2 : at + size]
                    at += size
        return None


class Secret:
    """A shared secret with its MD5 states computed once, because every packet needs them."""

    __slots__ = ("_inner", "_outer", "_prefix", "value")  # copy() of each MD5 state

    def __init__(self, value: bytes) -> None:
        if not value:
            raise LocalError("an empty shared secret authenticates nobody; set one for this NAS")
        self.value: Final = value
        key = (md5(value).digest() if len(value) > 64 else value).ljust(64, b"\0")
        self._inner = md5(bytes([octet ^ 0x36 for octet in key])).copy
        self._outer = md5(bytes([octet ^ 0x5C for octet in key])).copy
        self._prefix = md5(value).copy

    def __repr__(self) -> str:
        return "Secret(...)"

    def hmac_md5(self, message: bytes) -> bytes:
        """HMAC-MD5 of `message` (RFC 2104), 16 octets."""
        inner, outer = self._inner(), self._outer()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()

    def md5_before(self, message: bytes) -> bytes:
        """MD5(secret + message): the mask of hidden attributes (RFC 2865 section 5.2)."""
        state = self._prefix()
        state.update(message)
        return state.digest()

    def md5_after(self, message: bytes) -> bytes:
        """MD5(message + secret): every authenticator that is not random."""
        return md5(message + self.value).digest()


def parse(datagram: bytes) -> Packet:
    """One datagram as a packet. Structure only: the code may be any, nothing is authenticated.

    Octets beyond Length are padding and ignored (RFC 2865 section 3).

    Raises:
        PeerError: `malformed`, or `bad_message_authenticator` for one that is doubled or not
            18 octets long: only one of several would be verified, and readers differ on which.
    """
    size = len(datagram)
    if size < HEADER_OCTETS:
        raise PeerError(f"{size} octets are too few for a packet")
    code, identifier, length = _PREFIX.unpack_from(datagram)
    if not HEADER_OCTETS <= length <= PACKET_OCTETS_MAX:
        raise PeerError(f"Length {length} is outside 20..4096")
    if size < length:
        raise PeerError(f"Length says {length} octets, {size} came")
    octets = datagram if size == length else datagram[:length]
    places: dict[int, int] = {}
    repeats = 0
    at = HEADER_OCTETS
    last = length - 1
    while at < last:
        kind = octets[at]
        end = at + octets[at + 1]
        if end < at + 2 or end > length or not kind:
            raise PeerError(f"attribute at octet {at}: type {kind}, length {end - at}")
        if kind in places:
            repeats += 1
            if kind == MESSAGE_AUTHENTICATOR:
                raise PeerError("Message-Authenticator twice", "bad_message_authenticator")
        else:
            places[kind] = at + 2
        at = end
    if at != length:
        raise PeerError("one octet follows the last attribute")
    if len(places) + repeats > ATTRIBUTES_MAX:
        raise PeerError(f"{len(places) + repeats} attributes; {ATTRIBUTES_MAX} are the limit")
    signed_at = places.get(MESSAGE_AUTHENTICATOR)
    if signed_at is not None and octets[signed_at - 1] != 18:
        raise PeerError("Message-Authenticator not 18 octets long", "bad_message_authenticator")
    return Packet(code, identifier, octets[4:20], octets, places, repeats)


def verify_access_request(
    packet: Packet, secret: Secret, require: Literal["yes", "no", "auto"]
) -> bool:
    """Believe an Access-Request or a Status-Server.

    `auto` is `no` for this one packet; the caller learns from the answer.

    Returns:
        Whether a Message-Authenticator was there (and right).

    Raises:
        PeerError: `unexpected_code`, `bad_message_authenticator`,
            `missing_message_authenticator` (required here, or always: with EAP-Message by RFC 3579
            section 3.2, in Status-Server by RFC 5997 section 3), `proxy_state_without_ma`
            (a Proxy-State is where the forgery of CVE-2024-3596 puts its collision).
    """
    if packet.code not in _RANDOM_REQUESTS:
        raise PeerError(f"code {packet.code} is no request for access", "unexpected_code")
    at = packet.places.get(MESSAGE_AUTHENTICATOR)
    if at is not None:
        octets = packet.octets
        expected = secret.hmac_md5(octets[:at] + _ZEROS + octets[at + 16 :])
        if hmac.compare_digest(expected, octets[at : at + 16]):
            return True
        raise PeerError(_WRONG_MA, "bad_message_authenticator")
    if require == "yes" or packet.code == _STATUS_SERVER or EAP_MESSAGE in packet.places:
        raise PeerError(
            "Message-Authenticator missing; see require_message_authenticator for an old NAS",
            "missing_message_authenticator",
        )
    if PROXY_STATE in packet.places:
        raise PeerError(
            "Proxy-State without Message-Authenticator may be forged (CVE-2024-3596)",
            "proxy_state_without_ma",
        )
    return False


def verify_keyed_request(packet: Packet, secret: Secret) -> None:
    """Believe an Accounting-, CoA- or Disconnect-Request: its authenticator is keyed.

    Raises:
        PeerError: `unexpected_code`, `bad_authenticator`, `bad_message_authenticator`.
    """
    if packet.code not in _KEYED_REQUESTS:
        raise PeerError(f"code {packet.code} has no keyed authenticator", "unexpected_code")
    _verify_authenticator(packet, secret, _ZEROS)
    _verify_message_authenticator(packet, secret, (_ZEROS,))


def verify_reply(
    packet: Packet, request_authenticator: bytes, secret: Secret, require_ma: bool = False
) -> None:
    """Believe a reply to the request that carried `request_authenticator`.

    Raises:
        PeerError: `unexpected_code`, `bad_authenticator`, `bad_message_authenticator`,
            `missing_message_authenticator` when required.
    """
    if packet.code not in _REPLIES:
        raise PeerError(f"code {packet.code} is no reply", "unexpected_code")
    _verify_authenticator(packet, secret, request_authenticator)
    vectors: tuple[bytes, ...] = (request_authenticator,)
    if packet.code == _ACCOUNTING_RESPONSE:
        # RFC 2869 does not say; FreeRADIUS and pyrad sign over zeros, except after Status-Server.
        vectors = (_ZEROS, request_authenticator)
    if not _verify_message_authenticator(packet, secret, vectors) and require_ma:
        raise PeerError(
            "the reply carries no Message-Authenticator", "missing_message_authenticator"
        )


def encode_reply(
    code: int, request: Packet, attributes: bytes, secret: Secret, *, message_authenticator: bool
) -> bytes:
    """A reply, signed: Message-Authenticator, `attributes`, then the request's Proxy-States.

    `attributes` are already encoded, without Message-Authenticator and Proxy-State.

    Raises:
        LocalError: longer than 4096 octets.
        PeerError: `malformed`; with the Proxy-States it would be longer.
    """
    if PROXY_STATE in request.places:
        states = b"".join([attribute(PROXY_STATE, value) for value in request.all(PROXY_STATE)])
        if HEADER_OCTETS + len(_MA_EMPTY) + len(attributes) + len(states) > PACKET_OCTETS_MAX:
            raise PeerError(f"{len(states)} octets of Proxy-State leave no room for a reply")
        attributes += states
    vector = request.authenticator
    if not message_authenticator:
        prefix = _prefix(code, request.identifier, len(attributes))
        return prefix + secret.md5_after(prefix + vector + attributes) + attributes
    prefix = _prefix(code, request.identifier, len(attributes) + len(_MA_EMPTY))
    acknowledges = code == _ACCOUNTING_RESPONSE and request.code != _STATUS_SERVER
    signed_over = prefix + (_ZEROS if acknowledges else vector)
    mac = secret.hmac_md5(signed_over + _MA_EMPTY + attributes)
    attributes = _MA_HEAD + mac + attributes
    return prefix + secret.md5_after(prefix + vector + attributes) + attributes


def encode_request(
    code: int,
    identifier: int,
    attributes: bytes,
    secret: Secret,
    *,
    message_authenticator: bool,
    authenticator: bytes | None = None,
) -> bytes:
    """A request, signed; the Message-Authenticator, when asked for, comes first.

    `authenticator` is for an Access-Request whose User-Password is already hidden with it: 16
    octets, random when None. Accounting-, CoA- and Disconnect-Requests compute theirs.

    Raises:
        LocalError: longer than 4096 octets, not a request, an identifier beyond one octet, or an
            authenticator that does not belong.
    """
    if not 0 <= identifier <= 255:
        raise LocalError(f"an Identifier is one octet, not {identifier}")
    if code in _RANDOM_REQUESTS:
        vector = os.urandom(16) if authenticator is None else authenticator
        if len(vector) != 16:
            raise LocalError(f"a Request Authenticator has 16 octets, not {len(vector)}")
    elif code in _KEYED_REQUESTS and authenticator is None:
        vector = _ZEROS
    else:
        raise LocalError(f"code {code} is no request, or its authenticator cannot be chosen")
    if message_authenticator:
        prefix = _prefix(code, identifier, len(attributes) + len(_MA_EMPTY))
        attributes = (
            _MA_HEAD + secret.hmac_md5(prefix + vector + _MA_EMPTY + attributes) + attributes
        )
    else:
        prefix = _prefix(code, identifier, len(attributes))
    if code in _KEYED_REQUESTS:
        vector = secret.md5_after(prefix + _ZEROS + attributes)
    return prefix + vector + attributes


def attribute(number: int, value: bytes) -> bytes:
    r"""One attribute as octets.

    >>> attribute(1, b"nemo")
    b'\x01\x06nemo'

    Raises:
        LocalError: a type outside 1..255 or a value of more than 253 octets.
    """
    if not 1 <= number <= 255 or len(value) > 253:
        raise LocalError(f"attribute {number} cannot hold {len(value)} octets")
    return bytes((number, len(value) + 2)) + value


def vendor_attribute(vendor_id: int, number: int, value: bytes) -> bytes:
    """One vendor's sub-attribute in a Vendor-Specific of its own (RFC 2865 section 5.26).

    Raises:
        LocalError: a type outside 1..255 or a value of more than 247 octets.
    """
    return attribute(VENDOR_SPECIFIC, vendor_id.to_bytes(4, "big") + attribute(number, value))


def _prefix(code: int, identifier: int, attribute_octets: int) -> bytes:
    """Code, Identifier and Length."""
    length = HEADER_OCTETS + attribute_octets
    if length > PACKET_OCTETS_MAX:
        raise LocalError(f"{length} octets do not fit a packet of {PACKET_OCTETS_MAX}")
    return _PREFIX.pack(code, identifier, length)


def _verify_authenticator(packet: Packet, secret: Secret, vector: bytes) -> None:
    octets = packet.octets
    expected = secret.md5_after(octets[:4] + vector + octets[HEADER_OCTETS:])
    if not hmac.compare_digest(expected, packet.authenticator):
        raise PeerError("wrong authenticator; is the shared secret the same?", "bad_authenticator")


def _verify_message_authenticator(
    packet: Packet, secret: Secret, vectors: tuple[bytes, ...]
) -> bool:
    """True if there and right over one of `vectors`, False if absent, PeerError if wrong."""
    at = packet.places.get(MESSAGE_AUTHENTICATOR)
    if at is None:
        return False
    octets = packet.octets
    before, after = octets[HEADER_OCTETS:at], octets[at + 16 :]
    for vector in vectors:
        expected = secret.hmac_md5(b"".join((octets[:4], vector, before, _ZEROS, after)))
        if hmac.compare_digest(expected, octets[at : at + 16]):
            return True
    raise PeerError(_WRONG_MA, "bad_message_authenticator")
