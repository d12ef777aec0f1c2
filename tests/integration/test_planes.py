"""What crosses between the planes: grants go down to LMDB, accounting comes up to PostgreSQL."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from api.clock import wall
from api.house import House
from api.publisher import Publisher
from api.shipper import Shipper
from radius import dictionary
from radius.accounting import Record, read
from radius.codec import Code, Packet, Secret, encode_request
from radius.journal import Journal
from radius.session_class import Issuer
from radius.table import GrantTable
from tests.support.database import Added, add_contract, add_nas, add_plan

pytestmark = pytest.mark.anyio
MAX_BYTES = 16 << 20
START, STOP, INTERIM, ON = 1, 2, 3, 7


@pytest.fixture
def table(house: House, tmp_path: Path) -> Iterator[GrantTable]:
    key = house.secrets.derive("grant-table")
    with GrantTable(tmp_path / "grants", key, readonly=False) as opened:
        yield opened


class Line:
    """One session as its NAS tells it, and what PostgreSQL then holds of it."""

    def __init__(self, house: House, folder: Path, nas_id: int, added: Added) -> None:
        self.house = house
        self.added = added
        self.nas_id = nas_id
        self.journal_path = folder / "journal" / "w0"
        self.journal_path.parent.mkdir(exist_ok=True)
        self.began = wall().replace(microsecond=0) - timedelta(minutes=10)

    def class_value(self, generation: int) -> bytes:
        key = self.house.secrets.derive("radius-class")
        return Issuer(key).make(self.added.login_id, generation, b"ab")

    def record(
        self, status: int, after_s: int = 0, *, session_id: str = "s1", **attributes: Any
    ) -> tuple[float, int, str, bytes]:
        """One record as a worker journals it; `after_s` counts from the session's start."""
        at = self.began + timedelta(seconds=after_s)
        values: dict[str, Any] = {
            "Acct-Status-Type": status,
            "Acct-Session-Id": session_id,
            "User-Name": self.added.username,
            "Event-Timestamp": int(at.timestamp()),
            "Class": self.class_value(1),
            **{name.replace("_", "-"): value for name, value in attributes.items()},
        }
        if status in (STOP, INTERIM):
            values.setdefault("Acct-Session-Time", after_s)
        told = [(name, value) for name, value in values.items() if value is not None]
        octets = encode_request(
            Code.ACCOUNTING_REQUEST,
            1,
            dictionary.encode(told),
            Secret(b"secret"),
            message_authenticator=False,
        )
        return (at.timestamp() + 1, self.nas_id, "127.0.0.1", octets)

    async def tell(self, *records: tuple[float, int, str, bytes]) -> None:
        with Journal(self.journal_path, MAX_BYTES) as journal:
            journal.append(records)
        with closing(Shipper(self.house, self.journal_path.parent, MAX_BYTES)) as shipper:
            while await shipper.ship():
                pass

    async def rows(self) -> list[Mapping[str, Any]]:
        async with self.house.store.reading() as connection:
            found = await connection.execute(text("select * from sessions order by id"))
            return [dict(row) for row in found.mappings()]

    async def row(self) -> Mapping[str, Any]:
        (row,) = await self.rows()
        return row


@pytest.fixture
async def line(house: House, tmp_path: Path) -> Line:
    nas_id = await add_nas(house)
    return Line(house, tmp_path, nas_id, await add_contract(house, await add_plan(house)))


async def test_the_first_publish_holds_every_login_and_nas(house: House, table: GrantTable) -> None:
    await add_nas(house, "pop1", address="10.9.0.0/24", secret=b"one")
    plan = await add_plan(house, ipv4_pool="pool4")
    pooled = await add_contract(house, plan, "ana")
    fixed = await add_contract(house, plan, "bia", static_ipv4="10.0.0.9")

    assert await Publisher(house, table, "test").publish() == 2

    ana, bia = table.find(b"ana"), table.find(b"bia")
    assert ana is not None
    assert bia is not None
    assert (ana.login_id, ana.contract_id) == (pooled.login_id, pooled.contract_id)
    assert ana.password == b"password"
    assert b"50M/100M" in ana.replies["mikrotik"]
    assert b"pool4" in ana.replies["mikrotik"]
    assert b"pool4" not in bia.replies["mikrotik"]
    assert bytes([10, 0, 0, 9]) in bia.replies["accel_ppp"]
    assert fixed.login_id == bia.login_id
    (client,) = table.clients()
    assert (client.network, client.secret) == (ip_network("10.9.0.0/24"), b"one")


