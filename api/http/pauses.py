"""The customer's own suspension of the service, and the list of promises to pay."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import Select, select

from api import renegotiating
from api.http import answers, fields
from api.http.cursor import Window, decode, encode, window
from api.http.idempotency import IdempotencyKey, once
from api.http.lists import listed, unknown
from api.http.problems import conflict, responses
from api.http.renegotiation import NewPause, PauseAnswer, PromiseItem
from api.http.security import Caller, require
from api.operators import Permission
from api.renegotiating import UnknownRow
from api.store import listing
from api.store.access_tables import promises
from api.store.renegotiation import pauses
from api.store.uow import UnknownContract, Uow
from billing.pause import Pause
from billing.payer import PromiseState, Refused
from billing.suspension import suspend

router = APIRouter(tags=["ladder"], responses=responses(401, 403, 422, 503))

Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
IdFilter = Annotated[int | None, Query(ge=1, le=fields.ID_MAX)]
Pausing = Annotated[Caller, Depends(require(Permission.PAUSE_CONTRACTS))]
Reading = Annotated[Caller, Depends(require(Permission.READ_CONTRACTS))]


@router.post(
    "/contracts/{id}/pauses",
    status_code=201,
    summary="Suspend the service as the customer asks: 30 to 120 days, once in 12 months, free",
    response_model=PauseAnswer,
    responses=responses(404, 409),
)
async def pause(
    request: Request, id: Id, body: NewPause, caller: Pausing, key: IdempotencyKey = None
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, BaseModel]:
        try:
            account = await uow.account(await uow.payer_of_contract(id))
        except UnknownContract as error:
            raise unknown("contract", id) from error
        asked = Pause(
            id=await uow.draw("pauses"),
            contract_id=id,
            asked_at=uow.clock.now(),
            author=caller.identity.name,
            from_on=body.from_on,
            until_on=body.until_on,
        )
        try:
            _, facts = suspend(account, asked, await uow.desk())
        except Refused as error:
            raise conflict("pause-refused", "The suspension is refused", str(error)) from error
        await uow.record(account, facts)
        return 201, await _shown(uow, asked.id)

    return await once(request, caller, key, "POST /contracts/{id}/pauses", body, work)


@router.post(
    "/pauses/{id}/end",
    summary="End a suspension now, or take back one that has not begun",
    response_model=PauseAnswer,
    responses=responses(404, 409),
)
async def end_pause(
    request: Request, id: Id, caller: Pausing, key: IdempotencyKey = None
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, BaseModel]:
        try:
            await renegotiating.end_pause(uow, id)
        except UnknownRow as error:
            raise unknown("pause", id) from error
        except Refused as error:
            raise conflict("pause-refused", "The suspension cannot be ended", str(error)) from error
        return 200, await _shown(uow, id)

    return await once(request, caller, key, "POST /pauses/{id}/end", None, work)


@router.get("/pauses", summary="List suspensions that customers asked for")
async def list_pauses(
    asked: Annotated[Window, Depends(window)], caller: Reading, contract_id: IdFilter = None
) -> answers.Page[PauseAnswer]:
    after = decode("pauses", asked.after) if asked.after is not None else None
    async with caller.uow() as uow:
        rows, last = await listing.page(
            uow.connection,
            _rows(contract_id),
            pauses.c.id,
            after,
            asked.limit,
            caller.house.settings.zone,
        )
        now = uow.clock.now()
    items = [_answer(row, now) for row in rows]
    return answers.Page(items=items, next=encode("pauses", last) if last is not None else None)


@router.get("/pauses/{id}", summary="Read a suspension", responses=responses(404))
async def read_pause(id: Id, caller: Reading) -> PauseAnswer:
    async with caller.uow() as uow:
        return await _shown(uow, id)


@router.get("/promises", summary="List promises to pay, and whether they were kept")
async def list_promises(
    asked: Annotated[Window, Depends(window)],
    caller: Reading,
    state: PromiseState | None = None,
    contract_id: IdFilter = None,
) -> answers.Page[PromiseItem]:
    query = select(promises)
    if state is not None:
        query = query.where(promises.c.state == state.value)
    if contract_id is not None:
        query = query.where(promises.c.contract_id == contract_id)
    return await listed(caller, "promises", query, promises.c.id, asked, PromiseItem)


def _rows(contract_id: int | None = None) -> Select[Any]:
    query = select(pauses)
    return query.where(pauses.c.contract_id == contract_id) if contract_id else query


async def _shown(uow: Uow, pause_id: int) -> PauseAnswer:
    now = uow.clock.now()
    row = await listing.one(uow.connection, _rows(), pauses.c.id, pause_id, now.tzinfo or UTC)
    if row is None:
        raise unknown("pause", pause_id)
    return _answer(row, now)


def _answer(row: listing.Item, now: datetime) -> PauseAnswer:
    return PauseAnswer(**row, state=_state(Pause(**row), now))


def _state(pause: Pause, now: datetime) -> str:
    zone = now.tzinfo or UTC
    if not pause.took_place(zone):
        return "taken_back"
    at = now.astimezone(UTC)
    if at < pause.starts_at(zone).astimezone(UTC):
        return "planned"
    if at < pause.stops_at(zone).astimezone(UTC):
        return "running"
    return "ended" if pause.ended_at is not None else "over"
