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
from api.store.tables import audit_log, notices

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


@router.get("/notices/{id}", summary="Read an overdue notice", responses=responses(404))
async def read_notice(
    id: Id, caller: Annotated[Caller, Depends(require(Permission.READ_DEBT))]
) -> answers.NoticeAnswer:
    query = listing.notice_rows()
    return answers.NoticeAnswer(**await required(caller, "notice", query, notices.c.id, id))


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
