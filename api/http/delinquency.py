"""Who is late: by age, region, plan and step of the ladder; the list behind it, and its export."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse, Response
from sqlalchemy import Select

from api import exporting
from api.http import answers, fields
from api.http import delinquency_models as models
from api.http.cursor import LIMIT_DEFAULT, LIMIT_MAX, decode_key, encode_key
from api.http.ladder import AcceptLanguage, AskedLang, spoken
from api.http.late_export import export, told
from api.http.problems import responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import delinquency, listing
from api.store.delinquency import Day, Group
from api.store.late_list import Filters, late_rows
from api.store.uow import Uow
from billing.ageing import BUCKETS, Bucket

router = APIRouter(tags=["delinquency"], responses=responses(401, 403, 422, 503))

Reader = Annotated[Caller, Depends(require(Permission.READ_DEBT))]
Step = Literal["none", "reduced", "walled", "blocked"]
Sort = Literal["debt", "days_late", "name"]
Cents = Annotated[int | None, Query(ge=0, le=fields.MONEY_MAX)]

_KEYS: dict[Sort, tuple[str, type]] = {
    "debt": ("debt_cents", int),
    "days_late": ("oldest_due_on", date),
    "name": ("name", str),
}
# A name of 200 letters, each as long as letters are in a cursor.
_CURSOR_MAX = 4_000


def _filters(
    search: Annotated[
        fields.Words | None,
        Query(description="A part of the name, or the whole document, login or contract number"),
    ] = None,
    bucket: Literal["0-15", "16-30", "31-60", "61-90", "over-90"] | None = None,
    region: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")] = None,
    plan_id: Annotated[int | None, Query(ge=1, le=fields.ID_MAX)] = None,
    level: fields.Level | None = None,
    step: Step | None = None,
    policy: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = None,
    min_debt_cents: Cents = None,
    max_debt_cents: Cents = None,
    promise: Annotated[bool | None, Query(description="A promise runs")] = None,
    agreement: Annotated[bool | None, Query(description="An agreement runs")] = None,
    dispute: Annotated[bool | None, Query(description="A dispute is open")] = None,
    exempt: Annotated[bool | None, Query(description="A hold stands against cuts")] = None,
) -> Filters:
    return Filters(
        search=search,
        bucket=bucket,
        region=region,
        plan_id=plan_id,
        level=level,
        step=step,
        policy=policy,
        min_debt_cents=min_debt_cents,
        max_debt_cents=max_debt_cents,
        promise=promise,
        agreement=agreement,
        dispute=dispute,
        exempt=exempt,
    )


@router.get(
    "/delinquency",
    summary="Late debt by age, region, plan and step of the ladder",
    description="Each contract is in the bucket of its oldest late invoice."
    " GET /api/v1/delinquency/contracts lists them.",
)
async def read_delinquency(caller: Reader) -> models.DelinquencyAnswer:
    async with caller.uow() as uow:
        day = Day.at(await uow.desk())
        await delinquency.without_jit(uow.connection)
        groups = await delinquency.groups(uow.connection, day)
    total = _sums(groups)
    return models.DelinquencyAnswer(
        today=day.today,
        total=models.Sums(**total),
        buckets=_aged(total["buckets"], groups),
        by_region=[models.RegionSums(**item) for item in _grouped(groups, "region")],
        by_plan=[models.PlanSums(**item) for item in _grouped(groups, "plan_id", "plan")],
        by_step=[models.StepSums(**item) for item in _grouped(groups, "step")],
    )


@router.get(
    "/delinquency/contracts",
    summary="List late contracts, or export them as CSV or XLSX",
    description="Most debt first, latest first (`days_late`), or by name. With `format` all of"
    " them are one file, whatever `after` and `limit` say; its headers are in `lang`.",
    response_model=answers.Page[models.LateContract],
    responses=responses(409)
    | {
        200: {
            "description": "A page of the list, or the file",
            "content": {
                kind.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
                for kind in exporting.MEDIA_TYPES.values()
            },
        }
    },
)
async def list_late(
    caller: Reader,
    wanted: Annotated[Filters, Depends(_filters)],
    sort: Sort = "debt",
    after: Annotated[
        str | None, Query(max_length=_CURSOR_MAX, description="`next` of the page before")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
    format: Annotated[exporting.Format | None, Query(description="A file of all of it")] = None,
    lang: AskedLang = None,
    accepted: AcceptLanguage = "",
) -> Response:
    if format is not None:
        return await export(caller, wanted, sort, format, lang or spoken(accepted))
    kind, (column, of) = f"delinquency-{sort}", _KEYS[sort]
    key = decode_key(kind, after, (of, int)) if after is not None else None
    async with caller.uow() as uow:
        day = Day.at(await uow.desk())
        # One row more than asked for tells whether there is a next page.
        query = late_rows(day, wanted, sort, key, limit + 1)
        rows = await _rows(uow, query, caller)
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    page = answers.Page[models.LateContract](
        items=[models.LateContract(**told(row, day)) for row in shown],
        next=encode_key(kind, (last[column], last["contract_id"])) if last else None,
    )
    return JSONResponse(page.model_dump(mode="json"))


async def _rows(uow: Uow, query: Select[Any], caller: Caller) -> list[listing.Item]:
    await delinquency.without_jit(uow.connection)
    return await listing.rows_of(uow.connection, query, caller.house.settings.zone)


def _sums(groups: Iterable[Group]) -> dict[str, Any]:
    groups = list(groups)

    def bucket(of: Bucket) -> models.BucketSums:
        own = [group for group in groups if group.bucket == of.name]
        return models.BucketSums(
            bucket=of.name,
            least_days=of.least_days,
            most_days=of.most_days,
            contracts=sum(group.contracts for group in own),
            debt_cents=sum(group.debt_cents for group in own),
        )

    return {
        "contracts": sum(group.contracts for group in groups),
        "debt_cents": sum(group.debt_cents for group in groups),
        "disputed_cents": sum(group.disputed_cents for group in groups),
        "renegotiated_cents": sum(group.renegotiated_cents for group in groups),
        "buckets": [bucket(of) for of in BUCKETS],
    }


def _grouped(groups: Iterable[Group], *names: str) -> Iterator[dict[str, Any]]:
    """The sums of each group, by its names in their order."""
    by_key: dict[tuple[Any, ...], list[Group]] = {}
    for group in groups:
        if group.plan_id is not None:
            by_key.setdefault(tuple(getattr(group, name) for name in names), []).append(group)
    for key in sorted(by_key):
        yield dict(zip(names, key, strict=True)) | _sums(by_key[key])


def _aged(buckets: Iterable[models.BucketSums], groups: Iterable[Group]) -> list[models.AgedBucket]:
    """The buckets, with the late principal of each age whoever owes it."""
    cents = {group.bucket: group.principal_cents for group in groups if group.plan_id is None}
    return [
        models.AgedBucket(**item.model_dump(), principal_cents=cents.get(item.bucket, 0))
        for item in buckets
    ]
