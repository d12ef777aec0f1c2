"""Guards: whether a sweep's plan of cuts may be carried out. No I/O, no clock.

A guard looks at the plan and at what the judge can see, never at one customer: too many cuts at
once mean that the judge is wrong, and who cannot see payments cuts nobody. Guards hold back cuts
alone; a restore asks none of them.

Source: design rule 7.3 and invariants A7, A9 and A11 of the reliability goals. Too many at once is
a fault of the judge in Kubernetes' node controller too, and an empty set never means everybody.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from billing.ladder import Bar

# A rolling day: what all sources cut in it counts together.
WINDOW = timedelta(days=1)


class Flaw(StrEnum):
    """Why a plan is refused.

    TOO_MANY: more cuts than one sweep may make. TOO_MANY_TODAY: more than a rolling day may have.
    TOO_MANY_ON_NAS: more than one NAS may have in a sweep. CANARY: of the first whom a plan cut
    somebody paid or complained at once. PLAN_WAITS: another refused plan waits for its two people.
    NEW_RULES: some of the cuts follow from a version of a policy that nobody has answered for, and
    not from the one before. STALE_FEED: a payment provider was not heard of for too long.
    CLOCK_BACK, CLOCK_AHEAD: the clock is before, or too far past, the last instant that was
    recorded. CLOCKS_APART: ours and the database's differ. NOT_PRIMARY: the database is a replica
    or is being recovered. BOOKS_DIFFER: the last recomputation of the books found a difference.
    """

    TOO_MANY = "too_many"
    TOO_MANY_TODAY = "too_many_today"
    TOO_MANY_ON_NAS = "too_many_on_nas"
    CANARY = "canary"
    PLAN_WAITS = "plan_waits"
    NEW_RULES = "new_rules"
    STALE_FEED = "stale_feed"
    CLOCK_BACK = "clock_back"
    CLOCK_AHEAD = "clock_ahead"
    CLOCKS_APART = "clocks_apart"
    NOT_PRIMARY = "not_primary"
    BOOKS_DIFFER = "books_differ"


# The judge may be wrong: a plan refused for one of these waits for two people, or for another plan.
OF_THE_PLAN = frozenset(
    {
        Flaw.TOO_MANY,
        Flaw.TOO_MANY_TODAY,
        Flaw.TOO_MANY_ON_NAS,
        Flaw.CANARY,
        Flaw.PLAN_WAITS,
        Flaw.NEW_RULES,
    }
)
# A plan that only waits for another stands in nobody's way, or plans would wait for each other.
STANDING = OF_THE_PLAN - {Flaw.PLAN_WAITS}
# What day it is, is not known.
OF_CLOCK = frozenset({Flaw.CLOCK_BACK, Flaw.CLOCK_AHEAD, Flaw.CLOCKS_APART})
# What two people may answer for: they have seen the plan, and the calendar on the wall.
RELEASABLE = OF_THE_PLAN | {Flaw.CLOCK_BACK, Flaw.CLOCK_AHEAD}


class Bound(StrEnum):
    """What says how many contracts one sweep may cut.

    SHARE: of the running contracts. USUAL: what the sweeps of this weekday cut. FLOOR: as few as
    are always let through.
    """

    SHARE = "share"
    USUAL = "usual"
    FLOOR = "floor"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the guards let through. Shares are basis points of the running contracts.

    Attributes:
        usual_times: how often the median of the weekday's last sweeps one sweep may be.
        usual_of: how many of them make a median; with fewer there is none.
    """

    sweep_basis_points: int = 200
    sweep_floor: int = 20
    usual_times: int = 3
    usual_of: int = 8
    nas_basis_points: int = 1_000
    nas_floor: int = 20
    day_basis_points: int = 500
    day_floor: int = 50
    feed_age_max: timedelta = timedelta(hours=1)
    clock_ahead_max: timedelta = timedelta(hours=48)
    clocks_apart_max: timedelta = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Sight:
    """What the judge can see now.

    Attributes:
        now: the business instant.
        heard_at: when each payment provider was last heard of; one that never was is not in it.
        seen_at: the last business instant at which the clock was found sane; None: never yet.
        clocks_apart: our clock less the database's.
        primary: the database takes writes.
        active: running contracts.
        cuts_in_window: cuts of all sources in the `WINDOW` before now.
        plan_waits: a plan that stands was neither released nor followed by another.
        switched_off: the kill switch of all cuts is on.
        books_differ: the last recomputation of the books found a difference.
        weekday_cuts: what was cut on each of the last days of this weekday on which a sweep cut
            anybody, the newest first.
        contracts_on: running contracts whose lines are on a NAS, or were last.
    """

    now: datetime
    heard_at: Mapping[str, datetime]
    seen_at: datetime | None
    clocks_apart: timedelta
    primary: bool
    active: int
    cuts_in_window: int
    plan_waits: bool
    switched_off: bool = False
    books_differ: bool = False
    weekday_cuts: tuple[int, ...] = ()
    contracts_on: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefusedPlan:
    """A plan that waits: why it was refused, and from when to when it can be released."""

    id: int
    made_at: datetime
    expires_at: datetime
    flaws: frozenset[Flaw]

    def is_over(self, now: datetime) -> bool:
        """Whether it cannot be released any more; one of a time to come was made by a wrong clock.

        It goes on standing against cuts until a sweep that saw everybody has planned anew.
        """
        at = now.astimezone(UTC)
        return not self.made_at.astimezone(UTC) <= at < self.expires_at.astimezone(UTC)

    def lacked_sight(self) -> bool:
        """Whether seeing again is all that it waits for."""
        return not self.flaws & OF_THE_PLAN

    def stands(self) -> bool:
        """Whether nobody is cut before two people have looked at it, or another took its place."""
        return bool(self.flaws & STANDING)


