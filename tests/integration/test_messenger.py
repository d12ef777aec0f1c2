"""Notices out: sent once, proven by what was sent, and never proven when nobody took them."""

import asyncio
import email
import email.policy
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, update

from api import review
from api.cashier import charge, post_payment
from api.channels.channel import Channel, Outcome, Outgoing
from api.house import House
from api.messenger import Messenger
from api.store.access_tables import notices
from api.store.customer_tables import contracts, subscribers
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.debtors import audited, issue, move_clock, rows, with_provider
from tests.support.provider import FakeProvider
from tests.support.smtp import Sink, smtp_sink

pytestmark = pytest.mark.anyio
# The worked example: due on Tuesday, noticed on Friday.
DUE_ON = date(2026, 9, 1)
NOTICE_AT = datetime(2026, 9, 4, 12, tzinfo=UTC)


@dataclass
class Scene:
    house: House
    added: Added
    invoice_id: int

    @property
    def mail(self) -> Path:
        return self.house.settings.data_dir / "mail"

    async def draw(self) -> None:
        """Draw the notice that is due."""
        run = await review.run(self.house, [self.added.contract_id], "draw", "test")
        assert (run.notices, run.failed) == (1, ())

    async def notice(self) -> dict[str, Any]:
        return dict((await rows(self.house, notices))[-1])

    async def change(self, **columns: object) -> None:
        async with self.house.uow("test", "change") as uow:
            await uow.connection.execute(update(subscribers).values(columns))

    async def pay(self) -> None:
        async with self.house.uow("ana", "hand") as uow:
            await post_payment(
                self.house,
                uow,
                provider="hand",
                external_id="r-1",
                amount_cents=20000,
                method="cash",
                reference="r-1",
                paid_at=NOTICE_AT,
                invoice_id=self.invoice_id,
            )

    async def make_due(self) -> None:
        async with self.house.uow("test", "due") as uow:
            await uow.connection.execute(
                update(notices).values(next_attempt_wall=func.clock_timestamp())
            )


async def set_scene(url: str, data_dir: Path, **settings: Any) -> Scene:
    house = with_provider(
        await make_house(url, data_dir, now=NOTICE_AT, **settings), FakeProvider()
    )
    added = await add_contract(house, await add_plan(house))
    return Scene(house, added, await issue(house, added.contract_id, DUE_ON))


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    scene = await set_scene(database_url, tmp_path)
    yield scene
    await scene.house.store.close()


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with smtp_sink() as sink:
        yield sink


@pytest.fixture
async def posted(database_url: str, tmp_path: Path, sink: Sink) -> AsyncIterator[Scene]:
    """A scene whose mail goes to the SMTP sink."""
    scene = await set_scene(database_url, tmp_path, smtp_url=SecretStr(sink.url))
    yield scene
    await scene.house.store.close()


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


async def test_a_notice_is_written_as_a_file_and_proven_by_it(scene: Scene) -> None:
    await scene.change(document="12345678909")
    await scene.draw()
    assert await Messenger(scene.house).drain() == 1
    notice = await scene.notice()
    assert (notice["state"], notice["channel"]) == ("proven", "eml_file")
    assert notice["proven_at"] == NOTICE_AT
    (kept,) = scene.mail.iterdir()
    assert kept.name == f"{notice['message_id']}.eml"
    assert kept.stat().st_mode & 0o777 == 0o600
    content = kept.read_bytes()
    assert notice["content_sha256"] == hashlib.sha256(content).digest()
    message = parsed(content)
    assert message["To"].addresses[0].addr_spec == notice["address"]
    assert message["Message-ID"] == f"<{notice['message_id']}>"
    said = text_of(message)
    assert "R$ 99,90" in said
    assert "a partir de 19/09/2026, o serviço poderá ser suspenso" in said
    assert "(CPF/CNPJ ***.456.789-**)," in said
    assert "12345678909" not in said + text_of(message, "html")


async def test_the_ladder_counts_from_the_proof(scene: Scene) -> None:
    await scene.draw()
    await move_clock(scene.house, NOTICE_AT + timedelta(days=3))
    await Messenger(scene.house).drain()
    # Sent on Monday 09-07, so it matures on 09-22, whatever the day on which it was drawn.
    (contract,) = await rows(scene.house, contracts)
    assert contract["review_on"] == datetime(2026, 9, 22, 3, tzinfo=UTC)
    assert contract["reason"] == "notice_running"


async def test_draining_again_sends_nothing(scene: Scene) -> None:
    await scene.draw()
    messengers = [Messenger(scene.house) for _ in range(4)]
    assert sum(await asyncio.gather(*(m.drain() for m in messengers))) == 1
    assert await messengers[0].drain() == 0
    assert len(list(scene.mail.iterdir())) == 1


