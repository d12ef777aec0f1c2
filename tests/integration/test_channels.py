"""Notices by several channels: tried in order, proven by receipts, undone by bounces."""

import itertools
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, insert, update

from api import review
from api.channels import http
from api.explain import timeline
from api.house import House
from api.messenger import Messenger
from api.operators import Role
from api.rehearsal_clock import ClockMover
from api.store.access_tables import notices
from api.store.customer_tables import contracts, subscribers
from api.store.outbox_tables import consents, contact_preferences, deliveries
from api.store.policies import ensure_policies
from api.verify import verify
from tests.support.adapter import SECRET, Adapter, adapter, bounce, receipt_headers
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.debtors import audited, issue, move_clock, rows
from tests.support.http_face import Face, open_face
from tests.support.smtp import Sink, smtp_sink

pytestmark = pytest.mark.anyio
DUE_ON = date(2026, 9, 1)
# A Friday, 09:00 local.
NOTICE_AT = datetime(2026, 9, 4, 12, tzinfo=UTC)
ORDERS = {"order": ["email", "sms", "whatsapp"], "phone": ["sms", "email"], "text": ["sms"]}


@dataclass
class Scene:
    house: House
    face: Face
    client: httpx.AsyncClient
    sms: Adapter
    added: list[Added] = field(default_factory=list)

    async def staff(self) -> httpx.AsyncClient:
        return await self.face.client(Role.FINANCE)

    async def owe(self, policy: str, phone: str | None = "11987654321") -> Added:
        added = await add_contract(self.house, await add_plan(self.house), policy=policy)
        async with self.house.uow("test", "phone") as uow:
            await uow.connection.execute(
                update(subscribers)
                .where(subscribers.c.id == added.subscriber_id)
                .values(phone=phone)
            )
        await issue(self.house, added.contract_id, DUE_ON)
        self.added.append(added)
        return added

    async def draw(self) -> None:
        run = await review.run(self.house, None, "draw", "test")
        assert (run.notices, run.failed) == (len(self.added), ())

    async def drain(self) -> None:
        await Messenger(self.house).drain()

    async def make_due(self) -> None:
        async with self.house.uow("test", "due") as uow:
            await uow.connection.execute(
                update(notices).values(next_attempt_wall=func.clock_timestamp())
            )

    async def notice(self) -> Mapping[str, Any]:
        return (await rows(self.house, notices))[-1]

    async def attempts(self) -> list[tuple[str, str]]:
        return [(row["channel"], row["state"]) for row in await rows(self.house, deliveries)]

    async def tell(self, state: str, **more: object) -> httpx.Response:
        (row,) = [r for r in await rows(self.house, deliveries) if r["channel"] == "sms"]
        body = json.dumps({"id": row["external_id"], "state": state} | more).encode()
        return await self.client.post(
            "/webhooks/messages/sms", content=body, headers=receipt_headers(body)
        )

    async def bounce(self, **how: str) -> httpx.Response:
        (row,) = [r for r in await rows(self.house, deliveries) if r["channel"] == "email"]
        return await self.client.post(
            "/webhooks/messages/email",
            content=bounce(row["external_id"], **how),
            headers={"Content-Type": "message/rfc822"},
        )


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with smtp_sink() as sink:
        yield sink


@pytest.fixture
async def scene(database_url: str, tmp_path: Path, sink: Sink) -> AsyncIterator[Scene]:
    async with adapter() as sms:
        house = await make_house(
            database_url,
            tmp_path,
            now=NOTICE_AT,
            smtp_url=SecretStr(sink.url),
            sms_url=sms.url,
            sms_secret=SecretStr(SECRET),
        )
        quick = {"law": "none", "notice_days": 0, "cut_any_day": True}
        documents: dict[str, dict[str, object]] = {
            name: quick | {"channels": channels} for name, channels in ORDERS.items()
        }
        async with house.uow("test", "policies") as uow:
            await ensure_policies(uow.connection, documents, NOTICE_AT)
        async with open_face(house) as face:
            yield Scene(house, face, await face.client(None), sms)
        await house.store.close()


