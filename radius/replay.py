"""Retransmissions are answered with the octets sent before, and nothing is done twice.

Source: RFC 5080 section 2.2.2. Time is an argument, so a test needs no clock.
"""

from collections import OrderedDict
from enum import Enum
from typing import Final, Literal, TypeAlias

from radius.errors import LocalError

# Source address, source port, Identifier. A cache serves one socket: that is the rest of the key.
Key = tuple[str | bytes, int, int]


class InFlight(Enum):
    """The request is being worked on: drop the copy."""

    PENDING = "pending"


PENDING: Final = InFlight.PENDING


# Authenticator, reply, and when it expires. A plain tuple: one is made for every request.
_Entry: TypeAlias = tuple[bytes, bytes | Literal[InFlight.PENDING], float]
_EXPIRES_AT: Final = 2


class ReplyCache:
    """Replies by who asked. Ask it only about verified requests: a forgery must not touch it.

    It bounds itself: entries live `ttl_s` seconds, and beyond `entries_max` the oldest goes.
    """

    def __init__(self, ttl_s: float = 30.0, entries_max: int = 16_384) -> None:
        if ttl_s <= 0 or entries_max < 1:
            raise LocalError(f"a cache of {entries_max} entries for {ttl_s} s keeps nothing")
        self._ttl_s = ttl_s
        self._entries_max = entries_max
        # In the order of expiry, because every entry lives equally long and is put in at the end.
        # A plain dict would walk over its deleted entries to find the oldest.
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(
        self, key: Key, authenticator: bytes, now: float
    ) -> bytes | Literal[InFlight.PENDING] | None:
        """The reply to send again, PENDING, or None: a new request.

        The same key with another authenticator is a new request, and what was kept is void.
        """
        entry = self._entries.get(key)
        if entry is None:
            return None
        known, reply, expires_at = entry
        if known != authenticator or expires_at <= now:
            del self._entries[key]
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
        entries = self._entries
        entries[key] = (authenticator, reply, now + self._ttl_s)
        entries.move_to_end(key)
        oldest = next(iter(entries))
        while len(entries) > self._entries_max or entries[oldest][_EXPIRES_AT] < now:
            del entries[oldest]
            oldest = next(iter(entries))

    def forget(self, key: Key) -> None:
        """No reply was made (ours to mend): a retransmission is to be tried afresh."""
        self._entries.pop(key, None)
