"""When people are thanked and asked, and what they answered."""

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from api.http import fields
from api.http.answers import Page
from api.http.cursor import Window, window
from api.http.lists import listed
from api.http.models import Body, example
from api.http.problems import Problem, responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import surveys as rows
from api.store.message_tables import survey_answers
from billing.calendar import day_start
from billing.moments import (
    EVERY_DAYS_USUAL,
    EXPIRES_DAYS_USUAL,
    MOMENTS_MAX,
    BadMoments,
    Message,
    Moments,
    Occasion,
    document,
    parse,
)
from billing.survey import QUESTIONS, Form, Tally, mean_hundredths, tally

router = APIRouter(tags=["messages"], responses=responses(401, 403, 422, 503))

Reading = Annotated[Caller, Depends(require(Permission.READ_SURVEYS))]
FirstDay = Annotated[date | None, Query(description="The first local day on which it was answered")]
LastDay = Annotated[date | None, Query(description="The last one")]
PlanFilter = Annotated[int | None, Query(ge=1, le=fields.ID_MAX)]


class MomentBody(Body):
    """One moment: what is followed, how many local days later, and by what."""

    name: str = Field(max_length=100)
    after: Occasion
    after_days: int = 0
    message: Message
    form: Form | None = None
    invoices: int | None = Field(None, description="Of paid_in_time: so many in a row")


class MomentsBody(Body):
    """When people are thanked and asked how we do."""

    model_config = example(
        {
            "every_days": 90,
            "expires_days": 14,
            "moments": [
                {
                    "name": "after_a_month",
                    "after": "activation",
                    "after_days": 30,
                    "message": "survey",
                    "form": "nps",
                },
                {
                    "name": "half_a_year_in_time",
                    "after": "paid_in_time",
                    "invoices": 6,
                    "message": "thanks",
                },
                {
                    "name": "back_again",
                    "after": "restore",
                    "after_days": 3,
                    "message": "survey",
                    "form": "satisfaction",
                },
            ],
        }
    )

    moments: list[MomentBody] = Field(max_length=MOMENTS_MAX)
    every_days: int = Field(EVERY_DAYS_USUAL, description="Nobody is thanked, or asked, more often")
    expires_days: int = Field(EXPIRES_DAYS_USUAL, description="So long a survey is open")


class MomentsAnswer(BaseModel):
    """The document in force. Version 0: none was written, and nobody is thanked or asked."""

    version: int
    author: str | None
    created_at: datetime | None
    every_days: int
    expires_days: int
    moments: list[MomentBody]


class Score(BaseModel):
    """Answers of the form `nps`, counted. `nps`: from -100 to 100; null: nobody answered."""

    answers: int
    promoters: int
    passives: int
    detractors: int
    nps: int | None


class MonthScore(Score):
    """Those of one month."""

    month: str = Field(examples=["2026-09"])


class PlanScore(Score):
    """Those of who had one plan when asked."""

    plan_id: int
    plan: str


class QuestionScore(BaseModel):
    """One question of the form `satisfaction`, from 1 to 5."""

    question: str
    answers: int
    mean_hundredths: int | None = Field(description="The mean mark, times 100")


class ResultsAnswer(BaseModel):
    """What people answered."""

    asked: dict[Form, int]
    nps: Score
    by_month: list[MonthScore]
    by_plan: list[PlanScore]
    satisfaction: list[QuestionScore]


class Detractor(BaseModel):
    """Somebody who gave 0 to 6, and what was said."""

    id: int
    subscriber_id: int
    subscriber: str
    contract_id: int
    plan: str
    moment: str
    score: int
    comment: str
    answered_at: datetime
    changed_at: datetime | None


