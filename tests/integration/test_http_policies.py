"""Presets to copy, laws that refuse, versions that rule from a day on."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from api import review
from api.house import House
from api.store.policies import ensure_policies
from config.policies import shipped
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.http_face import open_face

pytestmark = pytest.mark.anyio

START = datetime.fromisoformat("2026-08-20T10:00:00-03:00")
PUT_TO_COME = {"law": "anatel-765", "notice_days": 30, "valid_from": "2026-09-01"}


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(database_url, tmp_path, now=START)
    async with made.uow("start", "start") as uow:
        await ensure_policies(uow.connection, shipped(), START)
    yield made
    await made.store.close()


@pytest.fixture
async def admin(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with open_face(house) as face:
        yield await face.client(name="chefe")


@pytest.fixture
async def added(house: House) -> Added:
    return await add_contract(house, await add_plan(house, "Fibra 100"))


async def _move(house: House, to: str) -> None:
    async with house.uow("test", "clock") as uow:
        await uow.move_clock(datetime.fromisoformat(to))


async def test_presets_are_listed_page_by_page_and_copied(admin: httpx.AsyncClient) -> None:
    names, url = list[str](), "/api/v1/policies?in_force=true&limit=2"
    while True:
        page = (await admin.get(url)).json()
        names += [item["name"] for item in page["items"]]
        if page["next"] is None:
            break
        url = f"/api/v1/policies?in_force=true&limit=2&after={page['next']}"
    assert sorted(names) == ["anatel-632", "anatel-765", "gentle", "simple", "strict"]
    (gentle,) = (await admin.get("/api/v1/policies?name=gentle&author=shipped")).json()["items"]
    copied = await admin.put("/api/v1/policies/ours", json=gentle["document"])
    assert copied.status_code == 200, copied.text
    assert copied.json()["in_force"]
    assert copied.json()["document"] == gentle["document"]


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ({"law": "anatel-632", "notice_days": 10}, "asks for 15 at least"),
        ({"steps": [{"level": "walled"}, {"level": "rescind", "anchor": "walled"}]}, "overlaps"),
        ({"steps": [{"level": "walled"}, {"level": "reduced"}]}, "never softens with time"),
        ({"valid_from": "2026-08-19"}, "days that are past were ruled already"),
        ({"valid_from": "2026-08-21"}, "no version of policy ours would rule until 2026-08-21"),
    ],
)
async def test_what_is_refused_stores_nothing(
    admin: httpx.AsyncClient, document: dict[str, object], word: str
) -> None:
    refused = await admin.put("/api/v1/policies/ours", json=document)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:religa:policy-refused")
    assert word in refused.json()["detail"]
    assert (await admin.get("/api/v1/policies/ours")).status_code == 404


async def test_a_version_rules_from_its_day_and_debtors_are_looked_at_then(
    house: House, admin: httpx.AsyncClient, added: Added
) -> None:
    lines = [{"description": "Internet", "amount_cents": 9990}]
    body = {"contract_id": added.contract_id, "due_on": "2026-10-01", "lines": lines}
    await admin.post("/api/v1/invoices", json=body)
    url = "/api/v1/policies/anatel-765"
    second = (await admin.put(url, json=PUT_TO_COME)).json()
    assert (second["version"], second["in_force"]) == (2, False)
    again = (await admin.put(url, json=PUT_TO_COME)).json()
    assert again["version"] == 2
    # An urgent change meanwhile rules now, and gives way on the day of the other.
    third = (await admin.put(url, json={"law": "anatel-765", "notice_days": 20})).json()
    assert (third["version"], third["in_force"]) == (3, True)
    assert await _notice_days(house) == 20
    await review.run(house, None, "look", "schedule")
    await _move(house, "2026-08-31T23:00:00-03:00")
    assert (await review.run(house, None, "look", "schedule")).accounts == 0
    async with house.store.reading() as connection:
        coming = await review.next_rules_at(house, connection)
    assert coming == datetime.fromisoformat("2026-09-01T00:00:00-03:00")
    await _move(house, "2026-09-01T00:00:00-03:00")
    assert await _notice_days(house) == 30
    assert (await admin.get(url, params={"version": 2})).json()["in_force"]
    assert (await review.run(house, None, "look", "schedule")).accounts == 1
    assert (await review.run(house, None, "look", "schedule")).accounts == 0


async def _notice_days(house: House) -> int:
    async with house.uow("test", "desk") as uow:
        return (await uow.desk()).policies["anatel-765"].notice_days
