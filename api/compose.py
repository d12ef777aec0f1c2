"""The composition root: the only place where real things are chosen and put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from functools import cache

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.clock import Clock, ManualClock, SystemClock, day_start, wall
from api.house import House
from api.store import embedded, revision
from api.store.policies import ensure_policies
from api.store.secrets import (
    LostKey,
    SecretBox,
    check_key,
    drop_new_key,
    keep_key,
    load_key,
)
from api.store.uow import Store
from billing import calendar
from billing.payments.provider import PaymentProvider
from config import policies
from config.settings import Settings


def database_url(settings: Settings) -> str:
    """The database to use: the one named, else the embedded one, started or adopted."""
    named = settings.database_url.get_secret_value()
    return named or embedded.start(settings.data_dir)


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncIterator[House]:
    """A house on a database that is already prepared (`prepare`)."""
    store = Store(database_url(settings))
    providers: dict[str, PaymentProvider] = {}
    pix = None
    if settings.pix_url:
        # Half of a role's start is imports; who has no Pix does not wait for an HTTP client.
        from api.pix import PixProvider

        providers["pix"] = pix = PixProvider(settings)
    clock: Clock = SystemClock(settings.zone)
    if settings.clock == "manual":
        clock = ManualClock(settings.zone)
    try:
        yield House(
            settings=settings,
            store=store,
            clock=clock,
            secrets=SecretBox(load_key(settings)),
            load_calendar=cache(lambda: provider_calendar(settings, wall().date())),
            providers=providers,
        )
    finally:
        if pix is not None:
            await pix.close()
        await store.close()


def provider_calendar(settings: Settings, today: date) -> calendar.Calendar:
    """The calendar of the provider's own place, without what is written down in the database."""
    around = calendar.YEARS_AROUND
    years = range(today.year + around.start, today.year + around.stop)
    return replace(calendar.brazil(years, settings.place.state), place=settings.place)


async def prepare(house: House) -> None:
    """Bring the database to this release: schema, shipped policies, key check, rehearsal clock.

    Raises:
        LostKey: the database holds secrets sealed under another key.
    """
    async with house.store.reading() as connection:
        current = await revision.is_newest(connection)
    if not current:
        from api.store import migrate  # loads Alembic

        migrate.upgrade(house.store.url)
    async with house.uow("start", "start") as uow:
        try:
            await check_key(uow.connection, house.secrets)
        except LostKey:
            drop_new_key(house.settings)
            raise
        keep_key(house.settings)
        await ensure_policies(uow.connection, policies.shipped(), wall())
        if house.clock.manual and not await _clock_is_set(uow.connection):
            today = wall().astimezone(house.settings.zone).date()
            await uow.move_clock(day_start(today, house.settings.zone))


async def _clock_is_set(connection: AsyncConnection) -> bool:
    found = await connection.execute(text("select 1 from facts where name = 'clock'"))
    return found.scalar_one_or_none() is not None
