"""Laws of local holidays: one more never makes a cut earlier, and order changes nothing."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.access import Level
from billing.calendar import Calendar, brazil, next_cut
from billing.ladder import CoveringNotice, Receivable, Situation, decide, settled
from billing.local_holidays import Calendars, LocalHoliday, Sheet
from billing.place import STATES, Place
from billing.policy import Policy
from tests.support.accounts import STAGED, ZONE, policy

YEARS = range(2025, 2031)
OWN = brazil(YEARS)
POLICIES = (policy(), policy(steps=STAGED), policy(cut_any_day=True))
days = st.dates(date(2026, 1, 1), date(2028, 12, 31))
near = st.frozensets(st.integers(0, 40), max_size=8)


@st.composite
def instants(draw: st.DrawFn) -> datetime:
    day = draw(days)
    hour, minute = draw(st.sampled_from([0, 7, 8, 12, 15, 16, 23])), draw(st.sampled_from([0, 59]))
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZONE)


def more(calendar: Calendar, extra: frozenset[date]) -> Calendar:
    return replace(calendar, holidays=calendar.holidays | extra)


@settings(max_examples=200, deadline=None)
@given(instants(), near, st.sampled_from(sorted(STATES)), st.sampled_from(POLICIES))
def test_a_holiday_added_never_makes_an_allowed_instant_earlier(
    now: datetime, ahead: frozenset[int], state: str, rules: Policy
) -> None:
    before = brazil(YEARS, state)
    after = more(before, frozenset(now.date() + timedelta(days=n) for n in ahead))
    first, later = next_cut(before, rules, now), next_cut(after, rules, now)
    assert later.astimezone(UTC) >= first.astimezone(UTC) >= now.astimezone(UTC)
    assert next_cut(after, rules, later) == later
    if rules.cut_any_day:
        assert later == first


def entered(
    situation: Situation, rules: Policy, calendar: Calendar, now: datetime
) -> list[datetime]:
    """When each step was entered, looking at every date of review."""
    found: list[datetime] = []
    level = Level.FULL
    for _ in range(40):
        verdict = decide(situation, rules, calendar, now)
        if verdict.level is not level:
            assert verdict.level.severity > level.severity, "waiting never softens"
            level = verdict.level
            found.append(now)
        if verdict.review_on is None:
            break
        situation, now = settled(situation, verdict, now), verdict.review_on
    return found


@settings(max_examples=150, deadline=None)
@given(instants(), near, st.integers(0, 30), st.sampled_from(POLICIES))
def test_a_holiday_added_never_makes_a_cut_earlier(
    now: datetime, ahead: frozenset[int], back: int, rules: Policy
) -> None:
    due_on = now.date() - timedelta(days=back)
    notice = CoveringNotice(1, due_on + timedelta(days=4), frozenset({1}))
    situation = Situation((Receivable(1, due_on, 99_90),), (notice,))
    extra = frozenset(now.date() + timedelta(days=n) for n in ahead)
    plain = entered(situation, rules, OWN, now)
    later = entered(situation, rules, more(OWN, extra), now)
    assert len(later) == len(plain)
    for first, second in zip(plain, later, strict=True):
        assert second.astimezone(UTC) >= first.astimezone(UTC)


places = st.sampled_from([Place(), Place("SP"), Place("SP", "3550308"), Place("RJ", "3304557")])


@st.composite
def sheets(draw: st.DrawFn) -> list[Sheet]:
    found = []
    for number in range(1, 1 + draw(st.integers(0, 6))):
        year = draw(st.integers(2026, 2028))
        on = draw(st.lists(st.dates(date(year, 1, 1), date(year, 12, 31)), max_size=4, unique=True))
        written = tuple(LocalHoliday(day, "x") for day in sorted(on))
        found.append(Sheet(number, draw(places), year, written))
    return found


@settings(max_examples=100, deadline=None)
@given(sheets(), places, st.randoms())
def test_what_binds_a_place_is_the_newest_sheet_of_each_part_of_it(
    written: list[Sheet], place: Place, random: object
) -> None:
    shuffled = list(written)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    calendar = Calendars(OWN, shuffled)[place]
    assert calendar == Calendars(OWN, written)[place], "in whatever order they are read"
    newest = {(sheet.place, sheet.year): sheet for sheet in written}
    local = {
        item.on
        for (part, _), sheet in newest.items()
        if part in place.within()
        for item in sheet.days
    }
    assert calendar.holidays == brazil(YEARS, place.state).holidays | local
    assert calendar.bank_closed == OWN.bank_closed
