"""The kill switch in a file: it works with the database down, and the database follows it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from api import kill_switch, switching
from api.enforce import Enforcer
from api.failures import Refused
from api.operators import Role
from api.store import guard_rows
from api.store.guard_tables import kill_switches
from api.switch_file import NAME, Note, SwitchFile
from config.settings import Settings
from radius.client import DynauthClient
from radius.dynauth import Timers
from tests.support.dae import Heard, dae
from tests.support.database import Cluster, add_nas, libpq
from tests.support.debtors import audited, rows
from tests.support.http_face import open_face
from tests.support.late_payers import Late, late

pytestmark = pytest.mark.anyio

# A resend every fifth of a second.
PATIENT = Timers(initial_s=0.2, wait_max_s=0.2, sends_max=200, duration_max_s=60.0)
CUT, FULL = "coa 1M/2M", "coa 50M/100M"


@pytest.fixture
async def lines(database_url: str, tmp_path: Path) -> AsyncIterator[Late]:
    """Three who are slowed at the same instant."""
    made = await late(database_url, tmp_path, 3, "slowed")
    yield made
    await made.house.store.close()


@contextmanager
def _away(cluster: Cluster, url: str) -> Iterator[None]:
    """The database lets nobody in, and whoever is in goes."""
    name = make_url(url).database
    with psycopg.connect(libpq(cluster.url), autocommit=True) as admin:
        admin.execute(f"alter database {name} allow_connections false".encode())
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,)
        )
        try:
            yield
        finally:
            admin.execute(f"alter database {name} allow_connections true".encode())


async def test_with_the_database_down_no_cut_is_sent_again_and_a_restart_keeps_it_so(
    lines: Late, database_cluster: Cluster, database_url: str
) -> None:
    first = lines.debtors[0].username

    def behave(heard: Heard, times: int) -> str | None:
        return "ack" if heard.username == first else None

    await lines.at_the_cut()
    file, stop = lines.house.switch_file, asyncio.Event()
    async with dae(behave) as nas:
        nas_id = await add_nas(lines.house, "bng-1", coa_port=nas.port)
        await lines.change(
            "insert into sessions (unique_id, acct_session_id, username, contract_id, nas_id,"
            " nas_address, started_at, updated_at, received_at, applied_generation, applied_level)"
            " select sha256(l.username::bytea), l.username, l.username, l.contract_id, :nas,"
            " '127.0.0.1', now(), now(), now(), 1, 'full' from logins l",
            nas=nas_id,
        )
        client = DynauthClient(PATIENT)
        running = asyncio.create_task(Enforcer(lines.house, client).run(stop))
        assert len((await lines.run()).changes) == 3
        while nas.sent(first) != [CUT] or len(nas.heard) < 5:
            await nas.hears(len(nas.heard) + 1)
        with _away(database_cluster, database_url):
            heard = len(nas.heard)
            await nas.hears(heard + 4)  # what was on its way is sent on
            # By hand, with nothing but a shell.
            file.path.touch()
            assert await nas.quiet() < 1.0, "a cut was sent under the file"
            stop.set()
            await running
        # Started again with the file there and the database back: nothing is sent either.
        stop = asyncio.Event()
        tasks = [
            asyncio.create_task(Enforcer(lines.house, client).run(stop)),
            asyncio.create_task(kill_switch.follow(lines.house, stop)),
        ]
        deadline = time.monotonic() + 10
        while await lines.levels() != ["reduced", "full", "full"]:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        # The database follows: what had reached no line is taken back.
        (switch,) = await rows(lines.house, kill_switches)
        assert (switch["scope"], switch["author"], switch["lifted_at"]) == ("global", NAME, None)
        assert len(await audited(lines.house, "cut.taken_back")) == 2
        assert [nas.sent(debtor.username).count(CUT) for debtor in lines.debtors] == [1, 1, 1]
        # Restores ask no switch.
        await lines.pay(0)
        while FULL not in nas.sent(first):
            await nas.hears(len(nas.heard) + 1)
        stop.set()
        await asyncio.gather(*tasks)
        await client.close()


async def test_the_file_alone_bars_every_cut_and_is_shown(lines: Late) -> None:
    lines.house.switch_file.put("ana", "pagamentos não chegaram")
    async with lines.house.uow("test", "look") as uow:
        assert (await uow.desk()).bars == ("kill_switch",)
        assert await guard_rows.stands(uow.connection, kill_switch.EVERYTHING) is False
    await lines.at_the_cut()  # sweeps on the way put it in the database
    assert (await lines.run()).changes == ()
    async with open_face(lines.house) as face:
        noc = await face.client(Role.NOC)
        told = (await noc.get("/api/v1/guards")).json()
        assert told["bars"] == ["kill_switch"]
        assert told["switch_file"] == {
            "path": str(lines.house.switch_file.path),
            "author": "ana",
            "reason": "pagamentos não chegaram",
        }
        (item,) = (await noc.get("/api/v1/kill-switches", params={"on": True})).json()["items"]
        assert (item["author"], item["file_stands"]) == ("ana", True)
        url, why = "/api/v1/kill-switches/global", {"reason": "voltaram"}
        refused = await noc.delete(url, params=why)
        assert (refused.status_code, refused.json()["type"]) == (
            409,
            "urn:religa:switch-file-stands",
        )
        assert NAME in refused.json()["detail"]
        assert lines.house.switch_file.lift()
        assert (await noc.delete(url, params=why)).json()["contracts_to_review"] == 3
        (item,) = (await noc.get("/api/v1/kill-switches")).json()["items"]
        assert (item["lifted_because"], item["file_stands"]) == ("voltaram", False)
    assert len((await lines.run()).changes) == 3


async def test_the_command_writes_both_and_without_a_database_the_file(
    lines: Late, capsys: pytest.CaptureFixture[str], database_cluster: Cluster, database_url: str
) -> None:
    settings: Settings = lines.house.settings
    assert await switching.put(settings, "teste", "ana") == 0
    assert lines.house.switch_file.read() == Note("ana", "teste")
    (switch,) = await rows(lines.house, kill_switches)
    assert (switch["author"], switch["reason"]) == ("ana", "teste")
    assert await switching.show(settings) == 0
    told = capsys.readouterr().out
    assert "stands (ana: teste)" in told
    assert "global: since" in told
    assert await switching.lift(settings, "feito", "bia") == 0
    assert not lines.house.switch_file.stands()
    (switch,) = await rows(lines.house, kill_switches)
    assert (switch["lifted_by"], switch["lifted_because"]) == ("bia", "feito")
    with pytest.raises(Exception, match="no kill switch is on"):
        await switching.lift(settings, "feito", "bia")
    with _away(database_cluster, database_url):
        capsys.readouterr()
        assert await switching.put(settings, "banco fora", "ana") == 0
        shown = capsys.readouterr()
        assert "no cut is sent from this machine" in shown.out
        assert "the database is away" in shown.err
        assert await switching.show(settings) == 1
        assert await switching.lift(settings, "feito", "ana") == 1
        assert "run this again" in capsys.readouterr().err


def test_what_a_file_says_of_itself(tmp_path: Path) -> None:
    file = SwitchFile(tmp_path / "var")
    # Where nobody has a directory, nobody looks for a file.
    with pytest.raises(FileNotFoundError):
        file.put("ana", "a")
    file.data_dir.mkdir()
    assert (file.stands(), file.read(), file.lift()) == (False, None, False)
    file.put("ana", "a")
    file.put("bia", "b")
    said = file.read()
    assert said is not None
    assert (said.author, said.reason) == ("ana", "a")
    assert [path.name for path in file.data_dir.iterdir()] == [NAME]
    for text, reason in (
        ("", ""),
        ("parem\n tudo", "parem tudo"),
        ("{", "{"),
        ("[1]", "[1]"),
        # What a database takes in no text, and what no reader of JSON follows.
        ("pa\0rem", "pa rem"),
        ('{"reason": "\\u0000 parem \\ud800"}', "parem ?"),
        ("[" * 4096, "[" * 500),
    ):
        file.path.write_text(text)
        said = file.read()
        assert said is not None
        assert (said.author, said.reason) == ("", reason)
    file.path.unlink()
    file.path.mkdir()
    assert file.stands()
    # What cannot be looked at counts as standing.
    file.path.rmdir()
    file.path.symlink_to(file.path)
    assert file.stands()


async def test_the_command_is_refused_where_no_server_keeps_its_data(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    for command in (
        switching.put(settings, "parem", "ana"),
        switching.lift(settings, "feito", "ana"),
        switching.show(settings),
    ):
        with pytest.raises(Refused, match="no server keeps its data in "):
            await command
    assert not SwitchFile(tmp_path).stands()
