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
    case,
    cast,
    column,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.renegotiation import agreements, disputes
from api.store.tables import contracts, holds, invoices, logins, plans, promises, subscribers
from billing.ageing import BUCKETS, late_until
from billing.payer import Desk

UNPAID_CENTS = invoices.c.amount_cents - invoices.c.paid_cents - invoices.c.discount_cents
# Literal, so that the index of what is owed serves however the statement was prepared.
OWED: ColumnElement[bool] = literal_column("invoices.state in ('open', 'disputed')")
OPEN: ColumnElement[bool] = literal_column("invoices.state = 'open'")
_DISPUTED: ColumnElement[bool] = literal_column("invoices.state = 'disputed'")
_NO_JIT = text("set local jit = off")


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
    """Contracts of one region, plan, step and bucket (None: not late), and their cents."""

    region: str
    plan_id: int
    plan: str
    step: str
    bucket: str | None
    contracts: int = 0
    debt_cents: int = 0
    disputed_cents: int = 0
    renegotiated_cents: int = 0


@dataclass(frozen=True, slots=True)
class Filters:
    """Which late contracts are wanted; None: whichever."""

    search: str | None = None
    bucket: str | None = None
    region: str | None = None
    plan_id: int | None = None
    level: str | None = None
    step: str | None = None
    policy: str | None = None
    min_debt_cents: int | None = None
    max_debt_cents: int | None = None
    promise: bool | None = None
    agreement: bool | None = None
    dispute: bool | None = None
    exempt: bool | None = None


def region() -> ColumnElement[str]:
    """The region of a contract; all are in one until contracts have an address."""
    return literal("")


async def without_jit(connection: AsyncConnection) -> None:
    """Compiling these short queries would take longer than answering them."""
    await connection.execute(_NO_JIT)


async def groups(connection: AsyncConnection, day: Day) -> list[Group]:
    """Late contracts counted and summed; disputed and renegotiated debt beside them."""
    owed, disputed, moved = _owed(day), _disputed(day), _renegotiated()
    late = _grouped(owed, _bucket(owed.c.oldest_due_on, day.today))
    told = (
        late.add_columns(func.count().label("contracts"), _sum(owed.c.debt_cents, "debt_cents")),
        _grouped(disputed, null()).add_columns(_sum(disputed.c.cents, "disputed_cents")),
        _grouped(moved, null()).add_columns(_sum(moved.c.cents, "renegotiated_cents")),
    )
    return [Group(**row) for query in told for row in (await connection.execute(query)).mappings()]


async def late_by_due_date(connection: AsyncConnection, day: Day) -> dict[date, int]:
    """Principal that is late, by due date."""
    query = select(invoices.c.due_on, _sum(UNPAID_CENTS, "cents"))
    query = query.where(OWED, OPEN, UNPAID_CENTS > 0).group_by(invoices.c.due_on)
    rows = await connection.execute(_overdue(query, day))
    return {row.due_on: row.cents for row in rows}


def late_rows(day: Day, wanted: Filters) -> Select[Any]:
    """The late contracts, each in the bucket of its oldest invoice, with what stands for it."""
    owed, flags = _owed(day), _flags(day)
    # Of the rows that are shown only.
    disputed = _overdue(
        select(func.coalesce(whole(func.sum(UNPAID_CENTS)), 0)).where(
            invoices.c.contract_id == owed.c.contract_id, _DISPUTED
        ),
        day,
    ).correlate(owed)
    query = (
        select(
            contracts.c.id.label("contract_id"),
            contracts.c.subscriber_id,
            subscribers.c.name,
            subscribers.c.document,
            logins.c.username,
            contracts.c.plan_id,
            plans.c.name.label("plan"),
            region().label("region"),
            contracts.c.policy,
            contracts.c.level,
            step().label("step"),
            contracts.c.ended_on,
            _bucket(owed.c.oldest_due_on, day.today).label("bucket"),
            owed.c.oldest_due_on,
            owed.c.invoices,
            owed.c.debt_cents,
            disputed.scalar_subquery().label("disputed_cents"),
            *(condition.label(name) for name, condition in flags.items()),
        )
        .select_from(owed)
        .join(contracts, contracts.c.id == owed.c.contract_id)
        .join(subscribers, subscribers.c.id == contracts.c.subscriber_id)
        .join(plans, plans.c.id == contracts.c.plan_id)
        .outerjoin(logins, logins.c.contract_id == contracts.c.id)
    )
    return query.where(*_conditions(owed, day, wanted, flags))


