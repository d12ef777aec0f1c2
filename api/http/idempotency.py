"""`Idempotency-Key`: the same request sent again gets the first answer, and acts once.

The key's row is written in the transaction of the effect, before it. A second request with the key
therefore waits on the unique row until the first ends: it then finds the answer, or, had the first
failed, the place free. Refusals are not kept: they changed nothing, so they are judged anew.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from api.http.problems import conflict
from api.http.security import Caller
from api.store.staff_tables import idempotency_keys

if TYPE_CHECKING:
    from api.store.uow import Uow

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Sent again with the same body, it gets the first answer and acts once",
    ),
]

Work = Callable[["Uow"], Awaitable[tuple[int, BaseModel]]]


def fingerprint(path: str, body: BaseModel | None) -> bytes:
    """Of what was asked: equal for equal meaning, whatever the order or spacing of the JSON."""
    meaning = body.model_dump(mode="json") if body is not None else None
    text = json.dumps([path, meaning], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


async def once(
    request: Request,
    caller: Caller,
    key: str | None,
    route: str,
    body: BaseModel | None,
    work: Work,
) -> JSONResponse:
    """Do `work` in one transaction, once for each caller, route and key.

    Args:
        request: for its path, which is a part of what was asked.
        caller: whose key it is; two callers' equal keys are strangers.
        key: of the header; None: just do it.
        route: method and path as documented, with its parameters' names.
        body: what was asked, validated.
        work: the effect; answers status and document.
    """
    async with caller.uow() as uow:
        if key is None:
            status, document = await work(uow)
            return JSONResponse(document.model_dump(mode="json"), status)
        place = {"actor": caller.identity.name, "route": route, "key": key}
        asked = fingerprint(request.url.path, body)
        mine = await uow.connection.scalar(
            upsert(idempotency_keys)
            .values(**place, body_sha256=asked, status=0, answer={})
            .on_conflict_do_nothing()
            .returning(idempotency_keys.c.key)
        )
        if mine is None:
            return await _earlier(uow, place, asked)
        status, document = await work(uow)
        answer: dict[str, Any] = document.model_dump(mode="json")
        await uow.connection.execute(
            update(idempotency_keys).filter_by(**place).values(status=status, answer=answer)
        )
    return JSONResponse(answer, status)


async def _earlier(uow: "Uow", place: dict[str, str], asked: bytes) -> JSONResponse:
    row = (
        await uow.connection.execute(
            select(
                idempotency_keys.c.body_sha256, idempotency_keys.c.status, idempotency_keys.c.answer
            ).filter_by(**place)
        )
    ).one()
    if bytes(row.body_sha256) != asked:
        raise conflict(
            "idempotency-key-reused",
            "This Idempotency-Key was used for another request",
            "Send a new key with a new request; the old key answers only the request it came with",
        )
    return JSONResponse(row.answer, row.status, headers={"Idempotency-Replayed": "true"})
