"""The migrations make exactly the tables that the program knows, whoever else migrates too."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic import command

from api.store import migrate, revision
from tests.support.database import Cluster, libpq

ROOT = Path(__file__).parents[2]


@pytest.fixture
def empty_url(database_cluster: Cluster) -> Iterator[str]:
    url = database_cluster.create_empty()
    yield url
    database_cluster.drop(url)


def test_the_schema_is_what_the_tables_say(database_url: str) -> None:
    command.check(migrate.config(database_url))


def test_down_to_nothing_and_up_again(empty_url: str) -> None:
    assert migrate.current(empty_url) is None
    migrate.upgrade(empty_url)
    assert migrate.current(empty_url) == migrate.head()
    command.downgrade(migrate.config(empty_url), "base")
    with psycopg.connect(libpq(empty_url)) as connection:
        left = connection.execute(
            "select relname from pg_class where relnamespace = 'public'::regnamespace"
            " and relname not like 'alembic_version%'"
            " union all select proname from pg_proc where pronamespace = 'public'::regnamespace"
        ).fetchall()
    assert left == []
    migrate.upgrade(empty_url)
    command.check(migrate.config(empty_url))


def test_several_at_once_migrate_once(empty_url: str) -> None:
    code = "import sys; from api.store import migrate; migrate.upgrade(sys.argv[1])"
    command_line = [sys.executable, "-c", code, empty_url]
    running = [subprocess.Popen(command_line, cwd=ROOT) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert migrate.current(empty_url) == migrate.head()


def test_the_newest_revision_is_known_without_alembic_too() -> None:
    assert revision.newest() == migrate.head()