def in_order(
    query: Select[Any], sort: str, after: Sequence[Any] | None, limit: int | None
) -> Select[Any]:
    """The rows after a key, in order: most debt first, latest first, or by name; then by number.

    A row is passed over or met twice only if what it is sorted by changes meanwhile.
    """
    columns = query.selected_columns
    number = columns["contract_id"]
    if sort == "debt":
        ways: tuple[ColumnElement[Any], ...] = (-columns["debt_cents"], number)
    else:
        ways = (columns[{"days_late": "oldest_due_on", "name": "name"}[sort]], number)
    if after is not None:
        key = [-after[0] if sort == "debt" else after[0], after[1]]
        last = (literal(value, way.type) for value, way in zip(key, ways, strict=True))
        query = query.where(tuple_(*ways) > tuple_(*last))
    return query.order_by(*ways).limit(limit)


def step() -> ColumnElement[str]:
    """The step of the ladder that a contract is on; `none` before the first."""
    return func.coalesce(contracts.c.rungs[-1]["level"].astext, "none")


def _owed(day: Day) -> CTE:
    """What each contract owes late: one row of the index for each invoice, one here for all."""
    query = select(
        invoices.c.contract_id,
        func.min(invoices.c.due_on).label("oldest_due_on"),
        func.count().label("invoices"),
        _sum(UNPAID_CENTS, "debt_cents"),
    )
    query = query.where(OWED, OPEN, UNPAID_CENTS > 0).group_by(invoices.c.contract_id)
    return _overdue(query, day).cte("owed")


def _disputed(day: Day) -> CTE:
    """What of each contract's late debt is disputed."""
    query = select(invoices.c.contract_id, _sum(UNPAID_CENTS, "cents"))
    query = query.where(_DISPUTED, UNPAID_CENTS > 0).group_by(invoices.c.contract_id)
    return _overdue(query, day).cte("disputed")


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


def _grouped(of: CTE, bucket: ColumnElement[Any]) -> Select[Any]:
    """Rows of contracts by what they are told by."""
    kinds = (region(), contracts.c.plan_id, plans.c.name, step(), bucket)
    names = ("region", "plan_id", "plan", "step", "bucket")
    return (
        select(*(kind.label(name) for kind, name in zip(kinds, names, strict=True)))
        .select_from(of)
        .join(contracts, contracts.c.id == of.c.contract_id)
        .join(plans, plans.c.id == contracts.c.plan_id)
        .group_by(*(literal_column(str(n + 1)) for n in range(len(kinds))))
    )


def _overdue(query: Select[Any], day: Day) -> Select[Any]:
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


def _bucket(due_on: ColumnElement[Any], today: date) -> ColumnElement[Any]:
    # From the youngest on: whatever is due since the first day of a bucket is in it.
    return case(
        *(
            (due_on >= first_on, bucket.name)
            for bucket in BUCKETS
            if (first_on := bucket.due_between(today)[0]) is not None
        ),
        (due_on.is_not(None), BUCKETS[-1].name),
        else_=None,
    )


def _flags(day: Day) -> dict[str, ColumnElement[bool]]:
    """What stands beside the debt of a contract."""
    tables = {
        "promise": (
            promises,
            literal_column("promises.state = 'running'") & (promises.c.until_on >= day.today),
        ),
        "agreement": (agreements, literal_column("agreements.state = 'running'")),
        "dispute": (disputes, literal_column("disputes.state = 'open'")),
        "exempt": (holds, holds.c.expires_at > day.now),
    }
    return {
        name: select(table.c.id)
        .where(table.c.contract_id == contracts.c.id, condition)
        .correlate(contracts)
        .exists()
        for name, (table, condition) in tables.items()
    }


def _conditions(
    owed: CTE, day: Day, wanted: Filters, flags: Mapping[str, ColumnElement[bool]]
) -> list[ColumnElement[bool]]:
    equal = (
        (wanted.bucket, _bucket(owed.c.oldest_due_on, day.today)),
        (wanted.region, region()),
        (wanted.plan_id, contracts.c.plan_id),
        (wanted.level, contracts.c.level),
        (wanted.step, step()),
        (wanted.policy, contracts.c.policy),
    )
    found = [column == value for value, column in equal if value is not None]
    if wanted.min_debt_cents is not None:
        found.append(owed.c.debt_cents >= wanted.min_debt_cents)
    if wanted.max_debt_cents is not None:
        found.append(owed.c.debt_cents <= wanted.max_debt_cents)
    for name, condition in flags.items():
        asked = getattr(wanted, name)
        if asked is not None:
            found.append(condition if asked else ~condition)
    if wanted.search is not None:
        found.append(_found_by(wanted.search))
    return found


def _found_by(words: str) -> ColumnElement[bool]:
    """By a part of the name, or the whole document, login or contract number."""
    ways = [
        subscribers.c.name.icontains(words, autoescape=True),
        subscribers.c.document == "".join(c for c in words if c.isalnum()).upper(),
        logins.c.username == words,
    ]
    if words.isascii() and words.isdecimal() and len(words) < 19:
        ways.append(contracts.c.id == int(words))
    return or_(*ways)


def whole(total: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(total, BigInteger)


def _sum(cents: ColumnElement[Any], name: str) -> Label[int]:
    return whole(func.sum(cents)).label(name)
