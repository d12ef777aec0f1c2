"""The grant table: what was decided, compiled for answering. One writer, many readers, no SQL.

One process writes (the node's publisher) and any number read the same memory map: a write is
visible to all at once, and a restart needs no database.

Databases in the environment:
    grants   user name -> row (radius/grant.py)
    logins   login -> user name, so that a renamed login leaves no second name behind
    clients  position -> row
    meta     name -> u64: format, key_check, epoch, clients_version, complete, and `mark:` names
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from radius.errors import LocalError
from radius.grant import Answer, Client, Grant, Rows, epoch_of, login_of, places_of
from radius.mapped import Database, Mapped, Txn

__all__ = ["FORMAT", "Answer", "Client", "Grant", "GrantTable"]

FORMAT: Final = 2
"""Of the rows. A node names the directory by it, so that two versions do not share a table."""

_BATCH_ROWS: Final = 5_000
_U64: Final = struct.Struct("!Q")

_Change: TypeAlias = tuple[bytes, Grant | None]


class Answers:
    """One snapshot of the grants while its block lasts; of each only what an answer needs."""

    __slots__ = ("_grants", "_mapped", "_rows", "_txn")

    def __init__(self, rows: Rows, mapped: Mapped, grants: Database) -> None:
        self._rows = rows
        self._mapped = mapped
        self._grants = grants
        self._txn: Txn | None = None

    def __enter__(self) -> "Answers":
        self._txn = self._mapped.begin()
        return self

    def __exit__(self, *_: object) -> None:
        if self._txn is not None:
            self._mapped.end(self._txn)
            self._txn = None

    def find(self, username: bytes, dialect: bytes) -> Answer | None:
        """What to answer exactly this name in this dialect; None: no such login.

        Raises:
            LocalError: the row does not open.
        """
        if not username or self._txn is None:  # LMDB has no empty key
            return None
        row = self._txn.get(username, None, self._grants)
        return None if row is None else self._rows.read_answer(username, row, dialect)


class GrantTable:
    """The table in the directory `path`, made when missing unless `readonly`.

    Args:
        path: its directory.
        key: the secret that the sealing key is derived from.
        readonly: for workers.
        map_bytes: size of the first map; it doubles by itself when full.

    Raises:
        LocalError: no table to read, another format or another key; the text says what to do.
    """

    def __init__(
        self, path: Path, key: bytes, *, readonly: bool, map_bytes: int = 64 << 20
    ) -> None:
        self._path = path
        self._rows = Rows(key)
        self._complete = False
        names = (b"grants", b"logins", b"clients", b"meta")
        self._mapped = Mapped(path, "grant table", names, map_bytes=map_bytes, readonly=readonly)
        self._grants, self._logins, self._clients, self._meta = self._mapped.databases
        try:
            self._check(readonly)
        except LocalError:
            self._mapped.close()
            raise
        if not readonly:
            self.forget_dead_readers()

    def _check(self, readonly: bool) -> None:
        found = self._number(b"format")
        if found is None and not readonly:
            self._apply((), {b"format": FORMAT, b"key_check": self._rows.key_check})
        elif found != FORMAT:
            raise LocalError(
                f"grant table {self._path} has format {found}, this is {FORMAT}: stop the node and"
                " remove the directory, it is rebuilt from the database"
            )
        elif self._number(b"key_check") != self._rows.key_check:
            raise LocalError(
                f"grant table {self._path} was written under another secret key: stop the node and"
                " remove the directory, it is rebuilt from the database"
            )

    def answers(self) -> "Answers":
        """Look up several logins in one snapshot: the hot path."""
        return Answers(self._rows, self._mapped, self._grants)

    def find(self, username: bytes) -> Grant | None:
        """The grant of exactly this name, or None.

        Raises:
            LocalError: the row does not open.
        """
        if not username:  # LMDB has no empty key
            return None
        row = self._mapped.get(self._grants, username)
        return None if row is None else self._rows.read_grant(username, row)

    def username_of(self, login_id: int) -> bytes | None:
        """The name that a login is published under."""
        return self._mapped.get(self._logins, _U64.pack(login_id))

    def places_of(self, username: bytes) -> tuple[int, int] | None:
        """The login under this name and how many sessions it may have at once (0: any number)."""
        row = self._mapped.get(self._grants, username) if username else None
        return None if row is None else places_of(row)

    def clients(self) -> list[Client]:
        """All NASes, in the order written."""

        def collect(txn: Txn) -> list[bytes]:
            with txn.cursor(self._clients) as cursor:
                return list(cursor.iternext(keys=False, values=True))

        return [self._rows.read_client(row) for row in self._mapped.read(collect)]

    def clients_version(self) -> int:
        """Rises with every `write_clients`. Costs one look-up."""
        return self._number(b"clients_version") or 0

    def marked(self, name: str) -> int | None:
        """What was last marked under `name`."""
        return self._number(_mark(name))

    def complete(self) -> bool:
        """Whether a `replace_all` ever ended. Before that, an absent name says nothing."""
        # It never ends again, and is asked for every batch.
        self._complete = self._complete or self._number(b"complete") == 1
        return self._complete

    def __len__(self) -> int:
        return self._mapped.read(lambda txn: int(txn.stat(self._grants)["entries"]))

    def write(self, changes: Iterable[_Change], marks: Mapping[str, int] | None = None) -> None:
        """Apply changes and marks in one durable transaction; None deletes the name.

        Deletions go first: a name that changes hands within a batch stays with its new login. A
        login that comes under a new name loses its old one.

        Raises:
            LocalError: a name LMDB cannot hold, a grant that does not fit, a full disk. Nothing of
                the batch is written then.
        """
        deletions_first = sorted(changes, key=lambda change: change[1] is not None)
        self._apply(deletions_first, _marks(marks or {}))

    def mark(self, name: str, value: int) -> None:
        """Keep one number, as `write` does with `marks`."""
        self._apply((), _marks({name: value}))

    def write_clients(self, clients: Iterable[Client]) -> None:
        """Replace all NASes and raise the version that workers look at."""
        rows = [self._rows.write_client(client) for client in clients]
        version = self.clients_version() + 1

        def replace(txn: Txn) -> None:
            txn.drop(self._clients, delete=False)
            for position, row in enumerate(rows):
                txn.put(_U64.pack(position), row, db=self._clients)
            txn.put(b"clients_version", _U64.pack(version), db=self._meta)

        self._mapped.write(replace)

    def replace_all(
        self,
        grants: Iterable[tuple[bytes, Grant]],
        marks: Mapping[str, int],
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Make the table hold exactly `grants`, with no moment in which one of them is missing.

        New rows go over old ones, then rows not seen go away, then `marks` are set. Killed in
        between, the table holds a superset and the old marks; the next rebuild mends it.

        Args:
            grants: all of them, read in batches.
            marks: set in the last transaction.
            progress: told after each batch how many rows are written so far.
        """
        epoch = self._epoch() + 1
        self._apply((), {b"epoch": epoch})
        rows = iter(grants)
        written = 0
        while batch := list(islice(rows, _BATCH_ROWS)):
            self._apply(batch, {})
            written += len(batch)
            if progress is not None:
                progress(written)
        stale = self._older_than(epoch)
        for at in range(0, len(stale), _BATCH_ROWS):
            self._apply([(name, None) for name in stale[at : at + _BATCH_ROWS]], {})
        self._apply((), {**_marks(marks), b"complete": 1})

    def close(self) -> None:
        """Let go of the map."""
        self._mapped.close()

    def forget_dead_readers(self) -> int:
        """Free the slots of killed workers; how many there were."""
        return self._mapped.forget_dead_readers()

    def __enter__(self) -> "GrantTable":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _epoch(self) -> int:
        return self._number(b"epoch") or 0

    def _older_than(self, epoch: int) -> list[bytes]:
        def collect(txn: Txn) -> list[bytes]:
            with txn.cursor(self._grants) as cursor:
                return [name for name, row in cursor if epoch_of(row) < epoch]

        return self._mapped.read(collect)

    def _number(self, name: bytes) -> int | None:
        value = self._mapped.get(self._meta, name)
        return None if value is None else _U64.unpack(value)[0]

    def _apply(self, changes: Sequence[_Change], numbers: Mapping[bytes, int]) -> None:
        epoch = self._epoch()

        def apply(txn: Txn) -> None:
            for username, grant in changes:
                self._put(txn, username, grant, epoch)
            for name, value in numbers.items():
                txn.put(name, _U64.pack(value), db=self._meta)

        self._mapped.write(apply)

    def _put(self, txn: Txn, name: bytes, grant: Grant | None, epoch: int) -> None:
        old = txn.get(name, db=self._grants)
        if old is not None and (grant is None or login_of(old) != grant.login_id):
            self._forget_name(txn, login_of(old), name)
        if grant is None:
            txn.delete(name, db=self._grants)
            return
        login = _U64.pack(grant.login_id)
        former = txn.get(login, db=self._logins)
        if former != name:
            if former is not None:
                # Names may have been swapped: the former one may be another login's by now.
                row = txn.get(former, db=self._grants)
                if row is not None and login_of(row) == grant.login_id:
                    txn.delete(former, db=self._grants)
            txn.put(login, name, db=self._logins)
        txn.put(name, self._rows.write_grant(name, grant, epoch), db=self._grants)

    def _forget_name(self, txn: Txn, login_id: int, name: bytes) -> None:
        if txn.get(_U64.pack(login_id), db=self._logins) == name:
            txn.delete(_U64.pack(login_id), db=self._logins)


def _mark(name: str) -> bytes:
    return b"mark:" + name.encode()


def _marks(marks: Mapping[str, int]) -> dict[bytes, int]:
    return {_mark(name): value for name, value in marks.items()}
