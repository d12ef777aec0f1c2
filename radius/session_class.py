"""The Class attribute: a NAS repeats it in accounting, and so names the login for us.

`ai:` and 32 hex digits, the shape that FreeRADIUS too takes for the key of a session. They say 16
octets: login u32, generation u32, nonce u16, and 6 of an HMAC, so that we believe only our own.
"""

import hmac
import struct
from typing import Final

from radius.errors import LocalError

_PREFIX: Final = b"ai:"
_FIELDS: Final = struct.Struct("!II2s")
_OCTETS: Final = len(_PREFIX) + 32


def make(key: bytes, login_id: int, generation: int, nonce: bytes) -> bytes:
    """The Class of one Accept, 35 octets. `nonce` is 2 octets and sets redials apart.

    Raises:
        LocalError: a number beyond 32 bits, or a nonce that is not 2 octets.
    """
    if len(nonce) != 2:
        raise LocalError(f"a Class has a nonce of 2 octets, not {len(nonce)}")
    try:
        fields = _FIELDS.pack(login_id, generation, nonce)
    except struct.error as error:
        raise LocalError(f"login {login_id}, generation {generation}: beyond 32 bits") from error
    return _PREFIX + (fields + hmac.digest(key, fields, "sha256")[:6]).hex().encode()


def read(key: bytes, value: bytes) -> tuple[int, int] | None:
    """Login and generation of a Class that `make` issued under `key`; None for any other octets."""
    if len(value) != _OCTETS or not value.startswith(_PREFIX):
        return None
    try:
        login_id, generation, nonce = _FIELDS.unpack_from(bytes.fromhex(value[3:].decode("ascii")))
    except (ValueError, struct.error):
        return None
    if not hmac.compare_digest(make(key, login_id, generation, nonce), value):
        return None
    return login_id, generation
