"""Reminders go out: who is due is looked up, what pays it is made, what it says is enqueued once.

A payer is judged twice: first to know which charges to make, without holding a lock while the
provider is asked; then under lock, in the transaction that enqueues. So nothing that is paid
meanwhile is reminded of; what waits in the outbox is withdrawn as soon as it holds no longer.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from api.cashier import NoProvider, NothingDue, charge, charge_bill
from api.house import House
from api.store import notices, outbox, reminders, templates
from api.store.policies import policies_on
from api.store.uow import Uow
from api.wording.letters import Reminded, ReminderLetter, reminder_values
from api.wording.template import Kind, fill
from billing.calendar import ONE_DAY, day_start, local_instant
from billing.payer import Desk
from billing.payments.provider import ProviderAway
from billing.reminders import (
    LATE_DAYS_MAX,
    Reminder,
    day_of,
    offset_for,
    reminders_due,
)

BATCH = 500
# One payer waits for the provider while the database does another.
AT_ONCE = 4
# Local time from which reminders go out: early enough to pay on the day, late enough to be welcome.
FROM: Final = time(9)
# From the due date to the bank day from which days after it count, at most.
_CLOSED_DAYS_MAX = 7
_WITHDRAWN = "it was paid, promised or changed before it went out"

log = logging.getLogger(__name__)


async def run(house: House, correlation_id: str, actor: str) -> int:
    """Remind whoever is due now; how many messages were enqueued. Before 09:00 local it does none.

    A payer whose account cannot be read or reminded is left to the next run; the others go on.
    """
    await withdraw(house, correlation_id, actor)
    async with house.uow(actor, correlation_id) as uow:
        desk = await uow.desk()
        asked = await _asked(uow.connection, desk)
    if desk.now.time() < FROM:
        return 0
    sent = 0
    for policy, dues in asked.items():
        after = 0
        while True:
            async with house.uow(actor, correlation_id) as uow:
                payers = await reminders.candidates(uow.connection, policy, dues, after, BATCH)
            for first in range(0, len(payers), AT_ONCE):
                some = payers[first : first + AT_ONCE]
                sent += sum(
                    await asyncio.gather(
                        *(_tried(house, payer, correlation_id, actor) for payer in some)
                    )
                )
            if len(payers) < BATCH:
                break
            after = payers[-1]
    return sent


async def withdraw(house: House, correlation_id: str, actor: str) -> int:
    """Give up reminders that wait in the outbox and hold no longer; how many."""
    async with house.uow(actor, correlation_id) as uow:
        gone = await reminders.withdraw(uow.connection, uow.clock.now(), _WITHDRAWN)
    return len(gone)


async def next_at(house: House, connection: AsyncConnection) -> datetime | None:
    """The next instant at which a reminder may be due; None: none is in sight."""
    now = house.clock.now()
    today = now.date()
    policies = await policies_on(connection, today)
    offsets = [policy.reminders for policy in policies.values()]
    reach = max((abs(item) for days in offsets for item in days), default=0)
    dues = await reminders.open_dues(
        connection,
        today - timedelta(days=reach + _CLOSED_DAYS_MAX),
        today + timedelta(days=reach + 400),
    )
    instants = (
        local_instant(day_of(due_on, item, house.calendar), FROM, house.settings.zone)
        for due_on in dues
        for days in set(offsets)
        for item in days
    )
    return min((instant for instant in instants if instant > now), default=None)


async def _asked(
    connection: AsyncConnection, desk: Desk
) -> Mapping[str, Sequence[tuple[date, int]]]:
    """By policy, the due dates that ask for a reminder today, each with its day offset."""
    today = desk.now.date()
    found: dict[str, list[tuple[date, int]]] = {}
    for name, policy in desk.policies.items():
        days = policy.reminders
        if not days:
            continue
        first = today - timedelta(days=max(*days, 0) + LATE_DAYS_MAX + _CLOSED_DAYS_MAX)
        last = today - timedelta(days=min(*days, 0))
        found[name] = [
            (due_on, offset)
            for due_on in await reminders.open_dues(connection, first, last)
            if (offset := offset_for(due_on, today, policy, desk.calendar)) is not None
        ]
    return found


async def _tried(house: House, subscriber_id: int, correlation_id: str, actor: str) -> int:
    try:
        return await _remind(house, subscriber_id, correlation_id, actor)
    except (IntegrityError, DataError, LookupError, ValueError):
        log.exception("subscriber %s was not reminded", subscriber_id)
        return 0


async def _remind(house: House, subscriber_id: int, correlation_id: str, actor: str) -> int:
    async with house.uow(actor, correlation_id) as uow:
        wanted = await _due(uow, subscriber_id)
    pix = {}
    for key, items in _groups(wanted).items():
        try:
            pix[key] = await _charges(house, items, correlation_id, actor)
        except ProviderAway as error:
            if not _is_last_chance(house, items):
                log.warning("subscriber %s is reminded later: %s", subscriber_id, error)
                return 0
            pix[key] = ()
    sent = 0
    async with house.uow(actor, correlation_id) as uow:
        for key, items in _groups(await _due(uow, subscriber_id)).items():
            # What became due in between has no charge yet; the next run takes it.
            if key in pix:
                sent += await _enqueue(house, uow, subscriber_id, key, items, pix[key])
    return sent


async def _due(uow: Uow, subscriber_id: int) -> tuple[Reminder, ...]:
    account = await uow.account(subscriber_id)
    automatic = await reminders.automatic_of(uow.connection, subscriber_id)
    made = await reminders.made_of(uow.connection, [item.id for item in account.invoices])
    return reminders_due(account, automatic, made, await uow.desk())


def _groups(due: Sequence[Reminder]) -> dict[str, list[Reminder]]:
    """One message for what is billed together; by what the message is about."""
    groups: dict[str, list[Reminder]] = defaultdict(list)
    for item in due:
        subject = (
            f"bill:{item.bill_id}" if item.bill_id is not None else f"invoice:{item.invoice_id}"
        )
        groups[f"{subject}:{item.due_on}:{item.day_offset}"].append(item)
    return groups


async def _charges(
    house: House, items: Sequence[Reminder], correlation_id: str, actor: str
) -> tuple[str, ...]:
    """The Pix of what is reminded of: of the bill if all of it is, else of each invoice."""
    async with house.uow(actor, correlation_id) as uow:
        try:
            bill_id = items[0].bill_id
            if bill_id is not None and len(items) > 1:
                whole = await charge_bill(house, uow, bill_id)
                if whole.amount_cents == sum(item.due_cents for item in items):
                    return (whole.copy_and_paste,)
            made = [await charge(house, uow, item.invoice_id) for item in items]
        except (NoProvider, NothingDue):
            return ()
    return tuple(item.copy_and_paste for item in made)


def _is_last_chance(house: House, items: Sequence[Reminder]) -> bool:
    """Whether it is the last day on which this reminder goes out, without a code if need be."""
    today = house.clock.now().date()
    return any(
        today
        >= day_of(item.due_on, item.day_offset, house.calendar) + timedelta(days=LATE_DAYS_MAX)
        or (item.day_offset <= 0 and today >= item.due_on)
        for item in items
    )


async def _enqueue(
    house: House,
    uow: Uow,
    subscriber_id: int,
    reference: str,
    items: Sequence[Reminder],
    pix: tuple[str, ...],
) -> int:
    now = uow.clock.now()
    to = await notices.addressee(uow.connection, subscriber_id)
    language = await templates.language_of(uow.connection, subscriber_id)
    template = await templates.template_of(uow.connection, Kind.REMINDER, language)
    letter = ReminderLetter(
        provider=house.settings.provider_name,
        name=to.name,
        written_on=now.date(),
        due_on=items[0].due_on,
        invoices=tuple(
            Reminded(item.invoice_id, item.contract_id, item.due_on, item.due_cents)
            for item in items
        ),
        pix=pix,
        contact=house.settings.contact,
    )
    message_id = await outbox.enqueue(
        uow.connection,
        subscriber_id=subscriber_id,
        kind=Kind.REMINDER.value,
        reference=reference,
        language=language.replace("_", "-"),
        wording=fill(template, reminder_values(letter, language)),
        wanted_at=now,
        contract_id=items[0].contract_id if len(items) == 1 else None,
        # Amount and words are of today.
        useful_until=day_start(now.date() + ONE_DAY, house.settings.zone),
    )
    await reminders.keep(uow.connection, items, message_id, now)
    return int(message_id is not None)
