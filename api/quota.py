"""Traffic quotas looked at: who used theirs up, and whose cycle is over.

Only finds them. The decision is the ladder's own review of the account, under its lock: there is
one road. Level-triggered: what was not decided, for whatever reason, is found by the next look.
"""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from api import review
from api.house import House
from api.store import quotas
from billing.calendar import day_start, zone_of
from billing.quota import spent_until

PAGE = 10_000


async def look(house: House, correlation_id: str, actor: str) -> int:
    """Have every quota decided of which there is something new to say; answers how many were."""
    return await _renew(house, correlation_id, actor) + await _meter(house, correlation_id, actor)


async def next_due(connection: AsyncConnection, now: datetime) -> datetime | None:
    """The next instant at which a used up quota is whole again; `now` is in the business zone."""
    reset_on = await quotas.next_reset(connection, now.date())
    return None if reset_on is None else day_start(reset_on, zone_of(now))


async def _renew(house: House, correlation_id: str, actor: str) -> int:
    """Those whose cycle is over, whether or not they used anything since."""
    decided = after = 0
    while True:
        async with house.uow(actor, correlation_id) as uow:
            today = uow.clock.now().date()
            due = await quotas.cycle_over(uow.connection, today, after, review.BATCH)
        if not due:
            return decided
        ran = await review.run(house, due, correlation_id, actor, patience_s=0.0)
        decided += ran.accounts
        after = due[-1]


async def _meter(house: House, correlation_id: str, actor: str) -> int:
    """Those of whom usage, plan or reset day changed since the last look."""
    decided = after = 0
    while True:
        async with house.uow(actor, correlation_id) as uow:
            today = uow.clock.now().date()
            changes = await quotas.changed(uow.connection, after, PAGE)
            spent = await quotas.spent_standings(uow.connection, changes, today)
        if not changes:
            return decided
        due = [item.contract_id for item in spent if _is_news(item, today)]
        for start in range(0, len(due), review.BATCH):
            batch = due[start : start + review.BATCH]
            run = await review.run(house, batch, correlation_id, actor, patience_s=0.0)
            decided += run.accounts
        async with house.uow(actor, correlation_id) as uow:
            await quotas.seen(uow.connection, await _settled(uow.connection, changes, due, today))
        after = max(changes)


async def _settled(
    connection: AsyncConnection, changes: dict[int, int], due: Sequence[int], today: date
) -> dict[int, int]:
    """Without those that still are due, because their account could not be judged or saved."""
    left = await quotas.spent_standings(connection, due, today)
    still_due = {item.contract_id for item in left if _is_news(item, today)}
    return {id_: count for id_, count in changes.items() if id_ not in still_due}


def _is_news(standing: quotas.Standing, today: date) -> bool:
    return spent_until(standing.meter, today) != standing.spent_until
