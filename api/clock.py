"""Business time. Real, or, in rehearsal, a stored instant that moves only when told to.

What measures or goes on the wire (timers, leases, Event-Timestamp) never reads this clock.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo


class Clock(Protocol):
    """`now()` is aware and in the provider's zone, so `now().date()` is the business date."""

    @property
    def manual(self) -> bool: ...

    def now(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    zone: ZoneInfo
    manual: bool = False

    def now(self) -> datetime:
        return datetime.now(self.zone)


@dataclass(slots=True)
class ManualClock:
    """Stands still. A unit of work sets it from the `clock` row as it opens."""

    zone: ZoneInfo
    instant: datetime = field(default_factory=lambda: datetime.now(UTC))
    manual: bool = True

    def now(self) -> datetime:
        return self.instant.astimezone(self.zone)


def wall() -> datetime:
    """Real time, for measuring and for the wire."""
    return datetime.now(UTC)


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The first existing instant of a local date.

    São Paulo's 2017-10-15 began at 01:00: its midnight does not exist.

    >>> day_start(date(2017, 10, 15), ZoneInfo("America/Sao_Paulo")).isoformat()
    '2017-10-15T01:00:00-02:00'
    """
    midnight = datetime.combine(day, time(), zone)
    real = midnight.astimezone(UTC).astimezone(zone)
    if real.date() < day:  # a gap folded backwards
        real += timedelta(hours=1)
    return real
