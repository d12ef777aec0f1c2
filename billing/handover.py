"""A contract's debt at a collection agency: when it goes there, and when it comes back.

It comes back as soon as nothing of it may be collected: paid, agreed on, in dispute, prescribed.
"""

from dataclasses import dataclass
from datetime import date

from billing.bureau import Removal
from billing.calendar import Calendar
from billing.invoice import InvoiceState
from billing.listing import Debt, ListingRules, Situation, collectable
from billing.record_days import prescribed_on, withdraw_by
from billing.stage import Stage


@dataclass(frozen=True, slots=True)
class Release:
    """An account goes back from its agency, which knows of it by the end of a day."""

    why: Removal
    by: date


def owed_cents(situation: Situation, calendar: Calendar, today: date) -> int:
    """What an agency may collect of a contract today: principal."""
    debts = collectable(situation, 1, calendar, today)
    return sum(debt.unpaid_cents for debt in debts)


def goes_to_agency(
    situation: Situation, rules: ListingRules, calendar: Calendar, today: date
) -> bool:
    """Whether it is old and large enough to be handed over."""
    if situation.held(today):
        return False
    if not situation.reached(Stage.AGENCY, rules.agency_after_days, today):
        return False
    return bool(collectable(situation, rules.agency_min_cents, calendar, today))


def release(situation: Situation, calendar: Calendar, today: date) -> Release | None:
    """Why, and by when, an account that was handed over comes back; None: it does not."""
    if owed_cents(situation, calendar, today):
        return None
    changed = [debt.changed_on for debt in situation.debts if debt.changed_on is not None]
    by = withdraw_by(max(changed, default=today), calendar)
    states = {debt.state for debt in situation.debts}
    if InvoiceState.DISPUTED in states:
        return Release(Removal.DISPUTED, by)
    if InvoiceState.RENEGOTIATED in states:
        return Release(Removal.RENEGOTIATED, by)
    old = [debt for debt in situation.debts if debt.unpaid_cents and _is_old(debt, today)]
    if old:
        return Release(Removal.PRESCRIBED, today)
    paid = InvoiceState.PAID in states
    return Release(Removal.PAID if paid else Removal.CANCELLED, by)


def _is_old(debt: Debt, today: date) -> bool:
    return today >= prescribed_on(debt.due_on)
