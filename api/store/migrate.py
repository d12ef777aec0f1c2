"""Bringing a database to the schema of this program, and asking whether it is there."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.pool import NullPool

_SCRIPTS = Path(__file__).parents[1] / "migrations"


def config(url: str) -> Config:
    """Alembic's configuration for the database at `url`."""
    made = Config()
    made.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    made.attributes["url"] = make_url(url).set(drivername="postgresql+psycopg")
    return made


def upgrade(url: str) -> None:
    """Run the migrations that the database lacks. Blocks. Two at once: the second one waits."""
    command.upgrade(config(url), "head")


def head() -> str | None:
    """The newest revision that this program knows."""
    return ScriptDirectory(str(_SCRIPTS)).get_current_head()


def current(url: str) -> str | None:
    """The revision that the database is at; None: it is empty. Blocks."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
