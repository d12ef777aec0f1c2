"""What the routes of reviews, guards and kill switches take and answer."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from api.http.fields import Id, Instant, Level, no_controls
from api.http.models import Body, example

Reason = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(no_controls)]
PlanState = Literal["preview", "running", "refused", "released", "done", "expired", "overtaken"]
RowState = Literal["shown", "waiting", "cut", "left"]
Change = Literal["cut", "restore", "none"]


class AskReview(Body):
    model_config = example({"dry_run": True, "at": "2026-09-21T08:00:00-03:00"})

    dry_run: Annotated[bool, Field(strict=True)]
    # An empty list is refused: it must never be read as "everyone".
    contract_ids: Annotated[list[Id], Field(min_length=1, max_length=10_000)] | None = None
    # A dry run as it would be then, if nothing is paid or asked until then; left out: now.
    at: Instant | None = None

    @model_validator(mode="after")
    def _only_looks_ahead(self) -> "AskReview":
        if self.at is not None and not self.dry_run:
            raise ValueError("at is for a dry run: nobody is cut before the time")
        return self


class AskRelease(Body):
    model_config = example({"hash": "5f" * 32})

    hash: str = Field(pattern="^[0-9a-f]{64}$", description="of the plan, as it was read")


class SwitchOff(Body):
    model_config = example({"reason": "pagamentos de ontem ainda não chegaram"})

    reason: Reason


class RetireFeed(Body):
    model_config = example({"reason": "contrato com o provedor encerrado"})

    reason: Reason


class Tally(BaseModel):
    cuts: int
    restores: int
    unchanged: int


class Totals(Tally):
    """How many contracts, and the same by region, NAS, level after it, and reason."""

    by_region: dict[str, Tally]
    by_nas: dict[str, Tally]
    by_level: dict[str, Tally]
    by_reason: dict[str, Tally]


class ReviewChange(BaseModel):
    """A contract whose level changes; `sentence` tells the reason."""

    contract_id: int
    subscriber: str
    region: str
    nas: str
    before: Level
    after: Level
    reason: str
    sentence: str
    counted_cents: int
    invoice_ids: list[int]
    notice_id: int | None


class ReviewAnswer(BaseModel):
    """The plan of cuts and restores; done unless `dry_run`.

    At most 500 of each are shown here; `GET /reviews/{id}/rows` has all of them, and the reason why
    each other contract stays as it is. `id` is null where nothing was kept. With `flaws` the guards
    refuse the cuts, in a dry run as they would; `waiting` cuts are still to be made, at their pace.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "dry_run": True,
                    "id": 7,
                    "hash": "5f" * 32,
                    "cuts": [
                        {
                            "contract_id": 17,
                            "subscriber": "Assinante 17",
                            "region": "",
                            "nas": "bng-1",
                            "before": "full",
                            "after": "walled",
                            "reason": "step_reached",
                            "sentence": "o passo da régua foi alcançado",
                            "counted_cents": 9990,
                            "invoice_ids": [40],
                            "notice_id": 9,
                        }
                    ],
                    "restores": [],
                    "flaws": [],
                }
            ]
        }
    )

    dry_run: bool
    id: int | None = None
    hash: str | None = None
    cuts: list[ReviewChange]
    restores: list[ReviewChange]
    flaws: list[str] = []
    sentences: list[str] = Field(default=[], description="the flaws in words")
    totals: Totals | None = None
    accounts: int | None = None
    notices: int | None = None
    failed: list[int] = []
    waiting: int = 0
    next_at: datetime | None = Field(
        default=None, description="of a dry run: when a contract is looked at that is not yet due"
    )


class CrowdedNas(BaseModel):
    nas: str
    cuts: int
    cuts_max: int
    contracts: int = Field(description="running ones whose lines are on it, or were last")


class CanarySign(BaseModel):
    contract_id: int
    sign: Literal["payment", "promise", "dispute", "hold"]


