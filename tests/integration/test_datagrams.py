"""Many datagrams a system call, over real sockets: what one call for each would have given."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius.codec import PACKET_OCTETS_MAX
from radius.datagrams import Datagrams, address_of, name_of
from radius.door import Address

MOST = 8
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@pytest.fixture(params=LOOPBACK, ids=["IPv4", "IPv6"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A server's socket, and one of a NAS that is connected to it."""
    with ExitStack() as stack:
        server, nas = (
            stack.enter_context(socket.socket(request.param, socket.SOCK_DGRAM)) for _ in range(2)
        )
        for sock in (server, nas):
            sock.bind((LOOPBACK[request.param], 0))
            sock.settimeout(5.0)
        nas.connect(server.getsockname())
        yield server, nas


def test_they_come_in_order_with_the_address_a_socket_gives(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    server, nas = pair
    sent = [b"", b"a", b"bc" * 700, bytes(PACKET_OCTETS_MAX)]
    nas.send(b"as a socket gives it")
    address = server.recvfrom(64)[1]
    for octets in sent:
        nas.send(octets)
    assert Datagrams(MOST).receive(server, MOST) == [(octets, address) for octets in sent]


def test_no_more_than_was_asked_for_nor_than_there_is_room_for(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    server, nas = pair
    datagrams = Datagrams(MOST)
    for number in range(MOST + 4):
        nas.send(bytes([number]))
    taken = [datagrams.receive(server, most) for most in (3, 99, 99, 99)]
    assert [len(some) for some in taken] == [3, MOST, 1, 0]
    assert [octets for some in taken for octets, _ in some] == [
        bytes([number]) for number in range(MOST + 4)
    ]


def test_what_is_longer_than_any_packet_is_seen_to_be(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    server, nas = pair
    datagrams = Datagrams(MOST)
    nas.send(bytes(PACKET_OCTETS_MAX + 500))
    nas.send(b"next")
    (long, _), (after, _) = datagrams.receive(server, MOST)
    assert (len(long), after) == (PACKET_OCTETS_MAX + 1, b"next")


def test_replies_go_where_they_belong_in_order(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    server, nas = pair
    datagrams = Datagrams(MOST)
    replies = [(bytes([number]) * number, nas.getsockname()) for number in range(2 * MOST + 1)]
    assert datagrams.send(server, replies) == 0
    assert [nas.recv(4096) for _ in replies] == [octets for octets, _ in replies]
    assert datagrams.send(server, []) == 0


def test_one_that_cannot_be_sent_does_not_keep_the_others() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nas:
        nas.bind(("127.0.0.1", 0))
        nas.settimeout(5.0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            forged: Address = ("127.0.0.1", 0)
            replies = [
                (b"1", forged),
                (b"2", nas.getsockname()),
                (b"3", forged),
                (b"4", nas.getsockname()),
            ]
            assert Datagrams(MOST).send(server, replies) == 2
        assert [nas.recv(16), nas.recv(16)] == [b"2", b"4"]


def test_spoofed_addresses_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radius.datagrams._ADDRESSES_MAX", 2)
    datagrams = Datagrams(MOST)
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        server.bind(("127.0.0.1", 0))
        many = [
            stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(5)
        ]
        for number, nas in enumerate(many):
            nas.connect(server.getsockname())
            nas.settimeout(5.0)
            nas.send(bytes([number]))
        taken = datagrams.receive(server, MOST)
        assert [address for _, address in taken] == [nas.getsockname() for nas in many]
        # Also who is not remembered any more is answered.
        assert datagrams.send(server, taken) == 0
        assert [nas.recv(16) for nas in many] == [octets for octets, _ in taken]


PORTS = st.integers(0, 0xFFFF)


@given(
    st.one_of(
        st.tuples(st.ip_addresses(v=4).map(str), PORTS),
        st.tuples(
            st.ip_addresses(v=6).map(lambda host: socket.inet_ntop(socket.AF_INET6, host.packed)),
            PORTS,
            st.integers(0, 0xFFFFF),
            st.integers(0, 0xFFFFFFFF),
        ),
    )
)
def test_an_address_is_read_as_it_was_written(address: Address) -> None:
    name = name_of(address)
    assert address_of(name) == address
    packed = IPv4Address(address[0]) if len(address) == 2 else IPv6Address(address[0])
    assert packed.packed in name
