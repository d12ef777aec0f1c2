"""The webhook: who may knock, what is kept, and bodies that repeat, change or lie."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from api.house import House
from api.http.webhooks import BODY_BYTES_MAX
from api.store.money_tables import ledger_entries, payment_notices
from billing.payments.provider import Confirmed
from tests.support.database import libpq, make_house
from tests.support.debtors import audited, rows, with_provider
from tests.support.http_face import open_face
from tests.support.provider import FakeProvider, e2e, webhook_body

pytestmark = pytest.mark.anyio
AT = datetime(2026, 9, 26, 23, 10, tzinfo=UTC)


@asynccontextmanager
async def door(house: House, peer: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    async with open_face(with_provider(house, FakeProvider())) as face:
        transport = httpx.ASGITransport(face.app, client=(peer, 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://religa") as client:
            yield client


def paid(external_id: str | None = None, cents: int = 9990, txid: str = "a" * 32) -> Confirmed:
    return Confirmed(external_id or e2e(), txid, cents, AT)


@pytest.mark.parametrize("path", ["/webhooks/pix", "/webhooks/pix/pix"])
async def test_a_notice_is_kept_and_answered(house: House, path: str) -> None:
    notice = paid()
    async with door(house) as client:
        answer = await client.post(path, content=webhook_body(notice))
    assert (answer.status_code, answer.json()) == (200, {"new": 1})
    (kept,) = await rows(house, payment_notices)
    assert (kept["provider"], kept["external_id"]) == ("pix", notice.external_id)
    assert (kept["state"], kept["attempts"]) == ("received", 0)
    assert kept["body"]["txid"] == notice.txid
    assert await rows(house, ledger_entries) == []


async def test_the_cashier_is_woken(house: House) -> None:
    async with await psycopg.AsyncConnection.connect(
        libpq(house.store.url), autocommit=True
    ) as listener:
        await listener.execute("listen religa_paid")
        async with door(house) as client:
            await client.post("/webhooks/pix", content=webhook_body(paid()))
        told = [note.payload async for note in listener.notifies(timeout=5, stop_after=1)]
    (kept,) = await rows(house, payment_notices)
    assert told == [str(kept["id"])]


async def test_a_repeat_is_nothing_new(house: House) -> None:
    body = webhook_body(paid())
    async with door(house) as client:
        answers = [await client.post("/webhooks/pix", content=body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.json()["new"] for answer in answers] == [1, 0, 0]
    assert len(await rows(house, payment_notices)) == 1


async def test_the_same_id_with_another_body_changes_nothing(house: House) -> None:
    first = paid()
    other = paid(first.external_id, cents=1)
    fresh = paid()
    async with door(house) as client:
        await client.post("/webhooks/pix", content=webhook_body(first))
        before = await rows(house, payment_notices)
        answer = await client.post("/webhooks/pix", content=webhook_body(other, fresh))
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert first.external_id in answer.json()["detail"]
    after = await rows(house, payment_notices)
    assert after[: len(before)] == before
    assert after[-1]["external_id"] == fresh.external_id, "the rest of the batch is taken"
    (told,) = await audited(house, "payment_notice.contradiction")
    assert told["data"]["external_id"] == first.external_id
    assert told["correlation_id"] == after[-1]["correlation_id"]


async def test_a_batch_may_not_contradict_itself(house: House) -> None:
    first = paid()
    async with door(house) as client:
        answer = await client.post(
            "/webhooks/pix", content=webhook_body(first, paid(first.external_id, cents=1))
        )
    assert answer.status_code == 409
    assert len(await rows(house, payment_notices)) == 1


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/webhooks/boleto", webhook_body(paid()), 404),
        ("/webhooks/pix", b"", 400),
        ("/webhooks/pix", b"{", 400),
        ("/webhooks/pix", json.dumps({"pix": [{"endToEndId": "x"}]}).encode(), 400),
        ("/webhooks/pix", b" " * (BODY_BYTES_MAX + 1), 413),
    ],
)
async def test_what_is_no_notice_is_a_problem(
    house: House, path: str, body: bytes, status: int
) -> None:
    async with door(house) as client:
        answer = await client.post(path, content=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert await rows(house, payment_notices) == []


@pytest.mark.parametrize("peer", ["192.0.2.1", "2001:db8::1", "testclient"])
async def test_without_a_token_only_this_machine_may_knock(house: House, peer: str) -> None:
    async with door(house, peer) as client:
        answer = await client.post("/webhooks/pix", content=webhook_body(paid()))
    assert answer.status_code == 401
    assert await rows(house, payment_notices) == []


async def test_with_a_token_the_token_decides(database_url: str, tmp_path: Path) -> None:
    house = await make_house(database_url, tmp_path, pix_webhook_token=SecretStr("açúcar"))
    body = webhook_body(paid())
    async with door(house, "192.0.2.1") as client:
        for token in ({}, {"token": ""}, {"token": "acucar"}):
            answer = await client.post("/webhooks/pix", params=token, content=body)
            assert answer.status_code == 401
        answer = await client.post("/webhooks/pix", params={"token": "açúcar"}, content=body)
    assert answer.status_code == 200
    async with door(house, "127.0.0.1") as client:
        answer = await client.post("/webhooks/pix", content=webhook_body(paid()))
    assert answer.status_code == 401, "loopback is no token"
    await house.store.close()
