"""Our RADIUS server as a process of its own on 127.0.0.1, over a table that a test prepared."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from radius.accounting import Record, read
from radius.codec import parse
from radius.dictionary import encode
from radius.journal import Journal
from tests.support.radius_worker import client, grant, publish, settings

_REPO = Path(__file__).parents[2]

_PROGRAM = """
import json, signal, socket, sys
from pathlib import Path
from radius.server import serve
from tests.support.radius_worker import settings

sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
for one in sockets:
    one.bind(("127.0.0.1", 0))
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
print(json.dumps([one.getsockname()[1] for one in sockets]), flush=True)
serve(settings(Path(sys.argv[1])), sockets[:1], sockets[1:], lambda: bool(ended))
for one in sockets:
    one.close()
"""

GRANTED: Mapping[str, bytes] = {
    "mikrotik": encode(
        [
            ("Mikrotik-Rate-Limit", "10M/50M"),
            ("Framed-IP-Address", "10.20.30.40"),
            ("Acct-Interim-Interval", 300),
            ("Delegated-IPv6-Prefix", "2001:db8:7::/56"),
        ]
    ),
    "accel_ppp": encode([("Filter-Id", "50000/10000")]),
    "wispr": encode(
        [("WISPr-Bandwidth-Max-Down", 50_000_000), ("WISPr-Bandwidth-Max-Up", 10_000_000)]
    ),
}
"""What every login is granted: 50 Mbit/s down and 10 Mbit/s up."""


@dataclass(frozen=True, slots=True)
class RadiusProcess:
    auth_port: int
    acct_port: int
    folder: Path

    def recorded(self) -> list[Record]:
        """What stands in the journal: read it after the process has ended."""
        journal = Journal(settings(self.folder).journal_path, 16 << 20)
        try:
            return [read(parse(entry.octets)) for entry in journal.read(10_000)]
        finally:
            journal.close()


@contextmanager
def radius_process(
    folder: Path,
    passwords: Mapping[str, str],
    *,
    require: str = "yes",
    dialect: str = "mikrotik",
) -> Iterator[RadiusProcess]:
    """Serve these logins, numbered from 1, generation 3; end cleanly or fail the test."""
    logins = (
        (name.encode(), replace(grant(number, password, generation=3), replies=GRANTED))
        for number, (name, password) in enumerate(passwords.items(), start=1)
    )
    table = settings(folder).table_path
    publish(table, logins, [client(require=require, dialect=dialect)])
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(folder)],
        stdout=subprocess.PIPE,
        cwd=_REPO,
        env={**os.environ, "PYTHONPATH": str(_REPO)},
        text=True,
    )
    assert process.stdout is not None
    try:
        auth, acct = json.loads(process.stdout.readline())
        yield RadiusProcess(auth, acct, folder)
    finally:
        process.terminate()
        code = process.wait(10)
        process.stdout.close()
    assert code == 0
