"""What the grant table holds, as values and as rows: who may log in, and which NASes may ask.

Credentials and shared secrets are sealed with AES-GCM under a key derived from the node's. The rest
of the row and the user name are its additional data: what was altered, or copied under another
name, does not open.
Nonces are random: 2**32 rows may be written under one key, a million a day for eleven years.

Rows, big endian:
    grant   epoch u32, login u64, contract u64, generation u32, sessions_max u16, replies (u16 size;
            each dialect u8 size, attributes u16 size), sealed password to the end
    client  NAS u64, network, dialect, policy (u8 sizes), sealed to the end
    sealed  nonce 12, cipher text, tag 16
"""

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from radius.errors import LocalError

_HEAD: Final = struct.Struct("!IQQIHH")
_SIZE: Final = struct.Struct("!H")
_NAS: Final = struct.Struct("!Q")
_NONCE_OCTETS: Final = 12
_ALTERED: Final = "a row of the grant table was altered or belongs elsewhere"
_REQUIREMENTS: Final = ("yes", "no", "auto")


@dataclass(frozen=True, slots=True)
class Client:
    """A NAS, or a network of NASes with one secret.

    Attributes:
        require_message_authenticator: `yes`, `no` or `auto` (the first request decides).
    """

    nas_id: int
    network: IPv4Network | IPv6Network
    secret: bytes = field(repr=False)
    dialect: str
    require_message_authenticator: str

    def __post_init__(self) -> None:
        if self.require_message_authenticator not in _REQUIREMENTS:
            raise ValueError(
                f"require_message_authenticator is yes, no or auto, "
                f"not {self.require_message_authenticator!r}"
            )
        if not self.secret:
            raise ValueError(f"NAS {self.nas_id} has an empty shared secret")


@dataclass(frozen=True, slots=True)
class Grant:
    """A login's credential and its answers.

    Attributes:
        generation: of the access decision that `replies` say, u32.
        password: as the subscriber types it, octets.
        replies: dialect -> encoded attributes of the Access-Accept, without Message-Authenticator
            and Class.
        sessions_max: how many sessions at once, u16; one more is rejected. 0: never for that.
    """

    login_id: int
    contract_id: int
    generation: int
    password: bytes = field(repr=False)
    replies: Mapping[str, bytes]
    sessions_max: int = 0


class Answer:
    """Of a `Grant`, what answering one NAS needs. `attributes`: None for a dialect not compiled."""

    __slots__ = ("attributes", "generation", "login_id", "password", "sessions_max")

    def __init__(
        self,
        login_id: int,
        generation: int,
        sessions_max: int,
        password: bytes,
        attributes: bytes | None,
    ) -> None:
        self.login_id = login_id
        self.generation = generation
        self.sessions_max = sessions_max
        self.password = password
        self.attributes = attributes


