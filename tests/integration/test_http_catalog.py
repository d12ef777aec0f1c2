"""Plans, NASes, subscribers and contracts over HTTP."""

from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import func, select

from api.house import House
from api.operators import Role
from api.store.customer_tables import logins, nases
from api.store.network_tables import grant_changes
from api.store.staff_tables import audit_log
from tests.support.database import Cluster, add_contract, add_plan, make_house
from tests.support.http_face import Face, open_face

pytestmark = pytest.mark.anyio

PLAN = {
    "name": "Fibra 300",
    "down_bps": 300_000_000,
    "up_bps": 150_000_000,
    "reduced_down_bps": 1_000_000,
    "reduced_up_bps": 500_000,
    "price_cents": 9990,
}
SLOW = {"quota_down_bps": 2_000_000, "quota_up_bps": 1_000_000}
NAS = {"name": "bng-1", "address": "10.1.0.0/24", "secret": "s3cret", "dialect": "mikrotik"}
MARIA = {
    "name": "Maria da Silva",
    "document": "529.982.247-25",
    "email": "maria@example.com",
    "plan": "Fibra 300",
    "due_day": 10,
    "username": "maria",
    "password": "segredo",
    "mac": "aabb.ccdd.eeff",
    "static_ipv4": "100.64.0.9",
    "delegated_ipv6": "2001:db8:1::/56",
}

JOSE = {
    "name": "José",
    "document": "11144477735",
    "plan": "Fibra 300",
    "due_day": 5,
    "username": "jose",
    "password": "segredo",
}


@pytest.fixture
async def face(house: House) -> AsyncIterator[Face]:
    async with open_face(house) as opened:
        yield opened


@pytest.fixture
async def admin(face: Face) -> httpx.AsyncClient:
    return await face.client()


