"""What recomputing the books found, kept as rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.book_tables import book_checks

TOLD_MAX = 20
_TOLD_LENGTH = 500


class Check(NamedTuple):
    """One recomputation; `told` are the first of its differences."""

    at: datetime
    at_wall: datetime
    actor: str
    differences: int
    told: Sequence[str]


async def keep(
    connection: AsyncConnection, actor: str, differences: Sequence[str], now: datetime
) -> None:
    """Keep what a recomputation found at the business instant `now`."""
    told = [one[:_TOLD_LENGTH] for one in differences[:TOLD_MAX]]
    row = {"at": now, "actor": actor, "differences": len(differences), "told": told}
    await connection.execute(insert(book_checks).values(**row))


async def last(connection: AsyncConnection) -> Check | None:
    """The last recomputation; None: there was none yet."""
    names = (book_checks.c[name] for name in Check._fields)
    query = select(*names).order_by(book_checks.c.id.desc()).limit(1)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Check(*row)
