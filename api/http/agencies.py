"""Collection agencies: what they are given as files, and what they may look up themselves."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, insert, select

from api import handing_over
from api.clock import wall
from api.handing_over import COLUMNS, UnknownAgency
from api.http import fields
from api.http.answers import Page
from api.http.cursor import Window, decode, encode, window
from api.http.lists import listed, unique, unknown
from api.http.models import Body, example
from api.http.problems import conflict, responses
from api.http.security import Caller, require
from api.operators import NameTaken, Permission, Role, create_token, token_sha256
from api.store import agencies as rows
from api.store import listing
from api.store.catalogue import Taken
from api.store.credit_tables import agencies, agency_tokens, handover_batches
from api.store.operators import live_token
from api.store.uow import Uow
from billing.refusal import Refused

router = APIRouter(tags=["agencies"], responses=responses(401, 403, 422, 503))

Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
Managing = Annotated[Caller, Depends(require(Permission.MANAGE_LISTINGS))]
Reading = Annotated[Caller, Depends(require(Permission.READ_DEBT))]
_CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {}}, "description": "The file as it was made"}
}


class NewAgency(Body):
    model_config = example({"name": "Cobranças do Vale"})

    name: fields.Name


class AgencyAnswer(BaseModel):
    id: int
    name: str
    created_at: datetime


class NewAgencyToken(Body):
    model_config = example({"name": "robô da Cobranças do Vale"})

    name: fields.Name


class AgencyTokenMade(BaseModel):
    """The only time that the token is shown."""

    id: int
    agency_id: int
    token: str = Field(examples=["religa_…"])


class NewHandover(Body):
    """No `contract_ids`: all that are due."""

    model_config = example({"contract_ids": [12, 19]})

    contract_ids: Annotated[tuple[fields.Id, ...], Field(max_length=10_000)] | None = None


class BatchAnswer(BaseModel):
    """A file's manifest. `sha256` is of the file as it is downloaded."""

    id: int
    agency_id: int
    made_at: datetime
    author: str
    file: str = Field(examples=["handover-7.csv"])
    columns: list[str]
    rows: int
    collect_cents: int
    sha256: str


class AccountInvoice(BaseModel):
    invoice_id: int
    due_on: date
    unpaid_cents: int
    due_cents: int = Field(description="With fine and interest as of today")


class AccountAnswer(BaseModel):
    """One account. What was withdrawn names nobody."""

    id: int
    contract_id: int
    handed_at: datetime
    name: str | None
    document: str | None
    email: str | None
    phone: str | None
    unpaid_cents: int
    due_cents: int
    invoices: list[AccountInvoice]
    withdrawal: str | None
    withdrawn_at: datetime | None
    withdraw_by: date | None


@router.post(
    "/agencies", status_code=201, summary="Make a collection agency", responses=responses(409)
)
async def make_agency(body: NewAgency, caller: Managing) -> AgencyAnswer:
    async with caller.uow() as uow:
        now = uow.clock.now()
        agency_id = await unique("agency", _insert(uow, body.name, now))
        await uow.audit("agency.created", f"agency:{agency_id}", {"name": body.name})
    return AgencyAnswer(id=agency_id, name=body.name, created_at=now)


@router.get("/agencies", summary="List collection agencies")
async def list_agencies(
    asked: Annotated[Window, Depends(window)], caller: Reading
) -> Page[AgencyAnswer]:
    query = select(agencies)
    return await listed(caller, "agencies", query, agencies.c.id, asked, AgencyAnswer)


@router.post(
    "/agencies/{id}/tokens",
    status_code=201,
    summary="Make a token that sees only what was handed over to this agency",
    responses=responses(404, 409),
)
async def make_token(
    id: Id,
    body: NewAgencyToken,
    caller: Annotated[Caller, Depends(require(Permission.MANAGE_OPERATORS))],
) -> AgencyTokenMade:
    async with caller.uow() as uow:
        await _known(uow, id)
        try:
            token = await create_token(uow, Role.AGENCY, body.name)
        except NameTaken as error:
            raise conflict("already-exists", "The name is taken", str(error)) from error
        made = await live_token(uow.connection, token_sha256(token), wall())
        if made is None:
            raise LookupError("the token was made and is not there")
        await uow.connection.execute(insert(agency_tokens).values(token_id=made.id, agency_id=id))
    return AgencyTokenMade(id=made.id, agency_id=id, token=token)


