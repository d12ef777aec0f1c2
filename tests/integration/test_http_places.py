"""Places, holidays, classes, exemptions, assignments and outages over HTTP, in rehearsal."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api.compose import provider_calendar
from api.house import House
from api.importer import import_subscribers
from api.operators import Role
from api.verify import verify
from billing.exemption import exempt
from billing.place import Place
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.http_face import Face, open_face
from tests.support.money import add_invoice, move_clock, notify_payer

pytestmark = pytest.mark.anyio

START = datetime.fromisoformat("2026-08-20T10:00:00-03:00")
DUE_ON = date(2026, 9, 1)
NOTICED = datetime.fromisoformat("2026-09-04T10:00:00-03:00")
# By the policy text's worked example: walled on Monday 09-21 at 08:00.
MONDAY = datetime.fromisoformat("2026-09-21T08:00:00-03:00")
TUESDAY = datetime.fromisoformat("2026-09-22T08:00:00-03:00")
SANTOS = {"city": "Santos", "city_code": "3548500", "state": "SP", "region": "litoral"}
RIO = {"city": "Rio de Janeiro", "city_code": "3304557", "state": "RJ", "region": "norte"}


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(database_url, tmp_path, now=START)
    yield made
    await made.store.close()


@pytest.fixture
async def face(house: House) -> AsyncIterator[Face]:
    async with open_face(house) as opened:
        yield opened


@pytest.fixture
async def admin(face: Face) -> httpx.AsyncClient:
    return await face.client(name="chefe")


@pytest.fixture
async def plan_id(house: House) -> int:
    return await add_plan(house, "Fibra 100")


async def call(
    client: httpx.AsyncClient, method: str, path: str, body: Any = None, status: int = 200
) -> Any:
    answer = await client.request(method, f"/api/v1{path}", json=body)
    assert answer.status_code == status, f"{method} {path}: {answer.text}"
    return answer.json() if answer.content else None


async def owing(house: House, plan_id: int, many: int) -> list[Added]:
    """Payers of one invoice due on 09-01, notified on 09-04."""
    payers = [await add_contract(house, plan_id) for _ in range(many)]
    for payer in payers:
        await add_invoice(house, payer, DUE_ON)
    await move_clock(house, NOTICED)
    for payer in payers:
        await notify_payer(house, payer)
    return payers


async def cuts(house: House, client: httpx.AsyncClient, at: datetime) -> list[int]:
    """Who is cut by a review at an instant."""
    await move_clock(house, at)
    ran = await call(client, "POST", "/reviews", {"dry_run": False})
    assert ran["failed"] == []
    return [change["contract_id"] for change in ran["cuts"]]


async def differences(house: House) -> list[str]:
    async with house.store.reading() as connection:
        return await verify(house, connection)


async def told(client: httpx.AsyncClient, contract_id: int, lang: str = "en") -> list[str]:
    found = await call(client, "GET", f"/contracts/{contract_id}/timeline?lang={lang}")
    return [item["sentence"] for item in found["items"]]


async def test_a_contract_in_a_city_with_a_holiday_is_cut_a_day_later_than_its_neighbour(
    house: House, admin: httpx.AsyncClient, plan_id: int
) -> None:
    there, neighbour = await owing(house, plan_id, 2)
    await call(admin, "PUT", f"/subscribers/{there.subscriber_id}/address", SANTOS)
    await call(admin, "PUT", f"/subscribers/{neighbour.subscriber_id}/address", RIO)
    # Written after the notice: what binds is looked up anew.
    written = await call(
        admin,
        "PUT",
        "/holidays?city=3548500&year=2026",
        {"days": [{"on": "2026-09-21", "name": "Dia do porto"}]},
    )
    assert (written["state"], written["author"]) == ("SP", "chefe")
    assert written["contracts_to_review"] == 1
    assert await cuts(house, admin, MONDAY) == [neighbour.contract_id]
    late = await call(admin, "GET", f"/contracts/{there.contract_id}/access")
    assert (late["level"], late["review_on"]) == ("full", "2026-09-22T08:00:00-03:00")
    assert await cuts(house, admin, TUESDAY) == [there.contract_id]
    # Judged again by the holidays of then, whatever is written since.
    assert await differences(house) == []
    days = [{"on": on, "name": "x"} for on in ("2026-09-21", "2026-09-22", "2026-09-23")]
    for query in ("city=3548500", "state=RJ", ""):
        await call(admin, "PUT", f"/holidays?{query}&year=2026", {"days": days})
    assert await differences(house) == []
    async with house.uow("test", "tamper") as uow:
        await uow.connection.execute(text("set local session_replication_role = replica"))
        await uow.connection.execute(
            text(
                "update access_decisions set situation ="
                " jsonb_set(situation, '{calendar,sheet_id}', '4') where contract_id = :id"
            ),
            {"id": neighbour.contract_id},
        )
    assert len(await differences(house)) == 1


async def test_the_eve_of_a_city_holiday_holds_cuts_back_and_a_day_taken_off_lets_them_start(
    house: House, admin: httpx.AsyncClient, plan_id: int
) -> None:
    (payer,) = await owing(house, plan_id, 1)
    await call(admin, "PUT", f"/contracts/{payer.contract_id}/address", SANTOS)
    url = "/holidays?city=3548500&year=2026"
    days = [{"on": "2026-09-22", "name": "Dia do porto"}]
    await call(admin, "PUT", url, {"days": days})
    assert await cuts(house, admin, MONDAY) == []
    access = await call(admin, "GET", f"/contracts/{payer.contract_id}/access")
    assert access["review_on"] == "2026-09-23T08:00:00-03:00"
    assert (await call(admin, "PUT", url, {"days": []}))["contracts_to_review"] == 1
    assert await cuts(house, admin, MONDAY) == [payer.contract_id]


async def test_without_an_address_the_providers_own_city_binds(
    database_url: str, tmp_path: Path
) -> None:
    plain = await make_house(database_url, tmp_path, now=START, state="SP", city_code="3548500")
    own = cache(lambda: provider_calendar(plain.settings, date(2026, 8, 20)))
    house = replace(plain, load_calendar=own)
    assert house.calendar.place == Place("SP", "3548500")
    async with open_face(house) as face:
        admin = await face.client()
        payer, elsewhere = await owing(house, await add_plan(house), 2)
        await call(admin, "PUT", f"/contracts/{elsewhere.contract_id}/address", RIO)
        shown = await call(admin, "GET", f"/contracts/{payer.contract_id}/address")
        assert (shown["of"], shown["city_code"]) == ("provider", "3548500")
        days = [{"on": "2026-09-21", "name": "Dia do porto"}]
        done = await call(admin, "PUT", "/holidays?city=3548500&year=2026", {"days": days})
        assert done["contracts_to_review"] == 1
        assert await cuts(house, admin, MONDAY) == [elsewhere.contract_id]
        assert await cuts(house, admin, TUESDAY) == [payer.contract_id]
        assert await differences(house) == []
    await house.store.close()


async def test_wrong_holidays_are_refused_and_nothing_is_kept(admin: httpx.AsyncClient) -> None:
    for query, days, says in (
        ("city=3548500&year=2027", ["2026-01-26"], "2026-01-26 (x) is not in 2027"),
        ("city=3548500&year=2026", ["2026-01-26", "2026-01-26"], "2026-01-26 is there twice"),
        ("city=3548500&year=2026", ["2026-02-29"], "day value is outside expected range"),
        ("city=3548500&year=2026", ["soon"], "date"),
        ("city=354850&year=2026", [], "seven digits"),
        ("city=3548500&state=RJ&year=2026", [], "is of SP, not of RJ"),
        ("state=XX&year=2026", [], "no such state"),
        ("state=SP", [], "query.year"),
    ):
        body = {"days": [{"on": on, "name": "x"} for on in days]}
        refused = await call(admin, "PUT", f"/holidays?{query}", body, 422)
        assert says in refused["detail"]
    shown = await call(admin, "GET", "/holidays?city=3548500&year=2026")
    assert (shown["days"], shown["author"]) == ([], None)


async def test_holidays_are_shown_with_where_they_come_from(admin: httpx.AsyncClient) -> None:
    for query, on in (
        ("", "2026-06-11"),
        ("state=RJ", "2026-06-12"),
        ("city=3304557", "2026-01-20"),
    ):
        await call(
            admin, "PUT", f"/holidays?{query}&year=2026", {"days": [{"on": on, "name": "aqui"}]}
        )
    shown = await call(admin, "GET", "/holidays?city=3304557&year=2026&lang=en")
    source = {item["on"]: (item["name"], item["source"]) for item in shown["binding"]}
    assert source["2026-09-07"] == ("Independence Day", "national")
    assert source["2026-04-23"][1] == "state"
    assert [on for on, item in source.items() if item == ("aqui", "written")] == [
        "2026-01-20",
        "2026-06-11",
        "2026-06-12",
    ]
    assert [day["on"] for day in shown["days"]] == ["2026-01-20"]
    # One calendar of banks for all: Carnival and Corpus Christi, and nothing of a city.
    assert {"2026-02-16", "2026-02-17", "2026-06-04"} <= set(shown["bank_closed"])
    assert not {"2026-12-24", "2026-12-31", "2026-01-20", "2026-04-23"} & set(shown["bank_closed"])
    portuguese = await call(admin, "GET", "/holidays?year=2026")
    assert "Independência do Brasil" in [item["name"] for item in portuguese["binding"]]


async def test_an_address_is_the_contracts_own_or_its_subscribers(
    house: House, admin: httpx.AsyncClient, plan_id: int
) -> None:
    body = {"name": "Casa", "document": "529.982.247-25", "plan": "Fibra 100", "due_day": 10}
    login = {"username": "casa", "password": "segredo"}
    made = await call(
        admin,
        "POST",
        "/subscribers",
        body | login | {"cep": "11010-000", "city_code": "3548500"},
        201,
    )
    url = f"/contracts/{made['contract_id']}/address"
    shown = await call(admin, "GET", url)
    assert (shown["of"], shown["cep"], shown["state"]) == ("subscriber", "11010000", "SP")
    assert (await call(admin, "PUT", url, RIO))["of"] == "contract"
    assert (await call(admin, "GET", url))["city"] == "Rio de Janeiro"
    async with house.uow("test", "read") as uow:
        account = await uow.account(made["id"])
    assert account.contracts[0].place == Place("RJ", "3304557")
    await call(admin, "DELETE", url, status=204)
    assert (await call(admin, "GET", url))["of"] == "subscriber"
    for wrong, says in (
        ({"cep": "123"}, "eight digits"),
        ({"state": "SP", "city_code": "3304557"}, "is of RJ, not of SP"),
        ({"estate": "SP"}, "unknown field"),
    ):
        assert says in (await call(admin, "PUT", url, wrong, 422))["detail"]
    await call(admin, "PUT", "/subscribers/999999/address", RIO, 404)
    await call(admin, "GET", "/contracts/999999/address", status=404)
    assert "chefe recorded the place: RJ, 3304557, norte." in await told(admin, made["contract_id"])
    # Streets are no part of what can never be removed.
    entries = await call(admin, "GET", "/audit?limit=500")
    assert "11010" not in repr(entries)


HEADER = "name,document,email,phone,plan,due_day,username,password,mac,static_ipv4,delegated_ipv6"
PLACED = f"{HEADER},cep,street,number,complement,district,city,city_code,state,region"


async def _import(house: House, path: Path, *lines: str) -> list[str]:
    written = "\n".join(lines) + "\n"
    await asyncio.to_thread(path.write_text, written, encoding="utf-8")
    report = await import_subscribers(
        house.store, house.secrets, house.clock, path, False, lambda *_: None
    )
    return [f"{problem.line} {problem.column}: {problem.reason}" for problem in report.problems]


async def test_addresses_come_in_with_subscribers_and_old_files_go_on_working(
    house: House, admin: httpx.AsyncClient, plan_id: int, tmp_path: Path
) -> None:
    file = tmp_path / "subscribers.csv"
    first = "Casa,52998224725,,,Fibra 100,10,{},x,,,"
    santos = "11010-000,Rua A,1,,Centro,Santos,3548500,,litoral"
    assert await _import(house, file, HEADER, first.format("old")) == []
    # The person is stored already, so the address is of the new contract alone.
    assert await _import(house, file, PLACED, f"{first.format('second')},{santos}") == []
    other = "Loja,11144477735,,,Fibra 100,10,{},x,,,"
    rows = [
        f"{other.format('one')},{santos}",
        f"{other.format('two')},,,,,,,,RJ,norte",
        f"{other.format('three')},,,,,,,,,",
    ]
    await call(admin, "PUT", "/policies/simple", {"law": "none", "notice_days": 2})
    await call(admin, "PUT", "/policy-assignments", {"region": "norte", "policy": "simple"})
    assert await _import(house, file, PLACED, *rows) == []
    found = {}
    for contract in (await call(admin, "GET", "/contracts"))["items"]:
        shown = await call(admin, "GET", f"/contracts/{contract['id']}/address")
        policy = await call(admin, "GET", f"/contracts/{contract['id']}/policy")
        found[contract["username"]] = (shown["of"], shown["state"], policy["policy"])
    assert found == {
        "old": ("provider", None, "anatel-765"),
        "second": ("contract", "SP", "anatel-765"),
        "one": ("subscriber", "SP", "anatel-765"),
        "two": ("contract", "RJ", "simple"),
        "three": ("subscriber", "SP", "anatel-765"),
    }
    bad = [
        f"{other.format('x1')},1101,,,,,,,,",
        f"{other.format('x2')},,,,,,,3548500,RJ,",
        f"{other.format('x3')},,,,,,,35,,",
        f"{other.format('x4')},,,,,,,,ZZ,",
    ]
    problems = await _import(house, file, PLACED, *bad)
    assert [problem.split(":")[0] for problem in problems] == [
        "2 cep",
        "3 city_code",
        "4 city_code",
        "5 state",
    ]


async def test_a_class_that_is_never_blocked_is_not_cut_and_is_listed(
    house: House, face: Face, admin: httpx.AsyncClient, plan_id: int
) -> None:
    hospital, other = await owing(house, plan_id, 2)
    url = f"/subscribers/{hospital.subscriber_id}/class"
    join = {"customer_class": "hospital", "reason": "pronto-socorro"}
    assert "no class 'hospital'" in (await call(admin, "PUT", url, join, 422))["detail"]
    body = {"never_block": True, "note": "linhas de atendimento"}
    made = await call(admin, "PUT", "/classes/hospital", body)
    assert (made["name"], made["author"], made["policy"]) == ("hospital", "chefe", None)
    await call(admin, "PUT", url, {"customer_class": "hospital", "reason": " "}, 422)
    joined = await call(admin, "PUT", url, join)
    assert joined["contract_ids"] == [hospital.contract_id]
    assert await cuts(house, admin, MONDAY) == [other.contract_id]
    access = await call(admin, "GET", f"/contracts/{hospital.contract_id}/access")
    assert (access["level"], access["reason"]) == ("full", "never_block")
    async with house.uow("test", "read") as uow:
        account = await uow.account(hospital.subscriber_id)
        assert exempt(account, account.contracts[0], uow.clock.now())
    (item,) = (await call(admin, "GET", "/exemptions"))["items"]
    assert (item["kind"], item["customer_class"], item["contract_id"]) == (
        "never_block",
        "hospital",
        hospital.contract_id,
    )
    assert (item["author"], item["reason"], item["expires_at"]) == ("chefe", "pronto-socorro", None)
    assert item["debt_cents"] == 9990
    noc = await face.client(Role.NOC)
    assert (await call(noc, "GET", "/exemptions"))["items"][0]["debt_cents"] is None
    # The flag taken off the class has its members looked at again.
    await call(admin, "PUT", "/classes/hospital", body | {"never_block": False})
    assert (await call(admin, "GET", "/exemptions"))["items"] == []
    assert await cuts(house, admin, MONDAY) == [hospital.contract_id]
    sentences = await told(admin, hospital.contract_id)
    assert any("hospital, which is never cut; pronto-socorro" in said for said in sentences)
    shown = await call(admin, "GET", url)
    assert (shown["reason"], shown["author"], shown["never_block"]) == (
        "pronto-socorro",
        "chefe",
        False,
    )
    left = await call(admin, "PUT", url, {"customer_class": None, "reason": "fechou"})
    assert (left["customer_class"], left["since"]) == (None, None)
    assert await differences(house) == []


async def test_an_exemption_has_author_reason_and_expiry_and_may_end_early(
    house: House, admin: httpx.AsyncClient, plan_id: int
) -> None:
    (payer,) = await owing(house, plan_id, 1)
    await call(admin, "PUT", f"/subscribers/{payer.subscriber_id}/address", SANTOS)
    url = f"/contracts/{payer.contract_id}/holds"
    body = {"kind": "exemption", "reason": "internada", "expires_at": "2026-10-01T00:00:00"}
    for missing, says in (
        ("expires_at", "what has no end is a customer class"),
        ("reason", "body.reason"),
    ):
        some = {name: value for name, value in body.items() if name != missing}
        assert says in (await call(admin, "POST", url, some, 422))["detail"]
    assert says in (await call(admin, "POST", url, body | {"reason": " "}, 422))["detail"]
    too_long = await call(admin, "POST", url, body | {"expires_at": "2028-10-01T00:00:00"}, 409)
    assert "366 days at most" in too_long["detail"]
    placed = await call(admin, "POST", url, body, 201)
    assert (placed["kind"], placed["author"]) == ("exemption", "chefe")
    assert await cuts(house, admin, MONDAY) == []
    (item,) = (await call(admin, "GET", "/exemptions?region=litoral"))["items"]
    assert (item["kind"], item["hold_id"], item["debt_cents"]) == ("exemption", placed["id"], 9990)
    assert item["expires_at"] == "2026-10-01T00:00:00-03:00"
    assert (await call(admin, "GET", "/exemptions?region=norte"))["items"] == []
    (standing,) = (await call(admin, "GET", "/holds?standing=true&kind=exemption"))["items"]
    assert (standing["id"], standing["ended_at"]) == (placed["id"], None)
    end = f"/holds/{placed['id']}/end"
    ended = await call(admin, "POST", end, {"reason": "voltou para casa"})
    assert (ended["ended_by"], ended["standing"]) == ("chefe", False)
    again = await call(admin, "POST", end, {"reason": "voltou para casa"}, 409)
    assert "is over already" in again["detail"]
    await call(admin, "POST", "/holds/999999/end", {"reason": "x"}, 404)
    access = await call(admin, "GET", f"/contracts/{payer.contract_id}/access")
    assert access["level"] == "walled"
    assert (await call(admin, "GET", "/exemptions"))["items"] == []
    (over,) = (await call(admin, "GET", "/holds?standing=false"))["items"]
    assert over["end_reason"] == "voltou para casa"
    sentences = await told(admin, payer.contract_id, "pt-BR")
    assert any("isentou o contrato de cortes e lembretes" in said for said in sentences)
    assert any("encerrou antes do prazo" in said for said in sentences)
    assert await differences(house) == []


async def test_exemptions_are_paged(house: House, admin: httpx.AsyncClient, plan_id: int) -> None:
    payers = [await add_contract(house, plan_id) for _ in range(3)]
    await call(admin, "PUT", "/classes/hospital", {"never_block": True, "note": "linha essencial"})
    for payer in payers:
        join = {"customer_class": "hospital", "reason": "x"}
        await call(admin, "PUT", f"/subscribers/{payer.subscriber_id}/class", join)
        body = {"kind": "exemption", "reason": "x", "expires_at": "2026-10-01T00:00:00"}
        await call(admin, "POST", f"/contracts/{payer.contract_id}/holds", body, 201)
    seen: list[tuple[str, int]] = []
    after = ""
    while True:
        page = await call(admin, "GET", f"/exemptions?limit=2{after}")
        seen += [(item["kind"], item["contract_id"]) for item in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert len(seen) == len(set(seen)) == 6
    only = await call(admin, "GET", "/exemptions?kind=never_block")
    assert [item["contract_id"] for item in only["items"]] == [p.contract_id for p in payers]


async def test_a_contract_follows_its_own_policy_else_class_region_plan_or_the_default(
    house: House, admin: httpx.AsyncClient, plan_id: int
) -> None:
    for name in ("of-class", "of-region", "of-plan", "own"):
        await call(admin, "PUT", f"/policies/{name}", {"law": "none", "notice_days": 2})
    added = await add_contract(house, plan_id)
    number, subscriber_id = added.contract_id, added.subscriber_id
    await call(admin, "PUT", "/classes/loja", {"note": "linha essencial"})

    async def follows() -> tuple[str, str, str | None]:
        shown = await call(admin, "GET", f"/contracts/{number}/policy")
        assert (await call(admin, "GET", f"/contracts/{number}"))["policy"] == shown["policy"]
        return shown["policy"], shown["because"], shown["key"]

    async def assign(**body: Any) -> Any:
        return await call(admin, "PUT", "/policy-assignments", body)

    assert await follows() == ("anatel-765", "default", None)
    tried = await assign(plan_id=plan_id, policy="of-plan", dry_run=True)
    assert tried["moves"] == [{"contract_id": number, "before": "anatel-765", "after": "of-plan"}]
    assert await follows() == ("anatel-765", "default", None)
    assert (await call(admin, "GET", "/policy-assignments"))["items"] == []
    done = await assign(plan_id=plan_id, policy="of-plan")
    assert (done["contracts"], done["moves"]) == (1, tried["moves"])
    assert await follows() == ("of-plan", "plan", str(plan_id))
    assert (await assign(region="litoral", policy="of-region"))["contracts"] == 0
    await call(admin, "PUT", f"/subscribers/{subscriber_id}/address", SANTOS)
    assert await follows() == ("of-region", "region", "litoral")
    await call(admin, "PUT", "/classes/loja", {"note": "x", "policy": "of-class"})
    join = {"customer_class": "loja", "reason": "x"}
    await call(admin, "PUT", f"/subscribers/{subscriber_id}/class", join)
    assert await follows() == ("of-class", "class", "loja")
    await call(admin, "PUT", f"/contracts/{number}/policy", {"policy": "own"})
    assert await follows() == ("own", "contract", None)
    # One with a policy of its own is moved by nothing.
    assert (await assign(customer_class="loja", policy="anatel-765"))["contracts"] == 0
    await call(admin, "PUT", f"/contracts/{number}/policy", {"policy": None})
    assert await follows() == ("anatel-765", "class", "loja")
    assert (await assign(customer_class="loja", policy=None))["contracts"] == 1
    assert await follows() == ("of-region", "region", "litoral")
    regions = (await call(admin, "GET", "/policy-assignments?scope=region"))["items"]
    assert [(item["key"], item["policy"]) for item in regions] == [("litoral", "of-region")]
    sentences = await told(admin, number)
    assert "The contract moves from policy anatel-765 to of-plan: the plan follows it." in sentences
    for wrong, says in (
        ({"plan_id": 999999, "policy": "own"}, "there is no plan 999999"),
        ({"customer_class": "none", "policy": "own"}, "there is no class"),
        ({"region": "x", "policy": "gone"}, "there is no policy 'gone'"),
        ({"region": "x", "plan_id": plan_id, "policy": "own"}, "one of them"),
        ({"policy": "own"}, "one of them"),
        ({"region": "x"}, "body.policy"),
    ):
        assert says in (await call(admin, "PUT", "/policy-assignments", wrong, 422))["detail"]


async def test_new_contracts_and_changed_plans_follow_what_they_should(
    house: House, admin: httpx.AsyncClient, plan_id: int
) -> None:
    await call(admin, "PUT", "/policies/of-plan", {"law": "none", "notice_days": 2})
    other = await add_plan(house, "Fibra 500")
    await call(admin, "PUT", "/policy-assignments", {"plan_id": other, "policy": "of-plan"})
    person = await call(
        admin, "POST", "/subscribers", {"name": "Casa", "document": "529.982.247-25"}, 201
    )

    async def connect(name: str, plan: int, **more: Any) -> Any:
        body = {"subscriber_id": person["id"], "plan_id": plan, "due_day": 10, **more}
        body["login"] = {"username": name, "password": "x"}
        return await call(admin, "POST", "/contracts", body, 201)

    assert (await connect("a", other))["policy"] == "of-plan"
    assert (await connect("b", other, policy="anatel-765"))["policy"] == "anatel-765"
    changed = await connect("c", plan_id)
    assert changed["policy"] == "anatel-765"
    url = f"/contracts/{changed['id']}"
    await call(admin, "POST", f"{url}/plan-changes", {"plan_id": other}, 201)
    assert (await call(admin, "GET", url))["policy"] == "of-plan"


async def test_an_assignment_has_those_that_it_moves_looked_at_anew(
    house: House, admin: httpx.AsyncClient, plan_id: int
) -> None:
    (payer,) = await owing(house, plan_id, 1)
    await call(admin, "PUT", "/policies/quick", {"law": "none", "notice_days": 2})
    wednesday = datetime.fromisoformat("2026-09-09T09:00:00-03:00")
    assert await cuts(house, admin, wednesday) == []
    await call(admin, "PUT", "/policy-assignments", {"plan_id": plan_id, "policy": "quick"})
    assert await cuts(house, admin, wednesday) == [payer.contract_id]
    assert await differences(house) == []


async def test_an_outage_that_goes_on_stands_against_cuts(
    house: House, admin: httpx.AsyncClient, plan_id: int
) -> None:
    hit, neighbour = await owing(house, plan_id, 2)
    await call(admin, "PUT", f"/subscribers/{hit.subscriber_id}/address", SANTOS)
    body = {"started_at": "2026-09-04T09:00:00", "reason": "fibra rompida"}
    ahead = body | {"started_at": "2026-09-05T09:00:00", "region": "litoral"}
    assert "not ahead of now" in (await call(admin, "POST", "/outages", ahead, 422))["detail"]
    nobody = await call(admin, "POST", "/outages", body | {"region": "norte"}, 409)
    assert "nobody was hit" in nobody["detail"]
    made = await call(admin, "POST", "/outages", body | {"region": "litoral"}, 201)
    assert made["contracts"] == 1
    assert await cuts(house, admin, MONDAY) == [neighbour.contract_id]
    access = await call(admin, "GET", f"/contracts/{hit.contract_id}/access")
    assert (access["level"], access["reason"]) == ("full", "outage")
    (item,) = (await call(admin, "GET", "/outages?running=true"))["items"]
    assert (item["id"], item["ended_at"], item["contracts"]) == (made["id"], None, 1)
    url = f"/outages/{made['id']}/end"
    for wrong in ("2026-09-04T08:00:00", "2026-09-22T08:00:00"):
        refused = await call(admin, "POST", url, {"ended_at": wrong}, 409)
        assert "ends after it began, and not ahead of now" in refused["detail"]
    ended = await call(admin, "POST", url, {})
    assert (ended["contracts"], ended["contracts_to_review"]) == (1, 1)
    assert "ended at" in (await call(admin, "POST", url, {}, 409))["detail"]
    await call(admin, "POST", "/outages/999999/end", {}, 404)
    assert await cuts(house, admin, MONDAY) == [hit.contract_id]
    found = await call(admin, "GET", f"/outages?running=false&contract_id={hit.contract_id}")
    assert [item["id"] for item in found["items"]] == [made["id"]]
    sentences = await told(admin, hit.contract_id)
    assert "Outage at the customer's place: fibra rompida; no cut while it lasts." in sentences
    assert await differences(house) == []


async def test_an_outage_of_a_city_hits_whoever_is_there_and_is_credited_when_it_has_ended(
    house: House, admin: httpx.AsyncClient, plan_id: int
) -> None:
    there, elsewhere = [await add_contract(house, plan_id) for _ in range(2)]
    await call(admin, "PUT", f"/contracts/{there.contract_id}/address", SANTOS)
    await call(admin, "PUT", f"/contracts/{elsewhere.contract_id}/address", RIO)
    body = {"started_at": "2026-08-20T09:00:00", "reason": "x"}
    made = await call(admin, "POST", "/outages", body | {"city_code": "3548500"}, 201)
    assert made["contracts"] == 1
    async with house.uow("test", "read") as uow:
        hit = await uow.account(there.subscriber_id)
        spared = await uow.account(elsewhere.subscriber_id)
    assert [bar.value for bar in hit.contracts[0].bars] == ["outage"]
    assert spared.contracts[0].bars == ()
    # Rule 14: credit is given when it has ended.
    await move_clock(house, NOTICED)
    billing = f"/contracts/{there.contract_id}/billing"
    assert "interrupção" not in repr(await call(admin, "GET", billing))
    await call(admin, "POST", f"/outages/{made['id']}/end", {"ended_at": "2026-08-22T09:00:00"})
    assert "interrupção" in repr(await call(admin, "GET", billing))


async def test_an_outage_that_goes_on_is_credited_by_the_final_invoice(
    house: House, admin: httpx.AsyncClient, plan_id: int
) -> None:
    payer = await add_contract(house, plan_id)
    url = f"/contracts/{payer.contract_id}"
    await call(admin, "GET", f"{url}/billing")
    await move_clock(house, datetime.fromisoformat("2026-08-30T10:00:00-03:00"))
    body = {"started_at": "2026-08-25T09:00:00", "reason": "x"}
    await call(admin, "POST", "/outages", body | {"contract_ids": [payer.contract_id]}, 201)
    ended = await call(admin, "POST", f"{url}/termination", {"why": "customer"}, 201)
    invoice = await call(admin, "GET", f"/invoices/{ended['invoice_id']}")
    credit = [line for line in invoice["lines"] if "interrupção" in line["description"]]
    # 15 hours of the 25th and all of the 26th to the 29th: 4.625 of the month's 31 days.
    assert [line["amount_cents"] for line in credit] == [-round(9990 * 4.625 / 31)]


async def test_contracts_are_listed_by_region_and_class_page_by_page(
    house: House, admin: httpx.AsyncClient, plan_id: int
) -> None:
    added = [await add_contract(house, plan_id) for _ in range(4)]
    a, b, c, d = added
    for one in (a, c, d):
        path = f"/api/v1/subscribers/{one.subscriber_id}/address"
        answer = await admin.put(path, json=SANTOS)
        assert answer.status_code == 200, answer.text
    # A contract that has an address of its own is there.
    path = f"/api/v1/contracts/{d.contract_id}/address"
    assert (await admin.put(path, json=RIO)).status_code == 200
    await admin.put(
        "/api/v1/classes/hospital", json={"never_block": True, "note": "linha essencial"}
    )
    for one in (a, b):
        path = f"/api/v1/subscribers/{one.subscriber_id}/class"
        classed = {"customer_class": "hospital", "reason": "pronto-socorro"}
        assert (await admin.put(path, json=classed)).status_code == 200

    async def ids(**asked: str | int) -> list[int]:
        found: list[int] = []
        after: str | None = None
        while True:
            more: dict[str, str | int] = {"after": after} if after else {}
            answer = await admin.get("/api/v1/contracts", params={"limit": 1, **asked, **more})
            page = answer.json()
            found += [item["id"] for item in page["items"]]
            after = page["next"]
            if after is None:
                return found

    assert await ids() == [one.contract_id for one in added]
    assert await ids(region="litoral") == [a.contract_id, c.contract_id]
    assert await ids(region="norte") == [d.contract_id]
    assert await ids(region="") == [b.contract_id]
    assert await ids(region="sul") == []
    assert await ids(customer_class="hospital") == [a.contract_id, b.contract_id]
    assert await ids(customer_class="hospital", region="litoral") == [a.contract_id]
    assert await ids(customer_class="escola") == []
    assert (await admin.get("/api/v1/contracts?customer_class=%00")).status_code == 422
