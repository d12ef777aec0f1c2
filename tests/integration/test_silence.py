"""Lines that are not heard of any more: when they are over, and when it is only us who are late."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from api.house import House
from api.shipper import Shipper
from api.store.silence import close_lost
from radius.journal import Journal
from tests.support.database import add_nas

pytestmark = pytest.mark.anyio

INTERIM_S = 300


async def _run(house: House, statement: str, **parameters: Any) -> list[dict[str, Any]]:
    async with house.store.writing() as connection:
        result = await connection.execute(text(statement), parameters)
        return [dict(row) for row in result.mappings()] if result.returns_rows else []


async def _session(house: House, name: str, silent_s: float) -> None:
    """An open session whose last record came so long ago."""
    await _run(
        house,
        "insert into sessions (unique_id, acct_session_id, username, nas_id, nas_address,"
        " started_at, updated_at, received_at)"
        " select sha256(cast(cast(:name as text) as bytea)), :name, 'ana', min(id), '127.0.0.1',"
        " now() - interval '1 day', now() - make_interval(secs => :silent_s),"
        " now() - make_interval(secs => :silent_s) from nases",
        name=name,
        silent_s=silent_s,
    )


async def _shipper(house: House, name: str, behind_s: float, away_s: float = 0) -> None:
    await _run(
        house,
        "insert into shippers values (:name, now() - make_interval(secs => :behind_s), :interim_s,"
        " now() - make_interval(secs => :away_s))",
        name=name,
        behind_s=behind_s,
        interim_s=INTERIM_S,
        away_s=away_s,
    )


async def _close(house: House, limit: int = 100) -> int:
    async with house.store.writing() as connection:
        return await close_lost(connection, limit)


@pytest.fixture
async def quiet(house: House) -> House:
    """A house with one line that speaks and one that is silent for longer than six interims."""
    await add_nas(house)
    await _session(house, "speaks", 5.5 * INTERIM_S)
    await _session(house, "silent", 6.5 * INTERIM_S)
    return house


async def test_a_line_silent_for_six_interims_is_over_as_of_its_last_record(quiet: House) -> None:
    await _shipper(quiet, "node", 0)
    assert await _close(quiet) == 1
    (row,) = await _run(quiet, "select * from sessions where stopped_at is not null")
    assert (row["acct_session_id"], row["terminate_cause"]) == ("silent", "Lost-Carrier")
    assert row["stopped_at"] == row["updated_at"]


@pytest.mark.parametrize(
    ("shippers", "closed"),
    [
        ([], 0),
        # After an outage: the records of an hour are still in the journal.
        ([("node", 3_600, 0)], 0),
        # Another node has none, but this one may hold what the line told.
        ([("node", 3_600, 0), ("other", 0, 0)], 0),
        # Cut off from the database for hours, serving its NASes all the while.
        ([("node", 7_200, 7_200), ("other", 0, 0)], 0),
        # Gone for good.
        ([("node", 90_000, 90_000), ("other", 0, 0)], 1),
    ],
)
async def test_nobody_is_gone_because_we_are_late(
    quiet: House, shippers: list[tuple[str, float, float]], closed: int
) -> None:
    for shipper in shippers:
        await _shipper(quiet, *shipper)
    assert await _close(quiet) == closed


async def test_many_are_closed_in_bounded_batches(quiet: House) -> None:
    await _shipper(quiet, "node", 0)
    for number in range(5):
        await _session(quiet, f"gone{number}", 7 * INTERIM_S)
    assert [await _close(quiet, 2) for _ in range(4)] == [2, 2, 2, 0]


async def test_a_shipper_says_up_to_when_all_is_stored(house: House, tmp_path: Path) -> None:
    await add_nas(house)
    received = (datetime.now(UTC) - timedelta(hours=2)).timestamp()
    folder = tmp_path / "journal"
    folder.mkdir()
    with Journal(folder / "w0", 16 << 20) as journal:
        # Unreadable, and shipped all the same: 1,000 to a batch.
        journal.append([(received + n, 1, "127.0.0.1", b"x") for n in range(1_500)])
    with closing(Shipper(house, folder, 16 << 20)) as shipper:
        assert await shipper.ship() == 1_000
        (row,) = await _run(house, "select * from shippers")
        assert row["shipped_until"].timestamp() == pytest.approx(received + 999)
        assert row["interim_s"] == INTERIM_S
        before = datetime.now(UTC)
        assert await shipper.ship() == 500
        (row,) = await _run(house, "select * from shippers")
        assert before <= row["shipped_until"] <= datetime.now(UTC)
