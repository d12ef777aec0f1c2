"""Laws of contact: never in quiet hours, never above the cap, what is obligatory is never lost."""

from datetime import UTC, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from billing.contact import (
    OBLIGATORY,
    Cap,
    Hours,
    Later,
    Never,
    Now,
    Preferences,
    may_contact,
    order_of,
)
from tests.support.accounts import ZONE

CHANNELS = ("email", "sms", "whatsapp")
KINDS = ("notice", "reminder", "receipt", "thanks", "survey", "other")

# Over the years in which Brazil still changed its clocks, too.
FIRST = datetime(2017, 1, 1, tzinfo=UTC)
instants = st.timedeltas(timedelta(), timedelta(days=13 * 365)).map(
    lambda since: (FIRST + since).astimezone(ZONE)
)
hours = st.builds(
    Hours,
    opens=st.integers(0, 11).map(time),
    closes=st.integers(12, 23).map(time),
    sundays=st.booleans(),
)
caps = st.builds(Cap, a_day=st.integers(1, 4), a_week=st.integers(1, 10))
orders = st.lists(st.sampled_from(CHANNELS), unique=True)
preferences = st.builds(
    Preferences,
    channels=orders.map(tuple),
    opted_out=st.frozensets(st.sampled_from(KINDS)),
    consents=st.dictionaries(st.sampled_from(CHANNELS), st.booleans()),
)
kinds = st.sampled_from(KINDS)
# How long ago others were sent.
ago = st.lists(st.timedeltas(timedelta(), timedelta(days=9)), max_size=15)


@given(kinds, orders, preferences, ago, hours, caps, instants)
def test_never_in_quiet_hours_and_never_above_the_cap(
    kind: str,
    channels: list[str],
    wishes: Preferences,
    ago: list[timedelta],
    open_hours: Hours,
    cap: Cap,
    now: datetime,
) -> None:
    sent = [now - item for item in ago]
    answer = may_contact(kind, channels, wishes, sent, open_hours, cap, now)
    if isinstance(answer, Later):
        assert answer.at.astimezone(UTC) > now.astimezone(UTC)
        # Nothing new by then: it goes out at that very instant, and no earlier second would do.
        then = may_contact(kind, channels, wishes, sent, open_hours, cap, answer.at)
        assert isinstance(then, Now)
        before = answer.at.astimezone(UTC) - timedelta(microseconds=1)
        if before > now.astimezone(UTC):
            earlier = may_contact(
                kind, channels, wishes, sent, open_hours, cap, before.astimezone(ZONE)
            )
            assert isinstance(earlier, Later)
    if isinstance(answer, Now):
        first = answer.channels[0]
        assert first in channels
        if first != "email" or kind not in ("notice", "receipt"):
            assert not open_hours.quiet(now)
        if kind not in ("notice", "receipt"):
            days = [item.date() for item in (*sent, now)]
            assert days.count(now.date()) <= cap.a_day
            week = [day for day in days if now.date() - timedelta(days=7) < day <= now.date()]
            assert len(week) <= cap.a_week


@given(orders, preferences, ago, hours, caps, instants)
def test_the_obligatory_is_never_lost(
    channels: list[str],
    wishes: Preferences,
    ago: list[timedelta],
    open_hours: Hours,
    cap: Cap,
    now: datetime,
) -> None:
    sent = [now - item for item in ago]
    answer = may_contact("notice", channels, wishes, sent, open_hours, cap, now)
    if not channels:
        assert answer == Never("no_channel")
    elif isinstance(answer, Later):
        # A night and a Sunday are all that holds it back.
        assert answer.at - now <= timedelta(hours=49)
    else:
        assert isinstance(answer, Now)


@given(kinds, orders, preferences)
def test_the_order_is_the_persons_or_the_policys(
    kind: str, channels: list[str], wishes: Preferences
) -> None:
    order = order_of(kind, channels, wishes)
    assert len(set(order)) == len(order)
    assert set(order) <= set(channels)
    asked = channels if kind in OBLIGATORY else [c for c in wishes.channels if c in order]
    named = [channel for channel in order if channel in asked]
    assert named == [channel for channel in asked if channel in order]
    if kind not in OBLIGATORY:
        assert list(order[: len(named)]) == named
        assert all(wishes.consents.get(channel) is not False for channel in order)
        assert "whatsapp" not in order or wishes.consents["whatsapp"]
