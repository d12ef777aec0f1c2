"""A made-up letter of every kind, as long as they become: for checks and previews."""

from datetime import date

from api import notice_text
from api.notice_text import Deadline, Letter, OwedInvoice
from api.wording.letters import (
    OccasionLetter,
    ReceiptLetter,
    Reminded,
    ReminderLetter,
    Settled,
    occasion_values,
    receipt_values,
    reminder_values,
)
from api.wording.template import Kind
from api.wording.text import Language
from billing.access import Level

_NAME = "Maria Exemplo da Silva & Filhos"
_TODAY = date(2026, 9, 4)
# As long as such a code becomes; it pays nothing.
_PIX = "00020101021226" + "EXEMPLO" * 22 + "6304ABCD"
_LINK = "https://central.exemplo.invalid/surveys/" + "Exemplo" * 6


def example(kind: Kind, language: Language, provider: str) -> dict[str, str]:
    """A value for every field of this kind."""
    match kind:
        case Kind.NOTICE:
            return notice_text.values(_notice(provider), language)
        case Kind.REMINDER:
            invoices = (Reminded(1001, 501, date(2026, 9, 9), 9990),)
            return reminder_values(
                ReminderLetter(
                    provider, _NAME, _TODAY, date(2026, 9, 9), invoices, (_PIX,), "0800 000 0000"
                ),
                language,
            )
        case Kind.RECEIPT:
            settled = (Settled(1001, date(2026, 9, 1), 10203, 213),)
            return receipt_values(
                ReceiptLetter(provider, _NAME, _TODAY, 7001, 12000, _TODAY, "pix", settled, 1797),
                language,
            )
        case Kind.THANKS | Kind.SURVEY:
            return occasion_values(
                OccasionLetter(provider, _NAME, _TODAY, "activation", _LINK, date(2026, 9, 18)),
                language,
            )


def _notice(provider: str) -> Letter:
    return Letter(
        notice_id=3001,
        provider=provider,
        name=_NAME,
        document="***.456.789-**",
        written_on=_TODAY,
        notice_days=15,
        deadlines=(
            Deadline(Level.REDUCED, date(2026, 9, 19)),
            Deadline(Level.WALLED, date(2026, 10, 4)),
        ),
        invoices=(
            OwedInvoice(1001, 501, date(2026, 7, 1), 9990, 10203, _PIX),
            OwedInvoice(1002, 501, date(2026, 8, 1), 123456, 126345, None),
        ),
    )
