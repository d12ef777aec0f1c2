"""A disputed charge: how much of it is frozen, by when it is answered, what an answer gives back.

Source: RGC 2023 as `prestadoras de pequeno porte` read it (dispute up to 3 years from the charge,
answer in 30 days, double refund), CDC art. 42, decree 11.034/2022 (SAC answers in 7 days), ladder
rule 11; choices that they leave open are in ADR 0025.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Final

from billing.calendar import ONE_DAY
from billing.invoice import Invoice
from billing.money import half_up
from billing.refusal import Refused

ANSWER_DAYS: Final = 30
SAC_DAYS: Final = 7
# The bill of the undisputed part, or of a rejected one, is there so many days before it is due.
BILL_DAYS: Final = 5
YEARS_BACK: Final = 3


class DisputeState(StrEnum):
    """OPEN waits for the answer; UNANSWERED: the days ran out, decided for the customer."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute of `cents` of an invoice. Its instants are in the provider's zone.

    Attributes:
        frozen_cents: what of it was unpaid when it was opened; nobody collects it meanwhile.
        frozen_id: the invoice that holds that part: the disputed one itself if there was no
            undisputed rest, else one of its own; None: all of it was paid.
        paid_on: first local day on which the invoice was paid anything; None: nothing was.
        answer: the reasons, as the customer is told them.
    """

    id: int
    invoice_id: int
    contract_id: int
    cents: int
    frozen_cents: int
    reason: str
    author: str
    opened_at: datetime
    state: DisputeState = DisputeState.OPEN
    frozen_id: int | None = None
    paid_on: date | None = None
    answer: str = ""
    answered_by: str = ""
    answered_at: datetime | None = None

    @property
    def sac_due_on(self) -> date:
        """The last day for the customer service's own answer."""
        return self.opened_at.date() + timedelta(days=SAC_DAYS)

    @property
    def answer_due_on(self) -> date:
        """The last day on which it may be answered."""
        return self.opened_at.date() + timedelta(days=ANSWER_DAYS)

    @property
    def lapses_on(self) -> date:
        """The first day on which it is decided for the customer."""
        return self.answer_due_on + ONE_DAY

    @property
    def paid_cents(self) -> int:
        """What of the disputed sum was paid before it was opened."""
        return self.cents - self.frozen_cents

    @property
    def standing_cents(self) -> int:
        """What of the disputed sum the disputed invoice still asks for, or asked for and got."""
        if self.state in (DisputeState.ACCEPTED, DisputeState.UNANSWERED):
            return 0
        return self.cents if self.frozen_id == self.invoice_id else self.paid_cents


@dataclass(frozen=True, slots=True)
class Refund:
    """What the customer gets back for an undue charge that was paid, in cents."""

    paid_cents: int
    penalty_cents: int
    interest_cents: int

    @property
    def total_cents(self) -> int:
        """All of it."""
        return self.paid_cents + self.penalty_cents + self.interest_cents


def may_dispute(invoice: Invoice, cents: int, earlier: Sequence[Dispute], today: date) -> None:
    """Pass if `cents` of the invoice may be disputed today.

    Args:
        invoice: as it stands.
        cents: the disputed sum.
        earlier: disputes of the same invoice, in any order.
        today: local date.

    Raises:
        Refused: not a sum from 1 cent to what of the invoice was never disputed, one is open
            already, or the charge is too old.
    """
    if any(item.state is DisputeState.OPEN for item in earlier):
        raise Refused(f"a dispute of invoice {invoice.id} is open; answer that first")
    answered_cents = sum(item.standing_cents for item in earlier)
    left_cents = invoice.amount_cents - invoice.discount_cents - answered_cents
    if left_cents <= 0:
        raise Refused(f"all of invoice {invoice.id} was disputed and answered already")
    if not 1 <= cents <= left_cents:
        raise Refused(
            f"a dispute of invoice {invoice.id} is of 1 to {left_cents} cents, not {cents}"
        )
    last_on = years_later(invoice.due_on, YEARS_BACK)
    if today > last_on:
        raise Refused(
            f"invoice {invoice.id} was due on {invoice.due_on}; a charge may be disputed for"
            f" {YEARS_BACK} years, until {last_on}"
        )


def refund(paid_cents: int, paid_on: date, answered_on: date) -> Refund:
    """Double of what was paid and undue, and 1 % a month (1/3000 a day) on that."""
    days = max(0, (answered_on - paid_on).days)
    return Refund(paid_cents, paid_cents, half_up(Fraction(2 * paid_cents * days, 3000)))


def stood_still(dispute: Dispute, since: date, today: date) -> int:
    """For how many days from `since` on this dispute has stopped a notice of its invoice."""
    until = dispute.answered_at.date() if dispute.answered_at is not None else today
    return max(0, (until - max(since, dispute.opened_at.date())).days)


def years_later(day: date, years: int) -> date:
    """The same date some years later; 29 February becomes the 28th where there is none."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)
