"""Rows of attempts: one for each channel that was tried for a notice, a message or a letter."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.outbox_tables import deliveries, delivery_receipts
from api.store.queues import QUEUES, Claimed

# Seven local days, and the change of the clocks.
_CAPPED = timedelta(days=8)
_CAME_BACK = text("""
select channel, address from (
  select distinct on (channel, address) channel, address, state from deliveries
   where subscriber_id = :subscriber_id and started_at > :since
     and state not in ('sending', 'accepted')
   order by channel, address, id desc) as last
 where state = 'bounced'
""")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One channel's attempt. `sending` until it is answered, `accepted` until it is confirmed."""

    id: int
    of: Claimed
    kind: str
    channel: str
    address: str
    external_id: str
    provider_id: str | None
    content_sha256: bytes
    text: str | None
    state: str
    started_at: datetime
    deadline_at: datetime
    confirmed_at: datetime | None
    tries: int
    reason: str | None

    @property
    def goes_on(self) -> bool:
        return self.state in ("sending", "accepted")


async def of(connection: AsyncConnection, subject: Claimed) -> list[Delivery]:
    """The attempts for a row of a queue, in their order."""
    return await _read(connection, subject.queue.delivered == subject.id)


async def by_id(connection: AsyncConnection, delivery_id: int) -> Delivery:
    (found,) = await _read(connection, deliveries.c.id == delivery_id)
    return found


async def find(
    connection: AsyncConnection, channel: str, our_id: str | None, provider_id: str | None
) -> Delivery | None:
    """The attempt that somebody tells of, by our id or else by theirs."""
    for column, value in (
        (deliveries.c.external_id, our_id),
        (deliveries.c.provider_id, provider_id),
    ):
        if value:
            found = await _read(connection, (deliveries.c.channel == channel) & (column == value))
            if found:
                return found[-1]
    return None


async def begin(
    connection: AsyncConnection,
    subject: Claimed,
    *,
    kind: str,
    channel: str,
    address: str,
    external_id: str,
    content_sha256: bytes,
    text: str | None,
    at: datetime,
    deadline_at: datetime,
) -> int:
    """A channel is about to be tried; the attempt's id."""
    row = {
        subject.queue.delivered.name: subject.id,
        "subscriber_id": subject.subscriber_id,
        "kind": kind,
        "channel": channel,
        "address": address,
        "external_id": external_id,
        "content_sha256": content_sha256,
        "text": text,
        "started_at": at,
        "deadline_at": deadline_at,
    }
    statement = insert(deliveries).values(row).returning(deliveries.c.id)
    return int((await connection.execute(statement)).scalar_one())


async def change(connection: AsyncConnection, delivery_id: int, **values: object) -> None:
    """What became of it."""
    await connection.execute(
        update(deliveries).where(deliveries.c.id == delivery_id).values(**values)
    )


async def came_back(
    connection: AsyncConnection, subscriber_id: int, since: datetime
) -> set[tuple[str, str]]:
    """Channel and address of a person whose last attempt came back, if that was not long ago."""
    found = await connection.execute(_CAME_BACK, {"subscriber_id": subscriber_id, "since": since})
    return {(row.channel, row.address) for row in found}


async def sent_at(connection: AsyncConnection, subject: Claimed, now: datetime) -> list[datetime]:
    """When whatever else the person was sent in the last days began to go out."""
    began = func.min(deliveries.c.started_at)
    found = await connection.execute(
        select(began)
        .where(
            deliveries.c.subscriber_id == subject.subscriber_id,
            deliveries.c.started_at > now - _CAPPED,
            subject.queue.delivered.is_distinct_from(subject.id),
        )
        .group_by(*(queue.delivered for queue in QUEUES))
    )
    return list(found.scalars())


async def keep_receipt(
    connection: AsyncConnection,
    delivery_id: int,
    state: str,
    at: datetime | None,
    received_at: datetime,
    reason: str | None,
) -> bool:
    """Keep what was told; False: it was told before."""
    found = await connection.scalar(
        insert(delivery_receipts)
        .values(delivery_id=delivery_id, state=state, at=at, received_at=received_at, reason=reason)
        .on_conflict_do_nothing(index_elements=["delivery_id", "state"])
        .returning(delivery_receipts.c.id)
    )
    return found is not None


async def _read(connection: AsyncConnection, which: ColumnElement[bool]) -> list[Delivery]:
    found = await connection.execute(select(deliveries).where(which).order_by(deliveries.c.id))
    return [_delivery(row) for row in found]


def _delivery(row: Any) -> Delivery:
    queue, row_id = next(
        (queue, row_id) for queue in QUEUES if (row_id := row._mapping[queue.delivered]) is not None
    )
    return Delivery(
        id=row.id,
        of=Claimed(queue, row_id, row.subscriber_id),
        kind=row.kind,
        channel=row.channel,
        address=row.address,
        external_id=row.external_id,
        provider_id=row.provider_id,
        content_sha256=bytes(row.content_sha256),
        text=row.text,
        state=row.state,
        started_at=row.started_at,
        deadline_at=row.deadline_at,
        confirmed_at=row.confirmed_at,
        tries=row.tries,
        reason=row.reason,
    )


def reasons(attempts: Sequence[Delivery]) -> list[tuple[str, str]]:
    """Why each channel that was tried came to nothing."""
    return [(item.channel, item.reason or item.state) for item in attempts]
