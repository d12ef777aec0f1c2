"""Keyset pages: `?after=` the last one seen, at most `?limit=` items."""

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from api.http.problems import FieldError, Problem

LIMIT_DEFAULT = 50
LIMIT_MAX = 500
ID_MAX = 2**63 - 1


def encode(kind: str, last_id: int) -> str:
    """An opaque cursor: of one kind of list, so that another list's is not taken silently.

    >>> decode("invoices", encode("invoices", 17))
    17
    """
    return base64.urlsafe_b64encode(f"{kind}:{last_id}".encode()).decode().rstrip("=")


def decode(kind: str, cursor: str) -> int:
    """The id after which the page begins.

    Raises:
        Problem: 422, this is not a cursor that this list gave.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        clear = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise _refusal() from None
    found, _, digits = clear.partition(":")
    if found != kind or not (digits.isascii() and digits.isdecimal()) or int(digits[:20]) > ID_MAX:
        raise _refusal()
    return int(digits)


def _refusal() -> Problem:
    message = "not a cursor of this list; pass `next` of the page before, unchanged"
    return Problem(
        422,
        "invalid-request",
        "The request is not valid",
        f"after: {message}",
        errors=[FieldError(field="query.after", message=message)],
    )


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list is asked for."""

    after: str | None
    limit: int


def window(
    after: Annotated[
        str | None, Query(max_length=200, description="`next` of the page before")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
) -> Window:
    return Window(after, limit)
