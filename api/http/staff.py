"""Login, tokens and operators; and the rehearsal clock, which only they may move."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, assert_never

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.clock import day_start, wall
from api.http import answers, fields, models
from api.http.cursor import Window, window
from api.http.lists import listed
from api.http.problems import Problem, conflict, invalid, responses
from api.http.security import Caller, require
from api.operators import (
    LoggedIn,
    LoginRefused,
    LoginThrottled,
    NameTaken,
    Permission,
    Role,
    create_operator,
    create_token,
    login,
    token_sha256,
)
from api.store import listing
from api.store import operators as rows
from api.store.staff_tables import operators

router = APIRouter(tags=["staff"], responses=responses(401, 422, 503))


class ClockAnswer(BaseModel):
    model_config = ConfigDict(extra="allow")

    now: datetime


class LoginAnswer(BaseModel):
    token: str = Field(examples=["religa_…"])
    role: str
    expires_at: datetime


class TokenMade(BaseModel):
    """The only time that the token is shown."""

    id: int
    name: str
    role: str
    expires_at: datetime | None
    token: str = Field(examples=["religa_…"])


class OperatorAnswer(BaseModel):
    id: int
    name: str
    role: str
    created_at: datetime
    disabled_at: datetime | None


# Answers when everything due on the way is done; raises ValueError where it cannot go.
ClockMover = Callable[[datetime, str], Awaitable[dict[str, object]]]


@router.post("/login", summary="Exchange name and password for a token", responses=responses(429))
async def log_in(request: Request, body: models.Credentials) -> LoginAnswer:
    peer = request.client.host if request.client is not None else "unknown"
    outcome = await login(
        request.app.state.house, body.name, body.password, peer, request.scope["correlation_id"]
    )
    match outcome:
        case LoggedIn(token, role, expires_at):
            return LoginAnswer(token=token, role=role, expires_at=expires_at)
        case LoginRefused():
            raise Problem(
                401,
                "login-refused",
                "Name or password is wrong",
                "Try again; after five failures there is a wait of up to 15 minutes",
            )
        case LoginThrottled(retry_after_s):
            raise Problem(
                429,
                "login-throttled",
                "Too many failed logins",
                f"Wait {retry_after_s} s before the next attempt",
                headers={"Retry-After": str(retry_after_s)},
            )
        case _:
            assert_never(outcome)


@router.post("/tokens", status_code=201, summary="Make a token", responses=responses(403, 409))
async def make_token(
    body: models.NewToken,
    caller: Annotated[Caller, Depends(require(Permission.MANAGE_OPERATORS))],
) -> TokenMade:
    if body.role is Role.AGENCY:
        raise invalid("role", "POST /api/v1/agencies/{id}/tokens makes an agency's token")
    expires_at = body.expires_at
    if expires_at is not None and expires_at.tzinfo is None:
        expires_at = expires_at.replace(tzinfo=caller.house.settings.zone)
    if expires_at is not None and expires_at <= wall():
        raise invalid("expires_at", "it must lie ahead; leave it out for a token without end")
    async with caller.uow() as uow:
        try:
            token = await create_token(uow, body.role, body.name, expires_at=expires_at)
        except NameTaken as error:
            raise conflict("already-exists", "The name is taken", str(error)) from error
        made = await rows.live_token(uow.connection, token_sha256(token), wall())
    if made is None:
        raise LookupError("the token was made and is not there")
    return TokenMade(id=made.id, name=made.name, role=made.role, expires_at=expires_at, token=token)


@router.delete(
    "/tokens/{id}", status_code=204, summary="Revoke a token", responses=responses(403, 404)
)
async def revoke_token(
    id: Annotated[int, Path(ge=1, le=fields.ID_MAX)],
    caller: Annotated[Caller, Depends(require(Permission.MANAGE_OPERATORS))],
) -> Response:
    async with caller.uow() as uow:
        name = await rows.revoke_token(uow.connection, id, wall())
        if name is None:
            raise Problem(404, "not-found", "No such token", f"There is no token {id}")
        await uow.audit("token.revoked", f"token:{id}", {"name": name})
    return Response(status_code=204)


@router.post(
    "/operators", status_code=201, summary="Add an operator", responses=responses(403, 409)
)
async def make_operator(
    body: models.NewOperator,
    caller: Annotated[Caller, Depends(require(Permission.MANAGE_OPERATORS))],
) -> OperatorAnswer:
    if body.role is Role.AGENCY:
        raise invalid("role", "an agency has a token, and nobody who logs in")
    async with caller.uow() as uow:
        try:
            operator_id = await create_operator(uow, body.role, body.name, body.password)
        except NameTaken as error:
            raise conflict("already-exists", "The name is taken", str(error)) from error
        row = await listing.one(
            uow.connection,
            listing.operator_rows(),
            operators.c.id,
            operator_id,
            caller.house.settings.zone,
        )
    return OperatorAnswer.model_validate(row)


@router.get("/operators", summary="List operators", responses=responses(403))
async def list_operators(
    asked: Annotated[Window, Depends(window)],
    caller: Annotated[Caller, Depends(require(Permission.READ_OPERATORS))],
) -> answers.Page[OperatorAnswer]:
    query = listing.operator_rows()
    return await listed(caller, "operators", query, operators.c.id, asked, OperatorAnswer)


@router.post(
    "/clock",
    summary="Move the rehearsal clock; everything due on the way is done first",
    responses=responses(403, 409),
)
async def move_clock(
    request: Request,
    body: models.MoveClock,
    caller: Annotated[Caller, Depends(require(Permission.MOVE_CLOCK))],
) -> ClockAnswer:
    house = caller.house
    if not house.clock.manual:
        raise conflict(
            "clock-is-real",
            "The clock is the real one",
            "Start with RELIGA_CLOCK=manual for a rehearsal; a real clock is never moved",
        )
    zone = house.settings.zone
    asked = body.instant()
    if not isinstance(asked, datetime):
        asked = day_start(asked, zone)
    elif asked.tzinfo is None:
        asked = asked.replace(tzinfo=zone)
    async with caller.uow() as uow:
        now = uow.clock.now()
        if asked < now:
            raise conflict(
                "clock-goes-forward",
                "The clock only goes forward",
                f"It stands at {now.isoformat()}; ask for a later instant",
            )
        await uow.audit("clock.moved", "clock", {"from": now.isoformat(), "to": asked.isoformat()})
    mover: ClockMover = request.app.state.clock_mover
    try:
        done = await mover(asked, caller.correlation_id)
    except ValueError as error:  # another request moved it further meanwhile
        raise conflict("clock-goes-forward", "The clock only goes forward", str(error)) from error
    return ClockAnswer.model_validate(done)
