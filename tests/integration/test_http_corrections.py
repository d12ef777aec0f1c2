"""Refunds, chargebacks, suspense, notes, voiding, writing off, bills and the ledger, over HTTP."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.house import House
from api.operators import Role
from api.verify import verify
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.http_face import Face, open_face
from tests.support.money import move_clock

pytestmark = pytest.mark.anyio

NOW = datetime.fromisoformat("2026-09-01T10:00:00-03:00")


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """A house at the due date; at the end its books are found in order."""
    made = await make_house(database_url, tmp_path, now=NOW)
    yield made
    async with made.store.reading() as connection:
        assert await verify(made, connection) == []
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


async def _issue(client: httpx.AsyncClient, contract_id: int, *lines: dict[str, Any]) -> int:
    body = {
        "contract_id": contract_id,
        "due_on": "2026-09-01",
        "lines": lines or [{"description": "Internet", "amount_cents": 9990, "kind": "scm"}],
    }
    return int((await _ok(client, "invoices", body, 201))["id"])


async def _pay(client: httpx.AsyncClient, invoice_id: int, cents: int, reference: str) -> int:
    body = {
        "invoice_id": invoice_id,
        "amount_cents": cents,
        "method": "pix",
        "reference": reference,
    }
    return int((await _ok(client, "payments", body, 201))["id"])


async def _ok(client: httpx.AsyncClient, path: str, body: Any, status: int = 200) -> Any:
    answer = await client.post(f"/api/v1/{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def _get(client: httpx.AsyncClient, path: str, **query: str) -> Any:
    answer = await client.get(f"/api/v1/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_conditional_discount_is_shown_and_charged(
    finance: httpx.AsyncClient, house: House, added: Added
) -> None:
    lines = [
        {"description": "Plano", "amount_cents": 9990, "kind": "scm", "service": "fibra-300"},
        {"description": "Pontualidade", "amount_cents": -1000, "conditional": True},
    ]
    number = await _issue(finance, added.contract_id, *lines)
    shown = await _get(finance, f"invoices/{number}")
    assert (shown["amount_cents"], shown["amount_due_cents"]) == (9990, 8990)
    assert shown["lines"][0]["service"] == "fibra-300"
    await _pay(finance, number, 8990, "e-1")
    shown = await _get(finance, f"invoices/{number}")
    assert (shown["state"], shown["paid_cents"], shown["discount_cents"]) == ("paid", 8990, 1000)
    balances = {i["account"]: i["cents"] for i in (await _get(finance, "ledger/balances"))["items"]}
    assert balances == {
        "cash:hand": 8990,
        "discounts": 1000,
        "receivable": 0,
        "revenue:scm": -9990,
    }


async def test_a_chargeback_reopens_and_a_repeat_is_the_same(
    finance: httpx.AsyncClient, added: Added
) -> None:
    number = await _issue(finance, added.contract_id)
    paid = await _pay(finance, number, 9990, "e-1")
    body = {"reference": "cb-1", "reason": "contestado"}
    made = await _ok(finance, f"payments/{paid}/chargebacks", body, 201)
    assert (made["amount_cents"], made["invoices"][0]["state"]) == (9990, "open")
    assert made["invoices"][0]["due_on"] == "2026-09-06"
    again = await _ok(finance, f"payments/{paid}/chargebacks", body)
    assert again == made
    other = body | {"amount_cents": 5}
    answer = await finance.post(f"/api/v1/payments/{paid}/chargebacks", json=other)
    assert answer.json()["type"] == "urn:religa:reversal-conflict"
    more = {"reference": "r-2", "reason": "de novo", "amount_cents": 1}
    answer = await finance.post(f"/api/v1/payments/{paid}/refunds", json=more)
    assert answer.status_code == 409
    assert "went back before" in answer.json()["detail"]


async def test_a_refund_takes_credit_and_never_more_than_the_payment(
    finance: httpx.AsyncClient, added: Added
) -> None:
    number = await _issue(finance, added.contract_id)
    paid = await _pay(finance, number, 12000, "e-1")
    body = {"reference": "r-1", "reason": "pago a mais", "amount_cents": 12001}
    answer = await finance.post(f"/api/v1/payments/{paid}/refunds", json=body)
    assert answer.status_code == 409
    made = await _ok(finance, f"payments/{paid}/refunds", body | {"amount_cents": 2010}, 201)
    assert (made["credit_cents"], made["invoices"]) == (2010, [])
    assert (await _get(finance, f"invoices/{number}"))["state"] == "paid"


async def test_suspense_ages_and_is_assigned_by_the_payments_own_date(
    finance: httpx.AsyncClient, house: House, added: Added
) -> None:
    number = await _issue(finance, added.contract_id)
    kept = await _pay(finance, 424242, 9990, "e-1")
    await move_clock(house, datetime.fromisoformat("2026-09-16T10:00:00-03:00"))
    listed = await _get(finance, "suspense")
    (item,) = listed["items"]
    assert (item["id"], item["age_days"], item["overdue"]) == (kept, 15, True)
    assert (listed["overdue_count"], listed["overdue_cents"]) == (1, 9990)
    both = {"invoice_id": number, "subscriber_id": added.subscriber_id}
    answer = await finance.post(f"/api/v1/payments/{kept}/assign", json=both)
    assert answer.status_code == 422
    given = await _ok(finance, f"payments/{kept}/assign", {"invoice_id": number})
    # It was paid on the due date, so nothing is late.
    assert (given["state"], given["credit_cents"]) == ("posted", 0)
    assert (await _get(finance, f"invoices/{number}"))["state"] == "paid"
    assert (await _get(finance, "suspense"))["items"] == []
    answer = await finance.post(f"/api/v1/payments/{kept}/assign", json={"invoice_id": number})
    assert answer.status_code == 409
    # The same told again is still the same payment.
    body = {"invoice_id": 424242, "amount_cents": 9990, "method": "pix", "reference": "e-1"}
    assert (await _ok(finance, "payments", body))["id"] == kept


async def test_money_of_nobody_can_be_sent_back(finance: httpx.AsyncClient, added: Added) -> None:
    kept = await _pay(finance, 424242, 500, "e-1")
    body = {"reference": "d-1", "reason": "pagador errado", "amount_cents": 200}
    await _ok(finance, f"payments/{kept}/returns", body, 201)
    assert (await _get(finance, "suspense"))["items"][0]["left_cents"] == 300
    given = await _ok(finance, f"payments/{kept}/assign", {"subscriber_id": added.subscriber_id})
    assert given["credit_cents"] == 300


async def test_notes_change_what_is_owed(finance: httpx.AsyncClient, added: Added) -> None:
    number = await _issue(finance, added.contract_id)
    note = {"amount_cents": 1000, "reason": "sem sinal"}
    shown = await _ok(finance, f"invoices/{number}/credit-notes", note, 201)
    assert (shown["amount_cents"], shown["amount_due_cents"]) == (8990, 8990)
    assert shown["lines"][1]["kind"] == "scm"
    note = {"amount_cents": 500, "reason": "visita"}
    shown = await _ok(finance, f"invoices/{number}/debit-notes", note, 201)
    assert shown["amount_due_cents"] == 9490
    await _pay(finance, number, 9490, "e-1")
    # Of what was paid already it leaves credit, which pays the next invoice as its own line.
    note = {"amount_cents": 9490, "reason": "cobrança indevida"}
    shown = await _ok(finance, f"invoices/{number}/credit-notes", note, 201)
    assert (shown["state"], shown["amount_cents"]) == ("paid", 0)
    following = await _get(finance, f"invoices/{await _issue(finance, added.contract_id)}")
    assert following["amount_due_cents"] == 500
    assert (following["lines"][1]["kind"], following["lines"][1]["amount_cents"]) == (
        "credit",
        -9490,
    )
    for path, body in (
        ("credit-notes", {"amount_cents": 1, "reason": "x"}),
        ("debit-notes", {"amount_cents": 1, "reason": "x"}),
    ):
        answer = await finance.post(f"/api/v1/invoices/{number}/{path}", json=body)
        assert answer.status_code == 409, answer.text
    answer = await finance.post(
        f"/api/v1/invoices/{number}/credit-notes", json={"amount_cents": 1, "reason": "  "}
    )
    assert answer.status_code == 422


async def test_voiding_leaves_credit_that_pays_what_else_is_open(
    finance: httpx.AsyncClient, added: Added
) -> None:
    wrong = await _issue(finance, added.contract_id)
    await _pay(finance, wrong, 9990, "e-1")
    right = await _issue(finance, added.contract_id)
    shown = await _ok(finance, f"invoices/{wrong}/void", {"reason": "em duplicidade"})
    assert (shown["state"], shown["paid_cents"], shown["amount_due_cents"]) == ("void", 0, 0)
    assert (await _get(finance, f"invoices/{right}"))["state"] == "paid"
    answer = await finance.post(f"/api/v1/invoices/{wrong}/void", json={"reason": "de novo"})
    assert answer.status_code == 409


async def test_what_was_written_off_is_recovered_when_it_is_paid(
    finance: httpx.AsyncClient, added: Added
) -> None:
    number = await _issue(finance, added.contract_id)
    shown = await _ok(finance, f"invoices/{number}/write-off", {"reason": "incobrável"})
    assert (shown["state"], shown["amount_due_cents"]) == ("written_off", 0)
    await _pay(finance, number, 10_000, "e-1")
    balances = {i["account"]: i["cents"] for i in (await _get(finance, "ledger/balances"))["items"]}
    assert balances == {
        "cash:hand": 10_000,
        "credit": -10,
        "receivable": 0,
        "revenue:recovered": -9990,
        "revenue:scm": -9990,
        "write_off": 9990,
    }


async def test_balances_stand_at_an_instant_and_entries_are_paged(
    finance: httpx.AsyncClient, house: House, added: Added
) -> None:
    number = await _issue(finance, added.contract_id)
    await move_clock(house, datetime.fromisoformat("2026-09-03T10:00:00-03:00"))
    await _pay(finance, number, 10193 + 7, "e-1")
    account = f"receivable:{added.contract_id}"
    for at, cents in (("2026-08-31", 0), ("2026-09-02", 9990), ("2026-09-03", 0)):
        (item,) = (await _get(finance, "ledger/balances", account=account, at=at))["items"]
        assert (item["account"], item["cents"]) == (account, cents), at
    first = await _get(finance, "ledger/entries", account=account, limit="1")
    assert [entry["kind"] for entry in first["items"]] == ["invoice"]
    rest = await _get(finance, "ledger/entries", account=account, after=first["next"])
    assert [entry["kind"] for entry in rest["items"]] == ["payment"]
    assert len(rest["items"][0]["hash"]) == 64
    assert sum(posting["cents"] for posting in rest["items"][0]["postings"]) == 0
    answer = await finance.get("/api/v1/ledger/balances", params={"at": "ontem"})
    assert answer.status_code == 422


async def test_a_payer_of_several_contracts_has_one_bill_of_an_invoice_each(
    finance: httpx.AsyncClient, house: House, added: Added
) -> None:
    second = await add_contract(house, await add_plan(house), subscriber_id=added.subscriber_id)
    numbers = [await _issue(finance, number) for number in (added.contract_id, second.contract_id)]
    (bill,) = (await _get(finance, "bills", subscriber_id=str(added.subscriber_id)))["items"]
    assert [item["id"] for item in bill["invoices"]] == numbers
    assert (bill["amount_due_cents"], bill["due_on"]) == (2 * 9990, "2026-09-01")
    assert await _get(finance, f"bills/{bill['id']}") == bill
    part = {"bill_id": bill["id"], "amount_cents": 10_000, "method": "pix", "reference": "b-1"}
    await _ok(finance, "payments", part, 201)
    states = [(await _get(finance, f"invoices/{n}"))["amount_due_cents"] for n in numbers]
    assert states == [0, 9980]
    answer = await finance.post("/api/v1/payments", json=part | {"invoice_id": numbers[0]})
    assert answer.status_code == 422
    bill = await _get(finance, f"bills/{bill['id']}")
    assert bill["amount_due_cents"] == 9980
    answer = await finance.post(f"/api/v1/bills/{bill['id']}/pix")
    assert answer.json()["type"] == "urn:religa:no-provider"
    assert (await finance.get("/api/v1/bills/424242")).status_code == 404
