"""What may be sent to one NAS, and when. `SendQueue` decides, in whatever time it is told.

Restores go before cuts, and a part of what may be in flight is kept for them, so that a NAS that
leaves cuts unanswered has room for who paid.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

IN_FLIGHT_MAX = 128
CUTS_IN_FLIGHT_MAX = 64

Ticket = TypeVar("Ticket", bound=Hashable)


@dataclass(slots=True)
class TokenBucket:
    """`per_s` a second, and as many at once after a quiet second."""

    per_s: float
    tokens: float = field(init=False)
    counted_at: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.tokens = self.per_s

    def take(self, now: float) -> float:
        """Take one and answer 0.0; or, where there is none, how many seconds until there is."""
        if self.counted_at is not None:
            self.tokens = min(self.per_s, self.tokens + (now - self.counted_at) * self.per_s)
        self.counted_at = now
        # A hair below one, or rounding could ask for a wait too short to change anything.
        if self.tokens < 1 - 1e-6:
            return (1 - self.tokens) / self.per_s
        self.tokens -= 1
        return 0.0


class SendQueue(Generic[Ticket]):
    """Who waits to send to one NAS, and who has sent and waits for the answer.

    A ticket is any value of the caller's; each stands in line or is in flight once at a time.
    """

    def __init__(
        self,
        per_s: float,
        in_flight_max: int = IN_FLIGHT_MAX,
        cuts_in_flight_max: int = CUTS_IN_FLIGHT_MAX,
    ) -> None:
        self._bucket = TokenBucket(per_s)
        self._in_flight_max = in_flight_max
        self._cuts_in_flight_max = cuts_in_flight_max
        self._restores: OrderedDict[Ticket, None] = OrderedDict()
        self._cuts: OrderedDict[Ticket, None] = OrderedDict()
        self._restores_in_flight: set[Ticket] = set()
        self._cuts_in_flight: set[Ticket] = set()

    def offer(self, ticket: Ticket, *, restores: bool) -> None:
        """Stand in line, behind the others of its kind."""
        (self._restores if restores else self._cuts)[ticket] = None

    def withdraw(self, ticket: Ticket) -> None:
        """Leave the line, or be done with what was sent."""
        self._restores.pop(ticket, None)
        self._cuts.pop(ticket, None)
        self._restores_in_flight.discard(ticket)
        self._cuts_in_flight.discard(ticket)

    def admit(self, now: float) -> tuple[list[Ticket], float | None]:
        """Those who may send now, and in how many seconds to ask again.

        None: not before somebody comes or is done.
        """
        admitted: list[Ticket] = []
        while len(self._restores_in_flight) + len(self._cuts_in_flight) < self._in_flight_max:
            if self._restores:
                line, in_flight = self._restores, self._restores_in_flight
            elif self._cuts and len(self._cuts_in_flight) < self._cuts_in_flight_max:
                line, in_flight = self._cuts, self._cuts_in_flight
            else:
                break
            wait_s = self._bucket.take(now)
            if wait_s > 0:
                return admitted, wait_s
            ticket, _ = line.popitem(last=False)
            in_flight.add(ticket)
            admitted.append(ticket)
        return admitted, None


class Lane:
    """A NAS's send queue on the running loop."""

    def __init__(self, per_s: float) -> None:
        self._queue: SendQueue[asyncio.Event] = SendQueue(per_s)
        self._timer: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def line(self, *, restores: bool) -> Iterator[asyncio.Event]:
        """Stand in line; the event is set when it is our turn, which lasts until the block ends."""
        turn = asyncio.Event()
        self._queue.offer(turn, restores=restores)
        self._pump()
        try:
            yield turn
        finally:
            self._queue.withdraw(turn)
            self._pump()

    def _pump(self) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        admitted, ask_in_s = self._queue.admit(loop.time())
        for turn in admitted:
            turn.set()
        if ask_in_s is not None:
            self._timer = loop.call_later(ask_in_s, self._pump)
