"""Money comes in: a notice is settled against the provider's own word, and posted once.

The provider is asked outside any transaction; then one transaction posts the payment, decides the
access and closes the notice. Dying anywhere in between leaves a row whose lease ends by itself.
"""

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, timedelta
from functools import partial
from typing import assert_never
from uuid import uuid4

from structlog.contextvars import bound_contextvars

from api import crashpoints
from api.clock import wall
from api.house import House
from api.posting import PaymentConflict, PostedPayment, post_payment
from api.puller import Puller
from api.store import bills, charges, guard_rows, payments
from api.store.payments import ClaimedNotice
from api.store.uow import Uow
from billing.invoice import amount_due
from billing.payments.provider import Charge, Confirmed, Notice, NotPaid, ProviderAway, Unknown

__all__ = [
    "Cashier",
    "NoProvider",
    "NothingDue",
    "PaymentConflict",
    "PostedPayment",
    "charge",
    "charge_bill",
    "post_payment",
    "reconcile",
    "settle",
]

AT_ONCE = 8
# Seconds until the next try, by how many were made; the last one goes on.
AWAY_WAITS_S = (1, 2, 5, 15, 60)
NOT_PAID_WAITS_S = (1, 2, 5, 15, 60, 300, 900)
NOT_PAID_GIVES_UP_AFTER = timedelta(hours=24)
# Below `payments.LEASE_S`, so that a slow provider does not outlast the claim.
ASK_WITHIN_S = 8.0
LIST_OVERLAP = timedelta(hours=48)

log = logging.getLogger(__name__)


class NothingDue(ValueError):
    """An invoice on which nothing is owed today cannot be charged."""


class NoProvider(LookupError):
    """No payment provider is set up, so nothing can be charged."""


async def settle(house: House, notice_id: int) -> None:
    """Settle one notice if it is due and nobody else is at it."""
    for claimed in await _claim(house, 1, notice_id=notice_id):
        await _settle_claimed(house, claimed)


async def _claim(
    house: House, limit: int, *, notice_id: int | None = None
) -> Sequence[ClaimedNotice]:
    async with house.uow("cashier", "claim") as uow:
        return await payments.claim_notices(uow.connection, limit, notice_id=notice_id)


async def _settle_claimed(house: House, notice: ClaimedNotice) -> None:
    with bound_contextvars(correlation_id=notice.correlation_id):
        crashpoints.reach("settle-claimed")
        provider = house.providers.get(notice.provider)
        if provider is None:
            await _retry(house, notice, AWAY_WAITS_S, f"{notice.provider} is not set up here")
            return
        try:
            async with asyncio.timeout(ASK_WITHIN_S):
                outcome = await provider.confirm(notice.external_id, notice.txid)
        except (ProviderAway, TimeoutError) as error:
            detail = str(error) or f"no answer within {ASK_WITHIN_S:.0f} s"
            log.warning("%s cannot be asked: %s", notice.provider, detail)
            await _retry(house, notice, AWAY_WAITS_S, detail)
            return
        crashpoints.reach("settle-asked")
        match outcome:
            case Confirmed():
                await _post(house, notice, outcome)
            case NotPaid(detail):
                if wall() - notice.received_wall > NOT_PAID_GIVES_UP_AFTER:
                    await _refuse(house, notice, f"not paid within 24 hours: {detail}")
                else:
                    await _retry(house, notice, NOT_PAID_WAITS_S, detail)
            case Unknown(detail):
                await _refuse(house, notice, detail)
            case _:
                assert_never(outcome)


