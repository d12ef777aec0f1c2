"""From a kept notice to a posted payment: once, with the provider's amount, whatever happens."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from api.cashier import (
    Cashier,
    NoProvider,
    NothingDue,
    PaymentConflict,
    PostedPayment,
    charge,
    charge_bill,
    post_payment,
    reconcile,
    settle,
)
from api.house import House
from api.store.bills import bill_for
from api.store.money_tables import (
    allocations,
    charges,
    invoices,
    ledger_postings,
    payment_notices,
    payments,
)
from api.store.payments import take_in
from billing.account import issue_invoice
from billing.invoice import Invoice, Line
from billing.payments.provider import Confirmed, Notice, ProviderAway
from tests.support.database import add_contract, add_plan, make_house
from tests.support.debtors import audited, issue, rows, with_provider
from tests.support.provider import FakeProvider, webhook_body

pytestmark = pytest.mark.anyio
# Fifteen days late on an invoice due on Tuesday 2026-09-01: fine 2.00, interest 0.50.
NOW = datetime(2026, 9, 16, 12, tzinfo=UTC)
DUE_ON = date(2026, 9, 1)


@dataclass
class Scene:
    house: House
    provider: FakeProvider
    contract_id: int
    subscriber_id: int
    invoice_id: int

    async def charge(self) -> str:
        async with self.house.uow("test", "charge") as uow:
            return (await charge(self.house, uow, self.invoice_id)).txid

    async def tell(self, *paid: Confirmed) -> tuple[int, ...]:
        """As the webhook does."""
        notices = self.provider.notices(webhook_body(*paid))
        async with self.house.uow("provider:pix", "told") as uow:
            taken = await take_in(uow.connection, "pix", notices, "told", uow.clock.now())
            return taken.new_ids

    async def make_due(self) -> None:
        async with self.house.uow("test", "due") as uow:
            await uow.connection.execute(
                update(payment_notices).values(next_attempt_wall=func.clock_timestamp())
            )

    async def post(self, **changes: object) -> PostedPayment:
        particulars: dict[str, object] = {
            "provider": "hand",
            "external_id": "r-1",
            "amount_cents": 10240,
            "method": "cash",
            "reference": "r-1",
            "paid_at": NOW,
            "invoice_id": self.invoice_id,
        }
        async with self.house.uow("ana", "hand") as uow:
            return await post_payment(self.house, uow, **(particulars | changes))  # type: ignore[arg-type]


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    provider = FakeProvider()
    house = with_provider(await make_house(database_url, tmp_path, now=NOW), provider)
    added = await add_contract(house, await add_plan(house))
    invoice_id = await issue(house, added.contract_id, DUE_ON)
    yield Scene(house, provider, added.contract_id, added.subscriber_id, invoice_id)
    await house.store.close()


async def cash(house: House) -> int:
    async with house.uow("test", "read") as uow:
        total = await uow.connection.scalar(
            select(func.sum(ledger_postings.c.cents)).where(
                ledger_postings.c.account.like("cash:%")
            )
        )
        return int(total or 0)


async def test_a_told_payment_is_settled_with_late_charges(scene: Scene) -> None:
    paid = scene.provider.pay(await scene.charge(), 10240)
    (notice_id,) = await scene.tell(paid)
    await settle(scene.house, notice_id)
    (posted,) = await rows(scene.house, payments)
    assert (posted["provider"], posted["external_id"]) == ("pix", paid.external_id)
    assert (posted["amount_cents"], posted["state"]) == (10240, "posted")
    assert (posted["invoice_id"], posted["credit_cents"]) == (scene.invoice_id, 0)
    assert posted["correlation_id"] == "told"
    (part,) = await rows(scene.house, allocations)
    assert (part["principal_cents"], part["fine_cents"], part["interest_cents"]) == (9990, 200, 50)
    assert (await rows(scene.house, invoices))[0]["state"] == "paid"
    assert (await rows(scene.house, payment_notices))[0]["state"] == "settled"
    assert await cash(scene.house) == 10240


async def test_the_amount_comes_from_the_provider_and_not_from_the_body(scene: Scene) -> None:
    paid = scene.provider.pay(await scene.charge(), 100)
    await scene.tell(Confirmed(paid.external_id, paid.txid, 999_999, paid.paid_at))
    assert await Cashier(scene.house).drain() == 1
    assert [row["amount_cents"] for row in await rows(scene.house, payments)] == [100]
    assert (await rows(scene.house, invoices))[0]["state"] == "open"


async def test_money_over_the_debt_is_credit(scene: Scene) -> None:
    paid = scene.provider.pay(await scene.charge(), 20240)
    await scene.tell(paid)
    await Cashier(scene.house).drain()
    assert (await rows(scene.house, payments))[0]["credit_cents"] == 10000


async def test_eight_cashiers_settle_each_notice_once(scene: Scene) -> None:
    await scene.tell(*(scene.provider.pay(None, cents) for cents in range(1, 21)))
    settled = await asyncio.gather(*(Cashier(scene.house).drain() for _ in range(8)))
    assert sum(settled) == 20
    assert scene.provider.asked == 20
    assert len(await rows(scene.house, payments)) == 20
    assert await cash(scene.house) == sum(range(1, 21))


async def test_a_payment_of_no_charge_of_ours_is_kept_in_suspense(scene: Scene) -> None:
    await scene.tell(scene.provider.pay("f" * 32, 5000), scene.provider.pay(None, 700))
    await Cashier(scene.house).drain()
    kept = await rows(scene.house, payments)
    assert {row["state"] for row in kept} == {"suspense"}
    reasons = {row["amount_cents"]: row["suspense_reason"] for row in kept}
    assert "f" * 32 in reasons[5000]
    assert reasons[700] == "it has no txid"
    assert {row["state"] for row in await rows(scene.house, payment_notices)} == {"settled"}


async def test_a_forged_notice_posts_nothing(scene: Scene) -> None:
    txid = await scene.charge()
    scene.provider.pay(txid, 10240)
    forged = Confirmed("E" + "9" * 31, txid, 10240, NOW)
    await scene.tell(forged)
    await Cashier(scene.house).drain()
    assert await rows(scene.house, payments) == []
    (kept,) = await rows(scene.house, payment_notices)
    assert (kept["state"], kept["last_error"]) == ("refused", "no such payment")
    (told,) = await audited(scene.house, "payment_notice.refused")
    assert told["data"]["reason"] == "no such payment"


async def test_an_unpaid_charge_is_asked_about_again_and_given_up_after_a_day(
    scene: Scene,
) -> None:
    txid = await scene.charge()
    (notice_id,) = await scene.tell(Confirmed("E" + "8" * 31, txid, 10240, NOW))
    before = datetime.now(UTC)
    await settle(scene.house, notice_id)
    after = datetime.now(UTC)
    (kept,) = await rows(scene.house, payment_notices)
    assert (kept["state"], kept["attempts"]) == ("received", 1)
    assert kept["last_error"] == "the charge waits"
    assert before <= kept["next_attempt_wall"] - timedelta(seconds=1) <= after
    async with scene.house.uow("test", "age") as uow:
        await uow.connection.execute(
            update(payment_notices).values(
                received_wall=func.clock_timestamp() - timedelta(hours=25),
                next_attempt_wall=func.clock_timestamp(),
            )
        )
    await settle(scene.house, notice_id)
    (kept,) = await rows(scene.house, payment_notices)
    assert kept["state"] == "refused"
    assert len(await audited(scene.house, "payment_notice.refused")) == 1


async def test_a_provider_that_is_away_is_asked_again_later(scene: Scene) -> None:
    paid = scene.provider.pay(await scene.charge(), 10240)
    (notice_id,) = await scene.tell(paid)
    scene.provider.away = True
    for wait_s in (1, 2, 5, 15, 60, 60):
        await scene.make_due()
        before = datetime.now(UTC)
        await settle(scene.house, notice_id)
        after = datetime.now(UTC)
        (kept,) = await rows(scene.house, payment_notices)
        assert before <= kept["next_attempt_wall"] - timedelta(seconds=wait_s) <= after
    scene.provider.away = False
    await scene.make_due()
    await settle(scene.house, notice_id)
    assert (await rows(scene.house, payment_notices))[0]["state"] == "settled"
    assert await cash(scene.house) == 10240


async def test_what_a_dead_cashier_held_is_settled_by_the_next(scene: Scene) -> None:
    (notice_id,) = await scene.tell(scene.provider.pay(await scene.charge(), 10240))
    async with scene.house.uow("test", "dead") as uow:
        # As it stands when the process died between claiming and recording, its lease over.
        await uow.connection.execute(
            update(payment_notices).values(attempts=1, next_attempt_wall=func.clock_timestamp())
        )
    await settle(scene.house, notice_id)
    await settle(scene.house, notice_id)
    assert await cash(scene.house) == 10240


async def test_a_held_notice_is_not_claimed_twice(scene: Scene) -> None:
    (notice_id,) = await scene.tell(scene.provider.pay(None, 1))
    async with scene.house.uow("test", "held") as uow:
        await uow.connection.execute(
            update(payment_notices).values(
                attempts=1, next_attempt_wall=func.clock_timestamp() + timedelta(seconds=60)
            )
        )
    await settle(scene.house, notice_id)
    assert scene.provider.asked == 0


async def test_the_running_cashier_settles_as_it_is_told(scene: Scene) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(Cashier(scene.house).run(stop))
    notices = scene.provider.notices(webhook_body(scene.provider.pay(None, 5)))
    async with scene.house.uow("provider:pix", "told") as uow:
        taken = await take_in(uow.connection, "pix", notices, "told", uow.clock.now())
        uow.notify("religa_paid", str(taken.new_ids[0]))
    async with asyncio.timeout(10):
        while not await rows(scene.house, payments):  # noqa: ASYNC110 -- the rows are the event
            await asyncio.sleep(0.01)
        stop.set()
        await running


async def test_a_silent_payment_is_found_in_the_list(scene: Scene) -> None:
    paid = scene.provider.pay(await scene.charge(), 10240)
    assert await reconcile(scene.house) == 1
    await Cashier(scene.house).drain()
    assert await cash(scene.house) == 10240
    assert await reconcile(scene.house) == 0
    (late,) = await scene.tell(paid)
    await settle(scene.house, late)
    assert await cash(scene.house) == 10240
    assert {row["state"] for row in await rows(scene.house, payment_notices)} == {"settled"}


async def test_the_list_opens_again_what_was_refused_too_early(scene: Scene) -> None:
    paid = scene.provider.pay(await scene.charge(), 10240)
    hidden = scene.provider.payments
    scene.provider.payments = {"other": Confirmed("other", paid.txid, 1, NOW)}
    (notice_id,) = await scene.tell(paid)
    await settle(scene.house, notice_id)
    assert (await rows(scene.house, payment_notices))[0]["state"] == "refused"
    scene.provider.payments = hidden
    assert await reconcile(scene.house) == 1
    await Cashier(scene.house).drain()
    assert await cash(scene.house) == 10240


async def test_a_list_that_cannot_be_read_keeps_its_place(scene: Scene) -> None:
    await reconcile(scene.house)
    scene.provider.pay(None, 5, datetime.now(UTC) - timedelta(hours=47))
    scene.provider.away = True
    assert await reconcile(scene.house) == 0
    scene.provider.away = False
    assert await reconcile(scene.house) == 1, "listed late, and still inside the overlap"


async def test_posting_again_is_the_same_payment(scene: Scene) -> None:
    first = await scene.post()
    assert first.state == "posted"
    assert await scene.post() == first
    assert len(await rows(scene.house, payments)) == 1


@pytest.mark.parametrize("change", [{"amount_cents": 1}, {"method": "card"}, {"invoice_id": None}])
async def test_other_money_under_the_same_id_is_a_conflict(
    scene: Scene, change: dict[str, object]
) -> None:
    await scene.post()
    with pytest.raises(PaymentConflict, match="r-1"):
        await scene.post(**change)
    assert await cash(scene.house) == 10240


async def test_two_posting_at_once_post_once(scene: Scene) -> None:
    posted = await asyncio.gather(*(scene.post() for _ in range(6)))
    assert len(set(posted)) == 1
    assert await cash(scene.house) == 10240


async def test_money_for_an_invoice_that_does_not_exist_is_kept_and_told(scene: Scene) -> None:
    posted = await scene.post(invoice_id=10**12)
    assert posted.state == "suspense"
    assert posted.suspense_reason == f"it names invoice {10**12}, which does not exist"
    assert await scene.post(invoice_id=10**12) == posted
    assert await cash(scene.house) == 10240


async def test_a_payment_is_not_dated_in_the_future(scene: Scene) -> None:
    await scene.post(paid_at=NOW + timedelta(days=400))
    assert (await rows(scene.house, payments))[0]["paid_at"] == NOW


async def test_a_charge_is_what_settles_today_and_is_given_again(scene: Scene) -> None:
    txid = await scene.charge()
    assert scene.provider.charges[txid].amount_cents == 10240
    assert await scene.charge() == txid
    assert len(await rows(scene.house, charges)) == 1


async def test_a_charge_made_again_after_a_crash_is_the_same(scene: Scene) -> None:
    with contextlib.suppress(RuntimeError):
        async with scene.house.uow("test", "charge") as uow:
            await charge(scene.house, uow, scene.invoice_id)
            raise RuntimeError("died before the commit")
    assert await rows(scene.house, charges) == []
    (made,) = scene.provider.charges
    assert await scene.charge() == made


async def test_another_amount_is_another_charge(scene: Scene) -> None:
    first = await scene.charge()
    await scene.post(amount_cents=240)
    second = await scene.charge()
    assert second != first
    assert scene.provider.charges[second].amount_cents == 10000


async def test_what_cannot_be_charged_says_why(scene: Scene) -> None:
    scene.provider.away = True
    with pytest.raises(ProviderAway):
        await scene.charge()
    assert await rows(scene.house, charges) == []
    scene.provider.away = False
    async with scene.house.uow("test", "charge") as uow:
        with pytest.raises(LookupError, match="no invoice"):
            await charge(scene.house, uow, 10**12)
    await scene.post()
    with pytest.raises(NothingDue):
        await scene.charge()


async def test_without_a_provider_nothing_is_charged(house: House) -> None:
    added = await add_contract(house, await add_plan(house))
    invoice_id = await issue(house, added.contract_id, date(2030, 1, 1))
    async with house.uow("test", "charge") as uow:
        with pytest.raises(NoProvider, match="RELIGA_PIX_URL"):
            await charge(house, uow, invoice_id)


async def test_a_charge_of_a_bill_pays_its_invoices_oldest_first(scene: Scene) -> None:
    second = await add_contract(
        scene.house, await add_plan(scene.house), subscriber_id=scene.subscriber_id
    )
    async with scene.house.uow("test", "bill") as uow:
        account = await uow.account(scene.subscriber_id)
        bill_id = await bill_for(uow.connection, account, NOW.date(), NOW)
        assert bill_id is not None
        for contract_id in (scene.contract_id, second.contract_id):
            account, facts = issue_invoice(
                account,
                Invoice(
                    id=await uow.draw("invoices"),
                    contract_id=contract_id,
                    due_on=NOW.date(),
                    issued_at=NOW,
                    lines=(Line("Internet", 5000),),
                    bill_id=bill_id,
                ),
                await uow.desk(),
            )
            await uow.record(account, facts)
    async with scene.house.uow("test", "charge") as uow:
        made = await charge_bill(scene.house, uow, bill_id)
    assert made.amount_cents == 10_000
    notice_ids = await scene.tell(scene.provider.pay(made.txid, 6_000))
    await settle(scene.house, notice_ids[0])
    async with scene.house.uow("test", "read") as uow:
        paid = await uow.connection.scalars(
            select(invoices.c.paid_cents)
            .where(invoices.c.bill_id == bill_id)
            .order_by(invoices.c.id)
        )
    assert paid.all() == [5000, 1000]


async def test_what_comes_after_a_payment_was_settled_takes_nothing_back(scene: Scene) -> None:
    """A late `waiting_payment` after `paid`, and the same payment told in another shape."""
    txid = await scene.charge()
    confirmed = scene.provider.pay(txid, 10240)
    await settle(scene.house, (await scene.tell(confirmed))[0])
    received = await cash(scene.house)
    async with scene.house.uow("provider:pix", "again") as uow:
        notice = Notice(confirmed.external_id, "listed", txid, b"other", {})
        again = await take_in(uow.connection, "pix", [notice], "again", uow.clock.now())
    scene.provider.payments.clear()
    await settle(scene.house, again.new_ids[0])
    assert await cash(scene.house) == received
    async with scene.house.uow("test", "read") as uow:
        state = select(invoices.c.state).where(invoices.c.id == scene.invoice_id)
        assert await uow.connection.scalar(state) == "paid"
        credit = (await uow.account(scene.subscriber_id)).credit_cents
    assert credit == 0
