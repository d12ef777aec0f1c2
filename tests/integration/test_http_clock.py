"""Moving the rehearsal clock over HTTP."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from tests.support.database import make_house
from tests.support.http_face import open_face

pytestmark = pytest.mark.anyio

START = datetime.fromisoformat("2026-08-20T10:00:00-03:00")


@pytest.fixture
async def admin(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a house in rehearsal, whose mover sets the clock and does nothing else."""
    house = await make_house(database_url, tmp_path, now=START)

    async def mover(to: datetime, correlation_id: str) -> dict[str, object]:
        if to.year == 2050:
            raise ValueError("the clock stands at 2060 and moves forward only")
        async with house.uow("test", correlation_id) as uow:
            await uow.move_clock(to)
        return {"now": to.isoformat(), "told": correlation_id}

    async with open_face(house, mover) as face:
        yield await face.client()
    await house.store.close()


@pytest.mark.parametrize(
    ("to", "reached"),
    [
        ("2026-09-21", "2026-09-21T00:00:00-03:00"),
        ("2026-09-21T08:00:00", "2026-09-21T08:00:00-03:00"),
        ("2026-09-21T08:00:00Z", "2026-09-21T08:00:00+00:00"),
    ],
)
async def test_the_clock_moves_to_a_date_or_an_instant(
    admin: httpx.AsyncClient, to: str, reached: str
) -> None:
    answer = await admin.post("/api/v1/clock", json={"to": to}, headers={"X-Request-ID": "walk-1"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["told"] == "walk-1"
    now = datetime.fromisoformat(answer.json()["now"])
    assert now == datetime.fromisoformat(reached)


async def test_the_clock_never_goes_back(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/api/v1/clock", json={"to": "2026-08-20"})
    assert answer.status_code == 409
    assert "2026-08-20T10:00:00" in answer.json()["detail"]
    for wrong in ("tomorrow", "2026-02-30", "9999-12-31", ""):
        assert (await admin.post("/api/v1/clock", json={"to": wrong})).status_code == 422


async def test_a_real_clock_is_never_moved(database_url: str, tmp_path: Path) -> None:
    house = await make_house(database_url, tmp_path)
    async with open_face(house) as face:
        admin = await face.client()
        answer = await admin.post("/api/v1/clock", json={"to": "2099-01-01"})
    await house.store.close()
    assert answer.status_code == 409
    assert "RELIGA_CLOCK=manual" in answer.json()["detail"]


async def test_a_race_that_the_mover_notices_is_a_conflict_too(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/api/v1/clock", json={"to": "2050-01-01"})
    assert answer.status_code == 409
    assert "2060" in answer.json()["detail"]