class ReviewItem(BaseModel):
    """A plan as it was kept: a preview, or the cuts of a sweep and what became of them.

    A plan's first cuts go alone. `canary` says whether the rest still waits for what they bring,
    went on, or was stopped; then it is a plan of its own, with `rest_of` and the `signs`.
    """

    id: int
    state: PlanState
    made_at: datetime
    actor: str
    hash: str
    cuts: int
    active: int = Field(description="running contracts when it was made")
    cuts_max: int = Field(description="how many of them one sweep may cut")
    cuts_max_by: Literal["share", "usual", "floor"] | None = Field(description="what says so")
    crowded: list[CrowdedNas] = Field(description="NASes of which it would cut too many")
    flaws: list[str] = Field(examples=[["too_many"]])
    canary: Literal["waiting", "passed", "stopped"] | None
    canary_until: datetime | None
    rest_of: int | None
    signs: list[CanarySign]
    expires_at: datetime | None = Field(description="until when it can be released")


class ReviewDetails(ReviewItem):
    totals: Totals
    sentences: list[str] = Field(description="the flaws in words")
    approved_by: list[str]


class ReviewRow(ReviewChange):
    """`state` of a cut: waiting, cut, or left, and then `outcome` says why."""

    policy: str
    policy_version: int
    review_on: datetime | None
    state: RowState
    outcome: str | None


class Released(BaseModel):
    """`released` after the second person's approval."""

    id: int
    state: PlanState
    approved_by: list[str]


class SwitchAnswer(BaseModel):
    """`nas_id` and `contract_id` say for what; both null: everything."""

    id: int
    scope: Literal["global", "nas", "contract"]
    nas_id: int | None
    contract_id: int | None
    author: str
    reason: str
    put_at: datetime
    lifted_at: datetime | None
    lifted_by: str | None
    lifted_because: str | None
    file_stands: bool = Field(
        default=False, description="the file of this machine, which needs no database, stands too"
    )


class SwitchPut(SwitchAnswer):
    taken_back: int = Field(description="cuts that were decided and had reached no line")


class SwitchLifted(BaseModel):
    contracts_to_review: int


class FeedAnswer(BaseModel):
    provider: str
    heard_at: datetime
    stale: bool
    set_up: bool = Field(
        description="this server asks it; one that is not asked any more is to be retired"
    )


class SwitchFileAnswer(BaseModel):
    path: str
    author: str
    reason: str


class BooksAnswer(BaseModel):
    """What `religa verify` found; with differences nobody is cut."""

    at: datetime
    actor: str
    differences: int
    told: list[str] | None = Field(
        description="the first of them; null for who may not read what anyone owes"
    )


class GuardsAnswer(BaseModel):
    """`bars` stand against any cut now; `flaws` are why. Restores know neither.

    `switch_file` is the kill switch of this machine that needs no database; null: it does not
    stand. `books` is the last recomputation; null: there was none.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "now": "2026-09-21T08:00:00-03:00",
                    "bars": ["stale_feed"],
                    "flaws": ["stale_feed"],
                    "active": 20000,
                    "cuts_in_window": 40,
                    "sentences": [
                        "um provedor de pagamentos está sem dar notícias há tempo demais"
                    ],
                    "sweep_max": 400,
                    "sweep_max_by": "share",
                    "weekday_cuts": [210, 190, 205, 220, 180, 200, 230, 215],
                    "window_max": 1000,
                    "waiting": 0,
                    "switch_file": None,
                    "books": {
                        "at": "2026-09-21T03:30:09-03:00",
                        "actor": "schedule",
                        "differences": 0,
                        "told": [],
                    },
                    "clock_seen_at": "2026-09-21T07:59:30-03:00",
                    "feeds": [
                        {
                            "provider": "pix",
                            "heard_at": "2026-09-18T03:10:00-03:00",
                            "stale": True,
                            "set_up": True,
                        }
                    ],
                }
            ]
        }
    )

    now: datetime
    bars: list[str]
    flaws: list[str]
    sentences: list[str] = Field(description="the flaws in words")
    active: int
    cuts_in_window: int
    sweep_max: int
    sweep_max_by: Literal["share", "usual", "floor"]
    weekday_cuts: list[int] = Field(
        description="what sweeps cut on each of the last days of this weekday, the newest first"
    )
    window_max: int
    waiting: int = Field(description="planned cuts that wait their turn")
    switch_file: SwitchFileAnswer | None
    books: BooksAnswer | None
    clock_seen_at: datetime | None
    feeds: list[FeedAnswer]
