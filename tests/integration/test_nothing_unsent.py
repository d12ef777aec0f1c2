"""Days of bad servers: nothing lost, nothing sent twice, each notice proven or failed with why.

SMTP greylists, refuses, drops; the adapter loses, delays and refuses; receipts get lost, come late,
twice, out of order; letters come back. What happens is drawn from a seed.
"""

import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, update

from api import review
from api.channels import http
from api.house import House
from api.messenger import Messenger
from api.store.access_tables import notices
from api.store.customer_tables import subscribers
from api.store.outbox import enqueue
from api.store.outbox_tables import deliveries, messages
from api.store.policies import ensure_policies
from tests.integration.test_messages import WORDING
from tests.support.adapter import SECRET, Adapter, adapter, bounce, receipt_headers
from tests.support.database import add_contract, add_plan, make_house
from tests.support.debtors import issue, move_clock, rows
from tests.support.http_face import open_face
from tests.support.smtp import Sink, smtp_sink

pytestmark = pytest.mark.anyio
START = datetime(2026, 9, 4, 12, tzinfo=UTC)
PEOPLE = 6
# Servers are bad, something is told, and all is quiet, until these hours.
BAD_H, TOLD_H, QUIET_H = 40, 60, 120
ADAPTER_FAULTS = ["", "", "lost", "late", "503", "422", "no_id"]
SMTP_FAULTS = ["", "", "451 4.7.1 greylisted", "554 5.7.1 no", "drop", "lost"]
RECEIPTS = [["sent", "delivered"], ["delivered", "sent", "delivered"], ["failed"], [], ["read"],
            ["failed", "delivered"], ["sent"]]  # fmt: skip


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with smtp_sink() as sink:
        yield sink


@pytest.mark.parametrize("seed", [1])
async def test_days_of_bad_servers(
    database_url: str, tmp_path: Path, sink: Sink, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    # So long that a busy machine is not late, so short that what is late costs little.
    monkeypatch.setattr(http, "TIMEOUT_S", 1.0)
    async with adapter() as sms:
        house = await make_house(
            database_url, tmp_path, now=START, smtp_url=SecretStr(sink.url),
            sms_url=sms.url, sms_secret=SecretStr(SECRET), sms_wait_h=4,
        )  # fmt: skip
        await _people(house)
        assert (await review.run(house, None, "draw", "test")).notices == PEOPLE
        async with open_face(house) as face:
            client, messenger = await face.client(None), Messenger(house)
            for hours in range(0, QUIET_H, 4):
                await move_clock(house, START + timedelta(hours=hours))
                if hours < BAD_H:
                    sink.faults.extend(chance.choices(SMTP_FAULTS, k=4))
                    sms.faults.extend(chance.choices(ADAPTER_FAULTS, k=4))
                else:
                    sink.faults.clear()
                    sms.faults.clear()
                await _hurry(house)
                await messenger.drain()
                if hours < TOLD_H:
                    await _tell(house, client, chance)
        await _nothing_lost(house, sms, sink)
        await house.store.close()


async def _people(house: House) -> None:
    quick = {"law": "none", "notice_days": 15}
    documents: dict[str, dict[str, object]] = {
        "a": quick | {"channels": ["email", "sms"]},
        "b": quick | {"channels": ["sms", "email"]},
    }
    async with house.uow("test", "policies") as uow:
        await ensure_policies(uow.connection, documents, START)
    plan = await add_plan(house)
    for number in range(PEOPLE):
        added = await add_contract(house, plan, policy="ab"[number % 2])
        await issue(house, added.contract_id, date(2026, 9, 1))
        async with house.uow("test", "message") as uow:
            await enqueue(
                uow.connection, subscriber_id=added.subscriber_id, kind="reminder", reference="1",
                language="pt-BR", wording=WORDING, wanted_at=START,
            )  # fmt: skip
    async with house.uow("test", "phone") as uow:
        await uow.connection.execute(update(subscribers).values(phone="11987654321"))


async def _hurry(house: House) -> None:
    """Real time passes too: whatever waits for its next try is due."""
    async with house.uow("test", "due") as uow:
        for table in (notices, messages):
            await uow.connection.execute(
                update(table).values(next_attempt_wall=func.clock_timestamp())
            )


async def _tell(house: House, client: httpx.AsyncClient, chance: random.Random) -> None:
    """What providers tell of what they were given, as badly as they do."""
    for row in await rows(house, deliveries):
        if chance.random() < 0.75:
            continue
        if row["channel"] == "email":
            if chance.random() < 0.3:
                await client.post(
                    "/webhooks/messages/email",
                    content=bounce(row["external_id"]),
                    headers={"Content-Type": "message/rfc822"},
                )
            continue
        told = [
            {"id": row["external_id"], "state": state} for state in chance.choice(RECEIPTS)
        ] * chance.randint(1, 2)
        chance.shuffle(told)
        body = json.dumps({"receipts": told}).encode()
        answer = await client.post(
            "/webhooks/messages/sms", content=body, headers=receipt_headers(body)
        )
        assert answer.status_code == 200, answer.text


async def _nothing_lost(house: House, sms: Adapter, sink: Sink) -> None:
    tried = await rows(house, deliveries)
    for table, column in ((notices, "notice_id"), (messages, "message_id")):
        for row in await rows(house, table):
            assert row["state"] in ("proven", "failed"), dict(row)
            made = [item for item in tried if item[column] == row["id"]]
            confirmed = [item for item in made if item["state"] == "confirmed"]
            if row["state"] == "proven":
                assert confirmed
            else:
                assert row["last_error"]
                # The word that it was delivered may come when all was given up.
                assert all(item["confirmed_at"] >= row["failed_at"] for item in confirmed)
                assert {item["channel"] for item in made} == {"email", "sms"}
            # One letter a channel, in the order of the policy.
            assert len({item["channel"] for item in made}) == len(made)
    # One id, one body, one message to the person, however often it was asked for.
    assert sms.wrong == []
    asked = {row["external_id"] for row in tried if row["channel"] == "sms"}
    assert set(sms.delivered) <= set(sms.asked) <= asked
    letters = {row["external_id"] for row in tried if row["channel"] == "email"}
    got = Counter(str(message["Message-ID"]).strip("<>") for _, message in sink.received)
    assert set(got) <= letters
    # Every copy more of a letter is one that the server took without saying so.
    assert sum(row["tries"] for row in tried if row["channel"] == "email") >= sum(got.values())
