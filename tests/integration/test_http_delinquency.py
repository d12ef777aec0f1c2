"""Who is late, over HTTP: ages, the list and its exports, on the books of a small provider."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text, update

from api.house import House
from api.http.cursor import encode_key
from api.operators import Role
from api.store.customer_tables import contracts, subscribers
from api.verify import verify
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.http_face import Face, open_face
from tests.support.money import add_invoice, add_payment, cut, move_clock
from tests.support.spreadsheet import read_csv, read_xlsx

pytestmark = pytest.mark.anyio

# A Monday; ages are worked from it.
NOW = datetime.fromisoformat("2026-09-28T10:00:00-03:00")
TODAY = NOW.date()
PATH = "/api/v1/delinquency"


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
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
async def client(face: Face) -> httpx.AsyncClient:
    return await face.client(Role.FINANCE)


@pytest.fixture
async def plan(house: House) -> int:
    return await add_plan(house, "Fibra 100")


async def read(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(f"{PATH}{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def late(house: House, plan: int, name: str, *ages: int, cents: int = 100_00) -> Added:
    """A contract with one invoice of each age in days."""
    added = await add_contract(house, plan)
    async with house.uow("test", "name") as uow:
        await uow.connection.execute(
            update(subscribers).where(subscribers.c.id == added.subscriber_id).values(name=name)
        )
    for days in ages:
        await add_invoice(house, added, ago(days), cents)
    return added


async def pages(client: httpx.AsyncClient, **query: Any) -> list[Any]:
    """Every item of the list."""
    items: list[Any] = []
    after: str | None = None
    while True:
        page = await read(client, "/contracts", **query, **({"after": after} if after else {}))
        items += page["items"]
        after = page["next"]
        if after is None:
            return items


async def test_each_contract_is_in_the_bucket_of_its_oldest_invoice(
    house: House, client: httpx.AsyncClient, plan: int
) -> None:
    fast = await add_plan(house, "Fibra 500")
    await late(house, plan, "Em dia", 0, -10)
    # Due on Saturday the 26th, payable today, and the bank's float ends on Tuesday.
    await late(house, plan, "Ainda não", 2)
    await late(house, plan, "Um", 15)
    await late(house, plan, "Dois", 16, 5, -5)
    await late(house, fast, "Três", 60, 31, 16)
    await late(house, fast, "Quatro", 400, 90)
    found = await read(client, "")
    assert found["today"] == "2026-09-28"
    told = {
        b["bucket"]: (b["contracts"], b["debt_cents"], b["principal_cents"])
        for b in found["buckets"]
    }
    assert told == {
        "0-15": (1, 100_00, 200_00),
        "16-30": (1, 200_00, 200_00),
        "31-60": (1, 300_00, 200_00),
        "61-90": (0, 0, 100_00),
        "over-90": (1, 200_00, 100_00),
    }
    plain = [{k: v for k, v in b.items() if k != "principal_cents"} for b in found["buckets"]]
    assert found["total"]["buckets"] == plain
    assert (found["total"]["contracts"], found["total"]["debt_cents"]) == (4, 800_00)
    plans = [(p["plan"], p["contracts"], p["debt_cents"]) for p in found["by_plan"]]
    assert plans == [("Fibra 100", 2, 300_00), ("Fibra 500", 2, 500_00)]
    assert [(s["step"], s["contracts"]) for s in found["by_step"]] == [("none", 4)]
    assert [(r["region"], r["contracts"]) for r in found["by_region"]] == [("", 4)]


async def test_a_late_contract_is_in_the_region_of_its_own_address_else_its_payers(
    house: House, face: Face, client: httpx.AsyncClient, plan: int
) -> None:
    admin = await face.client()
    home, elsewhere, nowhere, own = [await late(house, plan, name, 20) for name in "abcd"]

    async def live(path: str, **address: str) -> None:
        answer = await admin.put(f"/api/v1/{path}/address", json=address)
        assert answer.status_code == 200, answer.text

    await live(f"subscribers/{home.subscriber_id}", region="Sul")
    await live(f"subscribers/{elsewhere.subscriber_id}", region="Sul")
    # It is elsewhere, in no region of ours.
    await live(f"contracts/{elsewhere.contract_id}", street="Rua Um")
    await live(f"contracts/{own.contract_id}", region="Norte")
    regions = [(r["region"], r["contracts"]) for r in (await read(client, ""))["by_region"]]
    assert sorted(regions) == [("", 2), ("Norte", 1), ("Sul", 1)]
    for region, found in (
        ("Sul", [home]),
        ("Norte", [own]),
        ("", [elsewhere, nowhere]),
    ):
        listed = await pages(client, region=region)
        assert {item["contract_id"] for item in listed} == {item.contract_id for item in found}
        assert {item["region"] for item in listed} == {region}


async def test_buckets_add_up_to_what_the_ledger_has_receivable_of_late_invoices(
    house: House, client: httpx.AsyncClient, plan: int
) -> None:
    for ages in ((20,), (45, 14), (100, 70, 40, 10), (7,), (200,)):
        added = await late(house, plan, "Assinante", *ages, -3)
        await add_payment(house, added, 30_00, f"p{added.contract_id}")
    found = await read(client, "")
    async with house.store.reading() as connection:
        receivable = await connection.scalar(
            text("select sum(cents)::bigint from ledger_postings where account ~ '^receivable:'")
        )
        not_late = await connection.scalar(
            text(
                "select sum(amount_cents - paid_cents)::bigint from invoices"
                " where state = 'open' and due_on >= :today"
            ),
            {"today": TODAY},
        )
    assert sum(b["debt_cents"] for b in found["buckets"]) == receivable - not_late
    assert sum(b["principal_cents"] for b in found["buckets"]) == receivable - not_late
    assert sum(b["contracts"] for b in found["buckets"]) == found["total"]["contracts"] == 5
    for group in ("by_plan", "by_region", "by_step"):
        assert sum(g["debt_cents"] for g in found[group]) == receivable - not_late
    listed = await pages(client)
    assert sum(item["debt_cents"] for item in listed) == receivable - not_late
    for bucket in found["buckets"]:
        behind = await pages(client, bucket=bucket["bucket"])
        assert len(behind) == bucket["contracts"]
        assert sum(item["debt_cents"] for item in behind) == bucket["debt_cents"]


async def test_policies_with_another_float_are_late_by_their_own(
    house: House, client: httpx.AsyncClient, plan: int
) -> None:
    document = {"law": "none", "float_bank_days": 5, "notice_days": 15}
    admin = client.headers["Authorization"]
    assert admin
    answer = await client.put("/api/v1/policies/patient", json=document)
    assert answer.status_code in {200, 201}, answer.text
    plain = await late(house, plan, "Comum", 5)
    patient = await late(house, plan, "Paciente", 5)
    old = await late(house, plan, "Antigo", 30)
    async with house.uow("test", "policy") as uow:
        await uow.connection.execute(
            update(contracts)
            .where(contracts.c.id.in_([patient.contract_id, old.contract_id]))
            .values(policy="patient")
        )
    listed = await pages(client)
    assert {i["contract_id"] for i in listed} == {plain.contract_id, old.contract_id}
    assert (await read(client, ""))["total"]["contracts"] == 2


async def test_disputed_and_renegotiated_debt_stands_apart(
    house: House, client: httpx.AsyncClient, plan: int
) -> None:
    disputing = await late(house, plan, "Contesta", 40, 10)
    agreeing = await late(house, plan, "Acordo", 70)
    items = (await client.get("/api/v1/invoices")).json()["items"]
    oldest = next(i for i in items if i["contract_id"] == disputing.contract_id)
    body: Any = {"reason": "não reconheço"}
    answer = await client.post(f"/api/v1/invoices/{oldest['id']}/disputes", json=body)
    assert answer.status_code == 201, answer.text
    body = {"instalments": 2, "due_day": 10, "valid_until": "2026-09-30"}
    path = f"/api/v1/contracts/{agreeing.contract_id}/agreements"
    answer = await client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    answer = await client.post(f"/api/v1/agreements/{answer.json()['id']}/accept")
    assert answer.status_code == 200, answer.text
    total = (await read(client, ""))["total"]
    assert (total["contracts"], total["debt_cents"]) == (1, 100_00)
    assert (total["disputed_cents"], total["renegotiated_cents"]) == (100_00, 100_00)
    (item,) = await pages(client, dispute=True)
    assert (item["contract_id"], item["bucket"]) == (disputing.contract_id, "0-15")
    assert (item["debt_cents"], item["disputed_cents"]) == (100_00, 100_00)
    assert await pages(client, dispute=False) == []
    at_risk = await read(client, "/agreements", within_days=60)
    (agreement,) = at_risk["items"]
    assert (agreement["contract_id"], agreement["overdue"]) == (agreeing.contract_id, False)
    assert agreement["left_cents"] == agreement["due_cents"] > 100_00
    breaks_on = date.fromisoformat(agreement["due_on"]) + timedelta(days=6)
    assert date.fromisoformat(agreement["breaks_on"]) == breaks_on
    assert (await read(client, "/agreements", within_days=1))["items"] == []


async def test_the_list_is_searched_filtered_and_sorted(
    house: House, client: httpx.AsyncClient, plan: int
) -> None:
    fast = await add_plan(house, "Fibra 500")
    ana = await late(house, plan, "Padaria 100% Boa", 20, cents=50_00)
    bia = await late(house, fast, "Oficina", 100, 10, cents=80_00)
    caio = await late(house, plan, "Farmácia", 35, cents=70_00)
    hold = {"expires_at": "2026-10-20T10:00:00-03:00", "reason": "hospital"}
    async with open_face(house) as other:
        admin = await other.client()
        path = f"/api/v1/contracts/{caio.contract_id}"
        assert (await admin.post(f"{path}/holds", json=hold)).status_code == 201
        promise = {"until_on": "2026-09-30"}
        path = f"/api/v1/contracts/{ana.contract_id}"
        assert (await admin.post(f"{path}/promises", json=promise)).status_code == 201
    document = f"{ana.subscriber_id:011d}"
    async with house.uow("test", "document") as uow:
        await uow.connection.execute(
            update(subscribers)
            .where(subscribers.c.id == ana.subscriber_id)
            .values(document=document)
        )

    async def ids(**query: Any) -> list[int]:
        return [item["contract_id"] for item in await pages(client, **query)]

    a, b, c = ana.contract_id, bia.contract_id, caio.contract_id
    assert await ids() == await ids(sort="debt") == [b, c, a]
    assert await ids(sort="days_late") == [b, c, a]
    assert await ids(sort="name") == [c, b, a]
    assert await ids(bucket="over-90") == [b]
    assert await ids(plan_id=fast) == [b]
    assert await ids(region="") == [b, c, a]
    assert await ids(region="Sul") == []
    assert await ids(level="full", step="none", policy="anatel-765") == [b, c, a]
    assert await ids(level="walled") == await ids(policy="other") == []
    assert await ids(min_debt_cents=70_00, max_debt_cents=100_00) == [c]
    assert await ids(promise=True) == [a]
    assert await ids(exempt=True) == [c]
    assert await ids(exempt=False, promise=False) == [b]
    # Spared as the ladder spares: an exemption, a class that is never blocked; not once it is over.
    async with open_face(house) as other:
        admin = await other.client(name="chefe")
        ill = hold | {"kind": "exemption"}
        path = f"/api/v1/contracts/{bia.contract_id}/holds"
        made = await admin.post(path, json=ill)
        assert made.status_code == 201, made.text
        assert await ids(exempt=True) == [b, c]
        over = {"reason": "recovered"}
        ended = await admin.post(f"/api/v1/holds/{made.json()['id']}/end", json=over)
        assert ended.status_code == 200, ended.text
        assert await ids(exempt=True) == [c]
        await admin.put(
            "/api/v1/classes/hospital", json={"never_block": True, "note": "linha essencial"}
        )
        path = f"/api/v1/subscribers/{ana.subscriber_id}/class"
        classed = {"customer_class": "hospital", "reason": "pronto-socorro"}
        answer = await admin.put(path, json=classed)
        assert answer.status_code == 200, answer.text
        assert await ids(exempt=True) == [c, a]
        assert await ids(exempt=False) == [b]
        shown = {item["contract_id"]: item["exempt"] for item in await pages(client)}
        assert shown == {a: True, b: False, c: True}
    assert await ids(agreement=True) == []
    assert await ids(search="padar") == await ids(search="0% b") == [a]
    assert await ids(search=document) == [a]
    assert await ids(search=f"{document[:3]}.{document[3:6]}.{document[6:9]}-{document[9:]}") == [a]
    assert await ids(search=bia.username) == await ids(search=str(b)) == [b]
    assert await ids(search="%") == [a]
    assert await ids(search="ninguém") == []
    (item,) = await pages(client, search=bia.username)
    shown = {name: item[name] for name in ("days_late", "oldest_due_on", "invoices", "debt_cents")}
    assert shown == {
        "days_late": 100,
        "oldest_due_on": ago(100).isoformat(),
        "invoices": 2,
        "debt_cents": 160_00,
    }
    (item,) = await pages(client, search=document)
    assert item["document"] == f"***.{document[3:6]}.{document[6:9]}-**"
    due = await read(client, "/promises")
    (promised,) = due["items"]
    assert (promised["due"], promised["unpaid_cents"]) == ("week", 50_00)
    assert (await read(client, "/promises", due="overdue"))["items"] == []
    await move_clock(house, NOW + timedelta(days=3))
    assert [p["id"] for p in (await read(client, "/promises", due="overdue"))["items"]] == [
        promised["id"]
    ]


async def test_the_step_of_the_ladder_is_told(
    house: House, client: httpx.AsyncClient, plan: int
) -> None:
    added = await late(house, plan, "Cortado")
    await cut(house, added, date(2026, 11, 3))
    (step,) = (await read(client, ""))["by_step"]
    assert (step["step"], step["contracts"]) == ("walled", 1)
    (item,) = await pages(client, step="walled", level="walled")
    assert item["contract_id"] == added.contract_id


@pytest.mark.parametrize("sort", ["debt", "days_late", "name"])
async def test_every_row_is_met_once_though_others_come_and_go(
    house: House, client: httpx.AsyncClient, plan: int, sort: str
) -> None:
    first = [
        # Ties in everything but the number.
        await late(house, plan, f"Assinante {n % 2}", 20 + n % 3, cents=10_00 * (1 + n % 2))
        for n in range(9)
    ]
    gone, stay = first[0], first[1:]
    met: list[int] = []
    after: str | None = None
    turn = 0
    while True:
        query = {"sort": sort, "limit": 2} | ({"after": after} if after else {})
        page = await read(client, "/contracts", **query)
        met += [item["contract_id"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
        # Before, between and behind whatever the page ended with.
        await late(house, plan, f"Assinante {turn % 3}", 19 + turn % 5, cents=5_00 * (1 + turn % 5))
        if turn == 1:
            await add_payment(house, gone, 10_00, "paid")
        turn += 1
    assert turn >= 4
    assert len(met) == len(set(met))
    assert {added.contract_id for added in stay} <= set(met)


NO_CURSORS = (
    *("x", "bm8", "W10", "WyJkZWxpbnF1ZW5jeS1uYW1lIiwiYSIsMV0", "WyJkZWxpbnF1ZW5jeS1kZWJ0Il0"),
    *("W1tb", encode_key("delinquency-debt", (2**63, 1)), encode_key("delinquency-debt", ("1", 1))),
)


async def test_what_is_no_cursor_of_this_list_is_refused(client: httpx.AsyncClient) -> None:
    for cursor in NO_CURSORS:
        answer = await client.get(f"{PATH}/contracts", params={"after": cursor})
        assert answer.status_code == 422, cursor
        assert "not a cursor of this list" in answer.json()["detail"]
    for sort, value in (("days_late", "2026-13-01"), ("name", "a\x00"), ("name", "\ud800")):
        cursor = encode_key(f"delinquency-{sort}", (value, 1))
        query = {"sort": sort, "after": cursor}
        assert (await client.get(f"{PATH}/contracts", params=query)).status_code == 422


WRONG: tuple[dict[str, Any], ...] = (
    {"sort": "age"},
    {"bucket": "1-2"},
    {"search": "a\x00"},
    {"search": "  "},
    {"region": "\x00"},
    {"policy": "no such"},
    {"min_debt_cents": -1},
    {"format": "pdf"},
    {"limit": 0},
)


async def test_a_wrong_question_is_refused(client: httpx.AsyncClient) -> None:
    for query in WRONG:
        answer = await client.get(f"{PATH}/contracts", params=query)
        assert answer.status_code == 422, query


async def test_exports_are_the_list_and_calculate_nothing(
    house: House, client: httpx.AsyncClient, plan: int
) -> None:
    await late(house, plan, "=HYPERLINK(1)", 20, cents=1_234_56)
    await late(house, plan, "Padaria; Pão & Cia", 45, 2, cents=50_05)
    listed = await pages(client)
    answer = await client.get(f"{PATH}/contracts", params={"format": "csv"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    disposition = answer.headers["content-disposition"]
    assert disposition == 'attachment; filename="delinquency-2026-09-28.csv"'
    header, *rows = read_csv(answer.content, ";")
    assert header[:3] == ["Contrato", "Assinante", "CPF/CNPJ"]
    assert [int(row[0]) for row in rows] == [item["contract_id"] for item in listed]
    assert [row[1] for row in rows] == ["'=HYPERLINK(1)", "Padaria; Pão & Cia"]
    assert [row[2] for row in rows] == [item["document"] for item in listed]
    assert {(row[7], row[8]) for row in rows} == {("velocidade plena", "")}
    assert [row[13] for row in rows] == ["1234,56", "50,05"]
    query = {"format": "xlsx", "lang": "en", "sort": "name"}
    answer = await client.get(f"{PATH}/contracts", params=query)
    titles, *cells = read_xlsx(answer.content)
    assert titles[0] == ("text", "Contract")
    assert [row[1] for row in cells] == [
        ("text", "'=HYPERLINK(1)"),
        ("text", "Padaria; Pão & Cia"),
    ]
    assert [row[13] for row in cells] == [("money", "1234.56"), ("money", "50.05")]
    async with house.store.reading() as connection:
        told = await connection.execute(
            text("select actor, data from audit_log where action = 'delinquency.exported'")
        )
        found = [(row.actor, row.data["format"], row.data["rows"]) for row in told]
    assert found == [("finance-0", "csv", 2), ("finance-0", "xlsx", 2)]


async def test_an_empty_house_owes_nothing(client: httpx.AsyncClient) -> None:
    assert (await read(client, ""))["total"]["contracts"] == 0
    assert await pages(client) == []
    assert (await read(client, "/cohorts"))["items"] == []
    assert (await read(client, "/dso"))["dso_tenths"] is None
    forecast = await read(client, "/forecast")
    assert len(forecast["items"]) == 60
    assert sum(item["cents"] for item in forecast["items"]) == 0
    answer = await client.get(f"{PATH}/contracts", params={"format": "csv"})
    assert len(read_csv(answer.content, ";")) == 1


async def test_nobody_without_debt_to_read_gets_in(face: Face) -> None:
    noc = await face.client(Role.NOC)
    for path in ("", "/contracts", "/contracts?format=csv", "/cohorts", "/dso", "/forecast"):
        assert (await noc.get(f"{PATH}{path}")).status_code == 403
