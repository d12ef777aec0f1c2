"""Many datagrams with one system call: Linux's recvmmsg and sendmmsg, on memory laid out once.

Source: recvmmsg(2), sendmmsg(2), ip(7) and ipv6(7) for the addresses.
"""

import ctypes
import socket
import struct
from collections.abc import Sequence
from typing import Final

from radius.codec import PACKET_OCTETS_MAX
from radius.door import Address

# One octet more than a packet may have, so that a longer datagram is seen to be longer.
_OCTETS_MAX: Final = PACKET_OCTETS_MAX + 1
_SLOT_OCTETS: Final = 4_352  # of memory for one datagram
_NAME_OCTETS: Final = 32  # of memory for one address
# struct iovec: where, how much. struct mmsghdr: address and its size, vectors and their number,
# control data and its size, flags; and how many octets came or went.
_VECTOR: Final = struct.Struct("@PL")
_MESSAGE: Final = struct.Struct("@PIPNPNi0PI0P")
_NAME_SIZE_AT: Final = struct.calcsize("@P")
_OCTETS_AT: Final = struct.calcsize("@PIPNPNi0P")
_INET: Final = struct.Struct("!H4s8x")
_INET6: Final = struct.Struct("!HI16s")
_SCOPE: Final = struct.Struct("@I")
_FAMILY: Final = struct.Struct("@H")
# Of u32 in a message, and of machine words in a vector.
_MESSAGE_WORDS: Final = _MESSAGE.size // 4
_NAME_SIZE_WORD: Final = _NAME_SIZE_AT // 4
_OCTETS_WORD: Final = _OCTETS_AT // 4

# Addresses remembered; spoofed ones must not fill the memory.
_ADDRESSES_MAX: Final = 16_384

_libc: Final = ctypes.CDLL(None, use_errno=True)
_recvmmsg: Final = _libc.recvmmsg
_sendmmsg: Final = _libc.sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_recvmmsg.argtypes = (*_sendmmsg.argtypes, ctypes.c_void_p)


class Datagrams:
    """Takes and sends up to `most` at once, for any socket of one thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._in = _Slots(most)
        self._out = _Slots(most)
        # An address as the kernel writes it, and as a socket object says it; and back.
        self._addresses: dict[bytes, Address] = {}
        self._names: dict[Address, bytes] = {}

    def receive(self, sock: socket.socket, most: int) -> list[tuple[bytes, Address]]:
        """What the kernel holds for this socket, up to `most` datagrams. It never waits.

        Of a datagram longer than any packet one octet too many is given. An error that an earlier
        sending left behind is cleared by this.
        """
        slots, most = self._in, min(most, self._most)
        count: int = _recvmmsg(sock.fileno(), slots.start, most, socket.MSG_DONTWAIT, None)
        area, names, words = slots.area, slots.names, slots.words
        datagrams: list[tuple[bytes, Address]] = []
        at, name_at, word = 0, 0, 0
        while count > 0:
            name_size: int = words[word + _NAME_SIZE_WORD]
            octets: int = words[word + _OCTETS_WORD]
            name = bytes(names[name_at : name_at + name_size])
            address = self._addresses.get(name)
            if address is None:
                address = self._learn(name)
            datagrams.append((bytes(area[at : at + octets]), address))
            words[word + _NAME_SIZE_WORD] = _NAME_OCTETS
            at += _SLOT_OCTETS
            name_at += _NAME_OCTETS
            word += _MESSAGE_WORDS
            count -= 1
        return datagrams

    def send(self, sock: socket.socket, datagrams: Sequence[tuple[bytes, Address]]) -> int:
        """Send them in this order.

        Returns:
            How many could not be sent: unreachable, a full buffer, a forged source port 0.
        """
        failed = 0
        for first in range(0, len(datagrams), self._most):
            failed += self._send(sock, datagrams[first : first + self._most])
        return failed

    def _send(self, sock: socket.socket, datagrams: Sequence[tuple[bytes, Address]]) -> int:
        slots = self._out
        area, names, words, sizes = slots.area, slots.names, slots.words, slots.sizes
        at, name_at, word, size_at = 0, 0, 0, 1
        for octets, address in datagrams:
            name = self._names.get(address)
            if name is None:
                name = name_of(address)
            area[at : at + len(octets)] = octets
            names[name_at : name_at + len(name)] = name
            words[word + _NAME_SIZE_WORD] = len(name)
            sizes[size_at] = len(octets)
            at += _SLOT_OCTETS
            name_at += _NAME_OCTETS
            word += _MESSAGE_WORDS
            size_at += 2
        failed = sent = 0
        while sent < len(datagrams):
            start = slots.start + sent * _MESSAGE.size
            went: int = _sendmmsg(sock.fileno(), start, len(datagrams) - sent, 0)
            # An error is told only of the first: that one is passed over, the NAS asks again.
            failed += went < 0
            sent += max(went, 1)
        return failed

    def _learn(self, name: bytes) -> Address:
        if len(self._addresses) >= _ADDRESSES_MAX:
            self._addresses.clear()
            self._names.clear()
        address = self._addresses[name] = address_of(name)
        self._names[address] = name
        return address


class _Slots:
    """Memory for `most` datagrams, with the headers that point to it.

    Attributes:
        area: the datagrams.
        names: the addresses.
        words: the headers, as u32.
        sizes: the vectors, as machine words.
        start: where the headers lie.
    """

    def __init__(self, most: int) -> None:
        self.area = bytearray(most * _SLOT_OCTETS)
        self.names = bytearray(most * _NAME_OCTETS)
        vectors, messages = bytearray(most * _VECTOR.size), bytearray(most * _MESSAGE.size)
        area, name, vector = _start(self.area), _start(self.names), _start(vectors)
        for number in range(most):
            _VECTOR.pack_into(vectors, number * _VECTOR.size, area, _OCTETS_MAX)
            at = number * _MESSAGE.size
            _MESSAGE.pack_into(messages, at, name, _NAME_OCTETS, vector, 1, 0, 0, 0, 0)
            area += _SLOT_OCTETS
            name += _NAME_OCTETS
            vector += _VECTOR.size
        self.words = memoryview(messages).cast("I")
        self.sizes = memoryview(vectors).cast("L")
        self.start = _start(messages)


def _start(memory: bytearray) -> int:
    """Where it lies; it cannot be resized any more."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def address_of(name: bytes) -> Address:
    """A socket address as the kernel writes it, as a socket object says it."""
    if _FAMILY.unpack_from(name)[0] == socket.AF_INET:
        port, host = _INET.unpack_from(name, 2)
        return socket.inet_ntop(socket.AF_INET, host), port
    port, flow, host = _INET6.unpack_from(name, 2)
    return socket.inet_ntop(socket.AF_INET6, host), port, flow, _SCOPE.unpack_from(name, 24)[0]


def name_of(address: Address) -> bytes:
    """The reverse of `address_of`."""
    host = address[0]
    if len(address) == 2:
        octets = _INET.pack(address[1], socket.inet_pton(socket.AF_INET, host))
        return _FAMILY.pack(socket.AF_INET) + octets
    octets = _INET6.pack(address[1], address[2], socket.inet_pton(socket.AF_INET6, host))
    return _FAMILY.pack(socket.AF_INET6) + octets + _SCOPE.pack(address[3])