async def test_what_email_proves_is_no_proof_once_it_comes_back(scene: Scene) -> None:
    """Rule 2, and the line that it had cut is restored at once."""
    await scene.owe("order")
    await scene.draw()
    await scene.drain()
    assert (await scene.notice())["channel"] == "email"
    await review.run(scene.house, None, "cut", "test")
    assert (await rows(scene.house, contracts))[0]["level"] == "walled"
    answer = await scene.bounce()
    assert answer.json() == {"taken": 1, "repeated": 0, "unknown": 0}
    notice = await scene.notice()
    assert (notice["state"], notice["proven_at"]) == ("drawn", None)
    (contract,) = await rows(scene.house, contracts)
    assert (contract["level"], contract["reason"]) == ("full", "awaiting_notice")
    (told,) = await audited(scene.house, "notice.unproven")
    assert told["data"]["reason"] == "5.1.1 550 5.1.1 no such user here"
    assert (await scene.bounce()).json()["repeated"] == 1
    # The next channel of the policy, and its own proof.
    await scene.drain()
    assert await scene.attempts() == [("email", "bounced"), ("sms", "accepted")]
    assert (await scene.notice())["state"] == "drawn", "accepted is not delivered"
    assert (await scene.tell("delivered")).json()["taken"] == 1
    notice = await scene.notice()
    assert (notice["state"], notice["channel"]) == ("proven", "sms")
    assert notice["address"] == "+5511987654321"
    assert notice["content_sha256"] is not None
    async with scene.house.uow("test", "timeline") as uow:
        facts = await timeline(scene.house, uow.connection, 1, "en")
    said = {item.kind: item.sentence for item in facts if item.kind.startswith("notice_")}
    assert set(said) == {"notice_drawn", "notice_bounced", "notice_proven"}
    assert said["notice_bounced"] == (
        "Notice 1 came back by email: 5.1.1 550 5.1.1 no such user here;"
        " it counts as delivered no more."
    )
    finance = await (await scene.staff()).get("/api/v1/notices/1")
    shown = [(made["channel"], made["state"]) for made in finance.json()["attempts_made"]]
    assert shown == [("email", "bounced"), ("sms", "confirmed")]
    (receipt,) = finance.json()["attempts_made"][1]["receipts"]
    assert receipt["state"] == "delivered"


async def test_a_bounce_leaves_the_proof_of_another_channel_with_its_own_day(
    scene: Scene,
) -> None:
    await scene.owe("phone")
    await scene.draw()
    await scene.drain()
    await move_clock(scene.house, NOTICE_AT + timedelta(hours=4))
    await scene.drain()
    late = NOTICE_AT + timedelta(hours=6)
    await move_clock(scene.house, late)
    await scene.tell("delivered")
    assert (await scene.notice())["channel"] == "email"
    await move_clock(scene.house, late + timedelta(hours=1))
    await scene.bounce()
    notice = await scene.notice()
    assert (notice["state"], notice["channel"]) == ("proven", "sms")
    assert notice["proven_at"] == late


@pytest.mark.parametrize(("hours", "state"), [(24, "drawn"), (24.1, "proven")])
async def test_a_bounce_counts_for_24_hours(scene: Scene, hours: float, state: str) -> None:
    await scene.owe("order")
    await scene.draw()
    await scene.drain()
    await move_clock(scene.house, NOTICE_AT + timedelta(hours=hours))
    await scene.bounce()
    assert (await scene.notice())["state"] == state
    assert len(await audited(scene.house, "notice.bounced_late")) == (state == "proven")


