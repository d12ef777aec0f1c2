"""A delinquency policy: the numbers of the ladder, versioned, and the law that bounds them.

Source: `anatel-765` is RGC 2023 (Anatel resolution 765/2023), notice plus 15 days at least.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from enum import StrEnum

from billing.access import Level

MATURITY = "maturity"


class Law(StrEnum):
    """Which law bounds a policy's numbers. NONE is for contracts with no consumer behind them."""

    ANATEL_765 = "anatel-765"
    NONE = "none"


class RestoreOn(StrEnum):
    """When access returns under an agreement (ladder rule 12)."""

    SIGNATURE = "signature"
    FIRST_PAYMENT = "first_payment"


class PolicyError(ValueError):
    """A document that cannot be a policy, in one sentence that says what to change."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rung. `anchor` is `maturity` (of the oldest covering notice) or an earlier rung's level.

    `after_days` counts local dates from the anchor's day; from an earlier rung's *actual* day.
    """

    level: Level
    anchor: str
    after_days: int


@dataclass(frozen=True, slots=True)
class Policy:
    """One version of one ladder document. Days are local dates, times are local."""

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


# What a document may say, and what it means where it is silent.
DEFAULTS: Mapping[str, object] = {
    "law": "anatel-765",
    "steps": [{"level": "walled", "anchor": MATURITY, "after_days": 0}],
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
}
CHANNELS = ("email", "sms", "whatsapp")
# Bounds of a slip of the keyboard, not of any law.
DAYS_MAX = 3650
CENTS_MAX = 10**12


def parse(name: str, version: int, document: Mapping[str, object]) -> Policy:
    """Read and check a policy document (the TOML or JSON table; `DEFAULTS` names its keys).

    Raises:
        PolicyError: an unknown key, a wrong type, a number out of bounds, a ladder that softens
            with time, or one that the law named in it forbids.
    """
    if (
        not name
        or len(name) > 64
        or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in name)
    ):
        raise PolicyError(
            f"policy name {name!r}: use 1 to 64 letters, digits, hyphens, dots or underscores"
        )
    reader = _Reader(document, DEFAULTS, where="")
    law = Law(reader.word("law", tuple(Law)))
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
    )
    if policy.cut_from >= policy.cut_until:
        raise PolicyError("cut_from must be earlier than cut_until; for example 08:00 and 16:00")
    if law is Law.ANATEL_765 and policy.notice_days < 15:
        raise PolicyError(
            f"notice_days is {policy.notice_days}, but law anatel-765 asks for 15 at least;"
            ' raise it, or set law = "none" if no consumer is under this policy'
        )
    return policy


def document(policy: Policy) -> dict[str, object]:
    """The document that `parse` would read as `policy`, in plain JSON types."""
    return {
        "law": policy.law.value,
        "steps": [
            {"level": step.level.value, "anchor": step.anchor, "after_days": step.after_days}
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
    }


@dataclass(frozen=True, slots=True)
class _Reader:
    """Typed reads from one table of the document. `where` prefixes keys in messages."""

    table: Mapping[str, object]
    defaults: Mapping[str, object]
    where: str

    def __post_init__(self) -> None:
        for key in self.table:
            if key not in self.defaults:
                known = ", ".join(self.defaults)
                raise PolicyError(f"unknown key {self.where}{key}; known keys are {known}")

    def value(self, key: str) -> object:
        return self.table.get(key, self.defaults[key])

    def whole(self, key: str, least: int, most: int) -> int:
        value = self.value(key)
        # bool is an int to Python, not to whoever writes a policy.
        if type(value) is not int or not least <= value <= most:
            raise PolicyError(
                f"{self.where}{key} must be a whole number from {least} to {most}, not {value!r}"
            )
        return value

    def flag(self, key: str) -> bool:
        value = self.value(key)
        if not isinstance(value, bool):
            raise PolicyError(f"{self.where}{key} must be true or false, not {value!r}")
        return value

    def word(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self.value(key)
        if not isinstance(value, str) or value not in allowed:
            words = ", ".join(str(word) for word in allowed)
            raise PolicyError(f"{self.where}{key} must be one of {words}, not {value!r}")
        return value

    def clock(self, key: str) -> time:
        value = self.value(key)
        if isinstance(value, str) and len(value) == 5 and value[2] == ":":
            hours, minutes = value[:2], value[3:]
            digits = value.isascii() and hours.isdigit() and minutes.isdigit()
            if digits and int(hours) < 24 and int(minutes) < 60:
                return time(int(hours), int(minutes))
        raise PolicyError(f'{self.where}{key} must be a time such as "08:00", not {value!r}')


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
        reader = _Reader(table, {"level": None, "anchor": MATURITY, "after_days": 0}, where)
        level = Level(reader.word("level", (Level.REDUCED, Level.WALLED, Level.BLOCKED)))
        if steps and level.severity <= steps[-1].level.severity:
            raise PolicyError(
                f"{where}level {level} is not more severe than {steps[-1].level} before it;"
                " a ladder never softens with time: reduced, walled, blocked"
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
        if steps and offset < offset_days[steps[-1].level]:
            raise PolicyError(
                f"{where}after_days puts {level} before the milder {steps[-1].level};"
                " raise it, so that the ladder never softens with time"
            )
        offset_days[level.value] = offset
        steps.append(Step(level, anchor, after_days))
    return tuple(steps)


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
