"""What must be at the bureaus is looked at, and written down as rows that the clerk carries out.

The look is level-triggered: it compares what is owed with what is listed, whatever told of it. So a
payment, an agreement, a dispute or a lost event all end in the same removal. An agency's accounts
come back by the same look.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from uuid import uuid4

from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from api import handing_over
from api.clock import day_start
from api.house import House
from api.store import listings as rows
from api.store import places
from api.store.listings import Case
from api.store.policies import policies_on
from api.store.queues import LETTERS
from api.store.uow import Uow
from billing.bureau import ListingState, Removal, begin_removal
from billing.calendar import Calendar
from billing.listing import Debt, Include, ListingRules, Withdraw, due_listings, next_look
from billing.payer import Desk
from billing.record_days import alarms_from, withdraw_by
from billing.refusal import Refused

AT_ONCE = 1000
# Judged in one transaction, for which a payment of one of them waits.
TOGETHER = 100
CHANNEL = "religa_listings"

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Looked:
    """What a look did. `failed` are contracts that could not be judged or saved; others go on."""

    letters: int = 0
    inclusions: int = 0
    withdrawals: int = 0
    alarms: int = 0
    taken_back: int = 0
    failed: int = 0

    def add(self, other: "Looked") -> None:
        """Count what was done for another contract."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


class UnknownListing(LookupError):
    """No record has this number."""


async def look(
    house: House,
    correlation_id: str,
    actor: str,
    contract_ids: Sequence[int] | None = None,
) -> Looked:
    """Do what is due of the records of ended contracts; all, or these. The wiring of a stage."""
    looked = Looked()
    after = 0
    while True:
        async with house.uow(actor, correlation_id) as uow:
            rules = await rows.read_rules(uow.connection)
            if not await rows.anything(uow.connection, rules):
                return looked
            desk = await uow.desk()
            today = desk.now.date()
            found = await rows.cases(
                uow.connection,
                desk,
                house.settings.timezone,
                after=after,
                limit=AT_ONCE,
                contract_ids=contract_ids,
            )
            out = await handing_over.released(uow.connection, found, house.calendar, today)
        due = [
            case.situation.contract_id
            for case in found
            if _is_due(case, rules, house.calendar, today) or case.situation.contract_id in out
        ]
        for start in range(0, len(due), TOGETHER):
            await _together(
                house, correlation_id, actor, rules, due[start : start + TOGETHER], looked
            )
        if len(found) < AT_ONCE:
            return looked
        after = found[-1].situation.contract_id


async def _together(
    house: House,
    correlation_id: str,
    actor: str,
    rules: ListingRules,
    contract_ids: Sequence[int],
    looked: Looked,
) -> None:
    """Judge these in one transaction; one by one, if one of them cannot be judged or saved."""
    try:
        async with house.uow(actor, correlation_id) as uow:
            done = await _apply(house, uow, contract_ids, rules)
    except (IntegrityError, DataError, LookupError, ValueError):
        if len(contract_ids) > 1:
            for contract_id in contract_ids:
                await _together(house, correlation_id, actor, rules, [contract_id], looked)
            return
        log.exception("contract %s was not looked at", contract_ids[0])
        looked.failed += 1
        return
    looked.add(done)


async def next_at(house: House, connection: AsyncConnection) -> datetime | None:
    """The next instant at which something is due with no new fact; None: never."""
    now = house.clock.now()
    today = now.date()
    rules = await rows.read_rules(connection)
    if not await rows.anything(connection, rules):
        return None
    # Of what stands against it now: whoever lifts it has the records looked at.
    desk = Desk(await policies_on(connection, today), house.calendar, now)
    days: list[date] = []
    after = 0
    while True:
        found = await rows.cases(
            connection, desk, house.settings.timezone, after=after, limit=AT_ONCE
        )
        for case in found:
            day = next_look(case.situation, rules, house.calendar, today)
            days += [day] if day is not None else []
            for _, by, told in case.undone:
                alarm = alarms_from(by, rules.alarm_bank_days, house.calendar)
                days += [alarm] if alarm > today and not told else []
        if len(found) < AT_ONCE:
            break
        after = found[-1].situation.contract_id
    return day_start(min(days), house.settings.zone) if days else None


async def withdraw_by_hand(house: House, uow: Uow, listing_id: int, reason: str) -> None:
    """A person takes a record out, whatever is owed, for good; what was refused may come again.

    Raises:
        UnknownListing: there is none.
        Refused: it is out, or on its way out.
    """
    row = await rows.locked(uow.connection, listing_id)
    if row is None:
        raise UnknownListing(f"there is no listing {listing_id}")
    if row.removal is not None or ListingState(row.state).over:
        raise Refused(f"listing {listing_id} is {row.state} and goes out already")
    today = uow.clock.now().date()
    by = withdraw_by(today, house.calendar)
    refused = ListingState(row.state) is ListingState.REFUSED
    why = Removal.CANCELLED if refused else Removal.BY_HAND
    await _remove(uow, row.id, row.contract_id, why, by, {"reason": reason})


