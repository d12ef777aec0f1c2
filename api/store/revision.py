"""Whether the database is at this program's revision, asked without loading Alembic.

Every command asks; hardly any has to migrate.
"""

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

_VERSIONS = Path(__file__).parents[1] / "migrations" / "versions"


def newest() -> str:
    """The newest revision that this program has: migrations are named by number."""
    return max(path.name[:4] for path in _VERSIONS.glob("[0-9]*.py"))


async def is_newest(connection: AsyncConnection) -> bool:
    """Whether nothing is to be migrated."""
    try:
        found = await connection.execute(text("select version_num from alembic_version"))
    except ProgrammingError:
        return False
    return found.scalar_one_or_none() == newest()
