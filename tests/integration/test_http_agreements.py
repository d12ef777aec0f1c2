"""Agreements, disputes, pauses and promises over HTTP, in rehearsal time."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from api import review
from api.house import House
from api.operators import Role
from api.store.access_tables import notices
from api.verify import verify
from billing.account import prove_notice
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.http_face import Face, open_face

pytestmark = pytest.mark.anyio

START = datetime.fromisoformat("2026-08-20T10:00:00-03:00")
Json = dict[str, Any]


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(database_url, tmp_path, now=START)
    yield made
    async with made.store.reading() as connection:
        assert await verify(made, connection) == []
    await made.store.close()


@pytest.fixture
async def face(house: House) -> AsyncIterator[Face]:
    async with open_face(house) as opened:
        yield opened


@pytest.fixture
async def added(house: House) -> Added:
    return await add_contract(house, await add_plan(house, "Fibra 100"))


class Desk:
    """A client at work on one contract, whose clock it moves."""

    def __init__(self, house: House, client: httpx.AsyncClient, added: Added) -> None:
        self.house, self.client, self.added = house, client, added

    async def post(self, path: str, body: Json | None = None, status: int = 201) -> Json:
        answer = await self.client.post(f"/api/v1{path}", json=body)
        assert answer.status_code == status, answer.text
        found: Json = answer.json()
        return found

    async def get(self, path: str) -> Json:
        answer = await self.client.get(f"/api/v1{path}")
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def refused(self, path: str, body: Json | None = None) -> str:
        return str((await self.post(path, body, 409))["detail"])

    async def move(self, to: str) -> None:
        """To an instant, looking at whoever is due at every instant on the way, as a mover does."""
        until = datetime.fromisoformat(f"{to}-03:00")
        while True:
            async with self.house.store.reading() as connection:
                due = await review.next_due(connection)
            if due is None or due > until:
                break
            await self._set(max(due, self.house.clock.now()))
            await review.run(self.house, None, "walk", "clock")
            await self._prove()
        await self._set(until)
        await review.run(self.house, None, "walk", "clock")

    async def _set(self, to: datetime) -> None:
        async with self.house.uow("test", "clock") as uow:
            await uow.move_clock(to)

    async def _prove(self) -> None:
        """Whatever notice was drawn is delivered at once."""
        async with self.house.uow("test", "proof") as uow:
            sent = {"channel": "email", "content_sha256": b"x" * 32}
            drawn = await uow.connection.scalars(
                update(notices)
                .where(notices.c.state == "drawn")
                .values(sent)
                .returning(notices.c.id)
            )
            for notice_id in drawn.all():
                account = await uow.account(self.added.subscriber_id)
                _, facts = prove_notice(account, notice_id, uow.clock.now(), await uow.desk())
                await uow.record(account, facts)

    async def invoice(self, due_on: str = "2026-09-01", cents: int = 99_90) -> int:
        body = {
            "contract_id": self.added.contract_id,
            "due_on": due_on,
            "lines": [{"description": "Internet", "amount_cents": cents, "kind": "scm"}],
        }
        number: int = (await self.post("/invoices", body))["id"]
        return number

    async def pay(self, invoice_id: int, cents: int) -> None:
        body = {
            "invoice_id": invoice_id,
            "amount_cents": cents,
            "method": "dinheiro",
            "reference": f"{invoice_id}-{cents}",
        }
        await self.post("/payments", body)

    async def access(self) -> tuple[str, str]:
        found = await self.get(f"/contracts/{self.added.contract_id}/access")
        return found["level"], found["reason"]

    async def owed(self, invoice_id: int) -> tuple[str, int]:
        found = await self.get(f"/invoices/{invoice_id}")
        return found["state"], found["amount_due_cents"]

    async def balances(self) -> dict[str, int]:
        found = await self.get("/ledger/balances")
        return {item["account"]: item["cents"] for item in found["items"] if item["cents"]}

    async def story(self) -> list[str]:
        found = await self.get(f"/contracts/{self.added.contract_id}/timeline?lang=en")
        return [item["sentence"] for item in found["items"]]


@pytest.fixture
async def desk(house: House, face: Face, added: Added) -> Desk:
    return Desk(house, await face.client(name="ana"), added)


def agreements(desk: Desk) -> str:
    return f"/contracts/{desk.added.contract_id}/agreements"


OFFER: Json = {"instalments": 2, "due_day": 10, "valid_until": "2026-10-25"}


async def walled(desk: Desk) -> int:
    """The ladder's worked example; the clock stands on 2026-10-20 at ten."""
    number = await desk.invoice()
    await desk.move("2026-10-20T10:00:00")
    assert await desk.access() == ("walled", "step_reached")
    return number


