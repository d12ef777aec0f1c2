"""From the cut to the contract's end, the bureau and the agency, day by day; paid on the way."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes
from email.policy import default
from functools import cache
from pathlib import Path

import httpx
import pytest
from sqlalchemy import insert, select, text, update

from api import rescinding, review
from api.enforce import Enforcer
from api.house import House
from api.messenger import Messenger
from api.rehearsal_clock import ClockMover
from api.store import listings as listing_rows
from api.store.access_tables import notices
from api.store.customer_tables import contracts
from api.store.ladder_tables import contract_stages
from api.store.policies import ensure_policies
from api.verify import verify
from billing.account import draw_notice, prove_notice
from billing.calendar import brazil
from billing.listing import ListingRules
from radius.client import DynauthClient
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.http_face import Face, open_face

pytestmark = pytest.mark.anyio

START = datetime.fromisoformat("2026-08-20T10:00:00-03:00")
NOTICED = datetime.fromisoformat("2026-09-04T10:00:00-03:00")
CUT = datetime.fromisoformat("2026-09-21T08:00:00-03:00")
# 60 days after the cut is Friday 2026-11-20, a holiday.
RESCIND = datetime.fromisoformat("2026-11-23T08:00:00-03:00")
THE_DAY_AFTER = datetime.fromisoformat("2026-11-24T00:00:00-03:00")
# The final invoice is due on Tuesday 12-01.
FINAL_NOTICE = datetime.fromisoformat("2026-12-04T00:00:00-03:00")
AGENCY = datetime.fromisoformat("2026-12-23T00:00:00-03:00")


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


async def _at(house: House, to: datetime) -> None:
    """Move the clock and do what is due, until nothing is."""
    async with house.uow("test", "clock") as uow:
        await uow.move_clock(to)
    for _ in range(2):  # an end that is done calls for another look
        await review.run(house, None, "look", "schedule")


async def _noticed(
    house: House, admin: httpx.AsyncClient, due_on: str = "2026-09-01", at: datetime = NOTICED
) -> tuple[Added, int]:
    """A debtor with a proven notice; the clock stands at its hour."""
    added = await add_contract(house, await add_plan(house, "Fibra 100"))
    body = {
        "contract_id": added.contract_id,
        "due_on": due_on,
        "lines": [{"description": "Internet", "amount_cents": 9990}],
    }
    invoice_id: int = (await admin.post("/api/v1/invoices", json=body)).json()["id"]
    async with house.uow("test", "clock") as uow:
        await uow.move_clock(at)
        account = await uow.account(added.subscriber_id)
        notice_id = await uow.draw("notices")
        account, facts = draw_notice(account, notice_id, await uow.desk())
        await uow.record(account, facts)
        sent = {"channel": "email", "content_sha256": b"x" * 32}
        await uow.connection.execute(update(notices).where(notices.c.id == notice_id).values(sent))
        _, facts = prove_notice(account, notice_id, at, await uow.desk())
        await uow.record(account, facts)
    return added, invoice_id


async def _rescinded(house: House, admin: httpx.AsyncClient) -> tuple[Added, int]:
    """The same, whose contract the ladder rescinds; the clock stands at that hour."""
    added, invoice_id = await _noticed(house, admin)
    await _at(house, CUT)
    await _at(house, RESCIND)
    return added, invoice_id


async def _told(admin: httpx.AsyncClient, contract_id: int) -> list[str]:
    url = f"/api/v1/contracts/{contract_id}/timeline?lang=en"
    return [item["sentence"] for item in (await admin.get(url)).json()["items"]]


async def test_a_debt_never_paid_ends_the_contract_and_goes_to_bureau_and_agency(
    house: House, admin: httpx.AsyncClient
) -> None:
    added, invoice_id = await _rescinded(house, admin)
    url = f"/api/v1/contracts/{added.contract_id}"
    access = (await admin.get(f"{url}/access")).json()
    assert (access["level"], access["step"]) == ("blocked", "rescind")
    decisions = [
        item["data"]
        for item in (await admin.get(f"{url}/timeline")).json()["items"]
        if item["kind"] == "access_decided"
    ]
    assert [(data["step"], data["amounts_cents"]) for data in decisions] == [
        ("walled", {str(invoice_id): 9990}),
        ("rescind", {str(invoice_id): 9990}),
    ]
    assert (await admin.get(url)).json()["ended_on"] is None, "today is the last day with a login"
    (said,) = (await admin.get("/api/v1/stages?stage=rescind&open=true")).json()["items"]
    assert (said["invoice_ids"], said["amounts_cents"]) == ([invoice_id], [9990])
    assert (said["counted_cents"], said["policy"]) == (9990, "anatel-765")
    assert said["notice_id"] is not None
    await rescinding.enact(house, "again", "schedule")  # nothing is told twice
    await _at(house, THE_DAY_AFTER)
    assert (await admin.get(url)).json()["ended_on"] == "2026-11-24"
    await _at(house, AGENCY)
    stages = (await admin.get(f"/api/v1/stages?contract_id={added.contract_id}")).json()["items"]
    assert [(item["stage"], item["entered_at"][:10]) for item in stages] == [
        ("rescind", "2026-11-23"),
        ("bureau", "2026-11-24"),
        ("agency", "2026-12-23"),
    ]
    page = (await admin.get("/api/v1/stages?limit=1")).json()
    assert len(page["items"]) == 1
    assert page["next"] is not None
    body = {"invoice_id": invoice_id, "amount_cents": 20000, "method": "cash", "reference": "x"}
    assert (await admin.post("/api/v1/payments", json=body)).status_code == 201
    stages = (await admin.get("/api/v1/stages?open=false")).json()["items"]
    assert [item["left_reason"] for item in stages] == ["no_debt"] * 3
    assert (await admin.get(url)).json()["ended_on"] == "2026-11-24", "a payment begins no contract"
    told = await _told(admin, added.contract_id)
    assert any(line.startswith("Contract rescinded for want of payment") for line in told)
    assert "ladder ended the contract; 2026-11-24 is the first day without service." in told
    assert "The debt of R$99.90 goes to the credit bureaus." in told
    assert any(line.startswith("The stage collection agency is over") for line in told)
    async with house.store.reading() as connection:
        assert await verify(house, connection) == []


async def test_the_final_invoice_gets_its_notice_which_threatens_no_line_and_then_counts(
    house: House, admin: httpx.AsyncClient
) -> None:
    """Rules 2, 4 and 14 (worked cases 14.6 and 14.7)."""
    added, invoice_id = await _rescinded(house, admin)
    body = {
        "contract_id": added.contract_id,
        "due_on": "2026-12-01",
        "lines": [{"description": "Fatura final", "amount_cents": 4990}],
    }
    final_id: int = (await admin.post("/api/v1/invoices", json=body)).json()["id"]
    await _at(house, THE_DAY_AFTER)
    async with house.store.reading() as connection:
        assert await review.next_due(connection) == FINAL_NOTICE
    await _at(house, FINAL_NOTICE)
    (notice,) = (await admin.get("/api/v1/notices?state=drawn")).json()["items"]
    assert notice["amounts_cents"] == {str(invoice_id): 9990, str(final_id): 4990}
    await Messenger(house).drain()
    (kept,) = (house.settings.data_dir / "mail").iterdir()
    parts = message_from_bytes(kept.read_bytes(), policy=default).get_body(("plain",))
    assert parts is not None
    said = " ".join(parts.get_content().split())
    assert f"O contrato {added.contract_id} terminou, e 24/11/2026 foi o primeiro dia" in said
    assert "poderá ser suspenso" not in said
    await _at(house, AGENCY)
    (agency,) = (await admin.get("/api/v1/stages?stage=agency")).json()["items"]
    assert (
        agency["invoice_ids"],
        agency["amounts_cents"],
    ) == ([invoice_id, final_id], [9990, 4990])
    async with house.store.reading() as connection:
        assert await verify(house, connection) == []


async def test_one_move_of_the_clock_stops_at_every_stage(
    house: House, admin: httpx.AsyncClient
) -> None:
    added, _ = await _noticed(house, admin)
    client = DynauthClient()
    try:
        mover = ClockMover(house, Enforcer(house, client))
        await mover.move(AGENCY + timedelta(days=9), "walk")
    finally:
        await client.close()
    stages = (await admin.get(f"/api/v1/stages?contract_id={added.contract_id}")).json()["items"]
    assert [(item["stage"], item["entered_at"][:16]) for item in stages] == [
        ("rescind", "2026-11-23T08:00"),
        ("bureau", "2026-11-24T00:00"),
        ("agency", "2026-12-23T00:00"),
    ]
    contract = (await admin.get(f"/api/v1/contracts/{added.contract_id}")).json()
    assert contract["ended_on"] == "2026-11-24"


@pytest.mark.parametrize(
    ("steps", "told_on"),
    [
        ([], None),
        ([{"level": "bureau", "anchor": "rescind", "after_days": 30}], "2026-12-23"),
    ],
)
async def test_bureaus_hear_of_it_from_the_ladders_own_step_on(
    house: House, admin: httpx.AsyncClient, steps: list[dict[str, object]], told_on: str | None
) -> None:
    added, _ = await _noticed(house, admin)
    walled = {"level": "walled", "anchor": "maturity", "after_days": 0}
    rescind = {"level": "rescind", "anchor": "walled", "after_days": 60}
    async with house.uow("test", "policy") as uow:
        document: dict[str, object] = {"steps": [walled, rescind, *steps]}
        await ensure_policies(uow.connection, {"own": document}, START)
        await uow.connection.execute(update(contracts).values(policy="own"))
        await listing_rows.write_rules(uow.connection, ListingRules(bureaus=("serasa",)))
    client = DynauthClient()
    try:
        await ClockMover(house, Enforcer(house, client)).move(AGENCY + timedelta(days=5), "walk")
    finally:
        await client.close()
    contract = (await admin.get(f"/api/v1/contracts/{added.contract_id}")).json()
    assert contract["ended_on"] == "2026-11-24"
    letters = (await admin.get("/api/v1/listing-letters")).json()["items"]
    assert [letter["drawn_at"][:10] for letter in letters] == ([told_on] if told_on else [])


async def test_a_debt_paid_on_the_day_of_rescission_takes_the_end_back(
    house: House, admin: httpx.AsyncClient
) -> None:
    added, invoice_id = await _rescinded(house, admin)
    url = f"/api/v1/contracts/{added.contract_id}"
    body = {"invoice_id": invoice_id, "amount_cents": 20000, "method": "cash", "reference": "x"}
    assert (await admin.post("/api/v1/payments", json=body)).status_code == 201
    assert (await admin.get(f"{url}/access")).json()["level"] == "full"
    await _at(house, THE_DAY_AFTER)
    assert (await admin.get(url)).json()["ended_on"] is None
    async with house.store.reading() as connection:
        assert await verify(house, connection) == []


async def test_a_hold_placed_after_the_rescission_keeps_the_contract_until_it_is_over(
    house: House, admin: httpx.AsyncClient
) -> None:
    added, _ = await _rescinded(house, admin)
    url = f"/api/v1/contracts/{added.contract_id}"
    body = {"expires_at": "2026-11-26T12:00:00", "reason": "customer in hospital"}
    assert (await admin.post(f"{url}/holds", json=body)).status_code == 201
    await _at(house, THE_DAY_AFTER)
    assert (await admin.get(url)).json()["ended_on"] is None
    await _at(house, THE_DAY_AFTER + timedelta(days=2, hours=12))
    assert (await admin.get(url)).json()["ended_on"] == "2026-11-26"
    (bureau,) = (await admin.get("/api/v1/stages?stage=bureau")).json()["items"]
    assert bureau["entered_at"][:10] == "2026-11-26"


async def test_a_rescission_that_nobody_enacted_that_day_ends_the_contract_at_once(
    house: House, admin: httpx.AsyncClient
) -> None:
    added, _ = await _rescinded(house, admin)
    await admin.delete(f"/api/v1/contracts/{added.contract_id}/termination")  # as if never told
    await _at(house, THE_DAY_AFTER + timedelta(days=3))
    ended = (await admin.get(f"/api/v1/contracts/{added.contract_id}")).json()["ended_on"]
    assert ended == "2026-11-27"


async def test_verify_finds_a_stage_that_the_ladder_would_not_have_entered(
    house: House, admin: httpx.AsyncClient
) -> None:
    await _rescinded(house, admin)
    async with house.uow("test", "forgery") as uow:
        rows = await uow.connection.execute(select(contract_stages))
        row = dict(rows.mappings().one())
        forged = row | {"id": row["id"] + 100, "stage": "bureau"}
        await uow.connection.execute(insert(contract_stages), forged)
    async with house.store.reading() as connection:
        (difference,) = await verify(house, connection)
    assert "judged again ('rescind', 9990" in difference


@pytest.mark.parametrize("keeps_its_calendar", [True, False])
async def test_a_stage_is_judged_again_by_the_holidays_of_its_contract(
    database_url: str, tmp_path: Path, *, keeps_its_calendar: bool
) -> None:
    # July 9 is a holiday in São Paulo and none in Minas Gerais: the contract is cut there that
    # day, and rescinded when a provider's own calendar would still have it walled.
    made = await make_house(database_url, tmp_path, now=datetime.fromisoformat("2026-06-01T10:00Z"))
    house = replace(made, load_calendar=cache(lambda: brazil(range(2025, 2032), "SP")))
    async with open_face(house) as face:
        admin = await face.client(name="chefe")
        proven = datetime.fromisoformat("2026-06-24T10:00:00-03:00")
        added, _ = await _noticed(house, admin, "2026-06-20", proven)
        address = {"city": "Belo Horizonte", "city_code": "3106200", "state": "MG"}
        url = f"/api/v1/subscribers/{added.subscriber_id}/address"
        assert (await admin.put(url, json=address)).status_code == 200
        while (due := await _next(house)) is not None and due.isoformat() < "2026-09-09":
            await _at(house, due)
        (stage,) = (await admin.get("/api/v1/stages?stage=rescind")).json()["items"]
    assert stage["entered_at"] == "2026-09-08T08:00:00-03:00"
    if not keeps_its_calendar:  # as stages were kept before
        async with house.uow("test", "old") as uow:
            await uow.connection.execute(
                text("update contract_stages set situation = situation - 'calendar'")
            )
    async with house.store.reading() as connection:
        assert await verify(house, connection) == []
    await house.store.close()


async def _next(house: House) -> datetime | None:
    async with house.store.reading() as connection:
        due = await review.next_due(connection)
    return due and due.astimezone(house.settings.zone)
