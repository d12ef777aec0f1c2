"""What a RADIUS server answers: datagrams in, replies out. No sockets, no SQL.

The order is always: known client, sound packet, authentic packet, seen before?, and only then the
decision. Whatever fails before is answered with silence and a counter; what fails on our side is
answered with silence too, so that the NAS asks another server.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from radius.access import Access, Reply
from radius.counters import Counters
from radius.door import Address, Door
from radius.guesses import Guesses
from radius.journal import Journal
from radius.presence import Presence
from radius.recorder import Recorder
from radius.table import GrantTable

__all__ = ["Address", "Reply", "Worker", "WorkerSettings"]


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Where a worker finds its files, and the keys to them.

    Attributes:
        table_path: the grant table, read by all workers.
        presence_path: written by all workers of the node.
        journal_path: of this worker alone; made only by one that answers accounting.
        counters_path: of this worker alone.
        table_key: that the table's secrets are sealed with.
        class_key: that our Class attributes are known by.
        journal_max_bytes: bound of what waits in the journal.
        stale_after_s: a session not heard of for so long is not counted for Simultaneous-Use.
        reject_step_s: by how much longer each further Reject of one name waits; see `Guesses`.
    """

    table_path: Path
    presence_path: Path
    journal_path: Path
    counters_path: Path
    table_key: bytes = field(repr=False)
    class_key: bytes = field(repr=False)
    journal_max_bytes: int
    stale_after_s: float
    reject_step_s: float


class Worker:
    """One worker's mind.

    Args:
        settings: its files and keys.
        accounting: False for one that answers the authentication port only.
        monotonic: times caches.
        wall: dates what is recorded.

    Raises:
        LocalError: table, presence, journal or counters cannot be opened.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        accounting: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._table = GrantTable(settings.table_path, settings.table_key, readonly=True)
        self._presence = Presence(settings.presence_path, settings.stale_after_s)
        self._counters = Counters(settings.counters_path)
        door = Door(self._table, self._counters, monotonic)
        key = settings.class_key
        guesses = Guesses(settings.reject_step_s)
        self._access = Access(
            *(self._table, self._presence, self._counters, door, guesses, key),
            *(monotonic, wall),
        )
        self._journal: Journal | None = None
        if accounting:
            self._journal = Journal(settings.journal_path, settings.journal_max_bytes)
            self._recorder = Recorder(
                *(self._table, self._journal, self._presence, self._counters, door, key),
                *(monotonic, wall),
            )

    def handle_accesses(self, datagrams: Sequence[tuple[bytes, Address]]) -> list[Reply]:
        """The replies to what came to the authentication port; see `Access.answer`."""
        return self._access.answer(datagrams)

    def handle_access(self, datagram: bytes, address: Address) -> bytes | None:
        """The reply to one datagram of the authentication port, or None for silence."""
        replies = self._access.answer([(datagram, address)])
        return replies[0][0] if replies else None

    def handle_accounting(
        self, datagrams: Sequence[tuple[bytes, Address]], *, behind: bool = False
    ) -> list[tuple[bytes, Address]]:
        """The replies to what came to the accounting port; see `Recorder.answer`."""
        return self._recorder.answer(datagrams, behind=behind)

    def count_send_failures(self, replies: int) -> None:
        """So many replies could not be sent."""
        self._counters.bump("send_failed", replies)

    def close(self) -> None:
        """Let go of table, presence, journal and counters."""
        self._table.close()
        self._presence.close()
        if self._journal is not None:
            self._journal.close()
        self._counters.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