async def test_a_change_is_published_alone_and_nothing_twice(
    house: House, table: GrantTable
) -> None:
    publisher = Publisher(house, table, "test")
    plan = await add_plan(house)
    added = await add_contract(house, plan, "ana")
    await add_contract(house, plan, "bia")
    await publisher.publish()
    assert await publisher.publish() == 0

    async with house.store.writing() as connection:
        await connection.execute(
            text("update contracts set level = 'walled', generation = 2 where id = :id"),
            {"id": added.contract_id},
        )
    assert await publisher.publish() == 1
    ana = table.find(b"ana")
    assert ana is not None
    assert ana.generation == 2
    assert b"religa-walled" in ana.replies["mikrotik"]
    assert await publisher.publish() == 0


async def test_what_a_slow_transaction_commits_late_is_not_missed(
    house: House, table: GrantTable
) -> None:
    publisher = Publisher(house, table, "test")
    plan = await add_plan(house)
    slow, quick = await add_contract(house, plan, "slow"), await add_contract(house, plan, "quick")
    await publisher.publish()
    touch = text("update contracts set generation = generation + 1 where id = :id")
    async with house.store.engine.connect() as late:
        async with late.begin():
            # Begun first, committed last: its change is invisible to the look in between.
            await late.execute(touch, {"id": slow.contract_id})
            async with house.store.writing() as connection:
                await connection.execute(touch, {"id": quick.contract_id})
            await publisher.publish()
        await publisher.publish()
    for username in (b"slow", b"quick"):
        grant = table.find(username)
        assert grant is not None
        assert grant.generation == 2, username


async def test_renamed_ended_and_deleted_logins_leave_no_grant(
    house: House, table: GrantTable
) -> None:
    publisher = Publisher(house, table, "test")
    plan = await add_plan(house)
    renamed, ended, deleted = [await add_contract(house, plan, name) for name in "rxd"]
    await publisher.publish()
    async with house.store.writing() as connection:
        sealed = house.secrets.seal("logins", "r2", "password", b"password")
        await connection.execute(
            text("update logins set username = 'r2', password = :sealed where id = :id"),
            {"sealed": sealed, "id": renamed.login_id},
        )
        await connection.execute(
            text("update contracts set ended_on = '2026-01-01' where id = :id"),
            {"id": ended.contract_id},
        )
        await connection.execute(
            text("delete from logins where id = :id"), {"id": deleted.login_id}
        )
    await publisher.publish()
    assert [table.find(name) for name in (b"r", b"x", b"d")] == [None, None, None]
    assert table.find(b"r2") is not None


async def test_another_database_behind_the_same_address_is_noticed(
    house: House, table: GrantTable
) -> None:
    publisher = Publisher(house, table, "test")
    await add_contract(house, await add_plan(house), "ana")
    await publisher.publish()
    async with house.store.writing() as connection:
        await connection.execute(text("update facts set value = '1' where name = 'installation'"))
        await connection.execute(text("delete from logins"))
        await connection.execute(text("truncate grant_changes"))
    await publisher.publish()
    assert table.find(b"ana") is None


async def test_a_session_from_start_to_stop(line: Line) -> None:
    await line.tell(
        line.record(START, Framed_IP_Address="10.0.0.1", Calling_Station_Id="AA-BB-CC-00-11-22")
    )
    row = await line.row()
    assert row["contract_id"] == line.added.contract_id
    assert str(row["ipv4"]) == "10.0.0.1"
    assert row["started_at"] == line.began
    assert (row["applied_generation"], row["observed_generation"]) == (1, 1)

    counted: dict[str, Any] = {
        "Acct_Input_Octets": 5,
        "Acct_Input_Gigawords": 1,
        "Acct_Output_Octets": 7,
    }
    await line.tell(line.record(INTERIM, 60, **counted))
    row = await line.row()
    assert (row["input_octets"], row["output_octets"]) == (2**32 + 5, 7)
    assert row["stopped_at"] is None

    await line.tell(line.record(STOP, 90, Acct_Terminate_Cause=1, **counted))
    row = await line.row()
    assert row["stopped_at"] == line.began + timedelta(seconds=90)
    assert row["terminate_cause"] == "User-Request"
    assert row["session_seconds"] == 90


async def test_any_order_and_any_repetition_end_in_the_same_row(line: Line) -> None:
    records = [
        line.record(START),
        line.record(INTERIM, 60, Acct_Input_Octets=100),
        line.record(INTERIM, 120, Acct_Input_Octets=200),
        line.record(STOP, 150, Acct_Input_Octets=250, Acct_Terminate_Cause=1),
    ]
    seen = []
    for order in list(permutations(records))[::5]:
        async with line.house.store.writing() as connection:
            await connection.execute(text("truncate sessions cascade"))
        for record in order:
            await line.tell(record, record)
        row = dict(await line.row())
        for name in ("id", "observed_wall", "applied_wall"):
            del row[name]
        seen.append(row)
    assert all(row == seen[0] for row in seen)
    assert (seen[0]["input_octets"], seen[0]["session_seconds"]) == (250, 150)
    assert seen[0]["stopped_at"] is not None


