"""The door of a worker: which NAS is asking, and what becomes of what cannot be answered.

Whatever fails is silence and a counter: a peer's fault by its own name, ours as `internal_error`,
so that the NAS asks another server.
"""

import logging
from collections.abc import Callable
from typing import Final

from radius.clients import Clients
from radius.codec import PACKET_OCTETS_MAX, Packet, parse
from radius.counters import NAMES, Counters
from radius.errors import LocalError, PeerError
from radius.sparse_log import SparseLog
from radius.table import GrantTable

# As a socket gives it: host, port, and for IPv6 flow and scope.
Address = tuple[str, int] | tuple[str, int, int, int]

_CLIENTS_CHECK_S: Final = 0.05


class Door:
    """Clients by address, and errors into counters and a bounded number of log lines."""

    def __init__(
        self, table: GrantTable, counters: Counters, monotonic: Callable[[], float]
    ) -> None:
        self._table = table
        self._counters = counters
        self._monotonic = monotonic
        self._clients = Clients(())
        self._version = -1
        self._check_at = monotonic()
        self._sparse = SparseLog(logging.getLogger("radius.worker"))

    def clients(self, now: float) -> Clients:
        """All clients, as the table has them by now."""
        if now >= self._check_at:
            self._check_at = now + _CLIENTS_CHECK_S
            version = self._table.clients_version()
            if version != self._version:
                self._clients = Clients(self._table.clients(), self._clients)
                self._version = version
        return self._clients

    def warn(self, kind: str, source: str, text: str) -> None:
        """Tell the operator, once a minute for each kind and source."""
        self._sparse.warn(kind, source, text, self._monotonic())

    def failed(self, source: str, error: Exception) -> None:
        """Count and tell what ended the work on one packet, or on one batch of records."""
        now = self._monotonic()
        if isinstance(error, PeerError):
            counter = error.counter if error.counter in NAMES else "malformed"
            self._counters.bump(counter)
            self._sparse.warn(counter, source, str(error), now)
        elif isinstance(error, LocalError):
            self._counters.bump("internal_error")
            self._sparse.warn("local", source, str(error), now)
        else:
            self._counters.bump("internal_error")
            self._sparse.warn("unexpected", source, "unexpected", now, error)


def open_datagram(datagram: bytes) -> Packet:
    """One datagram as a well-formed packet.

    Raises:
        PeerError: as `parse`; also for a datagram longer than any packet, which was cut on reading.
    """
    if len(datagram) > PACKET_OCTETS_MAX:
        raise PeerError(f"more than {PACKET_OCTETS_MAX} octets")
    return parse(datagram)
