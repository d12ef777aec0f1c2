"""The terms of billing as they are stored: what differs from the usual, by name."""

from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.staff_tables import facts
from billing.terms import USUAL_TERMS, Terms

_NAME = "terms"
_QUERY = select(facts.c.value).where(facts.c.name == _NAME)


async def read_terms(connection: AsyncConnection) -> Terms:
    """The provider's terms; what was never set is as usual."""
    stored: dict[str, Any] | None = await connection.scalar(_QUERY)
    if stored is None:
        return USUAL_TERMS
    known = {field.name for field in fields(Terms)}
    given = {name: value for name, value in stored.items() if name in known}
    if "due_days" in given:
        given["due_days"] = tuple(given["due_days"])
    return Terms(**given)


async def write_terms(connection: AsyncConnection, terms: Terms) -> None:
    value = asdict(terms) | {"due_days": list(terms.due_days)}
    await connection.execute(
        insert(facts)
        .values(name=_NAME, value=value)
        .on_conflict_do_update(index_elements=["name"], set_={"value": value})
    )
