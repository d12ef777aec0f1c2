"""A NAS that we know and that lies: from its datagrams to PostgreSQL it harms only itself.

Each attack goes by UDP to a worker, through its journal and the shipper. What another NAS told, and
every row of everybody else, is then what it was, octet for octet; and the next honest record lands.
"""

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from api.house import House
from api.shipper import Shipper
from radius.counters import Counters
from tests.support.database import add_contract, add_nas, add_plan
from tests.support.hostile_nas import ATTACKS, INTERIM, START, Victim, number, told
from tests.support.must_reject import attribute
from tests.support.radius_worker import SECRET, WorkerProcess, client, publish, settings, udp
from tests.support.signatures import authentic_reply, signed_anew

pytestmark = pytest.mark.anyio
JOURNAL_BYTES = 64 << 20


class Town:
    """Two NASes on one worker, and PostgreSQL behind it."""

    def __init__(
        self,
        house: House,
        folder: Path,
        nases: tuple[int, int],
        sockets: tuple[socket.socket, socket.socket],
    ) -> None:
        self.house = house
        self.honest_id, self.hostile_id = nases
        self.honest, self.hostile = sockets
        self.configured = replace(
            settings(folder, journal_max_bytes=JOURNAL_BYTES),
            journal_path=folder / "journal" / "w0",
        )
        publish(
            self.configured.table_path,
            clients=[
                client("127.0.0.1/32", nas_id=self.honest_id),
                client("127.0.0.2/32", nas_id=self.hostile_id),
            ],
        )

    def tell(self, nas: socket.socket, bodies: Sequence[bytes]) -> None:
        """Send each and await its acknowledgement."""
        for at, body in enumerate(bodies):
            request = signed_anew(bytes((4, at % 256, 0, 0)) + bytes(16) + body, SECRET.value)
            nas.send(request)
            assert authentic_reply(nas.recv(8192), request, SECRET.value)

    async def ship(self) -> None:
        """Drain the journal, as the node does."""
        with closing(Shipper(self.house, self.configured.journal_path.parent, JOURNAL_BYTES)) as it:
            while await it.ship():
                pass

    async def rows(self, query: str) -> list[str]:
        async with self.house.store.reading() as connection:
            found = await connection.execute(text(query), {"nas": self.hostile_id})
            return [str(row[0]) for row in found]

    async def others(self) -> dict[str, list[str]]:
        """Every row of the database but what the hostile NAS tells of itself."""
        tables = await self.rows(
            "select table_name from information_schema.tables"
            " where table_schema = 'public' and table_type = 'BASE TABLE'"
        )
        return {
            table: await self.rows(
                f"select to_jsonb(t)::text from {table} t"
                + (" where nas_id <> :nas" if table in OF_A_NAS else " where :nas > 0")
                + " order by 1"
            )
            for table in sorted(tables)
            if table != "shippers"  # only when it was that a shipper was last there
        }

    def counted(self) -> dict[str, int]:
        with Counters(self.configured.counters_path) as counters:
            return counters.read()


OF_A_NAS = ("sessions", "nas_restarts")
# A NAS that returns no Class names its subscribers by User-Name, and there is no other way to know
# them: what it says that one of them used is counted as used.
BELIEVED = ("the victim's session id and name",)


@pytest.fixture
async def nases(house: House) -> tuple[int, int]:
    return await add_nas(house), await add_nas(house, address="127.0.0.2")


@pytest.fixture
def town(house: House, tmp_path: Path, nases: tuple[int, int]) -> Iterator[Town]:
    with udp() as auth, udp() as acct, udp() as honest, udp("127.0.0.2") as hostile:
        for nas in (honest, hostile):
            nas.connect(acct.getsockname())
        made = Town(house, tmp_path, nases, (honest, hostile))
        with WorkerProcess(made.configured, [auth], [acct]):
            yield made


@pytest.fixture
async def victim(town: Town) -> Victim:
    house = town.house
    victim = Victim(await add_contract(house, await add_plan(house)), b"v1")
    await asyncio.to_thread(town.tell, town.honest, [own(victim, START, 0)])
    await town.ship()
    return victim


def own(victim: Victim, status: int, octets: int) -> bytes:
    """What the victim's own NAS says."""
    return told(status, number(42, octets), session_id=victim.session_id, username=victim.username)


@pytest.mark.parametrize("name", ATTACKS)
async def test_it_harms_only_itself(
    town: Town, victim: Victim, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = await town.others()
    assert len(before["sessions"]) == 1

    await asyncio.to_thread(town.tell, town.hostile, ATTACKS[name](victim))
    await town.ship()

    after = await town.others()
    if name in BELIEVED:
        for table in ("usage_hours", "usage_days"):
            assert all('"contract_id": 1,' in row for row in after.pop(table)), "not its victim's"
            before.pop(table)
    assert after == before
    for row in await town.rows(
        "select concat_ws(' ', acct_session_id, username, nas_port_id, mac, terminate_cause)"
        " from sessions where nas_id = :nas"
    ):
        assert row.isprintable()
    for line in caplog.messages:
        assert line.isprintable()
    await asyncio.to_thread(town.tell, town.honest, [own(victim, INTERIM, 4711)])
    await town.ship()
    assert await town.rows("select input_octets from sessions where nas_id <> :nas") == ["4711"]
    assert town.counted()["internal_error"] == 0


async def test_what_it_says_of_itself_is_kept(town: Town, victim: Victim) -> None:
    """The attacks above do reach the table: silence would prove nothing."""
    counted = ATTACKS["counters that go back"](victim)
    reused = ATTACKS["one session id for many users"](victim)
    await asyncio.to_thread(town.tell, town.hostile, counted + reused)
    await town.ship()
    own_rows = await town.rows(
        "select concat(username, ' ', input_octets) from sessions where nas_id = :nas"
    )
    assert sorted(own_rows) == sorted(["mallory 1000", *(f"user{each} 0" for each in range(40))])


async def test_201_attributes_are_silence(town: Town, victim: Victim) -> None:
    body = told(START, attribute(25, b"") * 198)
    town.hostile.send(signed_anew(bytes((4, 1, 0, 0)) + bytes(16) + body, SECRET.value))
    await asyncio.to_thread(town.tell, town.hostile, [own(victim, START, 0)])
    assert town.counted()["malformed"] == 1
