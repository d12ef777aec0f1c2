"""Retransmissions are answered with the octets sent before, and nothing is done twice.

Source: RFC 5080 section 2.2.2. Time is an argument, so a test needs no clock.
"""

from enum import Enum
from typing import Final, Literal, TypeAlias

from radius.errors import LocalError

# Where it came from, as a socket gives it, and Identifier. A cache serves one socket: that is the
# rest of the key.
Key = tuple[tuple[str, int] | tuple[str, int, int, int], int]


class InFlight(Enum):
    """The request is being worked on: drop the copy."""

    PENDING = "pending"


PENDING: Final = InFlight.PENDING


# Authenticator, reply, and when it expires. A plain tuple: one is made for every request.
_Entry: TypeAlias = tuple[bytes, bytes | Literal[InFlight.PENDING], float]


class ReplyCache:
    """Replies by who asked. Ask it only about verified requests: a forgery must not touch it.

    It bounds itself: an entry says nothing after `ttl_s` seconds, and there are never more than
    `entries_max`. Two generations do it: the young one takes what is new; when it holds half of
    what may be kept, or is `ttl_s` old, it becomes the old one and what was old is gone. So nothing
    is ever moved or looked for, and at least the last half of `entries_max` is known.
    """

    def __init__(self, ttl_s: float = 30.0, entries_max: int = 16_384) -> None:
        if ttl_s <= 0 or entries_max < 2:
            raise LocalError(f"a cache of {entries_max} entries for {ttl_s} s keeps too little")
        self._ttl_s = ttl_s
        self._generation_max = entries_max // 2
        self._young: dict[Key, _Entry] = {}
        self._old: dict[Key, _Entry] = {}
        self._ages_at = 0.0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(
        self, key: Key, authenticator: bytes, now: float
    ) -> bytes | Literal[InFlight.PENDING] | None:
        """The reply to send again, PENDING, or None: a new request.

        The same key with another authenticator is a new request, and what was kept is void.
        """
        entry = self._young.get(key)
        if entry is None:
            entry = self._old.get(key)
            if entry is None:
                return None
        known, reply, expires_at = entry
        if known != authenticator or expires_at <= now:
            self.forget(key)
            return None
        return reply

    def begin(self, key: Key, authenticator: bytes, now: float) -> None:
        """Work on this request starts; it is PENDING until `store` or `forget`."""
        self.store(key, authenticator, PENDING, now)

    def store(
        self,
        key: Key,
        authenticator: bytes,
        reply: bytes | Literal[InFlight.PENDING],
        now: float,
    ) -> None:
        """The reply as sent."""
        if len(self._young) >= self._generation_max or now >= self._ages_at:
            # What is older than `ttl_s` need not become the old generation.
            self._old = self._young if now < self._ages_at + self._ttl_s else {}
            self._young = {}
            self._ages_at = now + self._ttl_s
        self._young[key] = (authenticator, reply, now + self._ttl_s)

    def forget(self, key: Key) -> None:
        """No reply was made (ours to mend): a retransmission is to be tried afresh."""
        self._young.pop(key, None)
        self._old.pop(key, None)
