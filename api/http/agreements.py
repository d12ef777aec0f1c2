"""Agreements: simulated, offered, approved by a second person, accepted, listed."""

from datetime import UTC
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
from api.http.renegotiation import (
    AgreementAnswer,
    NewAgreement,
    OwedItem,
    PartItem,
    SimulationAnswer,
)
from api.http.security import Caller, require
from api.operators import Permission
from api.renegotiating import Asked, UnknownRow
from api.store import listing
from api.store.money_tables import invoices
from api.store.renegotiation import agreements, read_simulation
from api.store.uow import UnknownContract, Uow
from billing.agreement import AgreementState, Proposal, Simulation
from billing.payer import Refused

router = APIRouter(tags=["agreements"], responses=responses(401, 403, 422, 503))

Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
IdFilter = Annotated[int | None, Query(ge=1, le=fields.ID_MAX)]
Offering = Annotated[Caller, Depends(require(Permission.OFFER_AGREEMENTS))]
Reading = Annotated[Caller, Depends(require(Permission.READ_DEBT))]


@router.post(
    "/contracts/{id}/agreements",
    status_code=201,
    summary="Offer an agreement on overdue debt, or simulate one",
    description="With `simulate` it answers 200 with what the proposal comes to, and nothing is"
    " offered. One that forgives principal waits as `awaiting_approval` for another person.",
    response_model=AgreementAnswer,
    responses=responses(404, 409)
    | {200: {"model": SimulationAnswer, "description": "A simulation"}},
)
async def offer(
    request: Request, id: Id, body: NewAgreement, caller: Offering, key: IdempotencyKey = None
) -> JSONResponse:
    asked = Asked(
        author=caller.identity.name,
        valid_until=body.valid_until,
        proposal=Proposal(
            body.instalments,
            body.due_day,
            body.down_payment_cents,
            body.charges_percent,
            body.principal_percent,
            body.interest_month_basis_points,
        ),
        invoice_ids=tuple(dict.fromkeys(body.invoice_ids)),
    )

    async def work(uow: Uow) -> tuple[int, BaseModel]:
        try:
            account = await uow.account(await uow.payer_of_contract(id))
        except UnknownContract as error:
            raise unknown("contract", id) from error
        try:
            if body.simulate:
                found = await renegotiating.simulate(uow, account, id, asked)
                shown = _simulated(id, found.proposal, found.simulation)
                return 200, SimulationAnswer(**shown, valid_until=found.valid_until)
            number = await renegotiating.offer(uow, account, id, asked)
        except Refused as error:
            raise _refused("The agreement is refused", error) from error
        return 201, await _shown(uow, number)

    return await once(request, caller, key, "POST /contracts/{id}/agreements", body, work)


@router.post(
    "/agreements/{id}/approve",
    summary="Approve an agreement that forgives principal; not by who offered it",
    response_model=AgreementAnswer,
    responses=responses(404, 409),
)
async def approve(
    request: Request,
    id: Id,
    caller: Annotated[Caller, Depends(require(Permission.APPROVE_AGREEMENTS))],
    key: IdempotencyKey = None,
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, BaseModel]:
        try:
            await renegotiating.approve(uow, id, caller.identity.name)
        except UnknownRow as error:
            raise unknown("agreement", id) from error
        except Refused as error:
            raise _refused("The agreement cannot be approved", error) from error
        return 200, await _shown(uow, id)

    return await once(request, caller, key, "POST /agreements/{id}/approve", None, work)


@router.post(
    "/agreements/{id}/accept",
    summary="Sign an agreement: the old invoices are renegotiated, its parts are invoices",
    response_model=AgreementAnswer,
    responses=responses(404, 409),
)
async def accept(
    request: Request, id: Id, caller: Offering, key: IdempotencyKey = None
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, BaseModel]:
        try:
            await renegotiating.accept(uow, id, caller.identity.name)
        except UnknownRow as error:
            raise unknown("agreement", id) from error
        except Refused as error:
            raise _refused("The agreement cannot be accepted", error) from error
        return 200, await _shown(uow, id)

    return await once(request, caller, key, "POST /agreements/{id}/accept", None, work)


@router.get("/agreements", summary="List agreements")
async def list_agreements(
    asked: Annotated[Window, Depends(window)],
    caller: Reading,
    state: AgreementState | None = None,
    contract_id: IdFilter = None,
) -> answers.Page[AgreementAnswer]:
    after = decode("agreements", asked.after) if asked.after is not None else None
    async with caller.uow() as uow:
        rows, last = await listing.page(
            uow.connection,
            _rows(state, contract_id),
            agreements.c.id,
            after,
            asked.limit,
            caller.house.settings.zone,
        )
        items = await _answers(uow, rows)
    return answers.Page(items=items, next=encode("agreements", last) if last is not None else None)


@router.get("/agreements/{id}", summary="Read an agreement", responses=responses(404))
async def read_agreement(id: Id, caller: Reading) -> AgreementAnswer:
    async with caller.uow() as uow:
        return await _shown(uow, id)


def _refused(title: str, error: Refused) -> Exception:
    return conflict("agreement-refused", title, str(error))


def _rows(state: str | None = None, contract_id: int | None = None) -> Select[Any]:
    query = select(agreements)
    if state is not None:
        query = query.where(agreements.c.state == state)
    return query.where(agreements.c.contract_id == contract_id) if contract_id else query


async def _shown(uow: Uow, agreement_id: int) -> AgreementAnswer:
    zone = uow.clock.now().tzinfo or UTC
    row = await listing.one(uow.connection, _rows(), agreements.c.id, agreement_id, zone)
    if row is None:
        raise unknown("agreement", agreement_id)
    return (await _answers(uow, [row]))[0]


async def _answers(uow: Uow, rows: list[listing.Item]) -> list[AgreementAnswer]:
    numbers = [number for row in rows for number in row["invoice_ids"]]
    found = await uow.connection.execute(
        select(invoices.c.id, invoices.c.state, invoices.c.paid_cents).where(
            invoices.c.id.in_(numbers)
        )
    )
    standing = {row.id: (row.state, row.paid_cents) for row in found}
    told: list[AgreementAnswer] = []
    for row in rows:
        shown = _simulated(
            row["contract_id"], Proposal(**row["proposal"]), read_simulation(row["simulation"])
        )
        for part, number in zip(shown["parts"], row["invoice_ids"], strict=False):
            part.invoice_id = number
            part.state, part.paid_cents = standing[number]
        kept = {name: row[name] for name in AgreementAnswer.model_fields if name in row}
        told.append(AgreementAnswer(**(shown | kept)))
    return told


def _simulated(contract_id: int, proposal: Proposal, found: Simulation) -> dict[str, Any]:
    return {
        "contract_id": contract_id,
        "instalments": proposal.instalments,
        "due_day": proposal.due_day,
        "principal_cents": found.principal_cents,
        "fine_cents": found.fine_cents,
        "late_interest_cents": found.late_interest_cents,
        "charges_discount_cents": found.charges_discount_cents,
        "principal_discount_cents": found.principal_discount_cents,
        "down_payment_cents": proposal.down_payment_cents,
        "interest_cents": found.interest_cents,
        "total_cents": found.total_cents,
        "needs_approval": proposal.principal_percent > 0,
        "owed": [
            OwedItem(
                invoice_id=item.invoice_id,
                principal_cents=item.principal_cents,
                fine_cents=item.fine_cents,
                interest_cents=item.interest_cents,
            )
            for item in found.owed
        ],
        "parts": [PartItem(due_on=part.due_on, amount_cents=part.cents) for part in found.parts],
    }
