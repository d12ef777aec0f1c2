"""Who is on the line, as far as this node's NASes said: the memory behind Simultaneous-Use.

All workers of a node share it, because a login's second request may reach another worker than its
first. An Accept reserves a place until the Start comes, so that two requests at the same moment
cannot both find the last place free.

It is a witness for rejecting, never for accepting: what is lost or unknown lets the login in. So no
write waits for the disk, and a machine's restart begins with nothing.

Row of a login: entries of 33 octets, oldest first.
"""

import hashlib
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from radius.mapped import Mapped, Txn

_U64: Final = struct.Struct("!Q")
_F64: Final = struct.Struct("!d")
_ENTRY: Final = struct.Struct("!8s8s8sdB")
_MAP_BYTES: Final = 8 << 30  # of addresses; the file is as large as what was ever in it at once

RESERVED_S: Final = 10.0
"""What a NAS may take from Accept to Start."""

_ENTRIES_MAX: Final = 32  # of one login: a NAS that invents sessions fills a page, not the disk


# An entry: session key 8, station 8, NAS 8, heard at (seconds since 1970), state. Plain tuples,
# because this runs for every login.
_Entry: TypeAlias = tuple[bytes, bytes, bytes, float, int]
_KEY, _STATION, _NAS, _HEARD_AT, _STATE = range(5)

_RESERVED: Final = 0
_OPEN: Final = 1
# Kept for a while: an interim that the Stop overtook must not bring the session back.
_STOPPED: Final = 2


class Ask(NamedTuple):
    """A place that is asked for.

    Attributes:
        login_id: whose.
        key: of the session to come, `digest` of its Class.
        station: of the equipment, `station`.
        nas: `digest` of the NAS that asks.
        sessions_max: how many places there are, at least 1.
    """

    login_id: int
    key: bytes
    station: bytes
    nas: bytes
    sessions_max: int


class Heard(NamedTuple):
    """What one accounting record says of one session."""

    login_id: int
    key: bytes
    station: bytes
    nas: bytes
    heard_at: float
    stopped: bool


NO_STATION: Final = bytes(8)


def station(calling_station_id: bytes | None) -> bytes:
    """Whose equipment it is: 8 octets, `NO_STATION` if the NAS does not say.

    The same equipment that dials again has lost its line, whatever the NAS knows of it by now, and
    is not a second one. The port does not count: many NASes name a new one for every session, and
    after a power cut nobody must wait until the old session is found dead.
    """
    return digest(calling_station_id.lower()) if calling_station_id else NO_STATION


def digest(first: bytes, second: bytes = b"") -> bytes:
    """8 octets that stand for these."""
    return hashlib.blake2s(b"%d:%b%b" % (len(first), first, second), digest_size=8).digest()