async def test_an_agreement_that_is_kept(desk: Desk) -> None:
    old = await walled(desk)
    shown = await desk.post(agreements(desk), OFFER | {"simulate": True}, 200)
    # 99.90, 49 days late: fine 2.00, interest 1.63.
    assert (shown["principal_cents"], shown["fine_cents"]) == (99_90, 2_00)
    assert (shown["late_interest_cents"], shown["total_cents"]) == (1_63, 103_53)
    assert (await desk.get("/agreements"))["items"] == []
    offered = await desk.post(agreements(desk), OFFER)
    assert offered["state"] == "offered"
    signed = await desk.post(f"/agreements/{offered['id']}/accept", None, 200)
    assert signed["state"] == "running"
    first, second = signed["parts"]
    assert (first["due_on"], first["amount_cents"]) == ("2026-11-10", 51_76)
    assert (second["due_on"], second["amount_cents"]) == ("2026-12-10", 51_77)
    assert await desk.owed(old) == ("renegotiated", 0)
    assert await desk.access() == ("full", "not_overdue")
    await desk.move("2026-11-10T09:00:00")
    await desk.pay(first["invoice_id"], 51_76)
    await desk.move("2026-12-10T09:00:00")
    await desk.pay(second["invoice_id"], 51_77)
    kept = await desk.get(f"/agreements/{offered['id']}")
    assert kept["state"] == "kept"
    assert [part["state"] for part in kept["parts"]] == ["paid", "paid"]
    assert await desk.balances() == {
        "cash:hand": 103_53,
        "revenue:fine": -2_00,
        "revenue:interest": -1_63,
        "revenue:scm": -99_90,
    }
    await desk.move("2027-02-01T09:00:00")
    assert await desk.access() == ("full", "no_debt")
    story = await desk.story()
    number = offered["id"]
    assert f"Agreement {number} signed, recorded by ana." in story
    assert f"Agreement {number} kept: every part is paid." in story


async def test_an_agreement_that_is_broken(desk: Desk) -> None:
    old = await walled(desk)
    number = (await desk.post(agreements(desk), OFFER))["id"]
    first, second = (await desk.post(f"/agreements/{number}/accept", None, 200))["parts"]
    await desk.move("2026-11-10T09:00:00")
    await desk.pay(first["invoice_id"], 51_76)
    await desk.move("2026-12-15T23:00:00")
    assert (await desk.get(f"/agreements/{number}"))["state"] == "running"
    await desk.move("2026-12-16T01:00:00")
    broken = await desk.get(f"/agreements/{number}")
    assert broken["state"] == "broken"
    assert [part["state"] for part in broken["parts"]] == ["void", "void"]
    # 51.76 of 11-10 paid 70 days of interest (2.33), the fine (2.00) and 47.43 of the principal;
    # since then 52.47 for 36 days: 0.63.
    assert await desk.owed(old) == ("open", 52_47 + 63)
    assert await desk.balances() == {
        "cash:hand": 51_76,
        "receivable": 52_47,
        "revenue:fine": -2_00,
        "revenue:interest": -2_33,
        "revenue:scm": -99_90,
    }
    assert await desk.access() == ("full", "awaiting_allowed_time")
    await desk.move("2026-12-16T08:00:00")
    assert await desk.access() == ("walled", "step_reached")
    assert (
        f"Agreement {number} broken: the old debt is back, less what was paid."
        in await desk.story()
    )
    await desk.pay(second["invoice_id"], 53_10)
    assert await desk.owed(old) == ("paid", 0)
    assert await desk.access() == ("full", "no_debt")


