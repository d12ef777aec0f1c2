"""Reminders, receipts, thanks and surveys as the fields of their templates."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from api.wording.text import Language, day, money, month, one_line


@dataclass(frozen=True, slots=True)
class Reminded:
    """One invoice of a reminder, and what settles it today."""

    invoice_id: int
    contract_id: int
    due_on: date
    due_cents: int


@dataclass(frozen=True, slots=True)
class ReminderLetter:
    """All that a reminder says. `pix` are the texts to copy and paste, one for each charge."""

    provider: str
    name: str
    written_on: date
    due_on: date
    invoices: tuple[Reminded, ...]
    pix: tuple[str, ...]
    contact: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What a payment paid of one invoice: all of the money, late charges included."""

    invoice_id: int
    due_on: date
    cents: int
    charges_cents: int


@dataclass(frozen=True, slots=True)
class ReceiptLetter:
    """All that a receipt says. `credit_cents` is what no invoice took."""

    provider: str
    name: str
    written_on: date
    payment_id: int
    amount_cents: int
    paid_on: date
    method: str
    settled: tuple[Settled, ...]
    credit_cents: int


@dataclass(frozen=True, slots=True)
class OccasionLetter:
    """What thanks and a survey say. `link` and `expires_on` are the survey's."""

    provider: str
    name: str
    written_on: date
    occasion: str
    link: str = ""
    expires_on: date | None = None


def reminder_values(letter: ReminderLetter, language: Language) -> dict[str, str]:
    words = _WORDS[language]
    days = (letter.due_on - letter.written_on).days
    key = {1: "tomorrow", 0: "today"}.get(days, "ahead" if days > 0 else "late")
    on = day(letter.due_on, language)
    pix = "\n".join(one_line(text) for text in letter.pix)
    return _everywhere(letter.provider, letter.name, letter.written_on, language) | {
        "amount": money(sum(item.due_cents for item in letter.invoices), language),
        "due_on": on,
        "when": words[key].format(days=days, on=on),
        "invoices": "\n".join(
            words["invoice"].format(
                invoice_id=item.invoice_id,
                contract_id=item.contract_id,
                month=month(item.due_on, language),
                amount=money(item.due_cents, language),
            )
            for item in letter.invoices
        ),
        "means_to_pay": f"{words['pix']}\n{pix}"
        if pix
        else words["no_pix"].format(contact=one_line(letter.contact)),
        "options": words["options"].format(contact=one_line(letter.contact)),
    }


def receipt_values(letter: ReceiptLetter, language: Language) -> dict[str, str]:
    words = _WORDS[language]
    paid = [
        words["settled" if not item.charges_cents else "settled_late"].format(
            invoice_id=item.invoice_id,
            month=month(item.due_on, language),
            amount=money(item.cents, language),
            charges=money(item.charges_cents, language),
        )
        for item in letter.settled
    ]
    if letter.credit_cents:
        paid.append(words["credit"].format(amount=money(letter.credit_cents, language)))
    return _everywhere(letter.provider, letter.name, letter.written_on, language) | {
        "payment_id": str(letter.payment_id),
        "amount": money(letter.amount_cents, language),
        "paid_on": day(letter.paid_on, language),
        "method": _METHODS[language].get(letter.method, one_line(letter.method)),
        "paid": "\n".join(paid),
    }


def occasion_values(letter: OccasionLetter, language: Language) -> dict[str, str]:
    values = _everywhere(letter.provider, letter.name, letter.written_on, language)
    values["occasion"] = _OCCASIONS[language][letter.occasion]
    if letter.expires_on is not None:
        values |= {"link": letter.link, "expires_on": day(letter.expires_on, language)}
    return values


def _everywhere(provider: str, name: str, today: date, language: Language) -> dict[str, str]:
    return {
        "provider": one_line(provider),
        "name": one_line(name),
        "today": day(today, language),
    }


_WORDS: Mapping[Language, Mapping[str, str]] = {
    "pt_BR": {
        "ahead": "vence em {days} dias",
        "tomorrow": "vence amanhã",
        "today": "vence hoje",
        "late": "venceu em {on} e não consta o pagamento",
        "invoice": "- Fatura {invoice_id}, contrato {contract_id}, referência {month}: {amount}",
        "pix": "Pix copia e cola:",
        "no_pix": "Para pagar, peça o código em {contact}.",
        "options": "Para pedir prazo, parcelar ou contestar: {contact}.",
        "settled": "- Fatura {invoice_id}, referência {month}: {amount}",
        "settled_late": "- Fatura {invoice_id}, referência {month}: {amount}, dos quais {charges}"
        " de multa e juros",
        "credit": "- Crédito para as próximas faturas: {amount}",
    },
    "en": {
        "ahead": "is due in {days} days",
        "tomorrow": "is due tomorrow",
        "today": "is due today",
        "late": "was due on {on} and we have no payment for it",
        "invoice": "- Invoice {invoice_id}, contract {contract_id}, month {month}: {amount}",
        "pix": "Pix, to copy and paste:",
        "no_pix": "To pay, ask for the code at {contact}.",
        "options": "To ask for more time or instalments, or to dispute: {contact}.",
        "settled": "- Invoice {invoice_id}, month {month}: {amount}",
        "settled_late": "- Invoice {invoice_id}, month {month}: {amount}, of which {charges} are"
        " fine and interest",
        "credit": "- Credit for the next invoices: {amount}",
    },
}
# A method that is not here is said as it was entered.
_METHODS: Mapping[Language, Mapping[str, str]] = {
    "pt_BR": {"pix": "Pix", "cash": "dinheiro", "card": "cartão", "boleto": "boleto"},
    "en": {"pix": "Pix", "cash": "cash", "card": "card", "boleto": "boleto"},
}
_OCCASIONS: Mapping[Language, Mapping[str, str]] = {
    "pt_BR": {
        "activation": "Obrigado por ter escolhido a nossa internet.",
        "paid_in_time": "Obrigado por pagar as suas faturas em dia.",
        "restore": "O seu serviço foi restabelecido.",
        "dispute_closed": "A sua contestação foi respondida.",
    },
    "en": {
        "activation": "Thank you for having chosen our internet.",
        "paid_in_time": "Thank you for paying your invoices in time.",
        "restore": "Your service has been restored.",
        "dispute_closed": "Your dispute has been answered.",
    },
}
