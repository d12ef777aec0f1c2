"""Rows of money coming in: the notices of providers, and what was posted under a key.

The inbox is the queue: a row is claimed by moving its `next_attempt_wall` past a lease, so that a
crash hands it on by itself. A row being worked on has no `last_error`; one that waits has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Interval,
    and_,
    cast,
    func,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.money_tables import payment_notices, payments
from api.store.staff_tables import facts
from billing.payments.provider import Notice

# Longer than one settling may take, so that nobody else starts on it meanwhile.
LEASE_S = 10


class Contradiction(NamedTuple):
    """A notice whose body differs from the one that is kept under its id."""

    notice_id: int
    external_id: str
    txid: str | None


@dataclass(frozen=True, slots=True)
class Intake:
    """What became of a batch: ids of the rows that are new, and what contradicts a kept row."""

    new_ids: tuple[int, ...]
    contradictions: tuple[Contradiction, ...]


class ClaimedNotice(NamedTuple):
    id: int
    provider: str
    external_id: str
    txid: str | None
    correlation_id: str
    attempts: int
    received_wall: datetime


class PaymentRow(NamedTuple):
    id: int
    amount_cents: int
    method: str
    reference: str
    invoice_id: int | None
    bill_id: int | None
    state: str
    suspense_reason: str | None
    credit_cents: int


async def take_in(
    connection: AsyncConnection,
    provider: str,
    notices: Sequence[Notice],
    correlation_id: str,
    received_at: datetime,
) -> Intake:
    """Keep what is new; say what contradicts. A repeat is neither."""
    # In one order for all, so that two deliveries of the same batch cannot lock each other out.
    ordered = sorted(notices, key=lambda notice: (notice.external_id, notice.kind))
    new_ids = await _insert(connection, provider, ordered, correlation_id, received_at)
    keys = tuple_(payment_notices.c.external_id, payment_notices.c.kind)
    found = await connection.execute(
        select(
            payment_notices.c.external_id,
            payment_notices.c.kind,
            payment_notices.c.id,
            payment_notices.c.sha256,
        ).where(
            payment_notices.c.provider == provider,
            keys.in_([(notice.external_id, notice.kind) for notice in ordered]),
        )
    )
    kept = {(row.external_id, row.kind): (row.id, row.sha256) for row in found}
    contradictions = []
    for notice in ordered:
        notice_id, sha256 = kept[notice.external_id, notice.kind]
        if sha256 != notice.fingerprint:
            contradictions.append(Contradiction(notice_id, notice.external_id, notice.txid))
    return Intake(tuple(new_ids), tuple(contradictions))


async def take_in_listed(
    connection: AsyncConnection,
    provider: str,
    listed: Sequence[Notice],
    correlation_id: str,
    received_at: datetime,
) -> list[int]:
    """Keep what the provider lists and no open or settled notice told; the ids of what is new.

    One that was refused is taken in anew, under the list's own kind: the provider has changed its
    mind. A notice that comes later settles on the same payment.
    """
    if not listed:
        return []
    told = await connection.scalars(
        select(payment_notices.c.external_id).where(
            payment_notices.c.provider == provider,
            payment_notices.c.external_id.in_([notice.external_id for notice in listed]),
            payment_notices.c.state != "refused",
        )
    )
    known = frozenset(told)
    missing = [notice for notice in listed if notice.external_id not in known]
    return await _insert(connection, provider, missing, correlation_id, received_at)


async def _insert(
    connection: AsyncConnection,
    provider: str,
    notices: Sequence[Notice],
    correlation_id: str,
    received_at: datetime,
) -> list[int]:
    if not notices:
        return []
    rows = [
        {
            "provider": provider,
            "external_id": notice.external_id,
            "kind": notice.kind,
            "sha256": notice.fingerprint,
            "body": {"txid": notice.txid, **notice.body},
            "correlation_id": correlation_id,
            "received_at": received_at,
        }
        for notice in notices
    ]
    inserted = await connection.scalars(
        insert(payment_notices)
        .values(rows)
        .on_conflict_do_nothing()
        .returning(payment_notices.c.id)
    )
    return list(inserted)


async def claim_notices(
    connection: AsyncConnection, limit: int, *, notice_id: int | None = None
) -> list[ClaimedNotice]:
    """Take up to `limit` notices that are due (or the one named, if due) for `LEASE_S`."""
    open_now: ColumnElement[bool] = and_(
        payment_notices.c.state == "received",
        payment_notices.c.next_attempt_wall <= func.clock_timestamp(),
    )
    if notice_id is not None:
        open_now = and_(open_now, payment_notices.c.id == notice_id)
    due = (
        select(payment_notices.c.id)
        .where(open_now)
        .order_by(payment_notices.c.next_attempt_wall)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claimed = await connection.execute(
        update(payment_notices)
        .where(payment_notices.c.id.in_(select(due.c.id)))
        .values(
            attempts=payment_notices.c.attempts + 1,
            next_attempt_wall=in_seconds(LEASE_S),
            last_error=None,
        )
        .returning(
            payment_notices.c.id,
            payment_notices.c.provider,
            payment_notices.c.external_id,
            payment_notices.c.body["txid"].astext,
            payment_notices.c.correlation_id,
            payment_notices.c.attempts,
            payment_notices.c.received_wall,
        )
    )
    return [ClaimedNotice(*row) for row in claimed]


async def notices_in_work(connection: AsyncConnection) -> bool:
    """Whether somebody holds a lease on a notice."""
    held = select(payment_notices.c.id).where(
        payment_notices.c.state == "received",
        payment_notices.c.attempts > 0,
        payment_notices.c.last_error.is_(None),
        payment_notices.c.next_attempt_wall > func.clock_timestamp(),
    )
    return bool(await connection.scalar(select(held.exists())))


async def lock_open_notice(connection: AsyncConnection, notice_id: int) -> bool:
    """Lock a notice until commit; False if it has been settled or refused meanwhile."""
    found = await connection.scalar(
        select(payment_notices.c.id)
        .where(payment_notices.c.id == notice_id, payment_notices.c.state == "received")
        .with_for_update()
    )
    return found is not None


async def close_notice(
    connection: AsyncConnection, notice_id: int, state: str, error: str | None
) -> None:
    """Settled or refused: nobody claims it again."""
    await connection.execute(
        update(payment_notices)
        .where(payment_notices.c.id == notice_id)
        .values(state=state, last_error=error)
    )


async def retry_notice(
    connection: AsyncConnection, notice_id: int, after_s: float, error: str
) -> None:
    """Due again after a while, with the reason why it waits."""
    await connection.execute(
        update(payment_notices)
        .where(payment_notices.c.id == notice_id, payment_notices.c.state == "received")
        .values(next_attempt_wall=in_seconds(after_s), last_error=error)
    )


def in_seconds(seconds: float) -> ColumnElement[datetime]:
    """The database's real time, and a while: one clock for all replicas."""
    return func.clock_timestamp() + cast(literal(timedelta(seconds=seconds)), Interval)


async def lock_payment_key(
    connection: AsyncConnection, provider: str, external_id: str
) -> PaymentRow | None:
    """Keep others from posting under this key until commit; the payment that stands under it."""
    key = f"payment:{provider}:{external_id}"
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))
    row = (
        await connection.execute(
            select(
                payments.c.id,
                payments.c.amount_cents,
                payments.c.method,
                payments.c.reference,
                payments.c.invoice_id,
                payments.c.bill_id,
                payments.c.state,
                payments.c.suspense_reason,
                payments.c.credit_cents,
            ).where(payments.c.provider == provider, payments.c.external_id == external_id)
        )
    ).one_or_none()
    return None if row is None else PaymentRow(*row)


async def read_watermark(connection: AsyncConnection, provider: str) -> datetime | None:
    """Up to when (real time) the provider's list of payments has been read."""
    value = await connection.scalar(
        select(facts.c.value).where(facts.c.name == f"received:{provider}")
    )
    return None if value is None else datetime.fromisoformat(str(value))


async def move_watermark(connection: AsyncConnection, provider: str, until: datetime) -> None:
    statement = insert(facts).values(name=f"received:{provider}", value=until.isoformat())
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={"value": statement.excluded.value}
        )
    )
