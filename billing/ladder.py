"""Delinquency ladder: debt, notices and an instant in, a verdict out. No I/O, no clock.

Rules 1 to 16 of the policy text; the numbers are the policy document's. Where the text leaves
a choice, this is the one made:

- "One run" of rule 5 is one local day: at most one step is entered on a day, so that the verdict
  does not depend on how often somebody looked.
- A cut may start from `cut_from` until just before `cut_until`.
- While a promise or a hold stands, no step is entered. When a promise is over, the level that the
  dates give comes back at the next allowed instant, with at most one new step.
- A hold never makes a level milder; debt below the minimum ends every step, hold or not. A bar
  (kill switch, guard, stale feed, outage, never-block class) is a hold without an end of its own:
  whoever lifts it has the contract looked at again.
- An agreement that waits for its first payment is a hold of its own. When an agreement is broken,
  the steps that stood when it was signed stand again from the next allowed instant for a cut, as
  far as the debt's dates still reach them; their days count from then, since the days in between
  were days of service (rule 12).
- A suspension that the customer asked for blocks the line, whatever the debt says of it, and no
  step is entered under it: the service was not ours to cut then (rule 13).
- Under a new version of a policy, a step stays only as far as the new dates would have reached it.
- A rescission is a cut, whatever was left of the line. Bureau and agency are none: they change no
  level and wait for no calendar, but for what stands against cuts, and for the contract's end.

Source: shape after Kill Bill's overdue states (facts, verdict and effect kept apart).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache

from billing.access import Level
from billing.calendar import (
    ONE_DAY,
    Calendar,
    add_bank_days,
    day_start,
    next_bank_day,
    next_cut,
    zone_of,
)
from billing.policy import MATURITY, Policy, Step
from billing.stage import Stage


@dataclass(frozen=True, slots=True)
class Receivable:
    """One invoice as the ladder sees it. `unpaid_cents` is principal only."""

    invoice_id: int
    due_on: date
    unpaid_cents: int


@dataclass(frozen=True, slots=True)
class CoveringNotice:
    """A notice that was proven delivered on `proven_on` (local), and the invoices it lists."""

    notice_id: int
    proven_on: date
    invoice_ids: frozenset[int]


class Bar(StrEnum):
    """What stands against any cut, whatever is owed (rules 6 and 10); never against a restore."""

    KILL_SWITCH = "kill_switch"
    GUARD = "guard"
    STALE_FEED = "stale_feed"
    OUTAGE = "outage"
    NEVER_BLOCK = "never_block"


@dataclass(frozen=True, slots=True)
class Rung:
    """A step that is in force and the local day on which it was really entered (rule 5)."""

    stage: Stage
    entered_on: date

    @property
    def level(self) -> Level:
        """What the line is left with."""
        return self.stage.level


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a verdict depends on besides policy, calendar and instant.

    `promise_until` is the last local day of a promise in force, or of one that is over while the
    level it gave still stands because no cut was allowed since. `hold_until` is the end of an
    operator's hold. `rungs` are mild to severe.

    `agreed_until` is until when an agreement waits for its first payment. `broken_on` is the day on
    which the last agreement was broken: rungs entered before it wait to stand again.
    `paused_from` and `paused_until` bound the suspension that the customer asked for. `bars` are
    what stands against a cut now; the first one is the reason that is told. `ended_on` is the first
    day on which the contract is no more, once it has ended.
    """

    receivables: tuple[Receivable, ...]
    notices: tuple[CoveringNotice, ...] = ()
    rungs: tuple[Rung, ...] = ()
    promise_until: date | None = None
    hold_until: datetime | None = None
    agreed_until: datetime | None = None
    broken_on: date | None = None
    paused_from: datetime | None = None
    paused_until: datetime | None = None
    bars: tuple[Bar, ...] = ()
    ended_on: date | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the ladder says (rule 16), and `rungs`, which the caller keeps for the next look.

    `step` is the last stage that is in force. `amounts_cents` is the counted principal of each of
    `invoice_ids`, in their order; it adds up to `counted_cents`.

    `reason` is a stable code; a person's sentence is made from it elsewhere:

    - `no_debt`: nothing is unpaid. `not_overdue`: nothing unpaid is overdue.
    - `awaiting_notice`: no proven notice covers what is overdue. `notice_running`: one does, and
      `notice_id` names it, but none has matured.
    - `below_minimum`: the counted debt is less than the policy's minimum.
    - `awaiting_step`: the first step's day is still to come. `awaiting_allowed_time`: its day (or
      that of cutting again after a promise) is here, but the hour or the day forbids a cut.
    - `step_reached`: `step` is in force.
    - `promise`, `hold`, `agreement`, or a `Bar`: there is counted debt, and this stands against a
      cut.
    - `paused`: the customer's own suspension, whatever is owed.

    `review_on` is the first instant at which, with no new fact, the verdict could change; None:
    never.
    """

    level: Level
    step: str | None
    reason: str
    invoice_ids: tuple[int, ...]
    counted_cents: int
    notice_id: int | None
    policy_name: str
    policy_version: int
    review_on: datetime | None
    rungs: tuple[Rung, ...]
    amounts_cents: tuple[int, ...] = ()


def overdue_from(due_on: date, policy: Policy, calendar: Calendar) -> date:
    """The first local day on which an invoice is overdue (rule 1)."""
    day_after = next_bank_day(calendar, due_on) + ONE_DAY
    return add_bank_days(calendar, day_after, policy.float_bank_days)


def notice_from(due_on: date, policy: Policy, calendar: Calendar) -> date:
    """The first local day on which an unpaid invoice asks for a notice (rule 2)."""
    days = timedelta(days=policy.notice_after_days)
    return max(overdue_from(due_on, policy, calendar), due_on + days)


def matures_on(notice: CoveringNotice, policy: Policy) -> date:
    """The first local day on which what the notice lists counts as debt (rule 3)."""
    return notice.proven_on + timedelta(days=policy.notice_days)


def decide(situation: Situation, policy: Policy, calendar: Calendar, now: datetime) -> Verdict:
    """The verdict at `now`, and when to look again.

    Args:
        situation: what is owed, what was notified, which steps are in force.
        policy: the contract's ladder.
        calendar: the customer's holidays and the banks'.
        now: aware (else ValueError), in the zone that local dates are read in.
    """
    verdict = _judge(situation, policy, calendar, now)
    kept = settled(situation, verdict, now)
    for instant in _turning_points(kept, policy, calendar, now):
        if _judge(kept, policy, calendar, instant) != verdict:
            return replace(verdict, review_on=instant)
    return verdict


def settled(situation: Situation, verdict: Verdict, now: datetime) -> Situation:
    """The situation as it stands once the verdict is kept: what the next look starts from."""
    until = standing_promise(situation.promise_until, verdict.level, verdict.rungs, now.date())
    return replace(situation, rungs=verdict.rungs, promise_until=until)


def standing_promise(
    until_on: date | None, level: Level, rungs: Sequence[Rung], today: date
) -> date | None:
    """`until_on` of a promise that still matters: in force, or its milder level still standing."""
    if until_on is None or today <= until_on:
        return until_on
    return until_on if level.severity < _top(rungs).severity else None


def in_force(rungs: Sequence[Rung], broken_on: date | None) -> Sequence[Rung]:
    """The rungs, or none while they wait to stand again after an agreement broken on that day."""
    return () if _waits(rungs, broken_on) else rungs


def _judge(situation: Situation, policy: Policy, calendar: Calendar, now: datetime) -> Verdict:
    """The verdict without `review_on`."""
    verdict = _judge_debt(situation, policy, calendar, now)
    if not _paused(situation, now):
        return verdict
    return replace(verdict, level=Level.BLOCKED, reason="paused")


def _judge_debt(situation: Situation, policy: Policy, calendar: Calendar, now: datetime) -> Verdict:
    """What the debt alone says."""
    today, at = now.date(), now.astimezone(UTC)
    unpaid = [item for item in situation.receivables if item.unpaid_cents > 0]
    overdue = [item for item in unpaid if overdue_from(item.due_on, policy, calendar) <= today]
    overdue_ids = {item.invoice_id for item in overdue}
    covering = sorted(
        (item for item in situation.notices if item.invoice_ids & overdue_ids),
        key=lambda item: (item.proven_on, item.notice_id),
    )
    matured = [item for item in covering if matures_on(item, policy) <= today]
    covered_ids = frozenset().union(*(item.invoice_ids for item in matured))
    counted = sorted(
        (item for item in overdue if item.invoice_id in covered_ids),
        key=lambda item: (item.due_on, item.invoice_id),
    )
    counted_cents = sum(item.unpaid_cents for item in counted)

    def verdict(level: Level, reason: str, rungs: tuple[Rung, ...] = ()) -> Verdict:
        return Verdict(
            level=level,
            step=rungs[-1].stage.value if rungs else None,
            reason=reason,
            invoice_ids=tuple(item.invoice_id for item in counted),
            counted_cents=counted_cents,
            notice_id=covering[0].notice_id if covering else None,
            policy_name=policy.name,
            policy_version=policy.version,
            review_on=None,
            rungs=rungs,
            amounts_cents=tuple(item.unpaid_cents for item in counted),
        )

    if not counted or counted_cents < policy.min_debt_cents:
        if not unpaid:
            return verdict(Level.FULL, "no_debt")
        if not overdue:
            return verdict(Level.FULL, "not_overdue")
        if not covering:
            return verdict(Level.FULL, "awaiting_notice")
        return verdict(Level.FULL, "below_minimum" if counted else "notice_running")

    ripe_on = matures_on(matured[0], policy)
    walked = _walked(ripe_on, policy, calendar, now)
    rungs = tuple(rung for rung in situation.rungs if rung.stage.severity <= walked)
    step = _next_step(rungs, policy)
    reached = step is not None and _step_day(step, rungs, ripe_on) <= today
    until_on = situation.promise_until
    promised = until_on is not None and today <= until_on
    held = _within(situation.hold_until, now)
    agreed = _within(situation.agreed_until, now)
    lifted = until_on is not None
    waiting = _waits(rungs, situation.broken_on)
    barred = promised or held or agreed or bool(situation.bars) or _paused(situation, now)
    may_cut = next_cut(calendar, policy, now).astimezone(UTC) == at
    if not barred and may_cut:
        lifted = False
        if waiting:
            rungs = tuple(Rung(rung.stage, today) for rung in rungs)
            waiting, step = False, None
    if step is not None and reached and step.stage.severity <= walked:
        free = may_cut or not (step.stage.is_cut or lifted)
        if free and not (barred or waiting) and _may_follow(step, situation.ended_on, today):
            rungs = (*rungs, Rung(step.stage, today))
            reached = False
    top = _top(rungs)
    level = min(top, policy.promise_level, key=_severity) if lifted else top
    if waiting:
        level = Level.FULL
    if promised:
        return verdict(level, "promise", rungs)
    if held:
        return verdict(level, "hold", rungs)
    if agreed:
        return verdict(level, "agreement", rungs)
    if situation.bars:
        return verdict(level, situation.bars[0].value, rungs)
    if level is not top or (reached and not rungs):
        return verdict(level, "awaiting_allowed_time", rungs)
    return verdict(level, "step_reached" if rungs else "awaiting_step", rungs)


def _turning_points(
    situation: Situation, policy: Policy, calendar: Calendar, now: datetime
) -> Iterator[datetime]:
    """Every instant after `now` at which the verdict could change first, in order.

    Between two of them nothing that a verdict reads changes: days on which an invoice becomes
    overdue, a notice matures, a step's anchor is reached, a promise or a hold is over; and for
    each (and for now) the first instant at which a cut may start.
    """
    zone = zone_of(now)
    unpaid = [item for item in situation.receivables if item.unpaid_cents > 0]
    if not unpaid and situation.paused_until is None:
        return iter(())
    days = {overdue_from(item.due_on, policy, calendar) for item in unpaid}
    step = _next_step(situation.rungs, policy)
    walks: list[datetime] = []
    for notice in situation.notices:
        ripe_on = matures_on(notice, policy)
        days.add(ripe_on)
        walks += (instant.astimezone(zone) for _, instant in _walk(ripe_on, policy, calendar, zone))
        if step is not None:
            days.add(_step_day(step, situation.rungs, ripe_on))
    if situation.promise_until is not None:
        days.add(situation.promise_until + ONE_DAY)
    starts = [now, *(day_start(day, zone) for day in days), *walks]
    ends = (
        situation.hold_until,
        situation.agreed_until,
        situation.paused_from,
        situation.paused_until,
    )
    starts += [instant.astimezone(zone) for instant in ends if instant is not None]
    at = now.astimezone(UTC)
    instants = {start.astimezone(UTC) for start in starts}
    coming = [start for start in starts if start.astimezone(UTC) >= at]
    instants.update(next_cut(calendar, policy, start).astimezone(UTC) for start in coming)
    return (instant.astimezone(zone) for instant in sorted(instants) if instant > at)


# The debtors of a night share a few dates.
@lru_cache(maxsize=4096)
def _walk(
    ripe_on: date, policy: Policy, calendar: Calendar, zone: tzinfo
) -> tuple[tuple[Stage, datetime], ...]:
    """The debt's own dates (rule 8): every step as if entered at its first allowed instant, UTC."""
    rungs: tuple[Rung, ...] = ()
    walk: list[tuple[Stage, datetime]] = []
    for step in policy.steps:
        instant = day_start(_step_day(step, rungs, ripe_on), zone)
        if step.stage.is_cut:
            instant = next_cut(calendar, policy, instant)
        rungs = (*rungs, Rung(step.stage, instant.date()))
        walk.append((step.stage, instant.astimezone(UTC)))
    return tuple(walk)


