"""How a person wants to be reached: preferences as they stand, consents as they were given."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.outbox_tables import consents, contact_preferences
from billing.contact import Preferences


class Consent(NamedTuple):
    """The last word on a channel: given or withdrawn, when, and where it was said."""

    channel: str
    given: bool
    at: datetime
    source: str
    author: str


@dataclass(frozen=True, slots=True)
class Contact:
    """`language` None: the house's own."""

    channels: tuple[str, ...] = ()
    language: str | None = None
    opted_out: tuple[str, ...] = ()
    consents: tuple[Consent, ...] = ()

    @property
    def preferences(self) -> Preferences:
        return Preferences(
            channels=self.channels,
            opted_out=frozenset(self.opted_out),
            consents={item.channel: item.given for item in self.consents},
        )


async def read(connection: AsyncConnection, subscriber_id: int) -> Contact:
    """What a person asked for; nothing was ever said: the defaults."""
    row = (
        await connection.execute(
            select(contact_preferences).where(contact_preferences.c.subscriber_id == subscriber_id)
        )
    ).one_or_none()
    said = await connection.execute(
        select(
            consents.c.channel,
            consents.c.given,
            consents.c.at,
            consents.c.source,
            consents.c.author,
        )
        .ext(distinct_on(consents.c.channel))
        .where(consents.c.subscriber_id == subscriber_id)
        .order_by(consents.c.channel, consents.c.id.desc())
    )
    last = tuple(Consent(*item) for item in said)
    if row is None:
        return Contact(consents=last)
    return Contact(tuple(row.channels), row.language, tuple(row.opted_out), last)


async def prefer(
    connection: AsyncConnection,
    subscriber_id: int,
    *,
    channels: Sequence[str],
    language: str | None,
    opted_out: Sequence[str],
    author: str,
    at: datetime,
) -> None:
    """These preferences, in place of those that stood."""
    row = {
        "channels": list(channels),
        "language": language,
        "opted_out": list(opted_out),
        "author": author,
        "changed_at": at,
    }
    await connection.execute(
        insert(contact_preferences)
        .values(subscriber_id=subscriber_id, **row)
        .on_conflict_do_update(index_elements=["subscriber_id"], set_=row)
    )


async def say(connection: AsyncConnection, subscriber_id: int, consent: Consent) -> None:
    """A consent given or withdrawn; what was said before stays on record."""
    await connection.execute(
        insert(consents).values(subscriber_id=subscriber_id, **consent._asdict())
    )
