"""On which days a contract was suspended: what its debt and its customer's own pauses come to.

Source: money rule 8. A pause says itself which days are its own, whenever the decision was made
that carried it out; debt is told by the decisions. No day is counted twice.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo

from billing.access import Level
from billing.calendar import ONE_DAY, first_day_from
from billing.pause import Pause, paused_days
from billing.subscription import Suspension


@dataclass(frozen=True, slots=True)
class Decided:
    """Access stood at `level` from `at` on."""

    level: Level
    at: datetime


def suspensions(
    decisions: Iterable[Decided], pauses: Sequence[Pause], today: date, zone: tzinfo
) -> tuple[Suspension, ...]:
    """The local days that began at another level than full.

    Args:
        decisions: in their order; before the first it was full.
        pauses: that the customer asked for, in any order.
        today: the last day of debt whose first instant is past. Pauses are told to their end.
        zone: the provider's.
    """
    taken = [pause for pause in pauses if pause.took_place(zone)]
    spans = list(_of_debt(decisions, taken, today, zone))
    for pause in taken:
        first, after = paused_days(pause, zone)
        if first < after:
            own = Suspension(first, after, Level.BLOCKED)
            spans = [*_without(spans, own), own]
    return tuple(sorted(spans, key=lambda span: span.from_on))


def _of_debt(
    decisions: Iterable[Decided], pauses: Sequence[Pause], today: date, zone: tzinfo
) -> Iterator[Suspension]:
    standing: tuple[Level, date] | None = None
    pause: Pause | None = None
    for decided in decisions:
        at = decided.at
        if pause is not None:
            # What is seen after a pause holds from its end, however late the look was.
            at = min(at, pause.stops_at(zone), key=_utc)
        on = first_day_from(at, zone)
        if standing is not None and standing[1] < on:
            yield Suspension(standing[1], on, standing[0])
        pause = next((item for item in pauses if _within(item, decided.at, zone)), None)
        full = decided.level is Level.FULL or pause is not None
        standing = None if full else (decided.level, on)
    if standing is not None and standing[1] <= today:
        yield Suspension(standing[1], today + ONE_DAY, standing[0])


def _within(pause: Pause, at: datetime, zone: tzinfo) -> bool:
    return _utc(pause.starts_at(zone)) <= _utc(at) < _utc(pause.stops_at(zone))


def _without(spans: Iterable[Suspension], own: Suspension) -> Iterator[Suspension]:
    for span in spans:
        for first, after in (
            (span.from_on, min(span.until_on, own.from_on)),
            (max(span.from_on, own.until_on), span.until_on),
        ):
            if first < after:
                yield Suspension(first, after, span.level)


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)
