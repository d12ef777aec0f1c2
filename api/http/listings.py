"""After the contract: what is listed at credit bureaus, why, and by when it must be out."""

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import BigInteger, Date, Select, and_, case, cast, func, literal, select

from api import listings
from api.http import credit_models as bodies
from api.http import fields
from api.http.answers import Page
from api.http.cursor import Window, decode, encode, window
from api.http.lists import listed, required, unknown
from api.http.problems import conflict, invalid, responses
from api.http.proof import attempts
from api.http.security import Caller, require
from api.listings import UnknownListing
from api.operators import Permission
from api.store import bureaus, listing
from api.store import listings as rows
from api.store.credit_tables import listing_letters
from api.store.credit_tables import listings as table
from api.store.queues import LETTERS
from billing.bureau import ListingState
from billing.listing import NOTICE_DAYS_MIN, ListingRules
from billing.refusal import Refused

router = APIRouter(tags=["listings"], responses=responses(401, 403, 422, 503))

Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
IdFilter = Annotated[int | None, Query(ge=1, le=fields.ID_MAX)]
Reading = Annotated[Caller, Depends(require(Permission.READ_DEBT))]
Managing = Annotated[Caller, Depends(require(Permission.MANAGE_LISTINGS))]

_EPOCH = date(2000, 1, 1)
_OUT = (ListingState.REMOVED.value, ListingState.CANCELLED.value)
_DATED = and_(table.c.remove_by.is_not(None), table.c.state.not_in(_OUT))
# The nearest last day first, what has none after all others; then by id. One number, so that a
# cursor is one: ids stay below 2^40.
_URGENCY = (
    case(
        (_DATED, cast(table.c.remove_by - cast(literal(_EPOCH), Date), BigInteger)),
        else_=literal(2**21, BigInteger),
    )
    * literal(2**40, BigInteger)
    + table.c.id
)


@router.get(
    "/listings",
    summary="List the debts at credit bureaus, those that must be out soonest first",
)
async def list_listings(
    asked: Annotated[Window, Depends(window)],
    caller: Reading,
    state: ListingState | None = None,
    bureau: bodies.BureauName | None = None,
    contract_id: IdFilter = None,
    late: bool | None = None,
) -> Page[bodies.ListingAnswer]:
    after = decode("listings", asked.after) if asked.after is not None else None
    async with caller.uow() as uow:
        today = uow.clock.now().date()
        query = _rows(today)
        if state is not None:
            query = query.where(table.c.state == state.value)
        if bureau is not None:
            query = query.where(table.c.bureau == bureau)
        if contract_id is not None:
            query = query.where(table.c.contract_id == contract_id)
        if late is not None:
            query = query.where(_late(today).is_(late))
        items, last = await listing.page(
            uow.connection, query, _URGENCY, after, asked.limit, caller.house.settings.zone
        )
    return Page(
        items=[bodies.ListingAnswer.model_validate(item) for item in items],
        next=encode("listings", last) if last is not None else None,
    )


@router.get("/listings/{id}", summary="Read a debt at a credit bureau", responses=responses(404))
async def read_listing(id: Id, caller: Reading) -> bodies.ListingAnswer:
    async with caller.uow() as uow:
        query = _rows(uow.clock.now().date())
        zone = caller.house.settings.zone
        row = await listing.one(uow.connection, query, table.c.id, id, zone)
    if row is None:
        raise unknown("listing", id)
    return bodies.ListingAnswer.model_validate(row)


@router.post(
    "/listings/{id}/removal",
    summary="Take a record out whatever is owed, with the reason",
    description="For good: that debt is not listed there again. One that the bureau refused is"
    " cleared instead, so that it is told of and sent anew.",
    responses=responses(404, 409),
)
async def remove_listing(id: Id, body: bodies.NewRemoval, caller: Managing) -> bodies.ListingAnswer:
    async with caller.uow() as uow:
        try:
            await listings.withdraw_by_hand(caller.house, uow, id, body.reason)
        except UnknownListing as error:
            raise unknown("listing", id) from error
        except Refused as error:
            raise conflict("listing-refused", "It cannot be taken out", str(error)) from error
    return await read_listing(id, caller)


@router.post(
    "/listing-runs",
    summary="Look now at what must be listed and what must be withdrawn",
    description="The worker looks every minute by itself; calls to bureaus follow.",
)
async def run_listings(caller: Managing) -> bodies.LookAnswer:
    looked = await listings.look(caller.house, caller.correlation_id, caller.identity.name)
    return bodies.LookAnswer(**asdict(looked))


@router.get("/listing-letters", summary="List the letters that told customers of a listing to come")
async def list_letters(
    asked: Annotated[Window, Depends(window)], caller: Reading, contract_id: IdFilter = None
) -> Page[bodies.LetterAnswer]:
    query = _letters()
    if contract_id is not None:
        query = query.where(listing_letters.c.contract_id == contract_id)
    key = listing_letters.c.id
    return await listed(caller, "listing-letters", query, key, asked, bodies.LetterAnswer)


@router.get(
    "/listing-letters/{id}",
    summary="Read a letter of a listing to come, with every attempt to deliver it",
    responses=responses(404),
)
async def read_letter(id: Id, caller: Reading) -> bodies.LetterDetails:
    row = await required(caller, "letter", _letters(), listing_letters.c.id, id)
    return bodies.LetterDetails(**row, attempts_made=await attempts(caller, LETTERS, id))


@router.get("/listing-rules", summary="Read what is listed, and what goes to agencies")
async def read_rules(
    caller: Annotated[Caller, Depends(require(Permission.READ_POLICIES))],
) -> bodies.ListingRulesBody:
    async with caller.uow() as uow:
        return bodies.ListingRulesBody(**asdict(await rows.read_rules(uow.connection)))


@router.put("/listing-rules", summary="Set what is listed, and what goes to agencies")
async def write_rules(
    body: bodies.ListingRulesBody,
    caller: Annotated[Caller, Depends(require(Permission.WRITE_POLICIES))],
) -> bodies.ListingRulesBody:
    if body.notice_days < NOTICE_DAYS_MIN:
        raise invalid(
            "notice_days",
            f"a customer has {NOTICE_DAYS_MIN} days at least from the letter to the record"
            " (CDC art. 43 par. 2)",
        )
    if not 1 <= body.alarm_bank_days <= 4:
        raise invalid("alarm_bank_days", "from 1 to 4 bank days before the last of five")
    if len(set(body.bureaus)) < len(body.bureaus):
        raise invalid("bureaus", "name each once")
    values = body.model_dump()
    async with caller.uow() as uow:
        known = await bureaus.enabled(uow.connection)
        for name in body.bureaus:
            if name not in known:
                raise invalid("bureaus", f"{name} is not configured; PUT /api/v1/bureaus/{name}")
        await rows.write_rules(uow.connection, ListingRules(**values))
        await uow.audit("listing.rules_set", "listing_rules", body.model_dump(mode="json"))
    return body


def _letters() -> Select[Any]:
    return select(*(listing_letters.c[name] for name in bodies.LetterAnswer.model_fields))


def _late(today: date) -> Any:
    return func.coalesce(and_(_DATED, table.c.remove_by < today), False)


def _rows(today: date) -> Select[Any]:
    names = [name for name in bodies.ListingAnswer.model_fields if name != "late"]
    return select(*(table.c[name] for name in names), _late(today).label("late"))
