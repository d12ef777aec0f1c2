"""The simulated provider end to end: charge, pay, webhook, read back, post; with its faults."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from api.cashier import Cashier, charge, reconcile
from api.house import House
from api.pix import PixProvider
from api.rehearsal.psp import create_psp
from api.store.money_tables import payment_notices, payments
from billing.payments import brcode
from tests.support.database import add_contract, add_plan, make_house
from tests.support.debtors import issue, rows, with_provider

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 9, 16, 12, tzinfo=UTC)


async def no_mover(to: datetime, correlation_id: str) -> dict[str, object]:
    raise AssertionError("nobody moves the clock here")


@dataclass
class Scene:
    house: House
    control: httpx.AsyncClient
    txid: str

    async def simulate(self, what: str, **order: object) -> dict[str, object]:
        answer = await self.control.post(f"/simulate/{what}", json=order)
        answer.raise_for_status()
        return dict(answer.json())

    async def posted(self) -> list[int]:
        await Cashier(self.house).drain()
        return [row["amount_cents"] for row in await rows(self.house, payments)]


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    plain = await make_house(
        database_url,
        tmp_path,
        now=NOW,
        pix_url="http://psp.invalid",
        pix_key="financeiro@provedor.invalid",
        pix_client_id="id",
        pix_client_secret=SecretStr("secret"),
        pix_webhook_token=SecretStr("knock"),
    )
    # The house's door is known only once the provider is, and the other way round.
    doors: dict[str, httpx.ASGITransport] = {}

    class Door(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return await doors["house"].handle_async_request(request)

    psp = httpx.ASGITransport(
        create_psp("http://religa/webhooks/pix?token=knock", webhook_transport=Door())
    )
    provider = PixProvider(plain.settings, transport=psp)
    house = with_provider(plain, provider)
    doors["house"] = httpx.ASGITransport(create_app(house, clock_mover=no_mover))
    added = await add_contract(house, await add_plan(house))
    invoice_id = await issue(house, added.contract_id, date(2026, 9, 1))
    async with house.uow("test", "charge") as uow:
        made = await charge(house, uow, invoice_id)
    assert brcode.read(made.copy_and_paste)["26"].endswith(made.txid)
    async with httpx.AsyncClient(transport=psp, base_url="http://psp.invalid") as control:
        yield Scene(house, control, made.txid)
    await provider.close()
    await house.store.close()


async def test_a_paid_charge_calls_back_and_is_posted(scene: Scene) -> None:
    told = await scene.simulate("pay", txid=scene.txid)
    assert told["webhook"] == [200]
    assert await scene.posted() == [10240]
    (row,) = await rows(scene.house, payments)
    assert row["external_id"] == told["endToEndId"]
    assert row["paid_at"] == NOW, "in rehearsal the payer pays when the clock stands"


async def test_calling_three_times_posts_once(scene: Scene) -> None:
    told = await scene.simulate("pay", txid=scene.txid, times=3)
    assert told["webhook"] == [200, 200, 200]
    assert await scene.posted() == [10240]
    assert len(await rows(scene.house, payment_notices)) == 1


async def test_a_charge_can_be_paid_in_part_and_only_once(scene: Scene) -> None:
    await scene.simulate("pay", txid=scene.txid, amount_cents=5000)
    assert await scene.posted() == [5000]
    again = await scene.control.post("/simulate/pay", json={"txid": scene.txid})
    assert again.status_code == 404


async def test_a_silent_payment_waits_for_the_list(scene: Scene) -> None:
    assert (await scene.simulate("pay", txid=scene.txid, silent=True))["webhook"] == []
    assert await scene.posted() == []
    assert await reconcile(scene.house) == 1
    assert await scene.posted() == [10240]


async def test_a_lost_webhook_does_too(scene: Scene) -> None:
    await scene.simulate("faults", lose_webhooks=True)
    assert (await scene.simulate("pay", txid=scene.txid))["webhook"] == [0]
    assert await reconcile(scene.house) == 1
    assert await scene.posted() == [10240]


async def test_money_for_the_key_alone_is_suspense(scene: Scene) -> None:
    await scene.simulate("pay-key", amount_cents=700)
    assert await scene.posted() == [700]
    assert (await rows(scene.house, payments))[0]["state"] == "suspense"


async def test_a_provider_that_fails_loses_nothing(scene: Scene) -> None:
    await scene.simulate("faults", answer_500=True)
    await scene.simulate("pay", txid=scene.txid)
    assert await scene.posted() == []
    (kept,) = await rows(scene.house, payment_notices)
    assert kept["state"] == "received"
    assert "500" in kept["last_error"]
    await scene.simulate("faults", answer_500=False)
    await reconcile(scene.house)
    async with scene.house.uow("test", "due") as uow:
        await uow.connection.execute(
            payment_notices.update().values(next_attempt_wall=datetime.now(UTC))
        )
    assert await scene.posted() == [10240]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/cob/short", {"valor": {"original": "1.00"}}, 400),
        ("PUT", "/cob/" + "c" * 32, {"valor": {"original": "1.0"}}, 400),
        ("PUT", "/cob/" + "c" * 32, {}, 400),
        ("GET", "/cob/" + "c" * 32, None, 404),
        ("GET", "/pix/E" + "0" * 31, None, 404),
        ("GET", "/pix", None, 400),
    ],
)
async def test_it_is_as_strict_as_a_real_one(
    scene: Scene, method: str, path: str, body: object, status: int
) -> None:
    assert (await scene.control.request(method, path, json=body)).status_code == 401
    token = (await scene.control.post("/oauth/token", auth=("id", "secret"))).json()
    answer = await scene.control.request(
        method, path, json=body, headers={"Authorization": f"Bearer {token['access_token']}"}
    )
    assert answer.status_code == status


async def test_it_gives_no_token_without_credentials(scene: Scene) -> None:
    assert (await scene.control.post("/oauth/token")).status_code == 401
