"""What tests of the RADIUS data plane share: one NAS, two logins, and requests as the NAS sends."""

import multiprocessing
import os
import signal
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

from radius.codec import (
    Code,
    Packet,
    Secret,
    attribute,
    encode_request,
    parse,
    vendor_attribute,
    verify_reply,
)
from radius.credentials import chap_response, hide_pap, mschap2_response, nt_hash
from radius.server import WorkerSettings, serve
from radius.table import Client, Grant, GrantTable

SECRET = Secret(b"a shared secret")
TABLE_KEY = bytes(range(32))
CLASS_KEY = bytes(range(32, 64))
RATE = attribute(26, (14988).to_bytes(4, "big") + attribute(8, b"10M/20M"))


def settings(folder: Path, journal_max_bytes: int = 16 << 20) -> WorkerSettings:
    """A worker's files under `folder`."""
    return WorkerSettings(
        table_path=folder / "table",
        presence_path=folder / "presence",
        journal_path=folder / "journal",
        counters_path=folder / "counters",
        table_key=TABLE_KEY,
        class_key=CLASS_KEY,
        journal_max_bytes=journal_max_bytes,
        stale_after_s=960.0,
        reject_step_s=0.0,
    )


def grant(login_id: int, password: str = "correct horse", generation: int = 1) -> Grant:
    """A grant in the dialect of the tests' NAS."""
    return Grant(
        login_id=login_id,
        contract_id=login_id + 1000,
        generation=generation,
        password=password.encode(),
        replies={"mikrotik": RATE},
    )


def client(
    network: str = "127.0.0.1/32", require: str = "no", nas_id: int = 7, dialect: str = "mikrotik"
) -> Client:
    """The tests' NAS."""
    return Client(nas_id, ip_network(network), SECRET.value, dialect, require)


def publish(
    path: Path,
    grants: Iterable[tuple[bytes, Grant]] = (),
    clients: Iterable[Client] = (),
) -> None:
    """Make a complete table and let go of it."""
    with GrantTable(path, TABLE_KEY, readonly=False) as table:
        table.write_clients(clients)
        table.replace_all(grants, {})


def pap(
    identifier: int,
    username: bytes,
    password: bytes = b"correct horse",
    *,
    signed: bool = True,
    extra: bytes = b"",
    secret: Secret = SECRET,
) -> bytes:
    """An Access-Request with User-Password."""
    vector = os.urandom(16)
    hidden = attribute(2, hide_pap(password, secret, vector))
    return encode_request(
        Code.ACCESS_REQUEST,
        identifier,
        attribute(1, username) + hidden + extra,
        secret,
        message_authenticator=signed,
        authenticator=vector,
    )


def chap(identifier: int, username: bytes, password: bytes = b"correct horse") -> bytes:
    """An Access-Request with CHAP-Password and CHAP-Challenge."""
    challenge = os.urandom(16)
    return encode_request(
        Code.ACCESS_REQUEST,
        identifier,
        attribute(1, username)
        + attribute(3, chap_response(identifier, password, challenge))
        + attribute(60, challenge),
        SECRET,
        message_authenticator=True,
    )


def mschap2(identifier: int, username: bytes, password: str = "correct horse") -> bytes:
    """An Access-Request with MS-CHAP2-Response and MS-CHAP-Challenge."""
    challenge, peer_challenge = os.urandom(16), os.urandom(16)
    hashed = nt_hash(password)
    response = mschap2_response(identifier, hashed, username, challenge, peer_challenge)
    return encode_request(
        Code.ACCESS_REQUEST,
        identifier,
        attribute(1, username)
        + vendor_attribute(311, 11, challenge)
        + vendor_attribute(311, 25, response),
        SECRET,
        message_authenticator=True,
    )


def accounting(
    identifier: int,
    session_id: bytes,
    *,
    status: int = 1,
    extra: bytes = b"",
    secret: Secret = SECRET,
) -> bytes:
    """An Accounting-Request."""
    return encode_request(
        Code.ACCOUNTING_REQUEST,
        identifier,
        attribute(1, b"ana")
        + attribute(40, status.to_bytes(4, "big"))
        + attribute(44, session_id)
        + extra,
        secret,
        message_authenticator=False,
    )


def status_server(identifier: int, *, signed: bool = True) -> bytes:
    """A Status-Server."""
    return encode_request(Code.STATUS_SERVER, identifier, b"", SECRET, message_authenticator=signed)


def believed(reply: bytes | None, request: bytes) -> Packet:
    """The reply, once it is sound, authentic and an answer to `request`."""
    if reply is None:
        raise AssertionError("silence where a reply was expected")
    packet = parse(reply)
    access = request[0] == Code.ACCESS_REQUEST
    verify_reply(packet, request[4:20], SECRET, require_ma=access)
    if access and packet.attributes[0][0] != 80:
        raise AssertionError("Message-Authenticator is not the first attribute")
    if packet.identifier != request[1]:
        raise AssertionError("the reply has another Identifier")
    return packet


@contextmanager
def udp(host: str = "127.0.0.1", family: int = socket.AF_INET) -> Iterator[socket.socket]:
    """A UDP socket on a free port, which gives up waiting after ten seconds."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host, 0))
        sock.settimeout(10)
        yield sock


class WorkerProcess:
    """`serve` in a process of its own, which opens the files as a node's worker does."""

    def __init__(
        self,
        configured: WorkerSettings,
        auth_sockets: list[socket.socket],
        acct_sockets: list[socket.socket],
        neighbours: Sequence[socket.socket] = (),
    ) -> None:
        self._process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(configured, auth_sockets, acct_sockets, neighbours)
        )

    def __enter__(self) -> "WorkerProcess":
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join(10)
        if self._process.is_alive():
            self.kill()
            raise AssertionError("the worker did not stop when asked")

    @property
    def exit_code(self) -> int | None:
        return self._process.exitcode

    def kill(self) -> None:
        """As `kill -9`."""
        self._process.kill()
        self._process.join()


def _serve(
    configured: WorkerSettings,
    auth_sockets: list[socket.socket],
    acct_sockets: list[socket.socket],
    neighbours: Sequence[socket.socket],
) -> None:
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    serve(configured, auth_sockets, acct_sockets, lambda: bool(told), neighbours)
