"""The loop of a RADIUS worker: sockets on one side, `Worker` on the other.

Blocking epoll with draining is five times cheaper a packet than asyncio's datagrams (measured:
13 us against 37 us), and there is nothing else for a worker to wait for.
"""

import contextlib
import gc
import heapq
import select
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from radius.datagrams import Datagrams
from radius.worker import Address, Worker, WorkerSettings

__all__ = ["Worker", "WorkerSettings", "serve"]

_AUTH_DRAIN: Final = 64
# Little, so that its own are not kept waiting.
_NEIGHBOUR_DRAIN: Final = 16
# Many records to one write to disk; as many as a NAS sends while the disk is written to.
_ACCT_DRAIN: Final = 256
# So many full turns in a row are no burst: more arrives than is answered.
_BEHIND_TURNS: Final = 8
_STOP_CHECK_S: Final = 0.5
_GC_EVERY_OBJECTS: Final = 50_000
_HELD_BACK_MAX: Final = 16_384
_RECEIVE_BUFFER_BYTES: Final = 8 << 20
# Linux, past net.core.rmem_max for those who may; not named by the socket module.
_SO_RCVBUFFORCE: Final = 33


def serve(
    settings: WorkerSettings,
    auth_sockets: Sequence[socket.socket],
    acct_sockets: Sequence[socket.socket],
    stop: Callable[[], bool],
    neighbours: Sequence[socket.socket] = (),
) -> None:
    """Answer until `stop()`, asked at least twice a second.

    A turn takes up to 64 datagrams from each authentication socket, and up to 256 from each
    accounting socket as one batch, so that many records share one write to disk. While that write
    waits nothing else is answered: a node therefore gives each process sockets of one kind.

    Args:
        settings: of this worker; see `WorkerSettings`.
        auth_sockets: bound UDP sockets, IPv4 or IPv6. They stay open.
        acct_sockets: likewise.
        stop: true to end after the turn.
        neighbours: authentication sockets of other workers, which this one takes from when its own
            have nothing: requests are dealt by Identifier, processors are not as fair. They stay
            open.

    Raises:
        LocalError: table, presence, journal or counters cannot be opened.
    """
    accounting = bool(acct_sockets)
    with Worker(settings, accounting=accounting) as worker, select.epoll() as poller:
        loop = _Loop(worker)
        for sock in (*auth_sockets, *acct_sockets):
            sock.setblocking(False)
            _raise_receive_buffer(sock)
            poller.register(sock, select.EPOLLIN)
        for sock in neighbours:
            sock.setblocking(False)
        # What start-up made lives for ever: the collector need not walk it again.
        gc.collect()
        gc.freeze()
        # A turn makes a thousand short-lived objects and no cycles: look for those less often.
        gc.set_threshold(_GC_EVERY_OBJECTS)
        turns: dict[int, Callable[[], object]] = {}
        turns |= {sock.fileno(): partial(loop.authenticate, sock) for sock in auth_sockets}
        turns |= {sock.fileno(): partial(loop.account, sock) for sock in acct_sockets}
        stop_check_at = 0.0
        while time.monotonic() < stop_check_at or not stop():
            now = time.monotonic()
            if now >= stop_check_at:
                stop_check_at = now + _STOP_CHECK_S
            ready = poller.poll(0.0 if neighbours else loop.patience_s())
            if not ready and neighbours and not loop.help(neighbours):
                ready = poller.poll(loop.patience_s())
            for descriptor, _ in ready:
                turns[descriptor]()
            loop.send_held_back()


class _Loop:
    """What one turn does with a socket that has something."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._datagrams = Datagrams(_ACCT_DRAIN)
        # Rejects that wait: a heap, by when they are due. The number keeps sockets uncompared.
        self._held_back: list[tuple[float, int, socket.socket, bytes, Address]] = []
        self._held_back_ever = 0
        self._full_turns = 0

    def patience_s(self) -> float:
        """How long there may be nothing to do."""
        if not self._held_back:
            return _STOP_CHECK_S
        return min(_STOP_CHECK_S, max(0.0, self._held_back[0][0] - time.monotonic()))

    def authenticate(self, sock: socket.socket, most: int = _AUTH_DRAIN) -> int:
        """Decide on what is there, then send: a reply wakes its NAS, which is dear one by one.

        Returns:
            How many datagrams were there.
        """
        now = time.monotonic()
        datagrams = self._datagrams.receive(sock, most)
        if not datagrams:
            return 0
        replies: list[tuple[bytes, Address]] = []
        for octets, address, delay_s in self._worker.handle_accesses(datagrams):
            if delay_s:
                self._hold_back(now + delay_s, sock, octets, address)
            else:
                replies.append((octets, address))
        self._send(sock, replies)
        return len(datagrams)

    def help(self, neighbours: Sequence[socket.socket]) -> bool:
        """Take from each neighbour a little of what it has no time for; False: none has any."""
        return sum(self.authenticate(sock, _NEIGHBOUR_DRAIN) for sock in neighbours) > 0

    def account(self, sock: socket.socket) -> None:
        """Record together, then answer each."""
        batch = self._datagrams.receive(sock, _ACCT_DRAIN)
        self._full_turns = self._full_turns + 1 if len(batch) == _ACCT_DRAIN else 0
        behind = self._full_turns > _BEHIND_TURNS
        self._send(sock, self._worker.handle_accounting(batch, behind=behind))

    def send_held_back(self) -> None:
        """Send the Rejects whose time has come."""
        while self._held_back and self._held_back[0][0] <= time.monotonic():
            _, _, sock, octets, address = heapq.heappop(self._held_back)
            self._send(sock, [(octets, address)])

    def _hold_back(self, due: float, sock: socket.socket, octets: bytes, address: Address) -> None:
        if len(self._held_back) < _HELD_BACK_MAX:  # beyond, silence slows down guessing as well
            self._held_back_ever += 1
            heapq.heappush(self._held_back, (due, self._held_back_ever, sock, octets, address))

    def _send(self, sock: socket.socket, replies: Sequence[tuple[bytes, Address]]) -> None:
        failed = self._datagrams.send(sock, replies)
        if failed:  # the NAS asks again
            self._worker.count_send_failures(failed)


def _raise_receive_buffer(sock: socket.socket) -> None:
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, _RECEIVE_BUFFER_BYTES)
            return
