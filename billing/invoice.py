"""An invoice: what a contract owes, what of it is paid, and what lateness adds to it.

Source: money rules 6 (late charges) and 7 (allocation; Código Civil art. 354).
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from typing import Final

from billing.calendar import Calendar, next_bank_day
from billing.money import half_up
from billing.policy import Policy

INTEREST_PARTS: Final = 10_000 * 30
"""Of a cent: a basis point of a cent a month, for one day."""


class InvoiceState(StrEnum):
    """OPEN owes principal, PAID owes nothing, VOID never counted.

    What RENEGOTIATED owed is owed under an agreement; what WRITTEN_OFF owed is a loss; what
    DISPUTED owes nobody collects until the dispute is answered.
    """

    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    RENEGOTIATED = "renegotiated"
    WRITTEN_OFF = "written_off"
    DISPUTED = "disputed"


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
    principal, fine and interest. `interest_accrued_parts` is the interest fixed when principal last
    changed while late (on `interest_since`), so that interest runs on what is still unpaid day by
    day (money rule 6); it is in parts of a cent (`INTEREST_PARTS`), because nothing is rounded
    before it is paid or shown. `fine_base_cents` is the principal unpaid on the first late day,
    None until a payment had to know it.

    Attributes:
        discount_cents: the conditional discount, once payments in time have earned it.
        paid_in_time_cents: what of `paid_cents` was paid by the date that the discount asks for.
        reopened_at: when a reversal last opened it again; older notices do not cover it any more.
        late_before: it was late before that gave it this due date. What that had cost stands, and
            no discount can be earned.
        bill_id: the bill that shows it together with the payer's other contracts; None: alone.
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
    interest_accrued_parts: int = 0
    interest_since: date | None = None
    discount_cents: int = 0
    paid_in_time_cents: int = 0
    reopened_at: datetime | None = None
    late_before: bool = False
    bill_id: int | None = None

    @property
    def amount_cents(self) -> int:
        """The principal: what the lines add up to, without discounts that lateness forfeits."""
        return sum(line.amount_cents for line in self.lines if not line.conditional)

    @property
    def conditional_cents(self) -> int:
        """What payment in time would save: the conditional lines, capped at the price."""
        offered = -sum(line.amount_cents for line in self.lines if line.conditional)
        return min(offered, self.amount_cents)

    @property
    def unpaid_cents(self) -> int:
        """Principal still owed; the debt that the ladder counts (ladder rule 4)."""
        return self.rest_cents if self.state is InvoiceState.OPEN else 0

    @property
    def rest_cents(self) -> int:
        """Principal that neither money nor a discount has met, whether it is still owed or not."""
        return self.amount_cents - self.discount_cents - self.paid_cents


@dataclass(frozen=True, slots=True)
class Allocation:
    """How much of a payment (or of credit) went to one invoice, in cents.

    `discount_cents` is no money: the conditional discount that it earned. The other parts are below
    zero only where a payment made in time and learnt of late takes back what lateness had cost.
    """

    invoice_id: int
    interest_cents: int
    fine_cents: int
    principal_cents: int
    discount_cents: int = 0

    @property
    def total_cents(self) -> int:
        """All of the money."""
        return self.interest_cents + self.fine_cents + self.principal_cents

    def plus(self, other: "Allocation", sign: int = 1) -> "Allocation":
        """What both gave this invoice; with a `sign` of -1 what is left without the other."""
        return Allocation(
            self.invoice_id,
            self.interest_cents + sign * other.interest_cents,
            self.fine_cents + sign * other.fine_cents,
            self.principal_cents + sign * other.principal_cents,
            self.discount_cents + sign * other.discount_cents,
        )


@dataclass(frozen=True, slots=True)
class Share:
    """What of one payment (None: of customer credit) stands allocated to an invoice."""

    payment_id: int | None
    allocation: Allocation


def charges(invoice: Invoice, policy: Policy, calendar: Calendar, today: date) -> tuple[int, int]:
    """Late charges still owed on `today`: `(fine_cents, interest_cents)`.

    Zero until the due date, or the next bank day when it is none, has passed; from then on they
    count from the due date itself. No charge is counted on a charge. What lateness had cost before
    a reversal is owed at once.
    """
    if invoice.state is not InvoiceState.OPEN or _earns(invoice, calendar, today):
        return 0, 0
    fine = half_up(Fraction(_fine_base_cents(invoice) * policy.fine_basis_points, 10_000))
    # All interest up to today, paid or not.
    interest = half_up(Fraction(_interest_parts(invoice, policy, calendar, today), INTEREST_PARTS))
    return max(0, fine - invoice.fine_paid_cents), max(0, interest - invoice.interest_paid_cents)


def amount_due(invoice: Invoice, policy: Policy, calendar: Calendar, today: date) -> int:
    """What settles the invoice on `today`, in cents: unpaid principal, fine and interest.

    While the conditional discount can still be earned, less the discount (money rule 5).
    """
    if _earns(invoice, calendar, today):
        return max(0, invoice.unpaid_cents - _offered_cents(invoice))
    fine, interest = charges(invoice, policy, calendar, today)
    return invoice.unpaid_cents + fine + interest


def in_time(invoice: Invoice, calendar: Calendar, day: date) -> bool:
    """Whether a payment of that date is in time: by the due date, or by the next bank day."""
    return day <= next_bank_day(calendar, invoice.due_on)


def allocate(
    invoice: Invoice, cents: int, policy: Policy, calendar: Calendar, paid_on: date
) -> tuple[Invoice, Allocation, int]:
    """Let `cents` paid on `paid_on` pay interest, then fine, then principal.

    Payments in time that together reach the discounted amount earn the conditional discount.

    Returns:
        The invoice after it, what went where, and the cents that it did not need.
    """
    if invoice.state is not InvoiceState.OPEN:
        return invoice, Allocation(invoice.id, 0, 0, 0), cents
    if _earns(invoice, calendar, paid_on):
        after, allocation = _allocate_in_time(invoice, cents)
    else:
        after, allocation = _allocate_late(invoice, cents, policy, calendar, paid_on)
    if after.unpaid_cents == 0 and charges(after, policy, calendar, paid_on) == (0, 0):
        after = replace(after, state=InvoiceState.PAID)
    return after, allocation, cents - allocation.total_cents


def _allocate_in_time(invoice: Invoice, cents: int) -> tuple[Invoice, Allocation]:
    wanted = invoice.amount_cents - _offered_cents(invoice)
    if invoice.paid_in_time_cents + cents < wanted:
        principal = min(cents, invoice.unpaid_cents)
        base = invoice.fine_base_cents
        after = replace(
            invoice,
            paid_cents=invoice.paid_cents + principal,
            paid_in_time_cents=invoice.paid_in_time_cents + principal,
            # Learnt of late: it was not unpaid on the first late day after all.
            fine_base_cents=None if base is None else base - principal,
        )
        return after, Allocation(invoice.id, 0, 0, principal)
    # All of it was paid in time, so whatever lateness had cost before we knew is given back.
    allocation = Allocation(
        invoice.id,
        -invoice.interest_paid_cents,
        -invoice.fine_paid_cents,
        wanted - invoice.paid_cents,
        invoice.amount_cents - wanted,
    )
    after = replace(
        invoice,
        paid_cents=wanted,
        paid_in_time_cents=wanted,
        discount_cents=allocation.discount_cents,
        fine_paid_cents=0,
        interest_paid_cents=0,
        fine_base_cents=None,
        interest_accrued_parts=0,
        interest_since=None,
    )
    return after, allocation


def _allocate_late(
    invoice: Invoice, cents: int, policy: Policy, calendar: Calendar, paid_on: date
) -> tuple[Invoice, Allocation]:
    fine_owed, interest_owed = charges(invoice, policy, calendar, paid_on)
    interest = min(cents, interest_owed)
    fine = min(cents - interest, fine_owed)
    principal = min(cents - interest - fine, invoice.unpaid_cents)
    after = _reckoned(invoice, policy, calendar, paid_on) if principal else invoice
    after = replace(
        after,
        paid_cents=invoice.paid_cents + principal,
        fine_paid_cents=invoice.fine_paid_cents + fine,
        interest_paid_cents=invoice.interest_paid_cents + interest,
        fine_base_cents=_fine_base_cents(invoice),
    )
    return after, Allocation(invoice.id, interest, fine, principal)


def recover(invoice: Invoice, cents: int) -> tuple[Invoice, Allocation, int]:
    """Let `cents` pay what was written off (money rule 13); what is returned is as `allocate`'s."""
    principal = min(cents, invoice.rest_cents)
    after = replace(invoice, paid_cents=invoice.paid_cents + principal)
    return after, Allocation(invoice.id, 0, 0, principal), cents - principal


