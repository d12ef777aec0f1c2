"""A payer's account as data: contracts, invoices, credit, notices, promises, holds.

What may happen to it is in `billing.account`, which names all of these again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum

from billing.access import Access, Rates
from billing.agreement import Agreement
from billing.calendar import Calendar
from billing.dispute import Dispute
from billing.invoice import Invoice
from billing.ladder import Bar, Rung
from billing.pause import Pause
from billing.place import Place
from billing.policy import Policy
from billing.quota import Meter
from billing.refusal import Refused as Refused
from billing.terms import USUAL_TERMS, Terms


@dataclass(frozen=True, slots=True)
class Notice:
    """An overdue notice to the payer (ladder rule 2). `proven_at` None: not delivered yet.

    `amounts_cents` are the principals that stood unpaid when it was drawn, by invoice id.
    """

    id: int
    drawn_at: datetime
    amounts_cents: Mapping[int, int]
    proven_at: datetime | None = None
    failed_at: datetime | None = None


class AuthorKind(StrEnum):
    """Who asked: an operator, or the customer without one."""

    OPERATOR = "operator"
    CUSTOMER = "customer"


class PromiseState(StrEnum):
    """RUNNING until it is KEPT (its debt is paid), BROKEN (its last day is over) or EXTENDED."""

    RUNNING = "running"
    EXTENDED = "extended"
    KEPT = "kept"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Promise:
    """Promise-to-pay for one contract (rule 9). `until_on` is its last local day.

    `debt_invoice_ids` is what counted against the contract when it was made (or, with nothing
    counted yet, what was overdue); it is kept when those are paid by then.
    """

    id: int
    contract_id: int
    made_at: datetime
    until_on: date
    author: str
    debt_invoice_ids: tuple[int, ...]
    author_kind: AuthorKind = AuthorKind.OPERATOR
    state: PromiseState = PromiseState.RUNNING
    settled_at: datetime | None = None


class HoldKind(StrEnum):
    """HOLD keeps cuts away; EXEMPTION keeps reminders away too (rule 10)."""

    HOLD = "hold"
    EXEMPTION = "exemption"


@dataclass(frozen=True, slots=True)
class Hold:
    """No cut until `expires_at`, or until it was ended early; the debt and its dates remain."""

    id: int
    contract_id: int
    author: str
    reason: str
    placed_at: datetime
    expires_at: datetime
    kind: HoldKind = HoldKind.HOLD
    ended_at: datetime | None = None
    ended_by: str = ""
    end_reason: str = ""

    def stands(self, at: datetime) -> bool:
        """Whether it is in force at an instant."""
        ends_at = self.expires_at if self.ended_at is None else self.ended_at
        return at.astimezone(UTC) < ends_at.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Contract:
    """One connection and its standing. `generation` grows by one with every access decision.

    `meter` None: the plan has no traffic quota. `quota_spent_until` is what was decided of it.
    `bars` stand against cutting this contract. `place` says whose holidays bind it; None: the
    provider's own.
    """

    id: int
    policy_name: str
    rates: Rates
    access: Access
    generation: int
    reason: str
    since: datetime
    rungs: tuple[Rung, ...] = ()
    review_on: datetime | None = None
    ended_on: date | None = None
    meter: Meter | None = None
    quota_spent_until: date | None = None
    bars: tuple[Bar, ...] = ()
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """One payer under lock. `invoices` are the open ones and those a promise still refers to.

    `agreements` are those not over yet, each with its old invoices among `invoices`, and the last
    broken one of each contract.
    """

    subscriber_id: int
    credit_cents: int
    contracts: tuple[Contract, ...]
    invoices: tuple[Invoice, ...] = ()
    notices: tuple[Notice, ...] = ()
    promises: tuple[Promise, ...] = ()
    holds: tuple[Hold, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    pauses: tuple[Pause, ...] = ()


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that a provider confirmed or a person took. `amount_cents` is positive.

    `paid_at` is when the payer paid; `cleared_at` when we knew. `invoice_id` None: none named;
    `bill_id`: every invoice of that bill is.
    """

    id: int
    provider: str
    external_id: str
    amount_cents: int
    method: str
    reference: str
    paid_at: datetime
    cleared_at: datetime
    invoice_id: int | None
    bill_id: int | None = None


class ReversalKind(StrEnum):
    """REFUND we sent back, CHARGEBACK a bank took back, RETURNED a Pix that went back."""

    REFUND = "refund"
    CHARGEBACK = "chargeback"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Reversal:
    """Money of a payment that went back (money rule 12). `amount_cents` is positive."""

    id: int
    kind: ReversalKind
    payment_id: int
    provider: str
    external_id: str
    amount_cents: int
    author: str
    reason: str
    at: datetime


class CorrectionKind(StrEnum):
    """What is done to an issued invoice.

    RESTORATION undoes RENEGOTIATION, RELEASE undoes DISPUTE.
    """

    CREDIT_NOTE = "credit_note"
    DEBIT_NOTE = "debit_note"
    VOID = "void"
    WRITE_OFF = "write_off"
    RENEGOTIATION = "renegotiation"
    RESTORATION = "restoration"
    DISPUTE = "dispute"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Correction:
    """A change of an issued invoice, by whom and why. `amount_cents` is not negative.

    Of a void, a write-off and an agreement's two it is what the invoice's principal changes by.
    """

    id: int
    kind: CorrectionKind
    invoice_id: int
    amount_cents: int
    author: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Desk:
    """What lies on the desk of whoever decides: policies by name, calendars, the instant.

    `calendar` is the provider's own, and every bank's; `calendars` are those of other places.
    `now` is aware and in the provider's own zone, so that `now.date()` is the business date.
    `bars` stand against cutting anybody. `leaves_due`: whoever is due for a look is cut by the
    sweep that looks and counts how many they are, and by nothing that happens to them before.
    """

    policies: Mapping[str, Policy]
    calendar: Calendar
    now: datetime
    terms: Terms = USUAL_TERMS
    bars: tuple[Bar, ...] = ()
    calendars: Mapping[Place, Calendar] = field(default_factory=dict)
    leaves_due: bool = False
