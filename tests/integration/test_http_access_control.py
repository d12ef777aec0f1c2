"""Who gets in, over HTTP: tokens, login, and every role at every route."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select, update

from api.clock import wall
from api.house import House
from api.operators import (
    LOGIN_FAILURES_MAX,
    NameTaken,
    Role,
    create_operator,
    create_token,
    ensure_admin,
)
from api.store.staff_tables import audit_log, login_failures, operators, tokens
from tests.support.http_face import Face, api_routes, open_face

pytestmark = pytest.mark.anyio

# Who may, by the initials of admin, noc, finance, auditor (u) and agency (g). Written
# from the roles' description.
MATRIX = {
    "POST /plans": "an",
    "GET /plans": "anfu",
    "GET /plans/{id}": "anfu",
    "PUT /plans/{id}/components": "an",
    "POST /plans/{id}/withdrawal": "an",
    "POST /products": "an",
    "GET /products": "anfu",
    "GET /contracts/{id}/billing": "afu",
    "PUT /contracts/{id}/billing": "an",
    "PUT /contracts/{id}/automatic-payment": "an",
    "PUT /contracts/{id}/minimum-term": "an",
    "POST /contracts/{id}/plan-changes": "an",
    "POST /contracts/{id}/due-day-changes": "an",
    "POST /contracts/{id}/products": "an",
    "POST /contracts/{id}/products/{number}/end": "an",
    "POST /contracts/{id}/termination": "an",
    "DELETE /contracts/{id}/termination": "an",
    "POST /contracts/{id}/discounts": "af",
    "POST /contracts/{id}/one-off-lines": "af",
    "POST /contracts/{id}/installation": "af",
    "POST /contracts/{id}/booklet": "af",
    "GET /contracts/{id}/booklet": "afu",
    "POST /outages": "af",
    "POST /outages/{id}/end": "af",
    "GET /outages": "anfu",
    "PUT /subscribers/{id}/address": "an",
    "GET /subscribers/{id}/address": "anfu",
    "PUT /contracts/{id}/address": "an",
    "GET /contracts/{id}/address": "anfu",
    "DELETE /contracts/{id}/address": "an",
    "PUT /holidays": "af",
    "GET /holidays": "anfu",
    "PUT /classes/{name}": "af",
    "GET /classes/{name}": "anfu",
    "GET /classes": "anfu",
    "PUT /subscribers/{id}/class": "af",
    "GET /subscribers/{id}/class": "anfu",
    "PUT /policy-assignments": "af",
    "GET /policy-assignments": "anfu",
    "PUT /contracts/{id}/policy": "af",
    "GET /contracts/{id}/policy": "anfu",
    "POST /holds/{id}/end": "an",
    "GET /holds": "anfu",
    "GET /exemptions": "anfu",
    "POST /billing-runs": "af",
    "GET /billing-runs": "afu",
    "GET /parked-invoices": "afu",
    "POST /parked-invoices/{id}/release": "af",
    "GET /terms": "anfu",
    "PUT /terms": "af",
    "POST /nas": "an",
    "GET /nas": "anu",
    "GET /nas/{id}": "anu",
    "POST /subscribers": "an",
    "GET /subscribers": "anfu",
    "GET /subscribers/{id}": "anfu",
    "GET /subscribers/{id}/contact": "anfu",
    "PUT /subscribers/{id}/contact": "an",
    "POST /contracts": "an",
    "GET /contracts": "anfu",
    "GET /contracts/{id}": "anfu",
    "GET /contracts/{id}/access": "anfu",
    "GET /contracts/{id}/timeline": "anfu",
    "GET /contracts/{id}/usage": "anfu",
    "POST /contracts/{id}/promises": "anf",
    "POST /contracts/{id}/holds": "an",
    "GET /promises": "anfu",
    "POST /contracts/{id}/agreements": "af",
    "POST /agreements/{id}/approve": "af",
    "POST /agreements/{id}/accept": "af",
    "GET /agreements": "afu",
    "GET /agreements/{id}": "afu",
    "POST /invoices/{id}/disputes": "anf",
    "POST /disputes/{id}/answer": "af",
    "GET /disputes": "afu",
    "GET /disputes/{id}": "afu",
    "POST /contracts/{id}/pauses": "anf",
    "POST /pauses/{id}/end": "anf",
    "GET /pauses": "anfu",
    "GET /pauses/{id}": "anfu",
    "POST /invoices": "af",
    "GET /invoices": "afu",
    "GET /invoices/{id}": "afu",
    "POST /invoices/{id}/pix": "af",
    "POST /invoices/{id}/credit-notes": "af",
    "POST /invoices/{id}/debit-notes": "af",
    "POST /invoices/{id}/void": "af",
    "POST /invoices/{id}/write-off": "af",
    "POST /payments": "af",
    "GET /payments": "afu",
    "GET /payments/{id}": "afu",
    "POST /payments/{id}/refunds": "af",
    "POST /payments/{id}/chargebacks": "af",
    "POST /payments/{id}/returns": "af",
    "POST /payments/{id}/assign": "af",
    "GET /suspense": "afu",
    "GET /bills": "afu",
    "GET /bills/{id}": "afu",
    "POST /bills/{id}/pix": "af",
    "GET /ledger/balances": "afu",
    "GET /ledger/entries": "afu",
    "GET /delinquency": "afu",
    "GET /delinquency/contracts": "afu",
    "GET /delinquency/cohorts": "afu",
    "GET /delinquency/promises": "afu",
    "GET /delinquency/agreements": "afu",
    "GET /delinquency/dso": "afu",
    "GET /delinquency/forecast": "afu",
    "POST /reviews": "af",
    "GET /reviews": "afu",
    "GET /reviews/{id}": "afu",
    "GET /reviews/{id}/rows": "afu",
    "POST /reviews/{id}/release": "af",
    "GET /guards": "anfu",
    "PUT /guards/feeds/{provider}/retirement": "af",
    "GET /kill-switches": "anfu",
    "PUT /kill-switches/global": "anf",
    "PUT /kill-switches/nas/{id}": "anf",
    "PUT /kill-switches/contracts/{id}": "anf",
    "DELETE /kill-switches/global": "anf",
    "DELETE /kill-switches/nas/{id}": "anf",
    "DELETE /kill-switches/contracts/{id}": "anf",
    "PUT /policies/{name}": "af",
    "GET /policies/{name}": "anfu",
    "GET /policies": "anfu",
    "GET /stages": "afu",
    "GET /moments": "anfu",
    "PUT /moments": "af",
    "GET /templates/{kind}/{language}": "afu",
    "PUT /templates/{kind}/{language}": "af",
    "POST /templates/{kind}/{language}/preview": "af",
    "GET /surveys/results": "afu",
    "GET /surveys/detractors": "afu",
    "GET /sessions": "anu",
    "GET /sessions/{id}": "anu",
    "GET /actions": "anu",
    "GET /actions/{id}": "anu",
    "GET /metrics/restore": "anfu",
    "GET /notices": "afu",
    "GET /notices/{id}": "afu",
    "GET /messages": "afu",
    "GET /messages/{id}": "afu",
    "GET /audit": "au",
    "GET /audit/{seq}": "au",
    "POST /tokens": "a",
    "DELETE /tokens/{id}": "a",
    "POST /operators": "a",
    "GET /operators": "au",
    "POST /clock": "a",
    "PUT /bureaus/{name}": "a",
    "GET /bureaus": "anfu",
    "PUT /credit-table": "af",
    "GET /credit-table": "anfu",
    "POST /credit-analyses": "anf",
    "GET /credit-analyses": "anfu",
    "GET /credit-analyses/{id}": "anfu",
    "POST /credit-analyses/{id}/decision": "af",
    "GET /listings": "afu",
    "GET /listings/{id}": "afu",
    "POST /listings/{id}/removal": "af",
    "POST /listing-runs": "af",
    "GET /listing-letters": "afu",
    "GET /listing-letters/{id}": "afu",
    "GET /listing-rules": "anfu",
    "PUT /listing-rules": "af",
    "POST /agencies": "af",
    "GET /agencies": "afu",
    "POST /agencies/{id}/tokens": "a",
    "POST /agencies/{id}/handovers": "af",
    "GET /agencies/{id}/batches": "afu",
    "GET /handover-batches/{id}": "afu",
    "GET /handover-batches/{id}/file": "afu",
    "GET /agencies/{id}/accounts": "afug",
}
INITIALS = {Role.ADMIN: "a", Role.NOC: "n", Role.FINANCE: "f", Role.AUDITOR: "u", Role.AGENCY: "g"}


@pytest.fixture
async def face(house: House) -> AsyncIterator[Face]:
    async with open_face(house) as opened:
        yield opened


def _operations(face: Face) -> Iterator[tuple[str, str]]:
    for path, route in api_routes(face.app.routes):
        for method in route.methods or ():
            if path.startswith("/api/v1/") and path != "/api/v1/login":
                yield method, path


async def _call(client: httpx.AsyncClient, method: str, path: str) -> httpx.Response:
    """Call with ids that do not exist and, for POST and PUT, a body that no route takes."""
    url = path.replace("{id}", "999999").replace("{seq}", "999999").replace("{name}", "none")
    url = url.replace("{kind}", "thanks").replace("{language}", "en")
    body = ["no route takes this"] if method in {"POST", "PUT"} else None
    return await client.request(method, url, json=body)


async def test_no_route_lets_anyone_in_without_a_token(face: Face) -> None:
    client = await face.client(None)
    for method, path in _operations(face):
        answer = await _call(client, method, path)
        assert answer.status_code == 401, f"{method} {path}"
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("role", list(Role))
async def test_every_role_at_every_route(face: Face, role: Role) -> None:
    client = await face.client(role)
    seen = set()
    for method, path in _operations(face):
        operation = f"{method} {path.removeprefix('/api/v1')}"
        answer = await _call(client, method, path)
        allowed = INITIALS[role] in MATRIX[operation]
        assert (answer.status_code != 403) is allowed, f"{operation}: {answer.text}"
        assert answer.status_code < 500, f"{operation}: {answer.text}"
        seen.add(operation)
    assert seen == set(MATRIX)


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer religa_", "Bearer religa_x", "Bearer é", "x"],
)
async def test_what_is_no_token_is_refused(face: Face, header: str) -> None:
    client = await face.client(None)
    answer = await client.get(
        "/api/v1/plans", headers=[(b"Authorization", header.encode("latin-1"))]
    )
    assert answer.status_code == 401


async def test_only_the_hash_of_a_token_is_stored(house: House) -> None:
    async with house.uow("test", "seed") as uow:
        token = await create_token(uow, "noc", "bng robot")
        stored = (await uow.connection.execute(select(tokens))).mappings().one()
    assert token.startswith("religa_")
    assert len(token) > 40
    assert token not in repr(dict(stored))
    async with house.uow("test", "seed") as uow:
        entries = (await uow.connection.execute(select(audit_log))).mappings().all()
    assert "token.created" in {entry["action"] for entry in entries}
    assert token not in repr([dict(entry) for entry in entries])


async def test_a_revoked_token_stops_at_once_and_stays_revoked(face: Face) -> None:
    admin = await face.client()
    made = (await admin.post("/api/v1/tokens", json={"name": "site", "role": "finance"})).json()
    site = await face.client(None)
    site.headers["Authorization"] = f"Bearer {made['token']}"
    assert (await site.get("/api/v1/plans")).status_code == 200
    assert (await admin.delete(f"/api/v1/tokens/{made['id']}")).status_code == 204
    assert (await site.get("/api/v1/plans")).status_code == 401
    assert (await admin.delete(f"/api/v1/tokens/{made['id']}")).status_code == 204
    assert (await admin.delete("/api/v1/tokens/999999")).status_code == 404


async def test_an_expired_token_is_none(face: Face, house: House) -> None:
    async with house.uow("test", "seed") as uow:
        token = await create_token(uow, "noc", "old", expires_at=wall() - timedelta(seconds=1))
    client = await face.client(None)
    client.headers["Authorization"] = f"Bearer {token}"
    assert (await client.get("/api/v1/plans")).status_code == 401


async def test_a_name_in_the_audit_log_means_one_token_or_operator(face: Face) -> None:
    admin = await face.client()
    body = {"name": "joana", "role": "noc"}
    assert (await admin.post("/api/v1/tokens", json=body)).status_code == 201
    assert (await admin.post("/api/v1/tokens", json=body)).status_code == 409
    operator = body | {"password": "uma senha comprida"}
    assert (await admin.post("/api/v1/operators", json=operator)).status_code == 409


async def test_names_made_at_the_same_time_cannot_be_equal(house: House) -> None:
    async def make() -> str:
        async with house.uow("test", "seed") as uow:
            return await create_token(uow, "noc", "twin")

    made = await asyncio.gather(*(make() for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(one, str) for one in made) == 1
    assert sum(isinstance(one, NameTaken) for one in made) == 3


async def test_the_first_start_makes_one_admin_and_tells_its_password_once(
    house: House, face: Face
) -> None:
    told = [p for p in await asyncio.gather(ensure_admin(house), ensure_admin(house)) if p]
    assert len(told) == 1
    assert await ensure_admin(house) is None
    client = await face.client(None)
    answer = await client.post("/api/v1/login", json={"name": "admin", "password": told[0]})
    assert answer.status_code == 200
    assert answer.json()["role"] == "admin"
    client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    shown = (await client.get("/api/v1/operators")).json()["items"]
    assert [operator["name"] for operator in shown] == ["admin"]
    assert "password" not in repr(shown)
    async with house.uow("test", "seed") as uow:
        stored = (await uow.connection.execute(select(operators.c.password_hash))).scalar_one()
    assert stored.startswith("$argon2")


async def _operator(house: House, name: str = "joana", role: Role = Role.NOC) -> str:
    async with house.uow("test", "seed") as uow:
        await create_operator(uow, role, name, "uma senha comprida")
    return "uma senha comprida"


async def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(
    house: House, face: Face
) -> None:
    await _operator(house)
    client = await face.client(None)
    wrong = await client.post("/api/v1/login", json={"name": "joana", "password": "x"})
    nobody = await client.post("/api/v1/login", json={"name": "ninguém", "password": "x"})
    assert wrong.status_code == nobody.status_code == 401
    drop = {"correlation_id": ""}
    assert wrong.json() | drop == nobody.json() | drop


async def test_five_failures_throttle_that_name_and_only_that_name(
    house: House, face: Face
) -> None:
    password = await _operator(house)
    await _operator(house, "pedro")
    client = await face.client(None)
    for _ in range(LOGIN_FAILURES_MAX):
        answer = await client.post("/api/v1/login", json={"name": "joana", "password": "x"})
        assert answer.status_code == 401
    for guess in ("x", password):
        answer = await client.post("/api/v1/login", json={"name": "joana", "password": guess})
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 15 * 60 + 1
    other = await client.post("/api/v1/login", json={"name": "pedro", "password": password})
    assert other.status_code == 200
    async with house.uow("test", "later") as uow:
        earlier = login_failures.c.at_wall - timedelta(minutes=16)
        await uow.connection.execute(update(login_failures).values(at_wall=earlier))
    answer = await client.post("/api/v1/login", json={"name": "joana", "password": password})
    assert answer.status_code == 200


async def test_guesses_sent_at_once_count_each_other(house: House, face: Face) -> None:
    await _operator(house)
    client = await face.client(None)
    guess = {"name": "joana", "password": "x"}
    answers = await asyncio.gather(*(client.post("/api/v1/login", json=guess) for _ in range(9)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses.count(401) <= LOGIN_FAILURES_MAX
    assert statuses.count(429) >= 9 - LOGIN_FAILURES_MAX


async def test_a_success_forgets_the_failures_before_it(house: House, face: Face) -> None:
    password = await _operator(house)
    client = await face.client(None)
    for guess in ("x", "x", password):
        await client.post("/api/v1/login", json={"name": "joana", "password": guess})
    async with house.uow("test", "read") as uow:
        left = await uow.connection.scalar(select(func.count()).select_from(login_failures))
    assert left == 0


async def test_disabling_or_demoting_an_operator_holds_for_tokens_already_given(
    house: House, face: Face
) -> None:
    password = await _operator(house)
    client = await face.client(None)
    answer = await client.post("/api/v1/login", json={"name": "joana", "password": password})
    client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    assert (await client.get("/api/v1/nas")).status_code == 200
    async with house.uow("test", "demote") as uow:
        await uow.connection.execute(update(operators).values(role="finance"))
    assert (await client.get("/api/v1/nas")).status_code == 403
    async with house.uow("test", "disable") as uow:
        await uow.connection.execute(update(operators).values(disabled_at=wall()))
    assert (await client.get("/api/v1/plans")).status_code == 401
    again = await (await face.client(None)).post(
        "/api/v1/login", json={"name": "joana", "password": password}
    )
    assert again.status_code == 401
