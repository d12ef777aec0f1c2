"""Rescissions done: what the ladder says of a contract's end becomes that end.

Level-triggered: rows say what is still to be done, so a crash costs a look and nothing twice. The
day of the rescission is the last one with a login; the final invoice follows (ladder rule 14). A
debt paid on that day takes the end back; what stands against cuts then (kill switch, hold) stands
against the end too.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime

from sqlalchemy import TextClause, text
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from api import ending
from api.house import House
from api.store.uow import Uow
from billing.calendar import day_start
from billing.stage import Stage
from billing.standing import running_contract, verdict_of
from billing.term import Leaving

AUTHOR = "ladder"

log = logging.getLogger(__name__)

_SAID = """
select s.contract_id from contract_stages s join contracts c on c.id = s.contract_id
 where s.stage = 'rescind' and s.left_at is null and c.ended_on is null
"""
# An end that somebody told of already stays as it was told.
_TO_TELL = text(f"""
{_SAID} and not exists (select from contract_endings e where e.contract_id = c.id)
 order by s.contract_id
""")
_TO_WITHDRAW = text(f"""
select e.contract_id from contract_endings e join contracts c on c.id = e.contract_id
 where e.why = 'debt' and c.ended_on is null and e.contract_id not in ({_SAID})
 order by e.contract_id
""")  # noqa: S608 -- no text but our own constants
_TO_FINISH = text("""
select e.contract_id from contract_endings e join contracts c on c.id = e.contract_id
 where e.why = 'debt' and c.ended_on is null and e.ends_on <= :today order by e.contract_id
""")
# An end that waited is of the day on which it is done.
_LATE = text("""
update contract_endings set ends_on = :today
 where contract_id = :contract_id and ends_on < :today
""")
_SAID_ON = text("""
select entered_at from contract_stages
 where contract_id = :contract_id and stage = 'rescind' and left_at is null
""")
_NEXT = text("""
select min(e.ends_on) from contract_endings e join contracts c on c.id = e.contract_id
 where e.why = 'debt' and c.ended_on is null and e.ends_on > :today
""")


async def enact(house: House, correlation_id: str, actor: str) -> list[int]:
    """Tell, take back and finish ends for debt, each in a transaction; those that could not be."""
    failed: list[int] = []

    async def tell(uow: Uow, contract_id: int) -> None:
        said_at: datetime = (
            await uow.connection.execute(_SAID_ON, {"contract_id": contract_id})
        ).scalar_one()
        today = uow.clock.now().date()
        # Late, because nobody looked that day: then today is the first day without.
        last_day = today if said_at.astimezone(house.settings.zone).date() == today else None
        await ending.end(house, uow, contract_id, Leaving.DEBT, AUTHOR, last_day)

    async def withdraw(uow: Uow, contract_id: int) -> None:
        await ending.withdraw(house, uow, contract_id, AUTHOR)

    async def finish(uow: Uow, contract_id: int) -> None:
        account = await uow.account(await uow.payer_of_contract(contract_id))
        contract = running_contract(account, contract_id)
        verdict = verdict_of(account, contract, await uow.desk())
        if (verdict.step, verdict.reason) != (Stage.RESCIND, "step_reached"):
            return  # something stands against cuts meanwhile: the end waits with them
        today = {"contract_id": contract_id, "today": uow.clock.now().date()}
        await uow.connection.execute(_LATE, today)
        await ending.finish(house, uow, contract_id)

    works: Sequence[tuple[str, TextClause, Callable[[Uow, int], Awaitable[None]]]] = (
        ("withdrawn", _TO_WITHDRAW, withdraw),
        ("told", _TO_TELL, tell),
        ("done", _TO_FINISH, finish),
    )
    for done, query, work in works:
        for contract_id in await _found(house, query):
            try:
                async with house.uow(actor, correlation_id) as uow:
                    await work(uow, contract_id)
            except (IntegrityError, DataError, LookupError, ValueError):
                log.exception("the end of contract %s for debt was not %s", contract_id, done)
                failed.append(contract_id)
    return failed


async def next_at(house: House, connection: AsyncConnection) -> datetime | None:
    """The next instant at which a contract ends for debt."""
    today = house.clock.now().date()
    day: date | None = await connection.scalar(_NEXT, {"today": today})
    return day_start(day, house.settings.zone) if day is not None else None


async def _found(house: House, query: TextClause) -> Sequence[int]:
    async with house.store.reading() as connection:
        today = house.clock.now().date()
        return (await connection.scalars(query, {"today": today})).all()
