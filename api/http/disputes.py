"""Disputes of a charge: opened, answered, listed with the days that are left."""

from datetime import UTC, date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import Select, select

from api import renegotiating
from api.http import answers, fields
from api.http.cursor import Window, decode, encode, window
from api.http.idempotency import IdempotencyKey, once
from api.http.lists import unknown
from api.http.problems import conflict, responses
from api.http.renegotiation import DisputeAnswer, NewAnswer, NewDispute
from api.http.security import Caller, require
from api.operators import Permission
from api.renegotiating import UnknownRow
from api.store import listing
from api.store.renegotiation import disputes
from api.store.uow import Uow
from billing.dispute import ANSWER_DAYS, SAC_DAYS, DisputeState
from billing.payer import Refused

router = APIRouter(tags=["disputes"], responses=responses(401, 403, 422, 503))

Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
IdFilter = Annotated[int | None, Query(ge=1, le=fields.ID_MAX)]
Reading = Annotated[Caller, Depends(require(Permission.READ_DEBT))]


@router.post(
    "/invoices/{id}/disputes",
    status_code=201,
    summary="Dispute an invoice or a part of it",
    description="The disputed part stands still until it is answered; what else is unpaid has at"
    " least five more days.",
    response_model=DisputeAnswer,
    responses=responses(404, 409),
)
async def open_dispute(
    request: Request,
    id: Id,
    body: NewDispute,
    caller: Annotated[Caller, Depends(require(Permission.OPEN_DISPUTES))],
    key: IdempotencyKey = None,
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, BaseModel]:
        try:
            number = await renegotiating.dispute(
                uow, id, body.amount_cents, body.reason, caller.identity.name
            )
        except UnknownRow as error:
            raise unknown("invoice", id) from error
        except Refused as error:
            raise conflict("dispute-refused", "The dispute is refused", str(error)) from error
        return 201, await _shown(uow, number)

    return await once(request, caller, key, "POST /invoices/{id}/disputes", body, work)


@router.post(
    "/disputes/{id}/answer",
    summary="Accept or reject a dispute, with the reasons that the customer is told",
    description="Accepted: what was unpaid is cancelled, what was paid comes back as credit, double"
    " and with interest. Rejected: what was unpaid is owed again with a new due date. After 30 days"
    " without an answer it is accepted by itself.",
    response_model=DisputeAnswer,
    responses=responses(404, 409),
)
async def answer_dispute(
    request: Request,
    id: Id,
    body: NewAnswer,
    caller: Annotated[Caller, Depends(require(Permission.ANSWER_DISPUTES))],
    key: IdempotencyKey = None,
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, BaseModel]:
        try:
            await renegotiating.answer(
                uow,
                id,
                DisputeState(body.outcome),
                body.answer,
                caller.identity.name,
                body.due_on,
            )
        except UnknownRow as error:
            raise unknown("dispute", id) from error
        except Refused as error:
            raise conflict("answer-refused", "The answer is refused", str(error)) from error
        return 200, await _shown(uow, id)

    return await once(request, caller, key, "POST /disputes/{id}/answer", body, work)


@router.get("/disputes", summary="List disputes, with the days left to answer them")
async def list_disputes(
    asked: Annotated[Window, Depends(window)],
    caller: Reading,
    state: DisputeState | None = None,
    contract_id: IdFilter = None,
) -> answers.Page[DisputeAnswer]:
    query = _rows()
    if state is not None:
        query = query.where(disputes.c.state == state.value)
    if contract_id is not None:
        query = query.where(disputes.c.contract_id == contract_id)
    after = decode("disputes", asked.after) if asked.after is not None else None
    async with caller.uow() as uow:
        rows, last = await listing.page(
            uow.connection, query, disputes.c.id, after, asked.limit, caller.house.settings.zone
        )
        today = uow.clock.now().date()
    items = [_answer(row, today) for row in rows]
    return answers.Page(items=items, next=encode("disputes", last) if last is not None else None)


@router.get("/disputes/{id}", summary="Read a dispute", responses=responses(404))
async def read_dispute(id: Id, caller: Reading) -> DisputeAnswer:
    async with caller.uow() as uow:
        return await _shown(uow, id)


def _rows() -> Select[Any]:
    return select(
        *(c for c in disputes.c if c.name not in ("cents", "frozen_id", "paid_on")),
        disputes.c.cents.label("amount_cents"),
        disputes.c.frozen_id.label("frozen_invoice_id"),
    )


async def _shown(uow: Uow, dispute_id: int) -> DisputeAnswer:
    now = uow.clock.now()
    row = await listing.one(uow.connection, _rows(), disputes.c.id, dispute_id, now.tzinfo or UTC)
    if row is None:
        raise unknown("dispute", dispute_id)
    return _answer(row, now.date())


def _answer(row: listing.Item, today: date) -> DisputeAnswer:
    opened_on = row["opened_at"].date()
    answer_due_on = opened_on + timedelta(days=ANSWER_DAYS)
    sac_due_on = opened_on + timedelta(days=SAC_DAYS)
    is_open = row["state"] == DisputeState.OPEN
    return DisputeAnswer(
        **row,
        answer_due_on=answer_due_on,
        days_left=(answer_due_on - today).days if is_open else None,
        sac_due_on=sac_due_on,
        sac_days_left=(sac_due_on - today).days if is_open else None,
    )
