"""What a contract used: by the hour, by the day, and of its current cycle."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from api.http import answers, fields
from api.http.cursor import Window, decode, encode, window
from api.http.lists import unknown
from api.http.problems import responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import usage
from billing.calendar import day_start
from billing.quota import cycle_of

router = APIRouter(tags=["network"], responses=responses(401, 403, 422, 503))

FirstDay = Annotated[
    fields.Day | None, Query(alias="from", description="First day, in the provider's time zone")
]
LastDay = Annotated[fields.Day | None, Query(alias="to", description="Last day, itself included")]


@router.get(
    "/contracts/{id}/usage",
    summary="Traffic of a contract, by hour or by day, and of its current cycle",
    description=(
        "Hours are UTC's, days the provider's. What no record has told yet is not in it: the"
        " latest interim of an open session may be some minutes old."
    ),
    responses=responses(404),
)
async def read_usage(
    id: Annotated[int, Path(ge=1, le=fields.ID_MAX)],
    asked: Annotated[Window, Depends(window)],
    caller: Annotated[Caller, Depends(require(Permission.READ_CONTRACTS))],
    by: usage.By = "day",
    first: FirstDay = None,
    last: LastDay = None,
) -> answers.UsageAnswer:
    kind = f"usage-{by}-{id}"
    after = decode(kind, asked.after) if asked.after is not None else None
    zone = caller.house.settings.zone
    end = last + timedelta(days=1) if last is not None else None
    bounds: tuple[date | None, date | None] = (first, end)
    if by == "hour":
        bounds = (
            day_start(first, zone) if first is not None else None,
            day_start(end, zone) if end is not None else None,
        )
    async with caller.uow() as uow:
        reset_day = await usage.reset_day(uow.connection, id)
        if reset_day is None:
            raise unknown("contract", id)
        cycle = cycle_of(uow.clock.now().date(), reset_day)
        items, more = await usage.page(uow.connection, id, by, bounds, after, asked.limit)
        down, up = await usage.total(uow.connection, id, cycle.starts_on, cycle.ends_on)

    def begins_at(period: Any) -> datetime:
        if isinstance(period, datetime):
            return period.astimezone(zone)
        return day_start(period, zone)

    return answers.UsageAnswer(
        items=[
            answers.UsageItem(
                begins_at=begins_at(item["period"]),
                down_octets=item["down_octets"],
                up_octets=item["up_octets"],
            )
            for item in items
        ],
        next=encode(kind, more) if more is not None else None,
        period=answers.UsagePeriod(
            starts_on=cycle.starts_on,
            ends_on=cycle.ends_on,
            down_octets=down,
            up_octets=up,
        ),
    )
