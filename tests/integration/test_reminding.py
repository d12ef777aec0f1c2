"""Reminders and receipts out: on their days, once, and never of what is paid."""

import asyncio
import email
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from email.policy import SMTP
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from api import reminding
from api.store.bills import bill_for
from api.store.customer_tables import subscribers
from api.store.message_tables import reminders
from api.store.outbox_tables import contact_preferences
from billing.account import issue_invoice
from tests.support.accounts import ZONE, at, invoice
from tests.support.database import Added, add_contract, add_plan
from tests.support.debtors import issue, move_clock, rows
from tests.support.http_face import open_face
from tests.support.messages import Rehearsal, rehearse

pytestmark = pytest.mark.anyio
DUE_ON = date(2026, 9, 1)


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Rehearsal]:
    async with rehearse(database_url, tmp_path, at("2026-08-20 10:00")) as scene:
        yield scene


async def owing(scene: Rehearsal) -> tuple[Added, int]:
    added = await add_contract(scene.house, await add_plan(scene.house))
    return added, await issue(scene.house, added.contract_id, DUE_ON)


async def test_three_reminders_on_their_days_with_a_pix_of_the_amount(scene: Rehearsal) -> None:
    added, invoice_id = await owing(scene)
    moved = await scene.move("2026-09-02 20:00")
    assert moved["open"] == 0
    sent = await scene.sent("reminder")
    assert [row["reference"] for row in sent] == [
        f"invoice:{invoice_id}:2026-09-01:{offset}" for offset in (-5, -1, 1)
    ]
    assert [row["wanted_at"] for row in sent] == [
        at("2026-08-27 09:00"), at("2026-08-31 09:00"), at("2026-09-02 09:00")
    ]  # fmt: skip
    assert sent[0]["useful_until"] == at("2026-08-28 00:00")
    assert {row["contract_id"] for row in sent} == {added.contract_id}
    for row, said, amount in zip(
        sent,
        ("vence em 5 dias", "vence amanhã", "venceu em 01/09/2026"),
        ("R$ 99,90", "R$ 99,90", "R$ 101,93"),
        strict=True,
    ):
        assert said in row["plain"]
        assert f"Valor para pagamento hoje: {amount}" in row["plain"]
        assert "parcelar ou contestar: cobranca@provedor.invalid" in row["plain"]
        assert "copia-e-cola:" in row["plain"]
        assert "copia-e-cola:" in row["short"]
    charged = {item.amount_cents for item in scene.provider.charges.values()}
    assert charged == {9990, 10193}
    assert [row["made_at"].astimezone(ZONE).hour for row in await rows(scene.house, reminders)] == [
        9, 9, 9
    ]  # fmt: skip


async def test_what_is_paid_is_reminded_of_no_more(scene: Rehearsal) -> None:
    _, invoice_id = await owing(scene)
    await scene.move("2026-08-28 12:00")
    await scene.pay(invoice_id)
    await scene.move("2026-09-05 12:00")
    assert [row["reference"][-2:] for row in await scene.sent("reminder")] == ["-5"]


async def test_one_that_waits_is_withdrawn_when_it_is_paid(scene: Rehearsal) -> None:
    _, paid = await owing(scene)
    await owing(scene)
    await move_clock(scene.house, at("2026-08-31 09:30"))
    assert await reminding.run(scene.house, "run", "test") == 2
    await scene.pay(paid)
    assert await reminding.withdraw(scene.house, "run", "test") == 1
    states = {row["reference"]: row["state"] for row in await scene.sent("reminder")}
    assert sorted(states.values()) == ["failed", "queued"]
    assert states[f"invoice:{paid}:2026-09-01:-1"] == "failed"


async def test_runs_at_once_remind_once(scene: Rehearsal) -> None:
    await owing(scene)
    await move_clock(scene.house, at("2026-08-31 09:30"))
    counts = await asyncio.gather(
        *(reminding.run(scene.house, f"run-{n}", "test") for n in range(4))
    )
    assert sum(counts) == 1
    assert await reminding.run(scene.house, "again", "test") == 0
    assert len(await scene.sent("reminder")) == 1


async def test_nobody_is_reminded_before_nine(scene: Rehearsal) -> None:
    await owing(scene)
    await move_clock(scene.house, at("2026-08-31 08:59"))
    assert await reminding.run(scene.house, "run", "test") == 0


async def test_automatic_payment_is_not_reminded_of(scene: Rehearsal) -> None:
    added, _ = await owing(scene)
    async with open_face(scene.house) as face:
        admin = await face.client()
        path = f"/api/v1/contracts/{added.contract_id}"
        set_so = await admin.put(f"{path}/automatic-payment", json={"automatic": True})
        assert set_so.status_code == 200, set_so.text
        assert (await admin.get(f"{path}/billing")).json()["automatic_payment"] is True
        await scene.move("2026-08-31 12:00")
        assert await scene.sent("reminder") == []
        await admin.put(f"{path}/automatic-payment", json={"automatic": False})
    await scene.move("2026-09-02 12:00")
    assert [row["reference"][-2:] for row in await scene.sent("reminder")] == ["-1", ":1"]


