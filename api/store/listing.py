"""Keyset reads for the lists of the HTTP face: what a row shows, filtered, a page at a time."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Select,
    Text,
    case,
    cast,
    func,
    literal_column,
    null,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.access_tables import notices
from api.store.customer_tables import contracts, logins, nases, plans, subscribers
from api.store.money_tables import allocations, invoice_lines, invoices, payments, reversals
from api.store.network_tables import network_actions, sessions
from api.store.place_tables import customer_classes, subscriber_classes
from api.store.places import region_of_contract
from api.store.silence import STALE_BEFORE
from api.store.staff_tables import audit_log, operators

Item = dict[str, Any]
_ADDRESSES = (
    IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
)  # fmt: skip


async def page(
    connection: AsyncConnection,
    query: Select[Any],
    key: ColumnElement[int],
    after: int | None,
    limit: int,
    zone: tzinfo,
) -> tuple[list[Item], int | None]:
    """At most `limit` items whose key is above `after`, and the key to go on from, if any."""
    if after is not None:
        query = query.where(key > after)
    # One row more than asked for tells whether there is a next page.
    query = query.add_columns(key.label("_key")).order_by(key).limit(limit + 1)
    rows = (await connection.execute(query)).mappings().all()
    shown = rows[:limit]
    items = [_plain(row, zone) for row in shown]
    return items, shown[-1]["_key"] if len(rows) > limit else None


async def one(
    connection: AsyncConnection,
    query: Select[Any],
    key: ColumnElement[int],
    value: int,
    zone: tzinfo,
) -> Item | None:
    row = (await connection.execute(query.where(key == value))).mappings().one_or_none()
    return _plain(row, zone) if row is not None else None


async def rows_of(connection: AsyncConnection, query: Select[Any], zone: tzinfo) -> list[Item]:
    return [_plain(row, zone) for row in (await connection.execute(query)).mappings()]


def _plain(row: Mapping[Any, Any], zone: tzinfo) -> Item:
    """Instants in the provider's zone, addresses and hashes as text."""
    item: Item = {}
    for name, value in row.items():
        if name == "_key":
            continue
        if isinstance(value, datetime):
            item[name] = value.astimezone(zone)
        elif isinstance(value, _ADDRESSES):
            item[name] = str(value)
        elif isinstance(value, (bytes, memoryview)):
            item[name] = bytes(value).hex()
        else:
            item[name] = value
    return item


def plan_rows() -> Select[Any]:
    return select(*plans.c)


def nas_rows() -> Select[Any]:
    """Without the secret, which is written and never read back."""
    return select(*(c for c in nases.c if c is not nases.c.secret))


def subscriber_rows(document: str | None = None) -> Select[Any]:
    query = select(*subscribers.c)
    return query.where(subscribers.c.document == document) if document is not None else query


def debt_cents(contract_id: ColumnElement[int]) -> ColumnElement[int]:
    """Unpaid principal of the contract's open invoices, late or not."""
    unpaid_cents = invoices.c.amount_cents - invoices.c.paid_cents - invoices.c.discount_cents
    owed = func.coalesce(func.sum(unpaid_cents), 0)
    unpaid = select(cast(owed, BigInteger)).where(
        invoices.c.contract_id == contract_id, invoices.c.state == "open"
    )
    return unpaid.scalar_subquery()


def contract_rows(
    *,
    with_debt: bool,
    username: str | None = None,
    document: str | None = None,
    level: str | None = None,
    region: str | None = None,
    customer_class: str | None = None,
) -> Select[Any]:
    """Contracts, those of a region (empty: of none) and of a customer class if asked for."""
    query = (
        select(
            contracts.c.id,
            subscribers.c.name.label("subscriber"),
            plans.c.name.label("plan"),
            contracts.c.due_day,
            logins.c.username,
            contracts.c.level,
            (debt_cents(contracts.c.id) if with_debt else null()).label("debt_cents"),
        )
        .join(subscribers, contracts.c.subscriber_id == subscribers.c.id)
        .join(plans, contracts.c.plan_id == plans.c.id)
        .outerjoin(logins, logins.c.contract_id == contracts.c.id)
    )
    if username is not None:
        query = query.where(logins.c.username == username)
    if document is not None:
        query = query.where(subscribers.c.document == document)
    if region is not None:
        query = query.where(region_of_contract() == region)
    if customer_class is not None:
        members = (
            select(subscriber_classes.c.subscriber_id)
            .join(customer_classes, customer_classes.c.id == subscriber_classes.c.class_id)
            .where(customer_classes.c.name == customer_class)
        )
        query = query.where(contracts.c.subscriber_id.in_(members))
    return query.where(contracts.c.level == level) if level is not None else query


def contract_details(*, with_debt: bool) -> Select[Any]:
    return contract_rows(with_debt=with_debt).add_columns(
        contracts.c.subscriber_id,
        contracts.c.plan_id,
        contracts.c.policy,
        contracts.c.created_at,
        contracts.c.ended_on,
        contracts.c.generation,
        contracts.c.reason,
        contracts.c.since,
        contracts.c.review_on,
        contracts.c.quota_reset_day,
        logins.c.mac,
        logins.c.circuit_id,
        logins.c.remote_id,
        logins.c.static_ipv4,
        logins.c.delegated_ipv6,
    )


def invoice_rows(contract_id: int | None = None, state: str | None = None) -> Select[Any]:
    query = select(*invoices.c, contracts.c.policy).join(
        contracts, invoices.c.contract_id == contracts.c.id
    )
    if contract_id is not None:
        query = query.where(invoices.c.contract_id == contract_id)
    return query.where(invoices.c.state == state) if state is not None else query


