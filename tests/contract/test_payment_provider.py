"""One suite for every payment provider: the fake of the other tests and Pix over the simulated one.

A provider that passes here can be trusted by the cashier, and the fake by the tests.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import httpx
import pytest
from pydantic import SecretStr

from api.pix import PixProvider
from api.rehearsal.psp import create_psp
from billing.payments.provider import (
    BadNotice,
    Confirmed,
    NotPaid,
    PaymentProvider,
    ProviderAway,
    Unknown,
)
from config.settings import Settings
from tests.support.provider import FakeProvider, e2e, webhook_body

pytestmark = pytest.mark.anyio
TXID = "a" * 32
OTHER_TXID = "b" * 32


class World(Protocol):
    @property
    def provider(self) -> PaymentProvider: ...

    async def pay(self, txid: str, amount_cents: int) -> str: ...

    async def pay_key(self, amount_cents: int) -> str: ...

    async def go_away(self) -> None: ...


@dataclass
class FakeWorld:
    provider: FakeProvider

    async def pay(self, txid: str, amount_cents: int) -> str:
        return self.provider.pay(txid, amount_cents).external_id

    async def pay_key(self, amount_cents: int) -> str:
        return self.provider.pay(None, amount_cents).external_id

    async def go_away(self) -> None:
        self.provider.away = True


@dataclass
class PixWorld:
    provider: PixProvider
    control: httpx.AsyncClient

    async def pay(self, txid: str, amount_cents: int) -> str:
        order = {"txid": txid, "amount_cents": amount_cents, "silent": True}
        return str((await self.control.post("/simulate/pay", json=order)).json()["endToEndId"])

    async def pay_key(self, amount_cents: int) -> str:
        order = {"amount_cents": amount_cents, "silent": True}
        return str((await self.control.post("/simulate/pay-key", json=order)).json()["endToEndId"])

    async def go_away(self) -> None:
        await self.control.post("/simulate/faults", json={"answer_500": True})


def pix_settings() -> Settings:
    return Settings(
        pix_url="http://psp.invalid",
        pix_key="financeiro@provedor.invalid",
        pix_client_id="id",
        pix_client_secret=SecretStr("secret"),
    )


@asynccontextmanager
async def opened(transport: httpx.AsyncBaseTransport) -> AsyncIterator[PixProvider]:
    provider = PixProvider(pix_settings(), transport=transport)
    yield provider
    await provider.close()


@pytest.fixture(params=["fake", "pix"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "fake":
        yield FakeWorld(FakeProvider())
        return
    transport = httpx.ASGITransport(create_psp(""))
    async with (
        opened(transport) as provider,
        httpx.AsyncClient(transport=transport, base_url="http://psp.invalid") as control,
    ):
        yield PixWorld(provider, control)


async def test_a_charge_can_be_paid_and_is_then_confirmed(world: World) -> None:
    charge = await world.provider.create_charge(TXID, 9990, "Fatura 1")
    assert (charge.txid, charge.amount_cents) == (TXID, 9990)
    assert charge.copy_and_paste
    external_id = await world.pay(TXID, 9990)
    outcome = await world.provider.confirm(external_id, TXID)
    assert isinstance(outcome, Confirmed)
    assert (outcome.external_id, outcome.txid, outcome.amount_cents) == (external_id, TXID, 9990)
    assert abs(outcome.paid_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_making_a_charge_again_is_the_same_charge(world: World) -> None:
    first = await world.provider.create_charge(TXID, 9990, "Fatura 1")
    assert await world.provider.create_charge(TXID, 9990, "Fatura 1") == first


async def test_the_amount_is_what_came(world: World) -> None:
    await world.provider.create_charge(TXID, 9990, "Fatura 1")
    outcome = await world.provider.confirm(await world.pay(TXID, 5000), TXID)
    assert isinstance(outcome, Confirmed)
    assert outcome.amount_cents == 5000


async def test_a_charge_that_waits_is_not_paid(world: World) -> None:
    await world.provider.create_charge(TXID, 9990, "Fatura 1")
    assert isinstance(await world.provider.confirm(e2e(), TXID), NotPaid)


async def test_a_made_up_payment_is_unknown(world: World) -> None:
    assert isinstance(await world.provider.confirm(e2e(), TXID), Unknown)
    assert isinstance(await world.provider.confirm(e2e(), None), Unknown)
    await world.provider.create_charge(TXID, 9990, "Fatura 1")
    await world.pay(TXID, 9990)
    assert isinstance(await world.provider.confirm(e2e(), TXID), Unknown)


async def test_a_wrong_txid_in_a_notice_does_not_hide_a_real_payment(world: World) -> None:
    await world.provider.create_charge(TXID, 9990, "Fatura 1")
    await world.provider.create_charge(OTHER_TXID, 9990, "Fatura 2")
    external_id = await world.pay(TXID, 9990)
    outcome = await world.provider.confirm(external_id, OTHER_TXID)
    assert isinstance(outcome, Confirmed)
    assert outcome.txid == TXID


async def test_a_payment_to_the_key_has_no_txid(world: World) -> None:
    external_id = await world.pay_key(1234)
    outcome = await world.provider.confirm(external_id, None)
    assert isinstance(outcome, Confirmed)
    assert (outcome.txid, outcome.amount_cents) == (None, 1234)


async def test_the_list_has_what_was_received_in_its_window(world: World) -> None:
    await world.provider.create_charge(TXID, 9990, "Fatura 1")
    received = {await world.pay(TXID, 9990), await world.pay_key(100)}
    now = datetime.now(UTC)
    listed = await world.provider.received(now - timedelta(hours=1), now + timedelta(hours=1))
    assert {payment.external_id for payment in listed} == received
    assert await world.provider.received(now - timedelta(hours=2), now - timedelta(hours=1)) == []


async def test_away_is_an_error_and_never_an_answer(world: World) -> None:
    await world.provider.create_charge(TXID, 9990, "Fatura 1")
    await world.go_away()
    now = datetime.now(UTC)
    with pytest.raises(ProviderAway):
        await world.provider.confirm(e2e(), TXID)
    with pytest.raises(ProviderAway):
        await world.provider.received(now - timedelta(hours=1), now)
    with pytest.raises(ProviderAway):
        await world.provider.create_charge(OTHER_TXID, 1, "x")


async def test_its_notices_name_the_payment(world: World) -> None:
    paid = Confirmed(e2e(), TXID, 9990, datetime.now(UTC))
    (notice,) = world.provider.notices(webhook_body(paid))
    assert (notice.external_id, notice.txid) == (paid.external_id, TXID)
    with pytest.raises(BadNotice):
        world.provider.notices(b"{}")


async def test_long_lists_are_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.pix.PAGE_ITEMS", 2)
    transport = httpx.ASGITransport(create_psp(""))
    async with (
        opened(transport) as provider,
        httpx.AsyncClient(transport=transport, base_url="http://psp.invalid") as control,
    ):
        world = PixWorld(provider, control)
        paid = {await world.pay_key(cents) for cents in range(1, 6)}
        now = datetime.now(UTC)
        listed = await provider.received(now - timedelta(hours=1), now + timedelta(hours=1))
    assert {payment.external_id for payment in listed} == paid


async def test_a_token_that_ended_early_is_renewed() -> None:
    app = create_psp("")
    transport = httpx.ASGITransport(app)
    async with opened(transport) as provider:
        await provider.create_charge(TXID, 9990, "Fatura 1")
        app.state.psp.tokens.clear()
        assert isinstance(await provider.confirm(e2e(), TXID), NotPaid)


@pytest.mark.parametrize("answer", [b"", b"not json", b"[]", b"{}", b"[" * 100_000])
async def test_an_answer_that_is_no_answer_means_away(answer: bytes) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 600})
        return httpx.Response(200, content=answer)

    async with opened(httpx.MockTransport(respond)) as provider:
        with pytest.raises(ProviderAway):
            await provider.confirm(e2e(), TXID)


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b'{"access_token": 5}'])
async def test_no_token_means_away(answer: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=answer))
    async with opened(transport) as provider:
        with pytest.raises(ProviderAway):
            await provider.confirm(e2e(), TXID)
