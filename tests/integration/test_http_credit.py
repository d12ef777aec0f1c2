"""Credit analyses over HTTP: the table, the decision and its reasons, a person's, the contract."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from api.house import House
from api.operators import Role
from api.store.billing_tables import contract_billing
from api.store.customer_tables import subscribers
from tests.support.bureau import Bureau, add_bureau, bureau_server
from tests.support.database import add_contract, add_plan, make_house
from tests.support.debtors import issue, move_clock, rows
from tests.support.http_face import Face, open_face
from tests.support.money import add_payment

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
CPF = "529.982.247-25"
CONSENT = {"given": True, "channel": "phone", "evidence": "gravação 1182"}
BUREAU: dict[str, Any] = {
    "url": "https://bureau.example/v1",
    "credential": "s3cret-token",
    "creditor_document": "11222333000181",
    "price_cents": 250,
}


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(database_url, tmp_path, now=NOW)
    yield made
    await made.store.close()


@pytest.fixture
async def face(house: House) -> AsyncIterator[Face]:
    async with open_face(house) as opened:
        yield opened


@pytest.fixture
async def bureau() -> AsyncIterator[Bureau]:
    async with bureau_server() as served:
        yield served


def score(value: int | None, **more: Any) -> dict[str, Any]:
    return {"reports": [{"score": {"score": value, "scoreModel": "HSPN"}, **more}]}


async def analyse(client: httpx.AsyncClient, plan_id: int, /, **more: Any) -> httpx.Response:
    body = {"document": CPF, "plan_id": plan_id, "purpose": "new_contract", "consent": CONSENT}
    return await client.post("/api/v1/credit-analyses", json=body | more)


async def subscriber(client: httpx.AsyncClient) -> int:
    made = await client.post("/api/v1/subscribers", json={"name": "Maria", "document": CPF})
    return int(made.json()["id"])


def contract(subscriber_id: int, plan_id: int, analysis_id: int | None, **more: Any) -> Any:
    login = {"username": "maria", "password": "segredo"}
    body = {"subscriber_id": subscriber_id, "plan_id": plan_id, "due_day": 10, "login": login}
    return body | ({"credit_analysis_id": analysis_id} if analysis_id else {}) | more


async def test_a_table_is_versioned_and_a_gap_is_refused_with_its_case(face: Face) -> None:
    client = await face.client(Role.FINANCE)
    shipped = (await client.get("/api/v1/credit-table")).json()
    assert (shipped["version"], shipped["author"]) == (0, None)
    first = await client.put("/api/v1/credit-table", json={"required": True})
    assert first.json()["version"] == 1
    assert (
        await client.put("/api/v1/credit-table", json={"required": True})
    ).json() == first.json()
    texts = {"pt-BR": "sim", "en": "yes"}
    gap = [{"when": {"flag": ["none"]}, "outcome": "approve", "texts": texts}]
    refused = await client.put("/api/v1/credit-table", json={"rules": gap})
    assert refused.status_code == 422
    assert "no rule decides the case band very_low, flag other_debt" in refused.json()["detail"]
    assert (await client.get("/api/v1/credit-table?version=0")).json() == shipped
    assert (await client.get("/api/v1/credit-table?version=9")).status_code == 404


async def test_a_bureaus_credential_is_never_read_back_and_goes_over_https(face: Face) -> None:
    client = await face.client()
    made = await client.put("/api/v1/bureaus/serasa", json=BUREAU)
    assert made.status_code == 200
    assert BUREAU["credential"] not in made.text + (await client.get("/api/v1/bureaus")).text
    clear = BUREAU | {"url": "http://bureau.example/v1"}
    assert (await client.put("/api/v1/bureaus/serasa", json=clear)).status_code == 422
    assert (await client.put("/api/v1/bureaus/other", json=BUREAU)).status_code == 422


async def test_an_analysis_tells_its_reasons_in_two_languages(
    face: Face, house: House, bureau: Bureau
) -> None:
    client = await face.client(Role.FINANCE)
    plan_id = await add_plan(house)
    await add_bureau(house, bureau.url)
    await client.put("/api/v1/credit-table", json={"bureaus": ["serasa"]})
    bureau.report = score(400)
    made = (await analyse(client, plan_id)).json()
    assert (made["state"], made["outcome"], made["deposit_cents"]) == ("decided", "deposit", 9990)
    assert made["document"] == "***.982.247-**"
    assert made["reasons"]["pt-BR"][0] == "Decisão: aprovado com caução de R$\xa099,90."
    assert made["reasons"]["en"][1] == "Reason: a low score; a deposit of one month is asked for."
    assert made["reasons"]["en"][-1] == "You may ask a person to review this decision."
    assert [(i["bureau"], i["cost_cents"]) for i in made["inquiries"]] == [
        ("local", 0),
        ("serasa", 250),
    ]
    assert made["consent"]["evidence"] == "gravação 1182"
    noc = await face.client(Role.NOC)
    seen = (await noc.get(f"/api/v1/credit-analyses/{made['id']}")).json()
    assert (seen["outcome"], seen["criteria"], seen["inquiries"]) == ("deposit", None, [])
    listed = (await client.get(f"/api/v1/credit-analyses?document={CPF}&outcome=deposit")).json()
    assert [item["id"] for item in listed["items"]] == [made["id"]]
    assert (await client.get("/api/v1/credit-analyses?outcome=refuse")).json()["items"] == []


async def test_a_subscriber_is_judged_by_the_class_that_we_know_if_the_table_does(
    face: Face, house: House
) -> None:
    client = await face.client()
    plan_id = await add_plan(house)
    number = await subscriber(client)
    for name in ("condominio", "hospital"):
        await client.put(
            f"/api/v1/classes/{name}", json={"never_block": False, "note": "linha essencial"}
        )
    table = {"classes": ["person", "company", "hospital"]}
    shipped = (await client.get("/api/v1/credit-table")).json()
    assert (await client.put("/api/v1/credit-table", json=table)).status_code == 200, shipped

    async def class_used(**asked: Any) -> str:
        return str((await analyse(client, plan_id, **asked)).json()["customer_class"])

    path = f"/api/v1/subscribers/{number}/class"
    assert await class_used() == "person"
    await client.put(path, json={"customer_class": "hospital", "reason": "leitos"})
    assert await class_used() == "hospital"
    assert await class_used(customer_class="company") == "company"
    await client.put(path, json={"customer_class": "condominio", "reason": "leitos"})
    assert await class_used() == "person", "the table knows no such class"
    refused = await analyse(client, plan_id, customer_class="condominio")
    assert refused.status_code == 409
    assert "no customer class 'condominio'; use person, company, hospital" in refused.text


async def test_our_own_books_speak_of_a_former_customer(face: Face, house: House) -> None:
    client = await face.client(Role.FINANCE)
    plan_id = await add_plan(house)
    added = await add_contract(house, plan_id)
    await _rename(house, "52998224725")
    await issue(house, added.contract_id, date(2026, 10, 1))
    owing = (await analyse(client, plan_id)).json()
    assert owing["outcome"] == "refuse"
    assert owing["criteria"]["own"]["overdue_cents"] == 9990
    assert "Histórico conosco: débito em aberto." in owing["reasons"]["pt-BR"]
    await add_payment(house, added, 12000, "E1")
    late = (await analyse(client, plan_id)).json()
    assert (late["outcome"], late["due_days"]) == ("other_due_day", [5, 10])


async def test_what_was_refused_is_sold_after_two_persons(face: Face, house: House) -> None:
    ana, rui = await face.client(Role.FINANCE, "ana"), await face.client(Role.FINANCE, "rui")
    plan_id = await add_plan(house)
    added = await add_contract(house, plan_id)
    await _rename(house, "52998224725")
    await issue(house, added.contract_id, date(2026, 10, 1))
    made = (await analyse(ana, plan_id)).json()
    url = f"/api/v1/credit-analyses/{made['id']}/decision"
    body = {"outcome": "prepaid", "reason": "pagou hoje, comprovante visto"}
    first = (await ana.post(url, json=body)).json()
    assert (first["state"], first["outcome"]) == ("awaiting_second", "refuse")
    again = await ana.post(url, json=body)
    assert again.status_code == 409
    assert "needs a second person" in again.json()["detail"]
    second = (await rui.post(url, json=body)).json()
    assert (second["state"], second["outcome"]) == ("decided", "prepaid")
    assert second["overruling"]["first"]["author"] == "ana"
    assert "pagou hoje, comprovante visto" in second["reasons"]["pt-BR"][1]
    assert (await ana.post(url, json={"outcome": "deposit", "reason": "x"})).status_code == 422
    missing = await ana.post("/api/v1/credit-analyses/999/decision", json=body)
    assert missing.status_code == 404


async def test_a_contract_is_made_on_its_analysis_terms(
    face: Face, house: House, bureau: Bureau
) -> None:
    admin = await face.client()
    plan_id = await add_plan(house)
    await add_bureau(house, bureau.url)
    await admin.put("/api/v1/credit-table", json={"bureaus": ["serasa"], "required": True})
    person = await subscriber(admin)
    bare = await admin.post("/api/v1/contracts", json=contract(person, plan_id, None))
    assert bare.status_code == 422
    assert "requires an analysis" in bare.json()["detail"]
    whole = {
        "name": "José", "document": "111.444.777-35", "plan": "x", "due_day": 10,
        "username": "jose", "password": "segredo",
    }  # fmt: skip
    assert (await admin.post("/api/v1/subscribers", json=whole)).status_code == 422
    bureau.report = score(400)
    low = (await analyse(admin, plan_id)).json()
    other = await add_plan(house)
    wrong = await admin.post("/api/v1/contracts", json=contract(person, other, low["id"]))
    assert wrong.status_code == 409
    assert "is of plan" in wrong.json()["detail"]
    made = await admin.post("/api/v1/contracts", json=contract(person, plan_id, low["id"]))
    assert made.status_code == 201
    number = made.json()["id"]
    invoices = (await admin.get(f"/api/v1/invoices?contract_id={number}")).json()["items"]
    assert [(i["amount_cents"], i["due_on"]) for i in invoices] == [(9990, "2026-11-29")]
    (billed,) = await rows(house, contract_billing)
    assert billed["next_due_on"] is not None
    used = await admin.post("/api/v1/contracts", json=contract(person, plan_id, low["id"]))
    assert used.status_code == 409
    story = (await admin.get(f"/api/v1/contracts/{number}/timeline?lang=en")).text
    assert "Contract made on credit analysis" in story


async def test_prepaid_is_billed_in_advance_and_an_old_analysis_is_over(
    face: Face, house: House, bureau: Bureau
) -> None:
    admin = await face.client()
    plan_id = await add_plan(house)
    await add_bureau(house, bureau.url)
    await admin.put("/api/v1/credit-table", json={"bureaus": ["serasa"]})
    person = await subscriber(admin)
    bureau.report = score(100)
    made = (await analyse(admin, plan_id)).json()
    assert made["outcome"] == "prepaid"
    answer = await admin.post("/api/v1/contracts", json=contract(person, plan_id, made["id"]))
    assert answer.status_code == 201
    (billed,) = await rows(house, contract_billing)
    assert billed["mode"] == "advance"
    old = (await analyse(admin, plan_id)).json()
    await move_clock(house, NOW + timedelta(days=31))
    body = contract(person, plan_id, old["id"], login={"username": "m2", "password": "segredo"})
    late = await admin.post("/api/v1/contracts", json=body)
    assert late.status_code == 409
    assert "valid until 2026-12-24" in late.json()["detail"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"consent": {**CONSENT, "given": False}}, 422),
        ({"consent": None}, 422),
        ({"purpose": "curiosity"}, 422),
        ({"document": "111.111.111-11"}, 422),
        ({"plan_id": 999}, 422),
        ({"customer_class": "royalty"}, 409),
    ],
)
async def test_an_analysis_that_is_refused(
    face: Face, house: House, change: dict[str, Any], status: int
) -> None:
    client = await face.client(Role.NOC)
    answer = await analyse(client, await add_plan(house), **change)
    assert answer.status_code == status, answer.text


async def test_a_table_that_asks_whom_nobody_configured(face: Face, house: House) -> None:
    client = await face.client()
    await client.put("/api/v1/credit-table", json={"bureaus": ["spc"]})
    answer = await analyse(client, await add_plan(house))
    assert answer.status_code == 409
    assert "PUT /api/v1/bureaus/spc" in answer.json()["detail"]


async def _rename(house: House, document: str) -> None:
    async with house.uow("test", "change") as uow:
        await uow.connection.execute(update(subscribers).values(document=document))