@router.post(
    "/agencies/{id}/handovers",
    status_code=201,
    summary="Make a file for an agency: new accounts, changed ones, and withdrawals",
    responses=responses(404, 409),
)
async def hand_over(id: Id, body: NewHandover, caller: Managing) -> BatchAnswer:
    async with caller.uow() as uow:
        try:
            batch = await handing_over.hand_over(caller.house, uow, id, body.contract_ids)
        except UnknownAgency as error:
            raise unknown("agency", id) from error
        except Refused as error:
            raise conflict("handover-refused", "Nothing is handed over", str(error)) from error
        return await _manifest(uow, batch.id)


@router.get("/agencies/{id}/batches", summary="List the files of an agency, as manifests")
async def list_batches(
    id: Id, asked: Annotated[Window, Depends(window)], caller: Reading
) -> Page[BatchAnswer]:
    after = decode("batches", asked.after) if asked.after is not None else None
    async with caller.uow() as uow:
        query = select(*_MANIFEST).where(handover_batches.c.agency_id == id)
        zone = caller.house.settings.zone
        key = handover_batches.c.id
        found, last = await listing.page(uow.connection, query, key, after, asked.limit, zone)
    items = [_told(row) for row in found]
    return Page(items=items, next=encode("batches", last) if last is not None else None)


@router.get(
    "/handover-batches/{id}", summary="Read the manifest of a file", responses=responses(404)
)
async def read_batch(id: Id, caller: Reading) -> BatchAnswer:
    async with caller.uow() as uow:
        return await _manifest(uow, id)


@router.get(
    "/handover-batches/{id}/file",
    summary="Download a file for an agency",
    response_class=Response,
    responses={**responses(404), **_CSV},
)
async def read_file(id: Id, caller: Reading) -> Response:
    async with caller.uow() as uow:
        sealed = await uow.connection.scalar(
            select(handover_batches.c.content).where(handover_batches.c.id == id)
        )
        if sealed is None:
            raise unknown("hand-over batch", id)
        content = caller.house.secrets.open("handover_batches", str(id), "content", bytes(sealed))
        # It names people: who read it is written down.
        await uow.audit("handover.file_read", f"handover_batch:{id}", {})
    return Response(
        content,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="handover-{id}.csv"'},
    )


@router.get(
    "/agencies/{id}/accounts",
    summary="List the accounts that an agency has, and what they owe now",
    description="An agency's token sees its own agency only. `withdrawn=true` lists what it had"
    " and must not collect any more; those accounts name nobody.",
    responses=responses(404),
)
async def list_accounts(
    id: Id,
    asked: Annotated[Window, Depends(window)],
    caller: Annotated[Caller, Depends(require(Permission.READ_HANDED_OVER))],
    withdrawn: bool = False,
) -> Page[AccountAnswer]:
    after = decode("accounts", asked.after) if asked.after is not None else None
    async with caller.uow() as uow:
        if caller.identity.role is Role.AGENCY:
            own = await uow.connection.scalar(
                select(agency_tokens.c.agency_id).where(
                    agency_tokens.c.token_id == caller.identity.token_id
                )
            )
            if own != id:  # of another agency not even that it exists
                raise unknown("agency", id)
        await _known(uow, id)
        found, last = await rows.accounts(
            caller.house, uow, id, withdrawn=withdrawn, after=after, limit=asked.limit
        )
    return Page(
        items=[AccountAnswer.model_validate(item) for item in found],
        next=encode("accounts", last) if last is not None else None,
    )


_MANIFEST: tuple[ColumnElement[Any], ...] = tuple(
    c for c in handover_batches.c if c is not handover_batches.c.content
)


async def _insert(uow: Uow, name: str, now: datetime) -> int:
    made: int | None = await rows.insert(uow.connection, name, now)
    if made is None:
        raise Taken("name")
    return made


async def _known(uow: Uow, agency_id: int) -> None:
    found = select(agencies.c.id).where(agencies.c.id == agency_id)
    if await uow.connection.scalar(found) is None:
        raise unknown("agency", agency_id)


async def _manifest(uow: Uow, batch_id: int) -> BatchAnswer:
    zone = uow.clock.now().tzinfo or UTC
    key = handover_batches.c.id
    row = await listing.one(uow.connection, select(*_MANIFEST), key, batch_id, zone)
    if row is None:
        raise unknown("hand-over batch", batch_id)
    return _told(row)


def _told(row: listing.Item) -> BatchAnswer:
    return BatchAnswer(**row, file=f"handover-{row['id']}.csv", columns=list(COLUMNS))