def release(
    invoice: Invoice, part: Allocation, policy: Policy, calendar: Calendar, today: date
) -> Invoice:
    """The invoice without `part` of what had been allocated to it.

    While it is open and late, interest runs on what that leaves unpaid from `today` on, so no
    interest is asked for the time that it stood paid (money rule 12).
    """
    if invoice.state is InvoiceState.OPEN and not in_time(invoice, calendar, today):
        base = _fine_base_cents(invoice)
        invoice = replace(_reckoned(invoice, policy, calendar, today), fine_base_cents=base)
    paid_cents = invoice.paid_cents - part.principal_cents
    return replace(
        invoice,
        paid_cents=paid_cents,
        fine_paid_cents=invoice.fine_paid_cents - part.fine_cents,
        interest_paid_cents=invoice.interest_paid_cents - part.interest_cents,
        discount_cents=invoice.discount_cents - part.discount_cents,
        paid_in_time_cents=min(invoice.paid_in_time_cents, paid_cents),
    )


def reopened(invoice: Invoice, due_on: date, at: datetime) -> Invoice:
    """The invoice open again with a new due date (money rule 12).

    If it had been late before it was paid, what that had cost stands, the fine is not asked for a
    second time, and interest runs on from the new date: none for the time that it stood paid.
    """
    late_before = invoice.late_before or invoice.fine_base_cents is not None
    return replace(
        invoice,
        state=InvoiceState.OPEN,
        due_on=due_on,
        reopened_at=at,
        late_before=late_before,
        paid_in_time_cents=0 if late_before else invoice.paid_cents,
        interest_since=due_on if late_before else None,
    )


