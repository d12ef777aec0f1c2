"""What fell due on each day and on which days it was paid: sums, kept as invoices are paid.

Triggers on invoices and allocations (`0016_recovery.py`) add what changed to `recovery_news`, where
nobody waits for anybody; `fold` moves it into the sums now and then. Readers add the two, so that
a sum is right whether it was folded or not. `differences` reckons all of it anew.
"""

from datetime import date, tzinfo

from sqlalchemy import BigInteger, Column, Date, DateTime, Identity, Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.columns import metadata
from billing.ageing import History

# Principal of invoices that are not void, less the discounts that were earned.
due_sums = Table(
    "due_sums",
    metadata,
    Column("due_on", Date, primary_key=True),
    Column("cents", BigInteger, nullable=False),
)

# Principal paid, by the invoice's due date and the local day of payment.
recovery_sums = Table(
    "recovery_sums",
    metadata,
    Column("due_on", Date, primary_key=True),
    Column("paid_on", Date, primary_key=True),
    Column("cents", BigInteger, nullable=False),
)

# What is in neither sum yet. `paid_at` null: it fell due; else it was paid then.
recovery_news = Table(
    "recovery_news",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("due_on", Date, nullable=False),
    Column("paid_at", DateTime(timezone=True)),
    Column("cents", BigInteger, nullable=False),
)

# Any fixed number: two that fold at once would wait for each other's rows in no order.
_LOCK = text("select pg_advisory_xact_lock(1380271942)")
_FOLD = text("""
with taken as (
    delete from recovery_news returning due_on, paid_at, cents
), fell_due as (
    insert into due_sums (due_on, cents)
    select due_on, sum(cents) from taken where paid_at is null group by due_on
    on conflict (due_on) do update set cents = due_sums.cents + excluded.cents
)
insert into recovery_sums (due_on, paid_on, cents)
select due_on, (paid_at at time zone :zone)::date, sum(cents)
from taken where paid_at is not null group by 1, 2
on conflict (due_on, paid_on) do update set cents = recovery_sums.cents + excluded.cents
""")
_DUE = """
select due_on, sum(cents)::bigint as cents from (
    select due_on, cents from due_sums
    union all select due_on, cents from recovery_news where paid_at is null
) as told group by due_on having sum(cents) <> 0
"""
_PAID = """
select due_on, paid_on, sum(cents)::bigint as cents from (
    select due_on, paid_on, cents from recovery_sums
    union all
    select due_on, (paid_at at time zone :zone)::date, cents
    from recovery_news where paid_at is not null
) as told group by due_on, paid_on having sum(cents) <> 0
"""
_SINCE = "select * from ({}) as told where due_on between :first_on and :last_on"
_DUE_AGAIN = """
select due_on, sum(amount_cents - discount_cents) as cents
from invoices where state <> 'void' group by due_on having sum(amount_cents - discount_cents) <> 0
"""
_PAID_AGAIN = """
select due_on, (paid_at at time zone :zone)::date as paid_on, sum(cents) as cents
from invoice_recoveries group by 1, 2 having sum(cents) <> 0
"""
# Each query answers what it is about, what is kept, and what it should be.
_DIFFERENCES = {
    "the sums have {1} cents due on {0}, the invoices have {2}": """
        select due_on, coalesce(kept.cents, 0), coalesce(again.cents, 0)
        from ({due}) as kept full join ({due_again}) as again using (due_on)
        where kept.cents is distinct from again.cents order by due_on
    """,
    "the sums have {2} cents due on {0} and paid on {1}, the allocations have {3}": """
        select due_on, paid_on, coalesce(kept.cents, 0), coalesce(again.cents, 0)
        from ({paid}) as kept full join ({paid_again}) as again using (due_on, paid_on)
        where kept.cents is distinct from again.cents order by due_on, paid_on
    """,
}


async def fold(connection: AsyncConnection, zone: tzinfo) -> None:
    """Move the news into the sums."""
    await connection.execute(_LOCK)
    await connection.execute(_FOLD, {"zone": str(zone)})


async def history(
    connection: AsyncConnection, first_on: date, last_on: date, zone: tzinfo
) -> History:
    """What fell due from `first_on` to `last_on`, and what was paid of it by now."""
    between = {"first_on": first_on, "last_on": last_on}
    due = await connection.execute(text(_SINCE.format(_DUE)), between)
    paid = await connection.execute(text(_SINCE.format(_PAID)), between | {"zone": str(zone)})
    return History(
        due_cents={row.due_on: row.cents for row in due},
        paid_cents={(row.due_on, row.paid_on): row.cents for row in paid},
    )


async def fell_due(connection: AsyncConnection, first_on: date, last_on: date) -> int:
    """What fell due from `first_on` to `last_on`, in cents."""
    between = {"first_on": first_on, "last_on": last_on}
    rows = await connection.execute(text(_SINCE.format(_DUE)), between)
    return sum(row.cents for row in rows)


async def differences(connection: AsyncConnection, zone: tzinfo) -> list[str]:
    """Every sum that is not what invoices and allocations add up to, as a sentence."""
    found: list[str] = []
    for sentence, query in _DIFFERENCES.items():
        whole = query.format(due=_DUE, due_again=_DUE_AGAIN, paid=_PAID, paid_again=_PAID_AGAIN)
        asked = {"zone": str(zone)} if ":zone" in whole else {}
        for row in await connection.execute(text(whole), asked):
            found.append(sentence.format(*row))
    return found
