"""Guards at work: a sweep's cuts as one plan, let through or refused whole, and its release.

Restores never come here. A refused plan is kept with every row and its hash; two people may release
it by that hash before it expires, and then each of its cuts is judged once more (`api.drip`).
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import Row

from api import kill_switch
from api.cashier import reconcile
from api.house import House
from api.looking import Looked
from api.store import guard_counts, guard_rows, plan_rows, review_rows, trusted_rules
from api.store.uow import Uow
from billing.access import Level
from billing.calendar import ONE_DAY, day_start, zone_of
from billing.cuts import plan_hash
from billing.guard import (
    OF_CLOCK,
    RELEASABLE,
    Flaw,
    RefusedPlan,
    Sight,
    blindness,
    crowded,
    held_by,
    knows_the_day,
    nas_max,
    overtaken,
    plan_flaws,
    sweep_bound,
    to_answer,
)
from billing.policy import Policy

PEOPLE = 2
_COLUMNS = (
    "plan_id",
    "contract_id",
    "subscriber_id",
    "subscriber",
    "region",
    "nas",
    "before",
    "after",
    "reason",
    "counted_cents",
    "invoice_ids",
    "notice_id",
    "policy",
    "policy_version",
    "review_on",
    "state",
)

log = logging.getLogger(__name__)


class NoSuchPlan(LookupError):
    """No plan has this number."""


class ReleaseRefused(ValueError):
    """A plan that cannot be released so, and what to do."""


class Sign(NamedTuple):
    """What one of a plan's first cuts brought at once: payment, promise, dispute or hold."""

    contract_id: int
    sign: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """Of which plan this is the rest, and what stopped that one."""

    plan_id: int
    signs: tuple[Sign, ...]


@dataclass(frozen=True, slots=True)
class Begun:
    """What a sweep begins with. `over` are the refused plans that it takes the place of.

    `is_idle`: people are asked already what day it is, and nobody is looked at for a cut until they
    answered or cannot answer any more. `doubted` are the policies whose ruling version nobody has
    answered for, as they were trusted before.
    """

    sight: Sight
    knows_the_day: bool
    over: tuple[int, ...]
    is_idle: bool
    doubted: Mapping[str, Policy]


@dataclass(frozen=True, slots=True)
class Decided:
    """What the guards made of a plan; no flaws: its cuts are made one by one."""

    plan_id: int
    flaws: tuple[Flaw, ...]


async def begin(house: House, correlation_id: str, actor: str) -> Begun:
    """What a sweep sees as it begins. A provider that was silent for long is asked first.

    Whom a guard held back that is open again is looked at, and so is everybody of a plan that
    nobody can release any more: the sweep plans them anew.
    """
    limits = house.settings.limits
    await kill_switch.follow_file(house)
    await kill_switch.take_back_left(house, correlation_id, actor)
    async with house.uow(actor, correlation_id) as uow:
        await guard_rows.count_active(uow.connection)
        await guard_rows.wait_for_news(uow.connection, house.providers, uow.clock.now())
        sight = await uow.sight()
    if Flaw.STALE_FEED in blindness(sight, limits):
        # In rehearsal time jumps ahead of the schedule that asks; in real time it may be back.
        await reconcile(house)
    async with house.uow(actor, correlation_id) as uow:
        now = uow.clock.now()
        sight = await uow.sight()
        blind = blindness(sight, limits)
        known = knows_the_day(blind)
        if known:
            await guard_rows.keep_seen(uow.connection, now)
        plans = await plan_rows.refused(uow.connection)
        over = tuple(plan.id for plan in plans if plan.is_over(now))
        if not blind:
            seen = overtaken(plans, now)
            await _close(uow, seen, "overtaken")
            if all(plan.id in {*over, *seen} for plan in plans):
                await guard_rows.look_again(uow.connection, ("guard", "stale_feed"), now)
        few = limits.sweep_floor
        doubted = await trusted_rules.trust_undoubted(uow.connection, now.date(), few)
    return Begun(sight, known, over, not known and len(plans) > len(over), doubted)