@pytest.fixture(scope="module")
async def settled(
    database_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a house with the plan and Maria in it, for requests that change nothing."""
    url = database_cluster.create()
    house = await make_house(url, tmp_path_factory.mktemp("settled"))
    async with open_face(house) as face:
        client = await face.client()
        assert (await client.post("/api/v1/plans", json=PLAN)).status_code == 201
        assert (await client.post("/api/v1/subscribers", json=MARIA)).status_code == 201
        yield client
    await house.store.close()
    database_cluster.drop(url)


async def test_a_plan_is_made_listed_and_read(admin: httpx.AsyncClient) -> None:
    made = await admin.post("/api/v1/plans", json=PLAN)
    assert made.status_code == 201
    plan = made.json()
    assert (plan["simultaneous_use"], plan["simultaneous_policy"]) == (1, "reject")
    assert plan["quota_octets"] is None
    assert PLAN.items() <= plan.items()
    assert (await admin.get(f"/api/v1/plans/{plan['id']}")).json() == plan
    assert (await admin.get("/api/v1/plans")).json() == {"items": [plan], "next": None}
    again = await admin.post("/api/v1/plans", json=PLAN)
    assert again.status_code == 409
    assert "name" in again.json()["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"price_cents": 99.9}, "body.price_cents"),
        ({"price_cents": "9990"}, "body.price_cents"),
        ({"price_cents": True}, "body.price_cents"),
        ({"price_cents": -1}, "body.price_cents"),
        ({"down_bps": 0}, "body.down_bps"),
        ({"down_bps": 2**63}, "body.down_bps"),
        ({"reduced_down_bps": 400_000_000}, "body"),
        ({"name": ""}, "body.name"),
        ({"name": "a\u0000b"}, "body.name"),
        ({"speed": 1}, "body.speed"),
        ({"simultaneous_policy": "kill"}, "body.simultaneous_policy"),
        ({"quota_octets": 1_000}, "body"),
        ({"quota_octets": 0, **SLOW}, "body.quota_octets"),
        ({"quota_octets": 1_000, **SLOW, "quota_down_bps": 300_000_001}, "body"),
    ],
)
async def test_a_wrong_plan_is_refused_by_field(
    settled: httpx.AsyncClient, change: dict[str, object], field: str
) -> None:
    answer = await settled.post("/api/v1/plans", json=PLAN | change)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert len((await settled.get("/api/v1/plans")).json()["items"]) == 1


async def test_what_holds_the_sessions_of_a_plan_and_how_a_nas_counts_are_kept(
    admin: httpx.AsyncClient,
) -> None:
    held = {"simultaneous_policy": "drop_oldest", "quota_octets": 10**12, **SLOW}
    plan = (await admin.post("/api/v1/plans", json=PLAN | held)).json()
    assert held.items() <= (await admin.get(f"/api/v1/plans/{plan['id']}")).json().items()
    counts = {"wraps_at_4_gib": True, "input_is_upload": False}
    nas = (await admin.post("/api/v1/nas", json=NAS | counts)).json()
    assert counts.items() <= (await admin.get(f"/api/v1/nas/{nas['id']}")).json().items()


async def test_a_nas_secret_is_written_sealed_and_never_read_back(
    admin: httpx.AsyncClient, house: House
) -> None:
    made = await admin.post("/api/v1/nas", json=NAS)
    assert made.status_code == 201
    assert made.json() == {
        "id": made.json()["id"],
        "name": "bng-1",
        "address": "10.1.0.0/24",
        "dialect": "mikrotik",
        "coa_port": 3799,
        "require_message_authenticator": "yes",
        "wraps_at_4_gib": False,
        "input_is_upload": True,
    }
    shown = await admin.get(f"/api/v1/nas/{made.json()['id']}")
    listed = await admin.get("/api/v1/nas")
    assert listed.json()["items"] == [shown.json()] == [made.json()]
    async with house.uow("test", "read") as uow:
        sealed = (await uow.connection.execute(select(nases.c.secret))).scalar_one()
        kept = (await uow.connection.execute(select(audit_log.c.data))).scalars().all()
    assert house.secrets.open("nases", "bng-1", "secret", bytes(sealed)) == b"s3cret"
    assert "s3cret" not in repr(kept)


async def test_an_unknown_dialect_names_the_known_ones(settled: httpx.AsyncClient) -> None:
    answer = await settled.post("/api/v1/nas", json=NAS | {"dialect": "telepathy"})
    assert answer.status_code == 422
    for known in ("accel_ppp", "mikrotik", "wispr"):
        assert known in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("address", ["10.0.0.1/24", "bng.example.com", "", "10.0.0.300"])
async def test_a_nas_address_is_an_ip_or_a_cidr(settled: httpx.AsyncClient, address: str) -> None:
    answer = await settled.post("/api/v1/nas", json=NAS | {"address": address})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body.address"


async def test_a_whole_csv_row_makes_subscriber_contract_and_login(
    admin: httpx.AsyncClient, house: House
) -> None:
    await admin.post("/api/v1/plans", json=PLAN)
    made = await admin.post("/api/v1/subscribers", json=MARIA)
    assert made.status_code == 201, made.text
    assert made.json()["document"] == "52998224725"
    contract_id = made.json()["contract_id"]
    items = (await admin.get("/api/v1/contracts", params={"username": "maria"})).json()["items"]
    assert items == [
        {
            "id": contract_id,
            "subscriber": "Maria da Silva",
            "plan": "Fibra 300",
            "due_day": 10,
            "username": "maria",
            "level": "full",
            "debt_cents": 0,
        }
    ]
    whole = (await admin.get(f"/api/v1/contracts/{contract_id}")).json()
    assert whole["mac"] == "AA:BB:CC:DD:EE:FF"
    assert whole["static_ipv4"] == "100.64.0.9"
    assert whole["delegated_ipv6"] == "2001:db8:1::/56"
    assert (whole["policy"], whole["generation"]) == ("anatel-765", 1)
    async with house.uow("test", "read") as uow:
        sealed = (await uow.connection.execute(select(logins.c.password))).scalar_one()
        told = await uow.connection.scalar(
            select(func.count())
            .select_from(grant_changes)
            .where(grant_changes.c.subject == "login")
        )
    assert house.secrets.open("logins", "maria", "password", bytes(sealed)) == b"segredo"
    assert told


async def test_a_subscriber_alone_has_no_contract(admin: httpx.AsyncClient) -> None:
    body = {"name": "Empresa", "document": "12.ABC.345/01DE-35"}
    made = await admin.post("/api/v1/subscribers", json=body)
    assert made.status_code == 201
    assert made.json()["contract_id"] is None
    found = await admin.get("/api/v1/subscribers", params={"document": "12abc34501de35"})
    assert [item["id"] for item in found.json()["items"]] == [made.json()["id"]]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"document": "529.982.247-26"}, "body.document"),
        ({"document": "111.111.111-11"}, "body.document"),
        ({"document": "12ABC34501DE36"}, "body.document"),
        ({"email": "not an address"}, "body.email"),
        ({"email": "a@b\nBcc: c@d"}, "body.email"),
        ({"due_day": 32}, "body.due_day"),
        ({"mac": "zz"}, "body.mac"),
        ({"static_ipv4": "1.2.3"}, "body.static_ipv4"),
        ({"plan": "none such"}, "body.plan"),
        ({"username": None}, "body"),
        ({"username": "maria; reboot"}, "body.username"),
        ({"username": "=1+1"}, "body.username"),
    ],
)
async def test_a_wrong_subscriber_is_refused_by_field_and_nothing_is_half_done(
    settled: httpx.AsyncClient, change: dict[str, object], field: str
) -> None:
    answer = await settled.post("/api/v1/subscribers", json=JOSE | change)
    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert "segredo" not in answer.text
    for kind in ("subscribers", "contracts"):
        assert len((await settled.get(f"/api/v1/{kind}")).json()["items"]) == 1


@pytest.mark.parametrize("column", ["document", "username", "static_ipv4", "delegated_ipv6"])
async def test_what_belongs_to_another_is_a_conflict_that_names_it(
    settled: httpx.AsyncClient, column: str
) -> None:
    answer = await settled.post("/api/v1/subscribers", json=JOSE | {column: MARIA[column]})
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith(column)
    for kind in ("subscribers", "contracts"):
        assert len((await settled.get(f"/api/v1/{kind}")).json()["items"]) == 1


async def test_a_second_contract_of_one_payer(admin: httpx.AsyncClient) -> None:
    plan = (await admin.post("/api/v1/plans", json=PLAN)).json()
    maria = (await admin.post("/api/v1/subscribers", json=MARIA)).json()
    body = {
        "subscriber_id": maria["id"],
        "plan_id": plan["id"],
        "due_day": 5,
        "policy": "simple",
        "login": {"username": "maria2", "password": "outra", "circuit_id": "olt 1/1"},
    }
    made = await admin.post("/api/v1/contracts", json=body)
    assert made.status_code == 201, made.text
    assert made.json()["circuit_id"] == "olt 1/1"
    assert made.json()["policy"] == "simple"
    found = await admin.get("/api/v1/contracts", params={"document": "52998224725"})
    assert [item["username"] for item in found.json()["items"]] == ["maria", "maria2"]
    for wrong, field in (
        ({"subscriber_id": 999}, "subscriber_id"),
        ({"plan_id": 999}, "plan_id"),
        ({"policy": "none"}, "policy"),
    ):
        answer = await admin.post("/api/v1/contracts", json=body | wrong)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == f"body.{field}"


async def test_the_noc_sees_the_level_and_not_the_debt(house: House, face: Face) -> None:
    added = await add_contract(house, await add_plan(house))
    noc = await face.client(Role.NOC)
    for url in ("/api/v1/contracts", f"/api/v1/contracts/{added.contract_id}"):
        answer = (await noc.get(url)).json()
        item = answer["items"][0] if "items" in answer else answer
        assert item["level"] == "full"
        assert item["debt_cents"] is None


async def test_pages_join_into_the_whole_list_without_gaps_or_repeats(
    house: House, admin: httpx.AsyncClient
) -> None:
    plan_id = await add_plan(house)
    ids = [(await add_contract(house, plan_id)).contract_id for _ in range(7)]
    seen: list[int] = []
    sizes = []
    params: dict[str, str | int] = {"limit": 3}
    while True:
        page = (await admin.get("/api/v1/contracts", params=params)).json()
        seen += [item["id"] for item in page["items"]]
        sizes.append(len(page["items"]))
        if page["next"] is None:
            break
        params["after"] = page["next"]
    assert seen == ids
    assert sizes == [3, 3, 1]


async def test_a_page_that_ends_exactly_at_the_end_has_no_next(
    house: House, admin: httpx.AsyncClient
) -> None:
    await add_plan(house)
    page = (await admin.get("/api/v1/plans", params={"limit": 1})).json()
    assert len(page["items"]) == 1
    assert page["next"] is None


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "after=zzz", "level=fast", "username=%00"]
)
async def test_a_wrong_query_is_refused(settled: httpx.AsyncClient, query: str) -> None:
    answer = await settled.get(f"/api/v1/contracts?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("query.")


@pytest.mark.parametrize(
    "kind",
    ["plans", "nas", "subscribers", "contracts", "invoices", "payments", "sessions", "notices"],
)
async def test_an_unknown_id_says_where_the_known_ones_are(
    settled: httpx.AsyncClient, kind: str
) -> None:
    answer = await settled.get(f"/api/v1/{kind}/999999")
    assert answer.status_code == 404
    assert f"/api/v1/{kind}" in answer.json()["detail"]
    assert (await settled.get(f"/api/v1/{kind}/{2**63}")).status_code == 422