def with_line(
    invoice: Invoice, line: Line, policy: Policy, calendar: Calendar, today: date
) -> Invoice:
    """The invoice with one line more.

    Late already, what the line adds bears no fine, and interest from `today` only; what it takes
    away bears no charge any longer, as far as none was fixed by a late payment.
    """
    if line.amount_cents > 0 and not in_time(invoice, calendar, today):
        base = _fine_base_cents(invoice)
        invoice = replace(_reckoned(invoice, policy, calendar, today), fine_base_cents=base)
    elif invoice.fine_base_cents is not None:
        base = invoice.fine_base_cents + min(0, line.amount_cents)
        invoice = replace(invoice, fine_base_cents=max(0, base))
    return replace(invoice, lines=(*invoice.lines, line))


def _earns(invoice: Invoice, calendar: Calendar, day: date) -> bool:
    """Whether a payment of that date owes nothing for lateness, and earns a discount."""
    return in_time(invoice, calendar, day) and not invoice.late_before


def _offered_cents(invoice: Invoice) -> int:
    return invoice.conditional_cents if invoice.state is InvoiceState.OPEN else 0


def _reckoned(invoice: Invoice, policy: Policy, calendar: Calendar, today: date) -> Invoice:
    """The invoice with its interest fixed up to `today`, before its principal changes."""
    if in_time(invoice, calendar, today):
        return invoice
    return replace(
        invoice,
        interest_accrued_parts=_interest_parts(invoice, policy, calendar, today),
        interest_since=max(today, invoice.interest_since or today),
    )


def _fine_base_cents(invoice: Invoice) -> int:
    # Until a payment comes late, what is unpaid now is what was unpaid on the first late day.
    base = invoice.fine_base_cents
    return invoice.unpaid_cents if base is None else base


def _interest_parts(invoice: Invoice, policy: Policy, calendar: Calendar, today: date) -> int:
    """All interest up to `today`. Simple, a month being 30 days."""
    if in_time(invoice, calendar, today):
        return invoice.interest_accrued_parts
    days = max(0, (today - (invoice.interest_since or invoice.due_on)).days)
    a_day = invoice.unpaid_cents * policy.interest_month_basis_points
    return invoice.interest_accrued_parts + a_day * days
