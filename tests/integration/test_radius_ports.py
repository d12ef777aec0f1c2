"""The node's UDP ports: who gets which datagram, and a port that is taken."""

import socket

import pytest

from api.ports import PortInUse, bind_sockets
from config.settings import Settings
from tests.support.product import free_port

HOSTS = [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]


def received(sock: socket.socket) -> list[int]:
    """The Identifiers of what the kernel holds for one worker."""
    found = []
    try:
        while True:
            found.append(sock.recv(100)[1])
    except BlockingIOError:
        return found


@pytest.mark.parametrize(("host", "family"), HOSTS, ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.anyio
async def test_one_nas_on_one_port_keeps_all_workers_busy(
    host: str, family: int, workers: int
) -> None:
    port = free_port(socket.SOCK_DGRAM)
    groups = await bind_sockets(Settings(radius_host=host), port, workers)
    with socket.socket(family, socket.SOCK_DGRAM) as nas:
        nas.connect((host, port))
        for identifier in (*range(256), 7):  # and one sent again
            nas.send(bytes((1, identifier, 0, 20)) + bytes(16))
    dealt = [received(worker[0]) for worker in groups]
    for worker in groups:
        worker[0].close()
    for number, identifiers in enumerate(dealt):
        expected = [i for i in range(256) if i % workers == number]
        assert identifiers == expected + ([7] if 7 % workers == number else [])


@pytest.mark.anyio
async def test_a_datagram_too_short_for_an_identifier_is_dealt_too() -> None:
    port = free_port(socket.SOCK_DGRAM)
    groups = await bind_sockets(Settings(radius_host="127.0.0.1"), port, 2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nas:
        nas.connect(("127.0.0.1", port))
        nas.send(b"\x01")
        nas.send(bytes((1, 1)))
    assert groups[1][0].recv(10) == bytes((1, 1))
    for worker in groups:
        worker[0].close()


@pytest.mark.anyio
async def test_a_port_that_somebody_serves_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.ports.BIND_PATIENCE_S", 0.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(PortInUse, match=f"UDP port {port}"):
            await bind_sockets(Settings(radius_host="127.0.0.1"), port, 2)
