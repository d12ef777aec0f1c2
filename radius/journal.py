"""The journal: accounting that has been acknowledged and has not yet reached the database.

RFC 2866 section 4.1 allows an Accounting-Response only once the record is safe. A worker appends
many records in one durable transaction and answers them all; another process reads from the front,
stores, and discards. Bounded: when full, accounting is no longer acknowledged, and NASes keep it.

One environment per worker. A killed writer loses only what it had not acknowledged: LMDB commits by
writing one meta page after all else is on disk.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias
from zlib import crc32

import lmdb

from radius.errors import JournalFull, LocalError
from radius.mapped import advice, refuse_truncated

# CRC-32 of the rest u32, received_at f64, NAS u64, size of source u8; then source and octets
_CRC: Final = struct.Struct("!I")
_HEAD: Final = struct.Struct("!IdQB")
_Txn: TypeAlias = "lmdb.Transaction[bytes]"  # generic for the type checker only
_SEQUENCE: Final = struct.Struct("!Q")
_FIRST: Final = _SEQUENCE.pack(1)
_FORMAT: Final = b"2"
# Deleting copies the pages it touches before the old ones are free: room beyond the bound, and
# few enough entries in a transaction to fit it.
_HEADROOM_BYTES: Final = 8 << 20
_DISCARD_ENTRIES: Final = 1_000
_ENTRY_OVERHEAD: Final = 64  # key, node header, the slack of its page
DAMAGED: Final = "a damaged row"
"""The source of an entry that is not as it was written."""

_PACKET_BYTES_MAX: Final = 8192  # an Accounting-Request of 4096 octets takes two pages


@dataclass(frozen=True, slots=True)
class Entry:
    """One acknowledged packet.

    Attributes:
        sequence: rises with every entry and is never used again, also after a restart.
        received_at: our clock, seconds since 1970.
        source: the NAS's address as text.
        octets: the Accounting-Request as it came.
    """

    sequence: int
    received_at: float
    nas_id: int
    source: str
    octets: bytes


class Journal:
    """The journal in the directory `path`, made when missing.

    Args:
        path: its directory.
        max_bytes: bound of what waits in it; the files take up to 8 MiB more.

    Raises:
        LocalError: it cannot be opened, or has another format.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._open()

    def _open(self) -> None:
        self._reopen = True
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._env = lmdb.open(
                str(self._path),
                map_size=self._max_bytes + _HEADROOM_BYTES,
                max_dbs=2,
                mode=0o600,
            )
            refuse_truncated(self._env, self._path)
            self._env.reader_check()  # a killed reader's slot would keep old pages alive
            self._entries = self._env.open_db(b"entries")
            self._meta = self._env.open_db(b"meta")
            with self._transaction(write=True) as txn:
                found = txn.get(b"format", db=self._meta)
                if found is None:
                    txn.put(b"format", _FORMAT, db=self._meta)
        except (lmdb.Error, OSError) as error:
            raise LocalError(f"journal {self._path}: {error}{advice(error)}") from error
        if found not in (None, _FORMAT):
            self._env.close()
            raise LocalError(
                f"journal {self._path} has another format: let the version that wrote it ship it"
            )
        self._reopen = False

    def append(self, entries: Iterable[tuple[float, int, str, bytes]]) -> None:
        """Record (received_at, nas_id, source, octets) of each, durably, all or nothing.

        Raises:
            JournalFull: the bound is reached or the disk does not take it; try again later.
        """
        rows = [_row(*entry) for entry in entries]
        if not rows:
            return
        if self._reopen:
            self.close()
            self._open()
        size = sum(map(len, rows)) + _ENTRY_OVERHEAD * len(rows)
        try:
            with self._transaction(write=True) as txn:
                if self._waiting_bytes(txn) + size > self._max_bytes:
                    raise JournalFull(f"journal {self._path} holds its {self._max_bytes} octets")
                sequence = _SEQUENCE.unpack(txn.get(b"next", _FIRST, db=self._meta))[0]
                for row in rows:
                    txn.put(_SEQUENCE.pack(sequence), row, db=self._entries, append=True)
                    sequence += 1
                txn.put(b"next", _SEQUENCE.pack(sequence), db=self._meta)
        except lmdb.Error as error:
            # After a failed write of the meta page LMDB wants the environment opened anew.
            self._reopen = isinstance(error, lmdb.PanicError)
            # A full disk shows as EIO, ENOSPC or EDQUOT, by how much of the write went through.
            raise JournalFull(f"journal {self._path}: {error}") from error

    def has_room(self) -> bool:
        """Whether a packet of any size would stay within the bound."""
        with self._reading() as txn:
            return self._waiting_bytes(txn) + _PACKET_BYTES_MAX <= self._max_bytes

    def fullness(self) -> float:
        """How full it is, 0 to 1: of its bound, or of its disk where that ends before the bound."""
        with self._reading() as txn:
            waiting = self._waiting_bytes(txn)
        try:
            disk = os.statvfs(self._path)
        except OSError as error:
            raise LocalError(f"journal {self._path}: {error}") from error
        own = waiting / self._max_bytes
        if disk.f_bavail * disk.f_frsize >= self._max_bytes - waiting:
            return own  # the disk may be nearly full, but not for us
        return max(own, 1.0 - disk.f_bavail / disk.f_blocks)

    def read(self, limit: int) -> list[Entry]:
        """The oldest entries, at most `limit`, in sequence; of a damaged one only the sequence."""
        with self._reading() as txn, txn.cursor(self._entries) as cursor:
            return [_entry(key, row) for key, row in islice(cursor, limit)]

    def depth(self) -> int:
        """How many entries wait."""
        with self._reading() as txn:
            return txn.stat(self._entries)["entries"]

    def discard(self, through: int) -> None:
        """Forget all entries up to and including this sequence. Works when the journal is full.

        Raises:
            LocalError: the disk is full. Entries stay; to ship them again does no harm.
        """
        more = True
        while more:
            try:
                more = self._discard_some(through)
            except lmdb.MapFullError:
                # A long read elsewhere keeps freed pages alive, or the bound was lowered.
                self._env.set_mapsize(self._env.info()["map_size"] + _HEADROOM_BYTES)
            except lmdb.Error as error:
                raise LocalError(f"journal {self._path}: {error}") from error

    def _discard_some(self, through: int) -> bool:
        with self._transaction(write=True) as txn, txn.cursor(self._entries) as cursor:
            for _ in range(_DISCARD_ENTRIES):
                if not cursor.first() or _SEQUENCE.unpack(cursor.key())[0] > through:
                    return False
                cursor.delete()
        return True

    def close(self) -> None:
        """Let go of the environment."""
        self._env.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _waiting_bytes(self, txn: _Txn) -> int:
        stat = txn.stat(self._entries)
        pages = stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return pages * stat["psize"]

    @contextmanager
    def _reading(self) -> Iterator[_Txn]:
        try:
            with self._transaction(write=False) as txn:
                yield txn
        except lmdb.Error as error:
            raise LocalError(f"journal {self._path}: {error}") from error

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[_Txn]:
        try:
            begun = self._env.begin(write=write)
        except lmdb.MapResizedError:
            self._env.set_mapsize(0)  # the other process has grown the map: take its size
            begun = self._env.begin(write=write)
        with begun as txn:
            yield txn


def _row(received_at: float, nas_id: int, source: str, octets: bytes) -> bytes:
    address = source.encode()
    row = _HEAD.pack(0, received_at, nas_id, len(address)) + address + octets
    return _CRC.pack(crc32(row[_CRC.size :])) + row[_CRC.size :]


def _entry(key: bytes, row: bytes) -> Entry:
    sequence = _SEQUENCE.unpack(key)[0]
    if len(row) < _HEAD.size or _CRC.unpack_from(row)[0] != crc32(row[_CRC.size :]):
        return Entry(sequence, 0.0, 0, DAMAGED, b"")  # LMDB does not look, and disks do err
    _, received_at, nas_id, size = _HEAD.unpack_from(row)
    end = _HEAD.size + size
    source = row[_HEAD.size : end].decode()
    return Entry(sequence, received_at, nas_id, source, row[end:])
