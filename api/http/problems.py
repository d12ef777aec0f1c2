"""RFC 9457 problem documents: what went wrong, whose turn it is, and nothing of our insides."""

import json
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from api.store.uow import DatabaseAway

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5

log = logging.getLogger(__name__)


class FieldError(BaseModel):
    """One wrong field: its path in the request, and what is wanted there."""

    field: str = Field(examples=["body.lines.0.amount_cents"])
    message: str = Field(examples=["Input should be a valid integer"])


class ProblemDocument(BaseModel):
    """The body of every answer that is not a success."""

    type: str = Field(examples=["urn:religa:not-found"])
    title: str = Field(examples=["No such contract"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no contract 12; list them at GET /api/v1/contracts"])
    correlation_id: str = Field(examples=["3f0c1a9e5d7b4e6f8a9b0c1d2e3f4a5b"])
    errors: list[FieldError] | None = None


class Problem(Exception):
    """An answer that is not a success. `detail` says what to do."""

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = headers or {}


def not_found(what: str, identifier: object, where: str) -> Problem:
    return Problem(
        404,
        "not-found",
        f"No such {what}",
        f"There is no {what} {identifier}; they are listed at GET {where}",
    )


def conflict(kind: str, title: str, detail: str) -> Problem:
    return Problem(409, kind, title, detail)


def invalid(field: str, message: str) -> Problem:
    """A field that reads well but cannot be what is meant: an unknown plan, a wrong CNPJ."""
    return Problem(
        422,
        "invalid-request",
        "The request is not valid",
        f"{field}: {message}",
        errors=[FieldError(field=f"body.{field}", message=message)],
    )


class ProblemResponse(JSONResponse):
    """Pure ASCII, since a detail may quote what no encoding can carry, such as half a surrogate."""

    media_type = MEDIA_TYPE

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode()


def answer(request: Request, problem: Problem) -> JSONResponse:
    body: dict[str, Any] = {
        "type": f"urn:religa:{problem.kind}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "correlation_id": request.scope.get("correlation_id", ""),
    }
    if problem.errors:
        body["errors"] = [error.model_dump() for error in problem.errors]
    return ProblemResponse(body, problem.status, headers=problem.headers)


TOO_LARGE = Problem(
    413, "content-too-large", "Content Too Large", "The body is over 1 MiB; send less at a time"
)


def _of_http(error: HTTPException) -> Problem:
    if error.status_code == TOO_LARGE.status:
        return TOO_LARGE
    status = HTTPStatus(error.status_code)
    details = {
        404: "No route has this path; the routes are listed in /openapi.json",
        405: "This route does not take this method; the Allow header lists those it takes",
    }
    return Problem(
        status.value,
        status.phrase.lower().replace(" ", "-"),
        status.phrase,
        details.get(status.value, "The request could not be read; check its body and headers"),
        headers=dict(error.headers or {}),
    )


def _of_validation(error: RequestValidationError) -> Problem:
    # Only place and message: the input itself may be a password or a secret.
    errors = [
        FieldError(field=".".join(str(part) for part in e["loc"]), message=_message(e))
        for e in error.errors()
    ]
    return Problem(
        422,
        "invalid-request",
        "The request is not valid",
        "; ".join(f"{e.field}: {e.message}" for e in errors[:5]),
        errors=errors,
    )


def _message(error: dict[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"this is not JSON: {error['ctx']['error']}"
    if error["type"] == "extra_forbidden":
        return "unknown field; remove it"
    return str(error["msg"]).removeprefix("Value error, ")


def _away() -> Problem:
    return Problem(
        503,
        "database-away",
        "The database is away",
        "Nothing was changed; try again in a few seconds. RADIUS keeps answering meanwhile",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def install(app: FastAPI) -> None:
    """Make every error of this application a problem document."""

    async def on_problem(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)  # noqa: S101 -- registered for this type alone
        return answer(request, error)

    async def on_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101
        return answer(request, _of_http(error))

    async def on_validation(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return answer(request, _of_validation(error))

    async def on_away(request: Request, error: Exception) -> JSONResponse:
        log.warning("database away: %s", type(error).__name__)
        return answer(request, _away())

    async def on_bug(request: Request, error: Exception) -> JSONResponse:
        log.error("unexpected %s", type(error).__name__)
        problem = Problem(
            500,
            "internal-error",
            "Something is wrong on our side",
            "Nothing was changed; report the correlation_id to whoever runs this server",
            headers={"X-Request-ID": request.scope.get("correlation_id", "")},
        )
        return answer(request, problem)

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_validation)
    for away in (DatabaseAway, OperationalError, InterfaceError, PoolTimeoutError):
        app.add_exception_handler(away, on_away)
    app.add_exception_handler(Exception, on_bug)


# For the routes' documentation; the schema itself is put in by `app.py`.
_SAID = {
    400: "The body cannot be read as text",
    401: "No token, or one that does not work",
    403: "The token's role lacks the permission",
    404: "No such thing",
    409: "It contradicts what is already there; the detail says what",
    413: "The body is over 1 MiB",
    422: "The request is not valid; `errors` lists the fields",
    429: "Too many attempts; see Retry-After",
    500: "Something is wrong on our side",
    503: "The database is away; see Retry-After",
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documented problems of a route."""
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {
        s: {"description": _SAID[s], "content": {MEDIA_TYPE: {"schema": schema}}} for s in statuses
    }
