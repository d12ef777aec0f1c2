"""A receipt for every payment that cleared: what it paid, in one message, once.

`payment_receipts` has a row from the transaction that posted the payment on; money in suspense has
none until it is assigned. Whoever finds the row enqueues the message and marks it, in one
transaction.
"""

from api.house import House
from api.store import notices, outbox, reminders, templates
from api.store.reminders import DueReceipt
from api.store.uow import Uow
from api.wording.letters import ReceiptLetter, Settled, receipt_values
from api.wording.template import Kind, fill

BATCH = 200


async def run(house: House, correlation_id: str, actor: str) -> int:
    """Write the receipts that are due; how many."""
    written = 0
    while True:
        async with house.uow(actor, correlation_id) as uow:
            due = await reminders.take_receipts(uow.connection, BATCH)
            for receipt in due:
                await _enqueue(house, uow, receipt)
            await reminders.told(
                uow.connection, [receipt.payment_id for receipt in due], uow.clock.now()
            )
        written += len(due)
        if len(due) < BATCH:
            return written


async def _enqueue(house: House, uow: Uow, receipt: DueReceipt) -> None:
    now = uow.clock.now()
    to = await notices.addressee(uow.connection, receipt.subscriber_id)
    language = await templates.language_of(uow.connection, receipt.subscriber_id)
    template = await templates.template_of(uow.connection, Kind.RECEIPT, language)
    letter = ReceiptLetter(
        provider=house.settings.provider_name,
        name=to.name,
        written_on=now.date(),
        payment_id=receipt.payment_id,
        amount_cents=receipt.amount_cents,
        paid_on=receipt.paid_at.astimezone(house.settings.zone).date(),
        method=receipt.method,
        settled=tuple(
            Settled(row["invoice_id"], row["due_on"], int(row["cents"]), int(row["charges_cents"]))
            for row in await reminders.paid_by(uow.connection, receipt.payment_id)
        ),
        credit_cents=receipt.credit_cents,
    )
    await outbox.enqueue(
        uow.connection,
        subscriber_id=receipt.subscriber_id,
        kind=Kind.RECEIPT.value,
        reference=f"payment:{receipt.payment_id}",
        language=language.replace("_", "-"),
        wording=fill(template, receipt_values(letter, language)),
        wanted_at=now,
    )
