"""The customer's own suspension of the service: for how long, how often, which days it covers.

Source: ladder rule 13 and money rule 8; in good standing, once in 12 months, 30 to 120 days, free,
undone within 24 hours of asking; choices that they leave open are in ADR 0025.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from billing.calendar import ONE_DAY, day_start, first_day_from
from billing.dispute import years_later
from billing.refusal import Refused

DAYS_MIN: Final = 30
DAYS_MAX: Final = 120
AHEAD_MAX: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Pause:
    """A suspension from the start of `from_on` (or `asked_at`, if later) to the end of `until_on`.

    `ended_at` is when the customer wanted it to end; before its start: it never took place.
    """

    id: int
    contract_id: int
    asked_at: datetime
    author: str
    from_on: date
    until_on: date
    ended_at: datetime | None = None

    def starts_at(self, zone: tzinfo) -> datetime:
        """The instant from which nothing is granted."""
        return max(self.asked_at, day_start(self.from_on, zone), key=_utc)

    def stops_at(self, zone: tzinfo) -> datetime:
        """The instant from which the service is back."""
        planned = day_start(self.until_on + ONE_DAY, zone)
        return planned if self.ended_at is None else min(planned, self.ended_at, key=_utc)

    def took_place(self, zone: tzinfo) -> bool:
        """Whether it was not taken back before its start."""
        return _utc(self.starts_at(zone)) < _utc(self.stops_at(zone))


def may_pause(
    pause: Pause, earlier: Sequence[Pause], overdue_ids: Sequence[int], zone: tzinfo
) -> None:
    """Pass if the service may be suspended as asked.

    Args:
        pause: what is asked for; its `asked_at` is now.
        earlier: the contract's other suspensions, in any order.
        overdue_ids: the contract's invoices that are past their due date and unpaid.
        zone: in which dates are read.

    Raises:
        Refused: the payer is in debt, the days are out of bounds, or the last one is too recent.
    """
    today = pause.asked_at.astimezone(zone).date()
    if overdue_ids:
        named = ", ".join(map(str, sorted(overdue_ids)))
        raise Refused(
            f"contract {pause.contract_id} has overdue invoices ({named}); only a customer in good"
            " standing may suspend the service"
        )
    if not today <= pause.from_on <= today + AHEAD_MAX:
        raise Refused(
            f"a suspension begins on a day from {today} to {today + AHEAD_MAX}, not {pause.from_on}"
        )
    days = (pause.until_on - pause.from_on).days + 1
    if not DAYS_MIN <= days <= DAYS_MAX:
        raise Refused(f"a suspension lasts from {DAYS_MIN} to {DAYS_MAX} days, not {days}")
    for other in earlier:
        if not other.took_place(zone):
            continue
        again_on = years_later(other.from_on, 1)
        if pause.from_on < again_on:
            raise Refused(
                f"the service was suspended from {other.from_on}; once in 12 months is allowed, so"
                f" again from {again_on}"
            )


def paused_days(pause: Pause, zone: tzinfo) -> tuple[date, date]:
    """The local days that a pause lets nobody charge: the first, and the first after the last.

    A day counts if the service was suspended at its first instant (money rule 8); where none does,
    the second is not after the first.
    """
    return first_day_from(pause.starts_at(zone), zone), first_day_from(pause.stops_at(zone), zone)


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)
