"""One LMDB environment: read by many processes, grown before it is full, never half written.

An environment must not cross a fork, nor be opened twice in a process: each process opens its own.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import lmdb

from radius.errors import LocalError

_READERS_MAX: Final = 510  # processes at once; LMDB's own default is 126
_FULL_SHARE: Final = 0.75

_T = TypeVar("_T")
Txn: TypeAlias = "lmdb.Transaction[bytes]"  # generic for the type checker only
Database: TypeAlias = "lmdb._Database"


class Mapped:
    """The environment in the directory `path`, with its databases opened.

    Args:
        path: its directory, made when missing unless `readonly`.
        what: its name in errors.
        databases: names; they are made when missing unless `readonly`.
        map_bytes: size of the first map; it doubles by itself.
        durable: False for what may be lost with the machine's memory: no write waits for the disk.

    Raises:
        LocalError: it cannot be opened, or a database is missing.
    """

    def __init__(
        self,
        path: Path,
        what: str,
        databases: Sequence[bytes],
        *,
        map_bytes: int,
        readonly: bool = False,
        durable: bool = True,
    ) -> None:
        self._what = f"{what} {path}"
        # Resizing takes the map away from under a thread that reads.
        self._lock = threading.Lock()
        with self._told():
            if not readonly:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._env = lmdb.open(
                str(path),
                map_size=map_bytes,
                max_dbs=len(databases),
                max_readers=_READERS_MAX,
                readonly=readonly,
                create=not readonly,
                mode=0o600,
                sync=durable,
                metasync=durable,
            )
        try:
            with self._told():
                refuse_truncated(self._env, path)
                self.databases = [
                    self._env.open_db(name, create=not readonly) for name in databases
                ]
        except LocalError:
            self._env.close()
            raise

    def get(self, database: Database, key: bytes) -> bytes | None:
        """One value, or None."""
        return self.read(lambda txn: txn.get(key, None, database))

    def begin(self) -> Txn:
        """A reading transaction for several look-ups, until `end`; short, since it keeps old pages.

        Between the two nothing else of this environment may be done in this thread.

        Raises:
            LocalError: it cannot be read; then nothing is to be ended.
        """
        self._lock.acquire()
        try:
            try:
                return self._env.begin()
            except lmdb.MapResizedError:
                self._env.set_mapsize(0)  # the writer's map has grown: take its size
                return self._env.begin()
        except lmdb.Error as error:
            self._lock.release()
            raise LocalError(f"{self._what}: {error}{advice(error)}") from error

    def end(self, txn: Txn) -> None:
        """Let go of what `begin` gave."""
        txn.abort()  # LMDB keeps what is aborted for the next reader
        self._lock.release()

    def read(self, use: Callable[[Txn], _T]) -> _T:
        """What `use` finds in one snapshot. It may run again: it keeps nothing."""
        while True:
            try:
                with self._lock:
                    txn = self._env.begin()
                    try:
                        return use(txn)
                    finally:
                        txn.abort()  # LMDB keeps what is aborted for the next reader
            except lmdb.MapResizedError:
                self._resize(0)  # the writer's map has grown: take its size
            except lmdb.Error as error:
                raise LocalError(f"{self._what}: {error}{advice(error)}") from error

    def write(self, change: Callable[[Txn], _T]) -> _T:
        """Apply `change` in one transaction, all or nothing. It may run again: it keeps nothing.

        Raises:
            LocalError: a key that LMDB cannot hold, a full disk.
        """
        while True:
            try:
                with self._lock:
                    with self._env.begin(write=True) as txn:
                        changed = change(txn)
                    self._grow_in_time()
                return changed
            except lmdb.MapFullError:
                self.forget_dead_readers()
                self._resize(2 * self._env.info()["map_size"])
            except lmdb.MapResizedError:
                self._resize(0)
            except lmdb.Error as error:
                raise LocalError(f"{self._what}: {error}{advice(error)}") from error

    def forget_dead_readers(self) -> int:
        """Free the slots of killed processes, which would keep old pages alive; how many."""
        with self._told():
            return int(self._env.reader_check())

    def close(self) -> None:
        """Let go of the map."""
        with self._lock:
            self._env.close()

    def _grow_in_time(self) -> None:
        info = self._env.info()
        used_bytes = (info["last_pgno"] + 1) * self._env.stat()["psize"]
        if used_bytes > _FULL_SHARE * info["map_size"]:
            self._env.set_mapsize(2 * info["map_size"])

    def _resize(self, map_bytes: int) -> None:
        with self._told(), self._lock:
            self._env.set_mapsize(map_bytes)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (lmdb.Error, OSError) as error:
            raise LocalError(f"{self._what}: {error}{advice(error)}") from error


def advice(error: Exception) -> str:
    """What to do about an error of LMDB, to be added to its text."""
    if isinstance(error, lmdb.InvalidError | lmdb.CorruptedError | lmdb.VersionMismatchError):
        return "; stop the node and move the directory away, it is made anew"
    return ""


def refuse_truncated(env: "lmdb.Environment", path: Path) -> None:
    """Look at the size of an environment's file: reading beyond its end would kill the process.

    Raises:
        LocalError: it is shorter than what was written to it.
    """
    wanted = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    found = (path / "data.mdb").stat().st_size
    if found < wanted:
        raise LocalError(
            f"{path} is damaged: {found} octets of {wanted} are there; stop the node and move the"
            " directory away, it is made anew"
        )
