"""What the policy text says of a life: whether a cut was right, and what was to be billed."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from billing.invoice import InvoiceState, Line
from tests.support.accounts import CALENDAR, ZONE
from tests.support.money_oracle.cycles import cycles
from tests.support.money_oracle.life import DueDayChanged, Life
from tests.support.money_oracle.statement import cycle_cents
from tests.support.payer_books import Books

THURSDAY = 3
NOTICE_DAYS = 15


class Broken(AssertionError):
    """An invariant does not hold; the text names it, the day and the subscriber."""


def judge_cut(books: Books, now: datetime) -> None:
    """A2: debt, a notice proven fifteen days ago, and a day and hour on which one may cut.

    A notice says nothing of an invoice that was reopened after it.
    """
    day, off = now.date(), CALENDAR.holidays
    on_eve = day in off or day + timedelta(days=1) in off
    if day.weekday() > THURSDAY or on_eve or not 8 <= now.hour < 16:
        raise Broken(f"rule 6: a cut started when none may: {now}")
    unpaid = {
        item.id: item
        for item in books.open_invoices()
        if item.due_on < day and item.state is InvoiceState.OPEN
    }
    covered = any(
        notice.proven_at is not None
        and (day - notice.proven_at.astimezone(ZONE).date()).days >= NOTICE_DAYS
        and any(
            number in notice.amounts_cents
            and (item.reopened_at is None or item.reopened_at <= notice.drawn_at)
            for number, item in unpaid.items()
        )
        for notice in books.account.notices
    )
    if not covered:
        raise Broken(f"A2 cut without a proven notice fifteen days old: {now}")


def reckon(life: Life, lines: Sequence[Line], until: date) -> None:
    """No free month and none billed twice: every day until `until`, to the cent."""
    moves = [(e.on, e.due_day) for e in life.events if isinstance(e, DueDayChanged)]
    wanted: Counter[str] = Counter()
    for cycle in cycles(life.activated_on, life.due_day, moves, until):
        if cycle.start < until:
            for line in cycle_cents(life, cycle):
                wanted[line.text] += line.cents
    found: Counter[str] = Counter()
    for item in lines:
        if not item.conditional:
            found["suspended" if _gives_back(item) else "service"] += item.amount_cents
    for kind in ("service", "suspended"):
        if found[kind] != wanted[kind]:
            raise Broken(f"M5 {kind}: {found[kind]} until {until}, not {wanted[kind]}; {life}")


def _gives_back(line: Line) -> bool:
    return line.amount_cents < 0 and line.description.startswith("Crédito por dias suspensos")
