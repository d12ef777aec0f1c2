"""Liveness, readiness and metrics; and what a database that is away does to each."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, text, update

from api.clock import wall
from api.house import House
from api.store.network_tables import nodes
from api.store.staff_tables import facts
from tests.support.database import Cluster, add_contract, add_plan, make_house
from tests.support.http_face import Face, open_face

pytestmark = pytest.mark.anyio


@pytest.fixture
async def face(house: House) -> AsyncIterator[Face]:
    async with open_face(house) as opened:
        yield opened


async def _beat(house: House, name: str, state: dict[str, object]) -> None:
    async with house.uow("test", "seed") as uow:
        row = {"name": name, "seen_wall": wall(), "state": state}
        await uow.connection.execute(insert(nodes).values(row))


async def test_readiness_says_which_part_is_missing(house: House, face: Face) -> None:
    client = await face.client(None)
    before = await client.get("/readyz")
    assert before.status_code == 200
    parts = before.json()["parts"]
    assert {name: part["ok"] for name, part in parts.items()} == {
        "database": True,
        "key": True,
        "radius": False,
        "worker": False,
    }
    assert before.json()["ready"] is False
    await _beat(house, "radius@a:1812", {"counters": {}})
    await _beat(house, "worker@a:1", {"role": "worker"})
    after = (await client.get("/readyz")).json()
    assert after["ready"] is True
    assert [node["name"] for node in after["parts"]["radius"]["nodes"]] == ["radius@a:1812"]
    async with house.uow("test", "age") as uow:
        old = text("clock_timestamp() - interval '16 seconds'")
        await uow.connection.execute(update(nodes).values(seen_wall=old))
    stale = (await client.get("/readyz")).json()["parts"]
    assert (stale["radius"]["ok"], stale["worker"]["ok"]) == (False, False)


async def test_another_key_than_the_databases_is_not_ready(house: House, face: Face) -> None:
    async with house.uow("test", "seed") as uow:
        await uow.connection.execute(insert(facts).values(name="key_check", value="00" * 40))
    client = await face.client(None)
    parts = (await client.get("/readyz")).json()["parts"]
    assert (parts["database"]["ok"], parts["key"]["ok"]) == (True, False)


async def test_metrics_tell_what_radius_counted_and_what_is_open(house: House, face: Face) -> None:
    await add_contract(house, await add_plan(house))
    await _beat(house, "radius@a:1812", {"counters": {"accepts": 7, "malformed": 2}})
    client = await face.client(None)
    await client.get("/healthz")
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert found["religa_radius_packets_total", "accepts", "radius@a:1812"] == 7
    assert found["religa_radius_packets_total", "malformed", "radius@a:1812"] == 2
    assert found["religa_contracts", "full"] == 1
    assert found["religa_open_work", "suspense"] == 0
    assert found["religa_database_up",] == 1
    assert found["religa_http_request_duration_seconds_count", "200", "GET"] >= 1


@pytest.fixture
async def away(
    database_cluster: Cluster, tmp_path: Path
) -> AsyncIterator[tuple[Face, dict[str, str]]]:
    """A face whose database was there, and is not any more; and a token's header."""
    url = database_cluster.create()
    house = await make_house(url, tmp_path)
    async with open_face(house) as face:
        client = await face.client()
        database_cluster.drop(url)
        yield face, {"Authorization": client.headers["Authorization"]}
    await house.store.close()


async def test_a_database_that_is_away_is_503_and_the_process_still_lives(
    away: tuple[Face, dict[str, str]],
) -> None:
    face, token = away
    client = await face.client(None)
    assert (await client.get("/healthz")).status_code == 200
    ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["parts"]["database"]["ok"] is False
    metrics = await client.get("/metrics")
    assert metrics.status_code == 200
    assert "religa_database_up 0.0" in metrics.text
    for method, path, body in (
        ("GET", "/api/v1/contracts", None),
        ("POST", "/api/v1/login", {"name": "a", "password": "b"}),
    ):
        answer = await client.request(method, path, json=body, headers=token)
        assert answer.status_code == 503, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["type"] == "urn:religa:database-away"
        assert os.fspath(face.house.settings.data_dir) not in answer.text
