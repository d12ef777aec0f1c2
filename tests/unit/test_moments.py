"""The document of moments: what it may say, and whom it follows on a day."""

from typing import Any

import pytest

from billing.moments import BadMoments, Event, Moment, Occasion, document, due, parse, window
from billing.reward import Paid, streak
from tests.support.accounts import CALENDAR, day

ASKED: dict[str, Any] = {
    "name": "after_a_month", "after": "activation", "after_days": 30,
    "message": "survey", "form": "nps",
}  # fmt: skip
THANKED: dict[str, Any] = {
    "name": "half_a_year", "after": "paid_in_time", "invoices": 6, "message": "thanks",
}  # fmt: skip


def of(*moments: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"moments": list(moments), **keys}


def test_a_document_is_read_and_written_as_it_was() -> None:
    read = parse(of(ASKED, THANKED, every_days=60))
    assert read.every_days == 60
    assert read.expires_days == 14
    assert [item.occasion for item in read.moments] == [Occasion.ACTIVATION, Occasion.PAID_IN_TIME]
    assert parse(document(read)) == read
    assert parse({}).moments == ()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"moment": []}, "unknown key moment"),
        ({"moments": {}}, "must be a list"),
        (of(ASKED, ASKED), "names 'after_a_month' twice"),
        (of(ASKED | {"when": 1}), "unknown key moments[0].when"),
        (of(ASKED | {"after": "birthday"}), "moments[0].after must be one of activation"),
        (of(ASKED | {"after_days": -1}), "moments[0].after_days must be a whole number from 0"),
        (of(ASKED | {"after_days": True}), "moments[0].after_days"),
        (of(ASKED | {"message": "sms"}), "moments[0].message must be one of thanks, survey"),
        (of({k: v for k, v in ASKED.items() if k != "form"}), "moments[0].form must be one of nps"),
        (of(THANKED | {"form": "nps"}), "form is a survey's"),
        (of(ASKED | {"invoices": 3}), "invoices goes with after paid_in_time alone"),
        (of({k: v for k, v in THANKED.items() if k != "invoices"}), "moments[0].invoices"),
        (of(ASKED | {"name": "a b"}), "moments[0].name"),
        (of("x"), "moments[0] must be a table"),  # type: ignore[arg-type]
        (of(every_days=0), "every_days must be a whole number from 1"),
        (of(expires_days=91), "expires_days must be a whole number from 1 to 90"),
    ],
)
def test_what_a_document_may_not_say(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises(BadMoments) as refused:
        parse(wrong)
    assert why in str(refused.value)


def first(**keys: Any) -> Moment:
    return parse(of(ASKED | keys)).moments[0]


@pytest.mark.parametrize(
    ("since", "today", "window_is"),
    [
        ("2026-01-01", "2026-09-01", ("2026-07-31", "2026-08-02")),
        # Nothing of before the document.
        ("2026-08-01", "2026-09-01", ("2026-08-01", "2026-08-02")),
        ("2026-08-20", "2026-09-01", ("2026-08-20", "2026-08-02")),
    ],
)
def test_which_days_are_followed(since: str, today: str, window_is: tuple[str, str]) -> None:
    assert window(first(), day(since), day(today)) == tuple(map(day, window_is))


@pytest.mark.parametrize(
    ("last", "count"),
    [
        # Due 2026-08-05 it was a day late; 2026-09-06 is a Sunday before a holiday, so in time.
        ("2026-08-05", 0),
        ("2026-09-06", 1),
        ("2026-10-05", 2),
        # Not paid yet.
        ("2026-11-05", 0),
    ],
)
def test_how_many_in_a_row_were_paid_in_time(last: str, count: int) -> None:
    history = [
        Paid(day("2026-07-06"), day("2026-07-06")),
        Paid(day("2026-08-05"), day("2026-08-06")),
        Paid(day("2026-10-05"), day("2026-10-01")),
        Paid(day("2026-09-06"), day("2026-09-08")),
        Paid(day("2026-11-05"), None),
    ]
    assert streak(history, day(last), CALENDAR) == count


def test_one_a_person_and_not_too_often() -> None:
    moments = parse(of(ASKED, every_days=30))
    events = [
        Event("contract:2", 1, 2, day("2026-08-02")),
        Event("contract:1", 1, 1, day("2026-08-01")),
        Event("contract:3", 2, 3, day("2026-08-02")),
        Event("contract:4", 3, 4, day("2026-08-02")),
    ]
    told = {2: day("2026-08-02"), 3: day("2026-08-03")}
    found = due(moments.moments[0], events, told, moments, day("2026-09-01"))
    assert [item.key for item in found] == ["contract:1", "contract:3"]
