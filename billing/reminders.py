"""Which open invoices are reminded of on a local day: before the due date, and right after it.

A reminder is no notice: nothing is counted from it. Choices that the text leaves open are in
ADR 0031.

Source: ladder rules 10 (an exemption: no reminders) and 13 (none for the customer's own
suspension).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Final

from billing.calendar import ONE_DAY, Calendar, next_bank_day, zone_of
from billing.dispute import DisputeState
from billing.exemption import exempt
from billing.invoice import Invoice, amount_due
from billing.ladder import Bar
from billing.payer import Account, Contract, Desk, PromiseState
from billing.policy import Policy
from billing.standing import coming_pause, policy_of, running

# A day that no run looked at is made good for so long; then its reminder is left out.
LATE_DAYS_MAX: Final = 2
_SUNDAY: Final = 6
# After the due date nobody is reminded while we do not know who has paid.
_SILENCES_AFTER_DUE: Final = frozenset({Bar.STALE_FEED})


@dataclass(frozen=True, slots=True)
class Reminder:
    """One reminder of one invoice. `day_offset` is relative to the due date, negative before it.

    `due_cents` is what settles the invoice today.
    """

    invoice_id: int
    contract_id: int
    bill_id: int | None
    due_on: date
    day_offset: int
    due_cents: int


def day_of(due_on: date, day_offset: int, calendar: Calendar) -> date:
    """The local day of a reminder.

    After the due date it counts from the last day on which payment is in time, so that nobody is
    told to be late on the Sunday after a Saturday. What falls on a Sunday, when nobody is called
    on, comes on the Saturday before it; after the due date on the Monday.
    """
    late = day_offset > 0
    day = (next_bank_day(calendar, due_on) if late else due_on) + timedelta(days=day_offset)
    if day.weekday() == _SUNDAY:
        day += ONE_DAY if late else -ONE_DAY
    return day


def offset_for(due_on: date, today: date, policy: Policy, calendar: Calendar) -> int | None:
    """The reminder that `today` asks for: the last one whose day has come; None: none.

    One whose day was missed comes late, but one from before the due date not after it, and none
    later than `LATE_DAYS_MAX`.
    """
    come = [item for item in policy.reminders if day_of(due_on, item, calendar) <= today]
    if not come:
        return None
    offset = max(come)
    late = today > day_of(due_on, offset, calendar) + timedelta(days=LATE_DAYS_MAX)
    return None if late or (offset <= 0 and today > due_on) else offset


def reminders_due(
    account: Account,
    automatic: Collection[int],
    made: Collection[tuple[int, date, int]],
    desk: Desk,
) -> tuple[Reminder, ...]:
    """The reminders that an account asks for now, by due date.

    Args:
        account: the payer's, as it is.
        automatic: contracts that are paid automatically; nobody is reminded of those.
        made: what was reminded of already: invoice, due date, day offset.
        desk: what is decided by.
    """
    found = [
        reminder
        for contract in running(account)
        if contract.id not in automatic and not _is_left_alone(account, contract, desk)
        for invoice in account.invoices
        if invoice.contract_id == contract.id
        and (reminder := _reminder(account, contract, invoice, desk)) is not None
        and (invoice.id, invoice.due_on, reminder.day_offset) not in made
    ]
    return tuple(sorted(found, key=lambda item: (item.due_on, item.invoice_id)))


def _reminder(
    account: Account, contract: Contract, invoice: Invoice, desk: Desk
) -> Reminder | None:
    policy, today = policy_of(contract, desk), desk.now.date()
    offset = offset_for(invoice.due_on, today, policy, desk.calendar)
    if offset is None or _is_argued(account, invoice):
        return None
    if offset > 0 and _SILENCES_AFTER_DUE.intersection((*desk.bars, *contract.bars)):
        return None
    due_cents = amount_due(invoice, policy, desk.calendar, today)
    if due_cents <= 0:
        return None
    return Reminder(invoice.id, contract.id, invoice.bill_id, invoice.due_on, offset, due_cents)


def _is_left_alone(account: Account, contract: Contract, desk: Desk) -> bool:
    """Exempt, or suspended as the customer asked."""
    zone, now = zone_of(desk.now), desk.now.astimezone(UTC)
    pause = coming_pause(account, contract, desk)
    paused = pause is not None and pause.starts_at(zone).astimezone(UTC) <= now
    return paused or exempt(account, contract, desk.now)


def _is_argued(account: Account, invoice: Invoice) -> bool:
    """In dispute, or promised until a day that has not passed."""
    disputed = any(
        item.state is DisputeState.OPEN and invoice.id in (item.invoice_id, item.frozen_id)
        for item in account.disputes
    )
    promised = any(
        item.state is PromiseState.RUNNING and invoice.id in item.debt_invoice_ids
        for item in account.promises
    )
    return disputed or promised
