"""The Class attribute: a NAS repeats it in accounting, and so names the login for us.

`ai:` and 32 hex digits, the shape that FreeRADIUS too takes for the key of a session. They say 16
octets: login u32, generation u32, nonce u16, and 6 of a keyed hash (BLAKE2s, RFC 7693), so that we
believe only our own. HMAC-SHA-256 would take a tenth of what a whole Accept costs.
"""

import hashlib
import hmac
import struct
from binascii import hexlify
from typing import Final

from radius.errors import LocalError

_PREFIX: Final = b"ai:"
_FIELDS: Final = struct.Struct("!II2s")
OCTETS: Final = len(_PREFIX) + 32
_TAG_OCTETS: Final = 6


class Issuer:
    """Makes and knows the Class values of one key, whose hash is keyed once."""

    __slots__ = ("_state",)

    def __init__(self, key: bytes) -> None:
        # Keys of any length, so they are hashed to fit.
        short = hashlib.sha256(key).digest()
        self._state: Final = hashlib.blake2s(key=short, digest_size=_TAG_OCTETS).copy

    def make(self, login_id: int, generation: int, nonce: bytes) -> bytes:
        """The Class of one Accept, 35 octets. `nonce` is 2 octets and sets redials apart.

        Raises:
            LocalError: a number beyond 32 bits, or a nonce that is not 2 octets.
        """
        if len(nonce) != 2:
            raise LocalError(f"a Class has a nonce of 2 octets, not {len(nonce)}")
        try:
            fields = _FIELDS.pack(login_id, generation, nonce)
        except struct.error as error:
            raise LocalError(
                f"login {login_id}, generation {generation}: beyond 32 bits"
            ) from error
        state = self._state()
        state.update(fields)
        return _PREFIX + hexlify(fields + state.digest())

    def read(self, value: bytes) -> tuple[int, int] | None:
        """Login and generation of a Class that `make` issued; None for any other octets."""
        if len(value) != OCTETS or not value.startswith(_PREFIX):
            return None
        try:
            octets = bytes.fromhex(value[3:].decode("ascii"))
            login_id, generation, nonce = _FIELDS.unpack_from(octets)
        except (ValueError, struct.error):
            return None
        if not hmac.compare_digest(self.make(login_id, generation, nonce), value):
            return None
        return login_id, generation
