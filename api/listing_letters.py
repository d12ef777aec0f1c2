"""The letters before a debt is listed: written, kept as a file, sent, and then proven.

CDC art. 43 par. 2: the opening of a record is told to the consumer in writing, before. The letter
says that the contract was rescinded, what is owed, where and from which day it may be recorded, and
how to object. As with a notice, the days run from the proof, never from the intent.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from typing import assert_never
from uuid import uuid4

from api import mail
from api.channels.channel import BadAddress, Outcome, Postponed, Refused, Sent
from api.explain import money
from api.house import House
from api.listings import LETTERS_CHANNEL
from api.notice_text import Wording
from api.puller import Puller
from api.store import letters, listings, notices
from api.store.letters import Claimed
from api.store.uow import Uow
from billing.documents import mask

AT_ONCE = 4
WAITS_S = (10, 60, 300, 900, 3600)
BUREAUS = {"spc": "SPC Brasil", "serasa": "Serasa Experian", "boa_vista": "Boa Vista (Equifax)"}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Owed:
    """One debt that the letter names; principal."""

    invoice_id: int
    due_on: date
    cents: int


@dataclass(frozen=True, slots=True)
class Letter:
    """All that it says. `from_on` is the first day on which a record may be made."""

    provider: str
    name: str
    document: str
    contract_id: int
    ended_on: date
    bureaus: Sequence[str]
    debts: Sequence[Owed]
    from_on: date


def wording(letter: Letter) -> Wording:
    """The letter in Portuguese, with the same in English under it."""
    where = ", ".join(BUREAUS.get(name, name) for name in letter.bureaus)
    debts = [
        f"- fatura/invoice {debt.invoice_id}: {money('pt-BR', debt.cents)},"
        f" vencimento/due {debt.due_on:%d/%m/%Y}"
        for debt in letter.debts
    ]
    total = money("pt-BR", sum(debt.cents for debt in letter.debts))
    plain = "\n".join(
        [
            f"{letter.name} (CPF/CNPJ {mask(letter.document)}),",
            "",
            f"o contrato {letter.contract_id} foi rescindido por falta de pagamento; o serviço"
            f" terminou em {letter.ended_on:%d/%m/%Y}. Permanecem em aberto {total}:",
            *debts,
            "",
            f"Se o débito não for pago, negociado ou contestado, ele poderá ser registrado em"
            f" {where} a partir de {letter.from_on:%d/%m/%Y} (Código de Defesa do Consumidor,"
            " art. 43, § 2º). Pago o débito, o registro é retirado em até cinco dias úteis.",
            "Se já pagou, ou se discorda da cobrança, responda a esta mensagem ou fale conosco.",
            "",
            f"Contract {letter.contract_id} was rescinded for lack of payment; {total} is still"
            f" owed. Unless it is paid, agreed on or disputed, it may be recorded at {where} from"
            f" {letter.from_on:%Y-%m-%d} on. Once paid, the record goes within five business days.",
            "",
            letter.provider,
        ]
    )
    html = "<html><body>" + "".join(f"<p>{escape(x)}</p>" for x in plain.split("\n") if x)
    subject = f"{letter.provider}: débito do contrato {letter.contract_id} antes do registro"
    return Wording(subject=subject, plain=plain, html=html + "</body></html>")


class LetterWriter:
    """Sends whatever is drawn, as it is told and by looking every second.

    Raises:
        ValueError: at construction, if RELIGA_SMTP_URL or RELIGA_MAIL_FROM is not usable.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._route = mail.route_of(house.settings)
        self._sender = mail.address(house.settings.provider_name, house.settings.mail_from)
        self._folder = house.settings.data_dir / "mail"
        self._key = house.secrets.derive("message-id")
        self._puller = Puller[Claimed](
            store=house.store,
            channel=LETTERS_CHANNEL,
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

    async def _deliver(self, claimed: Claimed) -> None:
        correlation_id = uuid4().hex
        async with self._uow(correlation_id) as uow:
            to = await notices.addressee(uow.connection, claimed.subscriber_id)
            written = await self._written(uow, claimed, to.name, to.document)
            at = uow.clock.now()
        if written is None:
            await self._fail(claimed, "nothing that it lists is owed any more", correlation_id)
            return
        if not to.email:
            await self._fail(claimed, "the subscriber has no e-mail address", correlation_id)
            return
        tag = hmac.new(self._key, f"letter:{claimed.id}".encode(), "sha256").hexdigest()[:16]
        message_id = f"letter-{claimed.id}.{tag}@{self._sender.domain}"
        try:
            recipient = mail.address(to.name, to.email)
        except BadAddress as error:
            await self._fail(claimed, str(error), correlation_id)
            return
        content = mail.compose(
            sender=self._sender,
            to=recipient,
            wording=wording(written),
            message_id=message_id,
            at=at,
        )
        outcome = await self._send(recipient.addr_spec, message_id, content)
        match outcome:
            case Sent(channel):
                digest = hashlib.sha256(content).digest()
                async with self._uow(correlation_id) as uow:
                    await letters.prove(
                        uow.connection,
                        claimed.id,
                        uow.clock.now(),
                        amounts_cents={debt.invoice_id: debt.cents for debt in written.debts},
                        channel=channel,
                        address=recipient.addr_spec,
                        message_id=message_id,
                        content_sha256=digest,
                    )
                    told = {"letter_id": claimed.id, "channel": channel, "sha256": digest.hex()}
                    subject = f"contract:{claimed.contract_id}"
                    await uow.audit("listing.letter_proven", subject, told)
            case Refused(reason):
                await self._fail(claimed, reason, correlation_id)
            case Postponed(reason):
                log.warning("letter %s waits: %s", claimed.id, reason)
                after_s = WAITS_S[min(claimed.attempts, len(WAITS_S)) - 1]
                async with self._uow(correlation_id) as uow:
                    await letters.retry(uow.connection, claimed.id, after_s, reason)
            case _:
                assert_never(outcome)

    async def _written(self, uow: Uow, claimed: Claimed, name: str, document: str) -> Letter | None:
        """What it says now; None: a payment came first, or more is owed than was drawn."""
        today = uow.clock.now().date()
        rules = await listings.read_rules(uow.connection)
        zone = self._house.settings.timezone
        found = await listings.cases(
            uow.connection, today, zone, contract_ids=[claimed.contract_id]
        )
        owed = [
            Owed(debt.invoice_id, debt.due_on, debt.unpaid_cents)
            for case in found
            for debt in case.situation.debts
            if 0 < debt.unpaid_cents <= claimed.amounts_cents.get(debt.invoice_id, 0)
        ]
        if not owed or found[0].situation.ended_on is None:
            return None
        return Letter(
            provider=self._house.settings.provider_name,
            name=name,
            document=document,
            contract_id=claimed.contract_id,
            ended_on=found[0].situation.ended_on,
            bureaus=claimed.bureaus,
            debts=owed,
            from_on=today + timedelta(days=rules.notice_days),
        )

    async def _send(self, recipient: str, message_id: str, content: bytes) -> Outcome:
        try:
            # Kept before it is sent: with a full disk there is no proof, so nothing goes out.
            await asyncio.to_thread(mail.keep, self._folder, message_id, content)
        except OSError as error:
            return Postponed(f"it cannot be kept under {self._folder}: {error.strerror}")
        if self._route is None:
            return Sent("eml_file")
        return await mail.send(self._route, self._sender.addr_spec, recipient, content)

    async def _fail(self, claimed: Claimed, reason: str, correlation_id: str) -> None:
        log.warning("letter %s failed", claimed.id)
        async with self._uow(correlation_id) as uow:
            await letters.fail(uow.connection, claimed.id, reason, uow.clock.now())
            told = {"letter_id": claimed.id, "reason": reason}
            await uow.audit("listing.letter_failed", f"contract:{claimed.contract_id}", told)

    async def _claim(self, limit: int) -> list[Claimed]:
        async with self._uow("claim") as uow:
            return await letters.claim(uow.connection, limit)

    async def _in_work(self) -> bool:
        async with self._uow("drain") as uow:
            return await letters.in_work(uow.connection)

    def _uow(self, correlation_id: str) -> Uow:
        return self._house.uow("letter writer", correlation_id)
