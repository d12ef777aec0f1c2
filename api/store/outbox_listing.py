"""Messages and attempts as lists show them: proof, and never what was said."""

from datetime import tzinfo
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.listing import Item, rows_of
from api.store.outbox_tables import deliveries, delivery_receipts, messages
from api.store.queues import Queue

_TEXTS = (messages.c.subject, messages.c.plain, messages.c.html, messages.c.short)
_INSIDE = (messages.c.channels, messages.c.enqueued_wall, messages.c.next_attempt_wall)
_HIDDEN = {column.name for column in (*_TEXTS, *_INSIDE)}


def message_rows(
    subscriber_id: int | None = None, kind: str | None = None, state: str | None = None
) -> Select[Any]:
    """Messages, each with the channel that delivered it."""
    other = deliveries.alias("other")
    # Two channels may have confirmed it, one of them late: the first is the proof.
    first = (
        select(func.min(other.c.id))
        .where(other.c.message_id == messages.c.id, other.c.state == "confirmed")
        .scalar_subquery()
    )
    query = select(
        *(column for column in messages.c if column.name not in _HIDDEN),
        deliveries.c.channel,
        deliveries.c.address,
        deliveries.c.content_sha256,
    ).select_from(messages.outerjoin(deliveries, deliveries.c.id == first))
    for column, value in (
        (messages.c.subscriber_id, subscriber_id),
        (messages.c.kind, kind),
        (messages.c.state, state),
    ):
        if value is not None:
            query = query.where(column == value)
    return query


async def attempts_of(
    connection: AsyncConnection, queue: Queue, row_id: int, zone: tzinfo
) -> list[Item]:
    """The attempts for a row of a queue, each with its receipts, oldest first."""
    made = await rows_of(
        connection,
        select(deliveries).where(queue.delivered == row_id).order_by(deliveries.c.id),
        zone,
    )
    told = await rows_of(
        connection,
        select(delivery_receipts)
        .join(deliveries, deliveries.c.id == delivery_receipts.c.delivery_id)
        .where(queue.delivered == row_id)
        .order_by(delivery_receipts.c.id),
        zone,
    )
    return [
        item | {"receipts": [one for one in told if one["delivery_id"] == item["id"]]}
        for item in made
    ]
