"""Who is late, read from an index of what is owed: nothing is kept that could lie.

Late is ladder rule 1, put as the last due date that is overdue under each policy. Principal only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Date,
    Label,
    Select,
    SmallInteger,
    Text,
    and_,
    case,
    cast,
    collate,
    column,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.customer_tables import contracts, plans
from api.store.money_tables import invoices
from api.store.place_tables import addresses
from api.store.renegotiation import agreements
from billing.ageing import BUCKETS, late_until
from billing.payer import Desk

UNPAID_CENTS = invoices.c.amount_cents - invoices.c.paid_cents - invoices.c.discount_cents
# Literal, so that the index of what is owed serves however the statement was prepared.
OPEN: ColumnElement[bool] = literal_column("invoices.state = 'open'")
DISPUTED: ColumnElement[bool] = literal_column("invoices.state = 'disputed'")
_NO_JIT = text("set local jit = off")
_SUMS = ("contracts", "debt_cents", "disputed_cents", "renegotiated_cents", "principal_cents")


@dataclass(frozen=True, slots=True)
class Day:
    """The local day that is looked at.

    Attributes:
        now: the instant.
        late_until: by policy, the last due date that is overdue.
    """

    now: datetime
    late_until: Mapping[str, date]

    @classmethod
    def at(cls, desk: Desk) -> "Day":
        """The day of a desk, under its policies."""
        today = desk.now.date()
        until = {n: late_until(p, desk.calendar, today) for n, p in desk.policies.items()}
        return cls(desk.now, until)

    @property
    def today(self) -> date:
        return self.now.date()


@dataclass(frozen=True, slots=True)
class Group:
    """Contracts of one region, plan, step and bucket, counted, and their cents.

    Attributes:
        bucket: of their oldest late invoice; None: what they owe late is disputed or renegotiated.
        principal_cents: of late invoices of this age. It stands in rows of its own, which tell
            nothing else: their plan_id is None.
    """

    region: str
    plan_id: int | None
    plan: str | None
    step: str | None
    bucket: str | None
    contracts: int
    debt_cents: int
    disputed_cents: int
    renegotiated_cents: int
    principal_cents: int


def step() -> ColumnElement[str]:
    """The step of the ladder that a contract is on; `none` before the first."""
    return func.coalesce(contracts.c.rungs[-1]["level"].astext, "none")


async def without_jit(connection: AsyncConnection) -> None:
    """Compiling these short queries would take longer than answering them."""
    await connection.execute(_NO_JIT)


async def groups(connection: AsyncConnection, day: Day) -> list[Group]:
    """Late contracts counted and summed; disputed and renegotiated debt beside them.

    One statement, so that all its sums are of one instant.
    """
    late = late_invoices(day)
    owed, disputed, moved = debts(late), _disputed(day), _renegotiated()
    # By contract first, so that contracts are looked up once. Numbers stand for the buckets' names,
    # and plans are named last: what is sorted and hashed stays small.
    bucket = _bucket_number(owed.c.oldest_due_on, day)
    parts = union_all(
        select(owed.c.contract_id, bucket.label("bucket"), *_told(1, owed.c.debt_cents)),
        select(disputed.c.contract_id, null(), *_told(0, 0, disputed.c.cents)),
        select(moved.c.contract_id, null(), *_told(0, 0, 0, moved.c.cents)),
    ).subquery("parts")
    # Joined, where each contract's own look-up would cost half of the answer's time.
    here, home = addresses.alias("here"), addresses.alias("home")
    kinds = (
        contracts.c.plan_id,
        parts.c.bucket,
        collate(step(), "C").label("step"),
        collate(func.coalesce(here.c.region, home.c.region, ""), "C").label("region"),
    )
    grouped = (
        select(*kinds, *(_sum(parts.c[name], name) for name in _SUMS))
        .select_from(parts)
        .join(contracts, contracts.c.id == parts.c.contract_id)
        .outerjoin(here, here.c.contract_id == contracts.c.id)
        .outerjoin(
            home, and_(home.c.subscriber_id == contracts.c.subscriber_id, here.c.id.is_(None))
        )
        .group_by(*(literal_column(str(n + 1)) for n in range(len(kinds))))
        .cte("grouped")
    )
    named = select(
        grouped.c.region,
        grouped.c.plan_id,
        plans.c.name,
        grouped.c.step,
        grouped.c.bucket,
        *(grouped.c[name] for name in _SUMS),
    ).join_from(grouped, plans, plans.c.id == grouped.c.plan_id)
    age = _bucket_number(late.c.due_on, day).label("bucket")
    ages = select(age, _sum(late.c.cents, "cents")).group_by(literal_column("1")).subquery("ages")
    nobody: list[ColumnElement[Any]] = [
        literal(""),
        *(cast(null(), of) for of in (BigInteger, Text, Text)),
    ]
    by_age = select(*nobody, ages.c.bucket, *_told(0, 0, 0, 0, ages.c.cents))
    rows = await connection.execute(union_all(named, by_age))
    return [
        Group(region, plan_id, plan, step_, None if number is None else BUCKETS[number].name, *sums)
        for region, plan_id, plan, step_, number, *sums in rows
    ]


async def late_cents(connection: AsyncConnection, day: Day) -> int:
    """Principal of all that is late."""
    total = await connection.scalar(select(_sum(late_invoices(day).c.cents, "cents")))
    return int(total or 0)


def late_invoices(day: Day) -> CTE:
    """Every late invoice: one row of the index each."""
    query = select(invoices.c.contract_id, invoices.c.due_on, UNPAID_CENTS.label("cents"))
    return overdue(query.where(OPEN, UNPAID_CENTS > 0), day).cte("late")


def debts(late: CTE) -> CTE:
    """What each contract owes late."""
    return (
        select(
            late.c.contract_id,
            func.min(late.c.due_on).label("oldest_due_on"),
            func.count().label("invoices"),
            _sum(late.c.cents, "debt_cents"),
        )
        .group_by(late.c.contract_id)
        .cte("owed")
    )


def overdue(query: Select[Any], day: Day) -> Select[Any]:
    """Only invoices that are overdue under their contract's policy."""
    first_on, last_on = min(day.late_until.values()), max(day.late_until.values())
    query = query.where(invoices.c.due_on <= last_on)
    if first_on == last_on:
        return query
    # Policies differ by the days that banks take: only what was due in between is looked up.
    until = case(
        *((contracts.c.policy == name, cast(on, Date)) for name, on in day.late_until.items()),
        else_=cast(last_on, Date),
    )
    own = select(contracts.c.id).where(
        contracts.c.id == invoices.c.contract_id, invoices.c.due_on <= until
    )
    return query.where(or_(invoices.c.due_on <= first_on, own.exists()))


