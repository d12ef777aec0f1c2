"""Reviews: the ladder run or previewed, plans that are kept, and the release of a refused one."""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse
from sqlalchemy import ColumnElement, Integer, and_, literal_column, or_, select

from api import drip, guards, previewing, review
from api.explain import reason_text
from api.guard_words import refusals
from api.guards import hash_of, totals
from api.http import fields
from api.http.answers import Page
from api.http.cursor import Window, decode, encode, window
from api.http.guard_models import (
    AskRelease,
    AskReview,
    Change,
    PlanState,
    Released,
    ReviewAnswer,
    ReviewDetails,
    ReviewItem,
    ReviewRow,
    RowState,
)
from api.http.idempotency import IdempotencyKey, once
from api.http.ladder import AcceptLanguage, AskedLang, spoken
from api.http.lists import listed, required, unknown
from api.http.problems import conflict, invalid, responses
from api.http.security import Caller, require
from api.looking import Looked
from api.operators import Permission
from api.previewing import NotAhead
from api.sentences import Lang
from api.store import listing, plan_rows
from api.store.guard_tables import review_plans, review_rows
from api.store.levels import SEVERITY
from api.store.uow import Uow

router = APIRouter(tags=["reviews"], responses=responses(401, 403, 422, 503))

Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
Reading = Annotated[Caller, Depends(require(Permission.READ_DEBT))]
SHOWN_MAX = 500
# How long an answer waits for cuts, which have a pace; the worker makes the others.
PATIENCE_S = 2.0


@router.post(
    "/reviews",
    summary="Run the ladder now, or show what it would do",
    description="Without contract_ids, everyone who is due for a look. A dry run is kept for a day"
    " and read page by page at GET /reviews/{id}/rows; with `at` it is of an instant to come, as of"
    " tomorrow's 08:00.",
    response_model=ReviewAnswer,
    responses=responses(409),
)
async def run_review(
    request: Request,
    body: AskReview,
    caller: Annotated[Caller, Depends(require(Permission.RUN_REVIEWS))],
    key: IdempotencyKey = None,
    lang: AskedLang = None,
    accepted: AcceptLanguage = "",
) -> JSONResponse:
    told = lang or spoken(accepted)

    async def work(uow: Uow) -> tuple[int, ReviewAnswer]:
        # Accounts are judged in transactions of their own: this one holds the key alone. A run
        # cut short by a crash is run again with no harm, since it finds only what is still due.
        if body.dry_run:
            try:
                found = await previewing.preview(caller.house, body.contract_ids, body.at)
            except NotAhead as error:
                raise invalid("at", str(error)) from error
            answer = _changes(body, found.rows, told)
            plan_id = await previewing.keep(uow, found)
            kept = {
                "id": plan_id,
                "hash": hash_of(found.rows).hex(),
                "sentences": refusals(told, await plan_rows.read_plan(uow.connection, plan_id)),
                "flaws": [flaw.value for flaw in found.flaws],
                "totals": totals(found.rows),
                "next_at": found.next_at and found.next_at.astimezone(caller.house.settings.zone),
            }
            return 200, ReviewAnswer.model_validate(answer | kept)
        ran = await review.run(
            caller.house,
            body.contract_ids,
            caller.correlation_id,
            caller.identity.name,
            patience_s=PATIENCE_S,
        )
        done = {
            "id": ran.plan_id,
            "flaws": list(ran.flaws),
            "accounts": ran.accounts,
            "notices": ran.notices,
            "failed": list(ran.failed),
            "waiting": ran.waiting,
        }
        if ran.plan_id is not None and ran.flaws:
            plan = await plan_rows.read_plan(uow.connection, ran.plan_id)
            done["sentences"] = refusals(told, plan)
        return 200, ReviewAnswer.model_validate(_changes(body, ran.changes, told) | done)

    return await once(request, caller, key, "POST /reviews", body, work)


@router.get("/reviews", summary="List previews and the plans of sweeps")
async def list_reviews(
    asked: Annotated[Window, Depends(window)],
    caller: Reading,
    state: PlanState | None = None,
) -> Page[ReviewItem]:
    query = select(*_PLAN)
    if state is not None:
        query = query.where(review_plans.c.state == state)
    return await listed(caller, "reviews", query, review_plans.c.id, asked, ReviewItem)