async def test_accounting_on_ends_what_began_before_it(line: Line) -> None:
    await line.tell(line.record(START))
    await line.tell(line.record(START, 300, session_id="s2"))
    await line.tell(line.record(ON, 200, session_id="boot", Class=None))
    first, second = await line.rows()
    assert first["terminate_cause"] == "NAS-Reboot"
    assert first["stopped_at"] == line.began + timedelta(seconds=200)
    assert second["stopped_at"] is None


async def test_a_class_that_we_did_not_sign_is_not_believed(line: Line) -> None:
    forged = Issuer(b"x" * 32).make(line.added.login_id, 9, b"ab")
    await line.tell(line.record(START, User_Name="nobody", Class=forged))
    row = await line.row()
    assert row["contract_id"] is None
    assert row["applied_generation"] == 0


async def test_a_line_that_comes_up_as_an_older_generation_is_due(line: Line) -> None:
    async with line.house.store.writing() as connection:
        await connection.execute(
            text("update contracts set generation = 3 where id = :id"),
            {"id": line.added.contract_id},
        )
    await line.tell(line.record(START, Class=line.class_value(2)))
    assert (await line.row())["applied_generation"] == 2


async def test_a_nas_that_returns_no_class_is_taken_at_what_was_published(line: Line) -> None:
    await line.tell(line.record(START, Class=None))
    row = await line.row()
    assert row["contract_id"] == line.added.contract_id
    assert (row["applied_generation"], row["applied_level"]) == (1, "full")
    assert row["observed_generation"] == 0, "assumed is not seen"


async def test_a_line_heard_of_after_its_acknowledged_disconnect_is_open_again(line: Line) -> None:
    await line.tell(line.record(START))
    closed = line.began + timedelta(seconds=100)
    async with line.house.store.writing() as connection:
        await connection.execute(
            text("update sessions set stopped_at = :at, terminate_cause = 'Admin-Reset'"),
            {"at": closed},
        )
    await line.tell(line.record(INTERIM, 60))
    assert (await line.row())["stopped_at"] == closed, "sent before the Disconnect"
    await line.tell(line.record(INTERIM, 300))
    row = await line.row()
    assert (row["stopped_at"], row["terminate_cause"]) == (None, None)


async def test_an_absurd_clock_of_a_nas_is_not_believed(line: Line) -> None:
    await line.tell(line.record(START, Event_Timestamp=86_400))
    started = (await line.row())["started_at"]
    assert abs(started - (line.began + timedelta(seconds=1))) < timedelta(seconds=1)
    assert started.tzinfo is not None
    assert started < datetime.now(UTC)


async def test_a_record_that_cannot_be_read_holds_up_no_other(line: Line) -> None:
    broken = line.record(START)
    unknown = line.record(99)
    await line.tell((*broken[:3], b"\x04\x01\x00\x14" + bytes(16)), unknown, line.record(START))
    assert len(await line.rows()) == 1


async def test_a_counter_beyond_belief_harms_only_itself(line: Line) -> None:
    most = 2**32 - 1
    told = line.record(
        INTERIM, 60, Acct_Input_Octets=most, Acct_Input_Gigawords=most, Framed_IPv6_Prefix="::1/3"
    )
    await line.tell(told)
    assert (await line.row())["input_octets"] == 2**63 - 1


async def test_what_the_database_refuses_is_left_out_alone(
    line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def reading(packet: Packet) -> Record:
        record = read(packet)
        return replace(record, ipv4="nonsense") if record.acct_session_id == "bad" else record

    monkeypatch.setattr("api.shipper.read", reading)
    names = ("s1", "bad", "s2")
    await line.tell(*[line.record(START, session_id=name) for name in names])
    assert [row["acct_session_id"] for row in await line.rows()] == ["s1", "s2"]
    assert "refused" in caplog.text


async def test_a_login_that_does_not_open_is_left_out_alone(
    house: House, table: GrantTable, caplog: pytest.LogCaptureFixture
) -> None:
    plan = await add_plan(house)
    await add_nas(house, "good")
    spoilt = await add_contract(house, plan, "spoilt")
    await add_contract(house, plan, "fine")
    async with house.store.writing() as connection:
        await connection.execute(
            text("update logins set password = 'x' where id = :id"), {"id": spoilt.login_id}
        )
        await connection.execute(
            text(
                "insert into nases (name, address, secret, dialect)"
                " values ('bad', '10.1.1.1', 'x', 'mikrotik')"
            )
        )
    await Publisher(house, table, "test").publish()
    assert table.find(b"spoilt") is None
    assert table.find(b"fine") is not None
    assert len(table.clients()) == 1
    assert f"login {spoilt.login_id} cannot be published" in caplog.text
    assert "NAS bad cannot be published" in caplog.text