async def plan_cuts(
    house: House,
    cuts: Sequence[Looked],
    correlation_id: str,
    actor: str,
    begun: Begun | None = None,
    *,
    hasty: int = 0,
    doubted: Collection[str] = (),
) -> Decided | None:
    """Put the cuts of a sweep before the guards; None: there is nothing to decide.

    Refused, they are kept and told, and nobody of them is cut.

    Args:
        house: where.
        cuts: what the sweep would cut.
        correlation_id: of whoever asked.
        actor: the same, for the audit log.
        begun: with what it began; None: it did not look at everybody, so it takes no other plan's
            place. Plans that nobody can release any more stand against cuts until here.
        hasty: how many of the cuts follow from rules that nobody has answered for.
        doubted: the policies that were in doubt while they were counted. By those that came into
            doubt since, some were judged and some not: all of their cuts count.
    """
    if not cuts and (begun is None or (begun.knows_the_day and not begun.over)):
        return None
    limits = house.settings.limits
    async with house.uow(actor, correlation_id) as uow:
        # Two sweeps at once count each other.
        await plan_rows.lock_plans(uow.connection, plan_rows.PLANS_LOCK)
        await _close(uow, begun.over if begun is not None else (), "expired")
        now = uow.clock.now()
        told = await _told(uow, cuts)
        sight = await with_counts(uow, await uow.sight(), told)
        now_doubted = await trusted_rules.doubted(uow.connection, now.date(), limits.sweep_floor)
        since = now_doubted.keys() - set(doubted)
        hasty += sum(row.policy in since for row in told)
        waiting = await plan_rows.waiting_cuts(uow.connection)
        waits = len(await plan_rows.refused(uow.connection))
        found = to_answer(
            len(cuts),
            waits,
            plan_flaws(len(cuts), waiting, sight, limits, cuts_on(told), hasty=hasty),
            blindness(sight, limits),
        )
        if not cuts and not found:
            return None
        plan_id = await keep(
            uow,
            told,
            "refused" if found else "running",
            sight,
            flaws=found,
            expires_at=now + timedelta(minutes=house.settings.release_minutes),
        )
        data = {"cuts": len(cuts), "active": sight.active, "hash": hash_of(told).hex()}
        if found:
            names = [flaw.value for flaw in found]
            await uow.audit("review.refused", f"review:{plan_id}", {**data, "flaws": names})
            await put_off(uow, plan_id, found)
            log.error("plan %d of %d cuts is refused: %s", plan_id, len(cuts), ", ".join(names))
        else:
            await uow.audit("review.planned", f"review:{plan_id}", data)
            uow.notify("religa_cuts", str(plan_id))
    return Decided(plan_id, tuple(found))


async def put_off(uow: Uow, plan_id: int, found: Sequence[Flaw]) -> None:
    """Take a refused plan's contracts off the schedule until tomorrow, or until a guard opens."""
    now = uow.clock.now()
    tomorrow = day_start(now.date() + ONE_DAY, zone_of(now))
    await plan_rows.hold_back(uow.connection, plan_id, held_by(found).value, now, tomorrow)


async def release(
    uow: Uow, house: House, plan_id: int, author: str, given: bytes
) -> tuple[str, list[str]]:
    """Approve a refused plan by its hash; the second person's approval releases it.

    Returns:
        Its state, and who approved it so far.

    Raises:
        NoSuchPlan: there is none of this number.
        ReleaseRefused: not this plan, not by this person, or not now.
    """
    plan = await plan_rows.lock_plan(uow.connection, plan_id)
    if plan is None:
        raise NoSuchPlan(f"there is no review {plan_id}")
    now = uow.clock.now()
    if plan.state != "refused":
        raise ReleaseRefused(
            f"review {plan_id} is {plan.state}; only a refused one can be released"
        )
    if RefusedPlan(plan_id, plan.made_at, plan.expires_at, frozenset()).is_over(now):
        began, ended = (at.astimezone(now.tzinfo) for at in (plan.made_at, plan.expires_at))
        raise ReleaseRefused(
            f"review {plan_id} expired: it could be released from {began.isoformat()} until"
            f" {ended.isoformat()}; the next sweep plans anew"
        )
    if given != bytes(plan.hash):
        raise ReleaseRefused(
            f"this is not the hash of review {plan_id}; read it again and look at its rows"
        )
    blind = blindness(await uow.sight(), house.settings.limits)
    lasting = [flaw for flaw in blind if flaw not in RELEASABLE]
    if lasting:
        raise ReleaseRefused(
            f"nobody can answer for {', '.join(lasting)}: see GET /api/v1/guards, and wait until"
            " it has passed"
        )
    people = await plan_rows.approvers(uow.connection, plan_id)
    if author in people:
        raise ReleaseRefused(f"{author} approved review {plan_id} already; another person must")
    await plan_rows.approve(uow.connection, plan_id, author, given, now)
    people.append(author)
    subject, data = f"review:{plan_id}", {"hash": given.hex(), "people": people}
    if len(people) < PEOPLE:
        await uow.audit("review.approved", subject, data)
        return "refused", people
    if OF_CLOCK.intersection(blind):
        # The two have looked at a calendar.
        await guard_rows.keep_seen(uow.connection, now)
    # They have seen by which rules.
    seen = await plan_rows.policies_of(uow.connection, plan_id)
    await trusted_rules.trust(uow.connection, now.date(), seen)
    await plan_rows.release_plan(uow.connection, plan_id)
    await uow.audit("review.released", subject, data)
    uow.notify("religa_cuts", str(plan_id))
    return "released", people