async def test_a_living_charge_is_printed(scene: Scene) -> None:
    async with scene.house.uow("test", "charge") as uow:
        made = await charge(scene.house, uow, scene.invoice_id)
    await scene.draw()
    await Messenger(scene.house).drain()
    (kept,) = scene.mail.iterdir()
    assert made.copy_and_paste in text_of(parsed(kept.read_bytes()))
    assert made.copy_and_paste in text_of(parsed(kept.read_bytes()), "html")


async def test_it_goes_out_by_smtp_and_a_copy_is_kept(posted: Scene, sink: Sink) -> None:
    await posted.draw()
    await Messenger(posted.house).drain()
    notice = await posted.notice()
    assert (notice["state"], notice["channel"]) == ("proven", "email")
    ((recipient, message),) = sink.received
    assert recipient == notice["address"]
    assert message["Message-ID"] == f"<{notice['message_id']}>"
    (kept,) = posted.mail.iterdir()
    assert kept.read_bytes() == sink.raw[0]
    assert notice["content_sha256"] == hashlib.sha256(sink.raw[0]).digest()


async def test_a_refused_address_is_a_failure_with_its_reason(posted: Scene, sink: Sink) -> None:
    await posted.change(email="fora@example.invalid")
    sink.answer["fora@example.invalid"] = "550 no such mailbox"
    await posted.draw()
    await Messenger(posted.house).drain()
    notice = await posted.notice()
    assert (notice["state"], notice["proven_at"]) == ("failed", None)
    assert notice["last_error"] == "550 no such mailbox"
    assert sink.received == []
    (told,) = await audited(posted.house, "notice.failed")
    assert told["data"]["reason"] == "550 no such mailbox"


async def test_a_failed_notice_is_drawn_anew_from_the_next_day(posted: Scene, sink: Sink) -> None:
    await posted.change(email="fora@example.invalid")
    sink.answer["fora@example.invalid"] = "550 no such mailbox"
    await posted.draw()
    await Messenger(posted.house).drain()
    assert (await review.run(posted.house, None, "c", "test")).notices == 0, "not the same day"
    due = (await rows(posted.house, contracts))[0]["review_on"]
    assert due == datetime(2026, 9, 5, 3, tzinfo=UTC)
    del sink.answer["fora@example.invalid"]
    await move_clock(posted.house, due)
    assert (await review.run(posted.house, None, "c", "test")).notices == 1
    await Messenger(posted.house).drain()
    assert (await posted.notice())["state"] == "proven"


async def test_a_temporary_refusal_waits_and_is_not_proof(posted: Scene, sink: Sink) -> None:
    await posted.change(email="cheia@example.invalid")
    sink.answer["cheia@example.invalid"] = "452 mailbox full"
    await posted.draw()
    messenger = Messenger(posted.house)
    before = datetime.now(UTC)
    await messenger.drain()
    after = datetime.now(UTC)
    notice = await posted.notice()
    assert (notice["state"], notice["attempts"]) == ("drawn", 1)
    assert notice["last_error"] == "452 mailbox full"
    assert before <= notice["next_attempt_wall"] - timedelta(seconds=10) <= after
    sink.answer.clear()
    await posted.make_due()
    await messenger.drain()
    assert (await posted.notice())["state"] == "proven"


@pytest.mark.parametrize(
    ("fault", "state", "said"),
    [
        ("451 4.7.1 greylisted, come back", "drawn", "451 4.7.1 greylisted"),
        ("554 5.7.1 spam", "failed", "554 5.7.1 spam"),
        ("drop", "drawn", "SMTPServerDisconnected"),
        # It may have been taken: the next try carries the same Message-ID.
        ("lost", "drawn", "SMTPServerDisconnected"),
    ],
)
async def test_what_a_server_does_with_the_content_is_told_apart(
    posted: Scene, sink: Sink, fault: str, state: str, said: str
) -> None:
    sink.faults.append(fault)
    await posted.draw()
    messenger = Messenger(posted.house)
    await messenger.drain()
    notice = await posted.notice()
    assert notice["state"] == state
    assert said in notice["last_error"]
    await posted.make_due()
    await messenger.drain()
    assert (await posted.notice())["state"] == ("failed" if state == "failed" else "proven")
    assert len({message["Message-ID"] for _, message in sink.received}) == (state == "drawn")


async def test_a_server_that_stays_away_is_given_up_after_its_time(
    posted: Scene, sink: Sink
) -> None:
    sink.faults.extend(["451 busy"] * 2)
    await posted.draw()
    messenger = Messenger(posted.house)
    await messenger.drain()
    await move_clock(posted.house, NOTICE_AT + timedelta(hours=24))
    await posted.make_due()
    await messenger.drain()
    notice = await posted.notice()
    assert (notice["state"], notice["last_error"]) == ("failed", "451 busy")
    assert (await review.run(posted.house, None, "c", "test")).notices == 0, "not the same day"


