"""Records and agencies over HTTP: rules, urgency, hand-over files, and whose token sees what."""

import csv
import hashlib
import io
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, update

from api.bureau_clerk import BureauClerk
from api.house import House
from api.messenger import Messenger
from api.operators import Role
from api.rehearsal_clock import ClockMover
from api.store.credit_tables import listing_letters
from api.store.credit_tables import listings as listing_table
from api.store.customer_tables import contracts, subscribers
from tests.support.bureau import Bureau, add_bureau, bureau_server
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.debtors import issue, move_clock
from tests.support.http_face import Face, open_face

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
ENDED = date(2026, 11, 23)
DOCUMENTS = ("52998224725", "11144477735", "39053344705")


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


async def debtor(house: House, plan_id: int, number: int, **person: Any) -> tuple[Added, int]:
    """A rescinded contract with one invoice unpaid, and the invoice."""
    added = await add_contract(house, plan_id)
    invoice_id = await issue(house, added.contract_id, date(2026, 9, 1))
    async with house.uow("test", "change") as uow:
        await uow.connection.execute(
            update(contracts).where(contracts.c.id == added.contract_id).values(ended_on=ENDED)
        )
        await uow.connection.execute(
            update(subscribers)
            .where(subscribers.c.id == added.subscriber_id)
            .values(document=DOCUMENTS[number], **person)
        )
    return added, invoice_id


async def pay(client: httpx.AsyncClient, invoice_id: int) -> None:
    body = {
        "invoice_id": invoice_id,
        "amount_cents": 20000,
        "method": "agency",
        "reference": f"repasse-{invoice_id}",
    }
    answer = await client.post("/api/v1/payments", json=body)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"notice_days": 9}, "10 days at least"),
        ({"alarm_bank_days": 5}, "from 1 to 4 bank days"),
        ({"bureaus": ["spc"]}, "spc is not configured"),
        ({"bureaus": ["serasa", "serasa"]}, "name each once"),
        ({"min_cents": -1}, "min_cents"),
    ],
)
async def test_rules_that_are_refused(face: Face, house: House, change: Any, told: str) -> None:
    await add_bureau(house, "http://127.0.0.1:1/v1")
    client = await face.client(Role.FINANCE)
    answer = await client.put("/api/v1/listing-rules", json={"bureaus": ["serasa"]} | change)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert (await client.get("/api/v1/listing-rules")).json()["bureaus"] == []


