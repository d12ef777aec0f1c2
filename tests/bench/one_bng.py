"""One big BNG on one source port: two workers against one.

On two cores a generator at work would take from the second worker what it was to show. So the
workers are stopped (SIGSTOP), their sockets' queues are filled with requests from one port, and
they are let go. Meanwhile nothing else runs: replies gather in our socket, each stamped by the
kernel as it arrives (SO_TIMESTAMPNS), and are read and checked afterwards. The rate is that of the
whole queue, from its first reply to its last: a worker that had less to do waits for the other.
"""

import os
import signal
import socket
import struct
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from radius.codec import Code, parse, verify_reply
from radius.errors import PeerError
from tests.bench.figure import Figure
from tests.bench.flood import Load, flood
from tests.bench.ours import Ours, accepted, make_table, serving
from tests.bench.requests import USERS, access_requests, drawn
from tests.support.product import own_folder
from tests.support.radius_worker import SECRET

ROUNDS = 7
QUEUED = 8_000
_BUFFER_BYTES = 32 << 20
_SETTLE_S = 0.3
# Of Linux, not named by the socket module.
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("=qq")


def one_bng() -> Iterator[Figure]:
    """Yield `radius_one_bng`."""
    print("method: queue filled while the workers are stopped, then its drain", file=sys.stderr)
    with own_folder() as folder, ExitStack() as stack:
        servers: dict[int, Ours] = {}
        for workers in (2, 1):
            make_table(folder / str(workers), USERS)
            servers[workers] = stack.enter_context(serving(folder / str(workers), workers))
        for server in servers.values():
            flood(Load(server.auth_port, "access", 8_192, seed=-1))
        rates: dict[int, list[float]] = {workers: [] for workers in servers}
        for number in range(ROUNDS):
            for workers, server in servers.items():
                before = accepted(folder / str(workers), workers)
                per_s = _drain_rate(server, number)
                after = accepted(folder / str(workers), workers)
                shares = " + ".join(str(b - a) for a, b in zip(before, after, strict=True))
                print(
                    f"round {number}, {workers} workers: {per_s:,.0f}/s, shares {shares}",
                    file=sys.stderr,
                )
                rates[workers].append(per_s)
    both, one = median(rates[2]), median(rates[1])
    yield Figure("radius_one_bng", both, "replies/s", 1.6, peer=one, better="larger")


def _drain_rate(server: Ours, seed: int) -> float:
    requests = access_requests(drawn(QUEUED, USERS, seed))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bng:
        bng.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        bng.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        bng.connect(("127.0.0.1", server.auth_port))
        _signal(server, signal.SIGSTOP)
        try:
            for request in requests:
                bng.send(request)
        finally:
            _signal(server, signal.SIGCONT)
        time.sleep(_SETTLE_S + QUEUED / 10_000)
        bng.settimeout(1.0)
        replies = list(_received(bng))
    _check(requests, [reply for reply, _ in replies])
    stamps = [stamp for _, stamp in replies]
    return (len(stamps) - 1) / (max(stamps) - min(stamps))


def _signal(server: Ours, number: int) -> None:
    for pid in server.pids:
        os.kill(pid, number)


def _received(sock: socket.socket) -> Iterator[tuple[bytes, float]]:
    """Replies and when the kernel saw them, in seconds."""
    while True:
        try:
            reply, ancillary, _, _ = sock.recvmsg(512, socket.CMSG_SPACE(_TIMESPEC.size))
        except TimeoutError:
            return
        seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
        yield reply, seconds + nanoseconds / 1e9


def _check(requests: list[bytes], replies: list[bytes]) -> None:
    """Every request is accepted once; an Identifier stands for many of them."""
    open_by_identifier: dict[int, list[bytes]] = defaultdict(list)
    for request in requests:
        open_by_identifier[request[1]].append(request)
    for reply in replies:
        waiting = open_by_identifier[reply[1]]
        meant = [request for request in waiting if _accepts(reply, request)]
        if len(meant) != 1:
            raise RuntimeError(f"a reply answers {len(meant)} of the open requests")
        waiting.remove(meant[0])
    if len(replies) != len(requests):
        raise RuntimeError(f"{len(replies)} replies to {len(requests)} requests")


def _accepts(reply: bytes, request: bytes) -> bool:
    packet = parse(reply)
    try:
        verify_reply(packet, request[4:20], SECRET, require_ma=True)
    except PeerError:
        return False
    return packet.code == Code.ACCESS_ACCEPT
