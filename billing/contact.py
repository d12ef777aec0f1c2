"""May this person be contacted now, by which channels and in which order; and if not, when.

The overdue notice is obligatory, and so is the letter before a debt is listed at a bureau: the law
asks for them (RGC 2023 art. 70, CDC art. 43 par. 2), so neither an opt-out nor the cap holds them
back; quiet hours do on channels that ring. By e-mail it goes at any hour, because
it makes no sound and the ladder dates it by the day on which it is due (rule 2). A receipt answers
what the person has just done, so it is not held back by the cap, nor by e-mail by the hour.

Source: CDC art. 42 (collecting exposes nobody and disturbs neither rest nor work); LGPD art. 7 and
8 (consent, and that it can be withdrawn).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from billing.calendar import ONE_DAY, day_start, local_instant, zone_of

OBLIGATORY = frozenset({"notice", "listing"})
# No sound: by these an obligatory one, or an answer to the person, may come at any hour.
SILENT = frozenset({"email"})
ANSWERING = frozenset({"receipt"})
# What is not obligatory asks for consent there; elsewhere it goes until consent is withdrawn.
ASKS_FOR_CONSENT = frozenset({"whatsapp"})

_SUNDAY = 6
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Hours:
    """When people may be contacted, in local time: from `opens` until just before `closes`."""

    opens: time = time(8)
    closes: time = time(21)
    sundays: bool = False

    def __post_init__(self) -> None:
        if self.opens >= self.closes:
            raise ValueError(
                "people are contacted from an hour until a later one; for example 08:00 and 21:00"
            )

    def quiet(self, now: datetime) -> bool:
        """Whether nothing that rings may go out at `now`, which is in the local zone."""
        closed = now.weekday() == _SUNDAY and not self.sundays
        return closed or not self.opens <= now.time() < self.closes

    def open_on(self, day: date, now: datetime) -> datetime | None:
        """The first instant of a local day, `now` or later, at which they are open."""
        opened = local_instant(day, self.opens, zone_of(now))
        start = max(now, opened, key=lambda instant: instant.astimezone(UTC))
        return None if start.date() != day or self.quiet(start) else start


@dataclass(frozen=True, slots=True)
class Cap:
    """How many messages a person gets in a local day, and in any seven days running."""

    a_day: int = 3
    a_week: int = 10

    def __post_init__(self) -> None:
        if self.a_day < 1 or self.a_week < 1:
            raise ValueError("a cap lets at least one message through; opting out is for none")

    def full_on(self, day: date, sent_on: Sequence[date]) -> bool:
        """Whether one more on `day` would be one too many."""
        in_week = sum(1 for item in sent_on if day - _WEEK < item <= day)
        return sent_on.count(day) >= self.a_day or in_week >= self.a_week


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a person asked for. `consents` by channel: given (True) or withdrawn (False)."""

    channels: tuple[str, ...] = ()
    opted_out: frozenset[str] = frozenset()
    consents: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Now:
    """It may go out now by the first; the others are asked about when their turn comes."""

    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Later:
    """Not before `at`. `reason`: `quiet_hours` or `frequency_cap`."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Never:
    """It is not sent. `reason`: `opted_out` or `no_channel`."""

    reason: str


def may_contact(
    kind: str,
    channels: Sequence[str],
    preferences: Preferences,
    sent_at: Iterable[datetime],
    hours: Hours,
    cap: Cap,
    now: datetime,
) -> Now | Later | Never:
    """Whether a message may go out at `now`.

    Args:
        kind: `notice` and `listing` are obligatory; others a person may not want.
        channels: those by which the person can be reached, first choice first.
        preferences: what the person asked for.
        sent_at: when the person was sent a message of whatever kind, this one excepted.
        hours: when people may be contacted.
        cap: how often.
        now: aware (else ValueError), in the zone that local dates are read in.
    """
    if kind not in OBLIGATORY and kind in preferences.opted_out:
        return Never("opted_out")
    order = order_of(kind, channels, preferences)
    if not order:
        return Never("no_channel")
    zone = zone_of(now)
    capped = kind not in OBLIGATORY | ANSWERING
    any_hour = order[0] in SILENT and kind in OBLIGATORY | ANSWERING
    sent_on = [instant.astimezone(zone).date() for instant in sent_at] if capped else []
    today, reason = now.date(), "quiet_hours"
    if capped and cap.full_on(today, sent_on):
        reason = "frequency_cap"
    day = today
    while True:
        if not (capped and cap.full_on(day, sent_on)):
            start = max(now, day_start(day, zone), key=lambda instant: instant.astimezone(UTC))
            at = start if any_hour else hours.open_on(day, now)
            if at is not None:
                return Now(order) if at == now else Later(at, reason)
        day += ONE_DAY


def order_of(kind: str, channels: Sequence[str], preferences: Preferences) -> tuple[str, ...]:
    """The channels to try for a message, in order.

    What is obligatory keeps the order that it is given, the policy's (rule 2), and passes over
    a channel whose consent was withdrawn unless there is no other. Everything else goes by
    what the person prefers, then by what is left, and nowhere without the consent that it asks for.
    """
    known = tuple(dict.fromkeys(channels))
    willing = tuple(item for item in known if preferences.consents.get(item) is not False)
    if kind in OBLIGATORY:
        return willing or known
    allowed = [
        item for item in willing if item not in ASKS_FOR_CONSENT or preferences.consents.get(item)
    ]
    first = [item for item in preferences.channels if item in allowed]
    return tuple(dict.fromkeys([*first, *allowed]))
