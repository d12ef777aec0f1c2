from collections.abc import AsyncIterator
from typing import Annotated, cast

import httpx
import pytest
from fastapi import Body, FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import OperationalError

from api.app import create_app
from api.house import House
from api.http.problems import Problem
from api.store.uow import DatabaseAway
from tests.support.http_face import no_mover


class Taken(BaseModel):
    model_config = ConfigDict(extra="forbid")

    password: int


def _app() -> FastAPI:
    """The real application's envelope around routes that go wrong in each way."""
    # A house is looked at by requests to its own routes alone, and none is made here.
    app = create_app(cast(House, None), clock_mover=no_mover)

    @app.get("/away")
    async def away() -> None:
        raise DatabaseAway("host=db password=hunter2")

    @app.get("/cut")
    async def cut() -> None:
        raise OperationalError("select secret", {}, Exception("server closed the connection"))

    @app.get("/bug")
    async def bug() -> None:
        raise ZeroDivisionError("inner words")

    @app.get("/refused")
    async def refused() -> None:
        raise Problem(409, "taken", "Taken", "half a \ud83d surrogate", headers={"X-A": "b"})

    @app.post("/take")
    async def take(body: Annotated[Taken, Body()]) -> int:
        return body.password

    return app


def _client() -> httpx.AsyncClient:
    transport = httpx.ASGITransport(_app(), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://religa.test")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/api/v1/nowhere", 404, "not-found"),
        ("DELETE", "/refused", 405, "method-not-allowed"),
        ("GET", "/away", 503, "database-away"),
        ("GET", "/cut", 503, "database-away"),
        ("GET", "/bug", 500, "internal-error"),
        ("GET", "/refused", 409, "taken"),
    ],
)
async def test_every_error_is_a_problem_document(
    method: str, path: str, status: int, kind: str
) -> None:
    async with _client() as client:
        answer = await client.request(method, path, headers={"X-Request-ID": "my-id-1"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "my-id-1"
    problem = answer.json()
    assert problem["type"] == f"urn:religa:{kind}"
    assert problem["status"] == status
    assert problem["correlation_id"] == "my-id-1"
    assert problem["title"]
    assert problem["detail"]
    for inner in ("hunter2", "inner words", "select secret", "ZeroDivision"):
        assert inner not in answer.text


@pytest.mark.anyio
async def test_a_database_that_is_away_says_when_to_try_again() -> None:
    async with _client() as client:
        answer = await client.get("/away")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ('{"password": "hunter2"}', "body.password", "integer"),
        ('{"password": 1, "passwrod": 2}', "body.passwrod", "unknown field"),
        ("{}", "body.password", "required"),
        ('{"password":', "body.12", "not JSON"),
        ('{"password": "\\ud83d"}', "body.password", "unicode"),
        ("[" * 100_000, "", ""),
    ],
)
async def test_a_wrong_body_names_the_field_and_never_repeats_it(
    body: str, field: str, said: str
) -> None:
    async with _client() as client:
        answer = await client.post(
            "/take", content=body, headers={"content-type": "application/json"}
        )
    assert answer.headers["content-type"] == "application/problem+json"
    assert "hunter2" not in answer.text
    if not field:
        assert answer.status_code == 400
        return
    assert answer.status_code == 422
    errors = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert said in errors[field]


@pytest.mark.anyio
@pytest.mark.parametrize("told", [True, False])
async def test_a_body_over_a_mebibyte_is_refused_told_beforehand_or_not(told: bool) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(64):
            sent += 65_536
            yield b" " * 65_536

    headers = {"content-type": "application/json"}
    if told:
        headers["content-length"] = str(64 * 65_536)
    async with _client() as client:
        answer = await client.post("/take", content=body(), headers=headers)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert "1 MiB" in answer.json()["detail"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-123", True),
        ("A" * 64, True),
        ("A" * 65, False),
        ("", False),
        ("a b", False),
        ('x"y', False),
        ("é", False),
    ],
)
async def test_a_correlation_id_is_taken_only_if_it_is_safe_to_log(given: str, kept: bool) -> None:
    async with _client() as client:
        answer = await client.get("/healthz", headers=[(b"X-Request-ID", given.encode("latin-1"))])
    assert (answer.headers["x-request-id"] == given) is kept
    assert 1 <= len(answer.headers["x-request-id"]) <= 64