@router.get("/moments", summary="Read when people are thanked and asked", responses=responses(404))
async def read_moments(
    caller: Annotated[Caller, Depends(require(Permission.READ_POLICIES))],
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> MomentsAnswer:
    async with caller.uow() as uow:
        row = await rows.moments_row(uow.connection, version)
    if row is None and version is not None:
        raise Problem(
            404, "not-found", "No such version", f"There is no version {version}; ask for the last"
        )
    if row is None:
        nobody = {"version": 0, "author": None, "created_at": None}
        return MomentsAnswer.model_validate(nobody | document(Moments()))
    created_at = row["created_at"].astimezone(caller.house.settings.zone)
    return MomentsAnswer.model_validate({**row, "created_at": created_at, **row["document"]})


@router.put(
    "/moments",
    summary="Say when people are thanked and asked",
    description="What happened before the first version is not followed. The document that is the"
    " latest already makes no new version.",
)
async def write_moments(
    body: MomentsBody,
    caller: Annotated[Caller, Depends(require(Permission.WRITE_POLICIES))],
) -> MomentsAnswer:
    try:
        wanted = document(parse(body.model_dump(mode="json", exclude_none=True)))
    except BadMoments as error:
        raise Problem(422, "moments-refused", "The document is refused", str(error)) from error
    async with caller.uow() as uow:
        at = uow.clock.now()
        version = await rows.add_moments(uow.connection, wanted, caller.identity.name, at)
        await uow.audit("moments.written", "moments", {"version": version, "document": wanted})
    return await read_moments(caller)


@router.get("/surveys/results", summary="What people answered: NPS over time and by plan")
async def results(
    caller: Reading,
    first_day: FirstDay = None,
    last_day: LastDay = None,
    plan_id: PlanFilter = None,
) -> ResultsAnswer:
    zone = caller.house.settings.zone
    span = (*_span(caller, first_day, last_day), plan_id)
    async with caller.uow() as uow:
        connection = uow.connection
        scores = (await connection.execute(rows.score_counts(str(zone), *span))).all()
        marks = (await connection.execute(rows.mark_counts(*span))).all()
        asked = {row[0]: row[1] for row in await connection.execute(rows.asked_count(*span))}
    by_month: dict[str, Counter[int]] = defaultdict(Counter)
    by_plan: dict[tuple[str, int], Counter[int]] = defaultdict(Counter)
    overall: Counter[int] = Counter()
    for row in scores:
        for counter in (overall, by_month[row.month], by_plan[row.plan, row.plan_id]):
            counter[row.score] += row.answers
    by_question: dict[str, Counter[int]] = defaultdict(Counter)
    for question, mark, count in marks:
        by_question[question][int(mark)] += count
    return ResultsAnswer(
        asked={form: asked.get(form.value, 0) for form in Form},
        nps=_score(tally(overall)),
        by_month=[
            MonthScore(month=month, **dict(_score(tally(by_month[month]))))
            for month in sorted(by_month)
        ],
        by_plan=[
            PlanScore(plan=plan, plan_id=number, **dict(_score(tally(by_plan[plan, number]))))
            for plan, number in sorted(by_plan)
        ],
        satisfaction=[
            QuestionScore(
                question=name,
                answers=by_question[name].total(),
                mean_hundredths=mean_hundredths(by_question[name]),
            )
            for name in QUESTIONS
        ],
    )


@router.get("/surveys/detractors", summary="List who would not recommend us, and why")
async def list_detractors(
    asked: Annotated[Window, Depends(window)],
    caller: Reading,
    first_day: FirstDay = None,
    last_day: LastDay = None,
    plan_id: PlanFilter = None,
) -> Page[Detractor]:
    query = rows.detractor_rows(*_span(caller, first_day, last_day), plan_id)
    key = survey_answers.c.survey_id
    return await listed(caller, "detractors", query, key, asked, Detractor)


def _span(
    caller: Caller, first_day: date | None, last_day: date | None
) -> tuple[datetime | None, datetime | None]:
    """The instants from which and until before which answers count."""
    zone = caller.house.settings.zone
    return (
        day_start(first_day, zone) if first_day is not None else None,
        day_start(last_day + timedelta(days=1), zone) if last_day is not None else None,
    )


def _score(counted: Tally) -> Score:
    return Score(
        answers=counted.answers,
        promoters=counted.promoters,
        passives=counted.passives,
        detractors=counted.detractors,
        nps=counted.nps,
    )