class Presence:
    """The places taken by each login, in the directory `path`.

    Args:
        path: shared by the workers of a node.
        stale_after_s: a session not heard of for so long does not count.

    Raises:
        LocalError: it cannot be opened, and by every method: it cannot be read or written.
    """

    def __init__(self, path: Path, stale_after_s: float) -> None:
        self._lives_s = (RESERVED_S, stale_after_s, stale_after_s)
        names = (b"places", b"restarts")
        self._mapped = Mapped(path, "presence", names, map_bytes=_MAP_BYTES, durable=False)
        self._places, self._restarts = self._mapped.databases

    def take(self, asks: Sequence[Ask], now: float) -> list[bool]:
        """Reserve places for what is about to be accepted; False: all are taken by others.

        Together they cost little more than one: to write is dear, and the workers of a node write
        in turn. `now` is in seconds since 1970.
        """
        # Most of those who dial again, as after a power cut, still have their place by their lost
        # line, and to read that is much cheaper than to write.
        found = self._mapped.read(lambda txn: [self._look(txn, ask, now) for ask in asks])
        if None in found:
            undecided = [ask for ask, room in zip(asks, found, strict=True) if room is None]
            reserved = iter(
                self._mapped.write(lambda txn: [self._reserve(txn, ask, now) for ask in undecided])
            )
            return [next(reserved) if room is None else room for room in found]
        return [room is True for room in found]

    def hear(self, told: Iterable[Heard], restarts: Iterable[tuple[bytes, float]] = ()) -> None:
        """Take in a batch of accounting records, in one transaction.

        Args:
            told: of sessions.
            restarts: `digest` of a NAS, and when all its lines went down (Accounting-On or -Off).
        """

        def change(txn: Txn) -> None:
            for nas, at in restarts:
                txn.put(nas, _F64.pack(at), db=self._restarts)
            for one in told:
                self._hear(txn, one)

        self._mapped.write(change)

    def forget_dead_readers(self) -> int:
        """Free the slots of killed workers; how many there were."""
        return self._mapped.forget_dead_readers()

    def close(self) -> None:
        """Let go of it."""
        self._mapped.close()

    def _look(self, txn: Txn, ask: Ask, now: float) -> bool | None:
        """Whether there is a place, if that can be told without reserving one."""
        mine, others = self._sort(txn, ask, now)
        if _count(others) >= ask.sessions_max:
            return False
        if any(self._ends_at(entry) > now + RESERVED_S for entry in mine):
            return True
        return None

    def _reserve(self, txn: Txn, ask: Ask, now: float) -> bool:
        _, others = self._sort(txn, ask, now)
        if _count(others) >= ask.sessions_max:
            return False
        entry = (ask.key, ask.station, ask.nas, now, _RESERVED)
        self._put(txn, _U64.pack(ask.login_id), [*others, entry])
        return True

    def _sort(self, txn: Txn, ask: Ask, now: float) -> tuple[list[_Entry], list[_Entry]]:
        """The entries of this line, and those of others."""
        mine: list[_Entry] = []
        others: list[_Entry] = []
        for entry in self._entries(txn, _U64.pack(ask.login_id), now):
            (mine if _same_line(entry, ask.station, ask.nas) else others).append(entry)
        return mine, others

    def _hear(self, txn: Txn, one: Heard) -> None:
        login = _U64.pack(one.login_id)
        state = _STOPPED if one.stopped else _OPEN
        kept = []
        for entry in self._entries(txn, login, one.heard_at):
            if entry[_KEY] == one.key:
                if entry[_STATE] == _STOPPED:
                    state = _STOPPED
            elif entry[_STATE] == _STOPPED or not _same_line(entry, one.station, one.nas):
                kept.append(entry)
        kept.append((one.key, one.station, one.nas, one.heard_at, state))
        self._put(txn, login, kept)

    def _ends_at(self, entry: _Entry) -> float:
        """Until when an entry holds a place."""
        _, _, _, heard_at, state = entry
        return 0.0 if state == _STOPPED else heard_at + self._lives_s[state]

    def _entries(self, txn: Txn, login: bytes, now: float) -> list[_Entry]:
        """The entries that still say something."""
        row = txn.get(login, None, self._places)
        if row is None:
            return []
        entries: list[_Entry] = []
        for entry in _ENTRY.iter_unpack(row):
            heard_at = entry[_HEARD_AT]
            if now - heard_at < self._lives_s[entry[_STATE]]:
                restarted_at = txn.get(entry[_NAS], None, self._restarts)
                if restarted_at is None or _F64.unpack(restarted_at)[0] < heard_at:
                    entries.append(entry)
        return entries

    def _put(self, txn: Txn, login: bytes, entries: list[_Entry]) -> None:
        row = b"".join([_ENTRY.pack(*entry) for entry in entries[-_ENTRIES_MAX:]])
        txn.put(login, row, True, True, False, self._places)


def _count(entries: list[_Entry]) -> int:
    return sum(entry[_STATE] != _STOPPED for entry in entries)


def _same_line(entry: _Entry, place: bytes, nas: bytes) -> bool:
    """Whether an entry is of the equipment that asks now.

    Without a station only what was merely reserved through the same NAS can be told to be the same:
    a request repeated under another Identifier.
    """
    if entry[_STATION] != place:
        return False
    return place != NO_STATION or (entry[_STATE] == _RESERVED and entry[_NAS] == nas)
