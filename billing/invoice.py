"""An invoice: what a contract owes, what of it is paid, and what lateness adds to it."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class InvoiceState(StrEnum):
    """OPEN owes principal, PAID owes nothing, VOID never counted."""

    OPEN = "open"
    PAID = "paid"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Line:
    """One priced line. `amount_cents` is negative only for a credit to the customer."""

    description: str
    amount_cents: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """One invoice of one contract. Every amount is in cents.

    `paid_cents`, `fine_paid_cents` and `interest_paid_cents` are what payments were allocated to
    principal, fine and interest. `interest_accrued_cents` is the interest fixed when principal last
    changed while late (on `interest_since`), so that interest runs on what is still unpaid day by
    day (money rule 6); `fine_base_cents` is the principal unpaid on the first late day, None until
    a payment had to know it.
    """

    id: int
    contract_id: int
    due_on: date
    issued_at: datetime
    lines: tuple[Line, ...]
    state: InvoiceState = InvoiceState.OPEN
    paid_cents: int = 0
    fine_paid_cents: int = 0
    interest_paid_cents: int = 0
    fine_base_cents: int | None = None
    interest_accrued_cents: int = 0
    interest_since: date | None = None

    @property
    def amount_cents(self) -> int:
        """The principal: what the lines add up to."""
        return sum(line.amount_cents for line in self.lines)

    @property
    def unpaid_cents(self) -> int:
        """Principal still owed; the debt that the ladder counts (ladder rule 4)."""
        return self.amount_cents - self.paid_cents if self.state is InvoiceState.OPEN else 0
