"""Keyset pages: `?after=` the last one seen, at most `?limit=` items."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

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


def encode_key(kind: str, key: Sequence[int | str | date]) -> str:
    """A cursor of a list that is sorted by more than an id: the key of the last row.

    >>> decode_key("by-name", encode_key("by-name", ("Assinante 7", 7)), (str, int))
    ('Assinante 7', 7)
    """
    clear = json.dumps([kind, *key], separators=(",", ":"), default=date.isoformat)
    return base64.urlsafe_b64encode(clear.encode()).decode().rstrip("=")


def decode_key(kind: str, cursor: str, types: Sequence[type]) -> tuple[Any, ...]:
    """The key after which the page begins, of these types.

    Raises:
        Problem: 422, this is not a cursor that this list gave.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        clear = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode()
        found = json.loads(clear)
    except (binascii.Error, ValueError, RecursionError):
        raise _refusal() from None
    wanted = [str, *(str if of is date else of for of in types)]
    if not isinstance(found, list) or [type(part) for part in found] != wanted:
        raise _refusal()
    name, *key = found
    if name != kind or not all(map(_storable, key)):
        raise _refusal()
    try:
        return tuple(
            date.fromisoformat(part) if of is date else part
            for part, of in zip(key, types, strict=True)
        )
    except ValueError:
        raise _refusal() from None


def _storable(part: int | str) -> bool:
    """Whether the database can compare with it."""
    if isinstance(part, int):
        return abs(part) <= ID_MAX
    return "\0" not in part and not any("\ud800" <= letter <= "\udfff" for letter in part)


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