async def test_what_is_billed_together_is_one_message_with_one_pix(scene: Rehearsal) -> None:
    plan_id = await add_plan(scene.house)
    first = await add_contract(scene.house, plan_id)
    second = await add_contract(scene.house, plan_id, subscriber_id=first.subscriber_id)
    both = []
    async with scene.house.uow("test", "bill") as uow:
        for item in (first, second):
            payer = await uow.account(first.subscriber_id)
            bill_id = await bill_for(uow.connection, payer, DUE_ON, uow.clock.now())
            made = replace(
                invoice(await uow.draw("invoices"), contract_id=item.contract_id), bill_id=bill_id
            )
            _, facts = issue_invoice(payer, made, await uow.desk())
            await uow.record(payer, facts)
            both.append(made.id)
    await scene.move("2026-08-27 10:00")
    (sent,) = await scene.sent("reminder")
    assert sent["reference"] == f"bill:{bill_id}:2026-09-01:-5"
    assert sent["plain"].count("copia-e-cola:") == 1
    assert "Valor para pagamento hoje: R$ 199,80" in sent["plain"]
    assert all(f"Fatura {number}," in sent["plain"] for number in both)


async def test_a_provider_that_is_away_delays_a_reminder_and_does_not_lose_it(
    scene: Rehearsal,
) -> None:
    await owing(scene)
    scene.provider.away = True
    await scene.move("2026-08-28 12:00")
    assert await scene.sent("reminder") == []
    # The last day on which it may go out: then without a code.
    await move_clock(scene.house, at("2026-08-29 10:00"))
    assert await reminding.run(scene.house, "run", "test") == 1
    (sent,) = await scene.sent("reminder")
    assert "Para pagar, peça o código em cobranca@provedor.invalid." in sent["plain"]


async def test_names_are_text_in_the_language_that_was_asked_for(scene: Rehearsal) -> None:
    added, _ = await owing(scene)
    async with scene.house.uow("test", "seed") as uow:
        await uow.connection.execute(
            update(subscribers).values(name="<b>Ana</b>\r\nBcc: x {{link}} {{amount}}")
        )
        await uow.connection.execute(
            insert(contact_preferences).values(
                subscriber_id=added.subscriber_id,
                language="en",
                changed_at=uow.clock.now(),
                author="ana",
            )
        )
    await scene.move("2026-08-27 10:00")
    (sent,) = await scene.sent("reminder")
    assert sent["language"] == "en"
    assert sent["plain"].startswith("<b>Ana</b> Bcc: x {{link}} {{amount}},\n")
    assert "is due in 5 days" in sent["plain"]
    assert "&lt;b&gt;Ana&lt;/b&gt; Bcc: x {{link}} {{amount}}," in sent["html"]


async def test_a_receipt_for_every_payment_that_clears_and_none_for_suspense(
    scene: Rehearsal,
) -> None:
    _, invoice_id = await owing(scene)
    await move_clock(scene.house, at("2026-09-11 12:00"))
    late = await scene.pay(invoice_id, 12000, "r-1")
    lost = await scene.pay(None, 5000, "r-2")
    await scene.move("2026-09-11 13:00")
    (receipt,) = await scene.sent("receipt")
    assert receipt["reference"] == f"payment:{late}"
    assert "R$ 120,00, feito em 11/09/2026 por dinheiro" in receipt["plain"]
    # 2 % and ten days of 1 % a month on 99.90.
    assert (
        f"- Fatura {invoice_id}, referência 09/2026: R$ 102,23, dos quais R$ 2,33 de multa e juros"
        in receipt["plain"]
    )
    assert "- Crédito para as próximas faturas: R$ 17,77" in receipt["plain"]
    second, _ = await owing(scene)
    async with open_face(scene.house) as face:
        admin = await face.client()
        assigned = await admin.post(
            f"/api/v1/payments/{lost}/assign", json={"subscriber_id": second.subscriber_id}
        )
        assert assigned.status_code in (200, 201), assigned.text
    await scene.move("2026-09-12 13:00")
    receipts = await scene.sent("receipt")
    assert [row["reference"] for row in receipts] == [f"payment:{late}", f"payment:{lost}"]
    assert receipts[1]["subscriber_id"] == second.subscriber_id


async def test_a_notice_is_written_by_the_template_in_force(scene: Rehearsal) -> None:
    await owing(scene)
    async with open_face(scene.house) as face:
        admin = await face.client()
        path = "/api/v1/templates/notice/pt_BR"
        standing = (await admin.get(path)).json()
        own = {
            "subject": "Aviso {{notice_id}} do jeito da casa",
            "body": "Do jeito da casa.\n" + standing["body"],
            "short": standing["short"],
        }
        assert (await admin.put(path, json=own)).json()["version"] == 1
    await scene.move("2026-09-04 12:00")
    letters = (scene.house.settings.data_dir / "mail").glob("notice-*.eml")
    (letter,) = [email.message_from_bytes(path.read_bytes(), policy=SMTP) for path in letters]
    assert letter["Subject"] == "Aviso 1 do jeito da casa"
    for kind in ("plain", "html"):
        part = letter.get_body((kind,))
        assert part is not None
        said = part.get_content()
        for words in ("Do jeito da casa.", "A falta de pagamento", "suspenso", "rescindido",
                      "R$ 102,00", "cadastros", "restabelecido em até 1 dia"):  # fmt: skip
            assert words in said
