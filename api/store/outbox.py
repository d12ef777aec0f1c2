"""Rows of what a person is sent: enqueued once, delivered by the messenger as notices are."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.notice_text import Wording
from api.store.outbox_tables import messages


class Message(NamedTuple):
    """What is to be said; `channels` empty: those of the house."""

    kind: str
    wording: Wording
    channels: tuple[str, ...]
    useful_until: datetime | None


_WAKE = text("select pg_notify('religa_messages', cast(:id as text))")


async def enqueue(
    connection: AsyncConnection,
    *,
    subscriber_id: int,
    kind: str,
    reference: str,
    language: str,
    wording: Wording,
    wanted_at: datetime,
    contract_id: int | None = None,
    channels: Sequence[str] | None = None,
    useful_until: datetime | None = None,
) -> int | None:
    """Have something sent, once; its id, or None when it is there already.

    Args:
        connection: of the transaction with which it is to be committed.
        subscriber_id: to whom.
        kind: reminder, receipt, thanks, survey or other; the person may not want a kind.
        reference: what it is about; unique of a person and a kind, as in `invoice:12:before:3`.
        language: that of the wording, `pt-BR` or `en`.
        wording: what it says; `short` goes by SMS and WhatsApp, `plain` where that is empty.
        wanted_at: it goes out from this instant on, when quiet hours and the cap allow.
        contract_id: the contract that it is of, for lists.
        channels: those that may be used, in order; None: the house's, as the person prefers them.
        useful_until: it is given up if it has not gone out by then; None: never.
    """
    row = {
        "subscriber_id": subscriber_id,
        "contract_id": contract_id,
        "kind": kind,
        "reference": reference,
        "language": language,
        "subject": wording.subject,
        "plain": wording.plain,
        "html": wording.html,
        "short": wording.short or wording.plain,
        "channels": None if channels is None else list(channels),
        "wanted_at": wanted_at,
        "wait_until": wanted_at,
        "useful_until": useful_until,
    }
    found: int | None = await connection.scalar(
        insert(messages)
        .values(row)
        .on_conflict_do_nothing(index_elements=["subscriber_id", "kind", "reference"])
        .returning(messages.c.id)
    )
    if found is not None:
        await connection.execute(_WAKE, {"id": found})
    return found


async def read(connection: AsyncConnection, message_id: int) -> Message:
    """A message as it was enqueued."""
    row = (await connection.execute(select(messages).where(messages.c.id == message_id))).one()
    wording = Wording(row.subject, row.plain, row.html, row.short)
    return Message(row.kind, wording, tuple(row.channels or ()), row.useful_until)
