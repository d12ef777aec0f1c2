"""The embedded server outlives its starter, comes back when killed, and lets nobody else in."""

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import make_url, text

from api.store import embedded
from api.store.uow import DatabaseAway, Store
from tests.support.database import libpq

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data_dir() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="religa-test-"))
    yield made
    embedded.stop(made)
    shutil.rmtree(made)


def _start_elsewhere(data_dir: Path) -> subprocess.Popen[str]:
    """Another process starts the server, says so, and lives on."""
    code = (
        "import sys; from pathlib import Path; from api.store import embedded;"
        "print(embedded.start(Path(sys.argv[1])), flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(data_dir)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("postgresql+psycopg://")
    return process


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def _postmaster(data_dir: Path) -> psutil.Process:
    return psutil.Process(int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0]))


def _rows(url: str) -> list[int]:
    with psycopg.connect(libpq(url)) as connection:
        return [row[0] for row in connection.execute("select n from kept order by n")]


def _keep(url: str, number: int) -> None:
    with psycopg.connect(libpq(url)) as connection:
        connection.execute("create table if not exists kept (n int)")
        connection.execute("insert into kept values (%s)", [number])


def test_a_server_whose_owner_was_killed_is_adopted(data_dir: Path) -> None:
    owner = _start_elsewhere(data_dir)
    try:
        _keep(embedded.start(data_dir), 1)
        postmaster = _postmaster(data_dir)
    finally:
        _end(owner)
    assert embedded.running(data_dir)
    assert _rows(embedded.start(data_dir)) == [1]
    assert _postmaster(data_dir) == postmaster


def test_a_server_that_was_killed_comes_back_with_its_data(data_dir: Path) -> None:
    url = embedded.start(data_dir)
    _keep(url, 1)
    postmaster = _postmaster(data_dir)
    for process in [postmaster, *postmaster.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # it went with the one before it
            process.send_signal(signal.SIGKILL)
    assert embedded.start(data_dir) == url
    assert _rows(url) == [1]


def test_a_pid_file_that_names_a_stranger_does_not_pass_for_a_server(data_dir: Path) -> None:
    url = embedded.start(data_dir)
    _keep(url, 1)
    pid_file = data_dir / "postgres" / "postmaster.pid"
    stale = pid_file.read_text()
    embedded.stop(data_dir)
    # As after a reboot: the number belongs to somebody else now, here to this test.
    pid_file.write_text("\n".join([str(os.getpid()), *stale.splitlines()[1:]]) + "\n")
    if os.geteuid() == 0:
        owner = pid_file.parent.stat()
        os.chown(pid_file, owner.st_uid, owner.st_gid)
    assert not embedded.running(data_dir)
    assert _rows(embedded.start(data_dir)) == [1]


def test_a_first_start_cut_short_is_begun_again(data_dir: Path) -> None:
    half = data_dir / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    _keep(embedded.start(data_dir), 1)
    assert not half.exists()


def test_a_commit_is_on_disk_when_it_is_answered(data_dir: Path) -> None:
    with psycopg.connect(libpq(embedded.start(data_dir))) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"show {setting}".encode()).fetchone() == ("on",)


def test_two_data_directories_are_two_servers(data_dir: Path) -> None:
    second = data_dir / "second"
    try:
        _keep(embedded.start(data_dir), 1)
        _keep(embedded.start(second), 2)
        assert _rows(embedded.start(data_dir)) == [1]
    finally:
        embedded.stop(second)
    assert not embedded.running(second)
    assert embedded.running(data_dir)


@pytest.mark.parametrize("depth", [0, 1])
def test_nobody_else_can_enter_where_the_socket_is(data_dir: Path, depth: int) -> None:
    # One level deep is too long for a socket: it then has a directory of its own.
    deep = data_dir.joinpath(*["d" * 100] * depth)
    url = embedded.start(deep)
    socket_dir = Path(str(make_url(url).query["host"]))
    try:
        assert (socket_dir == deep / "postgres") == (depth == 0)
        assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
        assert (socket_dir / ".s.PGSQL.5432").is_socket()
        with psycopg.connect(libpq(url)) as connection:
            listening = connection.execute("show listen_addresses").fetchone()
        assert listening == ("",)
    finally:
        embedded.stop(deep)
        if depth:
            shutil.rmtree(socket_dir)


def test_a_socket_directory_that_others_may_enter_is_refused(data_dir: Path) -> None:
    deep = data_dir / ("d" * 100)
    url = embedded.start(deep)
    embedded.stop(deep)
    socket_dir = Path(str(make_url(url).query["host"]))
    try:
        socket_dir.chmod(0o777)
        with pytest.raises(embedded.EmbeddedError, match="not ours alone"):
            embedded.start(deep)
    finally:
        shutil.rmtree(socket_dir)


async def _stop_in_the_middle(store: Store, data_dir: Path) -> None:
    async with store.reading() as connection:
        await connection.execute(text("select 1"))
        await asyncio.to_thread(embedded.stop, data_dir)
        await connection.execute(text("select 1"))


@pytest.mark.anyio
async def test_a_restart_costs_only_what_was_under_way(data_dir: Path) -> None:
    store = Store(await asyncio.to_thread(embedded.start, data_dir))
    told = store.listen(["spoken"])
    assert await anext(told) == ("reconnected", "")
    with pytest.raises(DatabaseAway):
        await _stop_in_the_middle(store, data_dir)
    await asyncio.to_thread(embedded.start, data_dir)
    assert await asyncio.wait_for(anext(told), 10) == ("reconnected", "")
    async with store.engine.begin() as connection:
        await connection.execute(text("select pg_notify('spoken', 'again')"))
    assert await asyncio.wait_for(anext(told), 10) == ("spoken", "again")
    await told.aclose()
    await store.close()
