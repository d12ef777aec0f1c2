"""Holds and exemptions listed and ended, and who is exempt at all."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import select

from api.http import answers, fields, models
from api.http.cursor import Window, window
from api.http.idempotency import IdempotencyKey, once
from api.http.lists import listed, unknown
from api.http.problems import conflict, responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import exemptions, listing
from api.store.access_tables import holds
from api.store.uow import Uow
from billing.account import Refused, end_hold
from billing.payer import HoldKind

router = APIRouter(tags=["ladder"], responses=responses(401, 403, 422, 503))

Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
Asked = Annotated[Window, Depends(window)]
Reading = Annotated[Caller, Depends(require(Permission.READ_CONTRACTS))]


class HoldItem(BaseModel):
    """`ended_at` is null unless somebody ended it before it expires."""

    id: int
    contract_id: int
    kind: HoldKind
    author: str
    reason: str
    placed_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    ended_by: str
    end_reason: str
    standing: bool


class ExemptionItem(BaseModel):
    """Of `exemption` there are hold and expiry; of `never_block` the class, which has no end."""

    kind: Literal["exemption", "never_block"]
    contract_id: int
    subscriber_id: int
    subscriber: str
    region: str | None
    level: fields.Level
    hold_id: int | None
    customer_class: str | None
    author: str
    reason: str
    since: datetime
    expires_at: datetime | None
    debt_cents: int | None


@router.get("/holds", summary="List holds and exemptions")
async def list_holds(
    asked: Asked,
    caller: Reading,
    contract_id: Annotated[int | None, Query(ge=1, le=fields.ID_MAX)] = None,
    kind: HoldKind | None = None,
    standing: Annotated[bool | None, Query(description="In force now, or over")] = None,
) -> answers.Page[HoldItem]:
    async with caller.uow() as uow:
        now = uow.clock.now()
    query = exemptions.hold_rows(now, contract_id, kind.value if kind else None, standing)
    return await listed(caller, "holds", query, holds.c.id, asked, HoldItem)


@router.post(
    "/holds/{id}/end",
    summary="End a hold or an exemption before it expires",
    description="Cuts follow their dates again, one step a day.",
    response_model=HoldItem,
    responses=responses(404, 409),
)
async def end(
    request: Request,
    id: Id,
    body: models.EndHold,
    caller: Annotated[Caller, Depends(require(Permission.PLACE_HOLDS))],
    key: IdempotencyKey = None,
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, HoldItem]:
        contract_id = await uow.connection.scalar(
            select(holds.c.contract_id).where(holds.c.id == id)
        )
        if contract_id is None:
            raise unknown("hold", id)
        account = await uow.account(await uow.payer_of_contract(contract_id))
        try:
            _, facts = end_hold(account, id, caller.identity.name, body.reason, await uow.desk())
        except Refused as error:
            raise conflict("hold-refused", "The hold cannot be ended", str(error)) from error
        await uow.record(account, facts)
        zone = caller.house.settings.zone
        query = exemptions.hold_rows(uow.clock.now())
        item = await listing.one(uow.connection, query, holds.c.id, id, zone)
        return 200, HoldItem.model_validate(item)

    return await once(request, caller, key, "POST /holds/{id}/end", body, work)


@router.get(
    "/exemptions",
    summary="List who is neither cut nor reminded: exemptions in force, classes never blocked",
    description="To be read every month (ladder rule 10). Without read_debt the debt is null.",
)
async def list_exemptions(
    asked: Asked,
    caller: Reading,
    kind: Literal["exemption", "never_block"] | None = None,
    region: Annotated[str | None, Query(max_length=64, pattern=r"^[^\x00-\x1f]+$")] = None,
) -> answers.Page[ExemptionItem]:
    async with caller.uow() as uow:
        now = uow.clock.now()
    query, exempt = exemptions.exemption_rows(
        now, with_debt=caller.may(Permission.READ_DEBT), kind=kind, region=region
    )
    return await listed(caller, "exemptions", query, exempt.c.place, asked, ExemptionItem)
