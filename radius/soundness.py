"""Whether a journal can be read at all, asked of a process of its own.

LMDB trusts its pages: a page that a disk lost ends whoever reads it, by a signal. A node that read
such a journal itself would end again after every restart, and take authentication with it.
"""

import subprocess
import sys
from pathlib import Path

import lmdb


def is_sound(path: Path) -> bool:
    """Whether the journal in the directory `path` can be read from end to end."""
    command = [sys.executable, "-m", "radius.soundness", str(path)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    return done.returncode == 0


def _walk(path: Path) -> None:
    with lmdb.open(str(path), readonly=True, lock=False, max_dbs=2) as env:
        for name in (b"entries", b"meta"):
            database = env.open_db(name, create=False)
            with env.begin() as txn, txn.cursor(database) as cursor:
                for _ in cursor:
                    pass


if __name__ == "__main__":
    _walk(Path(sys.argv[1]))
