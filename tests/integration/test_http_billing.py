"""Recurring billing over HTTP: the catalogue, a contract's changes, runs, what is parked."""

from collections.abc import AsyncIterator
from dataclasses import fields
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from api import billing_run, review
from api.house import House
from api.operators import Role
from api.store.billing_tables import waiting_lines
from api.verify import verify
from billing.terms import Terms
from tests.support.database import add_contract, add_nas, add_plan, make_house
from tests.support.http_face import open_face

pytestmark = pytest.mark.anyio

START = datetime.fromisoformat("2027-02-10T10:00:00-03:00")


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(database_url, tmp_path, now=START)
    yield made
    await made.store.close()


@pytest.fixture
async def admin(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with open_face(house) as face:
        yield await face.client()


async def contract(house: House, cents: int = 99_90, due_day: int = 10) -> int:
    plan = await add_plan(house, price_cents=cents)
    return (await add_contract(house, plan, due_day=due_day)).contract_id


async def at(house: House, instant: str) -> None:
    async with house.uow("test", "move") as uow:
        await uow.move_clock(datetime.fromisoformat(instant))


async def post(
    client: httpx.AsyncClient, path: str, body: dict[str, Any] | None = None, expected: int = 201
) -> Any:
    answer = await client.post(f"/api/v1{path}", json=body)
    assert answer.status_code == expected, answer.text
    return answer.json()


async def get(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(f"/api/v1{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def invoices(client: httpx.AsyncClient, contract_id: int) -> list[tuple[str, list[int]]]:
    found = await get(client, f"/invoices?contract_id={contract_id}")
    return [
        (item["due_on"], [line["amount_cents"] for line in item["lines"]])
        for item in found["items"]
    ]


async def bill(client: httpx.AsyncClient, until: str) -> Any:
    return await post(client, "/billing-runs", {"until": until}, 200)


async def test_a_plan_change_within_the_cycle(house: House, admin: httpx.AsyncClient) -> None:
    """Money rule 3."""
    number = await contract(house)
    dear = await add_plan(house, price_cents=149_90)
    path = f"/contracts/{number}/plan-changes"
    made = await post(admin, path, {"plan_id": dear, "from_on": "2027-02-20"})
    assert made == {"contract_id": number, "from_on": "2027-02-20"}
    shown = await get(admin, f"/contracts/{number}/billing")
    assert [line["amount_cents"] for line in shown["lines"]] == [35_68, 96_36]
    assert (shown["next_due_on"], shown["issue_on"]) == ("2027-03-10", "2027-02-28")
    assert (await get(admin, f"/contracts/{number}"))["plan_id"] != dear
    await at(house, "2027-02-28T09:00:00-03:00")
    await bill(admin, "2027-02-28")
    assert await invoices(admin, number) == [("2027-03-10", [35_68, 96_36])]
    assert (await get(admin, f"/contracts/{number}"))["plan_id"] == dear
    for wrong in ({"plan_id": dear}, {"plan_id": 999}, {"plan_id": dear, "from_on": "2027-02-01"}):
        await post(admin, path, wrong, 409)
    await post(admin, f"/plans/{dear}/withdrawal", {}, 200)
    other = await contract(house)
    refused = await post(admin, f"/contracts/{other}/plan-changes", {"plan_id": dear}, 409)
    assert "was withdrawn" in refused["detail"]


async def test_a_change_after_the_bill_is_on_the_next_invoice(
    house: House, admin: httpx.AsyncClient
) -> None:
    number = await contract(house)
    cheap = await add_plan(house, price_cents=49_90)
    await at(house, "2027-03-01T09:00:00-03:00")
    await bill(admin, "2027-03-01")
    await post(admin, f"/contracts/{number}/plan-changes", {"plan_id": cheap})
    await at(house, "2027-03-31T09:00:00-03:00")
    await bill(admin, "2027-03-31")
    # 10 February to 9 March: 19 days at 99.90 and 9 at 49.90 instead of 28 at 99.90.
    assert (await invoices(admin, number))[1] == (
        "2027-04-10",
        [49_90, -99_90, 67_79, 16_04],
    )
    async with house.store.reading() as connection:
        assert await verify(house, connection) == []


async def test_another_due_day_of_those_on_offer(house: House, admin: httpx.AsyncClient) -> None:
    """Money rule 4."""
    number = await contract(house)
    path = f"/contracts/{number}/due-day-changes"
    refused = await post(admin, path, {"due_day": 31}, 409)
    assert "choose one of 1, 5, 10, 15, 20, 25" in refused["detail"]
    await post(admin, path, {"due_day": 32}, 422)
    await post(admin, path, {"due_day": 10}, 409)
    await at(house, "2027-03-01T09:00:00-03:00")
    await bill(admin, "2027-03-01")
    assert (await post(admin, path, {"due_day": 25}))["from_on"] == "2027-03-10"
    await at(house, "2027-04-30T09:00:00-03:00")
    await bill(admin, "2027-04-30")
    # Issued late, so due as soon as can be kept.
    assert [lines for _, lines in await invoices(admin, number)] == [[99_90], [48_34], [99_90]]


async def test_what_waits_for_the_next_invoice_is_on_the_bridging_one(
    house: House, admin: httpx.AsyncClient
) -> None:
    """ADR 0023: a correction is a line on the next invoice, whenever that one falls due."""
    number = await contract(house)
    cheap = await add_plan(house, price_cents=79_95)
    await at(house, "2027-03-01T09:00:00-03:00")
    await bill(admin, "2027-03-01")
    parts = {"amount_cents": 90_00, "instalments": 3}
    await post(admin, f"/contracts/{number}/installation", parts)
    await post(admin, f"/contracts/{number}/plan-changes", {"plan_id": cheap})
    visit = {"description": "Visita", "amount_cents": 5_00}
    await post(admin, f"/contracts/{number}/one-off-lines", visit)
    await post(admin, f"/contracts/{number}/due-day-changes", {"due_day": 20})
    for day in ("2027-03-10", "2027-04-10", "2027-05-10"):
        await at(house, f"{day}T09:00:00-03:00")
        await bill(admin, day)
    # 10 to 19 March, ten of 31 days; for the days before, 19 of 28 at 99.90 and 9 at 79.95.
    assert await invoices(admin, number) == [
        ("2027-03-10", [99_90]),
        ("2027-03-20", [25_79, -99_90, 67_79, 25_70, 30_00, 5_00]),
        ("2027-04-20", [79_95, 30_00]),
        ("2027-05-20", [79_95, 30_00]),
    ]
    async with house.store.reading() as connection:
        assert await verify(house, connection) == []


async def test_a_due_day_that_is_taken_back_is_billed_as_if_never_changed(
    house: House, admin: httpx.AsyncClient
) -> None:
    number = await contract(house)
    await at(house, "2027-03-01T09:00:00-03:00")
    await bill(admin, "2027-03-01")
    for day, due_on in ((25, "2027-03-25"), (10, "2027-04-10")):
        await post(admin, f"/contracts/{number}/due-day-changes", {"due_day": day})
        assert (await get(admin, f"/contracts/{number}/billing"))["next_due_on"] == due_on
    await at(house, "2027-03-31T09:00:00-03:00")
    assert (await bill(admin, "2027-03-31"))["failed"] == []
    assert [due for due, _ in await invoices(admin, number)] == ["2027-03-10", "2027-04-10"]


async def test_a_due_day_that_a_month_lacks_is_its_last(
    house: House, admin: httpx.AsyncClient
) -> None:
    number = await contract(house, due_day=31)
    shown = await get(admin, f"/contracts/{number}/billing")
    assert shown["next_due_on"] == "2027-02-28"


async def test_products_of_their_own_and_a_plan_that_is_made_of_parts(
    house: House, admin: httpx.AsyncClient
) -> None:
    """Money rule 9."""
    number = await contract(house)
    plan = (await get(admin, f"/contracts/{number}"))["plan_id"]
    parts = [
        {"service": "internet", "description": "Internet", "kind": "scm", "basis_points": 6000},
        {"service": "nuvem", "description": "Nuvem", "kind": "sva"},
    ]
    answer = await admin.put(f"/api/v1/plans/{plan}/components", json={"components": parts})
    assert answer.status_code == 200, answer.text
    for wrong in ([parts[0]], [parts[1], parts[1]], []):
        answer = await admin.put(f"/api/v1/plans/{plan}/components", json={"components": wrong})
        assert answer.status_code == 422, answer.text
    film = {"code": "filmes", "name": "Filmes", "price_cents": 20_00}
    product = await post(admin, "/products", film)
    await post(admin, "/products", film, 409)
    await post(admin, "/products", film | {"code": "x", "price_cents": -1}, 422)
    assert [p["code"] for p in (await get(admin, "/products"))["items"]] == ["filmes"]
    body = {"product_id": product["id"]}
    path = f"/contracts/{number}/products"
    added = await post(admin, path, body | {"from_on": "2027-02-24"})
    await post(admin, path, body | {"from_on": "2027-03-01"}, 409)
    await post(admin, path, {"product_id": 99}, 409)
    await post(admin, path, body | {"from_on": "2027-01-01"}, 409)
    shown = await get(admin, f"/contracts/{number}/billing")
    assert [(x["service"], x["kind"], x["amount_cents"]) for x in shown["lines"]] == [
        ("internet", "scm", 59_94),
        ("nuvem", "sva", 39_96),
        ("filmes", "sva", 10_00),
    ]
    end = f"{path}/{added['id']}/end"
    await post(admin, end, {"until_on": "2027-03-03"}, 200)
    shown = await get(admin, f"/contracts/{number}/billing")
    assert shown["lines"][2]["amount_cents"] == 5_00
    await post(admin, f"{path}/99/end", {}, 409)


async def test_discounts_are_at_most_the_price(house: House, admin: httpx.AsyncClient) -> None:
    """Money rule 5."""
    number = await contract(house)
    path = f"/contracts/{number}/discounts"
    good = {"description": "em dia", "basis_points": 1000, "conditional": True}
    await post(admin, path, good)
    refused = await post(admin, path, {"description": "x", "cents": 99_91}, 409)
    assert "above the price" in refused["detail"]
    for wrong in (
        {"description": "x"},
        {"description": "x", "cents": -1},
        {"description": "x", "cents": 10**15},
        {"description": "x", "basis_points": 10_001},
        {"description": "x", "cents": 1, "basis_points": 1},
        {"description": "x", "cents": 1, "until_on": "2027-02-01"},
    ):
        await post(admin, path, wrong, 422)
    await bill(admin, "2027-02-28")
    assert await invoices(admin, number) == [("2027-03-10", [99_90, -9_99])]


async def test_an_installation_in_instalments_and_a_line_by_hand(
    house: House, admin: httpx.AsyncClient
) -> None:
    number = await contract(house)
    made = await post(
        admin, f"/contracts/{number}/installation", {"amount_cents": 300_00, "instalments": 7}
    )
    assert [line["amount_cents"] for line in made["lines"]] == [42_85] * 6 + [42_90]
    path = f"/contracts/{number}/one-off-lines"
    await post(admin, path, {"description": "Visita", "amount_cents": 50_00})
    for wrong in (0, -(10**12), 10**12, 1.5):
        await post(admin, path, {"description": "x", "amount_cents": wrong}, 422)
    await bill(admin, "2027-03-31")
    assert await invoices(admin, number) == [
        ("2027-03-10", [99_90, 42_85, 50_00]),
        ("2027-04-10", [99_90, 42_85]),
    ]


async def test_an_outage_is_credited_to_whom_it_hit(house: House, admin: httpx.AsyncClient) -> None:
    """Money rule 14."""
    number = await contract(house)
    await at(house, "2027-02-20T09:00:00-03:00")
    body = {
        "started_at": "2027-02-15T10:00:00",
        "ended_at": "2027-02-15T20:00:00",
        "reason": "fibra rompida",
    }
    told = await post(admin, "/outages", body | {"contract_ids": [number]})
    assert told["contracts"] == 1
    nas = await add_nas(house)
    for wrong in ({}, {"contract_ids": [999]}, {"nas_id": nas}, {"nas_id": 999}):
        await post(admin, "/outages", body | wrong, 409)
    late = body | {"ended_at": "2027-02-28T20:00:00", "contract_ids": [number]}
    await post(admin, "/outages", late, 422)
    await bill(admin, "2027-02-28")
    # 600 of 40320 minutes.
    assert await invoices(admin, number) == [("2027-03-10", [99_90, -1_49])]


async def test_the_end_of_a_contract(house: House, admin: httpx.AsyncClient) -> None:
    """Money rules 2 and 11."""
    number = await contract(house)
    term = {"from_on": "2027-02-10", "until_on": "2028-02-10", "penalty_cents": 600_00}
    path = f"/api/v1/contracts/{number}/minimum-term"
    assert (await admin.put(path, json=term)).status_code == 200
    wrong = term | {"until_on": "2028-12-10"}
    assert (await admin.put(path, json=wrong)).status_code == 422
    await at(house, "2027-02-20T09:00:00-03:00")
    ended = await post(admin, f"/contracts/{number}/termination", {"why": "customer"})
    # 10 of 28 days of service, 355 of 365 days of the term.
    assert (ended["ended_on"], ended["penalty_cents"]) == ("2027-02-20", 583_56)
    assert await invoices(admin, number) == [("2027-03-10", [35_68, 583_56])]
    await post(admin, f"/contracts/{number}/termination", {"why": "customer"}, 409)
    assert (await bill(admin, "2027-12-31"))["id"] is None
    async with house.store.reading() as connection:
        assert await verify(house, connection) == []


async def in_advance(admin: httpx.AsyncClient, number: int) -> None:
    path = f"/api/v1/contracts/{number}/billing"
    assert (await admin.put(path, json={"mode": "advance"})).status_code == 200
    await bill(admin, "2027-02-10")
    assert await invoices(admin, number) == [("2027-02-10", [99_90])]
    assert (await admin.put(path, json={"mode": "advance"})).status_code == 409


@pytest.mark.parametrize(("paid", "credit", "state"), [(True, 64_22, "paid"), (False, 0, "open")])
async def test_what_was_billed_ahead_goes_back_by_a_credit_note(
    house: House, admin: httpx.AsyncClient, paid: bool, credit: int, state: str
) -> None:
    """18 of 28 days of 99.90; what was paid is credit, what was not is owed no more."""
    number = await contract(house)
    await in_advance(admin, number)
    (invoice,) = (await get(admin, f"/invoices?contract_id={number}"))["items"]
    if paid:
        money = {"invoice_id": invoice["id"], "amount_cents": 99_90, "method": "cash"}
        await post(admin, "/payments", money | {"reference": "r"})
    await at(house, "2027-02-20T09:00:00-03:00")
    ended = await post(admin, f"/contracts/{number}/termination", {"why": "moved"})
    assert (ended["invoice_id"], ended["given_back_cents"]) == (None, 64_22)
    invoice = await get(admin, f"/invoices/{invoice['id']}")
    assert [line["amount_cents"] for line in invoice["lines"]] == [99_90, -64_22]
    assert (invoice["amount_cents"], invoice["state"]) == (35_68, state)
    async with house.uow("test", "read") as uow:
        account = await uow.account(await uow.payer_of_contract(number))
    assert account.credit_cents == credit
    assert (await get(admin, "/parked-invoices?state=parked"))["items"] == []
    async with house.store.reading() as connection:
        assert await verify(house, connection) == []


async def test_a_penalty_is_asked_for_beside_what_goes_back(
    house: House, admin: httpx.AsyncClient
) -> None:
    number = await contract(house)
    await in_advance(admin, number)
    term = {"from_on": "2027-02-10", "until_on": "2028-02-10", "penalty_cents": 36_50}
    path = f"/api/v1/contracts/{number}/minimum-term"
    assert (await admin.put(path, json=term)).status_code == 200
    await at(house, "2027-02-20T09:00:00-03:00")
    ended = await post(admin, f"/contracts/{number}/termination", {"why": "customer"})
    assert (ended["penalty_cents"], ended["given_back_cents"]) == (35_50, 64_22)
    assert await invoices(admin, number) == [
        ("2027-02-10", [99_90, -64_22]),
        ("2027-03-10", [35_50]),
    ]


async def test_a_last_day_ahead_is_done_by_the_run_of_the_day_after(
    house: House, admin: httpx.AsyncClient
) -> None:
    number = await contract(house)
    path = f"/contracts/{number}/termination"
    for wrong in ("2027-02-09", "2027-04-12"):
        refused = await post(admin, path, {"why": "customer", "last_day": wrong}, 409)
        assert "from 2027-02-10 to 2027-04-11" in refused["detail"]
    told = await post(admin, path, {"why": "customer", "last_day": "2027-02-25"})
    assert (told["ended_on"], told["invoice_id"]) == ("2027-02-26", None)
    assert (await admin.delete(f"/api/v1{path}")).status_code == 200
    assert (await admin.delete(f"/api/v1{path}")).status_code == 409
    await post(admin, path, {"why": "customer", "last_day": "2027-03-19"})
    # The invoice of its last whole cycle is issued as ever, the next one not beyond the end.
    await bill(admin, "2027-02-28")
    await at(house, "2027-03-05T09:00:00-03:00")
    assert (await get(admin, f"/contracts/{number}"))["ended_on"] is None
    await at(house, "2027-03-20T00:00:00-03:00")
    ran = await bill(admin, "2027-03-20")
    assert (ran["invoices"], ran["failed"]) == (1, [])
    assert (await get(admin, f"/contracts/{number}"))["ended_on"] == "2027-03-20"
    assert await invoices(admin, number) == [
        ("2027-03-10", [99_90]),
        # 10 of 31 days.
        ("2027-04-10", [32_23]),
    ]
    assert (await bill(admin, "2027-12-31"))["id"] is None
    async with house.store.reading() as connection:
        assert await verify(house, connection) == []


async def test_an_end_takes_the_unpaid_rest_of_a_booklet_back(
    house: House, admin: httpx.AsyncClient
) -> None:
    number = await contract(house)
    await post(admin, f"/contracts/{number}/booklet", {"invoices": 4})
    await at(house, "2027-02-20T09:00:00-03:00")
    await post(admin, f"/contracts/{number}/termination", {"why": "customer"})
    found = (await get(admin, f"/invoices?contract_id={number}"))["items"]
    assert [i["state"] for i in found] == ["void"] * 4 + ["open"]
    assert [line["amount_cents"] for line in found[4]["lines"]] == [35_68]


@pytest.mark.parametrize(
    ("why", "told_on", "last_day", "cents"),
    [
        # sold at the door: within seven days of the sale, whenever the last day is
        ("customer", "2027-02-17", None, 0),
        ("customer", "2027-02-17", "2027-02-28", 0),
        ("customer", "2027-02-18", None, 357_00),
        ("provider_breach", "2027-02-18", None, 0),
        # the penalty declines until the last day
        ("customer", "2027-02-18", "2027-02-27", 347_00),
    ],
)
async def test_whom_the_minimum_term_binds(
    house: House,
    admin: httpx.AsyncClient,
    why: str,
    told_on: str,
    last_day: str | None,
    cents: int,
) -> None:
    """Money rule 11; CDC art. 49."""
    number = await contract(house)
    term = {"from_on": "2027-02-10", "until_on": "2028-02-10", "penalty_cents": 365_00}
    path = f"/api/v1/contracts/{number}/minimum-term"
    assert (await admin.put(path, json=term | {"away_from_shop": True})).status_code == 200
    await at(house, f"{told_on}T09:00:00-03:00")
    ended = await post(
        admin, f"/contracts/{number}/termination", {"why": why, "last_day": last_day}
    )
    assert ended["penalty_cents"] == cents


async def test_what_is_parked_for_its_size_may_be_released(
    house: House, admin: httpx.AsyncClient
) -> None:
    number = await contract(house)
    await post(
        admin, f"/contracts/{number}/one-off-lines", {"description": "x", "amount_cents": 500_00}
    )
    async with house.store.writing() as connection:
        await connection.execute(update(waiting_lines).values(by_hand=False))
    assert (await bill(admin, "2027-02-28"))["parked"] == 1
    (parked,) = (await get(admin, "/parked-invoices"))["items"]
    released = await post(admin, f"/parked-invoices/{parked['id']}/release", None, 200)
    assert released["state"] == "issued"
    assert await invoices(admin, number) == [("2027-03-10", [99_90, 500_00])]
    await post(admin, f"/parked-invoices/{parked['id']}/release", None, 409)
    await post(admin, "/parked-invoices/99/release", None, 404)


async def test_a_run_for_a_day_already_run_and_one_while_another_runs(
    house: House, admin: httpx.AsyncClient
) -> None:
    await contract(house)
    assert (await bill(admin, "2027-02-28"))["invoices"] == 1
    assert (await bill(admin, "2027-02-28"))["id"] is None
    kept = [i for i in (await get(admin, "/audit"))["items"] if i["action"].startswith("billing.")]
    assert sorted((i["action"], i["data"]["until"]) for i in kept) == [
        ("billing.run", "2027-02-28"),
        ("billing.run_empty", "2027-02-28"),
    ]
    async with billing_run._alone(house):
        refused = await post(admin, "/billing-runs", {"until": "2027-02-28"}, 409)
    assert refused["type"].endswith("run-goes-on")
    await post(admin, "/billing-runs", {"until": "2062-01-01"}, 422)
    (ran,) = (await get(admin, "/billing-runs"))["items"]
    assert (ran["until_on"], ran["invoices"], ran["amount_cents"]) == ("2027-02-28", 1, 99_90)


async def test_a_withdrawn_plan_takes_nobody_and_keeps_whom_it_has(
    house: House, admin: httpx.AsyncClient
) -> None:
    number = await contract(house)
    held = await get(admin, f"/contracts/{number}")
    await post(admin, f"/plans/{held['plan_id']}/withdrawal", {}, 200)
    await post(admin, "/plans/99/withdrawal", {}, 404)
    assert (await get(admin, f"/plans/{held['plan_id']}"))["withdrawn_on"] == "2027-02-10"
    body = {
        "subscriber_id": held["subscriber_id"],
        "plan_id": held["plan_id"],
        "due_day": 10,
        "login": {"username": "nova", "password": "segredo"},
    }
    refused = await post(admin, "/contracts", body, 422)
    assert "was withdrawn" in refused["detail"]
    assert (await bill(admin, "2027-02-28"))["invoices"] == 1


async def test_terms_are_kept_and_bound(house: House, admin: httpx.AsyncClient) -> None:
    usual = await get(admin, "/terms")
    assert usual["issue_days_before"] == 10
    assert set(usual) == {field.name for field in fields(Terms)}
    answer = await admin.put("/api/v1/terms", json=usual | {"issue_days_before": 5})
    assert answer.status_code == 200, answer.text
    number = await contract(house)
    assert (await get(admin, f"/contracts/{number}/billing"))["issue_on"] == "2027-03-05"
    for wrong in (
        {"reduced_credit_percent": 101},
        {"issue_days_before": -1},
        {"due_days": [1, 5, 10, 15, 20]},
        {"due_days": [1, 5, 10, 15, 20, 32]},
    ):
        answer = await admin.put("/api/v1/terms", json=usual | wrong)
        assert answer.status_code == 422, answer.text


async def test_unknown_contracts_are_not_found(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/api/v1/contracts/99/billing")).status_code == 404
    await post(admin, "/contracts/99/plan-changes", {"plan_id": 1}, 409)
    await post(admin, "/contracts/99/termination", {"why": "customer"}, 404)


async def test_a_booklet_is_issued_ahead_and_a_change_issues_its_unpaid_rest_anew(
    house: House, admin: httpx.AsyncClient
) -> None:
    number = await contract(house)
    path = f"/contracts/{number}/booklet"
    made = await post(admin, path, {"invoices": 4})
    assert [leaf["due_on"][5:] for leaf in made["leaves"]] == ["03-10", "04-10", "05-10", "06-10"]
    # Asked again, there are four already.
    assert (await post(admin, path, {"invoices": 4})) == made
    ahead = made["leaves"][1]["invoice_id"]
    money = {"amount_cents": 99_90, "method": "dinheiro", "reference": "1"}
    await post(admin, "/payments", money | {"invoice_id": ahead})
    dear = await add_plan(house, price_cents=149_90)
    await post(
        admin, f"/contracts/{number}/plan-changes", {"plan_id": dear, "from_on": "2027-05-10"}
    )
    leaves = (await get(admin, path))["leaves"]
    assert [(leaf["due_on"][5:], leaf["amount_cents"], leaf["state"]) for leaf in leaves] == [
        ("03-10", 99_90, "open"),
        ("04-10", 99_90, "paid"),
        ("05-10", 99_90, "open"),
        ("06-10", 149_90, "open"),
    ]
    assert leaves[0] == made["leaves"][0]
    assert leaves[2]["invoice_id"] != made["leaves"][2]["invoice_id"]
    printed = await admin.get(f"/api/v1{path}", headers={"Accept": "text/html"})
    assert printed.headers["content-type"].startswith("text/html")
    assert "10/06/2027" in printed.text
    assert "149,90" in printed.text
    await post(admin, path, {"invoices": 13}, 422)
    async with house.store.reading() as connection:
        assert await verify(house, connection) == []


async def test_a_good_payer_has_a_product_that_the_contract_never_had(
    house: House, admin: httpx.AsyncClient
) -> None:
    """Money rule 15: free value-added service, told on the invoice with its price."""
    await post(admin, "/products", {"code": "filmes", "name": "Filmes", "price_cents": 19_90})
    terms = {"reward_invoices": 1, "reward_service": "filmes"}
    assert (await admin.put("/api/v1/terms", json=terms)).status_code == 200
    number = await contract(house)
    await bill(admin, "2027-02-28")
    await at(house, "2027-03-09T09:00:00-03:00")
    money = {"amount_cents": 99_90, "method": "pix", "reference": "m", "invoice_id": 1}
    await post(admin, "/payments", money)
    for until in ("2027-03-31", "2027-04-30"):
        await at(house, f"{until}T09:00:00-03:00")
        await bill(admin, until)
    assert [lines for _, lines in await invoices(admin, number)] == [
        [99_90],
        # It begins with the cycle after it was earned.
        [99_90],
        [99_90, 19_90, -19_90],
    ]


async def test_a_good_payer_has_a_part_of_the_price_and_loses_it_by_paying_late(
    house: House, admin: httpx.AsyncClient
) -> None:
    """Money rule 15, with two invoices in a row instead of six."""
    terms = {"reward_invoices": 2, "reward_basis_points": 500}
    assert (await admin.put("/api/v1/terms", json=terms)).status_code == 200
    number = await contract(house)
    shown: list[list[int]] = []
    for month, paid_on in (("02-28", "03-09"), ("03-31", "04-09"), ("04-30", "05-20")):
        await at(house, f"2027-{month}T09:00:00-03:00")
        await bill(admin, f"2027-{month}")
        await at(house, f"2027-{paid_on}T09:00:00-03:00")
        (invoice,) = (await get(admin, f"/invoices?contract_id={number}&state=open"))["items"]
        body = {"amount_cents": invoice["amount_due_cents"], "method": "pix", "reference": month}
        await post(admin, "/payments", body | {"invoice_id": invoice["id"]})
        shown.append([line["amount_cents"] for line in invoice["lines"]])
    for until in ("2027-05-31", "2027-06-30"):
        await at(house, f"{until}T09:00:00-03:00")
        await bill(admin, until)
    shown += [lines for _, lines in (await invoices(admin, number))[3:]]
    # March and April were paid in time; May was not, which the cycle from 10 June on knows.
    assert shown == [[99_90], [99_90], [99_90], [99_90, -5_00], [99_90]]


async def look(house: House, instant: str) -> None:
    await at(house, f"{instant}-03:00")
    await review.run(house, None, "look", "clock")


@pytest.mark.parametrize(
    ("from_on", "until_on", "issued"),
    [
        # 9 of 28 days of the first cycle: 32.11. The second cycle wholly: 21 of 31 days, 67.67,
        # are known when it is issued; the rest of its 99.90, 32.23, is on the next invoice.
        (
            "2027-03-01",
            "2027-04-09",
            [
                ("2027-03-10", [99_90]),
                ("2027-04-10", [99_90, -32_11, -67_67]),
                ("2027-05-10", [99_90, -32_23]),
            ],
        ),
        # 8 of 28 days: 28.54; with 10 more 64.22. Of the second cycle 22 of 31 days: 70.90. In
        # April more would come back than is owed, so May's invoice takes both cycles.
        (
            "2027-02-20",
            "2027-03-31",
            [
                ("2027-03-10", [99_90, -28_54]),
                ("2027-05-10", [99_90, 99_90, -35_68, -70_90]),
            ],
        ),
    ],
)
async def test_a_pause_of_forty_days_is_not_charged(
    house: House,
    admin: httpx.AsyncClient,
    from_on: str,
    until_on: str,
    issued: list[tuple[str, list[int]]],
) -> None:
    """Money rule 8, with looks some minutes after midnight."""
    number = await contract(house)
    days = {"from_on": from_on, "until_on": until_on}
    await post(admin, f"/contracts/{number}/pauses", days)
    after = (date.fromisoformat(until_on) + timedelta(days=1)).isoformat()
    for day in sorted({from_on, after, "2027-02-28", "2027-03-31", "2027-04-30"}):
        # Billed before it is looked at: the day has begun, nobody has seen it yet.
        await at(house, f"{day}T00:03:00-03:00")
        await bill(admin, day)
        await look(house, f"{day}T00:07:00")
    access = await get(admin, f"/contracts/{number}/access")
    assert access["level"] == "full"
    assert await invoices(admin, number) == issued
    async with house.store.reading() as connection:
        assert await verify(house, connection) == []


async def test_a_product_that_stays_while_walled_costs_nothing_in_a_pause(
    house: House, admin: httpx.AsyncClient
) -> None:
    """Money rule 8, ladder rule 13: a pause is blocked, in which nothing can be used."""
    number = await contract(house)
    film = {"code": "filmes", "name": "Filmes", "price_cents": 20_00, "stays_while_walled": True}
    product = await post(admin, "/products", film)
    await post(admin, f"/contracts/{number}/products", {"product_id": product["id"]})
    days = {"from_on": "2027-03-10", "until_on": "2027-04-09"}
    await post(admin, f"/contracts/{number}/pauses", days)
    for day in ("2027-02-28", "2027-03-10", "2027-03-31", "2027-04-10", "2027-04-30"):
        await at(house, f"{day}T00:03:00-03:00")
        await bill(admin, day)
        await look(house, f"{day}T00:07:00")
    # 21 of 31 days are known when the second cycle is issued, the other ten are on the next one.
    assert await invoices(admin, number) == [
        ("2027-03-10", [99_90, 20_00]),
        ("2027-04-10", [99_90, 20_00, -67_67, -13_55]),
        ("2027-05-10", [99_90, 20_00, -32_23, -6_45]),
    ]


@pytest.mark.parametrize("lang", ["en", "pt-BR"])
async def test_the_timeline_tells_what_was_corrected_and_changed(
    house: House, admin: httpx.AsyncClient, lang: str
) -> None:
    number = await contract(house)
    dear = await add_plan(house, "Fibra 600", price_cents=149_90)
    await at(house, "2027-02-28T09:00:00-03:00")
    await bill(admin, "2027-02-28")
    (issued,) = (await get(admin, f"/invoices?contract_id={number}"))["items"]
    cash = {"amount_cents": 50_00, "method": "pix"}
    why = {"reason": "erro"}
    first = issued["id"]
    paid = await post(admin, "/payments", cash | {"invoice_id": first, "reference": "a"})
    lost = await post(admin, "/payments", cash | {"invoice_id": 9_999, "reference": "b"})
    await post(admin, f"/payments/{lost['id']}/assign", {"invoice_id": first}, 200)
    back = {"reference": "r", "amount_cents": 10_00} | why
    await post(admin, f"/payments/{paid['id']}/chargebacks", back)
    await post(admin, f"/invoices/{first}/credit-notes", why | {"amount_cents": 5_00})
    await post(admin, f"/invoices/{first}/debit-notes", why | {"amount_cents": 2_00})
    await post(admin, f"/invoices/{first}/write-off", why, 200)
    await post(admin, f"/contracts/{number}/plan-changes", {"plan_id": dear})
    await post(admin, f"/contracts/{number}/due-day-changes", {"due_day": 25})
    line = {"description": "x", "amount_cents": 500_00}
    await post(admin, f"/contracts/{number}/one-off-lines", line)
    async with house.store.writing() as connection:
        await connection.execute(update(waiting_lines).values(by_hand=False))
    await at(house, "2027-03-20T09:00:00-03:00")
    await bill(admin, "2027-03-20")
    await post(admin, f"/contracts/{number}/termination", {"why": "customer"})
    told = (await get(admin, f"/contracts/{number}/timeline?lang={lang}"))["items"]
    kinds = {item["kind"] for item in told}
    assert kinds >= {
        "invoice_issued", "invoice_parked", "invoice_credited", "invoice_debited",
        "invoice_written_off", "payment_assigned", "payment_charged_back", "contract_plan_changed",
        "contract_due_day_changed", "contract_ended",
    }  # fmt: skip
    said = "\n".join(item["sentence"] for item in told)
    for words in TOLD[lang]:
        assert words.format(first=first, paid=paid["id"]) in said
    async with open_face(house) as face:
        noc = await face.client(Role.NOC)
        unpriced = await get(noc, f"/contracts/{number}/timeline?lang={lang}")
    assert "R$" not in repr(unpriced)
    assert "_cents" not in repr(unpriced)


TOLD = {
    "en": [
        "Invoice {first} of R$99.90 issued by the month's billing, for 2027-02-10 to 2027-03-09,",
        "Credit note of R$5.00 on invoice {first}, by",
        "R$10.00 of payment {paid} taken back by the bank: erro.",
        "changed the plan to Fibra 600 from 2027-02-28.",
        "changed the due day to 25, from the cycle of 2027-03-10.",
        "parked, not issued: far above the monthly price.",
        "ended the contract; 2027-03-20 is the first day without service.",
    ],
    "pt-BR": [
        "emitida pela cobrança mensal, dias 10/02/2027 a 09/03/2027, com vencimento em 10/03/2027.",
        "na fatura {first}, por",
        "do pagamento {paid} estornados pelo banco: erro.",
        "mudou o plano para Fibra 600 a partir de 28/02/2027.",
        "mudou o vencimento para o dia 25, a partir do ciclo de 10/03/2027.",
        "retida, não emitida: muito acima do preço mensal.",
        "encerrou o contrato; 20/03/2027 é o primeiro dia sem serviço.",
    ],
}