async def test_forgiven_principal_takes_two_persons(desk: Desk, face: Face) -> None:
    await walled(desk)
    asked = OFFER | {"instalments": 1, "charges_percent": 100, "principal_percent": 10}
    waiting = await desk.post(agreements(desk), asked)
    number = waiting["id"]
    assert (waiting["state"], waiting["total_cents"]) == ("awaiting_approval", 89_91)
    assert "second person" in await desk.refused(f"/agreements/{number}/accept")
    assert "somebody else" in await desk.refused(f"/agreements/{number}/approve")
    other = Desk(desk.house, await face.client(Role.FINANCE, "rui"), desk.added)
    approved = await other.post(f"/agreements/{number}/approve", None, 200)
    assert (approved["state"], approved["approved_by"]) == ("offered", "rui")
    assert "waits for no approval" in await other.refused(f"/agreements/{number}/approve")
    await desk.post(f"/agreements/{number}/accept", None, 200)
    assert "is accepted already" in await desk.refused(f"/agreements/{number}/accept")
    assert (await desk.balances())["forgiven"] == 9_99
    for state, count in (("running", 1), ("offered", 0)):
        assert len((await desk.get(f"/agreements?state={state}"))["items"]) == count


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"instalments": 0}, "instalments must be from 1 to 24, not 0"),
        ({"instalments": 1000}, "instalments must be from 1 to 24, not 1000"),
        ({"due_day": 32}, "due_day must be from 1 to 31"),
        ({"down_payment_cents": 200_00}, "leaves -9647 of the 10353 owed"),
        ({"charges_percent": 101}, "charges_percent must be from 0 to 100, not 101"),
        ({"principal_percent": 51}, "principal_percent must be from 0 to 50, not 51"),
        ({"valid_until": "2026-10-19"}, "an offer is valid until a day from 2026-10-20"),
        ({"invoice_ids": [999]}, "nothing is owed on invoice 999"),
    ],
)
async def test_what_is_not_offered(desk: Desk, changes: Json, says: str) -> None:
    await walled(desk)
    for simulate in (True, False):
        assert says in await desk.refused(
            agreements(desk), OFFER | changes | {"simulate": simulate}
        )
    assert (await desk.get("/agreements"))["items"] == []


async def test_paid_debt_has_no_agreement_and_an_offer_has_an_end(desk: Desk) -> None:
    old = await walled(desk)
    number = (await desk.post(agreements(desk), OFFER))["id"]
    await desk.move("2026-10-26T09:00:00")
    assert (await desk.get(f"/agreements/{number}"))["state"] == "expired"
    assert "no open agreement" in await desk.refused(f"/agreements/{number}/accept")
    await desk.pay(old, (await desk.owed(old))[1])
    later = OFFER | {"valid_until": "2026-10-30"}
    assert "nothing is owed on these invoices" in await desk.refused(agreements(desk), later)


async def test_a_dispute_that_is_rejected(desk: Desk) -> None:
    old = await walled(desk)
    opened = await desk.post(f"/invoices/{old}/disputes", {"reason": "não é meu"})
    assert (opened["state"], opened["days_left"], opened["sac_days_left"]) == ("open", 30, 7)
    assert await desk.owed(old) == ("disputed", 0)
    assert await desk.access() == ("full", "no_debt")
    assert (await desk.balances())["disputed"] == 99_90
    await desk.move("2026-11-03T10:00:00")
    assert (await desk.get("/disputes?state=open"))["items"][0]["days_left"] == 16
    near = {"outcome": "rejected", "answer": "é o plano", "due_on": "2026-11-07"}
    assert "5 days from now" in await desk.refused(f"/disputes/{opened['id']}/answer", near)
    said = {"outcome": "rejected", "answer": "é o plano"}
    await desk.post(f"/disputes/{opened['id']}/answer", said, 200)
    assert "is not open" in await desk.refused(f"/disputes/{opened['id']}/answer", said)
    # Due Sunday 11-08, so in time until Monday, overdue from Wed 11-11; the notice had matured.
    assert (await desk.get(f"/invoices/{old}"))["due_on"] == "2026-11-08"
    await desk.move("2026-11-10T23:00:00")
    assert (await desk.access())[0] == "full"
    await desk.move("2026-11-11T08:00:00")
    assert await desk.access() == ("walled", "step_reached")
    assert "was disputed and answered already" in await desk.refused(
        f"/invoices/{old}/disputes", {"reason": "de novo"}
    )


