"""Making planned cuts: one at a time, at a pace, each after a last look under its account's lock.

Rows of plans are the queue, so a run that is cut short goes on where it was. A payment that came
meanwhile wins, as do a promise, a hold, a kill switch and a guard that closed. A plan's first cuts
go alone (`api.canary`).
"""

import asyncio
import logging
from dataclasses import replace

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from api import canary
from api.guards import looked_at
from api.house import House
from api.looking import Looked, changes, judge
from api.store import plan_rows
from api.store.plan_rows import NextCut
from api.store.uow import DatabaseAway, Uow
from api.waiting import wait_for, wait_for_either
from billing.cuts import Outcome, last_look
from billing.guard import bars, blindness, knows_the_day

LOOK_EVERY_S = 5.0

log = logging.getLogger(__name__)


async def run(house: House, stop: asyncio.Event) -> None:
    """Make the cuts of all plans as their turn comes, until told to stop."""
    woken = asyncio.Event()
    listener = asyncio.create_task(_listen(house, woken))
    try:
        while not stop.is_set():
            woken.clear()
            try:
                pause_s = await _turn(house, None, [])
            except (DatabaseAway, SQLAlchemyError) as error:
                log.warning("cuts wait for the database: %s", error)
                pause_s = 1.0
            if pause_s is None:
                await wait_for_either(woken, stop, LOOK_EVERY_S)
            else:
                await wait_for(stop, pause_s)
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


async def make(
    house: House, plan_id: int | None, patience_s: float | None = None
) -> tuple[list[Looked], int]:
    """Make the cuts of one plan, or of all; those that were made here, and how many still wait.

    Args:
        house: where.
        plan_id: of the plan; None: all plans.
        patience_s: how long to stay at it; None: until nothing waits.
    """
    loop = asyncio.get_running_loop()
    deadline = None if patience_s is None else loop.time() + patience_s
    made: list[Looked] = []
    while (pause_s := await _turn(house, plan_id, made)) is not None:
        if deadline is not None and loop.time() + pause_s > deadline:
            break
        if pause_s:
            await asyncio.sleep(pause_s)
    async with house.store.reading() as connection:
        waiting = await plan_rows.waiting_cuts(connection, plan_id)
    return made, waiting


async def _turn(house: House, plan_id: int | None, made: list[Looked]) -> float | None:
    """Make the next cut if its time has come; seconds until another's, None: nothing waits."""
    gap_s = 0.0 if house.clock.manual else 60.0 / house.settings.cuts_per_minute
    cut: NextCut | None = None
    try:
        async with house.uow("drip", "drip") as uow:
            await plan_rows.lock_plans(uow.connection, plan_rows.CUTS_LOCK)
            watch_s, stopped = await canary.look(house, uow)
            if stopped:
                return 0.0  # told as ours, before the next cut is made as its author's
            if gap_s:
                since_s = await plan_rows.since_last_cut_s(uow.connection)
                if since_s is not None and since_s < gap_s:
                    return gap_s - since_s
            cut = await plan_rows.next_cut(uow.connection, plan_id)
            if cut is None:
                for ended in await plan_rows.end_plans(uow.connection):
                    await uow.audit("review.done", f"review:{ended}", {})
                # In rehearsal a watch ends by a move of the clock, not by waiting for it.
                return None if watch_s is None or gap_s == 0.0 else min(watch_s, LOOK_EVERY_S)
            uow.actor, uow.correlation_id = cut.actor, cut.correlation_id
            done = await _cut(house, uow, cut)
    except (IntegrityError, DataError, LookupError, ValueError) as error:
        if cut is None:
            raise
        log.exception("contract %d was not cut", cut.contract_id)
        async with house.uow(cut.actor, cut.correlation_id) as uow:
            await plan_rows.mark_row(uow.connection, cut, "left", f"failed: {error}"[:500])
        return 0.0
    if done is None:
        return 0.0
    made.append(done)
    return gap_s


async def _cut(house: House, uow: Uow, cut: NextCut) -> Looked | None:
    """Look once more, under the account's lock; the cut if it was made."""
    before = await uow.account(cut.subscriber_id)
    sight = await uow.sight()
    desk = await uow.desk_with(bars(sight, uow.limits, released=cut.released))
    known = knows_the_day(blindness(sight, uow.limits))
    after, facts = await judge(uow, before, desk, knows_the_day=known)
    planned = looked_at(await plan_rows.read_row(uow.connection, cut.plan_id, cut.contract_id))
    last = last_look(before, after, facts, planned.cut, released=cut.released)
    await uow.record(before, last.facts)
    made = last.outcome is Outcome.MADE
    await plan_rows.mark_row(uow.connection, cut, "cut" if made else "left", last.reason)
    if last.outcome is Outcome.CHANGED:
        # Something else was planned: the next sweep plans it anew.
        await plan_rows.look_now(uow.connection, cut.contract_id, uow.clock.now())
    if not made:
        return None
    (now_cut,) = (
        item for item in changes(before, last.facts) if item.contract_id == cut.contract_id
    )
    await canary.begin(house, uow, cut.plan_id)
    return replace(now_cut, subscriber=planned.subscriber, nas=planned.nas, region=planned.region)


async def _listen(house: House, woken: asyncio.Event) -> None:
    async for _channel, _payload in house.store.listen(["religa_cuts"]):
        woken.set()
