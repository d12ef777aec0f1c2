"""The two reads that every subject has: a page of its list, and one of it by id."""

from collections.abc import Awaitable
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select

from api.http.answers import Page
from api.http.cursor import Window, decode, encode
from api.http.problems import conflict, not_found
from api.http.security import Caller
from api.store import listing
from api.store.catalogue import Taken

AnswerT = TypeVar("AnswerT", bound=BaseModel)
T = TypeVar("T")


async def listed(
    caller: Caller,
    kind: str,
    query: Select[Any],
    key: ColumnElement[int],
    asked: Window,
    answer: type[AnswerT],
) -> Page[AnswerT]:
    """One page of a list; `kind` names it in its cursors."""
    after = decode(kind, asked.after) if asked.after is not None else None
    async with caller.uow() as uow:
        items, last = await listing.page(
            uow.connection, query, key, after, asked.limit, caller.house.settings.zone
        )
    return Page(
        items=[answer.model_validate(item) for item in items],
        next=encode(kind, last) if last is not None else None,
    )


async def required(
    caller: Caller, what: str, query: Select[Any], key: ColumnElement[int], row_id: int
) -> listing.Item:
    """One row by id, or the problem that says where its like is listed."""
    async with caller.uow() as uow:
        found = await listing.one(uow.connection, query, key, row_id, caller.house.settings.zone)
    if found is None:
        raise unknown(what, row_id)
    return found


_LISTS = {
    "plan": "/api/v1/plans",
    "nas": "/api/v1/nas",
    "subscriber": "/api/v1/subscribers",
    "contract": "/api/v1/contracts",
    "invoice": "/api/v1/invoices",
    "payment": "/api/v1/payments",
    "bill": "/api/v1/bills",
    "agreement": "/api/v1/agreements",
    "dispute": "/api/v1/disputes",
    "pause": "/api/v1/pauses",
    "hold": "/api/v1/holds",
    "outage": "/api/v1/outages",
    "session": "/api/v1/sessions",
    "notice": "/api/v1/notices",
    "message": "/api/v1/messages",
    "action": "/api/v1/actions",
    "parked invoice": "/api/v1/parked-invoices",
    "audit entry": "/api/v1/audit",
    "review": "/api/v1/reviews",
    "token": "/api/v1/operators",
    "credit analysis": "/api/v1/credit-analyses",
    "listing": "/api/v1/listings",
    "letter": "/api/v1/listing-letters",
    "agency": "/api/v1/agencies",
    "hand-over batch": "/api/v1/handover-batches",
}


def unknown(what: str, row_id: int) -> Exception:
    return not_found(what, row_id, _LISTS[what])


async def unique(what: str, making: Awaitable[T], advice: str = "") -> T:
    """Await an insert; what belongs to another row already is a 409 that names the field."""
    try:
        return await making
    except Taken as taken:
        raise conflict(
            "already-exists",
            f"Another {what} has this {taken.column}",
            f"{taken.column} is taken by another {what}; change it, or use that one{advice}",
        ) from taken
