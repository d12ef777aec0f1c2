"""What is kept as proof: notices sent, and the audit log."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query

from api.http import answers, fields
from api.http.cursor import Window, window
from api.http.lists import listed, required
from api.http.problems import responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import listing
from api.store.access_tables import notices
from api.store.outbox_listing import attempts_of, message_rows
from api.store.outbox_tables import messages
from api.store.queues import MESSAGES, NOTICES, Queue
from api.store.staff_tables import audit_log

router = APIRouter(tags=["proof"], responses=responses(401, 403, 422, 503))

Asked = Annotated[Window, Depends(window)]
Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
IdFilter = Annotated[int | None, Query(ge=1, le=fields.ID_MAX)]
Term = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00-\x1f]+$")]


@router.get("/notices", summary="List overdue notices")
async def list_notices(
    asked: Asked,
    caller: Annotated[Caller, Depends(require(Permission.READ_DEBT))],
    subscriber_id: IdFilter = None,
    state: Literal["drawn", "proven", "failed"] | None = None,
) -> answers.Page[answers.NoticeAnswer]:
    query = listing.notice_rows(subscriber_id, state)
    return await listed(caller, "notices", query, notices.c.id, asked, answers.NoticeAnswer)


@router.get(
    "/notices/{id}",
    summary="Read an overdue notice, with every attempt to deliver it",
    responses=responses(404),
)
async def read_notice(
    id: Id, caller: Annotated[Caller, Depends(require(Permission.READ_DEBT))]
) -> answers.NoticeDetails:
    row = await required(caller, "notice", listing.notice_rows(), notices.c.id, id)
    return answers.NoticeDetails(**row, attempts_made=await attempts(caller, NOTICES, id))


@router.get(
    "/messages",
    summary="List reminders, receipts, thanks and surveys, with their proof",
    description="What they say is not shown; the hash tells whether a copy is what went out.",
)
async def list_messages(
    asked: Asked,
    caller: Annotated[Caller, Depends(require(Permission.READ_DEBT))],
    subscriber_id: IdFilter = None,
    kind: Literal["reminder", "receipt", "thanks", "survey", "other"] | None = None,
    state: Literal["queued", "proven", "failed"] | None = None,
) -> answers.Page[answers.MessageAnswer]:
    query = message_rows(subscriber_id, kind, state)
    return await listed(caller, "messages", query, messages.c.id, asked, answers.MessageAnswer)


@router.get(
    "/messages/{id}",
    summary="Read a message, with every attempt to deliver it",
    responses=responses(404),
)
async def read_message(
    id: Id, caller: Annotated[Caller, Depends(require(Permission.READ_DEBT))]
) -> answers.MessageDetails:
    row = await required(caller, "message", message_rows(), messages.c.id, id)
    return answers.MessageDetails(**row, attempts_made=await attempts(caller, MESSAGES, id))


async def attempts(caller: Caller, queue: Queue, row_id: int) -> list[answers.AttemptAnswer]:
    """Every attempt to deliver a row of a queue, in their order."""
    async with caller.uow() as uow:
        made = await attempts_of(uow.connection, queue, row_id, caller.house.settings.zone)
    return [answers.AttemptAnswer.model_validate(item) for item in made]


@router.get("/audit", summary="List the audit log, a chain of hashes")
async def list_audit(
    asked: Asked,
    caller: Annotated[Caller, Depends(require(Permission.READ_AUDIT))],
    subject: Annotated[Term, Query(description="As in contract:12")] = None,
    actor: Term = None,
) -> answers.Page[answers.AuditAnswer]:
    query = listing.audit_rows(subject, actor)
    return await listed(caller, "audit", query, audit_log.c.seq, asked, answers.AuditAnswer)


@router.get("/audit/{seq}", summary="Read an entry of the audit log", responses=responses(404))
async def read_audit_entry(
    seq: Id, caller: Annotated[Caller, Depends(require(Permission.READ_AUDIT))]
) -> answers.AuditAnswer:
    query = listing.audit_rows()
    return answers.AuditAnswer(**await required(caller, "audit entry", query, audit_log.c.seq, seq))