def bucket_of_due_date(due_on: ColumnElement[Any], day: Day) -> ColumnElement[str]:
    """The name of the bucket of what was due then (`billing.ageing.bucket_of`)."""
    return _by_bucket(due_on, day, [bucket.name for bucket in BUCKETS])


def _bucket_number(due_on: ColumnElement[Any], day: Day) -> ColumnElement[int]:
    """Its place among the buckets, from the youngest on."""
    return cast(_by_bucket(due_on, day, range(len(BUCKETS))), SmallInteger)


def _by_bucket(due_on: ColumnElement[Any], day: Day, told: Sequence[Any]) -> ColumnElement[Any]:
    # From the youngest on: whatever is due since the first day of a bucket is in it.
    return case(
        *(
            (due_on >= first_on, one)
            for bucket, one in zip(BUCKETS, told, strict=True)
            if (first_on := bucket.due_between(day.today)[0]) is not None
        ),
        else_=told[-1],
    )


def whole(cents: ColumnElement[Any]) -> ColumnElement[int]:
    """A sum of cents as an integer, which to PostgreSQL it is not."""
    return cast(cents, BigInteger)


def _disputed(day: Day) -> CTE:
    """What of each contract's late debt is disputed."""
    query = select(invoices.c.contract_id, _sum(UNPAID_CENTS, "cents"))
    query = query.where(DISPUTED, UNPAID_CENTS > 0).group_by(invoices.c.contract_id)
    return overdue(query, day).cte("disputed")


def _renegotiated() -> CTE:
    """The principal that running agreements took over, as it stood when they were offered."""
    old = func.jsonb_array_elements(agreements.c.simulation["owed"])
    part = old.table_valued(column("old", JSONB)).render_derived()
    cents = cast(part.c.old["principal_cents"].astext, BigInteger)
    query = (
        select(agreements.c.contract_id, _sum(cents, "cents"))
        .select_from(agreements)
        .join(part, literal_column("true"))
        .where(literal_column("agreements.state = 'running'"))
    )
    return query.group_by(agreements.c.contract_id).cte("moved")


def _told(*sums: ColumnElement[Any] | int) -> list[Label[int]]:
    """These sums under their names, and nothing of the others."""
    known = [cast(of, BigInteger) for of in sums]
    nothing = [cast(0, BigInteger)] * (len(_SUMS) - len(known))
    return [of.label(name) for of, name in zip([*known, *nothing], _SUMS, strict=True)]


def _sum(cents: ColumnElement[Any], name: str) -> Label[int]:
    return whole(func.sum(cents)).label(name)
