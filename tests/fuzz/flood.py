"""A flood of datagrams that nobody signed, through one real worker: silence, and no growth.

`python -m tests.fuzz.flood --random 1000000 --damaged 1000000 --seed 7` ends with one JSON line.
Of the damaged datagrams one in sixteen is signed anew, as a NAS that we know could. Who may be
answered is decided by tests/support/signatures.py, and what must stand in the journal by RFC 5080.
"""

import argparse
import gc
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from radius.counters import Counters
from radius.journal import Journal
from radius.worker import Address, Worker
from tests.fuzz.decode import PASSWORD, corpus, mutate
from tests.support.radius_worker import SECRET, client, grant, publish, settings
from tests.support.signatures import (
    ACCOUNTING_REQUEST,
    answerable_access,
    answerable_accounting,
    authentic_reply,
    proxy_state_octets,
    signed_anew,
)

_NAS: Final[Address] = ("127.0.0.1", 40_000)
_JOURNAL_BYTES: Final = 1 << 30
_SIGNED_ANEW_ONE_IN: Final = 16
_PROXY_STATE_OCTETS_MAX: Final = 3_000  # with more, an Accept may not fit a packet


@dataclass(slots=True)
class Report:
    """What was sent and what came of it."""

    seed: int
    random: int = 0
    damaged: int = 0
    answered: int = 0
    journalled: int = 0
    grown_bytes: int = 0
    grown_objects: int = 0
    seconds: float = 0.0

    def check(self) -> None:
        """Raise AssertionError where the worker grew. Some must have been answered."""
        assert self.answered > 0, "nothing passed: only the doorstep was tested"
        assert self.journalled > 0
        assert self.grown_bytes < 4 << 20, f"{self.grown_bytes} octets of memory more"
        assert self.grown_objects < 2_000, f"{self.grown_objects} objects more"


class Flood:
    """One worker with one NAS that must sign, and a model of what it has to keep."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._configured = settings(folder, journal_max_bytes=_JOURNAL_BYTES)
        logins = [(b"joao", grant(1, PASSWORD.decode()))]
        publish(self._configured.table_path, logins, [client(require="yes")])
        # Time stands still: no reply expires, so the model needs no clock.
        self._worker = Worker(self._configured, monotonic=lambda: 1_000.0)
        self._chance = random.Random(seed)
        self._honest = corpus(SECRET)
        self._last: dict[int, bytes] = {}
        self._expected: list[int] = []
        self.report = Report(seed)

    def run(self, random_count: int, damaged_count: int) -> Report:
        """Send this many of each kind; raises AssertionError at the first wrong answer."""
        began = time.monotonic()
        # Caches fill and the allocator settles first.
        for _ in range(20_000):
            self._send(self._damaged())
        before = footprint()
        for _ in range(random_count):
            self._send(self._random())
        for _ in range(damaged_count):
            self._send(self._damaged())
        after = footprint()
        self._check_files()
        report = self.report
        report.random, report.damaged = random_count, damaged_count
        report.grown_bytes, report.grown_objects = after[0] - before[0], after[1] - before[1]
        report.seconds = round(time.monotonic() - began, 1)
        return report

    def _random(self) -> bytes:
        return self._chance.randbytes(self._chance.randrange(300))

    def _damaged(self) -> bytes:
        chance = self._chance
        octets = mutate(chance, chance.choice(self._honest), chance.choice(self._honest))
        if chance.randrange(_SIGNED_ANEW_ONE_IN) == 0:
            octets = signed_anew(octets, SECRET.value)
        return octets

    def _send(self, datagram: bytes) -> None:
        """To both ports: what one must refuse, the other may have to answer."""
        reply = self._worker.handle_access(datagram, _NAS)
        if answerable_access(datagram, SECRET.value, unsigned_allowed=False):
            fits = proxy_state_octets(datagram) <= _PROXY_STATE_OCTETS_MAX
            assert reply is not None or not fits, f"unanswered: {datagram.hex()}"
            assert reply is None or authentic_reply(reply, datagram, SECRET.value)
            self.report.answered += reply is not None
        else:
            assert reply is None, f"answered on the authentication port: {datagram.hex()}"
        replies = self._worker.handle_accounting([(datagram, _NAS)])
        if answerable_accounting(datagram, SECRET.value):
            [(reply, _)] = replies
            assert authentic_reply(reply, datagram, SECRET.value)
            self.report.answered += 1
            self._remember(datagram)
        else:
            assert replies == [], f"answered on the accounting port: {datagram.hex()}"

    def _remember(self, datagram: bytes) -> None:
        """RFC 5080 section 2.2.2: the same Identifier and authenticator is not a new record."""
        if datagram[0] == ACCOUNTING_REQUEST and self._last.get(datagram[1]) != datagram[4:20]:
            self._last[datagram[1]] = datagram[4:20]
            self._expected.append(_digest(datagram))

    def _check_files(self) -> None:
        self._worker.close()
        with Counters(self._configured.counters_path) as counters:
            counted = counters.read()
        assert counted["internal_error"] == 0, "an exception on the way"
        assert counted["accounting_shed"] == 0
        with Journal(self._configured.journal_path, _JOURNAL_BYTES) as journal:
            kept = [_digest(octets) for octets in _journalled(journal)]
        assert kept == self._expected, "the journal holds what was accepted, and nothing else"
        self.report.journalled = len(kept)


def _digest(datagram: bytes) -> int:
    """Enough to tell records apart without holding them; padding is not part of a record."""
    return hash(datagram[: int.from_bytes(datagram[2:4], "big")])


def _journalled(journal: Journal) -> Iterator[bytes]:
    while entries := journal.read(1_000):
        yield from (entry.octets for entry in entries)
        journal.discard(entries[-1].sequence)


def footprint() -> tuple[int, int]:
    """Octets of private memory without the files' maps, and objects the collector knows."""
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10, len(gc.get_objects())
    raise AssertionError("this system does not tell private memory")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.flood")
    parser.add_argument("--random", type=int, default=1_000_000)
    parser.add_argument("--damaged", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    options = parser.parse_args()
    ok = False
    memory = Path("/dev/shm")  # durable writes cost no disk there: this is not about the disk
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        flood = Flood(Path(folder), options.seed)
        try:
            flood.run(options.random, options.damaged).check()
            ok = True
        finally:
            print(json.dumps({"fuzz": "flood", **asdict(flood.report), "ok": ok}), flush=True)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
