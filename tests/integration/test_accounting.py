"""What a NAS tells, from its journal into sessions and usage of a real database, case by case."""

import asyncio
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from api.house import House
from api.shipper import Shipper
from api.store import accounting
from api.waiting import wait_for
from radius import dictionary
from radius.codec import Code, Secret, encode_request
from radius.journal import Journal
from radius.session_class import Issuer
from tests.support.database import Added, add_contract, add_nas, add_plan

pytestmark = pytest.mark.anyio

MAX_BYTES = 16 << 20
STATUS = {"start": 1, "stop": 2, "interim": 3, "on": 7, "off": 8}
# 20:50 in São Paulo: two hours and ten minutes before its midnight, ten before the hour.
BEGAN = (datetime.now(UTC) - timedelta(days=1)).replace(hour=23, minute=50, second=0, microsecond=0)
GIB_4 = 2**32

Told = tuple[float, int, str, bytes]


@dataclass
class Telling:
    """A NAS with one subscriber behind it, whatever it tells, and what is kept of that."""

    house: House
    folder: Path
    nas_id: int
    added: Added

    def record(
        self,
        status: str,
        second: int = 0,
        *,
        session_id: str = "s1",
        source: str = "127.0.0.1",
        nas_id: int | None = None,
        received_late_s: int = 1,
        **attributes: Any,
    ) -> Told:
        """One record as a worker journals it; `second` counts from `BEGAN`."""
        at = BEGAN + timedelta(seconds=second)
        values: dict[str, Any] = {
            "Acct-Status-Type": STATUS[status],
            "Acct-Session-Id": session_id,
            "Event-Timestamp": int(at.timestamp()),
        }
        if status not in ("on", "off"):
            values["User-Name"] = self.added.username
            values["Class"] = self.class_value()
        values |= {name.replace("_", "-"): value for name, value in attributes.items()}
        octets = encode_request(
            Code.ACCOUNTING_REQUEST,
            1,
            dictionary.encode([(n, v) for n, v in values.items() if v is not None]),
            Secret(b"secret"),
            message_authenticator=False,
        )
        return (at.timestamp() + received_late_s, nas_id or self.nas_id, source, octets)

    def interim(self, second: int, down: int, up: int = 0, **more: Any) -> Told:
        return self.counted("interim", second, down, up, **more)

    def counted(self, status: str, second: int, down: int, up: int = 0, **more: Any) -> Told:
        more.setdefault("Acct_Session_Time", second)
        return self.record(status, second, Acct_Output_Octets=down, Acct_Input_Octets=up, **more)

    def class_value(self) -> bytes:
        key = self.house.secrets.derive("radius-class")
        return Issuer(key).make(self.added.login_id, 1, b"ab")

    async def tell(self, *records: Told) -> None:
        with Journal(self.folder / "w0", MAX_BYTES) as journal:
            journal.append(records)
        with closing(Shipper(self.house, self.folder, MAX_BYTES)) as shipper:
            while await shipper.ship():
                pass

    async def rows(self, statement: str) -> list[dict[str, Any]]:
        async with self.house.store.reading() as connection:
            return [dict(row) for row in (await connection.execute(text(statement))).mappings()]

    async def session(self) -> dict[str, Any]:
        (row,) = await self.rows("select * from sessions")
        return row

    async def ends(self) -> dict[str, tuple[int | None, str | None]]:
        """When each session ended, in seconds since `BEGAN`, and why."""
        rows = await self.rows("select * from sessions order by acct_session_id")
        return {
            row["acct_session_id"]: (
                row["stopped_at"] and round((row["stopped_at"] - BEGAN).total_seconds()),
                row["terminate_cause"],
            )
            for row in rows
        }

    async def used(self, period: str = "hour") -> list[tuple[Any, int, int]]:
        rows = await self.rows(f"select * from usage_{period}s order by 1, 2")
        return [(row[period], row["down_octets"], row["up_octets"]) for row in rows]


