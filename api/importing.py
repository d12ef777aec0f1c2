"""What every import does with the database: one transaction, no doubles, one row of audit."""

from collections.abc import Mapping
from uuid import uuid4

from sqlalchemy import Column
from sqlalchemy.ext.asyncio import AsyncConnection

from api.clock import Clock
from api.csv_files import CsvFile, Problem
from api.store.bulk import stored
from api.store.uow import Store, Uow
from billing.calendar import Calendar


def importing(store: Store, clock: Clock) -> Uow:
    """The transaction of one import."""
    return Uow(store, clock, _no_calendar, "import", uuid4().hex)


def _no_calendar() -> Calendar:
    raise RuntimeError("nothing is judged while importing")


async def refuse_stored(
    connection: AsyncConnection, file: CsvFile, column: Column[object], seen: Mapping[str, int]
) -> None:
    """Note each value (with the line it is first in) that a column must not have twice, but has."""
    for value in await stored(connection, column, list(seen)):
        file.problems.append(Problem(seen[value], column.name, "is in the database already"))


async def log_import(uow: Uow, kind: str, file: CsvFile, counts: Mapping[str, int]) -> None:
    """One row of audit says what came in, and from which file."""
    data = {**counts, "file": file.path.name, "sha256": file.sha256}
    await uow.audit(f"{kind}.imported", f"import:{kind}", data)
