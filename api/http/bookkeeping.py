"""What the routes that correct money take, and what they and the ledger's answer."""

from datetime import date, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, model_validator

from api.http.answers import InvoiceAnswer, Page, PaymentAnswer
from api.http.fields import Cents, Id, Words, no_controls
from api.http.models import Body, example
from billing.invoice import Kind

Reason = Annotated[
    str, Field(min_length=1, max_length=500, pattern=r"\S"), AfterValidator(no_controls)
]


class NewReversal(Body):
    """Without an amount it is all that is left of the payment."""

    model_config = example(
        {"amount_cents": 4995, "reference": "devolução 7", "reason": "cobrado em dobro"}
    )

    amount_cents: Cents | None = None
    # What the provider or the bank calls it: the same again is the same.
    reference: Words
    reason: Reason


class NewAssignment(Body):
    model_config = example({"invoice_id": 1})

    invoice_id: Id | None = None
    subscriber_id: Id | None = None

    @model_validator(mode="after")
    def _one(self) -> "NewAssignment":
        if (self.invoice_id is None) is (self.subscriber_id is None):
            raise ValueError("give invoice_id or subscriber_id, one of them")
        return self


class NewNote(Body):
    model_config = example({"amount_cents": 1000, "reason": "três dias sem serviço"})

    amount_cents: Cents
    reason: Reason
    # What of the invoice it changes; needed where its lines are of several kinds.
    kind: Kind | None = None


class NewCorrection(Body):
    model_config = example({"reason": "emitida em duplicidade"})

    reason: Reason


class ReversalAnswer(BaseModel):
    """`credit_cents` of it came from the customer's credit, the rest from `invoices`.

    The invoices that gave it up are as they stand now: those that had been paid are open again.
    """

    id: int
    payment_id: int
    kind: str = Field(examples=["chargeback"])
    provider: str
    external_id: str
    amount_cents: int
    credit_cents: int
    author: str
    reason: str
    at: datetime
    invoices: list[InvoiceAnswer]


class SuspenseItem(PaymentAnswer):
    """`age_days` since we knew of it; `overdue`: it has waited for more than 24 hours."""

    left_cents: int = Field(description="what of it has not been sent back")
    age_days: int
    overdue: bool


class SuspensePage(Page[SuspenseItem]):
    """`overdue_count` and the sums are of all that waits, not of this page."""

    total_cents: int
    overdue_count: int
    overdue_cents: int


class BillAnswer(BaseModel):
    """What a payer of several contracts owes for one due date."""

    id: int
    subscriber_id: int
    due_on: date
    made_at: datetime
    amount_cents: int
    amount_due_cents: int
    invoices: list[InvoiceAnswer]


class BalanceItem(BaseModel):
    account: str = Field(examples=["cash:pix"])
    cents: int = Field(description="a debit is positive, a credit negative")


class Balances(BaseModel):
    """Accounts of one customer or contract are summed under their common name."""

    at: datetime
    items: list[BalanceItem]


class PostingAnswer(BaseModel):
    account: str
    cents: int


class EntryAnswer(BaseModel):
    id: int
    kind: str = Field(examples=["payment"])
    at: datetime
    reference: str
    correlation_id: str
    hash: str | None
    postings: list[PostingAnswer]