class Rows:
    """Packs and seals values into rows, and back, under one key.

    Attributes:
        key_check: 64 bits that tell this key from another one without giving it away.
    """

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(_derive(key, b"religa grant table", 32))
        self._decrypt = self._aead.decrypt
        self.key_check = int.from_bytes(_derive(key, b"religa grant table check", 8), "big")

    def write_grant(self, username: bytes, grant: Grant, epoch: int) -> bytes:
        """One grant as a row of this epoch.

        Raises:
            LocalError: a number or a reply does not fit.
        """
        try:
            replies = b"".join(
                [
                    _short(dialect) + _SIZE.pack(len(attributes)) + attributes
                    for dialect, attributes in grant.replies.items()
                ]
            )
            numbers = (grant.login_id, grant.contract_id, grant.generation, grant.sessions_max)
            clear = _HEAD.pack(epoch, *numbers, len(replies)) + replies
        except struct.error as error:
            raise LocalError(f"login {grant.login_id} does not fit a row: {error}") from error
        return clear + self._seal(grant.password, clear + username)

    def read_grant(self, username: bytes, row: bytes) -> Grant:
        """One row as the grant of `username`.

        Raises:
            LocalError: sealed under another key or for another name.
        """
        _, login_id, contract_id, generation, sessions_max, end, password = self._open(
            username, row
        )
        replies = {}
        at = _HEAD.size
        while at < end:
            start = at + 1 + row[at]
            stop = start + 2 + (row[start] << 8 | row[start + 1])
            replies[row[at + 1 : start].decode()] = row[start + 2 : stop]
            at = stop
        return Grant(login_id, contract_id, generation, password, replies, sessions_max)

    def read_answer(self, username: bytes, row: bytes, dialect: bytes) -> Answer:
        """Of one row what answers `username` in `dialect`.

        Raises:
            LocalError: sealed under another key or for another name.
        """
        _, login_id, _, generation, sessions_max, end, password = self._open(username, row)
        attributes = None
        at = _HEAD.size
        while at < end:
            start = at + 1 + row[at]
            stop = start + 2 + (row[start] << 8 | row[start + 1])
            if row[at + 1 : start] == dialect:
                attributes = row[start + 2 : stop]
                break
            at = stop
        return Answer(login_id, generation, sessions_max, password, attributes)

    def write_client(self, client: Client) -> bytes:
        """One NAS as a row.

        Raises:
            LocalError: a number or a name does not fit.
        """
        try:
            nas, network = _NAS.pack(client.nas_id), _short(str(client.network))
            names = _short(client.dialect) + _short(client.require_message_authenticator)
        except struct.error as error:
            raise LocalError(f"NAS {client.nas_id} does not fit a row: {error}") from error
        clear = nas + network + names
        return clear + self._seal(client.secret, clear)

    def read_client(self, row: bytes) -> Client:
        """One row as a NAS.

        Raises:
            LocalError: sealed under another key or for another NAS, or damaged.
        """
        try:
            at, names = _NAS.size, []
            for _ in range(3):
                end = at + 1 + row[at]
                names.append(row[at + 1 : end].decode())
                at = end
            network, dialect, requirement = names
            sealed = at + _NONCE_OCTETS
            secret = self._decrypt(row[at:sealed], row[sealed:], row[:at])
            nas_id = _NAS.unpack_from(row)[0]
            return Client(nas_id, ip_network(network), secret, dialect, requirement)
        except (InvalidTag, IndexError, ValueError, struct.error):
            raise LocalError(_ALTERED) from None

    def _open(self, username: bytes, row: bytes) -> tuple[int, int, int, int, int, int, bytes]:
        """The numbers of a grant's row, where its replies end, and the password.

        After this the row is known to be as it was written.
        """
        try:
            epoch, login_id, contract_id, generation, places, size = _HEAD.unpack_from(row)
            end = _HEAD.size + size
            sealed = end + _NONCE_OCTETS
            password = self._decrypt(row[end:sealed], row[sealed:], row[:end] + username)
        except (InvalidTag, ValueError, struct.error):
            raise LocalError(_ALTERED) from None
        return epoch, login_id, contract_id, generation, places, end, password

    def _seal(self, clear: bytes, bound_to: bytes) -> bytes:
        nonce = os.urandom(_NONCE_OCTETS)
        return nonce + self._aead.encrypt(nonce, clear, bound_to)


def epoch_of(row: bytes) -> int:
    """The rebuild or later write that a grant's row comes from."""
    epoch: int = _HEAD.unpack_from(row)[0]
    return epoch


def login_of(row: bytes) -> int:
    """The login that a grant's row belongs to."""
    login_id: int = _HEAD.unpack_from(row)[1]
    return login_id


def places_of(row: bytes) -> tuple[int, int]:
    """The login that a grant's row belongs to, and its `sessions_max`."""
    _, login_id, _, _, sessions_max, _ = _HEAD.unpack_from(row)
    return login_id, sessions_max


def _derive(key: bytes, purpose: bytes, octets: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=octets, salt=None, info=purpose).derive(key)


def _short(text: str) -> bytes:
    octets = text.encode()
    return struct.pack("!B", len(octets)) + octets
