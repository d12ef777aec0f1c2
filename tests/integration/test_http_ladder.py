"""Promises, holds, reviews, policies and the timeline over HTTP."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from sqlalchemy import insert, update

from api.house import House
from api.operators import Role
from api.review_shown import show_preview
from api.store.access_tables import notices
from api.store.network_tables import network_actions, sessions
from billing.account import draw_notice, prove_notice
from tests.support.database import Added, add_contract, add_nas, add_plan, make_house
from tests.support.http_face import Face, open_face

pytestmark = pytest.mark.anyio

START = datetime.fromisoformat("2026-08-20T10:00:00-03:00")
NOTICED = datetime.fromisoformat("2026-09-04T10:00:00-03:00")
# The worked example of the ladder's policy text: due 09-01, proven 09-04, walled Mon 09-21 08:00.
CUT = datetime.fromisoformat("2026-09-21T08:00:00-03:00")


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
async def added(house: House) -> Added:
    return await add_contract(house, await add_plan(house, "Fibra 100"))


async def _move(house: House, to: datetime) -> None:
    async with house.uow("test", "clock") as uow:
        await uow.move_clock(to)


async def _owing(house: House, client: httpx.AsyncClient, added: Added) -> int:
    """An invoice due on 09-01 whose notice was proven on 09-04; the clock stands right after."""
    lines = [{"description": "Internet", "amount_cents": 9990}]
    body = {"contract_id": added.contract_id, "due_on": "2026-09-01", "lines": lines}
    invoice_id: int = (await client.post("/api/v1/invoices", json=body)).json()["id"]
    await _move(house, NOTICED)
    async with house.uow("test", "notice") as uow:
        account = await uow.account(added.subscriber_id)
        notice_id = await uow.draw("notices")
        _, facts = draw_notice(account, notice_id, await uow.desk())
        await uow.record(account, facts)
    async with house.uow("test", "proof") as uow:
        sent = {"channel": "email", "content_sha256": b"x" * 32}
        await uow.connection.execute(update(notices).where(notices.c.id == notice_id).values(sent))
        account = await uow.account(added.subscriber_id)
        _, facts = prove_notice(account, notice_id, NOTICED, await uow.desk())
        await uow.record(account, facts)
    return invoice_id


async def _cut(house: House, client: httpx.AsyncClient, added: Added) -> int:
    invoice_id = await _owing(house, client, added)
    await _move(house, CUT)
    answer = await client.post("/api/v1/reviews", json={"dry_run": False})
    assert [change["after"] for change in answer.json()["cuts"]] == ["walled"], answer.text
    return invoice_id


async def test_a_dry_run_shows_the_plan_and_changes_nothing(
    house: House, admin: httpx.AsyncClient, added: Added
) -> None:
    invoice_id = await _owing(house, admin, added)
    early = (await admin.post("/api/v1/reviews", json={"dry_run": True})).json()
    assert (early["cuts"], early["restores"]) == ([], [])
    await _move(house, CUT)
    shown = (await admin.post("/api/v1/reviews", json={"dry_run": True})).json()
    (cut,) = shown["cuts"]
    assert cut["contract_id"] == added.contract_id
    assert (cut["before"], cut["after"], cut["counted_cents"]) == ("full", "walled", 9990)
    assert cut["reason"] == "step_reached"
    assert cut["invoice_ids"] == [invoice_id]
    url = f"/api/v1/contracts/{added.contract_id}/access"
    assert (await admin.get(url)).json()["level"] == "full"
    others = {"dry_run": True, "contract_ids": [added.contract_id + 1]}
    assert (await admin.post("/api/v1/reviews", json=others)).json()["cuts"] == []
    done = (await admin.post("/api/v1/reviews", json={"dry_run": False})).json()
    assert done["cuts"] == shown["cuts"]
    assert done["accounts"] == 1
    access = (await admin.get(url)).json()
    assert (access["level"], access["generation"]) == ("walled", 2)
    assert access["since"] == "2026-09-21T08:00:00-03:00"


async def test_the_evening_before_one_sees_whom_the_morning_cuts(
    house: House, admin: httpx.AsyncClient, added: Added, capsys: pytest.CaptureFixture[str]
) -> None:
    await _owing(house, admin, added)
    await _move(house, CUT - timedelta(hours=14))
    assert (await admin.post("/api/v1/reviews", json={"dry_run": False})).json()["cuts"] == []
    now = (await admin.post("/api/v1/reviews", json={"dry_run": True})).json()
    assert (now["cuts"], now["next_at"]) == ([], "2026-09-21T08:00:00-03:00")
    ask = {"dry_run": True, "at": now["next_at"]}
    ahead = (await admin.post("/api/v1/reviews", json=ask)).json()
    assert await show_preview(house, CUT, as_json=False) == 0
    assert "full -> walled" in capsys.readouterr().out
    assert await show_preview(house, None, as_json=False) == 0
    assert "religa review --dry-run --at 2026-09-21T08:00" in capsys.readouterr().out
    for wrong, says in (
        ({"dry_run": False, "at": ask["at"]}, "at is for a dry run"),
        ({"dry_run": True, "at": "2026-09-20"}, "one looks ahead from now"),
        ({"dry_run": True, "at": "2028-01-01T08:00:00-03:00"}, "until the end of the next year"),
    ):
        refused = await admin.post("/api/v1/reviews", json=wrong)
        assert (refused.status_code, says in refused.text) == (422, True), refused.text
    await _move(house, CUT)
    then = (await admin.post("/api/v1/reviews", json={"dry_run": True})).json()
    assert (then["cuts"], then["hash"]) == (ahead["cuts"], ahead["hash"])


async def test_an_empty_list_of_contracts_never_means_everyone(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/api/v1/reviews", json={"dry_run": True, "contract_ids": []})
    assert answer.status_code == 422
    missing = await admin.post("/api/v1/reviews", json={})
    assert missing.status_code == 422


async def test_a_promise_unlocks_once_and_the_second_is_refused_in_words(
    house: House, admin: httpx.AsyncClient, added: Added
) -> None:
    await _cut(house, admin, added)
    url = f"/api/v1/contracts/{added.contract_id}/promises"
    key = {"Idempotency-Key": "p1"}
    taken = await admin.post(url, json={"until_on": "2026-09-24"}, headers=key)
    assert taken.status_code == 201, taken.text
    assert taken.json()["level"] == "full"
    assert taken.json()["author"] == "chefe"
    again = await admin.post(url, json={"until_on": "2026-09-24"}, headers=key)
    assert (again.status_code, again.json()) == (201, taken.json())
    refused = await admin.post(url, json={"until_on": "2026-09-24"})
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:religa:promise-refused"
    assert refused.json()["detail"]
    unknown = await admin.post("/api/v1/contracts/999999/promises", json={"until_on": "2026-09-24"})
    assert unknown.status_code == 404


async def test_a_hold_keeps_the_cut_away_until_it_expires(
    house: House, admin: httpx.AsyncClient, added: Added
) -> None:
    await _owing(house, admin, added)
    url = f"/api/v1/contracts/{added.contract_id}/holds"
    body = {"expires_at": "2026-09-22T00:00:00", "reason": "cliente <b>internado</b>"}
    placed = await admin.post(url, json=body)
    assert placed.status_code == 201, placed.text
    assert placed.json()["expires_at"] == "2026-09-22T00:00:00-03:00"
    await _move(house, CUT)
    assert (await admin.post("/api/v1/reviews", json={"dry_run": True})).json()["cuts"] == []
    past = await admin.post(url, json=body | {"expires_at": "2026-09-21T07:59:00-03:00"})
    assert past.status_code == 422
    empty = await admin.post(url, json=body | {"reason": " "})
    assert empty.status_code == 422


async def test_a_policy_is_versioned_and_refused_in_words(
    house: House, admin: httpx.AsyncClient, added: Added
) -> None:
    url = "/api/v1/policies/anatel-765"
    first = (await admin.get(url)).json()
    assert (first["version"], first["versions"]) == (1, [1])
    assert first["document"]["notice_days"] == 15
    second = await admin.put(url, json={"law": "anatel-765", "notice_days": 20})
    assert second.status_code == 200
    assert (second.json()["version"], second.json()["author"]) == (2, "chefe")
    same = (await admin.put(url, json={"law": "anatel-765", "notice_days": 20})).json()
    assert same["version"] == 2
    old = (await admin.get(url, params={"version": 1})).json()
    assert (old["document"], old["versions"]) == (first["document"], [1, 2])
    for wrong, word in (
        ({"notice_days": 14}, "15"),
        ({"notise_days": 15}, "notise_days"),
        ({"\ud800": 1}, "unknown key"),
        (
            {
                "steps": [
                    {"level": "walled", "anchor": "maturity", "after_days": 0},
                    {"level": "reduced", "anchor": "walled", "after_days": 1},
                ]
            },
            "steps",
        ),
    ):
        refused = await admin.put(url, content=_json(wrong), headers=JSON)
        assert refused.status_code == 422
        assert word in refused.json()["detail"]
    assert (await admin.get(url)).json()["version"] == 2
    assert (await admin.get(url, params={"version": 3})).status_code == 404
    assert (await admin.get("/api/v1/policies/none")).status_code == 404
    assert (await admin.put("/api/v1/policies/a%20b", json={})).status_code == 422


async def test_a_new_policy_has_its_debtors_looked_at_again(
    house: House, admin: httpx.AsyncClient, added: Added
) -> None:
    await _owing(house, admin, added)
    answer = await admin.put("/api/v1/policies/anatel-765", json={"law": "none", "notice_days": 2})
    assert answer.status_code == 200
    await _move(house, datetime.fromisoformat("2026-09-08T09:00:00-03:00"))
    shown = (await admin.post("/api/v1/reviews", json={"dry_run": True})).json()
    assert [change["contract_id"] for change in shown["cuts"]] == [added.contract_id]


async def _one_session(house: House, added: Added) -> None:
    nas_id = await add_nas(house, "bng-1")
    async with house.uow("test", "seed") as uow:
        session_id = await uow.connection.scalar(
            insert(sessions)
            .values(
                unique_id=b"u",
                acct_session_id="81a00001",
                username=added.username,
                contract_id=added.contract_id,
                nas_id=nas_id,
                nas_address="127.0.0.1",
                ipv4="100.64.0.7",
                ipv6="2001:db8::/64",
                started_at=CUT,
                updated_at=CUT,
                received_at=CUT,
                applied_generation=1,
                observed_generation=1,
            )
            .returning(sessions.c.id)
        )
        await uow.connection.execute(
            insert(network_actions).values(
                session_id=session_id,
                contract_id=added.contract_id,
                nas_id=nas_id,
                generation=2,
                kind="disconnect",
                outcome="ack",
                sends=1,
                sent_wall=datetime.fromisoformat("2030-01-01T00:00:00Z"),
                answered_wall=datetime.fromisoformat("2030-01-01T00:00:00.012Z"),
                correlation_id="c",
            )
        )


async def test_the_timeline_tells_the_whole_story_in_order_and_in_both_languages(
    house: House, face: Face, admin: httpx.AsyncClient, added: Added
) -> None:
    invoice_id = await _cut(house, admin, added)
    await _one_session(house, added)
    body = {"invoice_id": invoice_id, "amount_cents": 11_000, "method": "pix", "reference": "e"}
    await admin.post("/api/v1/payments", json=body)
    url = f"/api/v1/contracts/{added.contract_id}/timeline"
    items = (await admin.get(url)).json()["items"]
    assert [item["kind"] for item in items] == [
        "contract_created",
        "invoice_issued",
        "notice_drawn",
        "notice_proven",
        "payment_posted",
        "access_decided",
        "access_decided",
        "action_ack",
    ]
    assert [item["at"] for item in items] == sorted(item["at"] for item in items)
    sentences = " ".join(item["sentence"] for item in items)
    assert "R$\xa099,90" in sentences
    assert "acesso só à página de pagamento" in sentences
    assert "Disconnect da geração 2 aceito por bng-1" in sentences
    assert "em 12 ms" in sentences
    english = (await admin.get(url, params={"lang": "en"})).json()["items"]
    assert "R$99.90" in english[1]["sentence"]
    accepted = await admin.get(url, headers={"Accept-Language": "fr, en;q=0.8, pt;q=0.5"})
    assert accepted.json()["items"] == english
    noc = await face.client(Role.NOC)
    bare = (await noc.get(url)).json()["items"]
    assert len(bare) == len(items)
    assert "R$" not in repr(bare)
    assert "_cents" not in repr(bare)
    assert "9990" not in repr(bare)
    assert (await admin.get("/api/v1/contracts/999999/timeline")).status_code == 404


async def test_access_and_sessions_say_how_far_a_line_is(
    house: House, admin: httpx.AsyncClient, added: Added
) -> None:
    await _cut(house, admin, added)
    await _one_session(house, added)
    access = (await admin.get(f"/api/v1/contracts/{added.contract_id}/access")).json()
    (line,) = access["sessions"]
    assert (line["nas"], line["ipv4"], line["state"]) == ("bng-1", "100.64.0.7", "pending")
    assert (access["generation"], line["generation"]) == (2, 1)
    for params, many in (
        ({"online": "true"}, 1),
        ({"online": "false"}, 0),
        ({"nas": "bng-1"}, 1),
        ({"nas": "other"}, 0),
        ({"contract": str(added.contract_id)}, 1),
        ({"contract": "999999"}, 0),
    ):
        found = (await admin.get("/api/v1/sessions", params=params)).json()["items"]
        assert len(found) == many, params
    (session,) = (await admin.get("/api/v1/sessions")).json()["items"]
    assert session["state"] == "pending"
    assert (session["ipv4"], session["ipv6"]) == ("100.64.0.7", "2001:db8::/64")
    (action,) = (await admin.get("/api/v1/actions", params={"outcome": "ack"})).json()["items"]
    assert (action["kind"], action["nas"], action["sends"]) == ("disconnect", "bng-1", 1)
    assert (await admin.get(f"/api/v1/actions/{action['id']}")).json() == action
    assert (await admin.get("/api/v1/actions", params={"outcome": "nak"})).json()["items"] == []
    # A cut that waits is no restore that waits.
    assert (await admin.get("/api/v1/metrics/restore")).json()["open"] == []


async def test_notices_and_audit_are_kept_and_listed(
    house: House, admin: httpx.AsyncClient, added: Added
) -> None:
    await _owing(house, admin, added)
    (notice,) = (await admin.get("/api/v1/notices", params={"state": "proven"})).json()["items"]
    assert list(notice["amounts_cents"].values()) == [9990]
    told = (await admin.get(f"/api/v1/notices/{notice['id']}")).json()
    assert told.pop("attempts_made") == []
    assert told == notice
    entries = (await admin.get("/api/v1/audit", params={"limit": 500})).json()["items"]
    assert [entry["seq"] for entry in entries] == sorted(entry["seq"] for entry in entries)
    for earlier, later in pairwise(entries):
        assert later["previous"] == earlier["hash"]
    chefe = (await admin.get("/api/v1/audit", params={"actor": "chefe"})).json()["items"]
    assert chefe
    assert {entry["actor"] for entry in chefe} == {"chefe"}
    one = (await admin.get(f"/api/v1/audit/{entries[0]['seq']}")).json()
    assert one == entries[0]


JSON = {"content-type": "application/json"}


def _json(body: object) -> str:
    return json.dumps(body)
