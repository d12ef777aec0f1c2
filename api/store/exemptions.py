"""Holds, exemptions and never-blocked customers: who is meant, and as lists."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.sql.selectable import Subquery

from api.store.access_tables import holds
from api.store.customer_tables import contracts, subscribers
from api.store.listing import debt_cents
from api.store.place_tables import addresses, customer_classes, subscriber_classes


def spared(contract_id: ColumnElement[int], of: FromClause, now: datetime) -> ColumnElement[bool]:
    """Whether a contract's debt cuts nobody at `now` (rule 10), as `billing.ladder` judges it.

    By a hold or an exemption in force, or by the customer's class. `of` has `contract_id`.
    """
    by_hold = select(holds.c.id).where(holds.c.contract_id == contract_id, _stands(now))
    own = contracts.alias("own")
    by_class = (
        select(own.c.id)
        .join(subscriber_classes, subscriber_classes.c.subscriber_id == own.c.subscriber_id)
        .join(customer_classes, customer_classes.c.id == subscriber_classes.c.class_id)
        .where(own.c.id == contract_id, customer_classes.c.never_block)
    )
    return or_(*(query.correlate(of).exists() for query in (by_hold, by_class)))


def hold_rows(
    now: datetime,
    contract_id: int | None = None,
    kind: str | None = None,
    standing: bool | None = None,
) -> Select[Any]:
    """Holds and exemptions; `standing` True: in force at `now`, False: over."""
    query = select(holds, _stands(now).label("standing"))
    if contract_id is not None:
        query = query.where(holds.c.contract_id == contract_id)
    if kind is not None:
        query = query.where(holds.c.kind == kind)
    if standing is not None:
        query = query.where(_stands(now) if standing else ~_stands(now))
    return query


def exemption_rows(
    now: datetime, *, with_debt: bool, kind: str | None = None, region: str | None = None
) -> tuple[Select[Any], Subquery]:
    """Who is exempt at `now`: each exemption in force, and each contract of a never-blocked class.

    Answers the rows and the subquery that their key (`place`) is a column of: two for each number,
    the even ones of holds, the odd ones of contracts.
    """
    by_hold = (
        select(
            (holds.c.id * 2).label("place"),
            literal("exemption").label("kind"),
            holds.c.id.label("hold_id"),
            holds.c.contract_id,
            null().label("customer_class"),
            holds.c.author,
            holds.c.reason,
            holds.c.placed_at.label("since"),
            holds.c.expires_at,
        )
        .join(contracts, contracts.c.id == holds.c.contract_id)
        .where(holds.c.kind == "exemption", _stands(now), contracts.c.ended_on.is_(None))
    )
    by_class = (
        select(
            (contracts.c.id * 2 + 1).label("place"),
            literal("never_block").label("kind"),
            null().label("hold_id"),
            contracts.c.id.label("contract_id"),
            customer_classes.c.name.label("customer_class"),
            subscriber_classes.c.author,
            subscriber_classes.c.reason,
            subscriber_classes.c.written_at.label("since"),
            null().label("expires_at"),
        )
        .select_from(contracts)
        .join(subscriber_classes, subscriber_classes.c.subscriber_id == contracts.c.subscriber_id)
        .join(customer_classes, customer_classes.c.id == subscriber_classes.c.class_id)
        .where(customer_classes.c.never_block, contracts.c.ended_on.is_(None))
    )
    exempt = union_all(by_hold, by_class).subquery("exempt")
    here, home = addresses.alias("here"), addresses.alias("home")
    area = func.coalesce(here.c.region, home.c.region)
    query = (
        select(
            *(column for column in exempt.c if column.name != "place"),
            contracts.c.subscriber_id,
            subscribers.c.name.label("subscriber"),
            contracts.c.level,
            area.label("region"),
            (debt_cents(contracts.c.id) if with_debt else null()).label("debt_cents"),
        )
        .select_from(exempt)
        .join(contracts, contracts.c.id == exempt.c.contract_id)
        .join(subscribers, subscribers.c.id == contracts.c.subscriber_id)
        .outerjoin(here, here.c.contract_id == contracts.c.id)
        .outerjoin(
            home, and_(home.c.subscriber_id == contracts.c.subscriber_id, here.c.id.is_(None))
        )
    )
    if kind is not None:
        query = query.where(exempt.c.kind == kind)
    if region is not None:
        query = query.where(area == region)
    return query, exempt


def _stands(now: datetime) -> Any:
    return and_(holds.c.expires_at > now, or_(holds.c.ended_at.is_(None), holds.c.ended_at > now))
