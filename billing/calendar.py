"""Which days banks work and on which days, at which hours, a cut may start.

Days are local dates. Instants are aware, and their zone is the one that dates are read in; they are
compared as instants (in UTC), because two readings of one local clock may hide a shift of it.
Source: public holidays from the library `holidays`; bank days after FEBRABAN's list.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from billing.place import COUNTRY, Place
from billing.policy import Policy

ONE_DAY = timedelta(days=1)
# The years around today's that a calendar knows: those that a debt may reach back to, and ahead.
YEARS_AROUND = range(-3, 13)
FRIDAY = 4


@dataclass(frozen=True, slots=True)
class Calendar:
    """Public holidays of the customer's place and the days on which banks are closed.

    Saturdays and Sundays are in neither set and need not be. `place`, `years` and the newest sheet
    of local holidays by then (`sheet_id`) are what the same calendar is made from again.
    """

    holidays: frozenset[date]
    bank_closed: frozenset[date]
    place: Place = COUNTRY
    years: tuple[int, ...] = ()
    sheet_id: int = 0


def brazil(years: Iterable[int], state: str = "") -> Calendar:
    """The Brazilian calendar of some years.

    Banks close on national holidays, on Carnival Monday and Tuesday and on Corpus Christi; the
    last three are no holidays for anyone else unless the state says so.

    Args:
        years: the years that must be known; a date outside them counts as an ordinary day.
        state: two letters, as in `SP`, for its own holidays; empty for national ones only.

    Raises:
        ValueError: no such state.
    """
    return _brazil(tuple(sorted(set(years))), state)


# As many as there are states, and the country, for a few spans of years.
@lru_cache(maxsize=128)
def _brazil(wanted: tuple[int, ...], state: str) -> Calendar:
    # A third of a second, which who only carries a calendar along does not wait for.
    from holidays.countries.brazil import Brazil

    known = Brazil.subdivisions
    if state and state not in known:
        names = ", ".join(name for name in known if len(name) == 2)
        raise ValueError(f"no such state: {state!r}; use one of {names}, or leave it empty")
    national = frozenset(Brazil(years=wanted, language="pt_BR"))
    local = frozenset(Brazil(years=wanted, subdiv=state or None, language="pt_BR"))
    optional = Brazil(years=wanted, categories=("optional",), language="pt_BR")
    # Both feasts hang on Easter: Corpus Christi is 60 days after it, Carnival Tuesday 47 before.
    corpus_christi = frozenset(optional.get_named("Corpus Christi"))
    carnival = {day - timedelta(days=back) for day in corpus_christi for back in (108, 107)}
    return Calendar(
        holidays=local,
        bank_closed=national | corpus_christi | carnival,
        place=Place(state),
        years=wanted,
    )


def known_from(calendar: Calendar, year: int) -> Calendar:
    """The same public holidays, of earlier years too, as who judged in `year` knew them."""
    first = min(calendar.years[0], year + YEARS_AROUND.start)
    wider = brazil(range(first, calendar.years[-1] + 1), calendar.place.state)
    return replace(wider, place=calendar.place)


def named_holidays(year: int, state: str, lang: str) -> dict[date, tuple[str, bool]]:
    """A year's holidays of the country and a state: what each is called, and if it is national.

    Args:
        year: of the dates.
        state: two letters, or empty for national ones only.
        lang: `pt_BR` or `en_US`.
    """
    from holidays.countries.brazil import Brazil

    national = Brazil(years=[year], language=lang)
    every = Brazil(years=[year], subdiv=state or None, language=lang)
    return {day: (name, day in national) for day, name in sorted(every.items())}


def is_bank_day(calendar: Calendar, day: date) -> bool:
    """Whether banks settle on `day`."""
    return day.weekday() <= FRIDAY and day not in calendar.bank_closed


def next_bank_day(calendar: Calendar, day: date) -> date:
    """The first bank day on or after `day`."""
    while not is_bank_day(calendar, day):
        day += ONE_DAY
    return day


def add_bank_days(calendar: Calendar, day: date, count: int) -> date:
    """The `count`-th bank day after `day`; `day` itself when `count` is 0."""
    for _ in range(count):
        day = next_bank_day(calendar, day + ONE_DAY)
    return day


# A billing run asks for the same few days a million times.
@lru_cache(maxsize=4096)
def local_instant(day: date, at: time, zone: tzinfo) -> datetime:
    """The instant of a local wall time; one that a gap skips is moved to after the gap."""
    wall = datetime.combine(day, at, zone)
    return wall.astimezone(UTC).astimezone(zone)


def day_start(day: date, zone: tzinfo) -> datetime:
    """The first existing instant of a local date.

    São Paulo's 2017-10-15 began at 01:00, because its midnight was skipped.
    """
    return local_instant(day, time(), zone)


def first_day_from(instant: datetime, zone: tzinfo) -> date:
    """The first local day that begins at or after an instant."""
    day = instant.astimezone(zone).date()
    begun = day_start(day, zone).astimezone(UTC) < instant.astimezone(UTC)
    return day + ONE_DAY if begun else day


def is_cut_day(calendar: Calendar, policy: Policy, day: date) -> bool:
    """Whether a cut may start on `day`: no Friday, weekend, holiday or eve of one (rule 6)."""
    if policy.cut_any_day:
        return True
    off = day in calendar.holidays or day + ONE_DAY in calendar.holidays
    return day.weekday() < FRIDAY and not off


def next_cut(calendar: Calendar, policy: Policy, instant: datetime) -> datetime:
    """The first instant on or after `instant` at which a cut may start (rule 6).

    On an allowed day that is from `cut_from` until just before `cut_until`. `cut_any_day` lifts
    the days, not the hours. The answer is in the zone of `instant`.
    """
    zone = zone_of(instant)
    day = instant.date()
    while True:
        if is_cut_day(calendar, policy, day):
            opens = local_instant(day, policy.cut_from, zone).astimezone(UTC)
            closes = local_instant(day, policy.cut_until, zone).astimezone(UTC)
            start = max(instant.astimezone(UTC), opens)
            if start < closes:
                return start.astimezone(zone)
        day += ONE_DAY


def zone_of(instant: datetime) -> tzinfo:
    """The zone that dates are read in.

    Raises:
        ValueError: the instant is naive.
    """
    if instant.tzinfo is None:
        raise ValueError(f"an instant carries its zone: {instant}")
    return instant.tzinfo