@pytest.fixture
async def telling(house: House, tmp_path: Path) -> Telling:
    nas_id = await add_nas(house)
    folder = tmp_path / "journal"
    folder.mkdir()
    return Telling(house, folder, nas_id, await add_contract(house, await add_plan(house)))


def _hour(number: int) -> datetime:
    return BEGAN + timedelta(minutes=10, hours=number - 1)


HOUR_0 = BEGAN.replace(minute=0)


async def test_usage_is_told_by_the_hour_and_by_the_provider_s_day(telling: Telling) -> None:
    # 10 of 190 minutes fall in the first hour; midnight in São Paulo is 190 minutes away.
    await telling.tell(telling.record("start"), telling.interim(11_400, 1_900, 19))
    assert await telling.used() == [
        (HOUR_0, 100, 1),
        (_hour(1), 600, 6),
        (_hour(2), 600, 6),
        (_hour(3), 600, 6),
    ]
    await telling.tell(telling.interim(11_400 + 600, 2_500, 19))
    day = (BEGAN - timedelta(hours=3)).date()
    assert await telling.used("day") == [(day, 1_900, 19), (day + timedelta(days=1), 600, 0)]


async def test_input_may_mean_download(telling: Telling) -> None:
    async with telling.house.store.writing() as connection:
        await connection.execute(text("update nases set input_is_upload = false"))
    await telling.tell(telling.record("start"), telling.interim(60, 7, 5))
    assert await telling.used() == [(HOUR_0, 5, 7)]


async def test_a_replay_adds_nothing(telling: Telling) -> None:
    records = [
        telling.record("start"),
        *(telling.interim(300 * n, 1_000 * n, 10 * n) for n in range(1, 15)),
        telling.counted("stop", 4_500, 20_000, 200),
    ]
    await telling.tell(*records)
    before = await telling.session(), await telling.used(), await telling.used("day")
    for _ in range(2):
        await telling.tell(*records)
    again = await telling.session(), await telling.used(), await telling.used("day")
    unlike = {name for name in before[0] if before[0][name] != again[0][name]}
    assert (unlike, before[1:]) == (set(), again[1:])
    assert sum(down for _, down, _ in before[1]) == 20_000


async def test_one_record_to_a_batch_or_all_reversed_end_alike(telling: Telling) -> None:
    records = [
        telling.record("start"),
        telling.interim(300, 1_000, 10, Framed_IP_Address="10.0.0.1"),
        telling.interim(900, 5_000, 50, Framed_IP_Address="10.0.0.1"),
        telling.interim(1_500, 5_500, 60, Framed_IP_Address="10.0.0.1"),
        telling.counted("stop", 4_500, 20_000, 200, Acct_Terminate_Cause=1),
    ]
    ended = []
    for order in (records, records[::-1], [records[i] for i in (4, 1, 0, 3, 2)]):
        for batches in ([order], [[record] for record in order]):
            async with telling.house.store.writing() as connection:
                await connection.execute(text("truncate sessions, usage_hours, usage_days cascade"))
            for batch in batches:
                await telling.tell(*batch)
            row = await telling.session()
            for name in ("id", "applied_wall", "observed_wall"):
                del row[name]
            ended.append((row, await telling.used(), await telling.used("day")))
    assert all(end == ended[0] for end in ended)
    assert ended[0][1] == [
        (HOUR_0, 3_000, 30),
        (_hour(1), 15_550, 156),
        (_hour(2), 1_450, 14),
    ]