async def test_a_delay_told_by_a_server_is_no_bounce(scene: Scene) -> None:
    await scene.owe("order")
    await scene.draw()
    await scene.drain()
    assert (await scene.bounce(action="delayed")).json()["taken"] == 0
    assert (await scene.notice())["state"] == "proven"


async def test_a_bounce_after_payment_undoes_the_proof_and_sends_nothing(scene: Scene) -> None:
    from api.cashier import post_payment

    await scene.owe("order")
    await scene.draw()
    await scene.drain()
    async with scene.house.uow("ana", "hand") as uow:
        await post_payment(
            scene.house, uow, provider="hand", external_id="r-1", amount_cents=20000,
            method="cash", reference="r-1", paid_at=NOTICE_AT, invoice_id=1,
        )  # fmt: skip
    await scene.bounce()
    assert (await scene.notice())["state"] == "failed"
    await scene.drain()
    assert scene.sms.delivered == {}


@pytest.mark.parametrize(
    "told", [*itertools.permutations(["sent", "delivered", "read"]), ("failed", "delivered")]
)
async def test_receipts_in_any_order_prove_it_once(scene: Scene, told: tuple[str, ...]) -> None:
    await scene.owe("text")
    await scene.draw()
    await scene.drain()
    for state in told:
        assert (await scene.tell(state)).json()["taken"] == 1
        assert (await scene.tell(state)).json()["repeated"] == 1
    assert (await scene.notice())["state"] == "proven"
    assert len(await audited(scene.house, "notice.proven")) == 1
    await scene.drain()
    assert sum(scene.sms.asked.values()) == 1


async def test_failed_after_delivered_changes_nothing(scene: Scene) -> None:
    await scene.owe("phone")
    await scene.draw()
    await scene.drain()
    await scene.tell("delivered")
    await scene.tell("failed")
    await scene.drain()
    assert await scene.attempts() == [("sms", "confirmed")]


