"""The bureaus that the provider has a contract with, and their adapters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.bureaus.known import SHAPES
from api.house import House
from api.store.credit_tables import bureaus

if TYPE_CHECKING:
    from api.bureaus.http import HttpBureau

TABLE = "bureaus"


@dataclass(frozen=True, slots=True)
class Terms:
    """What an inquiry costs, and how long a call may take."""

    price_cents: int
    timeout_ms: int


async def enabled(connection: AsyncConnection) -> dict[str, Terms]:
    """The bureaus that may be asked, by name."""
    found = await connection.execute(
        select(bureaus.c.name, bureaus.c.price_cents, bureaus.c.timeout_ms)
        .where(bureaus.c.enabled)
        .order_by(bureaus.c.name)
    )
    return {row.name: Terms(row.price_cents, row.timeout_ms) for row in found}


async def creditor_document(connection: AsyncConnection, name: str) -> str:
    """Ours, as the bureau knows us."""
    query = select(bureaus.c.creditor_document).where(bureaus.c.name == name)
    return str((await connection.execute(query)).scalar_one())


@asynccontextmanager
async def adapter(house: House, name: str) -> AsyncIterator["HttpBureau"]:
    """One bureau's adapter, for a few calls.

    Raises:
        LookupError: it is not configured.
    """
    # Half of a role's start is imports; who asks no bureau does not wait for an HTTP client.
    from api.bureaus.http import HttpBureau

    async with house.store.reading() as connection:
        query = select(bureaus.c.url, bureaus.c.credential, bureaus.c.timeout_ms)
        row = (await connection.execute(query.where(bureaus.c.name == name))).one_or_none()
    if row is None:
        raise LookupError(f"bureau {name} is not configured; PUT /api/v1/bureaus/{name}")
    credential = house.secrets.open(TABLE, name, "credential", bytes(row.credential)).decode()
    made = HttpBureau(name, SHAPES[name], row.url, credential, timeout_s=row.timeout_ms / 1000)
    try:
        yield made
    finally:
        await made.close()
