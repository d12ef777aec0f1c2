"""The law that bounds a policy, and what of a policy breaks it.

Source: `anatel-765` is RGC 2023 (Anatel resolution 765/2023, articles 70 to 78), in force since
2025-09-01; `anatel-632` is RGC 2014 (resolution 632/2014, articles 90 to 103), which it replaced.
Both count from the day the notice was proven, and each stage from the day the one before it began.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from billing.stage import Stage

MATURITY = "maturity"


class Law(StrEnum):
    """Which law bounds a policy's numbers. NONE is for contracts with no consumer behind them."""

    ANATEL_765 = "anatel-765"
    ANATEL_632 = "anatel-632"
    NONE = "none"


class PolicyError(ValueError):
    """A document that cannot be a policy, in one sentence that says what to change."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rung. `anchor` is `maturity` (of the oldest covering notice) or an earlier rung's stage.

    `after_days` counts local dates from the anchor's day; from an earlier rung's *actual* day.
    """

    stage: Stage
    anchor: str
    after_days: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one law asks for, in days.

    `notice_days` from the proven notice to the first cut; `partial_days` from reduced speed, which
    must come first, to suspension (None: no such stage is asked for); `rescind_days` from the start
    of the suspension in full to the contract's end.
    """

    notice_days: int
    partial_days: int | None
    rescind_days: int


BOUNDS: Mapping[Law, Bounds] = MappingProxyType(
    {
        Law.ANATEL_765: Bounds(notice_days=15, partial_days=None, rescind_days=60),
        Law.ANATEL_632: Bounds(notice_days=15, partial_days=30, rescind_days=30),
    }
)


def refuse_unlawful(law: Law, notice_days: int, steps: Sequence[Step]) -> None:
    """Check a ladder against the law that it names.

    Raises:
        PolicyError: a deadline is shorter than the law's.
    """
    bounds = BOUNDS.get(law)
    if bounds is None:
        return
    if notice_days < bounds.notice_days:
        raise PolicyError(
            f"notice_days is {notice_days}, but law {law} asks for {bounds.notice_days} at least;"
            f" {_way_out(f'put {bounds.notice_days} or more')}"
        )
    if bounds.partial_days is not None:
        _refuse_without_partial(law, bounds.partial_days, steps)
    by_stage = {step.stage: step for step in steps}
    rescind = by_stage.get(Stage.RESCIND)
    if rescind is not None:
        _refuse_early_rescission(law, bounds.rescind_days, rescind, by_stage)


def _refuse_without_partial(law: Law, days: int, steps: Sequence[Step]) -> None:
    if steps[0].stage is not Stage.REDUCED:
        raise PolicyError(
            f"the first step is {steps[0].stage}, but law {law} asks for reduced speed before"
            f" suspension; {_way_out('put reduced first')}"
        )
    by_stage = {step.stage: step for step in steps}
    for step in steps:
        if step.stage.suspends and _days_since(step, by_stage, (Stage.REDUCED,)) < days:
            raise PolicyError(
                f"{step.stage} comes less than {days} days after reduced speed really began, which"
                f" law {law} asks for;"
                f" {_way_out(f'anchor it to reduced with after_days {days} or more')}"
            )


def _refuse_early_rescission(
    law: Law, days: int, rescind: Step, by_stage: Mapping[Stage, Step]
) -> None:
    suspensions = tuple(stage for stage in by_stage if stage.suspends)
    if not suspensions:
        raise PolicyError(
            f"rescind follows no suspension, but law {law} ends a contract {days} days after one;"
            f" {_way_out('put walled or blocked before it')}"
        )
    if _days_since(rescind, by_stage, suspensions) < days:
        raise PolicyError(
            f"rescind comes less than {days} days after the suspension really began, which law"
            f" {law} asks for;"
            f" {_way_out(f'anchor it to {suspensions[0]} with after_days {days} or more')}"
        )


def _days_since(step: Step, by_stage: Mapping[Stage, Step], since: Sequence[Stage]) -> int:
    """Days that certainly pass from the earliest of `since` that `step` is anchored to.

    -1 where its anchors lead past all of them: what is postponed would not postpone it then.
    """
    days, found = 0, -1
    while step.anchor != MATURITY:
        days += step.after_days
        step = by_stage[Stage(step.anchor)]
        if step.stage in since:
            found = days
    return found


def _way_out(put: str) -> str:
    return f'{put}, or set law = "none" if no consumer is under this policy'
