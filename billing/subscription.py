"""The one value that a contract is billed from. Days are local dates, spans end before their end.

Source: money rules 1 to 5, 8, 9, 14 and 15.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from billing.access import Level
from billing.cycle import Cycle, DueDay, Mode, cycle_of
from billing.invoice import Line
from billing.reward import Reward
from billing.tariff import Addon, TariffPeriod


class BadDiscount(ValueError):
    """A discount that cannot be meant; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Discount:
    """A part of the plan's full price, or cents of a whole cycle. `until_on` None: no end."""

    description: str
    from_on: date
    until_on: date | None = None
    basis_points: int | None = None
    cents: int | None = None
    conditional: bool = False

    def __post_init__(self) -> None:
        if (self.basis_points is None) == (self.cents is None):
            raise BadDiscount("a discount is either basis_points or cents")
        if not (self.basis_points or self.cents or 0) > 0:
            raise BadDiscount("a discount is more than 0")
        if (self.basis_points or 0) > 10_000:
            raise BadDiscount("a discount is at most 10000 basis points, which is all of the price")
        if self.until_on is not None and self.until_on <= self.from_on:
            raise BadDiscount("a discount ends after it begins")


@dataclass(frozen=True, slots=True)
class Suspension:
    """Local days at whose first instant access was at `level`: reduced, walled or blocked."""

    from_on: date
    until_on: date
    level: Level


@dataclass(frozen=True, slots=True)
class Outage:
    """No service between two instants, aware and in the provider's zone."""

    id: int
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Extra:
    """A line that waits for the first invoice due on or after `due_from`.

    `by_hand`: an operator put it there; else it corrects days that were billed before a change.
    """

    id: int
    line: Line
    due_from: date
    by_hand: bool = True


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a contract is billed from.

    Attributes:
        started_on: the first day with service.
        ended_on: the first day without; None: it has not ended.
        ends_on: the same of an end that is still to come.
        billed_until: the first day that no invoice pays for yet.
        credited_until: the first day of which it was not looked yet whether it was suspended.
    """

    started_on: date
    due_days: tuple[DueDay, ...]
    tariffs: tuple[TariffPeriod, ...]
    billed_until: date
    credited_until: date
    mode: Mode = Mode.ARREARS
    ended_on: date | None = None
    ends_on: date | None = None
    addons: tuple[Addon, ...] = ()
    discounts: tuple[Discount, ...] = ()
    suspensions: tuple[Suspension, ...] = ()
    outages: tuple[Outage, ...] = ()
    extras: tuple[Extra, ...] = ()
    reward: Reward | None = None

    @property
    def stops_on(self) -> date | None:
        """The first day without service, past or to come."""
        return self.ended_on or self.ends_on


@dataclass(frozen=True, slots=True)
class Piece:
    """Days of one cycle, from `from_on` until before `until_on`."""

    cycle: Cycle
    from_on: date
    until_on: date

    @property
    def days(self) -> int:
        """How many."""
        return (self.until_on - self.from_on).days

    def within(self, from_on: date, until_on: date | None) -> "Piece | None":
        """What of it lies in another span; None: nothing."""
        first = max(self.from_on, from_on)
        end = self.until_on if until_on is None else min(self.until_on, until_on)
        return Piece(self.cycle, first, end) if first < end else None


def pieces(subscription: Subscription, from_on: date, until_on: date) -> Iterator[Piece]:
    """The days of a span on which the contract ran, cycle by cycle."""
    day = max(from_on, subscription.started_on)
    end = until_on if subscription.stops_on is None else min(until_on, subscription.stops_on)
    while day < end:
        cycle = cycle_of(day, subscription.due_days)
        piece = Piece(cycle, day, min(end, cycle.ends_on))
        yield piece
        day = piece.until_on


def first_due(started_on: date, due_days: tuple[DueDay, ...], mode: Mode) -> date:
    """The due date of a contract's first invoice.

    In advance it is the first due date from the start on; its invoice pays for the days before it
    too, since no invoice can have been due before the contract began.
    """
    cycle = cycle_of(started_on, due_days)
    return started_on if mode is Mode.ADVANCE and cycle.starts_on == started_on else cycle.ends_on
