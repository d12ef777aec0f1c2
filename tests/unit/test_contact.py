"""May a person be contacted now: the table first. 2026-09-04 is a Friday, 09-06 a Sunday."""

from collections.abc import Sequence
from datetime import time

import pytest

from billing.contact import Cap, Hours, Later, Never, Now, Preferences, may_contact, order_of
from tests.support.accounts import at

ALL = ("email", "sms", "whatsapp")
YES = Preferences(consents={"whatsapp": True})


def asked(
    now: str,
    kind: str = "reminder",
    channels: Sequence[str] = ("sms",),
    preferences: Preferences = YES,
    sent: Sequence[str] = (),
) -> Now | Later | Never:
    cap = Cap(a_day=2, a_week=4)
    return may_contact(kind, channels, preferences, map(at, sent), Hours(), cap, at(now))


@pytest.mark.parametrize(
    ("now", "kind", "channel", "then"),
    [
        ("2026-09-04 08:00", "reminder", "sms", None),
        ("2026-09-04 20:59", "reminder", "sms", None),
        ("2026-09-04 21:00", "reminder", "sms", "2026-09-05 08:00"),
        ("2026-09-04 07:59", "reminder", "sms", "2026-09-04 08:00"),
        ("2026-09-05 21:00", "reminder", "sms", "2026-09-07 08:00"),
        ("2026-09-06 12:00", "reminder", "email", "2026-09-07 08:00"),
        ("2026-09-06 12:00", "notice", "sms", "2026-09-07 08:00"),
        ("2026-09-06 12:00", "notice", "whatsapp", "2026-09-07 08:00"),
        # The ladder dates the notice by the day on which it is due, and e-mail wakes nobody.
        ("2026-09-06 00:00", "notice", "email", None),
        ("2026-09-05 23:10", "receipt", "email", None),
        ("2026-09-05 23:10", "receipt", "sms", "2026-09-07 08:00"),
    ],
)
def test_quiet_hours(now: str, kind: str, channel: str, then: str | None) -> None:
    answer = asked(now, kind, (channel,))
    assert answer == (Now((channel,)) if then is None else Later(at(then), "quiet_hours"))


@pytest.mark.parametrize(
    ("kind", "sent", "then"),
    [
        ("reminder", ["2026-09-04 09:00"], None),
        ("reminder", ["2026-09-04 09:00", "2026-09-04 10:00"], "2026-09-05 08:00"),
        ("reminder", ["2026-08-29 09:00"] * 2 + ["2026-09-02 09:00"] * 2, "2026-09-05 08:00"),
        ("reminder", ["2026-08-28 09:00"] * 4, None),
        ("reminder", ["2026-09-02 09:00"] * 4, "2026-09-09 08:00"),
        ("notice", ["2026-09-04 09:00"] * 9, None),
        ("receipt", ["2026-09-04 09:00"] * 9, None),
    ],
)
def test_the_cap_is_of_a_day_and_of_seven_running(
    kind: str, sent: list[str], then: str | None
) -> None:
    answer = asked("2026-09-04 12:00", kind, sent=sent)
    assert answer == (Now(("sms",)) if then is None else Later(at(then), "frequency_cap"))


def test_what_a_person_does_not_want_is_never_sent_but_the_notice_is() -> None:
    unwilling = Preferences(opted_out=frozenset({"survey", "notice"}))
    assert asked("2026-09-04 12:00", "survey", preferences=unwilling) == Never("opted_out")
    assert asked("2026-09-04 12:00", "notice", preferences=unwilling) == Now(("sms",))
    assert asked("2026-09-04 12:00", "survey", channels=()) == Never("no_channel")


@pytest.mark.parametrize(
    ("kind", "preferences", "order"),
    [
        ("reminder", Preferences(), ("email", "sms")),
        ("reminder", YES, ("email", "sms", "whatsapp")),
        ("reminder", Preferences(("whatsapp", "sms"), consents={"whatsapp": True}), ALL[::-1][:2]),
        ("reminder", Preferences(("whatsapp",)), ("email", "sms")),
        ("reminder", Preferences(consents={"email": False}), ("sms",)),
        ("notice", Preferences(("sms",)), ALL),
        ("notice", Preferences(consents={"email": False}), ("sms", "whatsapp")),
        ("notice", Preferences(consents=dict.fromkeys(ALL, False)), ALL),
    ],
)
def test_the_order_of_channels(kind: str, preferences: Preferences, order: tuple[str, ...]) -> None:
    assert order_of(kind, ALL, preferences)[: len(order)] == order


def test_hours_and_caps_that_let_nothing_through_are_refused() -> None:
    with pytest.raises(ValueError, match="until a later one"):
        Hours(time(21), time(8))
    with pytest.raises(ValueError, match="at least one"):
        Cap(a_day=0)
