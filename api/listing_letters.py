"""The letter before a debt is listed, as it reads at this instant.

CDC art. 43 par. 2: the opening of a record is told to the consumer in writing, before. The letter
says that the contract was rescinded, what is owed, where and from which day it may be recorded, and
how to object. It is sent as a notice is, and as with a notice the days run from the proof, never
from the intent (ADR 0030 and 0032).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape

from api.house import House
from api.notice_letter import NothingOwed, NotNow, Written
from api.store import letters, listings
from api.store.notices import Addressee
from api.store.uow import Uow
from api.wording.text import Language, Wording, day, money, one_line, page, sms
from billing.documents import mask

BUREAUS = {"spc": "SPC Brasil", "serasa": "Serasa Experian", "boa_vista": "Boa Vista (Equifax)"}


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


async def write(
    house: House, uow: Uow, letter_id: int, to: Addressee, language: str | None
) -> Written:
    """Put a letter into words, and keep what it names: on each channel no more than before.

    Args:
        house: whose name stands in it.
        uow: where to read, and to keep.
        letter_id: the letter.
        to: the person.
        language: `pt-BR` or `en` of the short text; the long one is in both.

    Raises:
        NothingOwed: it was paid, agreed on or disputed meanwhile, or more is owed than was drawn;
            or something stands against listing it.
        NotNow: nobody is cut now, and so nobody is told of a listing; that passes.
    """
    drawn = await letters.read(uow.connection, letter_id)
    desk = await uow.desk()
    today = desk.now.date()
    rules = await listings.read_rules(uow.connection)
    found = await listings.cases(
        uow.connection, desk, house.settings.timezone, contract_ids=[drawn.contract_id]
    )
    if desk.bars:
        raise NotNow(f"nobody is cut now: {', '.join(bar.value for bar in desk.bars)}")
    if any(case.situation.held(today) for case in found):
        raise NothingOwed("a hold, a promise, an agreement or another bar stands against it now")
    owed = [
        Owed(debt.invoice_id, debt.due_on, debt.unpaid_cents)
        for case in found
        for debt in case.situation.debts
        if 0 < debt.unpaid_cents <= drawn.amounts_cents.get(debt.invoice_id, 0)
    ]
    if not owed or found[0].situation.ended_on is None:
        raise NothingOwed("nothing that it lists is owed any more")
    named = {debt.invoice_id: debt.cents for debt in owed}
    await letters.name(uow.connection, letter_id, named)
    letter = Letter(
        provider=one_line(house.settings.provider_name),
        name=one_line(to.name),
        document=mask(to.document),
        contract_id=drawn.contract_id,
        ended_on=found[0].situation.ended_on,
        bureaus=drawn.bureaus,
        debts=owed,
        from_on=today + timedelta(days=rules.notice_days),
    )
    said = wording(letter, "en" if language == "en" else "pt_BR")
    return Written(said, desk.policies[drawn.policy_name].channels)


def wording(letter: Letter, language: Language) -> Wording:
    """The letter in Portuguese, with the same in English under it; the short one in one language.

    No name and no document stands in the short one, whoever reads a phone.
    """
    where = ", ".join(BUREAUS.get(name, name) for name in letter.bureaus)
    debts = [
        f"- fatura/invoice {debt.invoice_id}: {money(debt.cents, 'pt_BR')},"
        f" vencimento/due {day(debt.due_on, 'pt_BR')}"
        for debt in letter.debts
    ]
    total = money(sum(debt.cents for debt in letter.debts), "pt_BR")
    plain = "\n".join(
        [
            f"{letter.name} (CPF/CNPJ {letter.document}),",
            "",
            f"o contrato {letter.contract_id} foi rescindido por falta de pagamento; o serviço"
            f" terminou em {day(letter.ended_on, 'pt_BR')}. Permanecem em aberto {total}:",
            *debts,
            "",
            f"Se o débito não for pago, negociado ou contestado, ele poderá ser registrado em"
            f" {where} a partir de {day(letter.from_on, 'pt_BR')} (Código de Defesa do Consumidor,"
            " art. 43, § 2º). Pago o débito, o registro é retirado em até cinco dias úteis.",
            "Se já pagou, ou se discorda da cobrança, responda a esta mensagem ou fale conosco.",
            "",
            f"Contract {letter.contract_id} was rescinded for lack of payment; {total} is still"
            f" owed. Unless it is paid, agreed on or disputed, it may be recorded at {where} from"
            f" {day(letter.from_on, 'en')} on. Once paid, the record goes within five business"
            " days.",
            "",
            letter.provider,
        ]
    )
    subject = f"{letter.provider}: débito do contrato {letter.contract_id} antes do registro"
    html = page(subject, escape(plain), "pt_BR")
    return Wording(subject=subject, plain=plain, html=html, short=_short(letter, where, language))


def _short(letter: Letter, where: str, language: Language) -> str:
    debts = ", ".join(f"{debt.invoice_id} ({money(debt.cents, language)})" for debt in letter.debts)
    said = {
        "pt_BR": f"{letter.provider}: contrato {letter.contract_id} rescindido por falta de"
        f" pagamento. Em aberto: fatura {debts}. Se não for pago, negociado ou contestado, poderá"
        f" ser registrado em {where} a partir de {day(letter.from_on, language)} (CDC art. 43)."
        " Se já pagou ou discorda, fale conosco.",
        "en": f"{letter.provider}: contract {letter.contract_id} was rescinded for lack of payment."
        f" Owed: invoice {debts}. Unless it is paid, agreed on or disputed, it may be recorded at"
        f" {where} from {day(letter.from_on, language)} on (CDC art. 43). If you have paid or"
        " object, tell us.",
    }
    return sms(said[language])