REBOOT = "NAS-Reboot"
# Name, records as kind and second, in the order told; when the session ends, and why.
CASES: list[tuple[str, list[tuple[str, int]], tuple[int | None, str | None]]] = [
    ("start after its stop", [("stop", 90), ("start", 0)], (90, None)),
    ("late interim", [("start", 0), ("stop", 90), ("interim", 60)], (90, None)),
    ("interim of later", [("start", 0), ("stop", 90), ("interim", 390)], (None, None)),
    ("the same, told first", [("interim", 390), ("stop", 90), ("start", 0)], (None, None)),
    ("and its own stop", [("stop", 500), ("interim", 390), ("stop", 90)], (500, None)),
    ("off, then the stop", [("start", 0), ("off", 50), ("stop", 52)], (52, None)),
    ("restart", [("start", 0), ("on", 200)], (200, REBOOT)),
    ("restart before the start", [("on", 200), ("start", 0)], (200, REBOOT)),
    ("restart of earlier", [("start", 0), ("on", -60)], (None, None)),
    ("late restart, line lives", [("start", 0), ("interim", 300), ("on", 200)], (None, None)),
    ("the same, in order", [("start", 0), ("on", 200), ("interim", 300)], (None, None)),
    ("second restart first", [("start", 0), ("on", 400), ("on", 200)], (200, REBOOT)),
    ("between restarts", [("on", 400), ("on", 100), ("interim", 300)], (400, REBOOT)),
]


