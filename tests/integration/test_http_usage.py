"""Usage and stale sessions over HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, text

from api.house import House
from api.operators import Role
from api.store.network_tables import sessions, usage_days, usage_hours
from tests.support.database import Added, add_contract, add_nas, add_plan, make_house
from tests.support.http_face import Face, open_face

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 9, 20, 12, tzinfo=UTC)


@pytest.fixture
async def rehearsal(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    house = await make_house(database_url, tmp_path, now=NOW)
    yield house
    await house.store.close()


@pytest.fixture
async def face(rehearsal: House) -> AsyncIterator[Face]:
    async with open_face(rehearsal) as opened:
        yield opened


@pytest.fixture
async def added(rehearsal: House) -> Added:
    """A contract that used something on each of five days, the second of which ends a cycle."""
    added = await add_contract(rehearsal, await add_plan(rehearsal), due_day=10)
    days = [date(2026, 9, 8) + timedelta(days=n) for n in range(5)]
    # 03:00 UTC is midnight in São Paulo.
    hours = [datetime(2026, 9, 9, hour, tzinfo=UTC) for hour in (2, 3, 4)]
    async with rehearsal.store.writing() as connection:
        for table, key, periods in ((usage_days, "day", days), (usage_hours, "hour", hours)):
            rows = [
                {key: period, "down_octets": 10**n, "up_octets": n}
                for n, period in enumerate(periods)
            ]
            await connection.execute(
                insert(table).values([{"contract_id": added.contract_id, **row} for row in rows])
            )
    return added


async def _pages(client: httpx.AsyncClient, url: str, **params: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    while True:
        answer = await client.get(url, params=params)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if answer.json()["next"] is None:
            return items
        params["after"] = answer.json()["next"]


async def test_days_page_by_page_and_the_current_cycle(face: Face, added: Added) -> None:
    client = await face.client(Role.NOC)
    url = f"/api/v1/contracts/{added.contract_id}/usage"
    items = await _pages(client, url, limit=2)
    assert [item["down_octets"] for item in items] == [1, 10, 100, 1_000, 10_000]
    assert items[0]["begins_at"] == "2026-09-08T00:00:00-03:00"
    period = (await client.get(url)).json()["period"]
    assert period == {
        "starts_on": "2026-09-10",
        "ends_on": "2026-10-10",
        "down_octets": 11_100,
        "up_octets": 9,
    }


async def test_hours_of_a_day_are_those_of_the_provider_s_day(face: Face, added: Added) -> None:
    client = await face.client(Role.FINANCE)
    url = f"/api/v1/contracts/{added.contract_id}/usage"
    items = await _pages(
        client, url, **{"by": "hour", "from": "2026-09-09", "to": "2026-09-09", "limit": 1}
    )
    assert [(item["begins_at"], item["down_octets"]) for item in items] == [
        ("2026-09-09T00:00:00-03:00", 10),
        ("2026-09-09T01:00:00-03:00", 100),
    ]
    days = await _pages(client, url, **{"from": "2026-09-09", "to": "2026-09-10"})
    assert [item["down_octets"] for item in days] == [10, 100]


@pytest.mark.parametrize("query", ["by=week", "from=x", "from=1026-01-01", "after=zzz"])
async def test_a_wrong_question_is_refused(face: Face, added: Added, query: str) -> None:
    client = await face.client()
    answer = await client.get(f"/api/v1/contracts/{added.contract_id}/usage?{query}")
    assert answer.status_code == 422


async def test_a_cursor_of_another_contract_or_period_is_refused(face: Face, added: Added) -> None:
    client = await face.client()
    url = f"/api/v1/contracts/{added.contract_id}/usage"
    cursor = (await client.get(url, params={"limit": 1})).json()["next"]
    refused = await client.get(url, params={"by": "hour", "after": cursor})
    assert refused.status_code == 422
    assert (await client.get("/api/v1/contracts/999/usage")).status_code == 404


async def test_stale_sessions_are_told_apart(rehearsal: House, face: Face, added: Added) -> None:
    nas_id = await add_nas(rehearsal)
    real_now = datetime.now(UTC)
    async with rehearsal.store.writing() as connection:
        await connection.execute(text("insert into shippers values ('node', now(), 300, now())"))
        for name, silent_s, over in (("old", 970, False), ("new", 900, False), ("over", 970, True)):
            heard = real_now - timedelta(seconds=silent_s)
            await connection.execute(
                insert(sessions).values(
                    unique_id=name.encode(),
                    acct_session_id=name,
                    username=added.username,
                    contract_id=added.contract_id,
                    nas_id=nas_id,
                    nas_address="127.0.0.1",
                    started_at=heard,
                    updated_at=heard,
                    received_at=heard,
                    stopped_at=heard if over else None,
                )
            )
    client = await face.client()

    async def listed(**params: Any) -> list[str]:
        items = await _pages(client, "/api/v1/sessions", **params)
        return [item["acct_session_id"] for item in items]

    assert await listed(stale=True) == ["old"]
    assert await listed(stale=False) == ["new", "over"]
    assert await listed(stale=False, online=True) == ["new"]
    access = (await client.get(f"/api/v1/contracts/{added.contract_id}/access")).json()
    assert [session["stale"] for session in access["sessions"]] == [True, False]
