"""Messages out: enqueued once, wanted, capped, by the channel that the person prefers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import update

from api.house import House
from api.messenger import Messenger
from api.notice_text import Wording
from api.operators import Role
from api.rehearsal_clock import ClockMover
from api.store.customer_tables import subscribers
from api.store.outbox import enqueue
from api.store.outbox_tables import deliveries, messages
from tests.support.adapter import SECRET, Adapter, adapter
from tests.support.database import add_contract, add_plan, make_house
from tests.support.debtors import audited, move_clock, rows
from tests.support.http_face import Face, open_face
from tests.support.smtp import Sink, smtp_sink

pytestmark = pytest.mark.anyio
# A Friday, 09:00 local.
NOW = datetime(2026, 9, 4, 12, tzinfo=UTC)
WORDING = Wording("Lembrete", "Sua fatura vence em 3 dias.", "<p>Sua fatura</p>", "Vence em 3 dias")


@dataclass
class Scene:
    house: House
    face: Face
    subscriber_id: int
    sms: Adapter
    whatsapp: Adapter
    sink: Sink

    async def enqueue(
        self,
        reference: str = "invoice:1",
        kind: str = "reminder",
        wanted_at: datetime = NOW,
        channels: Sequence[str] | None = None,
        useful_until: datetime | None = None,
    ) -> int | None:
        async with self.house.uow("test", "enqueue") as uow:
            return await enqueue(
                uow.connection,
                subscriber_id=self.subscriber_id,
                kind=kind,
                reference=reference,
                language="pt-BR",
                wording=WORDING,
                wanted_at=wanted_at,
                channels=channels,
                useful_until=useful_until,
            )

    async def drain(self) -> None:
        await Messenger(self.house).drain()

    async def states(self) -> list[str]:
        return [row["state"] for row in await rows(self.house, messages)]

    async def prefer(self, **body: Any) -> dict[str, Any]:
        client = await self.face.client()
        url = f"/api/v1/subscribers/{self.subscriber_id}/contact"
        answer = await client.put(url, json=body)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        assert (await client.get(url)).json() == told
        return told

    async def move(self, to: datetime) -> None:
        await ClockMover(self.house, _Still()).move(to, "move")  # type: ignore[arg-type]


class _Still:
    async def converge_all(self) -> None: ...


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    async with adapter() as sms, adapter() as whatsapp, smtp_sink() as sink:
        secret = SecretStr(SECRET)
        house = await make_house(
            database_url, tmp_path, now=NOW, billing="off", smtp_url=SecretStr(sink.url),
            sms_url=sms.url, sms_secret=secret, whatsapp_url=whatsapp.url, whatsapp_secret=secret,
        )  # fmt: skip
        added = await add_contract(house, await add_plan(house))
        async with house.uow("test", "phone") as uow:
            await uow.connection.execute(update(subscribers).values(phone="11987654321"))
        async with open_face(house) as face:
            yield Scene(house, face, added.subscriber_id, sms, whatsapp, sink)
        await house.store.close()


async def test_it_is_enqueued_once_and_goes_out_once(scene: Scene) -> None:
    number = await scene.enqueue()
    assert number is not None
    assert await scene.enqueue() is None
    assert await scene.enqueue(kind="receipt") is not None, "another kind is another message"
    await asyncio.gather(*(Messenger(scene.house).drain() for _ in range(3)))
    assert await scene.states() == ["proven", "proven"]
    assert len(scene.sink.received) == 2
    assert scene.sink.received[0][1]["Message-ID"].startswith("<message-")


async def test_it_waits_for_its_instant_and_is_useless_after_another(scene: Scene) -> None:
    later = NOW + timedelta(hours=3)
    await scene.enqueue(wanted_at=later)
    await scene.enqueue("late", wanted_at=NOW - timedelta(days=2), useful_until=NOW)
    await scene.drain()
    assert await scene.states() == ["queued", "failed"]
    assert (await rows(scene.house, messages))[1]["last_error"].startswith("its time was over")
    await scene.move(later)
    assert await scene.states() == ["proven", "failed"]
    assert (await rows(scene.house, messages))[0]["proven_at"] == later


async def test_a_person_is_reached_as_they_prefer(scene: Scene) -> None:
    """WhatsApp asks for consent; what has none goes by the next one."""
    await scene.prefer(channels=["whatsapp", "sms"])
    await scene.enqueue("1")
    await scene.drain()
    told = await scene.prefer(
        channels=["whatsapp"],
        consents=[{"channel": "whatsapp", "given": True, "source": "contrato"}],
    )
    assert told["consents"][0] | {"author": ""} == {
        "channel": "whatsapp", "given": True, "at": "2026-09-04T09:00:00-03:00",
        "source": "contrato", "author": "",
    }  # fmt: skip
    await scene.enqueue("2")
    await scene.drain()
    await scene.prefer(consents=[{"channel": "whatsapp", "given": False, "source": "ligação"}])
    await scene.enqueue("3", channels=["whatsapp"])
    await scene.drain()
    assert [row["channel"] for row in await rows(scene.house, deliveries)] == ["sms", "whatsapp"]
    assert [said["text"] for said in scene.whatsapp.delivered.values()] == ["Vence em 3 dias"]
    assert (await rows(scene.house, messages))[2]["last_error"].startswith("the person consented")


async def test_what_is_not_wanted_is_not_sent(scene: Scene) -> None:
    await scene.prefer(opted_out=["survey"])
    await scene.enqueue(kind="survey")
    await scene.enqueue(kind="reminder")
    await scene.drain()
    assert await scene.states() == ["failed", "proven"]
    (failed,) = await audited(scene.house, "message.failed")
    assert failed["data"]["reason"] == "the person does not want messages of kind survey"


async def test_the_cap_holds_however_many_send_at_once(scene: Scene) -> None:
    for number in range(9):
        await scene.enqueue(str(number), kind=("reminder", "survey", "other")[number % 3])
    await asyncio.gather(*(Messenger(scene.house).drain() for _ in range(3)))
    assert len(scene.sink.received) == 3
    await scene.move(NOW + timedelta(days=10))
    assert await scene.states() == ["proven"] * 9
    days = [row["started_at"].date().isoformat() for row in await rows(scene.house, deliveries)]
    # Nothing on Sunday, 09-06.
    assert sorted(days) == ["2026-09-04"] * 3 + ["2026-09-05"] * 3 + ["2026-09-07"] * 3


async def test_a_message_that_bounces_goes_by_the_next_channel(scene: Scene) -> None:
    from tests.support.adapter import bounce

    await scene.enqueue()
    await scene.drain()
    (sent,) = await rows(scene.house, deliveries)
    client = await scene.face.client(None)
    await client.post(
        "/webhooks/messages/email", content=bounce(sent["external_id"]),
        headers={"Content-Type": "message/rfc822"},
    )  # fmt: skip
    await scene.drain()
    assert await scene.states() == ["queued"]
    assert len(scene.sms.delivered) == 1


async def test_messages_are_listed_with_their_proof_and_without_their_text(scene: Scene) -> None:
    await scene.enqueue("1")
    await scene.enqueue("2", channels=["sms"])
    await scene.drain()
    client = await scene.face.client(Role.FINANCE)
    answer = await client.get("/api/v1/messages", params={"subscriber_id": scene.subscriber_id})
    first, second = answer.json()["items"]
    assert (first["state"], first["channel"]) == ("proven", "email")
    assert len(first["content_sha256"]) == 64
    assert (second["state"], second["channel"]) == ("queued", None)
    told = (await client.get(f"/api/v1/messages/{second['id']}")).json()
    (attempt,) = told["attempts_made"]
    assert (attempt["channel"], attempt["state"]) == ("sms", "accepted")
    assert attempt["provider_id"] == f"p-{attempt['external_id']}"
    for shown in (answer.text, str(told)):
        assert "vence" not in shown.lower()
    for wanted, found in (
        ({"state": "queued"}, [second["id"]]),
        ({"kind": "survey"}, []),
        ({"limit": 1}, [first["id"]]),
    ):
        page = (await client.get("/api/v1/messages", params=wanted)).json()
        assert [item["id"] for item in page["items"]] == found
    assert (await client.get("/api/v1/messages/999")).status_code == 404
    assert (await (await scene.face.client(Role.NOC)).get("/api/v1/messages")).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"channels": ["pigeon"]},
        {"channels": ["sms", "sms"]},
        {"opted_out": ["notice"]},
        {"language": "fr"},
        {"consents": [{"channel": "sms", "given": True, "source": ""}]},
        {"consents": [{"channel": "sms", "given": True}]},
        {"surprise": 1},
    ],
)
async def test_preferences_that_cannot_be_meant_are_refused(
    scene: Scene, body: dict[str, Any]
) -> None:
    client = await scene.face.client()
    url = f"/api/v1/subscribers/{scene.subscriber_id}/contact"
    assert (await client.put(url, json=body)).status_code == 422
    assert (await client.get(url)).json() == {
        "channels": [], "language": None, "opted_out": [], "consents": [],
    }  # fmt: skip
    assert (await client.put("/api/v1/subscribers/999/contact", json={})).status_code == 404


async def test_the_clock_stops_at_what_waits(scene: Scene) -> None:
    """Saturday night: the survey goes out on Monday at eight, the receipt at once by e-mail."""
    night = datetime(2026, 9, 6, 1, tzinfo=UTC)
    await move_clock(scene.house, night)
    await scene.enqueue(kind="survey", wanted_at=night)
    await scene.enqueue(kind="receipt", wanted_at=night)
    await scene.drain()
    assert await scene.states() == ["queued", "proven"]
    await scene.move(datetime(2026, 9, 8, 12, tzinfo=UTC))
    assert (await rows(scene.house, messages))[0]["proven_at"] == datetime(
        2026, 9, 7, 11, tzinfo=UTC
    )
