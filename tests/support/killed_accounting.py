"""Accounting under `kill -9`: a NAS that never stops sending, and workers that are killed from a
seed at any moment and started again on the same journals.

The NAS is a plain UDP socket and judges replies by tests/support/signatures.py.
"""

import hashlib
import random
import select
import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from radius.codec import PACKET_OCTETS_MAX
from radius.journal import Journal
from radius.server import WorkerSettings
from tests.support.radius_worker import SECRET, WorkerProcess, client, publish, settings, udp
from tests.support.signatures import authentic_reply

_JOURNAL_BYTES: Final = 256 << 20
_RESEND_AFTER_S: Final = 0.2
_START_S_MAX: Final = 20.0
_USER: Final = b"\x01\x05ana"


class Nas:
    """Keeps every Identifier of one socket in flight from `start` to `stop`.

    Attributes:
        acknowledged: session ids of records whose Accounting-Response was verified.
        sent: session ids of all records.
        strange: replies that answer neither the record under way nor the one before it.
    """

    def __init__(self, name: str, port: int) -> None:
        self._name = name
        self._port = port
        self.acknowledged: list[bytes] = []
        self.sent: list[bytes] = []
        self.strange = 0
        self._under_way: dict[int, _Sent] = {}
        self._answered: dict[int, _Sent] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """End, without waiting for what is under way."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", self._port))
            sock.setblocking(False)
            while not self._ended.is_set():
                self._send_due(sock)
                select.select([sock], [], [], 0.01)
                self._hear(sock)

    def _send_due(self, sock: socket.socket) -> None:
        now = time.monotonic()
        for identifier in range(256):
            sent = self._under_way.get(identifier)
            if sent is None:
                session_id = f"{self._name}-{len(self.sent)}".encode()
                sent = self._under_way[identifier] = _Sent(
                    session_id, _start(identifier, session_id)
                )
                self.sent.append(session_id)
            if now >= sent.due_at:
                sent.due_at = now + _RESEND_AFTER_S
                try:
                    sock.send(sent.request)
                except BlockingIOError:
                    return

    def _hear(self, sock: socket.socket) -> None:
        while True:
            try:
                reply = sock.recv(PACKET_OCTETS_MAX)
            except BlockingIOError:
                return
            sent, before = (kept.get(reply[1]) for kept in (self._under_way, self._answered))
            if sent is not None and authentic_reply(reply, sent.request, SECRET.value):
                self.acknowledged.append(sent.session_id)
                self._answered[reply[1]] = self._under_way.pop(reply[1])
            elif before is None or not authentic_reply(reply, before.request, SECRET.value):
                self.strange += 1


@dataclass(slots=True)
class _Sent:
    session_id: bytes
    request: bytes
    due_at: float = 0.0


def _start(identifier: int, session_id: bytes) -> bytes:
    """An Accounting-Request (Start), made by hand."""
    body = b"\x28\x06\x00\x00\x00\x01" + _USER + bytes((44, len(session_id) + 2)) + session_id
    prefix = bytes((4, identifier)) + (20 + len(body)).to_bytes(2, "big")
    return prefix + hashlib.md5(prefix + bytes(16) + body + SECRET.value).digest() + body


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the NASes know to be acknowledged, and what stands in the journals."""

    acknowledged: list[bytes]
    sent: list[bytes]
    strange: int
    journalled: list[bytes]
    journals: Path

    def lost(self) -> set[bytes]:
        """Acknowledged, and not in the journal: must be empty."""
        return set(self.acknowledged) - set(self.journalled)


def kill_under_load(
    folder: Path, kills: int, seed: int, *, workers: int = 2, nas_id: int = 7
) -> Outcome:
    """Run the story; the journals stay in `folder`/journals/w0, w1, ..."""
    chance = random.Random(seed)
    configured = [_settings(folder, number) for number in range(workers)]
    publish(configured[0].table_path, clients=[client(nas_id=nas_id)])
    with ExitStack() as held:
        ports = [(held.enter_context(udp()), held.enter_context(udp())) for _ in range(workers)]
        nases = [Nas(f"n{number}", acct.getsockname()[1]) for number, (_, acct) in enumerate(ports)]
        running = [
            _started(files, auth, acct)
            for files, (auth, acct) in zip(configured, ports, strict=True)
        ]
        for nas in nases:
            nas.start()
        try:
            for _ in range(kills):
                number = chance.randrange(workers)
                # A fifth dies while it starts, before it could answer; the others at work.
                if chance.random() < 0.8:
                    _await_progress(nases[number])
                time.sleep(chance.uniform(0.0, 0.15))
                running[number].kill()
                running[number] = _started(configured[number], *ports[number])
            for nas in nases:
                _await_progress(nas)
        finally:
            for worker in running:
                worker.kill()
            for nas in nases:
                nas.stop()
    return Outcome(
        [one for nas in nases for one in nas.acknowledged],
        [one for nas in nases for one in nas.sent],
        sum(nas.strange for nas in nases),
        [one for files in configured for one in _journalled(files.journal_path)],
        folder / "journals",
    )


def _settings(folder: Path, number: int) -> WorkerSettings:
    return replace(
        settings(folder, journal_max_bytes=_JOURNAL_BYTES),
        journal_path=folder / "journals" / f"w{number}",
        counters_path=folder / f"counters{number}",
    )


def _started(files: WorkerSettings, auth: socket.socket, acct: socket.socket) -> WorkerProcess:
    return WorkerProcess(files, [auth], [acct]).__enter__()


def _await_progress(nas: Nas) -> None:
    before, deadline = len(nas.acknowledged), time.monotonic() + _START_S_MAX
    while len(nas.acknowledged) == before:
        if time.monotonic() > deadline:
            raise AssertionError("the worker that was started again acknowledges nothing")
        time.sleep(0.005)


def _journalled(path: Path) -> list[bytes]:
    """Session ids, read without the product's reader: `_start` puts Acct-Session-Id last."""
    with Journal(path, _JOURNAL_BYTES) as journal:
        return [entry.octets.rpartition(_USER)[2][2:] for entry in journal.read(2**31)]
