"""What is promised, agreed and owed by date: what the outlook on cash is made of."""

from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, TableValuedAlias, case, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.access_tables import promises
from api.store.customer_tables import contracts, subscribers
from api.store.delinquency import OPEN, UNPAID_CENTS, Day, whole
from api.store.money_tables import invoices
from api.store.renegotiation import agreements


def promise_rows(day: Day, due: str | None) -> Select[Any]:
    """Promises whose debt is unpaid: `today`, later in the `week`, `later`, or `overdue`."""
    sunday = day.today.toordinal() + 6 - day.today.weekday()
    week_end = date.fromordinal(sunday)
    until = promises.c.until_on
    when = case(
        (until < day.today, "overdue"),
        (until == day.today, "today"),
        (until <= week_end, "week"),
        else_="later",
    )
    unpaid = (
        select(whole(func.sum(UNPAID_CENTS)))
        .where(invoices.c.id == func.any(promises.c.debt_invoice_ids), OPEN)
        .scalar_subquery()
    )
    asked = select(
        promises.c.id,
        promises.c.contract_id,
        subscribers.c.name,
        promises.c.until_on,
        promises.c.state,
        promises.c.author,
        when.label("due"),
        unpaid.label("unpaid_cents"),
    )
    found = (
        asked.join(contracts, contracts.c.id == promises.c.contract_id)
        .join(subscribers, subscribers.c.id == contracts.c.subscriber_id)
        .where(literal_column("promises.state in ('running', 'broken')"), unpaid > 0)
    )
    return found.where(when == due) if due is not None else found


def agreement_rows(due_until: date) -> Select[Any]:
    """Running agreements whose first unpaid part is due until `due_until`, or was."""
    part = _each(agreements.c.invoice_ids)
    first = (
        select(
            func.min(invoices.c.due_on).label("due_on"),
            whole(func.sum(UNPAID_CENTS).filter(invoices.c.due_on <= due_until)).label("cents"),
            whole(func.sum(UNPAID_CENTS)).label("left_cents"),
        )
        .select_from(part.join(invoices, invoices.c.id == part.c.id))
        .where(OPEN, UNPAID_CENTS > 0)
        .lateral("first")
    )
    return (
        select(
            agreements.c.id,
            agreements.c.contract_id,
            subscribers.c.name,
            first.c.due_on,
            first.c.cents.label("due_cents"),
            first.c.left_cents,
        )
        .select_from(agreements)
        .join(contracts, contracts.c.id == agreements.c.contract_id)
        .join(subscribers, subscribers.c.id == contracts.c.subscriber_id)
        .join(first, first.c.due_on <= due_until)
        .where(literal_column("agreements.state = 'running'"))
    )


async def owed_by_due_date(connection: AsyncConnection) -> dict[date, int]:
    """Unpaid principal of open invoices, by due date."""
    rows = await connection.execute(
        select(invoices.c.due_on, whole(func.sum(UNPAID_CENTS)))
        .where(OPEN)
        .group_by(invoices.c.due_on)
    )
    return {due_on: cents for due_on, cents in rows if cents}


async def instalments_by_due_date(connection: AsyncConnection) -> dict[date, int]:
    """What of it is owed under agreements that run, by due date."""
    part = _each(agreements.c.invoice_ids)
    rows = await connection.execute(
        select(invoices.c.due_on, whole(func.sum(UNPAID_CENTS)))
        .select_from(agreements)
        .join(part, literal_column("true"))
        .join(invoices, invoices.c.id == part.c.id)
        .where(literal_column("agreements.state = 'running'"), OPEN)
        .group_by(invoices.c.due_on)
    )
    return {due_on: cents for due_on, cents in rows if cents}


def _each(numbers: ColumnElement[Any]) -> TableValuedAlias:
    """A row for each number of an array; `id` is the number."""
    return func.unnest(numbers).table_valued("id").render_derived()