@pytest.mark.parametrize("fault", ["lost", "late", "503", "no_id", "429"])
async def test_an_adapter_is_asked_again_under_the_same_id(
    scene: Scene, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.sms.faults.append(fault)
    await scene.owe("text")
    await scene.draw()
    with monkeypatch.context() as patience:
        if fault == "late":
            patience.setattr(http, "TIMEOUT_S", 1.5)
        before = datetime.now(UTC)
        await scene.drain()
        after = datetime.now(UTC)
    notice = await scene.notice()
    assert notice["state"] == "drawn"
    assert await scene.attempts() == [("sms", "sending")]
    assert before <= notice["next_attempt_wall"] - timedelta(seconds=10) <= after
    # It would be worded differently now: an adapter that did the thing must see the same again.
    async with scene.house.uow("test", "name") as uow:
        await uow.connection.execute(update(subscribers).values(name="Outro nome"))
    await scene.make_due()
    await scene.drain()
    assert await scene.attempts() == [("sms", "accepted")]
    (asked,) = scene.sms.asked.values()
    assert (asked, len(scene.sms.delivered), scene.sms.wrong) == (2, 1, [])


async def test_a_receipt_that_overtakes_the_answer_proves_it(scene: Scene) -> None:
    scene.sms.faults.append("lost")
    await scene.owe("text")
    await scene.draw()
    await scene.drain()
    await scene.tell("delivered")
    assert (await scene.notice())["state"] == "proven"
    await scene.make_due()
    await scene.drain()
    assert sum(scene.sms.asked.values()) == 1


async def test_a_refusal_goes_on_to_the_next_channel(scene: Scene, sink: Sink) -> None:
    scene.sms.faults.append("422")
    await scene.owe("phone")
    await scene.draw()
    await scene.drain()
    assert await scene.attempts() == [("sms", "refused"), ("email", "confirmed")]
    assert (await scene.notice())["channel"] == "email"
    assert len(sink.received) == 1


async def test_without_a_receipt_in_its_time_the_next_channel_is_tried(
    scene: Scene, sink: Sink
) -> None:
    await scene.owe("phone")
    await scene.draw()
    await scene.drain()
    assert await scene.attempts() == [("sms", "accepted")]
    await move_clock(scene.house, NOTICE_AT + timedelta(hours=3.9))
    await scene.drain()
    assert len(await scene.attempts()) == 1
    await move_clock(scene.house, NOTICE_AT + timedelta(hours=4))
    await scene.drain()
    assert await scene.attempts() == [("sms", "unconfirmed"), ("email", "confirmed")]
    # The receipt that comes at last changes no date: the first proof stands.
    await scene.tell("delivered")
    assert (await scene.notice())["channel"] == "email"
    assert len(await audited(scene.house, "notice.proven")) == 1


async def test_a_receipt_after_all_was_given_up_proves_it_from_then_on(scene: Scene) -> None:
    await scene.owe("text")
    await scene.draw()
    await scene.drain()
    await move_clock(scene.house, NOTICE_AT + timedelta(hours=4))
    await scene.drain()
    assert (await scene.notice())["state"] == "failed"
    late = NOTICE_AT + timedelta(hours=30)
    await move_clock(scene.house, late)
    assert (await scene.tell("delivered")).json()["taken"] == 1
    notice = await scene.notice()
    assert (notice["state"], notice["proven_at"], notice["failed_at"]) == ("proven", late, None)
    assert (notice["channel"], notice["address"]) == ("sms", "+5511987654321")
    # None is drawn beside it, and the ladder counts it.
    await review.run(scene.house, None, "cut", "test")
    assert len(await rows(scene.house, notices)) == 1
    assert (await rows(scene.house, contracts))[0]["level"] == "walled"
    async with scene.house.store.reading() as connection:
        assert await verify(scene.house, connection) == []


async def test_a_receipt_of_what_was_paid_meanwhile_proves_nothing(scene: Scene) -> None:
    from api.cashier import post_payment

    await scene.owe("text")
    await scene.draw()
    await scene.drain()
    await move_clock(scene.house, NOTICE_AT + timedelta(hours=4))
    await scene.drain()
    async with scene.house.uow("ana", "hand") as uow:
        await post_payment(
            scene.house, uow, provider="hand", external_id="r-1", amount_cents=20000,
            method="cash", reference="r-1", paid_at=NOTICE_AT, invoice_id=1,
        )  # fmt: skip
    await scene.tell("delivered")
    assert (await scene.notice())["state"] == "failed"


async def test_an_address_that_came_back_is_tried_after_the_others(scene: Scene) -> None:
    added = await scene.owe("order")
    await scene.draw()
    await scene.drain()
    await scene.bounce()
    await scene.drain()
    await scene.tell("delivered")
    assert await scene.attempts() == [("email", "bounced"), ("sms", "confirmed")]
    # The next debt's notice, ten days later.
    await issue(scene.house, added.contract_id, date(2026, 9, 10))
    await move_clock(scene.house, NOTICE_AT + timedelta(days=11))
    await review.run(scene.house, None, "draw", "test")
    await scene.drain()
    assert (await scene.attempts())[2:] == [("sms", "accepted")]


async def test_every_channel_in_vain_is_a_failure_that_says_why(scene: Scene, sink: Sink) -> None:
    scene.sms.faults.append("422")
    sink.answer |= {"fora@example.invalid": "550 no such mailbox"}
    await scene.owe("order")
    async with scene.house.uow("test", "mail") as uow:
        await uow.connection.execute(update(subscribers).values(email="fora@example.invalid"))
    await scene.draw()
    await scene.drain()
    notice = await scene.notice()
    assert notice["state"] == "failed"
    assert notice["last_error"] == (
        'email: 550 no such mailbox; sms: 422 {"error": "as told"};'
        " whatsapp: this channel is not set up; see RELIGA_WHATSAPP_URL"
    )


@pytest.mark.parametrize(
    ("phone", "reason"),
    [(None, "has no phone number"), ("11 3333-4444", "landline"), ("123", "not a phone number")],
)
async def test_no_phone_no_message(scene: Scene, phone: str | None, reason: str) -> None:
    await scene.owe("text", phone)
    await scene.draw()
    await scene.drain()
    assert reason in (await scene.notice())["last_error"]
    assert scene.sms.asked == {}


async def test_a_phone_does_not_ring_at_night_nor_on_sunday(scene: Scene) -> None:
    """The rehearsal clock stops where quiet hours end, as at everything that is due."""
    await move_clock(scene.house, datetime(2026, 9, 6, 0, 30, tzinfo=UTC))  # Saturday 21:30
    await scene.owe("text")
    await scene.draw()
    await scene.drain()
    assert scene.sms.asked == {}
    assert (await scene.notice())["last_error"].startswith("quiet_hours until 2026-09-07T08:00")
    mover = ClockMover(scene.house, _Still())  # type: ignore[arg-type]
    await mover.move(datetime(2026, 9, 7, 15, tzinfo=UTC), "move")
    (attempt,) = await rows(scene.house, deliveries)
    assert attempt["started_at"] == datetime(2026, 9, 7, 11, tzinfo=UTC)


class _Still:
    async def converge_all(self) -> None: ...


async def test_a_withdrawn_consent_is_passed_over_while_another_way_is_open(
    scene: Scene, sink: Sink
) -> None:
    added = await scene.owe("phone")
    async with scene.house.uow("test", "no") as uow:
        await uow.connection.execute(
            insert(consents).values(
                subscriber_id=added.subscriber_id, channel="sms", given=False, at=NOTICE_AT,
                source="call", author="ana",
            )
        )  # fmt: skip
        await uow.connection.execute(
            insert(contact_preferences).values(
                subscriber_id=added.subscriber_id, language="en", changed_at=NOTICE_AT, author="ana"
            )
        )
    await scene.draw()
    await scene.drain()
    assert await scene.attempts() == [("email", "confirmed")]
    assert "overdue" in str(sink.received[0][1]["Subject"]).lower()


async def test_the_door_for_receipts_opens_to_the_secret_alone(scene: Scene) -> None:
    await scene.owe("text")
    await scene.draw()
    await scene.drain()
    body = json.dumps({"id": (await rows(scene.house, deliveries))[0]["external_id"],
                       "state": "delivered"}).encode()  # fmt: skip

    async def post(channel: str, headers: dict[str, str], content: bytes = body) -> int:
        url = f"/webhooks/messages/{channel}"
        return (await scene.client.post(url, content=content, headers=headers)).status_code

    assert await post("sms", {}) == 401
    assert await post("sms", receipt_headers(body, secret="guess")) == 401
    assert await post("sms", receipt_headers(body, ago_s=400)) == 401
    assert await post("sms", receipt_headers(body, ago_s=-400)) == 401
    assert await post("sms", receipt_headers(body), body + b" ") == 401
    assert await post("whatsapp", receipt_headers(body)) == 404
    assert await post("pigeon", receipt_headers(body)) == 422
    for wrong in (b"{}", b"[", b'{"id": "x", "state": "eaten"}', b'{"receipts": 1}'):
        assert await post("sms", receipt_headers(wrong), wrong) == 400
    assert await post("email", {"Content-Type": "message/rfc822"}, b"Subject: oi\r\n\r\n") == 400
    assert (await scene.notice())["state"] == "drawn"
    stranger = json.dumps({"provider_id": "p-none", "state": "delivered"}).encode()
    answer = await scene.client.post(
        "/webhooks/messages/sms", content=stranger, headers=receipt_headers(stranger)
    )
    assert answer.json() == {"taken": 0, "repeated": 0, "unknown": 1}
    assert await post("sms", receipt_headers(body)) == 200
    assert (await scene.notice())["state"] == "proven"