async def _post(house: House, notice: ClaimedNotice, confirmed: Confirmed) -> None:
    async with house.uow("cashier", notice.correlation_id) as uow:
        if not await payments.lock_open_notice(uow.connection, notice.id):
            return
        invoice_id, bill_id, reason = None, None, "it has no txid"
        if confirmed.txid is not None:
            invoice_id, bill_id = await charges.subject_of_txid(
                uow.connection, notice.provider, confirmed.txid
            )
            reason = f"txid {confirmed.txid} is of no charge of ours"
        now = uow.clock.now()
        await guard_rows.hear(uow.connection, notice.provider, now)
        # Closed first, or the payer would still count as waiting for it.
        await payments.close_notice(uow.connection, notice.id, "settled", None)
        try:
            await post_payment(
                house,
                uow,
                provider=notice.provider,
                external_id=notice.external_id,
                amount_cents=confirmed.amount_cents,
                method=notice.provider,
                reference=confirmed.txid or "",
                # The provider lives in real time; in rehearsal that says nothing about our dates.
                paid_at=now if uow.clock.manual else confirmed.paid_at,
                invoice_id=invoice_id,
                bill_id=bill_id,
                suspense_reason=reason,
            )
        except PaymentConflict as error:
            log.error("a settled payment changed at the provider: %s", error)
            await _close(uow, notice, str(error))
        crashpoints.reach("settle-recorded")
    crashpoints.reach("settle-committed")


async def _refuse(house: House, notice: ClaimedNotice, reason: str) -> None:
    log.error("notice %s of %s is refused: %s", notice.id, notice.provider, reason)
    async with house.uow("cashier", notice.correlation_id) as uow:
        if await payments.lock_open_notice(uow.connection, notice.id):
            await _close(uow, notice, reason)


async def _close(uow: Uow, notice: ClaimedNotice, reason: str) -> None:
    await payments.close_notice(uow.connection, notice.id, "refused", reason)
    await uow.audit(
        "payment_notice.refused",
        f"payment_notice:{notice.id}",
        {
            "provider": notice.provider,
            "external_id": notice.external_id,
            "txid": notice.txid,
            "reason": reason,
        },
    )


async def _retry(house: House, notice: ClaimedNotice, waits_s: Sequence[int], why: str) -> None:
    after_s = waits_s[min(notice.attempts, len(waits_s)) - 1]
    async with house.uow("cashier", notice.correlation_id) as uow:
        await payments.retry_notice(uow.connection, notice.id, after_s, why)


async def charge(house: House, uow: Uow, invoice_id: int) -> Charge:
    """What settles an invoice today as a charge that a payer can pay, less a discount still open.

    One of the same amount that lives a day longer at least is given again. The provider is asked
    inside the caller's transaction, which must therefore hold no lock yet. The txid follows from
    invoice, amount and day: doing it again after a crash makes the same charge.

    Raises:
        LookupError: no such invoice; `NoProvider`: nobody to charge through.
        NothingDue: the invoice is paid or void.
        ProviderAway: ask again later.
    """
    found = await charges.read_invoice(uow.connection, invoice_id)
    if found is None:
        raise LookupError(f"there is no invoice {invoice_id}")
    if not house.providers:
        raise NoProvider("no payment provider is set up; see RELIGA_PIX_URL")
    due_cents = await _due_cents(uow, found)
    if due_cents <= 0:
        raise NothingDue(f"nothing is owed on invoice {invoice_id}")
    return await _charge(house, uow, due_cents, f"fatura {invoice_id}", invoice_id=invoice_id)


async def charge_bill(house: House, uow: Uow, bill_id: int) -> Charge:
    """What settles all invoices of a bill today, as `charge` does for one.

    Raises:
        LookupError: no such bill; `NoProvider`: nobody to charge through.
        NothingDue: nothing is owed on it.
        ProviderAway: ask again later.
    """
    if await bills.payer_of_bill(uow.connection, bill_id) is None:
        raise LookupError(f"there is no bill {bill_id}")
    due_cents = 0
    for invoice_id in await bills.invoices_of_bill(uow.connection, bill_id):
        found = await charges.read_invoice(uow.connection, invoice_id)
        due_cents += await _due_cents(uow, found) if found is not None else 0
    if not house.providers:
        raise NoProvider("no payment provider is set up; see RELIGA_PIX_URL")
    if due_cents <= 0:
        raise NothingDue(f"nothing is owed on bill {bill_id}")
    return await _charge(house, uow, due_cents, f"fatura conjunta {bill_id}", bill_id=bill_id)


