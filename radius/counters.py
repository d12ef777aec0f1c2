"""What a worker has seen, counted where another process can read it without asking.

One file per worker: an array of u64 in a memory map. The worker is its only writer; the node sums
the files of its workers. Counts survive a restart.
"""

import hashlib
import mmap
import os
from pathlib import Path
from typing import Final

from radius.errors import LocalError

NAMES: Final = (
    "access_request",
    "access_accept",
    "access_reject",
    "accounting_request",
    "accounting_response",
    "status_server",
    "duplicate",
    "malformed",
    "unknown_client",
    "unexpected_code",
    "bad_authenticator",
    "bad_message_authenticator",
    "missing_message_authenticator",
    "proxy_state_without_ma",
    "accounting_shed",
    "simultaneous_use",
    "table_incomplete",
    "send_failed",
    "internal_error",
)

_SLOTS: Final = {name: slot for slot, name in enumerate(NAMES, start=1)}
# The first slot names the layout, so that counts are never read under another's names.
_LAYOUT: Final = int.from_bytes(hashlib.sha256("\n".join(NAMES).encode()).digest()[:8], "big")
_OCTETS: Final = 8 * (1 + len(NAMES))


class Counters:
    """Named u64 counters in the file at `path`, made when missing or of another layout.

    Raises:
        LocalError: the file cannot be made or mapped.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._map = _open(path)
        except OSError as error:
            raise LocalError(f"counters {path}: {error.strerror or error}") from error
        self._slots = memoryview(self._map).cast("Q")
        if self._slots[0] != _LAYOUT:
            self._slots[1:] = memoryview(bytes(_OCTETS - 8)).cast("Q")
            self._slots[0] = _LAYOUT

    def bump(self, name: str, by: int = 1) -> None:
        """Count `by` more of `name`, which must be one of `NAMES`."""
        self._slots[_SLOTS[name]] += by

    def read(self) -> dict[str, int]:
        """All counts, in the order of `NAMES`."""
        return dict(zip(NAMES, self._slots[1:], strict=True))

    def close(self) -> None:
        """Unmap. Counts stay in the file."""
        self._slots.release()
        self._map.close()

    def __enter__(self) -> "Counters":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(path: Path) -> mmap.mmap:
    if path.exists() and path.stat().st_size != _OCTETS:
        path.unlink()  # not truncated: whoever still maps the old one would die of SIGBUS
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # Storing into a hole of a full disk is SIGBUS as well, so no holes.
        os.posix_fallocate(descriptor, 0, _OCTETS)
        return mmap.mmap(descriptor, _OCTETS)
    finally:
        os.close(descriptor)
