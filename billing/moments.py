"""When people are thanked or asked how we do: moments that a policy document names.

Each moment follows something that happened, some local days later. Nobody is thanked, or asked,
more often than once in `every_days`; what happened before the first version of the document is not
followed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from billing.survey import Form

# A day that no run looked at is made good for so long.
LATE_DAYS_MAX: Final = 2
AFTER_DAYS_MAX: Final = 365
EVERY_DAYS_USUAL: Final = 90
EXPIRES_DAYS_USUAL: Final = 14
MOMENTS_MAX: Final = 20
_KEYS = ("name", "after", "after_days", "message", "form", "invoices")


class Occasion(StrEnum):
    """What is followed: a new contract, invoices paid in time in a row, a restore, a dispute."""

    ACTIVATION = "activation"
    PAID_IN_TIME = "paid_in_time"
    RESTORE = "restore"
    DISPUTE_CLOSED = "dispute_closed"


class Message(StrEnum):
    """What goes out."""

    THANKS = "thanks"
    SURVEY = "survey"


class BadMoments(ValueError):
    """A document that cannot be followed, in one sentence that says what to change."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment. `form` is a survey's; `invoices` is how many in a row were paid in time."""

    name: str
    occasion: Occasion
    after_days: int
    message: Message
    form: Form | None = None
    invoices: int | None = None


@dataclass(frozen=True, slots=True)
class Moments:
    """The document. `expires_days`: so long a survey is open."""

    moments: tuple[Moment, ...] = ()
    every_days: int = EVERY_DAYS_USUAL
    expires_days: int = EXPIRES_DAYS_USUAL


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a contract on a local day. `key` names it for ever."""

    key: str
    subscriber_id: int
    contract_id: int
    happened_on: date


def parse(document: Mapping[str, object]) -> Moments:
    """Read and check a document: `moments`, `every_days`, `expires_days`.

    Raises:
        BadMoments: an unknown key, a wrong type, a number out of bounds, a name twice.
    """
    _known(document, ("moments", "every_days", "expires_days"), "")
    listed = document.get("moments", [])
    if not isinstance(listed, list) or len(listed) > MOMENTS_MAX:
        raise BadMoments(f"moments must be a list of at most {MOMENTS_MAX}")
    moments = tuple(_moment(item, f"moments[{n}]") for n, item in enumerate(listed))
    names = [moment.name for moment in moments]
    if doubled := next((name for name in names if names.count(name) > 1), None):
        raise BadMoments(f"moments names {doubled!r} twice; give each a name of its own")
    return Moments(
        moments,
        _whole(document, "every_days", 1, 3650, "", EVERY_DAYS_USUAL),
        _whole(document, "expires_days", 1, 90, "", EXPIRES_DAYS_USUAL),
    )


def document(moments: Moments) -> dict[str, object]:
    """The document that `parse` would read so, in plain JSON types."""
    return {
        "every_days": moments.every_days,
        "expires_days": moments.expires_days,
        "moments": [
            {
                "name": item.name,
                "after": item.occasion.value,
                "after_days": item.after_days,
                "message": item.message.value,
                **({"form": item.form.value} if item.form is not None else {}),
                **({"invoices": item.invoices} if item.invoices is not None else {}),
            }
            for item in moments.moments
        ],
    }


def window(moment: Moment, in_force_since: date, today: date) -> tuple[date, date]:
    """The first and the last day on which something that is followed today happened.

    The first is later than the last where nothing is.
    """
    last = today - timedelta(days=moment.after_days)
    return max(in_force_since, last - timedelta(days=LATE_DAYS_MAX)), last


def due(
    moment: Moment,
    events: Iterable[Event],
    told_on: Mapping[int, date],
    moments: Moments,
    today: date,
) -> tuple[Event, ...]:
    """Which events are followed today, one a person, the earliest first.

    Args:
        moment: whose events they are, all of its window and none that was followed.
        events: in any order.
        told_on: by subscriber, when the person was last sent this kind of message by any moment.
        moments: for how often anybody is.
        today: a local date.
    """
    since = today - timedelta(days=moments.every_days)
    followed: dict[int, Event] = {}
    for event in sorted(events, key=lambda item: (item.happened_on, item.key)):
        last = told_on.get(event.subscriber_id)
        if event.subscriber_id not in followed and (last is None or last <= since):
            followed[event.subscriber_id] = event
    return tuple(followed.values())


def _moment(value: object, where: str) -> Moment:
    if not isinstance(value, Mapping):
        raise BadMoments(f"{where} must be a table with name, after, after_days and message")
    where += "."
    _known(value, _KEYS, where)
    name = value.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= 40 or not name.isidentifier():
        raise BadMoments(
            f"{where}name must be 1 to 40 letters, digits or underscores, as in after_a_month"
        )
    occasion = Occasion(_word(value, "after", tuple(Occasion), where))
    message = Message(_word(value, "message", tuple(Message), where))
    form = None
    if message is Message.SURVEY:
        form = Form(_word(value, "form", tuple(Form), where))
    elif "form" in value:
        raise BadMoments(f"{where}form is a survey's; take it out, or let message be survey")
    invoices = None
    if occasion is Occasion.PAID_IN_TIME:
        invoices = _whole(value, "invoices", 1, 120, where, None)
    elif "invoices" in value:
        raise BadMoments(f"{where}invoices goes with after paid_in_time alone; take it out")
    after_days = _whole(value, "after_days", 0, AFTER_DAYS_MAX, where, 0)
    return Moment(name, occasion, after_days, message, form, invoices)


def _known(table: Mapping[str, object], keys: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in keys:
            raise BadMoments(f"unknown key {where}{key}; known keys are {', '.join(keys)}")


def _word(table: Mapping[str, object], key: str, allowed: tuple[str, ...], where: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or value not in allowed:
        words = ", ".join(str(word) for word in allowed)
        raise BadMoments(f"{where}{key} must be one of {words}, not {value!r}")
    return value


def _whole(
    table: Mapping[str, object], key: str, least: int, most: int, where: str, usual: int | None
) -> int:
    value = table.get(key, usual)
    if type(value) is not int or not least <= value <= most:
        raise BadMoments(
            f"{where}{key} must be a whole number from {least} to {most}, not {value!r}"
        )
    return value
