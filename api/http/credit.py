"""Before the contract: the bureaus, the decision table, credit analyses."""

from datetime import UTC
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import Select, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from api import credit as analyses
from api.bureaus.known import SHAPES
from api.credit import Asked, UnknownAnalysis
from api.credit_words import reasons
from api.http import credit_models as bodies
from api.http import fields
from api.http.answers import Page
from api.http.cursor import Window, decode, encode, window
from api.http.lists import unknown
from api.http.problems import Problem, conflict, invalid, responses
from api.http.security import Caller, require
from api.operators import Permission
from api.sentences import Lang
from api.store import bureaus as bureau_rows
from api.store import credit, listing
from api.store.credit_tables import bureaus, credit_analyses, credit_inquiries, credit_tables
from api.store.uow import Uow
from billing.credit import AnalysisState, Offer, Outcome
from billing.credit_table import CreditTableError, document, parse
from billing.documents import InvalidDocument, mask, parse_document
from billing.refusal import Refused

router = APIRouter(tags=["credit"], responses=responses(401, 403, 422, 503))

Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
Reading = Annotated[Caller, Depends(require(Permission.READ_CREDIT))]
_LANGUAGES: tuple[Lang, ...] = get_args(Lang)


@router.put("/bureaus/{name}", summary="Set how a credit bureau is reached, and what it costs")
async def put_bureau(
    name: bodies.BureauName,
    body: bodies.BureauBody,
    caller: Annotated[Caller, Depends(require(Permission.WRITE_BUREAUS))],
) -> bodies.BureauAnswer:
    shown = body.model_dump(exclude={"credential"})
    sealed = caller.house.secrets.seal(
        bureau_rows.TABLE, name, "credential", body.credential.encode()
    )
    values = {**shown, "credential": sealed}
    async with caller.uow() as uow:
        await uow.connection.execute(
            upsert(bureaus)
            .values(name=name, **values)
            .on_conflict_do_update(index_elements=["name"], set_=values)
        )
        await uow.audit("bureau.set", f"bureau:{name}", shown)
    return bodies.BureauAnswer(name=name, **shown)


@router.get("/bureaus", summary="Read the credit bureaus")
async def read_bureaus(
    caller: Annotated[Caller, Depends(require(Permission.READ_POLICIES))],
) -> list[bodies.BureauAnswer]:
    async with caller.uow() as uow:
        query = select(*(c for c in bureaus.c if c is not bureaus.c.credential))
        rows = (await uow.connection.execute(query.order_by(bureaus.c.name))).mappings()
        return [bodies.BureauAnswer(**row) for row in rows]


@router.put(
    "/credit-table",
    summary="Write a new version of the credit decision table",
    description="The document that is already the latest makes no new version.",
)
async def write_table(
    body: bodies.CreditTableBody,
    caller: Annotated[Caller, Depends(require(Permission.WRITE_POLICIES))],
) -> bodies.CreditTableAnswer:
    async with caller.uow() as uow:
        await credit.lock_table(uow.connection)
        latest = await credit.table_in_force(uow.connection)
        version = latest.version + 1
        try:
            found = parse(version, body.model_dump(exclude_unset=True), tuple(SHAPES))
        except CreditTableError as error:
            raise Problem(
                422, "credit-table-refused", "The table is refused", str(error)
            ) from error
        written = document(found)
        if document(latest) != written:
            await uow.connection.execute(
                insert(credit_tables).values(
                    version=version,
                    document=written,
                    author=caller.identity.name,
                    created_at=uow.clock.now(),
                )
            )
            told = {"version": version, "document": written}
            await uow.audit("credit.table_written", "credit_table", told)
    return await read_table(caller)


@router.get(
    "/credit-table",
    summary="Read the credit decision table, its latest version or another",
    responses=responses(404),
)
async def read_table(
    caller: Annotated[Caller, Depends(require(Permission.READ_POLICIES))],
    version: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
) -> bodies.CreditTableAnswer:
    async with caller.uow() as uow:
        found = (
            parse(0, {}, ())
            if version == 0
            else await credit.table_in_force(uow.connection, version)
        )
        if version is not None and found.version != version:
            raise Problem(404, "not-found", "No such table", f"There is no credit table {version}")
        row = (
            await uow.connection.execute(
                select(credit_tables.c.author, credit_tables.c.created_at).where(
                    credit_tables.c.version == found.version
                )
            )
        ).one_or_none()
    zone = caller.house.settings.zone
    return bodies.CreditTableAnswer(
        version=found.version,
        document=document(found),
        author=row.author if row else None,
        created_at=row.created_at.astimezone(zone) if row else None,
    )


