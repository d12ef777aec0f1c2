"""What decides access: promises and holds; and what was decided, with its story."""

import re
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import JSONResponse
from sqlalchemy import select

from api.explain import timeline
from api.http import answers, fields, models
from api.http.idempotency import IdempotencyKey, once
from api.http.lists import required, unknown
from api.http.problems import conflict, invalid, responses
from api.http.security import Caller, require
from api.operators import Permission
from api.sentences import Lang
from api.store import listing, quotas
from api.store.customer_tables import contracts
from api.store.sessions import of_contract
from api.store.uow import UnknownContract, Uow
from billing.account import Account, Hold, Promise, place_hold, take_promise
from billing.payer import AuthorKind, Refused

router = APIRouter(tags=["ladder"], responses=responses(401, 403, 422, 503))

Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
AskedLang = Annotated[Lang | None, Query(description="Wins over Accept-Language")]
AcceptLanguage = Annotated[str, Header(alias="Accept-Language", include_in_schema=False)]


@router.get(
    "/contracts/{id}/access",
    summary="The access that was decided, and how far each open session has it",
    responses=responses(404),
)
async def read_access(
    id: Id, caller: Annotated[Caller, Depends(require(Permission.READ_CONTRACTS))]
) -> answers.AccessAnswer:
    query = listing.contract_details(with_debt=False)
    contract = await required(caller, "contract", query, contracts.c.id, id)
    async with caller.uow() as uow:
        sessions = await of_contract(uow.connection, id)
        step = await uow.connection.scalar(
            select(contracts.c.rungs[-1]["level"].astext).where(contracts.c.id == id)
        )
        standings = await quotas.standings(uow.connection, [id], uow.clock.now().date())
    return answers.AccessAnswer(
        **{k: contract[k] for k in ("level", "generation", "reason", "since", "review_on")},
        step=step,
        quota=_quota(standings),
        sessions=[answers.AccessSession(**session) for session in sessions],
    )


def _quota(standings: list[quotas.Standing]) -> answers.QuotaAnswer | None:
    for standing in standings:
        if standing.meter is not None:
            return answers.QuotaAnswer(
                octets=standing.meter.quota_octets,
                used_octets=standing.meter.used_octets,
                cycle_ends_on=standing.meter.cycle.ends_on,
                spent_until=standing.spent_until,
            )
    return None


@router.get(
    "/contracts/{id}/timeline",
    summary="What happened, in order, as data and as sentences",
    description="Without read_debt the amounts are left out.",
    responses=responses(404),
)
async def read_timeline(
    id: Id,
    caller: Annotated[Caller, Depends(require(Permission.READ_CONTRACTS))],
    lang: AskedLang = None,
    accepted: AcceptLanguage = "",
) -> answers.Timeline:
    async with caller.uow() as uow:
        told = await timeline(
            caller.house,
            uow.connection,
            id,
            lang or spoken(accepted),
            amounts=caller.may(Permission.READ_DEBT),
        )
    if not told:
        raise unknown("contract", id)
    return answers.Timeline(items=[answers.TimelineFact.model_validate(item) for item in told])


def spoken(accepted: str) -> Lang:
    """The language to answer in: the best weighted of Accept-Language that we speak."""
    best: tuple[float, Lang] = (0.0, "pt-BR")
    for part in accepted.split(","):
        tag, _, parameter = part.strip().partition(";")
        lang = _SPOKEN.get(tag.strip().lower()[:2])
        weight = _weight(parameter)
        if lang is not None and weight > best[0]:
            best = (weight, lang)
    return best[1]


_SPOKEN: dict[str, Lang] = {"pt": "pt-BR", "en": "en"}


def _weight(parameter: str) -> float:
    found = re.fullmatch(r"\s*q=([01](?:\.[0-9]{0,3})?)\s*", parameter)
    return float(found[1]) if found else float(not parameter)


@router.post(
    "/contracts/{id}/promises",
    status_code=201,
    summary="Take a promise to pay: the trust unlock",
    response_model=answers.PromiseAnswer,
    responses=responses(404, 409),
)
async def promise(
    request: Request,
    id: Id,
    body: models.NewPromise,
    caller: Annotated[Caller, Depends(require(Permission.TAKE_PROMISES))],
    key: IdempotencyKey = None,
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, answers.PromiseAnswer]:
        before = await _account(uow, id)
        taken = Promise(
            id=await uow.draw("promises"),
            contract_id=id,
            made_at=uow.clock.now(),
            until_on=body.until_on,
            author=caller.identity.name,
            debt_invoice_ids=(),
            author_kind=AuthorKind(body.author_kind),
        )
        try:
            after, facts = take_promise(before, taken, await uow.desk())
        except Refused as error:
            raise conflict("promise-refused", "The promise is refused", str(error)) from error
        await uow.record(before, facts)
        return 201, answers.PromiseAnswer(
            id=taken.id,
            contract_id=id,
            made_at=taken.made_at,
            until_on=taken.until_on,
            author=taken.author,
            level=_level(after, id),
        )

    return await once(request, caller, key, "POST /contracts/{id}/promises", body, work)


@router.post(
    "/contracts/{id}/holds",
    status_code=201,
    summary="Hold cuts back until an instant, or exempt from cuts and reminders, with a reason",
    response_model=answers.HoldAnswer,
    responses=responses(404, 409),
)
async def hold(
    request: Request,
    id: Id,
    body: models.NewHold,
    caller: Annotated[Caller, Depends(require(Permission.PLACE_HOLDS))],
    key: IdempotencyKey = None,
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, answers.HoldAnswer]:
        before = await _account(uow, id)
        now = uow.clock.now()
        placed = Hold(
            id=await uow.draw("holds"),
            contract_id=id,
            author=caller.identity.name,
            reason=body.reason,
            placed_at=now,
            expires_at=_local(body.expires_at, now),
            kind=body.kind,
        )
        if placed.expires_at <= now:
            raise invalid("expires_at", f"it must lie ahead of now, {now.isoformat()}")
        try:
            after, facts = place_hold(before, placed, await uow.desk())
        except Refused as error:
            raise conflict("hold-refused", "The hold is refused", str(error)) from error
        await uow.record(before, facts)
        return 201, answers.HoldAnswer(
            id=placed.id,
            contract_id=id,
            placed_at=placed.placed_at,
            expires_at=placed.expires_at,
            kind=placed.kind,
            author=placed.author,
            reason=placed.reason,
            level=_level(after, id),
        )

    return await once(request, caller, key, "POST /contracts/{id}/holds", body, work)


async def _account(uow: Uow, contract_id: int) -> Account:
    try:
        payer = await uow.payer_of_contract(contract_id)
    except UnknownContract as error:
        raise unknown("contract", contract_id) from error
    return await uow.account(payer)


def _level(account: Account, contract_id: int) -> Literal["full", "reduced", "walled", "blocked"]:
    contract = next(c for c in account.contracts if c.id == contract_id)
    return contract.access.level.value


def _local(at: datetime, now: datetime) -> datetime:
    """An instant without a zone is the provider's own."""
    return at.astimezone(now.tzinfo) if at.tzinfo is not None else at.replace(tzinfo=now.tzinfo)