async def test_a_disputed_part_that_nobody_answers(desk: Desk) -> None:
    number = await desk.invoice()
    opened = await desk.post(
        f"/invoices/{number}/disputes", {"reason": "não contratei", "amount_cents": 30_00}
    )
    apart = opened["frozen_invoice_id"]
    assert await desk.owed(number) == ("open", 69_90)
    assert await desk.owed(apart) == ("disputed", 0)
    await desk.pay(number, 69_90)
    await desk.move("2026-09-19T23:00:00")
    assert (await desk.get(f"/disputes/{opened['id']}"))["state"] == "open"
    await desk.move("2026-09-20T01:00:00")
    found = await desk.get(f"/disputes/{opened['id']}")
    assert (found["state"], found["days_left"]) == ("unanswered", None)
    assert await desk.owed(apart) == ("paid", 0)
    assert await desk.balances() == {"cash:hand": 69_90, "revenue:scm": -69_90}
    assert (
        "Dispute {} was not answered in time: decided for the customer.".format(opened["id"])
        in await desk.story()
    )


async def test_a_paid_charge_that_was_undue(desk: Desk) -> None:
    number = await desk.invoice()
    await desk.move("2026-09-01T10:00:00")
    await desk.pay(number, 99_90)
    await desk.move("2026-09-10T10:00:00")
    body = {"reason": "não contratei", "amount_cents": 30_00}
    opened = await desk.post(f"/invoices/{number}/disputes", body)
    assert opened["frozen_cents"] == 0
    assert "answer that first" in await desk.refused(f"/invoices/{number}/disputes", body)
    await desk.move("2026-09-16T10:00:00")
    said = {"outcome": "accepted", "answer": "cobrado por engano"}
    answered = await desk.post(f"/disputes/{opened['id']}/answer", said, 200)
    # Double of 30.00, and 15 days on 60.00: 0.30.
    assert answered["compensation_cents"] == 30_30
    assert await desk.balances() == {
        "cash:hand": 99_90,
        "compensation": 30_30,
        "credit": -60_30,
        "revenue:scm": -69_90,
    }
    too_much = {"reason": "tudo", "amount_cents": 70_00}
    assert "is of 1 to 6990 cents" in await desk.refused(f"/invoices/{number}/disputes", too_much)
    await desk.move("2029-09-02T10:00:00")
    assert "for 3 years" in await desk.refused(f"/invoices/{number}/disputes", {"reason": "tudo"})


def pauses(desk: Desk) -> str:
    return f"/contracts/{desk.added.contract_id}/pauses"


async def test_a_pause_over_a_month(desk: Desk) -> None:
    body = {"from_on": "2026-08-21", "until_on": "2026-09-19"}
    taken = await desk.post(pauses(desk), body)
    assert taken["state"] == "planned"
    await desk.move("2026-08-21T00:00:00")
    assert await desk.access() == ("blocked", "paused")
    assert (await desk.get(f"/pauses/{taken['id']}"))["state"] == "running"
    await desk.move("2026-09-19T23:59:00")
    assert await desk.access() == ("blocked", "paused")
    await desk.move("2026-09-20T00:00:00")
    assert await desk.access() == ("full", "no_debt")
    again = {"from_on": "2026-10-01", "until_on": "2026-11-30"}
    assert "again from 2027-08-21" in await desk.refused(pauses(desk), again)
    assert [item["state"] for item in (await desk.get("/pauses"))["items"]] == ["over"]


async def test_the_customer_ends_a_pause(desk: Desk) -> None:
    taken = await desk.post(pauses(desk), {"from_on": "2026-08-20", "until_on": "2026-09-30"})
    assert await desk.access() == ("blocked", "paused")
    await desk.move("2026-08-30T15:00:00")
    ended = await desk.post(f"/pauses/{taken['id']}/end", None, 200)
    assert ended["state"] == "ended"
    assert await desk.access() == ("full", "no_debt")
    assert "is over since" in await desk.refused(f"/pauses/{taken['id']}/end")
    assert "The customer ended the suspension." in await desk.story()


