"""The list of late contracts: who is wanted, in which order, from where on, and what is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
)

from api.store.access_tables import promises
from api.store.customer_tables import contracts, logins, plans, subscribers
from api.store.delinquency import (
    DISPUTED,
    UNPAID_CENTS,
    Day,
    bucket_of_due_date,
    debts,
    late_invoices,
    overdue,
    step,
    whole,
)
from api.store.exemptions import spared
from api.store.money_tables import invoices
from api.store.places import region_of_contract
from api.store.renegotiation import agreements, disputes


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


def late_rows(
    day: Day,
    wanted: Filters,
    sort: str,
    after: Sequence[Any] | None = None,
    limit: int | None = None,
) -> Select[Any]:
    """The late contracts, each in the bucket of its oldest invoice, with what stands for it.

    A row is passed over or met twice only if what it is sorted by changes meanwhile.

    Args:
        day: the local day that is looked at.
        wanted: which of them.
        sort: `debt` (most first), `days_late` (latest first) or `name`; then by number.
        after: what the last row had that it was sorted by, and its number.
        limit: how many at most.
    """
    chosen = _chosen(day, wanted, sort, after, limit).subquery("chosen")
    number = chosen.c.contract_id
    disputed = overdue(
        select(func.coalesce(whole(func.sum(UNPAID_CENTS)), 0)).where(
            invoices.c.contract_id == number, DISPUTED
        ),
        day,
    ).correlate(chosen)
    return (
        select(
            number,
            contracts.c.subscriber_id,
            subscribers.c.name,
            subscribers.c.document,
            logins.c.username,
            contracts.c.plan_id,
            plans.c.name.label("plan"),
            region_of_contract().label("region"),
            contracts.c.policy,
            contracts.c.level,
            step().label("step"),
            contracts.c.ended_on,
            bucket_of_due_date(chosen.c.oldest_due_on, day).label("bucket"),
            chosen.c.oldest_due_on,
            chosen.c.invoices,
            chosen.c.debt_cents,
            disputed.scalar_subquery().label("disputed_cents"),
            *(flag.label(name) for name, flag in _flags(day, number, chosen).items()),
        )
        .select_from(chosen)
        .join(contracts, contracts.c.id == number)
        .join(subscribers, subscribers.c.id == contracts.c.subscriber_id)
        .join(plans, plans.c.id == contracts.c.plan_id)
        .outerjoin(logins, logins.c.contract_id == number)
        .order_by(*_order(sort, chosen.c, subscribers.c.name))
    )


def _chosen(
    day: Day, wanted: Filters, sort: str, after: Sequence[Any] | None, limit: int | None
) -> Select[Any]:
    """The contracts of a page: of all that are late only what chooses and sorts is looked up."""
    owed = debts(late_invoices(day))
    of_contract = _of_contract(wanted)
    by_name = sort == "name" or wanted.search is not None
    query = select(*owed.c)
    if of_contract or by_name:
        query = query.join(contracts, contracts.c.id == owed.c.contract_id).where(*of_contract)
    if by_name:
        query = query.join(subscribers, subscribers.c.id == contracts.c.subscriber_id)
    if wanted.search is not None:
        query = query.outerjoin(logins, logins.c.contract_id == owed.c.contract_id)
        query = query.where(_found_by(wanted.search))
    if wanted.bucket is not None:
        query = query.where(bucket_of_due_date(owed.c.oldest_due_on, day) == wanted.bucket)
    if wanted.min_debt_cents is not None:
        query = query.where(owed.c.debt_cents >= wanted.min_debt_cents)
    if wanted.max_debt_cents is not None:
        query = query.where(owed.c.debt_cents <= wanted.max_debt_cents)
    for name, flag in _flags(day, owed.c.contract_id, owed).items():
        asked = getattr(wanted, name)
        if asked is not None:
            query = query.where(flag if asked else ~flag)
    ways = _order(sort, owed.c, subscribers.c.name)
    if after is not None:
        key = [-after[0] if sort == "debt" else after[0], after[1]]
        last = (literal(value, way.type) for value, way in zip(key, ways, strict=True))
        query = query.where(tuple_(*ways) > tuple_(*last))
    return query.order_by(*ways).limit(limit)


def _order(sort: str, of: Any, name: ColumnElement[str]) -> tuple[ColumnElement[Any], ...]:
    first = {"debt": -of.debt_cents, "days_late": of.oldest_due_on, "name": name}[sort]
    return first, of.contract_id


def _of_contract(wanted: Filters) -> list[ColumnElement[bool]]:
    equal = (
        (wanted.region, region_of_contract()),
        (wanted.plan_id, contracts.c.plan_id),
        (wanted.level, contracts.c.level),
        (wanted.step, step()),
        (wanted.policy, contracts.c.policy),
    )
    return [column == value for value, column in equal if value is not None]


def _flags(
    day: Day, contract_id: ColumnElement[int], of: FromClause
) -> dict[str, ColumnElement[bool]]:
    """What stands beside the debt of a contract."""
    tables = {
        "promise": (
            promises,
            literal_column("promises.state = 'running'") & (promises.c.until_on >= day.today),
        ),
        "agreement": (agreements, literal_column("agreements.state = 'running'")),
        "dispute": (disputes, literal_column("disputes.state = 'open'")),
    }
    flags = {
        name: select(table.c.id)
        .where(table.c.contract_id == contract_id, condition)
        .correlate(of)
        .exists()
        for name, (table, condition) in tables.items()
    }
    return flags | {"exempt": spared(contract_id, of, day.now)}


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
