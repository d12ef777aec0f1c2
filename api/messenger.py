"""Notices go out: written, kept as a file, sent, and then recorded as proven. In that order.

The Message-ID follows from the notice, so dying between sending and recording sends the same
message at most once more; the ladder counts from the record, never from the intent.
"""

import asyncio
import hashlib
import hmac
import logging
from dataclasses import dataclass
from typing import assert_never
from uuid import uuid4

from structlog.contextvars import bound_contextvars

from api import crashpoints, mail
from api.house import House
from api.mail import BadAddress, Postponed, Refused, Sent
from api.notice_text import (
    Letter,
    OwedInvoice,
    deadlines,
    render,
    rescission_days,
    soonest,
)
from api.puller import Puller
from api.store import charges, notices
from api.store.notices import Addressee, ClaimedNotice
from api.store.uow import Uow
from billing.account import prove_notice, review
from billing.documents import mask
from billing.invoice import amount_due
from billing.policy import Policy

AT_ONCE = 4
WAITS_S = (10, 60, 300, 900, 3600)
MAIL_FOLDER = "mail"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Message:
    """A notice ready to go: exactly these bytes are sent, kept and hashed."""

    id: str
    recipient: str
    content: bytes


class _CannotBeSent(Exception):
    """This notice has nobody to go to, or nothing to say any more."""


