"""Where tests keep what need not outlive the machine: in memory, where there is plenty of it."""

import shutil
from pathlib import Path

import psutil

_SHARED, _PLENTY = Path("/dev/shm"), 6 << 30


def in_memory() -> Path | None:
    """A folder for temporary ones; None: the system's own.

    A database is copied for almost every test, and tests kill processes, never the machine.
    """
    if not _SHARED.is_dir():
        return None
    room = min(shutil.disk_usage(_SHARED).free, psutil.virtual_memory().available)
    return _SHARED if room >= _PLENTY else None