async def _apply(
    house: House, uow: Uow, contract_ids: Sequence[int], rules: ListingRules
) -> Looked:
    """Judge contracts again under their payers' locks, and write down what is due."""
    await places.lock_payers(uow.connection, contract_ids)
    looked = Looked()
    desk = await uow.desk()
    today = desk.now.date()
    found = await rows.cases(
        uow.connection,
        desk,
        house.settings.timezone,
        limit=len(contract_ids),
        contract_ids=contract_ids,
    )
    told: list[tuple[Case, Sequence[Debt]]] = []
    for case in found:
        contract_id = case.situation.contract_id
        work = due_listings(case.situation, rules, house.calendar, today)
        if work.tell:
            told.append((case, work.tell))
        for item in work.include:
            looked.inclusions += await _include(uow, contract_id, item)
        for gone in work.withdraw:
            await _withdraw(uow, contract_id, gone)
            looked.withdrawals += 1
        for listing_id, by, alarmed in case.undone:
            if not alarmed and today >= alarms_from(by, rules.alarm_bank_days, house.calendar):
                await _alarm(uow, contract_id, listing_id, by)
                looked.alarms += 1
        looked.taken_back += await handing_over.take_back(
            uow, case.situation, house.calendar, today
        )
    await _draw(uow, told, rules)
    looked.letters = len(told)
    return looked


async def _draw(uow: Uow, told: Sequence[tuple[Case, Sequence[Debt]]], rules: ListingRules) -> None:
    """Letters to be written, each of one contract's debts."""
    letter_ids = await rows.draw_letters(
        uow.connection,
        [(case, {debt.invoice_id: debt.unpaid_cents for debt in debts}) for case, debts in told],
        rules.bureaus,
        uow.clock.now(),
    )
    for letter_id, (case, _) in zip(letter_ids, told, strict=True):
        said = {"letter_id": letter_id, "bureaus": list(rules.bureaus)}
        await uow.audit("listing.letter_drawn", f"contract:{case.situation.contract_id}", said)
    if letter_ids:
        uow.notify(LETTERS.woken_on, str(letter_ids[0]))


def _is_due(case: Case, rules: ListingRules, calendar: Calendar, today: date) -> bool:
    if due_listings(case.situation, rules, calendar, today):
        return True
    return any(
        not told and today >= alarms_from(by, rules.alarm_bank_days, calendar)
        for _, by, told in case.undone
    )


async def _include(uow: Uow, contract_id: int, item: Include) -> bool:
    listing_id = await rows.add(
        uow.connection,
        {
            "bureau": item.bureau,
            "contract_id": contract_id,
            "invoice_id": item.debt.invoice_id,
            "due_on": item.debt.due_on,
            "cents": item.debt.unpaid_cents,
            "letter_id": item.letter_id,
            "made_at": uow.clock.now(),
            "include_reference": f"include-{uuid4().hex}",
            "exclude_reference": f"exclude-{uuid4().hex}",
        },
    )
    if listing_id is None:
        return False
    told = {
        "listing_id": listing_id,
        "bureau": item.bureau,
        "invoice_id": item.debt.invoice_id,
        "amount_cents": item.debt.unpaid_cents,
    }
    await uow.audit("listing.decided", f"contract:{contract_id}", told)
    uow.notify(CHANNEL, str(listing_id))
    return True


async def _withdraw(uow: Uow, contract_id: int, gone: Withdraw) -> None:
    # The row's lock: a call may be under way, whose answer must find the removal.
    if await rows.locked(uow.connection, gone.listing.id) is not None:
        await _remove(uow, gone.listing.id, contract_id, gone.removal, gone.by, {})


async def _remove(
    uow: Uow, listing_id: int, contract_id: int, why: Removal, by: date, more: dict[str, str]
) -> None:
    row = await rows.locked(uow.connection, listing_id)
    state = ListingState(row.state)
    after = begin_removal(state)
    now = uow.clock.now()
    values: dict[str, object] = {"removal": why.value, "removal_at": now, "remove_by": by}
    if after is state:  # a call is under way: its lease stays
        values["next_attempt_wall"] = row.next_attempt_wall
    else:
        values |= {"attempts": 0, "sent_wall": None, "last_error": None}
    if after.over:
        values["removed_at"] = now
    await rows.move(uow.connection, listing_id, after, **values)
    told = {
        "listing_id": listing_id,
        "bureau": row.bureau,
        "invoice_id": row.invoice_id,
        "removal": why.value,
        "last_on": by.isoformat(),
        **more,
    }
    await uow.audit("listing.withdrawal_decided", f"contract:{contract_id}", told)
    uow.notify(CHANNEL, str(listing_id))


async def _alarm(uow: Uow, contract_id: int, listing_id: int, by: date) -> None:
    await rows.alarmed(uow.connection, listing_id, uow.clock.now())
    told = {"listing_id": listing_id, "last_on": by.isoformat()}
    await uow.audit("listing.alarm", f"contract:{contract_id}", told)
    log.error("listing %s is still at its bureau; its last day is %s", listing_id, by)
