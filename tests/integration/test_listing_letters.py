"""Letters before a listing by several channels: proven as notices are, and the days count from it.

CDC art. 43 par. 2; ADR 0030 and 0032.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import insert, update

from api import kill_switch, listings
from api.house import House
from api.messenger import Messenger
from api.operators import Role
from api.rehearsal_clock import ClockMover
from api.store import listings as listing_rows
from api.store.credit_tables import listing_letters
from api.store.credit_tables import listings as listing_table
from api.store.customer_tables import contracts, subscribers
from api.store.guard_rows import Place
from api.store.outbox_tables import contact_preferences, deliveries
from api.store.policies import ensure_policies
from billing.listing import ListingRules
from tests.support.adapter import SECRET, Adapter, adapter, bounce, receipt_headers
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.debtors import audited, issue, move_clock, rows
from tests.support.http_face import Face, open_face
from tests.support.money import add_payment
from tests.support.smtp import Sink, smtp_sink

pytestmark = pytest.mark.anyio
# A Monday, noon local; the contract's first day without service.
NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
ENDED = date(2026, 11, 23)
ORDERS = {"order": ["email", "sms"], "text": ["sms"]}


@dataclass
class Scene:
    house: House
    face: Face
    client: httpx.AsyncClient
    sms: Adapter
    sink: Sink
    added: Added
    invoice_id: int

    async def look(self) -> listings.Looked:
        return await listings.look(self.house, "look", "test")

    async def drain(self) -> None:
        await Messenger(self.house).drain()

    async def follow(self, policy: str) -> None:
        async with self.house.uow("test", "policy") as uow:
            await uow.connection.execute(update(contracts).values(policy=policy))

    async def letter(self) -> Mapping[str, Any]:
        (row,) = await rows(self.house, listing_letters)
        return row

    async def external_id(self, channel: str) -> str:
        made = await rows(self.house, deliveries)
        (found,) = [str(row["external_id"]) for row in made if row["channel"] == channel]
        return found

    async def tell(self, state: str) -> None:
        said = {"id": await self.external_id("sms"), "state": state}
        body = json.dumps(said).encode()
        answer = await self.client.post(
            "/webhooks/messages/sms", content=body, headers=receipt_headers(body)
        )
        assert answer.json()["taken"] == 1

    async def bounce(self) -> None:
        answer = await self.client.post(
            "/webhooks/messages/email",
            content=bounce(await self.external_id("email")),
            headers={"Content-Type": "message/rfc822"},
        )
        assert answer.json()["taken"] == 1


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    async with adapter() as sms, smtp_sink() as sink:
        house = await make_house(
            database_url,
            tmp_path,
            now=NOW,
            smtp_url=SecretStr(sink.url),
            sms_url=sms.url,
            sms_secret=SecretStr(SECRET),
        )
        added = await add_contract(house, await add_plan(house))
        invoice_id = await issue(house, added.contract_id, date(2026, 9, 1))
        documents: dict[str, dict[str, object]] = {
            name: {"law": "none", "channels": channels} for name, channels in ORDERS.items()
        }
        async with house.uow("test", "seed") as uow:
            await ensure_policies(uow.connection, documents, NOW)
            await uow.connection.execute(update(contracts).values(ended_on=ENDED))
            await uow.connection.execute(update(subscribers).values(phone="11987654321"))
            await listing_rows.write_rules(uow.connection, ListingRules(bureaus=("serasa",)))
        async with open_face(house) as face:
            yield Scene(house, face, await face.client(None), sms, sink, added, invoice_id)
        await house.store.close()


async def test_a_letter_that_came_back_goes_by_the_next_channel_and_counts_from_its_receipt(
    scene: Scene,
) -> None:
    await scene.follow("order")
    # The law asks for this letter: neither an opt-out nor a preferred channel moves it.
    async with scene.house.uow("test", "no") as uow:
        await uow.connection.execute(
            insert(contact_preferences).values(
                subscriber_id=scene.added.subscriber_id, channels=["sms"], language="en",
                opted_out=["listing"], changed_at=NOW, author="ana",
            )
        )  # fmt: skip
    assert (await scene.look()).letters == 1
    await scene.drain()
    letter = await scene.letter()
    assert (letter["state"], letter["channel"], letter["proven_at"]) == ("proven", "email", NOW)
    assert "antes do registro" in str(scene.sink.received[0][1]["Subject"])
    await move_clock(scene.house, NOW + timedelta(hours=20))
    await scene.bounce()
    letter = await scene.letter()
    assert (letter["state"], letter["proven_at"]) == ("drawn", None)
    (told,) = await audited(scene.house, "listing.letter_unproven")
    assert told["subject"] == f"contract:{scene.added.contract_id}"
    assert "no such user" in told["data"]["reason"]
    # The next channel: accepted is no proof.
    await scene.drain()
    assert (await scene.letter())["state"] == "drawn"
    (said,) = scene.sms.delivered.values()
    assert "contract 1 was rescinded for lack of payment" in said["text"]
    assert "1 (R$ 99.90)" in said["text"]
    assert "recorded at Serasa Experian from 2026-12-04 on" in said["text"]
    proven_at = NOW + timedelta(hours=23)
    await move_clock(scene.house, proven_at)
    await scene.tell("delivered")
    letter = await scene.letter()
    assert (letter["state"], letter["channel"], letter["proven_at"]) == ("proven", "sms", proven_at)
    # Proven on the 24th by the receipt, so ten days are over on December 4th.
    await move_clock(scene.house, datetime(2026, 12, 3, 15, tzinfo=UTC))
    assert (await scene.look()).inclusions == 0
    await move_clock(scene.house, datetime(2026, 12, 4, 15, tzinfo=UTC))
    assert (await scene.look()).inclusions == 1
    finance = await scene.face.client(Role.FINANCE)
    shown = (await finance.get(f"/api/v1/listing-letters/{letter['id']}")).json()
    made = [(item["channel"], item["state"]) for item in shown["attempts_made"]]
    assert made == [("email", "bounced"), ("sms", "confirmed")]
    assert shown["content_sha256"] == shown["attempts_made"][1]["content_sha256"]
    assert (await finance.get("/api/v1/listing-letters/99")).status_code == 404
    story = await finance.get(f"/api/v1/contracts/{scene.added.contract_id}/timeline?lang=en")
    sentences = [item["sentence"] for item in story.json()["items"]]
    assert "Letter 1 of a listing to come delivered by sms." in sentences
    assert any(sentence.startswith("Letter 1 came back (5.1.1") for sentence in sentences)


async def test_a_part_paid_between_two_channels_is_what_the_letter_names(scene: Scene) -> None:
    await scene.follow("order")
    await scene.look()
    await scene.drain()
    await add_payment(scene.house, scene.added, 4000, "E1", scene.invoice_id)
    await scene.bounce()
    await scene.drain()
    await scene.tell("delivered")
    letter = await scene.letter()
    ((number, cents),) = letter["amounts_cents"].items()
    assert (number, letter["state"]) == (str(scene.invoice_id), "proven")
    assert cents < 9990
    await move_clock(scene.house, NOW + timedelta(days=10))
    assert (await scene.look()).inclusions == 1
    (record,) = await rows(scene.house, listing_table)
    assert record["cents"] == cents


async def test_paid_before_the_next_channel_nobody_is_told(scene: Scene) -> None:
    await scene.follow("order")
    await scene.look()
    await scene.drain()
    await add_payment(scene.house, scene.added, 20000, "E1", scene.invoice_id)
    await scene.bounce()
    await scene.drain()
    letter = await scene.letter()
    assert (letter["state"], letter["last_error"]) == (
        "failed",
        "nothing that it lists is owed any more",
    )
    assert scene.sms.asked == {}
    (told,) = await audited(scene.house, "listing.letter_failed")
    assert told["data"]["letter_id"] == letter["id"]


async def test_while_nobody_is_cut_a_letter_waits_and_is_not_lost(scene: Scene) -> None:
    await scene.follow("order")
    assert (await scene.look()).letters == 1
    async with scene.house.uow("ana", "switch") as uow:
        await kill_switch.put(uow, Place("global"), "pagamentos não chegaram")
    await scene.drain()
    letter = await scene.letter()
    assert (letter["state"], letter["last_error"]) == ("drawn", "nobody is cut now: kill_switch")
    assert letter["wait_until"] == NOW + timedelta(hours=1)
    async with scene.house.uow("ana", "lift") as uow:
        await kill_switch.lift(uow, Place("global"), "voltaram")
    await move_clock(scene.house, NOW + timedelta(hours=1))
    await scene.drain()
    assert (await scene.letter())["state"] == "proven"


class _Still:
    async def converge_all(self) -> None: ...


async def test_a_letter_rings_at_no_phone_at_night_and_the_clock_stops_for_it(scene: Scene) -> None:
    await scene.follow("text")
    await move_clock(scene.house, datetime(2026, 11, 29, 1, tzinfo=UTC))  # Saturday 22:00
    await scene.look()
    await scene.drain()
    assert scene.sms.asked == {}
    assert (await scene.letter())["last_error"].startswith("quiet_hours until 2026-11-30T08:00")
    mover = ClockMover(scene.house, _Still())  # type: ignore[arg-type]
    await mover.move(datetime(2026, 11, 30, 15, tzinfo=UTC), "move")
    made = await rows(scene.house, deliveries)
    (attempt,) = [row for row in made if row["letter_id"] is not None]
    assert attempt["started_at"] == datetime(2026, 11, 30, 11, tzinfo=UTC)
    # Its receipt never came: the channel's time is over, and the letter is drawn anew a week on.
    assert (await scene.letter())["state"] == "failed"
    await move_clock(scene.house, datetime(2026, 12, 8, 15, tzinfo=UTC))
    assert (await scene.look()).letters == 1
