"""Facts: what a change of an account made true, past tense, in the order it became so.

The shell writes each to its table and to the audit chain, inside one transaction.
"""

from dataclasses import dataclass
from datetime import date, datetime

from billing.access import Access
from billing.agreement import Agreement
from billing.calendar import Calendar
from billing.dispute import Dispute
from billing.invoice import Allocation, Invoice, Share
from billing.ladder import Situation, Verdict
from billing.ledger import Entry
from billing.pause import Pause
from billing.payer import Correction, Hold, Notice, Payment, Promise, Reversal
from billing.quota import Meter
from billing.stage import Stage

__all__ = [
    "AccessDecided",
    "AgreementAccepted",
    "AgreementBroken",
    "AgreementMoved",
    "AgreementOffered",
    "Allocation",
    "CreditUsed",
    "DisputeAnswered",
    "DisputeOpened",
    "Fact",
    "HoldEnded",
    "HoldPlaced",
    "InvoiceCorrected",
    "InvoiceIssued",
    "NoticeDrawn",
    "NoticeProven",
    "NoticeUnproven",
    "PauseEnded",
    "PauseTaken",
    "PaymentAssigned",
    "PaymentPosted",
    "PaymentReversed",
    "PromiseSettled",
    "PromiseTaken",
    "Reviewed",
    "StageEntered",
    "StageLeft",
]


_NOTHING_OWED = Situation(receivables=())


@dataclass(frozen=True, slots=True)
class InvoiceIssued:
    """A new invoice, with the entry that debits its receivable."""

    invoice: Invoice
    entry: Entry


@dataclass(frozen=True, slots=True)
class PaymentPosted:
    """Money in the ledger. What the allocations leave over is `credit_cents`.

    `invoices` stand as they do after it, in the order of the allocations.
    """

    payment: Payment
    allocations: tuple[Allocation, ...]
    credit_cents: int
    entry: Entry
    invoices: tuple[Invoice, ...]


@dataclass(frozen=True, slots=True)
class PaymentAssigned:
    """Money that waited in suspense has found its payer; otherwise as `PaymentPosted`."""

    payment: Payment
    allocations: tuple[Allocation, ...]
    credit_cents: int
    entry: Entry
    invoices: tuple[Invoice, ...]


@dataclass(frozen=True, slots=True)
class CreditUsed:
    """Customer credit that paid a part of an invoice, which stands as it does after it."""

    allocation: Allocation
    entry: Entry
    invoice: Invoice


@dataclass(frozen=True, slots=True)
class PaymentReversed:
    """Money that went back. `taken` is what invoices gave up of it, `credit_cents` what credit did.

    `invoices` stand as they do after it.
    """

    reversal: Reversal
    taken: tuple[Share, ...]
    credit_cents: int
    entry: Entry
    invoices: tuple[Invoice, ...]


@dataclass(frozen=True, slots=True)
class InvoiceCorrected:
    """An issued invoice was changed, and stands as `invoice`.

    A note is its last line. `taken` had been paid and is customer credit now, `credit_cents` in
    sum; `given` is a conditional discount that what was paid earns now.
    """

    correction: Correction
    taken: tuple[Share, ...]
    given: Allocation | None
    credit_cents: int
    entry: Entry
    invoice: Invoice


@dataclass(frozen=True, slots=True)
class NoticeDrawn:
    """A notice to be sent; the ladder counts nothing from it until it is proven."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class NoticeProven:
    """A channel confirmed delivery: the notice's days run from this instant's local date."""

    notice_id: int
    proven_at: datetime


@dataclass(frozen=True, slots=True)
class NoticeUnproven:
    """What was taken for delivery came back: the notice waits for another channel (rule 2)."""

    notice_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class PromiseTaken:
    """A promise-to-pay in force until the end of its last day."""

    promise: Promise


@dataclass(frozen=True, slots=True)
class PromiseSettled:
    """A promise kept or broken."""

    promise: Promise


@dataclass(frozen=True, slots=True)
class PauseTaken:
    """The customer's own suspension, planned or begun."""

    pause: Pause


@dataclass(frozen=True, slots=True)
class PauseEnded:
    """A suspension that the customer ended, or took back, before its last day."""

    pause: Pause


@dataclass(frozen=True, slots=True)
class AgreementOffered:
    """An agreement worked out and offered, or waiting for approval."""

    agreement: Agreement


@dataclass(frozen=True, slots=True)
class AgreementMoved:
    """An agreement approved, expired or kept."""

    agreement: Agreement


@dataclass(frozen=True, slots=True)
class AgreementAccepted:
    """An agreement signed. `entry` is what it forgives and the charges it takes over, if any."""

    agreement: Agreement
    author: str
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class AgreementBroken:
    """An agreement undone. `entry` is that of its signature, reversed."""

    agreement: Agreement
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class DisputeOpened:
    """A charge disputed; nobody collects the disputed part until it is answered."""

    dispute: Dispute


@dataclass(frozen=True, slots=True)
class DisputeAnswered:
    """A dispute answered, or decided for the customer because nobody did.

    `compensation_cents` is credited to the customer beyond what was paid and undue.
    """

    dispute: Dispute
    compensation_cents: int
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class HoldPlaced:
    """A hold in force until it expires."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class HoldEnded:
    """A hold that somebody ended before it expired."""

    hold: Hold


@dataclass(frozen=True, slots=True)
class AccessDecided:
    """A contract's access changed: the generation that every session must now reach.

    `situation` and `meter` are what was judged, so that the decision can be computed again. Only
    `verdict.review_on` may be earlier than the ladder's own: a notice may become due before.

    `reason` is the verdict's where the level changed. Where only the quota did: `quota_spent`, it
    is used up until `quota_spent_until`; `quota_renewed`, its cycle is over; `quota_changed`,
    another plan, quota or reset day lifts the throttle within the cycle. `rates_changed`: another
    plan or a good payer's bonus grants the same level at other rates.

    `calendar` is the one that it was judged by; None: the provider's own of that time.
    """

    contract_id: int
    generation: int
    access: Access
    verdict: Verdict
    since: datetime
    reason: str
    situation: Situation = _NOTHING_OWED
    meter: Meter | None = None
    quota_spent_until: date | None = None
    calendar: Calendar | None = None


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A look that kept the level. Carries what the next look needs (rungs, review date)."""

    contract_id: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class StageEntered:
    """The contract is to end (RESCIND), or its debt goes to BUREAU or AGENCY, as the verdict says.

    `situation` is what was judged, by `calendar`. A line's own stages are told by `AccessDecided`
    alone.
    """

    contract_id: int
    stage: Stage
    at: datetime
    verdict: Verdict
    situation: Situation
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class StageLeft:
    """Such a stage is over: paid, agreed, disputed. `reason` is the verdict's."""

    contract_id: int
    stage: Stage
    at: datetime
    reason: str


Fact = (
    InvoiceIssued
    | PaymentPosted
    | PaymentAssigned
    | CreditUsed
    | PaymentReversed
    | InvoiceCorrected
    | NoticeDrawn
    | NoticeProven
    | NoticeUnproven
    | PromiseTaken
    | PromiseSettled
    | PauseTaken
    | PauseEnded
    | AgreementOffered
    | AgreementMoved
    | AgreementAccepted
    | AgreementBroken
    | DisputeOpened
    | DisputeAnswered
    | HoldPlaced
    | HoldEnded
    | AccessDecided
    | Reviewed
    | StageEntered
    | StageLeft
)
