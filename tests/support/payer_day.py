"""What a payer's books remember of a day, so that a reversal can be taken as if it came first."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from billing.account import Account, Payment, ReversalKind
from billing.events import (
    AgreementAccepted,
    AgreementBroken,
    CreditUsed,
    DisputeAnswered,
    DisputeOpened,
    Fact,
    PaymentAssigned,
    PaymentPosted,
    PaymentReversed,
)
from billing.invoice import Share
from billing.reverse import Reversing
from billing.same_day import Day
from billing.settle import Waiting


@dataclass(slots=True)
class Dawn:
    """How the books stood when the day began, or after what is never undone; and what came since.

    A refund, a note, an invoice and an agreement are somebody's acts, in the order they chose.
    """

    on: date
    account: Account
    shares: tuple[Share, ...]
    payments: list[Waiting] = field(default_factory=list)
    reversals: list[Reversing] = field(default_factory=list)

    def day(self) -> Day:
        return Day(
            invoices=self.account.invoices,
            credit_cents=self.account.credit_cents,
            shares=self.shares,
            payments=tuple(self.payments),
            reversals=tuple(self.reversals),
        )

    def copy(self) -> "Dawn":
        """Another one, which goes its own way from here."""
        return replace(self, payments=list(self.payments), reversals=list(self.reversals))

    def see(self, facts: Sequence[Fact], payments: dict[int, Payment]) -> bool:
        """Take in what happened; False: it cannot be undone, the day begins anew."""
        for fact in facts:
            match fact:
                case PaymentPosted() | PaymentAssigned():
                    self.payments.append(Waiting(fact.payment, fact.payment.amount_cents))
                case PaymentReversed(reversal=reversal):
                    if reversal.kind is ReversalKind.REFUND:
                        return False
                    money = payments[reversal.payment_id]
                    self.reversals.append(Reversing(reversal, money, 0, ()))
                case CreditUsed(entry=entry):
                    if not entry.reference.startswith("reversal:"):
                        return False
                case AgreementAccepted() | AgreementBroken() | DisputeOpened() | DisputeAnswered():
                    return False
                case _:
                    if getattr(fact, "entry", None) is not None:
                        return False
        return True
