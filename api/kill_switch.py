"""Kill switches: cuts off at once, everywhere, on one NAS or of one contract. Restores go on.

Put, a switch is a bar on every account that is read from then on, the enforcer sends no cut under
it, and cuts that were decided and have reached no line are taken back, so that a redial does not
bring them either. Lifted, whoever it held is looked at again.

The switch of everything is a file too (`api.switch_file`), which needs no database. Where it stands
it is put in the database as well, so that other machines follow it.
"""

import asyncio
import logging
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy.exc import SQLAlchemyError

from api.house import House
from api.store import guard_rows, plan_rows
from api.store.guard_rows import Place, Unsent
from api.store.rungs import read_rungs
from api.store.uow import DatabaseAway, Uow
from api.waiting import wait_for
from billing.payer import Refused
from billing.taken_back import take_back

CHANNEL = "religa_switches"
EVERYTHING = Place("global")
FOLLOW_FILE_EVERY_S = 0.5
# Payers who are locked together.
AT_ONCE = 100

log = logging.getLogger(__name__)


class NotSwitched(LookupError):
    """No switch is on there."""


@dataclass(frozen=True, slots=True)
class Put:
    """The switch, and whether it was put by this call or stood already."""

    switch_id: int
    new: bool


async def put(uow: Uow, place: Place, reason: str) -> Put:
    """Switch cuts off there; one that is on already stays as it is."""
    made = await guard_rows.put(uow.connection, place, uow.actor, reason, uow.clock.now())
    if made is None:
        standing = await guard_rows.standing(uow.connection, place)
        if standing is None:
            raise NotSwitched("the switch was lifted this instant; put it again")
        return Put(standing, new=False)
    await uow.audit("kill_switch.put", f"kill_switch:{made}", {**place._asdict(), "reason": reason})
    uow.notify(CHANNEL, "on")
    return Put(made, new=True)


async def lift(uow: Uow, place: Place, reason: str) -> int:
    """Let cuts go on there; how many contracts are looked at again.

    Raises:
        NotSwitched: no switch is on there.
    """
    standing = await guard_rows.standing(uow.connection, place)
    if standing is None:
        raise NotSwitched("no kill switch is on there; GET /api/v1/kill-switches lists those")
    now = uow.clock.now()
    await guard_rows.lift(uow.connection, standing, uow.actor, reason, now)
    # Whom another switch still holds says so again.
    looked = await guard_rows.look_again(uow.connection, ("kill_switch",), now)
    told = {**place._asdict(), "reason": reason, "contracts_to_review": looked}
    await uow.audit("kill_switch.lifted", f"kill_switch:{standing}", told)
    uow.notify(CHANNEL, "off")
    return looked


async def follow(house: House, stop: asyncio.Event) -> None:
    """While this machine's file stands, see that the database says the same, until told to stop."""
    while not stop.is_set():
        try:
            await follow_file(house)
        except (DatabaseAway, SQLAlchemyError, NotSwitched) as error:
            log.warning("cuts are off by %s alone: %s", house.switch_file.path, error)
        await wait_for(stop, FOLLOW_FILE_EVERY_S)


async def follow_file(house: House) -> bool:
    """Put in the database what this machine's file says; whether that is new there."""
    note = house.switch_file.read()
    if note is None:
        return False
    correlation_id, actor = uuid4().hex, note.author or house.switch_file.path.name
    async with house.uow(actor, correlation_id) as uow:
        if await guard_rows.stands(uow.connection, EVERYTHING):
            return False
        made = await put(uow, EVERYTHING, note.reason or f"{house.switch_file.path.name}: arquivo")
    if made.new:
        log.warning("cuts are off: %s stands", house.switch_file.path)
        await take_back_unsent(house, EVERYTHING, correlation_id, actor)
    return made.new


async def take_back_left(house: House, correlation_id: str, actor: str) -> int:
    """Take back what is unsent under every switch that is on; how many.

    Whoever put a switch does so at once, and may have died before it was done.
    """
    async with house.store.reading() as connection:
        places = await guard_rows.all_standing(connection)
    return sum([await take_back_unsent(house, at, correlation_id, actor) for at in places])


async def take_back_unsent(house: House, place: Place, correlation_id: str, actor: str) -> int:
    """Take back the cuts under a switch that have reached no line; how many.

    After the switch is committed: no cut is decided any more, so that none is missed.
    """
    async with house.uow(actor, correlation_id) as uow:
        # A planned cut that was begun before the switch ends first, and is found.
        await plan_rows.lock_plans(uow.connection, plan_rows.CUTS_LOCK)
        unsent = await guard_rows.unsent(uow.connection, place, uow.clock.now())
    taken = 0
    for start in range(0, len(unsent), AT_ONCE):
        batch = unsent[start : start + AT_ONCE]
        async with house.uow(actor, correlation_id) as uow:
            accounts = await uow.free_accounts({item.subscriber_id for item in batch})
            for item in batch:
                if item.subscriber_id in accounts:
                    taken += await _take_back(uow, item)
        for item in batch:
            if item.subscriber_id not in accounts:
                async with house.uow(actor, correlation_id) as uow:
                    taken += await _take_back(uow, item)
    return taken


async def _take_back(uow: Uow, item: Unsent) -> bool:
    """Take one back, if it is still unsent; under the account's lock."""
    account = await uow.account(item.subscriber_id)
    if not await guard_rows.is_unsent(uow.connection, item.contract_id, uow.clock.now()):
        return False
    try:
        _, facts = take_back(
            account, item.contract_id, read_rungs(item.rungs_before), await uow.desk()
        )
    except Refused:
        return False  # it has ended meanwhile
    await uow.record(account, facts)
    await uow.audit("cut.taken_back", f"contract:{item.contract_id}", {})
    log.info("the cut of contract %d is taken back", item.contract_id)
    return True