@pytest.mark.parametrize(
    ("until_on", "says"),
    [("2026-09-18", "from 30 to 120 days, not 29"), ("2026-12-19", "from 30 to 120 days, not 121")],
)
async def test_how_long_a_pause_is(desk: Desk, until_on: str, says: str) -> None:
    body = {"from_on": "2026-08-21", "until_on": until_on}
    assert says in await desk.refused(pauses(desk), body)


async def test_a_debtor_does_not_pause(desk: Desk) -> None:
    number = await desk.invoice()
    await desk.move("2026-09-02T10:00:00")
    body = {"from_on": "2026-09-10", "until_on": "2026-10-20"}
    assert f"has overdue invoices ({number})" in await desk.refused(pauses(desk), body)


async def test_promises_are_listed_with_how_they_ended(desk: Desk) -> None:
    await walled(desk)
    path = f"/contracts/{desk.added.contract_id}/promises"
    await desk.post(path, {"until_on": "2026-10-22", "author_kind": "customer"})
    (running,) = (await desk.get("/promises?state=running"))["items"]
    assert (running["author_kind"], running["author"]) == ("customer", "ana")
    await desk.move("2026-10-23T00:00:00")
    (broken,) = (await desk.get("/promises?state=broken"))["items"]
    assert broken["settled_at"] == "2026-10-23T00:00:00-03:00"
    assert "The promise to pay by 2026-10-22 was broken." in await desk.story()


async def end(desk: Desk) -> Json:
    path = f"/contracts/{desk.added.contract_id}/termination"
    return await desk.post(path, {"why": "customer"})


async def test_the_last_invoice_of_an_ended_contract_is_paid(desk: Desk) -> None:
    await desk.move("2026-09-05T10:00:00")
    number = (await end(desk))["invoice_id"]
    # 20 August to 4 September: 16 of the 31 days from 10 August.
    assert await desk.owed(number) == ("open", 51_56)
    assert (await desk.get(f"/contracts/{desk.added.contract_id}"))["ended_on"] == "2026-09-05"
    await desk.pay(number, 51_56)
    assert await desk.owed(number) == ("paid", 0)


@pytest.mark.parametrize("kept", [True, False])
async def test_the_debt_of_an_ended_contract_is_renegotiated(desk: Desk, kept: bool) -> None:
    old = await walled(desk)
    await end(desk)
    number = (await desk.post(agreements(desk), OFFER | {"invoice_ids": [old]}))["id"]
    first, second = (await desk.post(f"/agreements/{number}/accept", None, 200))["parts"]
    await desk.move("2026-11-10T09:00:00")
    await desk.pay(first["invoice_id"], first["amount_cents"])
    if kept:
        await desk.pay(second["invoice_id"], second["amount_cents"])
    await desk.move("2026-12-16T00:00:00")
    found = await desk.get(f"/agreements/{number}")
    assert found["state"] == ("kept" if kept else "broken")
    # 99.90 with 2.00 and 2.33 for 70 days, less 51.76: 52.47, and 0.63 for 36 days more.
    assert (await desk.owed(old))[0] == ("renegotiated" if kept else "open")
    if not kept:
        assert await desk.owed(old) == ("open", 53_10)


async def test_an_agreement_outlives_its_contract(desk: Desk) -> None:
    await walled(desk)
    signed, open_offer = [(await desk.post(agreements(desk), OFFER))["id"] for _ in range(2)]
    await desk.post(f"/agreements/{signed}/accept", None, 200)
    await end(desk)
    await desk.move("2026-12-01T09:00:00")
    states = {i["id"]: i["state"] for i in (await desk.get("/agreements"))["items"]}
    assert states == {signed: "broken", open_offer: "expired"}
    # Nothing is left to look for but what the old debt goes on to: walled again on 11-16, and 60
    # days later, Friday 01-15, the next step.
    async with desk.house.store.reading() as connection:
        due = await review.next_due(connection)
    assert due == datetime.fromisoformat("2027-01-18T08:00:00-03:00")


async def test_the_network_desk_ends_a_contract_and_is_not_told_what_that_costs(
    desk: Desk, face: Face
) -> None:
    noc = await face.client(Role.NOC)
    path = f"/api/v1/contracts/{desk.added.contract_id}/termination"
    answer = await noc.post(path, json={"why": "customer"})
    assert (answer.status_code, answer.json()["penalty_cents"]) == (201, None)
