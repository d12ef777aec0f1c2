"""Renegotiation: what an agreement asks for and when, when it is broken, and what is left then.

Source: money rule 10, ladder rule 12; choices that they leave open are in ADR 0024.
"""

import calendar as months
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Final

from billing.calendar import ONE_DAY, Calendar
from billing.invoice import Allocation, Invoice, InvoiceState, Share, allocate, charges
from billing.ladder import Rung
from billing.money import half_up, split
from billing.policy import Policy
from billing.refusal import Refused
from billing.terms import Terms

# From the last day of an offer to the first instalment: time to receive its bill.
FIRST_DUE_DAYS: Final = 5
OFFER_DAYS_MAX: Final = 30
INTEREST_MONTH_BASIS_POINTS_MAX: Final = 100


class AgreementState(StrEnum):
    """Where an agreement stands.

    One that forgives principal is AWAITING_APPROVAL until another person approves it; an OFFERED
    one may be accepted until its last day, and then is EXPIRED; a RUNNING one was accepted and
    ends KEPT or BROKEN.
    """

    AWAITING_APPROVAL = "awaiting_approval"
    OFFERED = "offered"
    EXPIRED = "expired"
    RUNNING = "running"
    KEPT = "kept"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Owed:
    """What one old invoice owed on the day of the offer, in cents."""

    invoice_id: int
    principal_cents: int
    fine_cents: int
    interest_cents: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is asked for. Percents are whole, of 100; interest is a month's, in basis points.

    `due_day` is the day of month of every instalment; a month that lacks it has it on its last day.
    """

    instalments: int
    due_day: int
    down_payment_cents: int = 0
    charges_percent: int = 0
    principal_percent: int = 0
    interest_month_basis_points: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """What is asked to be worked out. No invoices named: all that are past their due date."""

    id: int
    contract_id: int
    author: str
    valid_until: date
    proposal: Proposal
    invoice_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One sum to pay and its due date."""

    due_on: date
    cents: int


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a proposal comes to. Every amount is in cents; discounts are positive.

    `parts` is the down payment, if there is one, and then the instalments.
    """

    owed: tuple[Owed, ...]
    charges_discount_cents: int
    principal_discount_cents: int
    interest_cents: int
    parts: tuple[Part, ...]

    @property
    def principal_cents(self) -> int:
        """Unpaid principal of the old invoices."""
        return sum(item.principal_cents for item in self.owed)

    @property
    def fine_cents(self) -> int:
        """Fines of the old invoices, as of the day of the offer."""
        return sum(item.fine_cents for item in self.owed)

    @property
    def late_interest_cents(self) -> int:
        """Interest on the old invoices, as of the day of the offer."""
        return sum(item.interest_cents for item in self.owed)

    @property
    def total_cents(self) -> int:
        """What the parts add up to."""
        return sum(part.cents for part in self.parts)


@dataclass(frozen=True, slots=True)
class Agreement:
    """An agreement of one contract, from its offer to its end.

    Attributes:
        offered_at: when it was worked out; what is owed is as of that local day.
        valid_until: the last local day on which it may be accepted.
        invoice_ids: of the parts, in their order; empty until it is accepted.
        rungs: steps of the ladder that stood when it was accepted.
        settled_at: when it was kept, was broken or expired.
    """

    id: int
    contract_id: int
    author: str
    offered_at: datetime
    valid_until: date
    proposal: Proposal
    simulation: Simulation
    state: AgreementState
    approved_by: str | None = None
    accepted_at: datetime | None = None
    invoice_ids: tuple[int, ...] = ()
    rungs: tuple[Rung, ...] = ()
    settled_at: datetime | None = None

    @property
    def old_invoice_ids(self) -> frozenset[int]:
        """The invoices that it replaces."""
        return frozenset(item.invoice_id for item in self.simulation.owed)


@dataclass(frozen=True, slots=True)
class Paid:
    """What one payment (None: customer credit) gave a part, and its local day."""

    share: Share
    on: date

    @property
    def cents(self) -> int:
        """The money."""
        return self.share.allocation.total_cents


def owed_by(invoice: Invoice, policy: Policy, calendar: Calendar, today: date) -> Owed:
    """What an invoice brings into an agreement made on `today`."""
    fine_cents, interest_cents = charges(invoice, policy, calendar, today)
    return Owed(invoice.id, invoice.unpaid_cents, fine_cents, interest_cents)


def simulate(
    owed: Sequence[Owed], proposal: Proposal, today: date, valid_until: date, terms: Terms
) -> Simulation:
    """What the proposal comes to, offered on `today` and open until `valid_until`.

    The down payment is due on `valid_until`; the first instalment on the first due day at least
    `FIRST_DUE_DAYS` later.

    Raises:
        Refused: nothing is owed, or a number of the proposal is out of its bounds.
    """
    _check(proposal, today, valid_until, terms)
    principal_cents = sum(item.principal_cents for item in owed)
    if principal_cents <= 0:
        raise Refused("nothing is owed on these invoices; an agreement needs unpaid debt")
    charges_cents = sum(item.fine_cents + item.interest_cents for item in owed)
    charges_discount_cents = half_up(Fraction(charges_cents * proposal.charges_percent, 100))
    principal_discount_cents = half_up(Fraction(principal_cents * proposal.principal_percent, 100))
    debt_cents = principal_cents + charges_cents - charges_discount_cents - principal_discount_cents
    rest_cents = debt_cents - proposal.down_payment_cents
    if rest_cents < proposal.instalments:
        raise Refused(
            f"a down payment of {proposal.down_payment_cents} cents leaves {rest_cents} of the"
            f" {debt_cents} owed, less than a cent for each of {proposal.instalments} instalments;"
            " ask for less, or take the whole debt in one instalment"
        )
    # Simple, on the rest at signature, for as many months as there are instalments.
    interest_cents = half_up(
        Fraction(
            rest_cents * proposal.interest_month_basis_points * proposal.instalments,
            10_000,
        )
    )
    first_on = _first_due_on(proposal.due_day, valid_until + timedelta(days=FIRST_DUE_DAYS))
    parts = [
        Part(_months_later(first_on, n, proposal.due_day), cents)
        for n, cents in enumerate(split(rest_cents + interest_cents, proposal.instalments))
    ]
    if proposal.down_payment_cents:
        parts.insert(0, Part(valid_until, proposal.down_payment_cents))
    return Simulation(
        owed=tuple(owed),
        charges_discount_cents=charges_discount_cents,
        principal_discount_cents=principal_discount_cents,
        interest_cents=interest_cents,
        parts=tuple(parts),
    )


def approve(agreement: Agreement, approver: str, today: date) -> Agreement:
    """The agreement approved by a second person.

    Raises:
        Refused: it does not wait for approval, is over, or its own author approves.
    """
    if agreement.state is not AgreementState.AWAITING_APPROVAL:
        raise Refused(f"agreement {agreement.id} is {agreement.state} and waits for no approval")
    if approver == agreement.author:
        raise Refused(
            f"{approver} offered agreement {agreement.id}; a discount on principal needs the"
            " approval of somebody else"
        )
    if today > agreement.valid_until:
        raise Refused(_over(agreement))
    return replace(agreement, state=AgreementState.OFFERED, approved_by=approver)


def may_accept(agreement: Agreement, owed: Sequence[Owed], today: date) -> None:
    """Pass if the offer may be accepted today.

    Args:
        agreement: the offer.
        owed: what its open invoices owed on the day of the offer, by what is known now.
        today: local date.

    Raises:
        Refused: it waits for approval, is accepted or over already, or what it was worked out from
            has changed since.
    """
    if agreement.state is AgreementState.AWAITING_APPROVAL:
        raise Refused(f"agreement {agreement.id} waits for the approval of a second person")
    if agreement.state is AgreementState.EXPIRED or (
        agreement.state is AgreementState.OFFERED and today > agreement.valid_until
    ):
        raise Refused(_over(agreement))
    if agreement.state is not AgreementState.OFFERED:
        raise Refused(f"agreement {agreement.id} is accepted already; it is {agreement.state}")
    for item in agreement.simulation.owed:
        if item not in owed:
            raise Refused(
                f"invoice {item.invoice_id} has changed since agreement {agreement.id} was offered;"
                " offer a new one"
            )


def kept_charges(agreement: Agreement) -> tuple[int, int]:
    """What of the old charges is asked for: `(fine_cents, interest_cents)`.

    Interest is forgiven first; the instalments' own is part of it.
    """
    found = agreement.simulation
    kept_cents = found.fine_cents + found.late_interest_cents - found.charges_discount_cents
    fine_cents = min(kept_cents, found.fine_cents)
    return fine_cents, kept_cents - fine_cents + found.interest_cents


def breaks_on(agreement: Agreement, invoices: Sequence[Invoice], grace_days: int) -> date | None:
    """The first local day on which the agreement is broken if nothing more is paid; None: never."""
    due = [
        invoice.due_on
        for invoice in invoices
        if invoice.id in agreement.invoice_ids and invoice.unpaid_cents > 0
    ]
    return lapses_after(min(due), grace_days) if due else None


def lapses_after(due_on: date, grace_days: int) -> date:
    """The first local day on which a part due on `due_on` and unpaid breaks its agreement."""
    return due_on + timedelta(days=grace_days) + ONE_DAY


def is_kept(agreement: Agreement, invoices: Sequence[Invoice]) -> bool:
    """Whether every part is paid; `invoices` are those that may be unpaid."""
    return not any(item.id in agreement.invoice_ids and item.unpaid_cents for item in invoices)


@dataclass(frozen=True, slots=True)
class Move:
    """A sum that a part got pays an old invoice; this one as it stood, and as it stands."""

    paid: Paid
    before: Invoice
    allocation: Allocation
    after: Invoice


def revive(
    old: Sequence[Invoice], paid: Sequence[Paid], policy: Policy, calendar: Calendar
) -> tuple[tuple[Invoice, ...], tuple[Move, ...], int]:
    """The old debt as if there had been no agreement, paid by what its parts got (rule 10).

    Each sum pays as of its own day, by rule 7: oldest due date first; interest, fine, principal.

    Returns:
        The old invoices after it, where each sum went, and the cents that were not needed.
    """
    standing = {
        invoice.id: replace(invoice, state=InvoiceState.OPEN)
        for invoice in sorted(old, key=lambda item: (item.due_on, item.id))
    }
    moves: list[Move] = []
    over_cents = 0
    for money in sorted(paid, key=_by_day):
        left_cents = money.cents
        for before in list(standing.values()):
            if left_cents == 0 or before.unpaid_cents == 0:
                continue
            after, allocation, left_cents = allocate(before, left_cents, policy, calendar, money.on)
            standing[after.id] = after
            moves.append(Move(money, before, allocation, after))
        over_cents += left_cents
    return tuple(standing.values()), tuple(moves), over_cents


def _by_day(paid: Paid) -> tuple[date, int, int]:
    return paid.on, paid.share.allocation.invoice_id, paid.share.payment_id or 0


def _check(proposal: Proposal, today: date, valid_until: date, terms: Terms) -> None:
    _bounded("instalments", proposal.instalments, 1, terms.agreement_instalments_max)
    _bounded("due_day", proposal.due_day, 1, 31)
    _bounded("charges_percent", proposal.charges_percent, 0, terms.agreement_charges_percent)
    _bounded("principal_percent", proposal.principal_percent, 0, terms.agreement_principal_percent)
    _bounded(
        "interest_month_basis_points",
        proposal.interest_month_basis_points,
        0,
        INTEREST_MONTH_BASIS_POINTS_MAX,
    )
    if proposal.down_payment_cents < 0:
        raise Refused(f"a down payment is 0 or more, not {proposal.down_payment_cents} cents")
    last_on = today + timedelta(days=OFFER_DAYS_MAX)
    if not today <= valid_until <= last_on:
        raise Refused(f"an offer is valid until a day from {today} to {last_on}, not {valid_until}")


def _bounded(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise Refused(f"{name} must be from {least} to {most}, not {value}")


def _over(agreement: Agreement) -> str:
    return f"agreement {agreement.id} was open until {agreement.valid_until}; offer a new one"


def _first_due_on(due_day: int, earliest: date) -> date:
    due_on = _on(earliest.year, earliest.month, due_day)
    return due_on if due_on >= earliest else _months_later(due_on, 1, due_day)


def _months_later(first_on: date, count: int, due_day: int) -> date:
    years, month0 = divmod(first_on.month - 1 + count, 12)
    return _on(first_on.year + years, month0 + 1, due_day)


def _on(year: int, month: int, due_day: int) -> date:
    return date(year, month, min(due_day, months.monthrange(year, month)[1]))