async def lines_of(
    connection: AsyncConnection, invoice_ids: Sequence[int]
) -> dict[int, list[Item]]:
    """The lines of these invoices, in their order."""
    lines: dict[int, list[Item]] = {i: [] for i in invoice_ids}
    found = await connection.execute(
        select(*(c for c in invoice_lines.c if c is not invoice_lines.c.position))
        .where(invoice_lines.c.invoice_id.in_(invoice_ids))
        .order_by(invoice_lines.c.invoice_id, invoice_lines.c.position)
    )
    for row in found.mappings():
        lines[row["invoice_id"]].append({k: v for k, v in row.items() if k != "invoice_id"})
    return lines


async def credit_used(connection: AsyncConnection, invoice_ids: Sequence[int]) -> dict[int, int]:
    """What customer credit paid of these invoices, in cents; none where it paid nothing."""
    cents = func.sum(
        allocations.c.interest_cents + allocations.c.fine_cents + allocations.c.principal_cents
    )
    found = await connection.execute(
        select(allocations.c.invoice_id, cast(cents, BigInteger))
        .where(allocations.c.invoice_id.in_(invoice_ids), allocations.c.payment_id.is_(None))
        .group_by(allocations.c.invoice_id)
    )
    return {invoice_id: used for invoice_id, used in found if used}


def payment_rows(
    state: str | None = None, invoice_id: int | None = None, subscriber_id: int | None = None
) -> Select[Any]:
    query = select(*(c for c in payments.c if c is not payments.c.entry_id))
    if state is not None:
        query = query.where(payments.c.state == state)
    if invoice_id is not None:
        query = query.where(payments.c.invoice_id == invoice_id)
    return query.where(payments.c.subscriber_id == subscriber_id) if subscriber_id else query


def suspense_rows() -> Select[Any]:
    """What waits in suspense and has not all been sent back, with what is left of it."""
    went_back = func.coalesce(
        select(func.sum(reversals.c.amount_cents))
        .where(reversals.c.payment_id == payments.c.id)
        .scalar_subquery(),
        0,
    )
    left_cents = cast(payments.c.amount_cents - went_back, BigInteger)
    return (
        payment_rows("suspense").add_columns(left_cents.label("left_cents")).where(left_cents > 0)
    )


def notice_rows(subscriber_id: int | None = None, state: str | None = None) -> Select[Any]:
    query = select(
        *(c for c in notices.c if c not in (notices.c.next_attempt_wall, notices.c.content_sha256)),
        notices.c.content_sha256,
    )
    if subscriber_id is not None:
        query = query.where(notices.c.subscriber_id == subscriber_id)
    return query.where(notices.c.state == state) if state is not None else query


def session_state() -> ColumnElement[str]:
    """How far a session has what was decided, in the words of `sessions.of_contract`."""
    behind = sessions.c.applied_generation < contracts.c.generation
    return case(
        (behind & (sessions.c.failed_generation == contracts.c.generation), "failed"),
        (behind, "pending"),
        (sessions.c.observed_generation < sessions.c.applied_generation, "applied"),
        else_="observed",
    )


def session_stale() -> ColumnElement[bool]:
    """Open, and not heard of for so long that it no longer counts as a line in use."""
    before = literal_column(STALE_BEFORE, DateTime(timezone=True))
    return sessions.c.stopped_at.is_(None) & (sessions.c.received_at < before)


def session_rows(
    online: bool | None = None,
    nas: str | None = None,
    contract: int | None = None,
    stale: bool | None = None,
) -> Select[Any]:
    query = (
        select(
            sessions.c.id,
            sessions.c.acct_session_id,
            sessions.c.username,
            sessions.c.contract_id,
            nases.c.name.label("nas"),
            func.host(sessions.c.ipv4).label("ipv4"),
            cast(sessions.c.ipv6, Text).label("ipv6"),
            sessions.c.mac,
            sessions.c.started_at,
            sessions.c.updated_at,
            sessions.c.stopped_at,
            sessions.c.input_octets,
            sessions.c.output_octets,
            sessions.c.terminate_cause,
            session_state().label("state"),
            session_stale().label("stale"),
        )
        .join(nases, sessions.c.nas_id == nases.c.id)
        .outerjoin(contracts, sessions.c.contract_id == contracts.c.id)
    )
    if online is not None:
        stopped = sessions.c.stopped_at
        query = query.where(stopped.is_(None) if online else stopped.is_not(None))
    if stale is not None:
        query = query.where(session_stale() if stale else ~session_stale())
    if nas is not None:
        query = query.where(nases.c.name == nas)
    return query.where(sessions.c.contract_id == contract) if contract is not None else query


def action_rows(
    contract_id: int | None = None, nas: str | None = None, outcome: str | None = None
) -> Select[Any]:
    query = select(
        *(c for c in network_actions.c if c is not network_actions.c.nas_id),
        nases.c.name.label("nas"),
    ).join(nases, network_actions.c.nas_id == nases.c.id)
    if contract_id is not None:
        query = query.where(network_actions.c.contract_id == contract_id)
    if nas is not None:
        query = query.where(nases.c.name == nas)
    return query.where(network_actions.c.outcome == outcome) if outcome is not None else query


def audit_rows(subject: str | None = None, actor: str | None = None) -> Select[Any]:
    query = select(*audit_log.c)
    if subject is not None:
        query = query.where(audit_log.c.subject == subject)
    return query.where(audit_log.c.actor == actor) if actor is not None else query


def operator_rows() -> Select[Any]:
    return select(*(c for c in operators.c if c is not operators.c.password_hash))
