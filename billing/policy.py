"""A delinquency policy: the numbers of the ladder, versioned, and the law that bounds them.

Source: `anatel-765` is RGC 2023 (Anatel resolution 765/2023), notice plus 15 days at least.
"""

from dataclasses import dataclass
from datetime import time
from enum import StrEnum

from billing.access import Level


class Law(StrEnum):
    """Which law bounds a policy's numbers. NONE is for contracts with no consumer behind them."""

    ANATEL_765 = "anatel-765"
    NONE = "none"


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
    cut_from: time
    cut_until: time
    cut_any_day: bool
    channels: tuple[str, ...]
    fine_basis_points: int
    interest_month_basis_points: int
