"""Outages: whom they hit is not cut while they last, and is credited when they have ended."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, model_validator

from api import outages
from api.http import answers, fields, models
from api.http.cursor import Window, window
from api.http.idempotency import IdempotencyKey, once
from api.http.lists import listed, unknown
from api.http.problems import conflict, invalid, responses
from api.http.security import Caller, require
from api.operators import Permission
from api.renegotiating import UnknownRow
from api.store.billing_tables import outages as table
from api.store.uow import Uow
from billing.payer import Refused
from billing.place import parse_place

router = APIRouter(tags=["billing"], responses=responses(401, 403, 422, 503))

Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
Invoicing = Annotated[Caller, Depends(require(Permission.WRITE_INVOICES))]
AnswerT = TypeVar("AnswerT", bound=BaseModel)


class NewOutage(models.Body):
    """Whom it hit: by contracts, by a NAS (whoever has had a session on it), by region or city."""

    model_config = models.example(
        {
            "started_at": "2026-12-01T10:00:00-03:00",
            "ended_at": "2026-12-01T20:00:00-03:00",
            "reason": "fibra rompida",
            "nas_id": 1,
        }
    )

    started_at: fields.Instant
    # Left out, it goes on, and nobody whom it hits is cut until it is ended.
    ended_at: fields.Instant | None = None
    reason: fields.Words
    nas_id: fields.Id | None = None
    region: fields.Name | None = None
    state: fields.State | None = None
    city_code: fields.CityCode | None = None
    contract_ids: Annotated[list[fields.Id], Field(max_length=10_000)] = Field(default=[])

    @model_validator(mode="after")
    def _of_each_other(self) -> "NewOutage":
        parse_place(self.state, self.city_code)
        return self


class EndOutage(models.Body):
    model_config = models.example({"ended_at": "2026-12-01T20:00:00-03:00"})

    # Left out: now.
    ended_at: fields.Instant | None = None


class OutageAnswer(BaseModel):
    id: int
    contracts: int


class OutageItem(OutageAnswer):
    started_at: datetime
    ended_at: datetime | None
    reason: str
    author: str


class OutageEnded(OutageAnswer):
    ended_at: datetime
    contracts_to_review: int


@router.post(
    "/outages",
    status_code=201,
    summary="Tell of an outage: whom it hits is not cut while it lasts, and credited afterwards",
    description="By contracts, a NAS (whoever has had a session on it), a region, a state or city.",
    response_model=OutageAnswer,
    responses=responses(409),
)
async def tell_outage(
    request: Request, body: NewOutage, caller: Invoicing, key: IdempotencyKey = None
) -> JSONResponse:
    async def change(uow: Uow) -> OutageAnswer:
        now = uow.clock.now()
        started_at = _local(body.started_at, now)
        ended_at = _local(body.ended_at, now) if body.ended_at is not None else None
        if ended_at is not None and not started_at < ended_at <= now:
            raise invalid("ended_at", "an outage ends after it began, and not ahead of now")
        if started_at > now:
            raise invalid("started_at", "an outage is told of when it has begun, not ahead of now")
        hit = outages.Hit(
            contract_ids=body.contract_ids,
            nas_id=body.nas_id,
            region=body.region,
            place=parse_place(body.state, body.city_code),
        )
        own = caller.house.calendar.place
        outage_id, count = await outages.tell(uow, started_at, ended_at, body.reason, hit, own)
        return OutageAnswer(id=outage_id, contracts=count)

    return await _once(request, caller, key, "POST /outages", body, 201, change)


@router.post(
    "/outages/{id}/end",
    summary="End an outage: who was hit is credited, and looked at again",
    response_model=OutageEnded,
    responses=responses(404, 409),
)
async def end_outage(
    request: Request, id: Id, body: EndOutage, caller: Invoicing, key: IdempotencyKey = None
) -> JSONResponse:
    async def change(uow: Uow) -> OutageEnded:
        now = uow.clock.now()
        ended_at = _local(body.ended_at, now) if body.ended_at is not None else now
        try:
            count, looked = await outages.end(uow, id, ended_at)
        except UnknownRow as error:
            raise unknown("outage", id) from error
        return OutageEnded(id=id, contracts=count, ended_at=ended_at, contracts_to_review=looked)

    return await _once(request, caller, key, "POST /outages/{id}/end", body, 200, change)


@router.get("/outages", summary="List outages, those that go on or all")
async def list_outages(
    asked: Annotated[Window, Depends(window)],
    caller: Annotated[Caller, Depends(require(Permission.READ_CONTRACTS))],
    running: bool | None = None,
    contract_id: Annotated[int | None, Query(ge=1, le=fields.ID_MAX)] = None,
) -> answers.Page[OutageItem]:
    query = outages.rows(running, contract_id)
    return await listed(caller, "outages", query, table.c.id, asked, OutageItem)


async def _once(
    request: Request,
    caller: Caller,
    key: str | None,
    route: str,
    body: BaseModel,
    status: int,
    change: Callable[[Uow], Awaitable[AnswerT]],
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, AnswerT]:
        try:
            return status, await change(uow)
        except Refused as error:
            raise conflict("refused", "The change is refused", str(error)) from error

    return await once(request, caller, key, route, body, work)


def _local(at: datetime, now: datetime) -> datetime:
    """An instant without a zone is the provider's own."""
    return at.astimezone(now.tzinfo) if at.tzinfo is not None else at.replace(tzinfo=now.tzinfo)