async def keep(
    uow: Uow,
    rows: Sequence[Looked],
    state: str,
    sight: Sight,
    *,
    flaws: Iterable[Flaw] = (),
    expires_at: datetime | None = None,
    stopped: Stopped | None = None,
) -> int:
    """Keep a plan whole: every row, the totals, the bounds, the hash; its id."""
    cuts_max, by = sweep_bound(sight.active, uow.limits, sight.weekday_cuts)
    over = crowded(cuts_on(rows), sight.contracts_on, uow.limits)
    plan_id = await plan_rows.insert_plan(
        uow.connection,
        {
            "state": state,
            "made_at": uow.clock.now(),
            "actor": uow.actor,
            "correlation_id": uow.correlation_id,
            "hash": hash_of(rows),
            "cuts": sum(row.is_cut for row in rows),
            "active": sight.active,
            "cuts_max": cuts_max,
            "cuts_max_by": by.value,
            "crowded": [asdict(nas) for nas in over],
            "flaws": [flaw.value for flaw in flaws],
            "totals": totals(rows),
            "expires_at": expires_at if state == "refused" else None,
            "rest_of": stopped and stopped.plan_id,
            "signs": [sign._asdict() for sign in stopped.signs] if stopped else [],
        },
    )
    row_state = "waiting" if state == "running" else "shown"
    await plan_rows.insert_rows(
        uow.connection, _COLUMNS, [_row(plan_id, row, row_state) for row in rows]
    )
    return plan_id


def hash_of(rows: Iterable[Looked]) -> bytes:
    """Of the cuts among the rows."""
    return plan_hash(row.cut for row in rows if row.is_cut)


def totals(rows: Iterable[Looked]) -> dict[str, object]:
    """How many rows by what happens to them, by reason, region, NAS and level."""
    kinds: Counter[str] = Counter()
    by: dict[str, dict[str, Counter[str]]] = {"region": {}, "nas": {}, "level": {}, "reason": {}}
    for row in rows:
        kind = "cuts" if row.is_cut else "restores" if row.is_restore else "unchanged"
        kinds[kind] += 1
        for name, value in (
            ("region", row.region),
            ("nas", row.nas),
            ("level", row.after.value),
            ("reason", row.reason),
        ):
            by[name].setdefault(value, Counter())[kind] += 1
    names = ("cuts", "restores", "unchanged")
    return {
        **{name: kinds[name] for name in names},
        **{
            f"by_{name}": {
                value: {kind: counted[kind] for kind in names}
                for value, counted in sorted(found.items())
            }
            for name, found in by.items()
        },
    }


def cuts_on(rows: Iterable[Looked]) -> dict[str, int]:
    """How many cuts by NAS; a line that never was on one is in none."""
    return dict(Counter(row.nas for row in rows if row.is_cut and row.nas))


async def with_counts(
    uow: Uow, sight: Sight, rows: Iterable[Looked], at: datetime | None = None
) -> Sight:
    """The same sight with what is counted for a plan alone, to be made at an instant or now.

    Of a NAS with fewer cuts than every NAS may have nothing need be known.
    """
    limits = uow.limits
    names = [nas for nas, cuts in cuts_on(rows).items() if cuts > nas_max(0, limits)]
    return replace(
        sight,
        weekday_cuts=await usual(uow, at),
        contracts_on=await guard_counts.contracts_on(uow.connection, names),
    )


async def usual(uow: Uow, at: datetime | None = None) -> tuple[int, ...]:
    """What sweeps cut on the last days of the weekday of an instant, or of today."""
    now = at or uow.clock.now()
    return await guard_counts.weekday_cuts(
        uow.connection, now, str(zone_of(now)), uow.limits.usual_of
    )


async def _close(uow: Uow, plan_ids: Sequence[int], state: Literal["expired", "overtaken"]) -> None:
    for plan_id in await plan_rows.close_plans(uow.connection, plan_ids, state):
        await uow.audit("review.closed", f"review:{plan_id}", {})


async def _told(uow: Uow, rows: Sequence[Looked]) -> list[Looked]:
    known = await review_rows.context(uow.connection, [row.contract_id for row in rows])
    return [row.told(known[row.contract_id]) for row in rows]


def looked_at(row: "Row[Any]") -> Looked:
    """A row of a plan, as it was planned."""
    return Looked(
        contract_id=row.contract_id,
        subscriber_id=row.subscriber_id,
        before=Level(row.before),
        after=Level(row.after),
        reason=row.reason,
        counted_cents=row.counted_cents,
        invoice_ids=tuple(row.invoice_ids),
        notice_id=row.notice_id,
        policy=row.policy,
        policy_version=row.policy_version,
        review_on=row.review_on,
        subscriber=row.subscriber,
        region=row.region,
        nas=row.nas,
    )


def _row(plan_id: int, row: Looked, state: str) -> tuple[object, ...]:
    return (
        plan_id,
        row.contract_id,
        row.subscriber_id,
        row.subscriber,
        row.region,
        row.nas,
        row.before.value,
        row.after.value,
        row.reason,
        row.counted_cents,
        list(row.invoice_ids),
        row.notice_id,
        row.policy,
        row.policy_version,
        row.review_on,
        state,
    )
