"""One source port of the load generator: `sendmmsg` and `recvmmsg` on memory laid out beforehand.

The generator shares its processors with the servers that it measures, so a packet must cost it
next to nothing: all headers of both calls exist before the clock starts, replies land where they
stay, and they are read only after the clock has stopped.
"""

import ctypes
import errno
import os
import socket
import struct
from array import array
from collections.abc import Sequence
from typing import Final

# struct iovec and struct mmsghdr of Linux on 64 bits.
_IOVEC: Final = struct.Struct("=QQ")
_MMSGHDR: Final = struct.Struct("=QI4xQQQQi4xI4x")
_REPLY_OCTETS: Final = 256
_BATCH: Final = 64
_BUFFER_BYTES: Final = 4 << 20
_LATE: Final = 1_024  # room for replies to requests that were sent again

_libc = ctypes.CDLL(None, use_errno=True)
_sendmmsg, _recvmmsg = _libc.sendmmsg, _libc.recvmmsg
_sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
_recvmmsg.argtypes = [*_sendmmsg.argtypes, ctypes.c_void_p]


class Lane:
    """A socket with its requests, of which request n has the Identifier n mod 256.

    Attributes:
        sent: how many have been sent.
        answered: 1 for each that is answered or given up.
        sent_at: when each was sent first; seconds.
        reply_at: when each was answered; 0 while it is not.
    """

    def __init__(self, port: int, requests: Sequence[bytes], in_flight: int) -> None:
        if not 0 < in_flight <= 256:
            raise ValueError(f"a source port has 256 identifiers, not {in_flight} in flight")
        self.requests = requests
        self.sent = 0
        self.answered = bytearray(len(requests))
        self.sent_at = array("d", bytes(8 * len(requests)))
        self.reply_at = array("d", bytes(8 * len(requests)))
        self.resent = 0
        self.given_up = 0
        self.outstanding = 0
        self._in_flight = in_flight
        self._last_sent = array("d", bytes(8 * len(requests)))
        self._sends = bytearray(len(requests))
        self._oldest = 0  # every request before it is answered or given up
        self._position = array("L", bytes(8 * len(requests)))
        self._received = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._socket.connect(("127.0.0.1", port))
        self.descriptor = self._socket.fileno()
        self._octets = bytearray(b"".join(requests))
        self._tx = _Headers(self._octets, [len(request) for request in requests])
        room = len(requests) + _LATE
        self._area = bytearray(room * _REPLY_OCTETS)
        self._area[:: os.sysconf("SC_PAGESIZE")] = b"\1" * -(
            -len(self._area) // os.sysconf("SC_PAGESIZE")
        )
        self._rx = _Headers(self._area, [_REPLY_OCTETS] * room)

    def exhausted(self) -> bool:
        return self.sent == len(self.requests)

    def send(self, now: float) -> None:
        """Send as many as may be in flight and have a free Identifier."""
        first = self.sent
        end = min(first + self._in_flight - self.outstanding, len(self.requests))
        if end > self._oldest + 256:
            slot = max(first, 256)
            while slot < end and self.answered[slot - 256]:
                slot += 1
            end = slot
        if end > first:
            self._push(first, end - first)
            self.sent_at[first:end] = self._last_sent[first:end] = array("d", [now]) * (end - first)
            self.outstanding += end - first
            self.sent = end

    def receive(self, clock_s: float) -> None:
        """Take up to 64 replies; what answers nothing that is open is left unread."""
        first = self._received
        if first + _BATCH > self._rx.count:
            raise RuntimeError("more replies than were asked for")
        got = _recvmmsg(self.descriptor, self._rx.at(first), _BATCH, socket.MSG_DONTWAIT, None)
        if got < 0:
            if ctypes.get_errno() in (errno.EAGAIN, errno.ECONNREFUSED):
                return
            raise OSError(ctypes.get_errno(), "recvmmsg")
        start = first * _REPLY_OCTETS
        newest = self.sent - 1
        answered = self.answered
        identifiers = self._area[start + 1 : start + got * _REPLY_OCTETS : _REPLY_OCTETS]
        for position, identifier in enumerate(identifiers, start=first):
            request = newest - (newest - identifier & 255)
            if request >= 0 and not answered[request]:
                answered[request] = 1
                self._position[request] = position
                self.reply_at[request] = clock_s
                self.outstanding -= 1
        self._received = first + got
        while self._oldest < self.sent and answered[self._oldest]:
            self._oldest += 1

    def remind(self, now: float, after_s: float, sends_max: int) -> None:
        """Send again what has waited `after_s`; give up what was sent `sends_max` times."""
        for request in range(self._oldest, self.sent):
            if not self.answered[request] and now - self._last_sent[request] >= after_s:
                if self._sends[request] + 1 >= sends_max:
                    self.answered[request] = 1
                    self.outstanding -= 1
                    self.given_up += 1
                else:
                    self._sends[request] += 1
                    self._push(request, 1)
                    self._last_sent[request] = now
                    self.resent += 1

    def reply(self, request: int) -> bytes:
        """The octets that answered a request with a `reply_at`."""
        position = self._position[request]
        start = position * _REPLY_OCTETS
        return bytes(self._area[start : start + self._rx.octets(position)])

    def close(self) -> None:
        self._socket.close()

    def _push(self, first: int, count: int) -> None:
        while count:
            done = _sendmmsg(self.descriptor, self._tx.at(first), count, 0)
            if done < 0:
                # An ICMP error of an earlier datagram: reported once, and this one not yet sent.
                if ctypes.get_errno() == errno.ECONNREFUSED:
                    continue
                raise OSError(ctypes.get_errno(), "sendmmsg")
            first += done
            count -= done


class _Headers:
    """An array of `struct mmsghdr`, one for each stretch of `memory`."""

    def __init__(self, memory: bytearray, sizes: Sequence[int]) -> None:
        self.count = len(sizes)
        start = _address(memory)
        vectors = bytearray(_IOVEC.size * self.count)
        self._headers = bytearray(_MMSGHDR.size * self.count)
        vectors_start = _address(vectors)
        for number, size in enumerate(sizes):
            _IOVEC.pack_into(vectors, number * _IOVEC.size, start, size)
            vector = vectors_start + number * _IOVEC.size
            _MMSGHDR.pack_into(self._headers, number * _MMSGHDR.size, 0, 0, vector, 1, 0, 0, 0, 0)
            start += size
        self._kept = (memory, vectors)
        self._start = _address(self._headers)

    def at(self, number: int) -> int:
        """The address of one header."""
        return self._start + number * _MMSGHDR.size

    def octets(self, number: int) -> int:
        """What the kernel says it received there."""
        length: int = _MMSGHDR.unpack_from(self._headers, number * _MMSGHDR.size)[7]
        return length


def _address(memory: bytearray) -> int:
    """Where it lies; it must not be resized afterwards."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
