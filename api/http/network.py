"""What the network did and was seen to do: sessions, actions, how fast lines are restored."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query

from api.http import answers, fields
from api.http.cursor import Window, window
from api.http.lists import listed, required
from api.http.problems import responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import listing
from api.store.network_tables import network_actions, sessions
from api.store.sessions import restore_metrics

router = APIRouter(tags=["network"], responses=responses(401, 403, 422, 503))

Asked = Annotated[Window, Depends(window)]
Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
IdFilter = Annotated[int | None, Query(ge=1, le=fields.ID_MAX)]
Term = Annotated[str | None, Query(max_length=253, pattern=r"^[^\x00-\x1f]+$")]
Outcome = Literal["ack", "nak", "silence", "superseded"]


@router.get("/sessions", summary="List sessions")
async def list_sessions(
    asked: Asked,
    caller: Annotated[Caller, Depends(require(Permission.READ_SESSIONS))],
    online: bool | None = None,
    nas: Annotated[Term, Query(description="A NAS's name")] = None,
    contract: Annotated[IdFilter, Query(description="A contract's id")] = None,
    stale: Annotated[bool | None, Query(description="Open, but silent for three interims")] = None,
) -> answers.Page[answers.SessionAnswer]:
    query = listing.session_rows(online, nas, contract, stale)
    return await listed(caller, "sessions", query, sessions.c.id, asked, answers.SessionAnswer)


@router.get("/sessions/{id}", summary="Read a session", responses=responses(404))
async def read_session(
    id: Id, caller: Annotated[Caller, Depends(require(Permission.READ_SESSIONS))]
) -> answers.SessionAnswer:
    query = listing.session_rows()
    return answers.SessionAnswer(**await required(caller, "session", query, sessions.c.id, id))


@router.get("/actions", summary="List exchanges with NASes")
async def list_actions(
    asked: Asked,
    caller: Annotated[Caller, Depends(require(Permission.READ_SESSIONS))],
    contract: Annotated[IdFilter, Query(description="A contract's id")] = None,
    nas: Annotated[Term, Query(description="A NAS's name")] = None,
    outcome: Outcome | None = None,
) -> answers.Page[answers.ActionAnswer]:
    query = listing.action_rows(contract, nas, outcome)
    return await listed(caller, "actions", query, network_actions.c.id, asked, answers.ActionAnswer)


@router.get("/actions/{id}", summary="Read an exchange with a NAS", responses=responses(404))
async def read_action(
    id: Id, caller: Annotated[Caller, Depends(require(Permission.READ_SESSIONS))]
) -> answers.ActionAnswer:
    query = listing.action_rows()
    return answers.ActionAnswer(**await required(caller, "action", query, network_actions.c.id, id))


@router.get(
    "/metrics/restore",
    summary="From payment to applied and to observed: p50, p99 and the open ones",
)
async def read_restore_metrics(
    caller: Annotated[Caller, Depends(require(Permission.READ_CONTRACTS))],
) -> dict[str, object]:
    async with caller.uow() as uow:
        return await restore_metrics(uow.connection)
