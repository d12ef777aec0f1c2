"""An invoice: what a contract owes, what of it is paid, and what lateness adds to it.

Source: money rules 6 (late charges) and 7 (allocation; Código Civil art. 354).
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction

from billing.calendar import Calendar, next_bank_day
from billing.money import half_up
from billing.policy import Policy


class InvoiceState(StrEnum):
    """OPEN owes principal, PAID owes nothing, VOID never counted."""

    OPEN = "open"
    PAID = "paid"
    VOID = "void"


class Kind(StrEnum):
    """What a line charges for, and so which revenue it is.

    SCM is the telecom service, SVA a value-added one (money rule 9).
    """

    SCM = "scm"
    SVA = "sva"
    ONE_OFF = "one_off"
    PENALTY = "penalty"
    INSTALMENT = "instalment"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Line:
    """One priced line. `amount_cents` is negative only for a credit to the customer.

    Attributes:
        service: code of the product that it charges for or credits; empty: of none.
        from_on: first local day that it is for; None: for no span of days.
        until_on: the day after the last.
        conditional: a discount that holds only if paid in time (money rule 5). Its amount is
            negative and no part of the principal.
    """

    description: str
    amount_cents: int
    kind: Kind = Kind.OTHER
    service: str = ""
    from_on: date | None = None
    until_on: date | None = None
    conditional: bool = False


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
        """The principal: what the lines add up to, without discounts that lateness forfeits."""
        return sum(line.amount_cents for line in self.lines if not line.conditional)

    @property
    def unpaid_cents(self) -> int:
        """Principal still owed; the debt that the ladder counts (ladder rule 4)."""
        return self.amount_cents - self.paid_cents if self.state is InvoiceState.OPEN else 0


@dataclass(frozen=True, slots=True)
class Allocation:
    """How much of a payment (or of credit) went to one invoice, in cents."""

    invoice_id: int
    interest_cents: int
    fine_cents: int
    principal_cents: int

    @property
    def total_cents(self) -> int:
        """All of it."""
        return self.interest_cents + self.fine_cents + self.principal_cents


def charges(invoice: Invoice, policy: Policy, calendar: Calendar, today: date) -> tuple[int, int]:
    """Late charges still owed on `today`: `(fine_cents, interest_cents)`.

    Zero until the due date, or the next bank day when it is none, has passed; from then on they
    count from the due date itself. No charge is counted on a charge.
    """
    if invoice.state is not InvoiceState.OPEN or not _is_late(invoice, calendar, today):
        return 0, 0
    fine = half_up(Fraction(_fine_base_cents(invoice) * policy.fine_basis_points, 10_000))
    interest = _interest_cents(invoice, policy, today)
    return max(0, fine - invoice.fine_paid_cents), max(0, interest - invoice.interest_paid_cents)


def amount_due(invoice: Invoice, policy: Policy, calendar: Calendar, today: date) -> int:
    """What settles the invoice on `today`, in cents: unpaid principal, fine and interest."""
    fine, interest = charges(invoice, policy, calendar, today)
    return invoice.unpaid_cents + fine + interest


def allocate(
    invoice: Invoice, cents: int, policy: Policy, calendar: Calendar, paid_on: date
) -> tuple[Invoice, Allocation, int]:
    """Let `cents` paid on `paid_on` pay interest, then fine, then principal.

    Returns:
        The invoice after it, what went where, and the cents that it did not need.
    """
    fine_owed, interest_owed = charges(invoice, policy, calendar, paid_on)
    interest = min(cents, interest_owed)
    fine = min(cents - interest, fine_owed)
    principal = min(cents - interest - fine, invoice.unpaid_cents)
    after = replace(
        invoice,
        paid_cents=invoice.paid_cents + principal,
        fine_paid_cents=invoice.fine_paid_cents + fine,
        interest_paid_cents=invoice.interest_paid_cents + interest,
    )
    if invoice.state is InvoiceState.OPEN and _is_late(invoice, calendar, paid_on):
        after = replace(after, fine_base_cents=_fine_base_cents(invoice))
        if principal:
            after = replace(
                after,
                interest_accrued_cents=_interest_cents(invoice, policy, paid_on),
                interest_since=max(paid_on, invoice.interest_since or paid_on),
            )
    elif invoice.fine_base_cents is not None:
        # Paid in time and learnt of late: it was not unpaid on the first late day after all.
        after = replace(after, fine_base_cents=invoice.fine_base_cents - principal)
    if after.state is InvoiceState.OPEN and after.unpaid_cents == 0:
        after = replace(after, state=InvoiceState.PAID)
    allocation = Allocation(invoice.id, interest, fine, principal)
    return after, allocation, cents - allocation.total_cents


def _is_late(invoice: Invoice, calendar: Calendar, today: date) -> bool:
    return today > next_bank_day(calendar, invoice.due_on)


def _fine_base_cents(invoice: Invoice) -> int:
    # Until a payment comes late, what is unpaid now is what was unpaid on the first late day.
    base = invoice.fine_base_cents
    return invoice.unpaid_cents if base is None else base


def _interest_cents(invoice: Invoice, policy: Policy, today: date) -> int:
    """All interest up to `today`, paid or not. Simple, a month being 30 days."""
    days = max(0, (today - (invoice.interest_since or invoice.due_on)).days)
    a_day = Fraction(invoice.unpaid_cents * policy.interest_month_basis_points, 10_000 * 30)
    return half_up(invoice.interest_accrued_cents + a_day * days)