class Messenger:
    """Sends whatever is drawn, as it is told and by looking every second; four at once.

    Raises:
        ValueError: at construction, if RELIGA_SMTP_URL or RELIGA_MAIL_FROM is not usable.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._route = mail.route_of(house.settings)
        self._sender = mail.address(house.settings.provider_name, house.settings.mail_from)
        self._folder = house.settings.data_dir / MAIL_FOLDER
        self._key = house.secrets.derive("message-id")
        self._puller = Puller[ClaimedNotice](
            store=house.store,
            channel="religa_notices",
            at_once=AT_ONCE,
            claim=self._claim,
            work=self._deliver,
            in_work=self._in_work,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Send until told to stop."""
        await self._puller.run(stop)

    async def drain(self) -> int:
        """Send everything that is due now, and wait for what others are sending."""
        return await self._puller.drain()

    async def _claim(self, limit: int) -> list[ClaimedNotice]:
        async with self._uow("claim") as uow:
            return await notices.claim(uow.connection, limit)

    async def _in_work(self) -> bool:
        async with self._uow("drain") as uow:
            return await notices.in_work(uow.connection)

    async def _deliver(self, notice: ClaimedNotice) -> None:
        correlation_id = uuid4().hex
        with bound_contextvars(correlation_id=correlation_id):
            try:
                async with self._uow(correlation_id) as uow:
                    message = await self._write(uow, notice)
            except (_CannotBeSent, BadAddress) as error:
                await self._fail(notice, str(error), correlation_id)
                return
            outcome = await self._send(message)
            crashpoints.reach("notice-sent")
            match outcome:
                case Sent(channel):
                    await self._prove(notice, message, channel, correlation_id)
                case Refused(reason):
                    await self._fail(notice, reason, correlation_id)
                case Postponed(reason):
                    log.warning("notice %s waits: %s", notice.id, reason)
                    after_s = WAITS_S[min(notice.attempts, len(WAITS_S)) - 1]
                    async with self._uow(correlation_id) as uow:
                        await notices.retry(uow.connection, notice.id, after_s, reason)
                case _:
                    assert_never(outcome)

    async def _write(self, uow: Uow, notice: ClaimedNotice) -> _Message:
        """The notice as it reads at this instant, without locking the account."""
        to = await notices.addressee(uow.connection, notice.subscriber_id)
        if not to.email:
            raise _CannotBeSent("the subscriber has no e-mail address")
        recipient = mail.address(to.name, to.email)
        letter = await self._letter(uow, notice, to)
        tag = hmac.new(self._key, str(notice.id).encode(), "sha256").hexdigest()[:16]
        message_id = f"notice-{notice.id}.{tag}@{self._sender.domain}"
        content = mail.compose(
            sender=self._sender,
            to=recipient,
            wording=render(letter),
            message_id=message_id,
            at=uow.clock.now(),
        )
        return _Message(message_id, recipient.addr_spec, content)

    async def _letter(self, uow: Uow, notice: ClaimedNotice, to: Addressee) -> Letter:
        desk = await uow.desk()
        today = desk.now.date()
        owed: list[OwedInvoice] = []
        policies: list[Policy] = []
        for invoice_id in notice.invoice_ids:
            found = await charges.read_invoice(uow.connection, invoice_id)
            if found is None or found.invoice.unpaid_cents == 0:
                continue
            policy = desk.policies[found.policy]
            due_cents = amount_due(found.invoice, policy, desk.calendar, today)
            charge = await charges.living_charge(uow.connection, invoice_id, due_cents)
            owed.append(
                OwedInvoice(
                    invoice_id=invoice_id,
                    contract_id=found.invoice.contract_id,
                    due_on=found.invoice.due_on,
                    unpaid_cents=found.invoice.unpaid_cents,
                    due_cents=due_cents,
                    copy_and_paste=None if charge is None else charge.copy_and_paste,
                )
            )
            policies.append(policy)
        if not owed:
            raise _CannotBeSent("nothing that it lists is unpaid any more")
        policy = soonest(policies, today)
        return Letter(
            notice_id=notice.id,
            provider=self._house.settings.provider_name,
            name=to.name,
            document=mask(to.document),
            written_on=today,
            notice_days=policy.notice_days,
            deadlines=deadlines(policy, today),
            rescission_after_days=rescission_days(policy),
            invoices=tuple(sorted(owed, key=lambda item: (item.due_on, item.invoice_id))),
        )

    async def _send(self, message: _Message) -> mail.Outcome:
        try:
            # Kept before it is sent: with a full disk there is no proof, so nothing goes out.
            await asyncio.to_thread(mail.keep, self._folder, message.id, message.content)
        except OSError as error:
            return Postponed(f"it cannot be kept under {self._folder}: {error.strerror}")
        if self._route is None:
            return Sent("eml_file")
        return await mail.send(
            self._route, self._sender.addr_spec, message.recipient, message.content
        )

    async def _prove(
        self, notice: ClaimedNotice, message: _Message, channel: str, correlation_id: str
    ) -> None:
        async with self._uow(correlation_id) as uow:
            before = await uow.account(notice.subscriber_id)
            if not await notices.is_drawn(uow.connection, notice.id):
                return
            if all(drawn.id != notice.id for drawn in before.notices):
                await self._give_up(uow, notice, "it was paid while the notice was on its way")
                return
            await notices.keep_proof(
                uow.connection,
                notice.id,
                channel=channel,
                address=message.recipient,
                message_id=message.id,
                content_sha256=hashlib.sha256(message.content).digest(),
            )
            desk = await uow.desk()
            _, facts = prove_notice(before, notice.id, uow.clock.now(), desk)
            await uow.record(before, facts)

    async def _fail(self, notice: ClaimedNotice, reason: str, correlation_id: str) -> None:
        """Give it up, for the list that people work through; the account says when to try anew."""
        log.warning("notice %s failed: %s", notice.id, reason)
        async with self._uow(correlation_id) as uow:
            await uow.account(notice.subscriber_id)  # the lock, before the row
            if not await notices.is_drawn(uow.connection, notice.id):
                return
            await self._give_up(uow, notice, reason)
            account = await uow.account(notice.subscriber_id)
            _, facts = review(account, await uow.desk())
            await uow.record(account, facts)

    async def _give_up(self, uow: Uow, notice: ClaimedNotice, reason: str) -> None:
        await notices.fail(uow.connection, notice.id, reason, uow.clock.now())
        await uow.audit(
            "notice.failed",
            f"notice:{notice.id}",
            {"subscriber_id": notice.subscriber_id, "reason": reason},
        )

    def _uow(self, correlation_id: str) -> Uow:
        return self._house.uow("messenger", correlation_id)