async def test_the_most_urgent_come_first_page_by_page(face: Face, house: House) -> None:
    client = await face.client(Role.FINANCE)
    plan_id = await add_plan(house)
    added, invoice_id = await debtor(house, plan_id, 0)
    days = [None, date(2026, 12, 1), date(2026, 11, 20), None, date(2026, 11, 30)]
    async with house.uow("test", "seed") as uow:
        letter = {
            "contract_id": added.contract_id,
            "subscriber_id": added.subscriber_id,
            "bureaus": [],
            "amounts_cents": {},
        }
        await uow.connection.execute(insert(listing_letters).values(id=1, drawn_at=NOW, **letter))
        for number, day in enumerate(days):
            bureau, state = f"b{number}", "listed" if day is None else "removing"
            gone = {"removal": "paid", "removal_at": NOW, "remove_by": day} if day else {}
            await uow.connection.execute(
                insert(listing_table).values(
                    bureau=bureau, contract_id=added.contract_id, invoice_id=invoice_id,
                    due_on=date(2026, 9, 1), cents=9990, letter_id=1, made_at=NOW, state=state,
                    include_reference=f"i{number}", exclude_reference=f"e{number}", **gone,
                )
            )  # fmt: skip
    seen: list[tuple[str, bool]] = []
    after = None
    while True:
        query = "limit=2" + (f"&after={after}" if after else "")
        page = (await client.get(f"/api/v1/listings?{query}")).json()
        seen += [(item["bureau"], item["late"]) for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == [("b2", True), ("b4", False), ("b1", False), ("b0", False), ("b3", False)]
    late = (await client.get("/api/v1/listings?late=true")).json()["items"]
    assert [item["bureau"] for item in late] == ["b2"]
    found = (await client.get("/api/v1/listings?state=removing&bureau=serasa")).json()
    assert found["items"] == []


async def test_the_rehearsal_clock_tells_lists_and_withdraws_on_its_way(
    face: Face, house: House, bureau: Bureau
) -> None:
    class NoEnforcer:
        async def converge_all(self) -> None: ...

    mover = ClockMover(house, NoEnforcer())  # type: ignore[arg-type]
    client = await face.client()
    await add_bureau(house, bureau.url, timeout_ms=2000)
    await client.put("/api/v1/listing-rules", json={"bureaus": ["serasa"]})
    added, invoice_id = await debtor(house, await add_plan(house), 0)
    await mover.move(datetime(2026, 12, 2, 23, tzinfo=UTC), "move")
    assert bureau.records == []
    await mover.move(datetime(2026, 12, 4, 15, tzinfo=UTC), "move")
    assert len(bureau.records) == 1
    (item,) = (await client.get("/api/v1/listings?state=listed")).json()["items"]
    assert item["made_at"].startswith("2026-12-03T00:00:00")
    (letter,) = (await client.get("/api/v1/listing-letters")).json()["items"]
    assert letter["content_sha256"]
    await pay(client, invoice_id)
    await mover.move(datetime(2026, 12, 4, 16, tzinfo=UTC), "move")
    assert bureau.records == []
    (item,) = (await client.get(f"/api/v1/listings?contract_id={added.contract_id}")).json()[
        "items"
    ]
    assert (item["state"], item["removal"], item["remove_by"]) == ("removed", "paid", "2026-12-11")
    story = await client.get(f"/api/v1/contracts/{added.contract_id}/timeline?lang=en")
    sentences = " ".join(entry["sentence"] for entry in story.json()["items"])
    assert f"Debt of R$99.90 of invoice {invoice_id} listed at serasa." in sentences
    assert "leaves serasa by 2026-12-11, because the debt was paid." in sentences


async def test_a_record_goes_out_by_hand(face: Face, house: House, bureau: Bureau) -> None:
    client = await face.client(Role.FINANCE)
    await add_bureau(house, bureau.url, timeout_ms=2000)
    await client.put("/api/v1/listing-rules", json={"bureaus": ["serasa"]})
    await debtor(house, await add_plan(house), 0)
    assert (await client.post("/api/v1/listing-runs")).json()["letters"] == 1
    await Messenger(house).drain()
    await move_clock(house, NOW + timedelta(days=10))
    assert (await client.post("/api/v1/listing-runs")).json()["inclusions"] == 1
    await BureauClerk(house).drain()
    (item,) = (await client.get("/api/v1/listings")).json()["items"]
    url = f"/api/v1/listings/{item['id']}/removal"
    gone = (await client.post(url, json={"reason": "reclamação 118"})).json()
    assert (gone["state"], gone["removal"]) == ("removing", "by_hand")
    assert (await client.post(url, json={"reason": "outra vez"})).status_code == 409
    await BureauClerk(house).drain()
    assert bureau.records == []
    assert (
        await client.post("/api/v1/listings/999/removal", json={"reason": "x"})
    ).status_code == 404


async def handed_over(face: Face, house: House) -> tuple[httpx.AsyncClient, int, list[int]]:
    """Two debtors at an agency; the finance client, the agency, the invoices."""
    client = await face.client(Role.FINANCE)
    plan_id = await add_plan(house)
    invoices = [
        (await debtor(house, plan_id, 0, name="=HYPERLINK(1)"))[1],
        (await debtor(house, plan_id, 1, name="Ana", phone="+5511987654321"))[1],
    ]
    agency = (await client.post("/api/v1/agencies", json={"name": "Vale"})).json()["id"]
    early = await client.post(f"/api/v1/agencies/{agency}/handovers", json={})
    assert early.status_code == 409
    await move_clock(house, NOW + timedelta(days=30))
    return client, agency, invoices


async def test_a_file_is_safe_in_a_spreadsheet_and_has_its_manifest(
    face: Face, house: House
) -> None:
    client, agency, _ = await handed_over(face, house)
    made = await client.post(f"/api/v1/agencies/{agency}/handovers", json={})
    assert made.status_code == 201, made.text
    manifest = made.json()
    file = await client.get(f"/api/v1/handover-batches/{manifest['id']}/file")
    assert hashlib.sha256(file.content).hexdigest() == manifest["sha256"]
    assert (manifest["rows"], manifest["collect_cents"]) == (2, 19980)
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [row["action"] for row in rows] == ["collect", "collect"]
    assert rows[0]["name"] == "'=HYPERLINK(1)"
    assert rows[1]["phone"] == "'+5511987654321"
    assert list(rows[0]) == manifest["columns"]
    listed = (await client.get(f"/api/v1/agencies/{agency}/batches")).json()["items"]
    assert listed == [manifest]
    again = await client.post(f"/api/v1/agencies/{agency}/handovers", json={})
    assert again.status_code == 409
    assert (await client.get("/api/v1/handover-batches/99/file")).status_code == 404
    assert (await client.post("/api/v1/agencies/99/handovers", json={})).status_code == 404


async def test_what_is_paid_leaves_the_agency_at_once_and_its_file_names_nobody(
    face: Face, house: House
) -> None:
    client, agency, invoices = await handed_over(face, house)
    await client.post(f"/api/v1/agencies/{agency}/handovers", json={})
    url = f"/api/v1/agencies/{agency}/accounts"
    first, second = (await client.get(url)).json()["items"]
    assert (first["unpaid_cents"], first["document"]) == (9990, DOCUMENTS[0])
    assert first["due_cents"] > first["unpaid_cents"]
    await pay(client, invoices[0])
    # Before anybody looked: what nobody owes is not shown.
    assert (await client.get(url)).json()["items"] == [second]
    assert (await client.post("/api/v1/listing-runs")).json()["taken_back"] == 1
    (gone,) = (await client.get(f"{url}?withdrawn=true")).json()["items"]
    assert (gone["withdrawal"], gone["name"], gone["document"]) == ("paid", None, None)
    assert gone["withdraw_by"] == "2026-12-31"
    batch = (await client.post(f"/api/v1/agencies/{agency}/handovers", json={})).json()
    file = await client.get(f"/api/v1/handover-batches/{batch['id']}/file")
    (row,) = csv.DictReader(io.StringIO(file.text))
    assert (row["action"], row["account"], row["reason"]) == ("withdraw", str(first["id"]), "paid")
    assert (row["name"], row["document"]) == ("", "")


async def test_an_agencys_token_sees_its_own_accounts_only(face: Face, house: House) -> None:
    client, agency, _ = await handed_over(face, house)
    await client.post(f"/api/v1/agencies/{agency}/handovers", json={})
    other = (await client.post("/api/v1/agencies", json={"name": "Serra"})).json()["id"]
    assert (await client.post("/api/v1/agencies", json={"name": "Serra"})).status_code == 409
    admin = await face.client()
    made = await admin.post(f"/api/v1/agencies/{agency}/tokens", json={"name": "robô"})
    assert made.status_code == 201
    own = await face.client(None)
    own.headers["Authorization"] = f"Bearer {made.json()['token']}"
    assert len((await own.get(f"/api/v1/agencies/{agency}/accounts")).json()["items"]) == 2
    assert (await own.get(f"/api/v1/agencies/{other}/accounts")).status_code == 404
    for path in ("subscribers", "listings", "agencies", f"agencies/{agency}/batches"):
        assert (await own.get(f"/api/v1/{path}")).status_code == 403
    plain = await admin.post("/api/v1/tokens", json={"name": "x", "role": "agency"})
    assert plain.status_code == 422
