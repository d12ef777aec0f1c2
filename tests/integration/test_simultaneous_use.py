"""Simultaneous-Use between two worker processes: the last place is given once, whoever asks."""

import socket
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from radius.codec import Code, attribute
from tests.support.radius_worker import (
    WorkerProcess,
    accounting,
    believed,
    client,
    grant,
    pap,
    publish,
    settings,
    udp,
)

LOGINS = 200


def two_workers(folder: Path, stack: ExitStack) -> list[socket.socket]:
    """Two workers on one table, journals of their own; a connected socket towards each."""
    logins = [
        (b"user%d" % number, replace(grant(number), sessions_max=1))
        for number in range(1, LOGINS + 1)
    ]
    publish(settings(folder).table_path, logins, [client()])
    lines = []
    for number in range(2):
        configured = replace(
            settings(folder),
            journal_path=folder / f"journal-{number}",
            counters_path=folder / f"counters-{number}",
        )
        auth, acct, nas = (stack.enter_context(udp()) for _ in range(3))
        stack.enter_context(WorkerProcess(configured, [auth], [acct]))
        nas.connect(auth.getsockname())
        lines.append(nas)
    return lines


def test_two_dials_at_one_moment_through_two_workers_get_one_place(tmp_path: Path) -> None:
    with ExitStack() as stack:
        lines = two_workers(tmp_path, stack)
        for number in range(1, LOGINS + 1):
            requests = [
                pap(
                    number % 256,
                    b"user%d" % number,
                    extra=attribute(31, b"02:00:00:00:00:0%d" % at),
                )
                for at in range(2)
            ]
            for line, request in zip(lines, requests, strict=True):
                line.send(request)
            codes = [
                believed(line.recv(4096), request).code
                for line, request in zip(lines, requests, strict=True)
            ]
            assert sorted(codes) == [Code.ACCESS_ACCEPT, Code.ACCESS_REJECT], number


def test_fifty_lines_that_lost_power_all_come_back_at_once(tmp_path: Path) -> None:
    with ExitStack() as stack:
        lines = two_workers(tmp_path, stack)
        for turn in range(3):  # up, and twice up again with no Stop in between
            for number in range(1, 51):
                line = lines[(number + turn) % 2]
                mac = attribute(31, b"02:00:00:00:01:%02X" % number)
                request = pap(number + 64 * turn, b"user%d" % number, extra=mac)
                line.send(request)
                assert believed(line.recv(4096), request).code == Code.ACCESS_ACCEPT


def test_a_start_heard_by_one_worker_counts_at_the_other(tmp_path: Path) -> None:
    with ExitStack() as stack:
        configured = settings(tmp_path)
        publish(configured.table_path, [(b"ana", replace(grant(1), sessions_max=1))], [client()])
        auth, acct, nas, nas_too = (stack.enter_context(udp()) for _ in range(4))
        recording = replace(configured, counters_path=tmp_path / "counters-acct")
        stack.enter_context(WorkerProcess(configured, [auth], []))
        stack.enter_context(WorkerProcess(recording, [], [acct]))
        nas.connect(auth.getsockname())
        nas_too.connect(acct.getsockname())
        # A line that was up before this node was: no Accept of ours ever made room for it.
        start = accounting(1, b"old", extra=attribute(31, b"AA"))
        nas_too.send(start)
        believed(nas_too.recv(4096), start)
        for mac, code in ((b"BB", Code.ACCESS_REJECT), (b"AA", Code.ACCESS_ACCEPT)):
            request = pap(mac[0], b"ana", extra=attribute(31, mac))
            nas.send(request)
            assert believed(nas.recv(4096), request).code == code
