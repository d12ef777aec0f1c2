"""A bureau over HTTP: the same four calls for each, its own fields inside.

`POST inquiries`, `POST listings`, `POST removals` and `GET operations/{reference}` under the
bureau's base URL, with our reference as `Idempotency-Key`. The answer is JSON with `state` (`done`,
`accepted`, `refused`), `protocol`, an inquiry's `report`, and of a refusal a `code`.

What surely was not done is AWAY; what may have been is UNKNOWN, and then nothing is sent again
before `status` was asked. Documents travel in bodies only, since URLs end up in logs.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from http import HTTPStatus
from typing import Final

import httpx

from api.bureaus.shape import BadReport, Document, Shape
from billing.bureau import Answer, Record, Removal, Said
from billing.credit import Report

TIMEOUT_S: Final = 30.0
_STATES: Final = {
    "done": Answer.DONE,
    "accepted": Answer.ACCEPTED,
    "refused": Answer.REFUSED,
}
# The bureau's door said no before anything was looked at.
_NOT_DONE: Final = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,40}")


class HttpBureau:
    """Implements `billing.bureau.Bureau`. Close it at the end."""

    def __init__(
        self,
        name: str,
        shape: Shape,
        url: str,
        credential: str,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Prepare the client; nothing is asked yet.

        Args:
            name: as in the tables.
            shape: the bureau's fields.
            url: its base, as `known.check_url` takes it.
            credential: sent as a bearer token.
            timeout_s: a call that takes longer may have been carried out.
        """
        self._name = name
        self._shape = shape
        self._client = httpx.AsyncClient(
            base_url=url.rstrip("/") + "/",
            timeout=timeout_s,
            headers={"Authorization": f"Bearer {credential}"},
            trust_env=False,
            follow_redirects=False,
        )

    @property
    def name(self) -> str:
        return self._name

    async def inquire(self, reference: str, document: str, purpose: str) -> Said:
        return await self._send("inquiries", reference, self._shape.inquiry(document, purpose))

    async def include(self, reference: str, record: Record) -> Said:
        return await self._send("listings", reference, self._shape.inclusion(record))

    async def exclude(self, reference: str, record: Record, why: Removal) -> Said:
        return await self._send("removals", reference, self._shape.removal(record, why))

    async def status(self, reference: str) -> Said:
        try:
            answer = await self._client.get(f"operations/{reference}")
        except httpx.HTTPError as error:
            return Said(Answer.UNKNOWN, detail=f"no answer: {type(error).__name__}")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return Said(Answer.ABSENT, detail="the bureau knows no such reference")
        if not answer.is_success:
            return Said(Answer.UNKNOWN, detail=f"answered {answer.status_code}")
        return self._read(answer)

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, path: str, reference: str, body: Document) -> Said:
        try:
            answer = await self._client.post(
                path, json=body, headers={"Idempotency-Key": reference}
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Said(Answer.AWAY, detail=f"not reached: {type(error).__name__}")
        except httpx.HTTPError as error:
            return Said(Answer.UNKNOWN, detail=f"no answer: {type(error).__name__}")
        if answer.status_code in _NOT_DONE:
            return Said(Answer.AWAY, detail=f"answered {answer.status_code}")
        if answer.is_success or _is_refusal(answer):
            return self._read(answer)
        return Said(Answer.UNKNOWN, detail=f"answered {answer.status_code}")

    def _read(self, answer: httpx.Response) -> Said:
        try:
            document = json.loads(answer.content, parse_float=Decimal)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, Mapping):
            return Said(Answer.UNKNOWN, detail="the answer is not JSON")
        unsaid = Answer.REFUSED if _is_refusal(answer) else Answer.UNKNOWN
        said = _STATES.get(str(document.get("state")), unsaid)
        code, protocol = document.get("code"), document.get("protocol")
        # Only a code is kept of what a bureau says: its sentences name people.
        detail = code if isinstance(code, str) and _CODE.fullmatch(code) else ""
        report: Report | None = None
        if said is Answer.DONE and isinstance(document.get("report"), Mapping):
            try:
                report = self._shape.report(self._name, document["report"])
            except BadReport as error:
                return Said(Answer.REFUSED, detail=f"bad report: {error}"[:120])
        return Said(
            said,
            protocol=protocol[:80] if isinstance(protocol, str) else "",
            detail=detail or ("" if said is Answer.DONE else said.value),
            report=report,
        )


def _is_refusal(answer: httpx.Response) -> bool:
    return answer.status_code in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    )
