"""Fixtures for every kind of test, and who of them may open sockets."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_socket
from hypothesis import settings

from api.house import House
from tests.support.database import Cluster, cluster, make_house

# The same examples every time, so that a change is judged by nothing but itself; by chance, and so
# other ones, under `make sim WORLD=laws`. A busy machine breaks no law.
settings.register_profile("fixed", derandomize=True, database=None, deadline=None)
settings.register_profile("chance", database=None, deadline=None)
settings.load_profile("fixed")

_PURE = {"unit", "property", "vectors"}
_LOOPBACK = ["127.0.0.0/8", "::1"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Pure tests have no network; the others have this machine. Unix sockets are asyncio's own."""
    kind = item.path.relative_to(Path(__file__).parent).parts[0]
    if kind in _PURE:
        pytest_socket.disable_socket(allow_unix_socket=True)
    else:
        pytest_socket.socket_allow_hosts(_LOOPBACK, allow_unix_socket=True)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def database_cluster() -> Iterator[Cluster]:
    """One embedded server for the session."""
    with cluster() as started:
        yield started


@pytest.fixture
def database_url(database_cluster: Cluster) -> Iterator[str]:
    """A database of the test's own, migrated and empty."""
    url = database_cluster.create()
    yield url
    database_cluster.drop(url)


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """A house on a fresh database, in real time, without payment providers."""
    made = await make_house(database_url, tmp_path)
    yield made
    await made.store.close()
