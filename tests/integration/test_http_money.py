"""Invoices, payments and idempotency over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Table, func, select

from api.house import House
from api.operators import Role
from api.store.money_tables import invoices, payments
from api.store.staff_tables import idempotency_keys
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.http_face import Face, open_face

pytestmark = pytest.mark.anyio

NOW = datetime.fromisoformat("2026-09-16T10:00:00-03:00")

LINE = {
    "description": "Internet",
    "amount_cents": 9990,
    "kind": "other",
    "service": "",
    "from_on": None,
    "until_on": None,
    "conditional": False,
}


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """A house whose clock stands at `NOW`, 15 days after the first invoice's due date."""
    made = await make_house(database_url, tmp_path, now=NOW)
    yield made
    await made.store.close()


@pytest.fixture
async def face(house: House) -> AsyncIterator[Face]:
    async with open_face(house) as opened:
        yield opened


@pytest.fixture
async def finance(face: Face) -> httpx.AsyncClient:
    return await face.client(Role.FINANCE)


@pytest.fixture
async def added(house: House) -> Added:
    return await add_contract(house, await add_plan(house))


def _invoice(added: Added, cents: int = 9990, due_on: str = "2026-09-01") -> dict[str, object]:
    lines = [{"description": "Internet", "amount_cents": cents}]
    return {"contract_id": added.contract_id, "due_on": due_on, "lines": lines}


async def _issued(client: httpx.AsyncClient, added: Added, cents: int = 9990) -> int:
    answer = await client.post("/api/v1/invoices", json=_invoice(added, cents))
    assert answer.status_code == 201, answer.text
    made: int = answer.json()["id"]
    return made


async def _count(house: House, table: Table) -> int:
    async with house.uow("test", "read") as uow:
        return await uow.connection.scalar(select(func.count()).select_from(table)) or 0


async def test_an_invoice_shows_what_is_due_now_with_fine_and_interest(
    finance: httpx.AsyncClient, added: Added
) -> None:
    made = (await finance.post("/api/v1/invoices", json=_invoice(added))).json()
    # Money rule 6: 99.90, 15 days: fine 2.00, interest 0.50.
    assert made == {
        "id": made["id"],
        "contract_id": added.contract_id,
        "bill_id": None,
        "due_on": "2026-09-01",
        "state": "open",
        "amount_cents": 9990,
        "paid_cents": 0,
        "discount_cents": 0,
        "amount_due_cents": 9990 + 200 + 50,
        "lines": [LINE],
    }
    assert (await finance.get(f"/api/v1/invoices/{made['id']}")).json() == made
    query: dict[str, str | int] = {"contract_id": added.contract_id, "state": "open"}
    listed = (await finance.get("/api/v1/invoices", params=query)).json()
    assert listed == {"items": [made], "next": None}
    paid = await finance.get("/api/v1/invoices", params={"state": "paid"})
    assert paid.json()["items"] == []
    contract = (await finance.get(f"/api/v1/contracts/{added.contract_id}")).json()
    assert contract["debt_cents"] == 9990


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"lines": []}, 422),
        ({"lines": [{"description": "x", "amount_cents": 99.9}]}, 422),
        ({"lines": [{"description": "x", "amount_cents": 0}]}, 422),
        ({"due_on": "2026-02-30"}, 422),
        ({"due_on": "9999-12-31"}, 422),
        ({"contract_id": 999999}, 404),
    ],
)
async def test_a_wrong_invoice_is_refused_and_nothing_is_issued(
    finance: httpx.AsyncClient,
    house: House,
    added: Added,
    change: dict[str, object],
    status: int,
) -> None:
    answer = await finance.post("/api/v1/invoices", json=_invoice(added) | change)
    assert answer.status_code == status
    assert await _count(house, invoices) == 0


async def test_money_by_hand_pays_the_invoice_and_a_repeat_pays_nothing_more(
    finance: httpx.AsyncClient, house: House, added: Added
) -> None:
    invoice_id = await _issued(finance, added)
    body = {
        "invoice_id": invoice_id,
        "amount_cents": 10_240,
        "method": "dinheiro",
        "reference": "recibo 12",
    }
    first = await finance.post("/api/v1/payments", json=body)
    assert first.status_code == 201, first.text
    assert first.json()["state"] == "posted"
    assert first.json()["external_id"] == "dinheiro:recibo 12"
    shown = (await finance.get(f"/api/v1/invoices/{invoice_id}")).json()
    assert (shown["state"], shown["amount_due_cents"]) == ("paid", 0)
    again = await finance.post("/api/v1/payments", json=body)
    assert again.status_code == 200
    assert again.json()["id"] == first.json()["id"]
    for change in ({"amount_cents": 1}, {"invoice_id": 999999}):
        other = await finance.post("/api/v1/payments", json=body | change)
        assert other.status_code == 409, other.text
    assert await _count(house, payments) == 1
    seen = (await finance.get(f"/api/v1/payments/{first.json()['id']}")).json()
    assert seen.items() <= first.json().items()


async def test_what_is_over_becomes_credit_and_the_answer_says_so(
    finance: httpx.AsyncClient, added: Added
) -> None:
    invoice_id = await _issued(finance, added)
    body = {
        "invoice_id": invoice_id,
        "amount_cents": 12_000,
        "method": "pix",
        "reference": "x",
        "paid_at": "2026-09-01T09:00:00",
    }
    answer = (await finance.post("/api/v1/payments", json=body)).json()
    # Paid on the due date in the provider's own time: no fine, no interest.
    assert answer["credit_cents"] == 12_000 - 9990
    assert "2010 cents" in answer["detail"]
    assert answer["paid_at"] == "2026-09-01T09:00:00-03:00"


