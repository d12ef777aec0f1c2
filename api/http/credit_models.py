"""What the routes of credit and of records at bureaus take and answer."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field

from api.bureaus.known import check_url
from api.http.answers import AttemptAnswer
from api.http.fields import (
    MONEY_MAX,
    Document,
    DueDay,
    Id,
    Instant,
    Secret,
    Words,
    no_controls,
)
from api.http.models import Body, example
from api.http.renegotiation import Reason
from billing.bureau import ListingState, Removal
from billing.credit import AnalysisState, Outcome

BureauName = Literal["spc", "serasa", "boa_vista"]
Purpose = Literal["new_contract", "plan_change", "renegotiation"]
_Cents = Annotated[int, Field(strict=True, ge=0, le=MONEY_MAX)]
# What the rules allow is for billing to say, in words; these are bounds of the keyboard.
_Days = Annotated[int, Field(strict=True, ge=0, le=3650)]
_Url = Annotated[str, Field(max_length=300), AfterValidator(no_controls), AfterValidator(check_url)]


class BureauBody(Body):
    """`price_cents` is of one inquiry. The credential is written and never read back."""

    model_config = example(
        {
            "url": "https://bureau.example/v1",
            "credential": "the token of the contract with the bureau",
            "creditor_document": "11.222.333/0001-81",
            "price_cents": 250,
        }
    )

    url: _Url
    credential: Secret
    creditor_document: Document
    price_cents: _Cents
    timeout_ms: Annotated[int, Field(strict=True, ge=100, le=120_000)] = 30_000
    enabled: Annotated[bool, Field(strict=True)] = True


class BureauAnswer(BaseModel):
    name: str = Field(examples=["serasa"])
    url: str
    creditor_document: str
    price_cents: int
    timeout_ms: int
    enabled: bool


class CreditTableBody(Body):
    """What it leaves out is the shipped table's. Every case must have exactly one rule."""

    model_config = example(
        {
            "bureaus": ["serasa"],
            "required": True,
            "rules": [
                {
                    "when": {"history": ["debt"]},
                    "outcome": "refuse",
                    "texts": {"pt-BR": "há débito conosco", "en": "there is debt with us"},
                },
                {
                    "when": {"history": ["none", "good", "late", "broken_agreement"]},
                    "outcome": "approve",
                    "texts": {"pt-BR": "nada consta", "en": "nothing is known"},
                },
            ],
        }
    )

    bands: dict[str, Any] | None = None
    prices: dict[str, Any] | None = None
    classes: list[Any] | None = None
    bureaus: list[Any] | None = None
    required: Any = None
    cache_days: Any = None
    valid_days: Any = None
    late_percent: Any = None
    keep_days: Any = None
    rules: Annotated[list[dict[str, Any]], Field(max_length=500)] | None = None


class CreditTableAnswer(BaseModel):
    """`version` 0 is the table that ships with the product."""

    version: int
    document: dict[str, Any]
    author: str | None
    created_at: datetime | None


class Consent(Body):
    """How the applicant agreed to be asked about: where, when, and what shows it."""

    given: Literal[True]
    channel: Literal["in_person", "phone", "web", "app", "whatsapp", "email"]
    evidence: Words
    at: Instant | None = None


class NewAnalysis(Body):
    model_config = example(
        {
            "document": "529.982.247-25",
            "plan_id": 1,
            "purpose": "new_contract",
            "consent": {"given": True, "channel": "phone", "evidence": "gravação 2026-1182"},
        }
    )

    document: Document
    plan_id: Id
    purpose: Purpose
    consent: Consent
    # Without it: the subscriber's class, if the table knows it; else person or company.
    customer_class: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,39}$")] | None = None


class NewDecision(Body):
    """A person's word. `deposit_cents` only with `deposit`, `due_days` with `other_due_day`."""

    model_config = example({"outcome": "approve", "reason": "comprovou o pagamento do débito"})

    outcome: Literal["approve", "deposit", "prepaid", "other_due_day", "refuse"]
    reason: Reason
    deposit_cents: _Cents = 0
    due_days: Annotated[tuple[DueDay, ...], Field(max_length=31)] = ()


class InquiryItem(BaseModel):
    id: int
    bureau: str
    state: str
    cost_cents: int | None
    asked_at: datetime


class AnalysisAnswer(BaseModel):
    """`criteria` and `inquiries` only for who may read debt. `reasons` are for the customer."""

    id: int
    document: str | None = Field(examples=["***.982.247-**"])
    plan_id: int
    price_cents: int
    customer_class: str
    purpose: str
    author: str
    made_at: datetime
    valid_until: date
    state: AnalysisState
    outcome: Outcome | None
    deposit_cents: int | None
    due_days: list[int]
    table_version: int
    rule: int | None
    reasons: dict[str, list[str]]
    consent: dict[str, Any] | None
    criteria: dict[str, Any] | None
    overruling: dict[str, Any] | None
    proposed: dict[str, Any] | None
    inquiries: list[InquiryItem]
    contract_id: int | None


class ListingRulesBody(Body):
    """No `bureaus`: nothing is listed. Days are counted from the rescission, or from the letter."""

    model_config = example({"bureaus": ["serasa"], "notice_days": 10, "agency_after_days": 30})

    bureaus: Annotated[tuple[BureauName, ...], Field(max_length=3)] = ()
    after_days: _Days = 0
    notice_days: _Days = 10
    min_cents: _Cents = 1000
    alarm_bank_days: _Days = 2
    agency_after_days: _Days = 30
    agency_min_cents: _Cents = 1000


class ListingAnswer(BaseModel):
    """A debt at a bureau. `late`: it should have been out by `remove_by`, and is not."""

    id: int
    bureau: str
    contract_id: int
    invoice_id: int
    due_on: date
    cents: int
    letter_id: int
    state: ListingState
    protocol: str
    made_at: datetime
    listed_at: datetime | None
    removal: Removal | None
    removal_at: datetime | None
    remove_by: date | None
    removed_at: datetime | None
    alarmed_at: datetime | None
    last_error: str | None
    late: bool


class LetterAnswer(BaseModel):
    """A letter that told a customer of a listing to come, with its proof."""

    id: int
    contract_id: int
    bureaus: list[str]
    amounts_cents: dict[str, int]
    drawn_at: datetime
    state: str
    channel: str | None
    message_id: str | None
    content_sha256: str | None
    proven_at: datetime | None
    failed_at: datetime | None
    wait_until: datetime | None
    attempts: int
    last_error: str | None


class LetterDetails(LetterAnswer):
    """A letter with every attempt to deliver it, in their order."""

    attempts_made: list[AttemptAnswer]


class NewRemoval(Body):
    model_config = example({"reason": "registro indevido, reclamação 118"})

    reason: Reason


class LookAnswer(BaseModel):
    """What a look at the records did."""

    letters: int
    inclusions: int
    withdrawals: int
    alarms: int
    taken_back: int
    failed: int