def overtaken(plans: Sequence[RefusedPlan], now: datetime) -> tuple[int, ...]:
    """The plans that a sweep which sees takes the place of, before their time is over.

    They lacked sight, or waited for a plan that waits no longer.
    """
    waiting = [plan for plan in plans if not plan.is_over(now)]
    free = not any(plan.stands() for plan in waiting)
    return tuple(plan.id for plan in waiting if plan.lacked_sight() or (free and not plan.stands()))


@dataclass(frozen=True, slots=True)
class Crowded:
    """A NAS on which a plan would cut more lines than one sweep may."""

    nas: str
    cuts: int
    cuts_max: int
    contracts: int


def sweep_bound(active: int, limits: Limits, weekday_cuts: Sequence[int] = ()) -> tuple[int, Bound]:
    """How many contracts one sweep may cut, and what says so.

    `max(floor, min(share of the running contracts, 3 x median of the weekday's last eight))`.

    Args:
        active: running contracts.
        limits: of the guards.
        weekday_cuts: as in `Sight`; with fewer than eight the median says nothing.
    """
    most, by = active * limits.sweep_basis_points // 10_000, Bound.SHARE
    last = sorted(weekday_cuts[: limits.usual_of])
    if len(last) == limits.usual_of:
        middle = last[(len(last) - 1) // 2] + last[len(last) // 2]
        usual = limits.usual_times * middle // 2
        if usual < most:
            most, by = usual, Bound.USUAL
    if most <= limits.sweep_floor:
        most, by = limits.sweep_floor, Bound.FLOOR
    return most, by


def sweep_max(active: int, limits: Limits, weekday_cuts: Sequence[int] = ()) -> int:
    """How many contracts one sweep may cut."""
    return sweep_bound(active, limits, weekday_cuts)[0]


def nas_max(contracts: int, limits: Limits) -> int:
    """How many lines on a NAS with so many contracts one sweep may cut.

    Never fewer than the sweep's own share and floor: who lets a sweep cut half of all lets it cut
    half of one place.
    """
    share = max(limits.nas_basis_points, limits.sweep_basis_points)
    return max(limits.nas_floor, limits.sweep_floor, contracts * share // 10_000)


def crowded(
    cuts_on: Mapping[str, int], contracts_on: Mapping[str, int], limits: Limits
) -> tuple[Crowded, ...]:
    """The NASes on which a plan would cut too many.

    Args:
        cuts_on: the plan's cuts by NAS; a line that never was on one is in none.
        contracts_on: as in `Sight`; a NAS that is not in it has no contract but those.
        limits: of the guards.
    """
    found = []
    for nas, cuts in sorted(cuts_on.items()):
        contracts = contracts_on.get(nas, cuts)
        most = nas_max(contracts, limits)
        if cuts > most:
            found.append(Crowded(nas, cuts, most, contracts))
    return tuple(found)


def window_max(active: int, limits: Limits) -> int:
    """How many contracts may be cut in a rolling day, by whatever cuts them."""
    return max(limits.day_floor, active * limits.day_basis_points // 10_000)


def blindness(sight: Sight, limits: Limits) -> tuple[Flaw, ...]:
    """What keeps the judge from seeing, however few would be cut (invariant A11)."""
    found: list[Flaw] = []
    now = sight.now.astimezone(UTC)
    ages = [now - at.astimezone(UTC) for at in sight.heard_at.values()]
    # News of a time to come was heard by a wrong clock: its age is not known.
    if any(age > limits.feed_age_max or age < -limits.clocks_apart_max for age in ages):
        found.append(Flaw.STALE_FEED)
    if sight.seen_at is not None:
        seen_at = sight.seen_at.astimezone(UTC)
        if now < seen_at - limits.clocks_apart_max:
            found.append(Flaw.CLOCK_BACK)
        if now > seen_at + limits.clock_ahead_max:
            found.append(Flaw.CLOCK_AHEAD)
    if abs(sight.clocks_apart) > limits.clocks_apart_max:
        found.append(Flaw.CLOCKS_APART)
    if not sight.primary:
        found.append(Flaw.NOT_PRIMARY)
    if sight.books_differ:
        found.append(Flaw.BOOKS_DIFFER)
    return tuple(found)


def flaws(
    cuts: int, sight: Sight, limits: Limits, cuts_on: Mapping[str, int] | None = None
) -> tuple[Flaw, ...]:
    """Why a plan of so many cuts is refused; empty: it may go on. No cuts, no flaws.

    Args:
        cuts: of the plan.
        sight: what the judge can see.
        limits: of the guards.
        cuts_on: the plan's cuts by NAS; None: nobody knows where the lines are.
    """
    if not cuts:
        return ()
    found: list[Flaw] = []
    if cuts > sweep_max(sight.active, limits, sight.weekday_cuts):
        found.append(Flaw.TOO_MANY)
    if sight.cuts_in_window + cuts > window_max(sight.active, limits):
        found.append(Flaw.TOO_MANY_TODAY)
    if crowded(cuts_on or {}, sight.contracts_on, limits):
        found.append(Flaw.TOO_MANY_ON_NAS)
    if sight.plan_waits:
        found.append(Flaw.PLAN_WAITS)
    return (*found, *blindness(sight, limits))


def plan_flaws(
    cuts: int,
    waiting: int,
    sight: Sight,
    limits: Limits,
    cuts_on: Mapping[str, int] | None = None,
    *,
    hasty: int = 0,
) -> tuple[Flaw, ...]:
    """The same, where so many cuts of earlier plans still wait their turn: they count as made.

    `hasty` of the cuts follow from rules that nobody has answered for.
    """
    counted = replace(sight, cuts_in_window=sight.cuts_in_window + waiting)
    found = flaws(cuts, counted, limits, cuts_on)
    return (Flaw.NEW_RULES, *found) if hasty else found


def held_by(found: Collection[Flaw]) -> Bar:
    """What is said of the contracts of a plan that was refused for these."""
    return Bar.STALE_FEED if set(found) == {Flaw.STALE_FEED} else Bar.GUARD


def knows_the_day(blind: Collection[Flaw]) -> bool:
    """Whether the clock can be believed, whatever else is not seen.

    If not, nothing is done that its being put right would not undo: no notice is drawn, no
    agreement broken, no dispute decided, no day of the next look kept.
    """
    return not OF_CLOCK.intersection(blind)


def to_answer(cuts: int, waits: int, found: Sequence[Flaw], blind: Sequence[Flaw]) -> list[Flaw]:
    """Why a sweep's plan is put before people; empty: it is not.

    Whoever does not know the day asks for it even with nobody to cut, or notices would stop for
    ever, and then cuts too.

    Args:
        cuts: how many are planned.
        waits: how many plans wait for people already.
        found: the flaws of the plan.
        blind: what the sweep did not see.
    """
    if cuts or waits:
        return list(found)
    return [flaw for flaw in blind if flaw in OF_CLOCK & RELEASABLE]


def bars(sight: Sight, limits: Limits, *, released: bool = False) -> tuple[Bar, ...]:
    """What stands against any single cut now.

    Args:
        sight: what the judge can see.
        limits: of the guards.
        released: the cut is of a plan that two people released: its size is theirs to answer for.
    """
    found: list[Bar] = [Bar.KILL_SWITCH] if sight.switched_off else []
    blind = blindness(sight, limits)
    if Flaw.STALE_FEED in blind:
        found.append(Bar.STALE_FEED)
    full = sight.plan_waits or sight.cuts_in_window >= window_max(sight.active, limits)
    if set(blind) - {Flaw.STALE_FEED} or (full and not released):
        found.append(Bar.GUARD)
    return tuple(found)