async def test_money_for_an_unknown_invoice_is_kept_in_suspense_and_listed(
    finance: httpx.AsyncClient,
) -> None:
    body = {"invoice_id": 424242, "amount_cents": 500, "method": "pix", "reference": "e2e"}
    kept = await finance.post("/api/v1/payments", json=body)
    assert kept.status_code == 201
    assert kept.json()["state"] == "suspense"
    assert "424242" in kept.json()["suspense_reason"]
    assert "/api/v1/payments?state=suspense" in kept.json()["detail"]
    listed = (await finance.get("/api/v1/payments", params={"state": "suspense"})).json()
    assert [item["id"] for item in listed["items"]] == [kept.json()["id"]]
    posted = await finance.get("/api/v1/payments", params={"state": "posted"})
    assert posted.json()["items"] == []
    again = await finance.post("/api/v1/payments", json=body)
    assert (again.status_code, again.json()["id"]) == (200, kept.json()["id"])


@pytest.mark.parametrize(
    "change",
    [
        {"amount_cents": 0},
        {"amount_cents": 10.5},
        {"method": "a:b"},
        {"reference": ""},
        {"paid_at": "2026-09-16T10:00:01-03:00"},
        {"invoice_id": "1"},
    ],
)
async def test_a_wrong_payment_is_refused(
    finance: httpx.AsyncClient, house: House, change: dict[str, object]
) -> None:
    body = {"invoice_id": 1, "amount_cents": 500, "method": "pix", "reference": "e2e"}
    answer = await finance.post("/api/v1/payments", json=body | change)
    assert answer.status_code == 422
    assert await _count(house, payments) == 0


async def test_the_same_key_and_body_get_the_first_answer_and_act_once(
    finance: httpx.AsyncClient, house: House, added: Added
) -> None:
    key = {"Idempotency-Key": "k" * 255}
    first = await finance.post("/api/v1/invoices", json=_invoice(added), headers=key)
    again = await finance.post("/api/v1/invoices", json=_invoice(added), headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert await _count(house, invoices) == 1
    other = await finance.post("/api/v1/invoices", json=_invoice(added, 1), headers=key)
    assert other.status_code == 409
    assert other.json()["type"] == "urn:religa:idempotency-key-reused"
    assert await _count(house, invoices) == 1


async def test_a_key_belongs_to_its_caller_and_its_route(
    face: Face, finance: httpx.AsyncClient, house: House, added: Added
) -> None:
    key = {"Idempotency-Key": "k1"}
    await finance.post("/api/v1/invoices", json=_invoice(added), headers=key)
    other = await face.client(Role.FINANCE)
    second = await other.post("/api/v1/invoices", json=_invoice(added), headers=key)
    assert "idempotency-replayed" not in second.headers
    body = {"invoice_id": second.json()["id"], "amount_cents": 1, "method": "a", "reference": "b"}
    assert (await finance.post("/api/v1/payments", json=body, headers=key)).status_code == 201
    assert await _count(house, invoices) == 2


async def test_requests_at_the_same_time_with_one_key_act_once(
    finance: httpx.AsyncClient, house: House, added: Added
) -> None:
    key = {"Idempotency-Key": "race"}
    answers = await asyncio.gather(
        *(finance.post("/api/v1/invoices", json=_invoice(added), headers=key) for _ in range(6))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 5
    assert await _count(house, invoices) == 1


async def test_the_same_payment_at_the_same_time_without_a_key_is_posted_once(
    finance: httpx.AsyncClient, house: House, added: Added
) -> None:
    invoice_id = await _issued(finance, added)
    body = {"invoice_id": invoice_id, "amount_cents": 5, "method": "a", "reference": "b"}
    answers = await asyncio.gather(*(finance.post("/api/v1/payments", json=body) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert await _count(house, payments) == 1


async def test_a_refusal_is_not_kept_under_its_key(
    finance: httpx.AsyncClient, house: House, added: Added
) -> None:
    key = {"Idempotency-Key": "k2"}
    wrong = _invoice(added) | {"contract_id": 999999}
    assert (await finance.post("/api/v1/invoices", json=wrong, headers=key)).status_code == 404
    assert await _count(house, idempotency_keys) == 0
    right = await finance.post("/api/v1/invoices", json=_invoice(added), headers=key)
    assert right.status_code == 201


@pytest.mark.parametrize("key", ["k" * 256, "", "a b", "ç"])
async def test_a_key_that_cannot_be_stored_is_refused(
    finance: httpx.AsyncClient, house: House, added: Added, key: str
) -> None:
    answer = await finance.post(
        "/api/v1/invoices",
        json=_invoice(added),
        headers=[(b"Idempotency-Key", key.encode("latin-1"))],
    )
    assert answer.status_code == 422
    assert await _count(house, invoices) == 0


async def test_pix_without_a_provider_says_what_to_set(
    finance: httpx.AsyncClient, added: Added
) -> None:
    invoice_id = await _issued(finance, added)
    answer = await finance.post(f"/api/v1/invoices/{invoice_id}/pix")
    assert answer.status_code == 409
    assert "RELIGA_PIX_URL" in answer.json()["detail"]