def _walked(ripe_on: date, policy: Policy, calendar: Calendar, now: datetime) -> int:
    """The severity of the stage that the counted debt's own dates have reached; 0: none.

    Real steps are never earlier than these dates, except when the debt that carried them was paid:
    then they fall to this level, and the next one waits for its date in both counts.
    """
    at, walked = now.astimezone(UTC), 0
    for stage, instant in _walk(ripe_on, policy, calendar, zone_of(now)):
        if instant > at:
            break
        walked = stage.severity
    return walked


def _may_follow(step: Step, ended_on: date | None, today: date) -> bool:
    """Whether a step that only an ended contract may take finds it ended (rule 14)."""
    ended = ended_on is not None and ended_on <= today
    return ended or step.stage.severity <= Stage.RESCIND.severity


def _paused(situation: Situation, now: datetime) -> bool:
    begun = not _within(situation.paused_from, now)
    return begun and _within(situation.paused_until, now)


def _within(until: datetime | None, now: datetime) -> bool:
    return until is not None and now.astimezone(UTC) < until.astimezone(UTC)


def _waits(rungs: Sequence[Rung], broken_on: date | None) -> bool:
    return bool(rungs) and broken_on is not None and rungs[-1].entered_on < broken_on


def _next_step(rungs: Sequence[Rung], policy: Policy) -> Step | None:
    reached = rungs[-1].stage.severity if rungs else 0
    return next((step for step in policy.steps if step.stage.severity > reached), None)


def _step_day(step: Step, rungs: Sequence[Rung], ripe_on: date) -> date:
    """The day from which `step` may be entered, given the rungs below it."""
    anchor_on = ripe_on
    if step.anchor != MATURITY and rungs:
        # An anchor that was never entered stems from another version of the policy.
        entered = {rung.stage.value: rung.entered_on for rung in rungs}
        anchor_on = entered.get(step.anchor, rungs[-1].entered_on)
    day = anchor_on + timedelta(days=step.after_days)
    return max(day, rungs[-1].entered_on + ONE_DAY) if rungs else day


def _top(rungs: Sequence[Rung]) -> Level:
    return rungs[-1].level if rungs else Level.FULL


def _severity(level: Level) -> int:
    return level.severity
