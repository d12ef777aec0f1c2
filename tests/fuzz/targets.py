"""What the guided fuzzer calls: octets in, nothing out, AssertionError or worse for a fault.

Each target first makes the octets pass where chance would not (signatures), so that the
fuzzer spends its time behind the door and not at it.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

from radius.codec import parse
from radius.counters import Counters
from radius.errors import LocalError, PeerError
from radius.grant import Rows
from radius.worker import Address, Worker
from tests.fuzz import decode as mutation
from tests.support.radius_worker import (
    SECRET,
    TABLE_KEY,
    accounting,
    chap,
    client,
    grant,
    mschap2,
    pap,
    publish,
    settings,
    status_server,
)
from tests.support.signatures import (
    answerable_access,
    answerable_accounting,
    authentic_reply,
    proxy_state_octets,
    signed_anew,
)

Target: TypeAlias = Callable[[bytes], None]
_Opening: TypeAlias = Callable[[], AbstractContextManager[Target]]

# What an Accept holds beside Proxy-States is less than this.
_REPLY_OCTETS_BESIDE: Final = 1024
_DATAGRAMS_PER_WORKER: Final = 20_000
_STRICT: Final[Address] = ("127.0.0.1", 40_000)
_LENIENT: Final[Address] = ("127.0.0.2", 40_000)
_ON_ACCOUNTING, _FROM_LENIENT, _UNTOUCHED = 1, 2, 4


@contextmanager
def decode() -> Iterator[Target]:
    """`parse` and every reader of a packet."""

    def target(octets: bytes) -> None:
        try:
            packet = parse(octets)
        except PeerError:
            return
        mutation.read_all(packet, Counter())

    yield target


@contextmanager
def worker() -> Iterator[Target]:
    """A real worker with table, journal and counters; the first octet says where it is sent from.

    Bit 0: to the accounting port. Bit 1: from the NAS that need not sign. Bit 2: as it is, without
    signing it anew.
    """
    with _Bench() as bench:
        yield bench.target


class _Bench:
    """A worker that is made anew now and then, so that its journal stays small."""

    def __init__(self) -> None:
        self._folder = Path()
        self._worker: Worker | None = None
        self._datagrams = 0

    def __enter__(self) -> "_Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def target(self, octets: bytes) -> None:
        if self._worker is None or self._datagrams >= _DATAGRAMS_PER_WORKER:
            self._close()
            self._worker = self._open()
        self._datagrams += 1
        self._send(self._worker, octets[0] if octets else 0, octets[1:])

    def _open(self) -> Worker:
        self._folder = Path(tempfile.mkdtemp(prefix="religa-fuzz-"))
        configured = settings(self._folder, journal_max_bytes=256 << 20)
        clients = [client(require="yes"), client("127.0.0.2/32", require="no", nas_id=8)]
        logins = [(b"ana", grant(1)), (b"joao", grant(2, mutation.PASSWORD.decode()))]
        publish(configured.table_path, logins, clients)
        self._datagrams = 0
        return Worker(configured)

    def _close(self) -> None:
        if self._worker is not None:
            self._worker.close()
            shutil.rmtree(self._folder)
            self._worker = None

    def _send(self, worker: Worker, how: int, datagram: bytes) -> None:
        address = _LENIENT if how & _FROM_LENIENT else _STRICT
        if not how & _UNTOUCHED:
            datagram = signed_anew(datagram, SECRET.value)
        if how & _ON_ACCOUNTING:
            replies = [reply for reply, _ in worker.handle_accounting([(datagram, address)])]
            answerable = answerable_accounting(datagram, SECRET.value)
        else:
            reply = worker.handle_access(datagram, address)
            replies = [] if reply is None else [reply]
            answerable = answerable_access(
                datagram, SECRET.value, unsigned_allowed=address is _LENIENT
            )
        fits = proxy_state_octets(datagram) <= 4096 - _REPLY_OCTETS_BESIDE
        assert len(replies) == answerable or (not replies and not fits), "answered, or not, wrongly"
        assert all(authentic_reply(reply, datagram, SECRET.value) for reply in replies)
        with Counters(settings(self._folder).counters_path) as counters:
            assert counters.read()["internal_error"] == 0 or not fits, "an exception on the way"


@contextmanager
def rows() -> Iterator[Target]:
    """A row of the grant table as a damaged disk may hold it: a value, or LocalError."""
    sealed = Rows(TABLE_KEY)

    def target(octets: bytes) -> None:
        for read in (lambda: sealed.read_grant(b"ana", octets), lambda: sealed.read_client(octets)):
            with suppress(LocalError):
                read()

    yield target


TARGETS: Final[Mapping[str, _Opening]] = {
    "decode": decode,
    "worker": worker,
    "rows": rows,
}


def seeds(name: str) -> list[bytes]:
    """Honest input of each kind, from which the corpus of a target once grew."""
    if name == "decode":
        return mutation.corpus()
    if name == "rows":
        packer = Rows(TABLE_KEY)
        return [packer.write_grant(b"ana", grant(1), 1), packer.write_client(client())]
    honest = [
        *(pap(1, b"ana"), chap(2, b"ana"), mschap2(3, b"ana"), pap(4, b"bia"), status_server(5)),
        *(accounting(6, b"s1", status=status) for status in (1, 2, 3, 7, 8)),
        *mutation.corpus(SECRET),
    ]
    return [bytes([how]) + each for each in honest for how in range(8)]
