"""One RADIUS worker process: reads its settings from stdin, answers on sockets it inherited.

Started by the node (`api.node`); touches no database and no environment.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path

from config import logging
from radius.server import WorkerSettings, serve


def main() -> int:
    """Serve until SIGTERM or until the node that started us is gone."""
    given = json.loads(sys.stdin.readline())
    logging.configure(given["log_level"], "radius-worker")
    stopping = False

    def stop(_signal: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    node = os.getppid()
    settings = WorkerSettings(
        table_path=Path(given["table_path"]),
        presence_path=Path(given["presence_path"]),
        journal_path=Path(given["journal_path"]),
        counters_path=Path(given["counters_path"]),
        table_key=bytes.fromhex(given["table_key"]),
        class_key=bytes.fromhex(given["class_key"]),
        journal_max_bytes=given["journal_max_bytes"],
        stale_after_s=given["stale_after_s"],
        reject_step_s=given["reject_step_s"],
    )
    serve(
        settings,
        [socket.socket(fileno=fd) for fd in given["auth_fds"]],
        [socket.socket(fileno=fd) for fd in given["acct_fds"]],
        # A worker without its node would answer from a table that nobody renews.
        lambda: stopping or os.getppid() != node,
        [socket.socket(fileno=fd) for fd in given["neighbour_fds"]],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