async def _due_cents(uow: Uow, found: charges.InvoiceToCharge) -> int:
    desk = await uow.desk()
    policy = desk.policies[found.policy]
    return amount_due(found.invoice, policy, desk.calendar, desk.now.date())


async def _charge(
    house: House,
    uow: Uow,
    due_cents: int,
    text: str,
    *,
    invoice_id: int | None = None,
    bill_id: int | None = None,
) -> Charge:
    standing = await charges.living_charge(uow.connection, invoice_id, due_cents, bill_id=bill_id)
    if standing is not None:
        return standing
    name, provider = next(iter(house.providers.items()))
    # Unguessable, and another database of ours at the same provider never makes the same.
    subject = str(invoice_id) if bill_id is None else f"bill-{bill_id}"
    seed = f"{subject}:{due_cents}:{wall().date()}"
    txid = hmac.new(house.secrets.derive("txid"), seed.encode(), "sha256").hexdigest()[:32]
    made = await provider.create_charge(txid, due_cents, f"{house.settings.provider_name}: {text}")
    await charges.keep_charge(uow.connection, name, invoice_id, made, bill_id=bill_id)
    told = asdict(made) | {"provider": name, "invoice_id": invoice_id, "bill_id": bill_id}
    await uow.audit("charge.made", f"charge:{txid}", told)
    return made


async def reconcile(house: House) -> int:
    """Read what the providers received and take in what no notice told us; how many there were.

    The window reaches back 48 hours before what was read last, because a provider may list late
    (invariant M3). A provider that is away is tried again the next time, from the same place.
    """
    missing = 0
    for name, provider in house.providers.items():
        correlation_id = uuid4().hex
        until = wall()
        async with house.uow("cashier", correlation_id) as uow:
            read_until = await payments.read_watermark(uow.connection, name) or until
        try:
            received = await provider.received(read_until - LIST_OVERLAP, until)
        except ProviderAway as error:
            log.warning("the list of %s cannot be read: %s", name, error)
            continue
        async with house.uow("cashier", correlation_id) as uow:
            new_ids = await payments.take_in_listed(
                uow.connection,
                name,
                [_listed(payment) for payment in received],
                correlation_id,
                uow.clock.now(),
            )
            for notice_id in new_ids:
                uow.notify("religa_paid", str(notice_id))
            missing += len(new_ids)
            await payments.move_watermark(uow.connection, name, until)
            await guard_rows.hear(uow.connection, name, uow.clock.now())
    return missing


def _listed(payment: Confirmed) -> Notice:
    body = {
        "amount_cents": str(payment.amount_cents),
        "paid_at": payment.paid_at.astimezone(UTC).isoformat(),
    }
    said = json.dumps([payment.external_id, payment.txid, *body.values()]).encode()
    return Notice(payment.external_id, "listed", payment.txid, hashlib.sha256(said).digest(), body)


class Cashier:
    """Settles whatever is due, as it is told and by looking every second; eight at once."""

    def __init__(self, house: House) -> None:
        async def in_work() -> bool:
            async with house.uow("cashier", "drain") as uow:
                return await payments.notices_in_work(uow.connection)

        self._puller = Puller[ClaimedNotice](
            store=house.store,
            channel="religa_paid",
            at_once=AT_ONCE,
            claim=partial(_claim, house),
            work=partial(_settle_claimed, house),
            in_work=in_work,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Settle until told to stop."""
        await self._puller.run(stop)

    async def drain(self) -> int:
        """Settle everything that is due now, and wait for what others are settling."""
        return await self._puller.drain()
