"""The NAS's side of RFC 5176: which requests it looks at, and which get no answer. No sockets.

Source: RFC 5176 sections 2.3 and 6.3; RFC 5080 section 2.2.2.
"""

from collections import OrderedDict
from dataclasses import dataclass

from api.rehearsal.nas_wire import (
    ZERO_AUTHENTICATOR,
    Code,
    Datagram,
    Type,
    keyed_request_is_genuine,
    message_authenticator,
    read,
)

Source = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Ack:
    """Does what it is asked and says so."""


@dataclass(frozen=True, slots=True)
class Nak:
    """Refuses; with no Error-Cause where that is None."""

    error_cause: int | None


@dataclass(frozen=True, slots=True)
class Silent:
    """Neither does it nor answers, as if the request had been lost."""


@dataclass(frozen=True, slots=True)
class Late:
    """Does it and says so, but only after a while; repeats get nothing meanwhile."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Lie:
    """Says that it did, and does nothing."""


Behaviour = Ack | Nak | Silent | Late | Lie


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request to be looked at. `reused`: its identifier came within the window, for another."""

    request: Datagram
    reused: bool


@dataclass(frozen=True, slots=True)
class Repeat:
    """A request that was answered before: the same octets go back."""

    request: Datagram
    answer: bytes


@dataclass(frozen=True, slots=True)
class Dropped:
    """No answer, and why."""

    reason: str
    request: Datagram | None = None


@dataclass(slots=True)
class _Seen:
    at_s: float
    authenticator: bytes
    answer: bytes | None


class Gate:
    """Lets genuine, fresh, new requests in; remembers answers for as long as the window is."""

    def __init__(
        self,
        secret: bytes,
        window_s: float,
        clients: frozenset[str],
        *,
        checks_message_authenticator: bool,
    ) -> None:
        """`clients` are the addresses that may ask; none given: any may."""
        self._secret = secret
        self._window_s = window_s
        self._clients = clients
        self._checks_message_authenticator = checks_message_authenticator
        self._seen: OrderedDict[tuple[Source, int], _Seen] = OrderedDict()

    def admit(self, octets: bytes, source: Source, now_s: float) -> Admitted | Repeat | Dropped:
        """Judge one datagram; `now_s` is real time since 1970, as Event-Timestamp counts it."""
        if self._clients and source[0] not in self._clients:
            return Dropped("source")
        request = read(octets)
        if request is None:
            return Dropped("malformed")
        if request.code not in (Code.COA_REQUEST, Code.DISCONNECT_REQUEST):
            return Dropped("code", request)
        if not keyed_request_is_genuine(request, self._secret):
            return Dropped("authenticator", request)
        if self._checks_message_authenticator:
            signed = message_authenticator(request, ZERO_AUTHENTICATOR, self._secret)
            if signed is False:
                return Dropped("message_authenticator", request)
        if not self._fresh(request, now_s):
            return Dropped("event_timestamp", request)
        return self._first_time(request, source, now_s)

    def _fresh(self, request: Datagram, now_s: float) -> bool:
        stamp = request.first(Type.EVENT_TIMESTAMP)
        if stamp is None:
            return True
        return len(stamp) == 4 and abs(now_s - int.from_bytes(stamp, "big")) <= self._window_s

    def _first_time(
        self, request: Datagram, source: Source, now_s: float
    ) -> Admitted | Repeat | Dropped:
        self._forget_before(now_s - self._window_s)
        key = (source, request.identifier)
        seen = self._seen.get(key)
        if seen is not None and seen.authenticator == request.authenticator:
            if seen.answer is None:
                return Dropped("in_progress", request)
            return Repeat(request, seen.answer)
        self._seen[key] = _Seen(now_s, request.authenticator, None)
        self._seen.move_to_end(key)
        return Admitted(request, reused=seen is not None)

    def answered(self, request: Datagram, source: Source, answer: bytes) -> None:
        """Keep the answer for repeats of the request."""
        seen = self._seen.get((source, request.identifier))
        if seen is not None and seen.authenticator == request.authenticator:
            seen.answer = answer

    def ignored(self, request: Datagram, source: Source) -> None:
        """Forget the request, so that a repeat is looked at as if it were the first."""
        self._seen.pop((source, request.identifier), None)

    def _forget_before(self, at_s: float) -> None:
        while self._seen:
            key, seen = next(iter(self._seen.items()))
            if seen.at_s >= at_s:
                return
            del self._seen[key]
