"""LMDB files as a dying machine or disk leaves them, opened by our code in a process of its own.

A map is memory: what LMDB does not check ends as a signal, so a test must not open them itself.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from radius.journal import Journal
from tests.support.radius_worker import client, grant, publish

PAGE: Final = 4096
JOURNAL_BYTES: Final = 1 << 20
ENTRIES: Final = 600
LOGINS: Final = 500
_ROOT: Final = Path(__file__).parents[2]

_USE_JOURNAL: Final = """
import json, sys
from pathlib import Path
from radius.errors import LocalError
from radius.journal import Journal
from tests.support.damaged_files import JOURNAL_BYTES
try:
    with Journal(Path(sys.argv[1]), JOURNAL_BYTES) as journal:
        found = [entry.octets.hex() for entry in journal.read(10**6)]
        journal.append([(1.0, 7, "192.0.2.1", b"after")])
        journal.discard(2**63)
        print(json.dumps({"found": found}))
except LocalError as error:
    print(json.dumps({"error": str(error)}))
"""
_USE_TABLE: Final = """
import json, sys
from pathlib import Path
from radius.errors import LocalError
from radius.table import GrantTable
from tests.support.damaged_files import LOGINS
from tests.support.radius_worker import TABLE_KEY
try:
    with GrantTable(Path(sys.argv[1]), TABLE_KEY, readonly=True) as table:
        grants = [table.find(b"user%d" % number) for number in range(LOGINS)]
        found = [repr(each) for each in (*grants, *table.clients())]
        print(json.dumps({"found": found}))
except LocalError as error:
    print(json.dumps({"error": str(error)}))
"""

Damage = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of using the files: a signal (below 0), what was found, or the error's text."""

    exit_code: int
    found: list[str] | None
    error: str | None


def use(kind: str, files: Path, folder: Path, damage: Damage) -> Outcome:
    """Copy `files` under `folder`, damage the copy's data.mdb, and use it as the product does."""
    shutil.copytree(files, folder)
    damage(folder / "data.mdb")
    program = {"journal": _USE_JOURNAL, "table": _USE_TABLE}[kind]
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, cwd=_ROOT
    )
    told = json.loads(done.stdout or "{}")
    return Outcome(done.returncode, told.get("found"), told.get("error"))


def make(kind: str, folder: Path) -> Path:
    """A sound journal or grant table."""
    if kind == "table":
        publish(folder, [(b"user%d" % each, grant(each + 1)) for each in range(LOGINS)], [client()])
    else:
        with Journal(folder, JOURNAL_BYTES) as journal:
            for at in range(0, ENTRIES, 10):
                octets = [b"%d:" % each + b"x" * 290 for each in range(at, at + 10)]
                journal.append([(1.5, 7, "192.0.2.1", each) for each in octets])
    return folder


def untouched(_: Path) -> None:
    """No damage."""


def cut(octets: int) -> Damage:
    """The file ends there."""
    return lambda path: os.truncate(path, octets)


def page(number: int, content: bytes) -> Damage:
    """One page is something else."""

    def damage(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(number * PAGE)
            file.write(content)

    return damage


def zeros(number: int) -> Damage:
    """One page was never written."""
    return page(number, bytes(PAGE))


def noise(number: int) -> Damage:
    """One page belongs to another file."""
    return page(number, random.Random(number).randbytes(PAGE))


def pages(path: Path) -> int:
    """How many whole pages the file has."""
    return (path / "data.mdb").stat().st_size // PAGE