@router.get("/reviews/{id}", summary="Read a plan with its totals", responses=responses(404))
async def read_review(
    id: Id, caller: Reading, lang: AskedLang = None, accepted: AcceptLanguage = ""
) -> ReviewDetails:
    query = select(*_PLAN, review_plans.c.totals)
    plan = await required(caller, "review", query, review_plans.c.id, id)
    async with caller.uow() as uow:
        people = await plan_rows.approvers(uow.connection, id)
    sentences = refusals(lang or spoken(accepted), plan)
    return ReviewDetails.model_validate({**plan, "approved_by": people, "sentences": sentences})


@router.get(
    "/reviews/{id}/rows",
    summary="List the contracts of a plan: what would change and why, or why not",
    responses=responses(404),
)
async def list_rows(
    id: Id,
    asked: Annotated[Window, Depends(window)],
    caller: Reading,
    change: Change | None = None,
    level: fields.Level | None = None,
    state: RowState | None = None,
    reason: Annotated[str | None, Query(max_length=64)] = None,
    nas: Annotated[str | None, Query(max_length=64)] = None,
    region: Annotated[str | None, Query(max_length=200)] = None,
    lang: AskedLang = None,
    accepted: AcceptLanguage = "",
) -> Page[ReviewRow]:
    await required(caller, "review", select(review_plans.c.id), review_plans.c.id, id)
    query = select(review_rows).where(review_rows.c.plan_id == id)
    wanted = {"after": level, "state": state, "reason": reason, "nas": nas, "region": region}
    for name, value in wanted.items():
        if value is not None:
            query = query.where(review_rows.c[name] == value)
    if change is not None:
        query = query.where(_CHANGES[change])
    kind = f"review-{id}-rows"
    after = decode(kind, asked.after) if asked.after is not None else None
    async with caller.uow() as uow:
        items, last = await listing.page(
            uow.connection,
            query,
            review_rows.c.contract_id,
            after,
            asked.limit,
            caller.house.settings.zone,
        )
    told = lang or spoken(accepted)
    return Page(
        items=[
            ReviewRow.model_validate({**item, "sentence": reason_text(told, item["reason"])})
            for item in items
        ],
        next=encode(kind, last) if last is not None else None,
    )


@router.post(
    "/reviews/{id}/release",
    summary="Release a refused plan by its hash: two people must, before it expires",
    description="Each cut is judged once more; what would differ is not done.",
    response_model=Released,
    responses=responses(404, 409),
)
async def release(
    request: Request,
    id: Id,
    body: AskRelease,
    caller: Annotated[Caller, Depends(require(Permission.RELEASE_REVIEWS))],
    key: IdempotencyKey = None,
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, Released]:
        try:
            state, people = await guards.release(
                uow, caller.house, id, caller.identity.name, bytes.fromhex(body.hash)
            )
        except guards.NoSuchPlan as error:
            raise unknown("review", id) from error
        except guards.ReleaseRefused as error:
            raise conflict("release-refused", "The plan is not released", str(error)) from error
        return 200, Released.model_validate({"id": id, "state": state, "approved_by": people})

    answer = await once(request, caller, key, "POST /reviews/{id}/release", body, work)
    if caller.house.clock.manual:
        # In rehearsal nobody else makes them.
        await drip.make(caller.house, id)
    return answer


_PLAN = [c for c in review_plans.c if c.name not in ("totals", "made_wall", "correlation_id")]


_BEFORE, _AFTER = (
    literal_column(SEVERITY.format(name), Integer)
    for name in ("review_rows.before", "review_rows.after")
)
_PAUSED = review_rows.c.reason == "paused"
_CHANGES: dict[str, ColumnElement[bool]] = {
    "cut": and_(_AFTER > _BEFORE, ~_PAUSED),
    "restore": _AFTER < _BEFORE,
    "none": or_(_AFTER == _BEFORE, and_(_AFTER > _BEFORE, _PAUSED)),
}


def _changes(body: AskReview, found: Iterable[Looked], lang: Lang) -> dict[str, Any]:
    def told(row: Looked) -> dict[str, Any]:
        return {
            "contract_id": row.contract_id,
            "subscriber": row.subscriber,
            "region": row.region,
            "nas": row.nas,
            "before": row.before.value,
            "after": row.after.value,
            "reason": row.reason,
            "sentence": reason_text(lang, row.reason),
            "counted_cents": row.counted_cents,
            "invoice_ids": list(row.invoice_ids),
            "notice_id": row.notice_id,
        }

    changed = [row for row in found if row.before is not row.after]
    cuts = [told(row) for row in changed if row.is_cut][:SHOWN_MAX]
    restores = [told(row) for row in changed if row.is_restore][:SHOWN_MAX]
    return {"dry_run": body.dry_run, "cuts": cuts, "restores": restores}
