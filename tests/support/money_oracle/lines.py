"""What one line of an invoice comes to (rules 2, 3, 5, 8, 9, 11 and 14)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cache
from zoneinfo import ZoneInfo

from tests.support.money_oracle.bank_days import payable_until
from tests.support.money_oracle.cycles import DAY, Cycle
from tests.support.money_oracle.exact import half_up, shares

UTC = ZoneInfo("UTC")


def prorated(price: int, days: int, of_days: int) -> int:
    """Rules 2, 4 and 8: price x days / days of the full cycle."""
    return half_up(Fraction(price * days, of_days))


@dataclass(frozen=True, slots=True)
class Part:
    """Days of a cycle at one price; a line of its own."""

    start: date
    last: date
    price: int
    cents: int


def recurring(
    cycle: Cycle, prices: Sequence[tuple[date, int]], first: date, last: date | None
) -> list[Part]:
    """Rules 2 and 3: a cycle's days from `first` to `last`, one line for each price.

    Args:
        cycle: the full cycle.
        prices: (first day, cents), the oldest first.
        first: the first day of the contract.
        last: its last day, None while it runs.
    """
    lines: list[tuple[int, list[date]]] = []
    for day in cycle.days():
        if day < first or (last is not None and day > last):
            continue
        number = max(i for i, (since, _) in enumerate(prices) if since <= day)
        if not lines or lines[-1][0] != number:
            lines.append((number, []))
        lines[-1][1].append(day)
    return [
        Part(
            days[0],
            days[-1],
            prices[number][1],
            prorated(prices[number][1], len(days), cycle.of_days),
        )
        for number, days in lines
    ]


def suspended_days(
    days: Iterable[date], cuts: Sequence[tuple[datetime, datetime]], zone: ZoneInfo
) -> list[date]:
    """Rule 8: the days at whose first instant the access was cut.

    Args:
        days: local dates.
        cuts: (cut at, restored at), local instants.
        zone: the provider's; a day whose midnight its clocks skip begins an hour later.
    """
    found = []
    for day in days:
        begins = first_instant(day, zone)
        if any(cut.astimezone(UTC) <= begins < back.astimezone(UTC) for cut, back in cuts):
            found.append(day)
    return found


@cache
def first_instant(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day: the earliest whose local date it is."""
    instant = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=26)
    while instant.astimezone(zone).date() < day:
        instant += timedelta(minutes=30)
    return instant


def discount(price: int, offers: Sequence[Fraction | int]) -> int:
    """Rule 5: the sum of percentages (Fractions of the full price) and cents, at most the price."""
    off = [half_up(price * item) if isinstance(item, Fraction) else item for item in offers]
    return min(price, sum(off))


def in_time(due_on: date, paid_on: date) -> bool:
    """Rule 5: the payment's own date against the due date or its next bank day."""
    return paid_on <= payable_until(due_on)


def composed(price: int, weights: Sequence[Fraction]) -> list[int]:
    """Rule 9: the plan's components; the last takes the residue."""
    return shares(price, weights)


def penalty(agreed: int, remaining_days: int, total_days: int) -> int:
    """Rule 11: the agreed penalty by the days that are left."""
    return half_up(Fraction(agreed * max(0, remaining_days), total_days))


def outage(price: int, minutes: int, threshold: int, cycle_minutes: int) -> int:
    """Rule 14: the credit of one outage, positive; 0 up to the threshold."""
    if minutes <= threshold:
        return 0
    return half_up(Fraction(price * minutes, cycle_minutes))


def minutes_of(cycle: Cycle, zone: ZoneInfo) -> int:
    """The minutes that pass in a cycle; clocks that are set leave some out."""
    passed = first_instant(cycle.last + DAY, zone) - first_instant(cycle.start, zone)
    return int(passed.total_seconds()) // 60
