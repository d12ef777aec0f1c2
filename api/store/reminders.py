"""Rows of reminders and receipts: who may be due, what was made, what is told no longer."""

from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.billing_tables import contract_billing
from api.store.customer_tables import contracts
from api.store.message_tables import payment_receipts, reminders
from api.store.money_tables import allocations, invoices, payments
from billing.reminders import Reminder

# Payers with an open invoice of one of these due dates that was not reminded of by its offset.
_CANDIDATES = text("""
select distinct c.subscriber_id
  from unnest(cast(:dues as date[]), cast(:offsets as smallint[])) as asked(due_on, day_offset)
  join invoices i on i.due_on = asked.due_on and i.state = 'open'
  join contracts c on c.id = i.contract_id and c.ended_on is null
  left join contract_billing b on b.contract_id = c.id
 where c.policy = :policy and c.subscriber_id > :after and b.automatic_payment is not true
   and not exists (select from reminders r where r.invoice_id = i.id and r.due_on = i.due_on
                   and r.day_offset = asked.day_offset)
 order by c.subscriber_id limit :limit
""")
# Reminders `r` of invoices that were paid, changed or promised meanwhile.
_OVER = """
select r.message_id from reminders r join invoices i on i.id = r.invoice_id
 where r.message_id is not null
   and (i.state <> 'open' or i.due_on <> r.due_on
        or i.amount_cents - i.paid_cents - i.discount_cents <= 0
        or exists (select from payments p join allocations a on a.payment_id = p.id
                    where a.invoice_id = i.id and p.cleared_at > r.made_at)
        or exists (select from promises p where p.state = 'running'
                    and r.invoice_id = any(p.debt_invoice_ids))
        or exists (select from contract_billing b where b.contract_id = i.contract_id
                    and b.automatic_payment))
"""
_WITHDRAW = text(f"""
update messages m set state = 'failed', failed_at = :now, last_error = :reason
 where m.state = 'queued' and m.kind = 'reminder' and m.id in ({_OVER})
returning m.id
""")  # noqa: S608 -- no text but our own constants
_IS_OVER = text(f"select exists ({_OVER} and r.message_id = :message_id)")


async def candidates(
    connection: AsyncConnection,
    policy: str,
    asked: Collection[tuple[date, int]],
    after: int,
    limit: int,
) -> list[int]:
    """Payers under a policy who may be reminded, by id: due dates with their day offsets."""
    if not asked:
        return []
    dues, offsets = zip(*asked, strict=True)
    found = await connection.scalars(
        _CANDIDATES,
        {
            "policy": policy,
            "dues": list(dues),
            "offsets": list(offsets),
            "after": after,
            "limit": limit,
        },
    )
    return list(found)


async def open_dues(connection: AsyncConnection, first: date, last: date) -> list[date]:
    """The due dates from `first` to `last` at which something is open, in order."""
    query = (
        select(invoices.c.due_on)
        .distinct()
        .where(invoices.c.state == "open", invoices.c.due_on.between(first, last))
        .order_by(invoices.c.due_on)
    )
    return list(await connection.scalars(query))


async def automatic_of(connection: AsyncConnection, subscriber_id: int) -> frozenset[int]:
    """The payer's contracts that are paid automatically."""
    query = (
        select(contracts.c.id)
        .join(contract_billing, contract_billing.c.contract_id == contracts.c.id)
        .where(contracts.c.subscriber_id == subscriber_id, contract_billing.c.automatic_payment)
    )
    return frozenset(await connection.scalars(query))


async def made_of(
    connection: AsyncConnection, invoice_ids: Collection[int]
) -> frozenset[tuple[int, date, int]]:
    """What these invoices were reminded of: invoice, due date, day offset."""
    query = select(reminders.c.invoice_id, reminders.c.due_on, reminders.c.day_offset).where(
        reminders.c.invoice_id.in_(invoice_ids)
    )
    return frozenset((row[0], row[1], row[2]) for row in await connection.execute(query))


async def keep(
    connection: AsyncConnection,
    made: Iterable[Reminder],
    message_id: int | None,
    made_at: datetime,
) -> None:
    """That these were reminded of, by one message."""
    rows = [
        {
            "invoice_id": item.invoice_id,
            "due_on": item.due_on,
            "day_offset": item.day_offset,
            "due_cents": item.due_cents,
            "made_at": made_at,
            "message_id": message_id,
        }
        for item in made
    ]
    await connection.execute(insert(reminders), rows)


async def withdraw(connection: AsyncConnection, now: datetime, reason: str) -> list[int]:
    """Give up reminders that have not gone out and hold no longer; their messages' ids."""
    return list(await connection.scalars(_WITHDRAW, {"now": now, "reason": reason}))


async def is_over(connection: AsyncConnection, message_id: int) -> bool:
    """Whether a message reminds of something that is owed no more as it says."""
    return bool(await connection.scalar(_IS_OVER, {"message_id": message_id}))


class DueReceipt(NamedTuple):
    """A payment whose receipt has not been written."""

    payment_id: int
    subscriber_id: int
    amount_cents: int
    paid_at: datetime
    method: str
    credit_cents: int


async def take_receipts(connection: AsyncConnection, limit: int) -> list[DueReceipt]:
    """Payments that were not told of, under lock; those that somebody else has are passed over."""
    query = (
        select(
            payments.c.id,
            payments.c.subscriber_id,
            payments.c.amount_cents,
            payments.c.paid_at,
            payments.c.method,
            payments.c.credit_cents,
        )
        .join(payment_receipts, payment_receipts.c.payment_id == payments.c.id)
        .where(payment_receipts.c.told_at.is_(None), payments.c.subscriber_id.is_not(None))
        .order_by(payment_receipts.c.payment_id)
        .limit(limit)
        .with_for_update(of=payment_receipts, skip_locked=True)
    )
    return [DueReceipt(*row) for row in await connection.execute(query)]


async def told(connection: AsyncConnection, payment_ids: Collection[int], at: datetime) -> None:
    await connection.execute(
        update(payment_receipts)
        .where(payment_receipts.c.payment_id.in_(payment_ids))
        .values(told_at=at)
    )


async def paid_by(connection: AsyncConnection, payment_id: int) -> list[dict[str, Any]]:
    """What a payment paid when it was posted: by invoice, all of the money and its charges."""
    charges = allocations.c.interest_cents + allocations.c.fine_cents
    query = (
        select(
            allocations.c.invoice_id,
            invoices.c.due_on,
            func.sum(charges + allocations.c.principal_cents).label("cents"),
            func.sum(charges).label("charges_cents"),
        )
        .join(invoices, invoices.c.id == allocations.c.invoice_id)
        .where(
            allocations.c.payment_id == payment_id,
            allocations.c.reversal_id.is_(None),
            allocations.c.correction_id.is_(None),
        )
        .group_by(allocations.c.invoice_id, invoices.c.due_on)
        .order_by(invoices.c.due_on, allocations.c.invoice_id)
    )
    return [dict(row) for row in (await connection.execute(query)).mappings()]
