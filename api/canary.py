"""A plan's first cuts go alone: if one of them pays or complains at once, the judge may be wrong.

The rest is then a refused plan of its own, with its own hash, that two people may release. All of
it is rows and business time, so a run that is cut short goes on where it was.
"""

import logging
from datetime import timedelta
from typing import NamedTuple

from api.guards import Sign, Stopped, keep, looked_at, put_off, with_counts
from api.house import House
from api.store import canary_rows
from api.store.uow import Uow
from billing.guard import Flaw

log = logging.getLogger(__name__)


class Watch(NamedTuple):
    """`ends_s`: seconds until the next watch ends, None: there is none. `stopped`: a plan was."""

    ends_s: float | None
    stopped: bool


async def begin(house: House, uow: Uow, plan_id: int) -> None:
    """After a cut of this plan: watch it, if it was the last of its first ones and more wait."""
    settings = house.settings
    if settings.cuts_canary:
        until = uow.clock.now() + settings.canary_wait
        if await canary_rows.begin(uow.connection, plan_id, settings.cuts_canary, until):
            log.info("plan %d waits until %s after its first cuts", plan_id, until.isoformat())


async def look(house: House, uow: Uow) -> Watch:
    """Stop or let go on what is watched, under the lock of whoever makes cuts."""
    now = uow.clock.now()
    ends: list[float] = []
    stopped = False
    for plan_id, until in await canary_rows.watched(uow.connection):
        signs = tuple(Sign(*sign) for sign in await canary_rows.signs(uow.connection, plan_id))
        if signs:
            stopped = True
            await _stop(house, uow, Stopped(plan_id, signs))
        elif until.astimezone(now.tzinfo) <= now:
            await canary_rows.passed(uow.connection, plan_id)
        else:
            ends.append((until - now.astimezone(until.tzinfo)).total_seconds())
    return Watch(min(ends, default=None), stopped)


async def _stop(house: House, uow: Uow, stopped: Stopped) -> None:
    now = uow.clock.now()
    rest = [looked_at(row) for row in await canary_rows.stop(uow.connection, stopped.plan_id)]
    why = [f"{sign.sign} of contract {sign.contract_id}" for sign in stopped.signs]
    subject = f"review:{stopped.plan_id}"
    await uow.audit("review.stopped", subject, {"cuts": len(rest), "signs": why})
    if not rest:
        return
    plan_id = await keep(
        uow,
        rest,
        "refused",
        await with_counts(uow, await uow.sight(), rest),
        flaws=(Flaw.CANARY,),
        expires_at=now + timedelta(minutes=house.settings.release_minutes),
        stopped=stopped,
    )
    named = {"cuts": len(rest), "rest_of": stopped.plan_id, "flaws": [Flaw.CANARY.value]}
    await uow.audit("review.refused", f"review:{plan_id}", named)
    await put_off(uow, plan_id, (Flaw.CANARY,))
    log.error(
        "plan %d is stopped after its first cuts (%s); the rest is plan %d of %d cuts, refused",
        stopped.plan_id,
        ", ".join(why),
        plan_id,
        len(rest),
    )
