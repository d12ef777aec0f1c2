"""What of past months came in, and what is coming: cohorts, promises, agreements, DSO, forecast."""

from dataclasses import asdict
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from sqlalchemy import ColumnElement, Select

from api.http import answers
from api.http import delinquency_models as models
from api.http.cursor import Window, decode, encode, window
from api.http.delinquency import Reader
from api.http.problems import responses
from api.http.security import Caller
from api.store import delinquency, listing, outlook, recovery
from api.store.access_tables import promises
from api.store.delinquency import Day
from api.store.renegotiation import agreements
from api.store.uow import Uow
from billing.ageing import cohorts, month_of, outstanding
from billing.agreement import lapses_after
from billing.calendar import ONE_DAY
from billing.cash_forecast import curves, forecast

router = APIRouter(tags=["delinquency"], responses=responses(401, 403, 422, 503))

Asked = Annotated[Window, Depends(window)]

FORECAST_DAYS = 60
FORECAST_MONTHS = 6
DSO_DAYS = 90


@router.get(
    "/delinquency/cohorts",
    summary="What was paid of each month's invoices, and how soon",
)
async def read_cohorts(
    caller: Reader, months: Annotated[int, Query(ge=1, le=36)] = 12
) -> models.CohortsAnswer:
    async with caller.uow() as uow:
        today = uow.clock.now().date()
        first_on = _months_before(today, months - 1)
        found = await recovery.history(uow.connection, first_on, today, caller.house.settings.zone)
    items = [models.CohortItem(**asdict(cohort)) for cohort in cohorts(found, today)]
    return models.CohortsAnswer(today=today, items=items)


@router.get(
    "/delinquency/promises", summary="List promises to pay that are unpaid, and when they are due"
)
async def list_promises_due(
    asked: Asked,
    caller: Reader,
    due: Literal["overdue", "today", "week", "later"] | None = None,
) -> answers.Page[models.PromiseDue]:
    async with caller.uow() as uow:
        query = outlook.promise_rows(Day.at(await uow.desk()), due)
        rows, last = await _page(uow, "delinquency-promises", query, promises.c.id, asked, caller)
    return answers.Page(items=[models.PromiseDue(**row) for row in rows], next=last)


@router.get(
    "/delinquency/agreements",
    summary="List running agreements with a part that is unpaid and due soon, or was due",
)
async def list_agreements_at_risk(
    asked: Asked,
    caller: Reader,
    within_days: Annotated[int, Query(ge=0, le=FORECAST_DAYS)] = 7,
) -> answers.Page[models.AgreementAtRisk]:
    async with caller.uow() as uow:
        desk = await uow.desk()
        today = desk.now.date()
        query = outlook.agreement_rows(today + timedelta(days=within_days))
        kind = "delinquency-agreements"
        rows, last = await _page(uow, kind, query, agreements.c.id, asked, caller)
    grace_days = desk.terms.agreement_grace_days
    items = [
        models.AgreementAtRisk(
            **row,
            overdue=row["due_on"] < today,
            breaks_on=lapses_after(row["due_on"], grace_days),
        )
        for row in rows
    ]
    return answers.Page(items=items, next=last)


@router.get("/delinquency/dso", summary="Days of sales that customers owe")
async def read_dso(
    caller: Reader, days: Annotated[int, Query(ge=30, le=365)] = DSO_DAYS
) -> models.DsoAnswer:
    async with caller.uow() as uow:
        day = Day.at(await uow.desk())
        await delinquency.without_jit(uow.connection)
        unpaid_cents = sum((await outlook.owed_by_due_date(uow.connection)).values())
        late_cents = await delinquency.late_cents(uow.connection, day)
        first_on = day.today - timedelta(days=days - 1)
        due_cents = await recovery.fell_due(uow.connection, first_on, day.today)
    found = outstanding(unpaid_cents, late_cents, due_cents, days)
    return models.DsoAnswer(
        today=day.today,
        days=days,
        unpaid_cents=unpaid_cents,
        late_cents=late_cents,
        due_cents=due_cents,
        dso_tenths=found.all_tenths if found else None,
        not_late_tenths=found.not_late_tenths if found else None,
        late_tenths=found.late_tenths if found else None,
    )


@router.get(
    "/delinquency/forecast",
    summary="Cash that is expected in the next 60 days",
    description="By what the invoices of the last six whole months brought, and how late.",
)
async def read_forecast(
    caller: Reader, by: Literal["day", "week"] = "day"
) -> models.ForecastAnswer:
    async with caller.uow() as uow:
        today = uow.clock.now().date()
        await delinquency.without_jit(uow.connection)
        owed = await outlook.owed_by_due_date(uow.connection)
        instalments = await outlook.instalments_by_due_date(uow.connection)
        found = await recovery.history(
            uow.connection,
            _months_before(today, FORECAST_MONTHS),
            month_of(today) - ONE_DAY,
            caller.house.settings.zone,
        )
    months = curves(found, today)
    step_days = 7 if by == "week" else 1
    told = forecast(owed, instalments, list(months.values()), today, FORECAST_DAYS, step_days)
    return models.ForecastAnswer(
        today=today,
        months=sorted(months),
        unpaid_cents=sum(owed.values()),
        items=[models.ExpectedCash(**asdict(item)) for item in told],
    )


async def _page(
    uow: Uow, kind: str, query: Select[Any], key: ColumnElement[int], asked: Window, caller: Caller
) -> tuple[list[listing.Item], str | None]:
    after = decode(kind, asked.after) if asked.after is not None else None
    rows, last = await listing.page(
        uow.connection, query, key, after, asked.limit, caller.house.settings.zone
    )
    return rows, encode(kind, last) if last is not None else None


def _months_before(day: date, count: int) -> date:
    """The first day of the month `count` months before that of `day`."""
    month = month_of(day)
    for _ in range(count):
        month = month_of(month - ONE_DAY)
    return month
