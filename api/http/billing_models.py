"""What the routes of recurring billing take and answer. Spans end before their `until_on`."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator

from api.booklet import LEAVES
from api.http.fields import PRICE_MAX, Cents, Day, DueDay, Id, Name, Words
from api.http.models import Body, example
from billing.cycle import Mode
from billing.term import Leaving
from billing.terms import USUAL_TERMS

Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Price = Annotated[int, Field(strict=True, ge=0, le=PRICE_MAX)]
BasisPoints = Annotated[int, Field(strict=True, ge=0, le=10_000)]
LineCents = Annotated[int, Field(strict=True, ge=-PRICE_MAX, le=PRICE_MAX)]
Percent = Annotated[int, Field(strict=True, ge=0, le=100)]


class NewProduct(Body):
    model_config = example({"code": "filmes", "name": "Filmes", "price_cents": 2000})

    code: Code
    name: Name
    price_cents: Price
    # Usable while access is walled: walled days of it are charged, blocked ones are not.
    stays_while_walled: Annotated[bool, Field(strict=True)] = False


class ProductAnswer(BaseModel):
    id: int
    code: str
    name: str
    price_cents: int
    stays_while_walled: bool
    withdrawn_on: date | None


class NewComponent(Body):
    service: Code
    description: Name
    kind: Literal["scm", "sva"]
    basis_points: BasisPoints | None = None
    cents: Price | None = None
    stays_while_walled: Annotated[bool, Field(strict=True)] = False


class Composition(Body):
    """The last component takes what the others leave."""

    model_config = example(
        {
            "components": [
                {
                    "service": "internet",
                    "description": "Internet",
                    "kind": "scm",
                    "basis_points": 6000,
                },
                {"service": "filmes", "description": "Filmes", "kind": "sva"},
            ]
        }
    )

    components: Annotated[list[NewComponent], Field(min_length=1, max_length=15)]
    # Today unless said otherwise; what was billed before stays.
    from_on: Day | None = None


class CompositionAnswer(BaseModel):
    plan_id: int
    from_on: date
    components: list[NewComponent]


class Withdrawal(Body):
    model_config = example({"withdrawn_on": "2026-12-01"})

    withdrawn_on: Day | None = None


class WithdrawalAnswer(BaseModel):
    id: int
    withdrawn_on: date


class PlanChange(Body):
    model_config = example({"plan_id": 2, "from_on": "2027-02-20"})

    plan_id: Id
    from_on: Day | None = None


class DueDayChange(Body):
    model_config = example({"due_day": 25})

    due_day: DueDay


class Subscribing(Body):
    model_config = example({"product_id": 1})

    product_id: Id
    from_on: Day | None = None


class ProductEnd(Body):
    model_config = example({"until_on": "2027-02-20"})

    until_on: Day | None = None


class NewDiscount(Body):
    model_config = example({"description": "Em dia", "basis_points": 1000, "conditional": True})

    description: Words
    basis_points: Annotated[int, Field(strict=True, ge=1, le=10_000)] | None = None
    cents: Cents | None = None
    # It holds only if the invoice is paid by its due date.
    conditional: Annotated[bool, Field(strict=True)] = False
    from_on: Day | None = None
    until_on: Day | None = None


class OneOffLine(Body):
    model_config = example({"description": "Visita técnica", "amount_cents": 5000})

    description: Words
    amount_cents: LineCents

    @model_validator(mode="after")
    def _something(self) -> "OneOffLine":
        if not self.amount_cents:
            raise ValueError("a line is of 1 cent or more, or gives 1 cent or more back")
        return self


class Installation(Body):
    model_config = example({"amount_cents": 30000, "instalments": 7})

    amount_cents: Cents
    instalments: Annotated[int, Field(strict=True, ge=1, le=24)] = 1
    description: Words = "Instalação"


class Term(Body):
    """The minimum term: its penalty declines by the day."""

    model_config = example(
        {"from_on": "2026-11-22", "until_on": "2027-11-22", "penalty_cents": 60000}
    )

    from_on: Day
    until_on: Day
    penalty_cents: Cents
    away_from_shop: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _at_most_a_year(self) -> "Term":
        if not 1 <= (self.until_on - self.from_on).days <= 366:
            raise ValueError("a minimum term is at most 12 months")
        return self


class Ending(Body):
    model_config = example({"why": "customer"})

    # An end for debt is the ladder's own, never an operator's.
    why: Literal[Leaving.CUSTOMER, Leaving.PROVIDER_BREACH, Leaving.MOVED]
    # The last day with service, up to 60 days ahead; left out, today is the first without.
    last_day: Day | None = None


class BillingMode(Body):
    model_config = example({"mode": "advance"})

    mode: Mode
    started_on: Day | None = None


class AutomaticPayment(Body):
    """Whether invoices are paid without the payer doing anything: such a payer is not reminded."""

    model_config = example({"automatic": True})

    automatic: bool


class AskRun(Body):
    model_config = example({"until": "2026-12-01"})

    until: Day


def _six_days(days: list[int]) -> list[int]:
    if len(set(days)) < 6:
        raise ValueError("at least six different due days must be offered (Lei 9.791/1999)")
    return sorted(set(days))


class TermsBody(Body):
    """The terms of billing. Each is as usual where it is left out."""

    model_config = example({"issue_days_before": 10, "reduced_credit_percent": 50})

    issue_days_before: Annotated[int, Field(strict=True, ge=0, le=28)] = 10
    reduced_credit_percent: Percent = 0
    agreement_grace_days: Annotated[int, Field(strict=True, ge=0, le=60)] = 5
    agreement_instalments_max: Annotated[int, Field(strict=True, ge=1, le=60)] = 24
    agreement_charges_percent: Percent = 100
    agreement_principal_percent: Percent = 50
    chargeback_grace_days: Annotated[int, Field(strict=True, ge=0, le=60)] = 5
    reward_invoices: Annotated[int, Field(strict=True, ge=1, le=60)] = 6
    reward_basis_points: BasisPoints = 0
    reward_service: Annotated[str, Field(max_length=32)] = ""
    reward_speed_percent: Percent = 0
    bound_factor: Annotated[int, Field(strict=True, ge=1, le=100)] = 3
    bound_lines: Annotated[int, Field(strict=True, ge=1, le=100)] = 15
    outage_minutes: Annotated[int, Field(strict=True, ge=0, le=1_440)] = 30
    hold_days: Annotated[int, Field(strict=True, ge=1, le=3_660)] = 366
    due_days: Annotated[list[DueDay], AfterValidator(_six_days)] = Field(
        default=list(USUAL_TERMS.due_days)
    )


class Done(BaseModel):
    """What was done, and from which day it counts."""

    contract_id: int
    from_on: date


class Numbered(BaseModel):
    id: int
    contract_id: int


class Instalment(BaseModel):
    due_on: date
    amount_cents: int


class Instalments(BaseModel):
    contract_id: int
    lines: list[Instalment]


class EndAnswer(BaseModel):
    """Both amounts are null for those who may not see what anyone owes."""

    contract_id: int
    ended_on: date
    penalty_cents: int | None
    invoice_id: int | None
    # Of days that were billed ahead, by credit notes; what of it was paid is customer credit.
    given_back_cents: int | None


class ProposedLine(BaseModel):
    description: str
    amount_cents: int
    kind: str
    service: str
    from_on: date | None
    until_on: date | None
    conditional: bool


class BillingAnswer(BaseModel):
    """How a contract is billed, and its next invoice as it would be issued now."""

    contract_id: int
    mode: Mode
    started_on: date
    billed_until: date
    next_due_on: date | None = Field(description="null: no run bills it")
    automatic_payment: bool
    issue_on: date | None
    amount_cents: int
    lines: list[ProposedLine]
    flaws: list[str]


class Booklet(Body):
    model_config = example({"invoices": 12})

    invoices: Annotated[int, Field(strict=True, ge=1, le=LEAVES)] = LEAVES


class LeafAnswer(BaseModel):
    invoice_id: int
    due_on: date
    amount_cents: int
    state: str


class BookletAnswer(BaseModel):
    """What of a contract is issued and due from today on."""

    contract_id: int
    leaves: list[LeafAnswer]


class RunAnswer(BaseModel):
    id: int
    until_on: date
    started_at: datetime
    ended_at: datetime | None
    actor: str
    invoices: int
    amount_cents: int
    parked: int


class RanAnswer(BaseModel):
    """`id` null: nothing was due, that was billed already."""

    id: int | None
    until: date
    invoices: int
    amount_cents: int
    parked: int
    failed: list[int]


class ParkedAnswer(BaseModel):
    id: int
    contract_id: int
    due_on: date
    flaws: list[str]
    amount_cents: int
    lines: list[dict[str, Any]]
    parked_at: datetime
    state: str
    released_by: str | None
    invoice_id: int | None