@pytest.mark.parametrize(
    ("records", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_when_a_session_ends(
    telling: Telling,
    records: list[tuple[str, int]],
    expected: tuple[int | None, str | None],
    at_once: bool,
) -> None:
    told = [
        telling.record(
            kind,
            second,
            session_id="boot" if kind in ("on", "off") else "s1",
            Acct_Session_Time=second if kind in ("interim", "stop") else None,
        )
        for kind, second in records
    ]
    for batch in [told] if at_once else [[one] for one in told]:
        await telling.tell(*batch)
    assert await telling.ends() == {"s1": expected}


async def test_a_restart_of_one_nas_ends_nothing_of_another(telling: Telling) -> None:
    await telling.tell(
        telling.record("start"),
        telling.record("start", session_id="s2", source="127.0.0.2"),
        telling.record("start", 250, session_id="s3"),
        telling.record("on", 200, session_id="boot"),
    )
    ends = await telling.ends()
    assert ends == {"s1": (200, "NAS-Reboot"), "s2": (None, None), "s3": (None, None)}


async def test_a_stop_without_a_start_knows_when_it_began(telling: Telling) -> None:
    await telling.tell(telling.counted("stop", 600, 1_000, Acct_Session_Time=600))
    row = await telling.session()
    assert (row["started_at"], row["stopped_at"]) == (BEGAN, BEGAN + timedelta(seconds=600))
    assert await telling.used() == [(HOUR_0, 1_000, 0)]


async def test_gigawords_are_joined(telling: Telling) -> None:
    told = telling.interim(60, 5, Acct_Output_Gigawords=2)
    await telling.tell(telling.record("start"), told, telling.interim(120, 4))
    assert (await telling.session())["output_octets"] == 2 * GIB_4 + 5


@pytest.mark.parametrize(
    ("wraps", "counters", "total"),
    [
        (True, [GIB_4 - 100, 50, 80], GIB_4 + 80),
        (True, [GIB_4 - 100, 50, 20], 2 * GIB_4 + 20),
        (False, [GIB_4 - 100, 50, 80], GIB_4 - 100),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
async def test_a_nas_whose_counters_start_over_at_4_gib(
    telling: Telling, wraps: bool, counters: list[int], total: int, reverse: bool
) -> None:
    async with telling.house.store.writing() as connection:
        await connection.execute(text("update nases set wraps_at_4_gib = :wraps"), {"wraps": wraps})
    records = [telling.interim(60 * n, octets) for n, octets in enumerate(counters, start=1)]
    for record in records[::-1] if reverse else records:
        await telling.tell(record, record)
    assert (await telling.session())["output_octets"] == total
    assert sum(down for _, down, _ in await telling.used()) == total


async def test_a_start_that_is_sent_again_late_is_no_counter_that_starts_over(
    telling: Telling,
) -> None:
    async with telling.house.store.writing() as connection:
        await connection.execute(text("update nases set wraps_at_4_gib = true"))
    await telling.tell(telling.interim(60, 1_000), telling.record("start", 61))
    await telling.tell(telling.interim(120, 1_500))
    assert (await telling.session())["output_octets"] == 1_500


async def test_records_of_a_day_ago_count_for_that_day(telling: Telling) -> None:
    late = 86_400 - 3_600
    await telling.tell(
        telling.record("start", received_late_s=late),
        telling.interim(300, 1_000, received_late_s=late),
    )
    assert await telling.used() == [(HOUR_0, 1_000, 0)]
    row = await telling.session()
    assert row["updated_at"] == BEGAN + timedelta(seconds=300)
    assert row["received_at"] == BEGAN + timedelta(seconds=300 + late)


async def test_nobody_s_session_is_nobody_s_usage(telling: Telling) -> None:
    unknown = telling.interim(60, 1_000, User_Name="nobody", Class=None)
    await telling.tell(unknown)
    assert (await telling.session())["output_octets"] == 1_000
    assert await telling.used() == []


async def test_a_nas_that_reuses_another_s_session_ids_harms_its_own_only(
    telling: Telling,
) -> None:
    hostile = await add_nas(telling.house, address="127.0.0.9")
    await telling.tell(telling.record("start"), telling.interim(300, 1_000))
    as_theirs: dict[str, Any] = {"nas_id": hostile, "source": "127.0.0.9"}
    most = 2**32 - 1
    await telling.tell(
        telling.interim(310, most, most, Acct_Output_Gigawords=most, **as_theirs),
        telling.interim(320, 0, Acct_Session_Time=most, Class=b"ai:forged", **as_theirs),
        telling.counted("stop", 330, 0, **as_theirs),
        telling.record("on", 400, session_id="s1", **as_theirs),
    )
    rows = await telling.rows("select * from sessions order by id")
    mine = next(row for row in rows if row["nas_id"] == telling.nas_id)
    assert (mine["stopped_at"], mine["output_octets"]) == (None, 1_000)
    # Nothing that it tells stops the other one's records from being kept.
    await telling.tell(telling.counted("stop", 600, 2_000))
    rows = await telling.rows("select * from sessions order by id")
    mine = next(row for row in rows if row["nas_id"] == telling.nas_id)
    assert (mine["stopped_at"], mine["output_octets"]) == (BEGAN + timedelta(seconds=600), 2_000)


async def test_two_nodes_told_of_one_session_at_once_count_all_of_it_once(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [telling.interim(60 * n, 1_000 * n) for n in range(1, 7)]
    folders = [telling.folder / name for name in ("a", "b")]
    for place, folder in enumerate(folders):
        folder.mkdir()
        with Journal(folder / "w0", MAX_BYTES) as journal:
            journal.append(records[place::2])
    calls = 0

    async def keep(*arguments: Any) -> None:
        """The first leaves its transaction open until the other waits for it."""
        nonlocal calls
        calls += 1
        first = calls == 1
        await accounting.keep(*arguments)
        async with asyncio.timeout(60):
            while first and not await telling.rows(
                "select from pg_stat_activity where wait_event_type = 'Lock'"
            ):
                await wait_for(asyncio.Event(), 0.01)

    monkeypatch.setattr("api.shipper.keep", keep)
    with (
        closing(Shipper(telling.house, folders[0], MAX_BYTES)) as one,
        closing(Shipper(telling.house, folders[1], MAX_BYTES)) as other,
    ):
        await asyncio.gather(one.ship(), other.ship())
    assert (await telling.session())["output_octets"] == 6_000
    assert sum(down for _, down, _ in await telling.used()) == 6_000


async def test_a_session_of_before_usage_counts_from_here_on(telling: Telling) -> None:
    await telling.tell(telling.record("start"), telling.interim(60, 1_000))
    async with telling.house.store.writing() as connection:
        await connection.execute(text("update sessions set meter = null"))
        await connection.execute(text("delete from usage_hours"))
    await telling.tell(telling.interim(60, 1_000), telling.interim(120, 1_500))
    assert await telling.used() == [(HOUR_0, 500, 0)]
