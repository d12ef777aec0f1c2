"""A delinquency policy: the numbers of the ladder, versioned and dated.

The law that bounds them is in `billing.law`. Source: the policy text, whose defaults these are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum

from billing.access import Level
from billing.law import MATURITY as MATURITY
from billing.law import Law as Law
from billing.law import PolicyError as PolicyError
from billing.law import Step as Step
from billing.law import refuse_unlawful
from billing.policy_table import TableReader
from billing.stage import Stage


class RestoreOn(StrEnum):
    """When access returns under an agreement (ladder rule 12)."""

    SIGNATURE = "signature"
    FIRST_PAYMENT = "first_payment"


class Scope(StrEnum):
    """Whose debt moves a contract: its own, or its payer's on any contract (ladder rule 15)."""

    CONTRACT = "contract"
    PAYER = "payer"


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of one ladder document. Days are local dates, times are local.

    `reminders` are days of contact relative to the due date, before it negative, in order.
    `valid_from` is the first day on which this version may rule; None: from when it was written.
    """

    name: str
    version: int
    law: Law
    steps: tuple[Step, ...]
    notice_after_days: int
    notice_days: int
    min_debt_cents: int
    float_bank_days: int
    promise_days: int
    promise_every_days: int
    promise_level: Level
    restore_on: RestoreOn
    cut_from: time
    cut_until: time
    cut_any_day: bool
    channels: tuple[str, ...]
    fine_basis_points: int
    interest_month_basis_points: int
    reminders: tuple[int, ...] = (-5, -1, 1)
    scope: Scope = Scope.CONTRACT
    valid_from: date | None = None


_AFTER_THE_END: list[dict[str, object]] = [
    {"level": "bureau", "anchor": "rescind", "after_days": 0},
    {"level": "agency", "anchor": "rescind", "after_days": 30},
]
_USUAL_STEPS: list[dict[str, object]] = [
    {"level": "walled", "anchor": MATURITY, "after_days": 0},
    {"level": "rescind", "anchor": "walled", "after_days": 60},
    *_AFTER_THE_END,
]
# Under resolution 632 the speed was reduced first, and the line blocked only then.
_STEPS_OF_632: list[dict[str, object]] = [
    {"level": "reduced", "anchor": MATURITY, "after_days": 0},
    {"level": "blocked", "anchor": "reduced", "after_days": 30},
    {"level": "rescind", "anchor": "blocked", "after_days": 30},
    *_AFTER_THE_END,
]
# What a document may say, and what it means where it is silent.
DEFAULTS: Mapping[str, object] = {
    "law": "anatel-765",
    "steps": _USUAL_STEPS,
    "notice_after_days": 3,
    "notice_days": 15,
    "min_debt_cents": 1,
    "float_bank_days": 1,
    "promise_days": 3,
    "promise_every_days": 30,
    "promise_level": "full",
    "restore_on": "signature",
    "cut_from": "08:00",
    "cut_until": "16:00",
    "cut_any_day": False,
    "channels": ["email"],
    "fine_basis_points": 200,
    "interest_month_basis_points": 100,
    "reminders": [-5, -1, 1],
    "scope": "contract",
    "valid_from": None,
}
CHANNELS = ("email", "sms", "whatsapp")
# Bounds of a slip of the keyboard, not of any law.
DAYS_MAX = 3650
CENTS_MAX = 10**12
REMINDER_DAYS_MAX = 60
REMINDERS_MAX = 20


def parse(name: str, version: int, document: Mapping[str, object]) -> Policy:
    """Read and check a policy document (the TOML or JSON table; `DEFAULTS` names its keys).

    Raises:
        PolicyError: an unknown key, a wrong type, a number out of bounds, a ladder that softens
            with time or whose steps overlap, or one that the law named in it forbids.
    """
    policy = read(name, version, document)
    _refuse_overlap(policy.steps)
    refuse_unlawful(policy.law, policy.notice_days, policy.steps)
    return policy


def read(name: str, version: int, document: Mapping[str, object]) -> Policy:
    """Read a document that was checked when it was written; a newer bound does not undo it.

    Raises:
        PolicyError: it is no policy at all.
    """
    if (
        not name
        or len(name) > 64
        or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in name)
    ):
        raise PolicyError(
            f"policy name {name!r}: use 1 to 64 letters, digits, hyphens, dots or underscores"
        )
    law = Law(TableReader(document, DEFAULTS, where="").word("law", tuple(Law)))
    steps = _STEPS_OF_632 if law is Law.ANATEL_632 else _USUAL_STEPS
    reader = TableReader(document, {**DEFAULTS, "steps": steps}, where="")
    policy = Policy(
        name=name,
        version=version,
        law=law,
        steps=_steps(reader.value("steps")),
        notice_after_days=reader.whole("notice_after_days", 0, DAYS_MAX),
        notice_days=reader.whole("notice_days", 0, DAYS_MAX),
        min_debt_cents=reader.whole("min_debt_cents", 1, CENTS_MAX),
        float_bank_days=reader.whole("float_bank_days", 0, 30),
        promise_days=reader.whole("promise_days", 1, DAYS_MAX),
        promise_every_days=reader.whole("promise_every_days", 0, DAYS_MAX),
        promise_level=Level(reader.word("promise_level", (Level.FULL, Level.REDUCED))),
        restore_on=RestoreOn(reader.word("restore_on", tuple(RestoreOn))),
        cut_from=reader.clock("cut_from"),
        cut_until=reader.clock("cut_until"),
        cut_any_day=reader.flag("cut_any_day"),
        channels=_channels(reader.value("channels")),
        fine_basis_points=reader.whole("fine_basis_points", 0, 200),
        interest_month_basis_points=reader.whole("interest_month_basis_points", 0, 100),
        reminders=_reminders(reader.value("reminders")),
        scope=Scope(reader.word("scope", tuple(Scope))),
        valid_from=reader.day("valid_from"),
    )
    if policy.cut_from >= policy.cut_until:
        raise PolicyError("cut_from must be earlier than cut_until; for example 08:00 and 16:00")
    return policy


def document(policy: Policy) -> dict[str, object]:
    """The document that `parse` would read as `policy`, in plain JSON types."""
    return {
        "law": policy.law.value,
        "steps": [
            {"level": step.stage.value, "anchor": step.anchor, "after_days": step.after_days}
            for step in policy.steps
        ],
        "notice_after_days": policy.notice_after_days,
        "notice_days": policy.notice_days,
        "min_debt_cents": policy.min_debt_cents,
        "float_bank_days": policy.float_bank_days,
        "promise_days": policy.promise_days,
        "promise_every_days": policy.promise_every_days,
        "promise_level": policy.promise_level.value,
        "restore_on": policy.restore_on.value,
        "cut_from": policy.cut_from.strftime("%H:%M"),
        "cut_until": policy.cut_until.strftime("%H:%M"),
        "cut_any_day": policy.cut_any_day,
        "channels": list(policy.channels),
        "fine_basis_points": policy.fine_basis_points,
        "interest_month_basis_points": policy.interest_month_basis_points,
        "reminders": list(policy.reminders),
        "scope": policy.scope.value,
        "valid_from": policy.valid_from.isoformat() if policy.valid_from is not None else None,
    }


def _steps(value: object) -> tuple[Step, ...]:
    if not isinstance(value, list) or not value:
        raise PolicyError("steps must be a list with at least one step; for example walled")
    steps: list[Step] = []
    # Days from maturity at which each step comes if nothing postpones it.
    offset_days: dict[str, int] = {MATURITY: 0}
    for position, table in enumerate(value):
        where = f"steps[{position}]."
        if not isinstance(table, Mapping):
            raise PolicyError(f"steps[{position}] must be a table with level, anchor, after_days")
        reader = TableReader(table, {"level": None, "anchor": MATURITY, "after_days": 0}, where)
        stage = Stage(reader.word("level", tuple(Stage)))
        if steps and stage.severity <= steps[-1].stage.severity:
            raise PolicyError(
                f"{where}level {stage} is not more severe than {steps[-1].stage} before it;"
                f" a ladder never softens with time: {', '.join(Stage)}"
            )
        if stage.severity > Stage.RESCIND.severity and Stage.RESCIND not in offset_days:
            raise PolicyError(
                f"{where}level {stage} comes without rescind before it: bureaus and agencies follow"
                " an ended contract; put a rescind step first"
            )
        anchor = reader.word("anchor", tuple(offset_days))
        after_days = reader.value("after_days")
        if type(after_days) is int and after_days < 0:
            raise PolicyError(
                f"{where}after_days is {after_days}: a step cannot come before its notice matures"
                " or before the step it follows; use 0 or more"
            )
        after_days = reader.whole("after_days", 0, DAYS_MAX)
        offset = offset_days[anchor] + after_days
        if steps and offset < offset_days[steps[-1].stage]:
            raise PolicyError(
                f"{where}after_days puts {stage} before the milder {steps[-1].stage};"
                " raise it, so that the ladder never softens with time"
            )
        offset_days[stage.value] = offset
        steps.append(Step(stage, anchor, after_days))
    return tuple(steps)


def _refuse_overlap(steps: tuple[Step, ...]) -> None:
    """Two cuts that begin on one day: the milder would have no day of its own."""
    offset_days: dict[str, int] = {MATURITY: 0}
    last: Step | None = None
    for position, step in enumerate(steps):
        offset = offset_days[step.stage.value] = offset_days[step.anchor] + step.after_days
        if last is not None and step.stage.is_cut and offset == offset_days[last.stage]:
            raise PolicyError(
                f"steps[{position}] overlaps: {step.stage} would begin on the day of {last.stage};"
                " raise its after_days, or leave one of the two out"
            )
        last = step


def _reminders(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > REMINDERS_MAX:
        raise PolicyError(
            f"reminders must be a list of at most {REMINDERS_MAX} days; for example [-5, -1, 1]"
        )
    for day in value:
        if type(day) is not int or not -REMINDER_DAYS_MAX <= day <= REMINDER_DAYS_MAX:
            raise PolicyError(
                f"reminders are whole days from -{REMINDER_DAYS_MAX} to {REMINDER_DAYS_MAX}, before"
                f" the due date negative, not {day!r}"
            )
    if len(set(value)) < len(value):
        raise PolicyError("reminders names one day twice; name each once")
    return tuple(sorted(value))


def _channels(value: object) -> tuple[str, ...]:
    known = ", ".join(CHANNELS)
    if not isinstance(value, list) or not value:
        raise PolicyError(f"channels must be a list with at least one of {known}")
    for channel in value:
        if channel not in CHANNELS:
            raise PolicyError(f"unknown channel {channel!r}; known channels are {known}")
    if len(set(value)) < len(value):
        raise PolicyError("channels names one channel twice; name each once")
    return tuple(value)
