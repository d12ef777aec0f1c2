"""Money that moves after it was posted: sent back, taken back, or out of suspense to its payer."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select

from api.store.money_tables import reversals
from api.store.payments import lock_payment_key
from api.store.shares import lock_payment, shares_of_payer
from api.store.today import day_of
from api.store.uow import Uow
from billing.account import Refused, Reversal, ReversalKind, assign_payment, reverse_payment
from billing.calendar import day_start, zone_of
from billing.ledger import suspense_reversal_entry
from billing.reverse import Reversing, refuse_excess
from billing.same_day import reverse_within_day
from billing.settle import Waiting


class UnknownPayment(LookupError):
    """No payment has this number."""


class ReversalConflict(Exception):
    """The same provider, id and kind, recorded before with other particulars."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to go back. `amount_cents` None: all that is left of the payment."""

    kind: ReversalKind
    external_id: str
    amount_cents: int | None
    author: str
    reason: str


async def reverse(uow: Uow, payment_id: int, asked: Asked) -> tuple[int, bool]:
    """Record a reversal once; its id, and whether it is new.

    Raises:
        UnknownPayment: there is no such payment.
        ReversalConflict: another one stands under this provider, id and kind.
        Refused: it is more than what is left of the payment.
    """
    now = uow.clock.now()
    found = await lock_payment(uow.connection, payment_id, now.tzinfo)
    if found is None:
        raise UnknownPayment(f"there is no payment {payment_id}")
    payment = found.payment
    key = f"{asked.kind}:{asked.external_id}"
    await lock_payment_key(uow.connection, payment.provider, key)
    standing = await _standing(uow, payment.provider, asked)
    if standing is not None:
        reversal_id, of_payment, cents = standing
        if of_payment != payment_id or asked.amount_cents not in (None, cents):
            raise ReversalConflict(
                f"{asked.kind} {asked.external_id} is of payment {of_payment} and of {cents} cents;"
                " a different one needs a different reference"
            )
        return reversal_id, False
    left_cents = payment.amount_cents - found.reversed_cents
    reversal = Reversal(
        id=await uow.draw("reversals"),
        kind=asked.kind,
        payment_id=payment_id,
        provider=payment.provider,
        external_id=asked.external_id,
        amount_cents=left_cents if asked.amount_cents is None else asked.amount_cents,
        author=asked.author,
        reason=asked.reason,
        at=now,
    )
    if found.subscriber_id is None:
        refuse_excess(reversal, payment, found.reversed_cents)
        await uow.record_suspense_reversal(reversal, suspense_reversal_entry(reversal, payment))
        return reversal.id, True
    shares = await shares_of_payer(uow.connection, found.subscriber_id)
    account = await uow.account(
        found.subscriber_id, sorted({share.allocation.invoice_id for share in shares})
    )
    # Read again under the payer's lock: what was allocated meanwhile counts.
    shares = await shares_of_payer(uow.connection, found.subscriber_id)
    reversing = Reversing(reversal, payment, found.reversed_cents, shares)
    desk = await uow.desk()
    day = None
    if asked.kind is not ReversalKind.REFUND:  # that is our act, in the order that we choose
        day = await day_of(uow.connection, account, shares, day_start(now.date(), zone_of(now)))
    if day is None:
        _, facts = reverse_payment(account, reversing, desk)
    else:
        _, facts = reverse_within_day(account, reversing, day, desk)
    await uow.record(account, facts)
    return reversal.id, True


async def _standing(uow: Uow, provider: str, asked: Asked) -> tuple[int, int, int] | None:
    row = (
        await uow.connection.execute(
            select(reversals.c.id, reversals.c.payment_id, reversals.c.amount_cents).where(
                reversals.c.provider == provider,
                reversals.c.external_id == asked.external_id,
                reversals.c.kind == asked.kind,
            )
        )
    ).one_or_none()
    return None if row is None else (row.id, row.payment_id, row.amount_cents)


async def assign(
    uow: Uow, payment_id: int, *, invoice_id: int | None, subscriber_id: int | None
) -> None:
    """Give money out of suspense to the payer of an invoice, or to a subscriber.

    Raises:
        UnknownPayment: there is no such payment.
        LookupError: there is no such invoice or subscriber.
        Refused: the payment does not wait in suspense, or all of it went back.
    """
    now: datetime = uow.clock.now()
    found = await lock_payment(uow.connection, payment_id, now.tzinfo)
    if found is None:
        raise UnknownPayment(f"there is no payment {payment_id}")
    if found.subscriber_id is not None:
        raise Refused(f"payment {payment_id} is credited already; it does not wait in suspense")
    payer = subscriber_id
    if invoice_id is not None:
        payer = await uow.payer_of_invoice(invoice_id)
    if payer is None:
        raise LookupError(f"there is no invoice {invoice_id}")
    account = await uow.account(payer, [invoice_id] if invoice_id is not None else [])
    payment = replace(found.payment, invoice_id=invoice_id)
    waiting = Waiting(payment, payment.amount_cents - found.reversed_cents)
    _, facts = assign_payment(account, waiting, await uow.desk())
    await uow.record(account, facts)