async def test_a_server_that_is_down_waits(database_url: str, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    scene = await set_scene(database_url, tmp_path, smtp_url=SecretStr(f"smtp://127.0.0.1:{port}"))
    await scene.draw()
    await Messenger(scene.house).drain()
    notice = await scene.notice()
    assert notice["state"] == "drawn"
    assert "SMTPConnectError" in notice["last_error"]
    await scene.house.store.close()


async def test_dying_after_sending_sends_the_same_message_again(
    posted: Scene, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(point: str) -> None:
        if point == "notice-sent":
            raise KeyError("died")

    await posted.draw()
    monkeypatch.setattr("api.crashpoints.reach", die)
    with pytest.raises(KeyError, match="died"):
        await Messenger(posted.house).drain()
    assert (await posted.notice())["state"] == "drawn", "nothing is proven without its record"
    monkeypatch.undo()
    await posted.make_due()
    await Messenger(posted.house).drain()
    assert [message["Message-ID"] for _, message in sink.received] == [
        f"<{(await posted.notice())['message_id']}>"
    ] * 2
    assert len(list(posted.mail.iterdir())) == 1


@pytest.mark.parametrize(
    ("mailbox", "reason"),
    [
        (None, "the subscriber has no e-mail address"),
        ("ana@example.invalid\r\nBcc: outro@example.invalid", "not an e-mail address"),
        ("ninguem", "not an e-mail address"),
    ],
)
async def test_nobody_to_write_to_is_a_failure(
    scene: Scene, mailbox: str | None, reason: str
) -> None:
    await scene.change(email=mailbox)
    await scene.draw()
    await Messenger(scene.house).drain()
    notice = await scene.notice()
    assert notice["state"] == "failed"
    assert reason in notice["last_error"]
    assert not scene.mail.exists()


async def test_what_was_paid_meanwhile_is_not_dunned(scene: Scene) -> None:
    await scene.draw()
    await scene.pay()
    await Messenger(scene.house).drain()
    assert (await scene.notice())["last_error"] == "nothing that it lists is unpaid any more"
    assert not scene.mail.exists()


async def test_what_is_paid_while_it_is_sent_is_no_proof(scene: Scene) -> None:
    class PaidWhileSending(Messenger):
        async def _send(self, channel: Channel, outgoing: Outgoing) -> Outcome:
            outcome = await super()._send(channel, outgoing)
            await scene.pay()
            return outcome

    await scene.draw()
    await PaidWhileSending(scene.house).drain()
    notice = await scene.notice()
    assert (notice["state"], notice["proven_at"]) == ("failed", None)
    assert notice["last_error"] == "it was paid while the notice was on its way"


async def test_without_a_place_for_the_proof_nothing_goes_out(posted: Scene, sink: Sink) -> None:
    posted.mail.write_text("a file where the folder should be")
    await posted.draw()
    await Messenger(posted.house).drain()
    notice = await posted.notice()
    assert notice["state"] == "drawn"
    assert "cannot be kept" in notice["last_error"]
    assert sink.received == []


async def test_a_name_is_text_wherever_it_stands(posted: Scene, sink: Sink) -> None:
    name = "<b>Ana</b>\r\nBcc: outro@example.invalid"
    await posted.change(name=name)
    await posted.draw()
    await Messenger(posted.house).drain()
    ((_, message),) = sink.received
    assert message["Bcc"] is None
    assert "<b>Ana" not in text_of(message, "html")
    assert "&lt;b&gt;Ana&lt;/b&gt; Bcc: outro@example.invalid" in text_of(message, "html")


async def test_no_log_or_audit_holds_the_whole_document(scene: Scene) -> None:
    await scene.change(document="12345678909")
    await scene.draw()
    await Messenger(scene.house).drain()
    (kept,) = scene.mail.iterdir()
    message = parsed(kept.read_bytes())
    for kind in ("plain", "html"):
        assert "***.456.789-**" in text_of(message, kind)
        assert "12345678909" not in text_of(message, kind)
    told = await audited(scene.house, "notice.proven")
    assert "12345678909" not in json.dumps([row["data"] for row in told])


async def test_the_running_messenger_sends_as_it_is_told(scene: Scene) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(Messenger(scene.house).run(stop))
    await scene.draw()
    async with asyncio.timeout(10):
        while (await scene.notice())["state"] != "proven":  # noqa: ASYNC110 -- the row is the event
            await asyncio.sleep(0.01)
        stop.set()
        await running


@pytest.mark.parametrize(
    "wrong", [{"smtp_url": SecretStr("http://mail.invalid")}, {"mail_from": "nobody"}]
)
async def test_wrong_settings_are_refused_at_the_start(
    scene: Scene, wrong: dict[str, object]
) -> None:
    settings = scene.house.settings.model_copy(update=wrong)
    with pytest.raises(ValueError, match=r"RELIGA_SMTP_URL|not an e-mail address"):
        Messenger(replace(scene.house, settings=settings))
