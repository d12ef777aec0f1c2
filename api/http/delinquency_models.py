"""What the routes on delinquency answer. Amounts are cents of principal, ages local days."""

from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.http.fields import Level


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


_BUCKET = {
    "bucket": "16-30",
    "least_days": 16,
    "most_days": 30,
    "contracts": 2,
    "debt_cents": 29970,
}
_AGED = _BUCKET | {"principal_cents": 19980}
_SUMS = {
    "contracts": 2,
    "debt_cents": 29970,
    "disputed_cents": 9990,
    "renegotiated_cents": 0,
    "buckets": [_BUCKET],
}


class BucketSums(BaseModel):
    """The contracts whose oldest late invoice has this age, and all their late debt."""

    model_config = _example(**_BUCKET)

    bucket: str = Field(examples=["16-30"])
    least_days: int
    most_days: int | None = Field(description="null: no end")
    contracts: int
    debt_cents: int


class AgedBucket(BucketSums):
    """Also the late principal of this age, whoever owes it. Both sums have one total."""

    model_config = _example(**_AGED)

    principal_cents: int


class Sums(BaseModel):
    """What is late of some contracts. Disputed and renegotiated debt is no part of `debt_cents`."""

    model_config = _example(**_SUMS)

    contracts: int
    debt_cents: int
    disputed_cents: int
    renegotiated_cents: int = Field(description="principal that running agreements took over")
    buckets: list[BucketSums]


class RegionSums(Sums):
    region: str


class PlanSums(Sums):
    plan_id: int
    plan: str


class StepSums(Sums):
    step: str = Field(examples=["walled"], description="none: before the first step")


class DelinquencyAnswer(BaseModel):
    """Late is ladder rule 1: overdue under the contract's policy, unpaid, and not disputed."""

    model_config = _example(
        today="2026-09-28",
        total=_SUMS,
        buckets=[_AGED],
        by_region=[_SUMS | {"region": ""}],
        by_plan=[_SUMS | {"plan_id": 1, "plan": "Fibra 300"}],
        by_step=[_SUMS | {"step": "walled"}],
    )

    today: date
    total: Sums
    buckets: list[AgedBucket] = Field(description="those of `total`, with each age's own principal")
    by_region: list[RegionSums]
    by_plan: list[PlanSums]
    by_step: list[StepSums]


class LateContract(BaseModel):
    """One late contract, in the bucket of its oldest late invoice. The document is masked."""

    model_config = _example(
        contract_id=7,
        subscriber_id=5,
        name="Assinante 5",
        document="***.456.789-**",
        username="user5",
        plan_id=1,
        plan="Fibra 300",
        region="",
        policy="anatel-765",
        level="walled",
        step="walled",
        ended_on=None,
        bucket="16-30",
        days_late=27,
        oldest_due_on="2026-09-01",
        invoices=1,
        debt_cents=9990,
        disputed_cents=0,
        promise=False,
        agreement=False,
        dispute=False,
        exempt=False,
    )

    contract_id: int
    subscriber_id: int
    name: str
    document: str
    username: str | None
    plan_id: int
    plan: str
    region: str
    policy: str
    level: Level
    step: str
    ended_on: date | None
    bucket: str
    days_late: int
    oldest_due_on: date
    invoices: int
    debt_cents: int
    disputed_cents: int
    promise: bool
    agreement: bool
    dispute: bool
    exempt: bool = Field(description="a hold stands against cuts")


class RecoveredBy(BaseModel):
    """`null` while not all of the month's invoices are that old."""

    days: int
    paid_cents: int | None
    basis_points: int | None = Field(description="of 10,000")


class CohortItem(BaseModel):
    """The invoices that fell due in a month, and what was paid until so many days after that."""

    month: date = Field(description="its first day")
    due_cents: int
    recovered: list[RecoveredBy]


class CohortsAnswer(BaseModel):
    model_config = _example(
        today="2026-09-28",
        items=[
            {
                "month": "2026-08-01",
                "due_cents": 100000,
                "recovered": [{"days": 0, "paid_cents": 71000, "basis_points": 7100}],
            }
        ],
    )

    today: date
    items: list[CohortItem]


class PromiseDue(BaseModel):
    """A promise whose debt is unpaid. `due`: `overdue`, `today`, `week` (to Sunday), `later`."""

    model_config = _example(
        id=3,
        contract_id=7,
        name="Assinante 5",
        until_on="2026-09-28",
        state="running",
        author="ana",
        due="today",
        unpaid_cents=9990,
    )

    id: int
    contract_id: int
    name: str
    until_on: date
    state: str
    author: str
    due: str
    unpaid_cents: int


class AgreementAtRisk(BaseModel):
    """A running agreement whose next unpaid part is due soon, or was due.

    `due_cents` is what of it is due until the asked day, `breaks_on` the day on which it breaks.
    """

    model_config = _example(
        id=2,
        contract_id=7,
        name="Assinante 5",
        due_on="2026-09-25",
        overdue=True,
        breaks_on="2026-10-01",
        due_cents=5000,
        left_cents=15000,
    )

    id: int
    contract_id: int
    name: str
    due_on: date
    overdue: bool
    breaks_on: date
    due_cents: int
    left_cents: int


class DsoAnswer(BaseModel):
    """Unpaid principal of open invoices over a day's sales, in tenths of a day.

    A day's sales: what fell due in the last `days` days, over `days`. `not_late` is the best that
    could be, `late` the average days delinquent. Null where nothing fell due.
    """

    model_config = _example(
        today="2026-09-28",
        days=90,
        unpaid_cents=500000,
        late_cents=120000,
        due_cents=1500000,
        dso_tenths=300,
        not_late_tenths=228,
        late_tenths=72,
    )

    today: date
    days: int
    unpaid_cents: int
    late_cents: int
    due_cents: int
    dso_tenths: int | None
    not_late_tenths: int | None
    late_tenths: int | None


class ExpectedCash(BaseModel):
    """From `from_on` until before `until_on`. `instalment_cents` is a part of `cents`."""

    from_on: date
    until_on: date
    cents: int
    low_cents: int
    high_cents: int
    instalment_cents: int


class ForecastAnswer(BaseModel):
    """Of what is unpaid, each day brings the share that it brought in the past `months`.

    Told apart by days from the due date. Low and high are the worst and the best of those months
    alone, for each period by itself. Principal of invoices issued until now, and no late charges.
    """

    model_config = _example(
        today="2026-09-28",
        months=["2026-08-01", "2026-09-01"],
        unpaid_cents=500000,
        items=[
            {
                "from_on": "2026-09-28",
                "until_on": "2026-10-05",
                "cents": 120000,
                "low_cents": 100000,
                "high_cents": 130000,
                "instalment_cents": 5000,
            }
        ],
    )

    today: date
    months: list[date]
    unpaid_cents: int
    items: list[ExpectedCash]