@router.post(
    "/credit-analyses",
    status_code=201,
    summary="Analyse an applicant's credit: bureaus, our own books, the decision table",
    description="Asked again within the table's cache_days, a bureau is not asked anew. While a"
    " bureau owes its answer the state is `waiting`; read it again.",
    responses=responses(409),
)
async def make_analysis(
    body: bodies.NewAnalysis,
    caller: Annotated[Caller, Depends(require(Permission.RUN_CREDIT))],
) -> bodies.AnalysisAnswer:
    asked = Asked(
        document=body.document,
        plan_id=body.plan_id,
        purpose=body.purpose,
        consent=body.consent.model_dump(mode="json"),
        customer_class=body.customer_class,
    )
    try:
        analysis_id = await analyses.analyse(
            caller.house, caller.identity.name, caller.correlation_id, asked
        )
    except LookupError as error:
        raise invalid("plan_id", str(error)) from error
    except Refused as error:
        raise conflict("credit-refused", "The analysis cannot be made", str(error)) from error
    async with caller.uow() as uow:
        return await _shown(caller, uow, analysis_id)


@router.get("/credit-analyses", summary="List credit analyses")
async def list_analyses(
    asked: Annotated[Window, Depends(window)],
    caller: Reading,
    state: AnalysisState | None = None,
    outcome: Outcome | None = None,
    document: Annotated[str | None, Query(max_length=32)] = None,
) -> Page[bodies.AnalysisAnswer]:
    query = _rows()
    if state is not None:
        query = query.where(credit_analyses.c.state == state.value)
    if outcome is not None:
        query = query.where(credit_analyses.c.outcome == outcome.value)
    if document is not None:
        try:
            wanted = parse_document(document)
        except InvalidDocument as error:
            raise invalid("document", str(error)) from error
        query = query.where(credit_analyses.c.subject == analyses.subject_of(caller.house, wanted))
    after = decode("credit-analyses", asked.after) if asked.after is not None else None
    async with caller.uow() as uow:
        rows, last = await listing.page(
            uow.connection,
            query,
            credit_analyses.c.id,
            after,
            asked.limit,
            caller.house.settings.zone,
        )
        items = [await _answer(caller, uow, row) for row in rows]
    return Page(items=items, next=encode("credit-analyses", last) if last is not None else None)


@router.get("/credit-analyses/{id}", summary="Read a credit analysis", responses=responses(404))
async def read_analysis(id: Id, caller: Reading) -> bodies.AnalysisAnswer:
    async with caller.uow() as uow:
        return await _shown(caller, uow, id)


@router.post(
    "/credit-analyses/{id}/decision",
    summary="Decide otherwise than the table; of what was refused two persons in turn",
    responses=responses(404, 409),
)
async def decide_otherwise(
    id: Id,
    body: bodies.NewDecision,
    caller: Annotated[Caller, Depends(require(Permission.DECIDE_CREDIT))],
) -> bodies.AnalysisAnswer:
    outcome = Outcome(body.outcome)
    if (outcome is Outcome.DEPOSIT) != (body.deposit_cents > 0):
        raise invalid("deposit_cents", "give it with outcome deposit, and only with it")
    if (outcome is Outcome.OTHER_DUE_DAY) != bool(body.due_days):
        raise invalid("due_days", "give them with outcome other_due_day, and only with it")
    offer = Offer(outcome, body.deposit_cents, tuple(sorted(set(body.due_days))))
    async with caller.uow() as uow:
        try:
            await analyses.decide_otherwise(uow, id, caller.identity.name, body.reason, offer)
        except UnknownAnalysis as error:
            raise unknown("credit analysis", id) from error
        except Refused as error:
            raise conflict("credit-refused", "It cannot be decided so", str(error)) from error
        return await _shown(caller, uow, id)


def _rows() -> Select[Any]:
    return select(*(c for c in credit_analyses.c if c is not credit_analyses.c.subject))


async def _shown(caller: Caller, uow: Uow, analysis_id: int) -> bodies.AnalysisAnswer:
    zone = uow.clock.now().tzinfo or UTC
    row = await listing.one(uow.connection, _rows(), credit_analyses.c.id, analysis_id, zone)
    if row is None:
        raise unknown("credit analysis", analysis_id)
    return await _answer(caller, uow, row)


async def _answer(caller: Caller, uow: Uow, row: listing.Item) -> bodies.AnalysisAnswer:
    whole = caller.may(Permission.READ_DEBT)
    # Who may not read debt is told the terms, and not what they come from.
    told = row if whole else row | {"criteria": None}
    offer = row["overruling"] or row["decided"] or {}
    kept = {name: row[name] for name in bodies.AnalysisAnswer.model_fields if name in row}
    hidden = {} if whole else {"criteria": None, "consent": None, "rule": None}
    return bodies.AnalysisAnswer(
        **kept
        | hidden
        | {
            "document": mask(row["document"]) if row["document"] else None,
            "deposit_cents": offer.get("deposit_cents"),
            "due_days": offer.get("due_days", []),
            "reasons": {lang: list(reasons(told, lang)) for lang in _LANGUAGES},
            "inquiries": await _inquiries(uow, row["inquiry_ids"]) if whole else [],
        }
    )


async def _inquiries(uow: Uow, ids: list[int]) -> list[bodies.InquiryItem]:
    rows = await listing.rows_of(
        uow.connection,
        select(*(credit_inquiries.c[name] for name in bodies.InquiryItem.model_fields))
        .where(credit_inquiries.c.id.in_(ids))
        .order_by(credit_inquiries.c.id),
        uow.clock.now().tzinfo or UTC,
    )
    return [bodies.InquiryItem(**row) for row in rows]
