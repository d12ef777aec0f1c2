"""What the routes of agreements, disputes, pauses and promises take and answer."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from api.http.fields import MONEY_MAX, Cents, Day, Id, no_controls
from api.http.models import Body, example

Reason = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(no_controls)]
# What the terms allow is for billing to say, in words; these are bounds of the keyboard.
Count = Annotated[int, Field(strict=True, ge=0, le=10_000)]


class NewAgreement(Body):
    """No `invoice_ids`: all that are past their due date. `simulate`: nothing is offered."""

    model_config = example(
        {
            "instalments": 7,
            "due_day": 10,
            "down_payment_cents": 5000,
            "charges_percent": 50,
            "valid_until": "2026-10-25",
            "simulate": True,
        }
    )

    instalments: Count
    due_day: Count
    valid_until: Day
    down_payment_cents: Annotated[int, Field(strict=True, ge=0, le=MONEY_MAX)] = 0
    charges_percent: Count = 0
    # Needs another person's approval.
    principal_percent: Count = 0
    interest_month_basis_points: Count = 0
    invoice_ids: Annotated[tuple[Id, ...], Field(max_length=500)] = ()
    simulate: Annotated[bool, Field(strict=True)] = False


class NewDispute(Body):
    """Without `amount_cents` the whole invoice is disputed."""

    model_config = example({"amount_cents": 3000, "reason": "não contratei este serviço"})

    amount_cents: Cents | None = None
    reason: Reason


class NewAnswer(Body):
    """`due_on` is of a rejected part that is owed; without it: five days from now."""

    model_config = example({"outcome": "rejected", "answer": "consta do contrato, cláusula 4"})

    outcome: Literal["accepted", "rejected"]
    answer: Reason
    due_on: Day | None = None


class NewPause(Body):
    model_config = example({"from_on": "2026-12-15", "until_on": "2027-01-31"})

    from_on: Day
    until_on: Day


class OwedItem(BaseModel):
    invoice_id: int
    principal_cents: int
    fine_cents: int
    interest_cents: int


class PartItem(BaseModel):
    """`invoice_id`, `state` and `paid_cents` are null until the agreement is accepted."""

    due_on: date
    amount_cents: int
    invoice_id: int | None = None
    state: str | None = Field(default=None, examples=["open"])
    paid_cents: int | None = None


class SimulationAnswer(BaseModel):
    """What a proposal comes to: the debt of the day, what is forgiven, what is to be paid when."""

    contract_id: int
    instalments: int
    due_day: int
    valid_until: date
    principal_cents: int
    fine_cents: int
    late_interest_cents: int
    charges_discount_cents: int
    principal_discount_cents: int
    down_payment_cents: int
    interest_cents: int = Field(description="of the instalments")
    total_cents: int
    needs_approval: bool
    owed: list[OwedItem]
    parts: list[PartItem]


class AgreementAnswer(SimulationAnswer):
    id: int
    state: str = Field(examples=["offered"])
    author: str
    offered_at: datetime
    approved_by: str | None
    accepted_by: str | None
    accepted_at: datetime | None
    settled_at: datetime | None


class DisputeAnswer(BaseModel):
    """`days_left` to answer it, `sac_days_left` for the customer service's own answer.

    `frozen_cents` of it were unpaid and stand on invoice `frozen_invoice_id`, which nobody
    collects meanwhile. Null days: it is answered.
    """

    id: int
    invoice_id: int
    contract_id: int
    amount_cents: int
    frozen_cents: int
    frozen_invoice_id: int | None
    reason: str
    author: str
    opened_at: datetime
    state: str = Field(examples=["open"])
    answer_due_on: date
    days_left: int | None
    sac_due_on: date
    sac_days_left: int | None
    answer: str
    answered_by: str
    answered_at: datetime | None
    compensation_cents: int


class PauseAnswer(BaseModel):
    """`state` is `planned`, `running`, `over`, `ended` (by the customer) or `taken_back`."""

    id: int
    contract_id: int
    asked_at: datetime
    author: str
    from_on: date
    until_on: date
    ended_at: datetime | None
    state: str = Field(examples=["running"])


class PromiseItem(BaseModel):
    """`state` is `running`, `extended` (by a later one), `kept` or `broken`."""

    id: int
    contract_id: int
    made_at: datetime
    until_on: date
    author: str
    author_kind: str = Field(examples=["operator"])
    debt_invoice_ids: list[int]
    state: str = Field(examples=["kept"])
    settled_at: datetime | None
