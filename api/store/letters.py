"""Rows of letters before a listing: what they name, and the proof that is kept with them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.credit_tables import listing_letters
from api.store.customer_tables import contracts


class Drawn(NamedTuple):
    """A letter as it was drawn, and the policy that its contract follows."""

    contract_id: int
    policy_name: str
    bureaus: Sequence[str]
    amounts_cents: Mapping[int, int]


async def read(connection: AsyncConnection, letter_id: int) -> Drawn:
    row = (
        await connection.execute(
            select(
                listing_letters.c.contract_id,
                contracts.c.policy,
                listing_letters.c.bureaus,
                listing_letters.c.amounts_cents,
            )
            .join(contracts, contracts.c.id == listing_letters.c.contract_id)
            .where(listing_letters.c.id == letter_id)
        )
    ).one()
    named = {int(key): cents for key, cents in row.amounts_cents.items()}
    return Drawn(row.contract_id, row.policy, tuple(row.bureaus), named)


async def name(
    connection: AsyncConnection, letter_id: int, amounts_cents: Mapping[int, int]
) -> None:
    """What it names now, on whatever channel: never more than it named before."""
    stored = {str(key): cents for key, cents in amounts_cents.items()}
    await _change(connection, _drawn(letter_id), {"amounts_cents": stored})


async def prove(
    connection: AsyncConnection,
    letter_id: int,
    at: datetime,
    *,
    channel: str,
    address: str,
    message_id: str,
    content_sha256: bytes,
) -> bool:
    """What was sent, and where to; False: it is proven already."""
    values = {
        "state": "proven",
        "proven_at": at,
        "channel": channel,
        "address": address,
        "message_id": message_id,
        "content_sha256": content_sha256,
        "failed_at": None,
        "wait_until": None,
        "last_error": None,
    }
    # One that was given up counts too: the word that it was delivered comes late.
    unproven = (listing_letters.c.id == letter_id) & (listing_letters.c.state != "proven")
    return await _change(connection, unproven, values)


async def unprove(connection: AsyncConnection, letter_id: int, message_id: str) -> bool:
    """That which proved it came back; False: something else did, and stands."""
    which = (
        (listing_letters.c.id == letter_id)
        & (listing_letters.c.state == "proven")
        & (listing_letters.c.message_id == message_id)
    )
    return await _change(connection, which, {"state": "drawn", "proven_at": None})


def _drawn(letter_id: int) -> ColumnElement[bool]:
    return (listing_letters.c.id == letter_id) & (listing_letters.c.state == "drawn")


async def _change(
    connection: AsyncConnection, which: ColumnElement[bool], values: Mapping[str, object]
) -> bool:
    done = await connection.execute(update(listing_letters).where(which).values(**values))
    return bool(done.rowcount)
