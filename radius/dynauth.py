"""One CoA- or Disconnect-Request until it is answered or given up. No sockets, no clock.

Whoever drives an `Exchange` sends what it says, waits until `wake_at`, and feeds it what arrives.
Source: RFC 5080 section 2.2.1 for the timers, RFC 5176 for the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from radius.codec import Code, Packet, Secret, parse, verify_reply
from radius.errors import LocalError, PeerError

EVENT_TIMESTAMP: Final = 55
ERROR_CAUSE: Final = 101

# A reply's Event-Timestamp may be this far off (RFC 5176 section 6.3).
REPLAY_WINDOW_S: Final = 300

_ANSWERS: Final = {
    int(Code.COA_REQUEST): (int(Code.COA_ACK), int(Code.COA_NAK)),
    int(Code.DISCONNECT_REQUEST): (int(Code.DISCONNECT_ACK), int(Code.DISCONNECT_NAK)),
}


@dataclass(frozen=True, slots=True)
class Timers:
    """When to resend and when to give up, in seconds, by the names of RFC 5080 section 2.2.1.

    Attributes:
        initial_s: IRT, the first wait; each later one is twice as long.
        wait_max_s: MRT, bound of one wait before jitter.
        sends_max: MRC, how often the request is sent at most.
        duration_max_s: MRD, since the first sending.
        jitter: RAND, the share by which each wait is stretched or shrunk at random.
    """

    initial_s: float = 2.0
    wait_max_s: float = 16.0
    sends_max: int = 5
    duration_max_s: float = 30.0
    jitter: float = 0.1


@dataclass(frozen=True, slots=True)
class Ack:
    """The NAS says that it did it. Not proof: some acknowledge what they ignored."""

    sends: int


@dataclass(frozen=True, slots=True)
class Nak:
    """The NAS refuses; `error_cause` is RFC 5176 section 3.5's code, None if it gave none."""

    error_cause: int | None
    sends: int


@dataclass(frozen=True, slots=True)
class Silence:
    """No believable answer. The NAS may or may not have done it."""

    sends: int


Outcome = Ack | Nak | Silence


class Exchange:
    """The life of one request.

    Args:
        request: the encoded packet; every resend repeats these octets, as RFC 5176 section 2.3
            asks (same Identifier, authenticator and Event-Timestamp).
        secret: shared with the NAS.
        timers: when to resend and give up.
        random: uniform in [0, 1); the source of jitter.
        now: monotonic seconds; the first sending is due at this instant.
    """

    def __init__(
        self,
        request: bytes,
        secret: Secret,
        timers: Timers,
        random: Callable[[], float],
        now: float,
    ) -> None:
        packet = parse(request)
        if packet.code not in _ANSWERS:
            raise LocalError(f"code {packet.code} is neither CoA- nor Disconnect-Request")
        self._request = packet
        self._secret = secret
        self._timers = timers
        self._random = random
        self._deadline = now + timers.duration_max_s
        self._wait_s = 0.0
        self.sends = 0
        self.wake_at = now

    def poll(self, now: float) -> bytes | Silence | None:
        """What is due at `now`: octets to send, or the end of patience; None before `wake_at`."""
        if now < self.wake_at:
            return None
        if self.sends == self._timers.sends_max or (self.sends and now >= self._deadline):
            return Silence(self.sends)
        self.sends += 1
        self._wait_s = self._next_wait_s()
        self.wake_at = min(now + self._wait_s, self._deadline)
        return self._request.octets

    def receive(self, datagram: bytes, epoch_s: float) -> Ack | Nak | None:
        """What a datagram says; None unless it is a fresh and authentic answer to this request.

        Args:
            datagram: as it came from the address to which the request was sent.
            epoch_s: real time, seconds since 1970, for a reply that carries Event-Timestamp.
        """
        try:
            reply = parse(datagram)
            ack, nak = _ANSWERS[self._request.code]
            if reply.identifier != self._request.identifier or reply.code not in (ack, nak):
                return None
            # Without requiring Message-Authenticator: accel-ppp never sends one, and the
            # authenticator of a reply is keyed over our own request already.
            verify_reply(reply, self._request.authenticator, self._secret)
        except PeerError:
            return None
        stamped = _uint32(reply, EVENT_TIMESTAMP)
        if stamped is not None and abs(stamped - epoch_s) > REPLAY_WINDOW_S:
            return None
        if reply.code == ack:
            return Ack(self.sends)
        return Nak(_uint32(reply, ERROR_CAUSE), self.sends)

    def _next_wait_s(self) -> float:
        timers = self._timers
        stretch = timers.jitter * (2 * self._random() - 1)
        if self.sends == 1:
            return timers.initial_s * (1 + stretch)
        wait_s = self._wait_s * (2 + stretch)
        return timers.wait_max_s * (1 + stretch) if wait_s > timers.wait_max_s else wait_s


def _uint32(packet: Packet, number: int) -> int | None:
    value = packet.first(number)
    return int.from_bytes(value, "big") if value is not None and len(value) == 4 else None
