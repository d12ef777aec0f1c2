"""Invoices, notices, cuts and payments through the real core and the real store."""

import hashlib
from datetime import date, datetime, timedelta

from sqlalchemy import update

from api.house import House
from api.store.access_tables import notices
from billing.account import (
    Payment,
    clear_payment,
    draw_notice,
    issue_invoice,
    prove_notice,
    review,
)
from billing.invoice import Invoice, Line
from tests.support.database import Added


async def add_invoice(
    house: House, added: Added, due_on: date, amount_cents: int = 9990, correlation: str = "bill"
) -> int:
    """Issue an invoice of one line; its id."""
    async with house.uow("test", correlation) as uow:
        account = await uow.account(added.subscriber_id)
        invoice = Invoice(
            id=await uow.draw("invoices"),
            contract_id=added.contract_id,
            due_on=due_on,
            issued_at=uow.clock.now(),
            lines=(Line("Internet", amount_cents),),
        )
        _, facts = issue_invoice(account, invoice, await uow.desk())
        await uow.record(account, facts)
    return invoice.id


async def add_payment(
    house: House,
    added: Added,
    amount_cents: int,
    external_id: str,
    invoice_id: int | None = None,
    *,
    provider: str = "pix",
    correlation: str = "pay",
) -> int:
    """Post a payment made now; its id."""
    async with house.uow("test", correlation) as uow:
        account = await uow.account(added.subscriber_id)
        now = uow.clock.now()
        payment = Payment(
            id=await uow.draw("payments"),
            provider=provider,
            external_id=external_id,
            amount_cents=amount_cents,
            method="pix",
            reference="test",
            paid_at=now,
            cleared_at=now,
            invoice_id=invoice_id,
        )
        _, facts = clear_payment(account, payment, await uow.desk())
        await uow.record(account, facts)
    return payment.id


async def notify_payer(house: House, added: Added) -> int:
    """Draw the notice that is due and prove it delivered now; its id."""
    async with house.uow("test", "notice") as uow:
        account = await uow.account(added.subscriber_id)
        notice_id = await uow.draw("notices")
        account, facts = draw_notice(account, notice_id, await uow.desk())
        await uow.record(account, facts)
        await uow.connection.execute(
            update(notices)
            .where(notices.c.id == notice_id)
            .values(
                channel="email",
                address="payer@example.invalid",
                content_sha256=hashlib.sha256(b"notice").digest(),
            )
        )
        account, facts = prove_notice(account, notice_id, uow.clock.now(), await uow.desk())
        await uow.record(account, facts)
    return notice_id


async def review_payer(house: House, added: Added) -> None:
    """Look at the payer's contracts at the clock's instant, as a sweep does that no guard stops."""
    async with house.uow("test", "review") as uow:
        account = await uow.account(added.subscriber_id)
        _, facts = review(account, await uow.desk_with(()))
        await uow.record(account, facts)


async def move_clock(house: House, to: datetime) -> None:
    """Move the rehearsal clock."""
    async with house.uow("test", "clock") as uow:
        await uow.move_clock(to)


async def cut(house: House, added: Added, due_on: date) -> int:
    """Invoice, notify and wall a payer, in rehearsal; the invoice's id.

    The clock ends at 10:00 of the first day at least 21 days after the due date that allows a cut.
    """
    zone = house.settings.zone
    at_ten = datetime(due_on.year, due_on.month, due_on.day, 10, tzinfo=zone)
    await move_clock(house, at_ten)
    invoice_id = await add_invoice(house, added, due_on)
    await move_clock(house, at_ten + timedelta(days=6))
    await notify_payer(house, added)
    await review_payer(house, added)
    for day in range(21, 35):
        await move_clock(house, at_ten + timedelta(days=day))
        await review_payer(house, added)
        async with house.uow("test", "look") as uow:
            account = await uow.account(added.subscriber_id)
        if account.contracts[0].access.level.severity > 0:
            return invoice_id
    raise AssertionError("no cut within two weeks of the notice's maturity")
