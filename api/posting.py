"""Posting money, once, by whichever door it came: a provider's word or an operator's."""

import logging
from dataclasses import dataclass
from datetime import datetime

from api.house import House
from api.store import payments
from api.store.bills import payer_of_bill
from api.store.payments import PaymentRow
from api.store.uow import Uow
from billing.account import Payment, clear_payment
from billing.events import PaymentPosted
from billing.ledger import suspense_entry

log = logging.getLogger(__name__)


class PaymentConflict(Exception):
    """The same provider and id, already posted with other particulars."""


@dataclass(frozen=True, slots=True)
class PostedPayment:
    """`state` is `posted` or `suspense`; `credit_cents` is what no invoice took."""

    id: int
    state: str
    suspense_reason: str | None
    credit_cents: int


async def post_payment(
    house: House,
    uow: Uow,
    *,
    provider: str,
    external_id: str,
    amount_cents: int,
    method: str,
    reference: str,
    paid_at: datetime,
    invoice_id: int | None,
    bill_id: int | None = None,
    suspense_reason: str = "it names no invoice",
) -> PostedPayment:
    """Post money once. The same again answers what was posted.

    An invoice that does not exist (or None, without a bill) puts the money into suspense, with the
    reason, for a person to look at; money is never guessed onto an account (invariant M15).

    Raises:
        PaymentConflict: other money stands under this provider and id.
    """
    standing = await payments.lock_payment_key(uow.connection, provider, external_id)
    if standing is not None:
        asked = (amount_cents, method, reference, invoice_id, bill_id)
        return _same(standing, provider, external_id, asked)
    payer = None if invoice_id is None else await uow.payer_of_invoice(invoice_id)
    if bill_id is not None:
        payer = await payer_of_bill(uow.connection, bill_id)
        if payer is None:
            suspense_reason = f"it names bill {bill_id}, which does not exist"
    if invoice_id is not None and payer is None:
        suspense_reason = f"it names invoice {invoice_id}, which does not exist"
    now = uow.clock.now()
    payment = Payment(
        id=await uow.draw("payments"),
        provider=provider,
        external_id=external_id,
        amount_cents=amount_cents,
        method=method,
        reference=reference,
        # A clock that runs ahead of ours must not date a payment in the future.
        paid_at=min(paid_at, now).astimezone(now.tzinfo),
        cleared_at=now,
        invoice_id=None if payer is None else invoice_id,
        bill_id=None if payer is None else bill_id,
    )
    if payer is None:
        await uow.record_suspense(payment, suspense_reason, suspense_entry(payment))
        log.warning("payment %s is in suspense: %s", payment.id, suspense_reason)
        return PostedPayment(payment.id, "suspense", suspense_reason, 0)
    # What was written off is paid too, if it is named.
    before = await uow.account(payer, [invoice_id] if invoice_id is not None else [])
    _, facts = clear_payment(before, payment, await uow.desk())
    await uow.record(before, facts)
    credit = sum(fact.credit_cents for fact in facts if isinstance(fact, PaymentPosted))
    return PostedPayment(payment.id, "posted", None, credit)


def _same(
    standing: PaymentRow,
    provider: str,
    external_id: str,
    asked: tuple[int, str, str, int | None, int | None],
) -> PostedPayment:
    names = (standing.invoice_id, standing.bill_id)
    same = (standing.amount_cents, standing.method, standing.reference) == asked[:3]
    # In suspense no invoice is kept, because it may not exist; one out of it was given by hand.
    if not same or (standing.suspense_reason is None and names != asked[3:]):
        raise PaymentConflict(
            f"{provider} {external_id} is payment {standing.id} of {standing.amount_cents} cents,"
            " with other particulars; a different payment needs a different reference"
        )
    return PostedPayment(
        standing.id, standing.state, standing.suspense_reason, standing.credit_cents
    )
