"""What differs from bureau to bureau: the fields of a request, and of a report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from billing.bureau import Record, Removal
from billing.credit import SCORE_MAX, Report

Document = Mapping[str, Any]
_PENDING_MAX = 10**12


class BadReport(ValueError):
    """A report that is not in the bureau's shape. The text names a field, never its value."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One bureau's fields. `report` raises BadReport."""

    inquiry: Callable[[str, str], Document]
    report: Callable[[str, Document], Report]
    inclusion: Callable[[Record], Document]
    removal: Callable[[Record, Removal], Document]


def table(document: object, name: str) -> Document:
    """A table of a report; none where it has none."""
    found = document.get(name) if isinstance(document, Mapping) else None
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise BadReport(f"{name} is no table")
    return found


def rows(document: Document, name: str) -> list[Document]:
    """The tables of a list in a report."""
    found = document.get(name) or []
    if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
        raise BadReport(f"{name} is no list of tables")
    return found


def score(document: Document, name: str) -> int | None:
    """A score of 0 to 1000; None: the bureau has none."""
    found = document.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not str(found).isascii() or not str(found).isdecimal():
        raise BadReport(f"{name} is no score")
    if not 0 <= int(str(found)[:9]) <= SCORE_MAX:
        raise BadReport(f"{name} is not between 0 and {SCORE_MAX}")
    return int(found)


def count(document: Document, name: str) -> int:
    found = document.get(name, 0)
    if type(found) is not int or not 0 <= found <= _PENDING_MAX:
        raise BadReport(f"{name} is no count")
    return found


def cents(document: Document, name: str) -> int:
    """An amount in reais, as a number or text, in cents."""
    try:
        amount = Decimal(str(document.get(name, 0)))
        found = int((amount * 100).to_integral_value(ROUND_HALF_UP))
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise BadReport(f"{name} is no amount") from error
    if not 0 <= found <= _PENDING_MAX:
        raise BadReport(f"{name} is no amount")
    return found


def word(document: Document, name: str) -> str:
    """A short text of a report; empty where it has none."""
    found = document.get(name)
    return str(found)[:40] if isinstance(found, str) else ""


def reais(amount_cents: int) -> str:
    """Cents as bureaus write an amount.

    >>> reais(19980)
    '199.80'
    """
    return f"{amount_cents // 100}.{amount_cents % 100:02d}"
