"""Many rows at once: what is stored already of a list of values, ids by the block, COPY."""

from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Column, Table, any_, bindparam, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

_TICK = 1000
_NEXT_IDS = text(
    "select nextval(pg_get_serial_sequence(:table, 'id')) from generate_series(1, :count)"
)


async def stored(
    connection: AsyncConnection, column: Column[object], values: Sequence[str]
) -> set[str]:
    """Which of `values` the column has, as text."""
    given = bindparam("given", list(values), type_=ARRAY(column.type))
    found = await connection.execute(select(column).where(column == any_(given)))
    return {str(value) for value in found.scalars()}


async def draw_ids(connection: AsyncConnection, table: Table, count: int) -> list[int]:
    """As many new ids of a table."""
    found = await connection.execute(_NEXT_IDS, {"table": table.name, "count": count})
    return list(found.scalars())


async def copy_rows(
    connection: AsyncConnection,
    table: Table,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    copied: Callable[[int], None] | None = None,
) -> None:
    """COPY rows in, inside the transaction; `copied` is told how many, now and then."""
    raw = (await connection.get_raw_connection()).driver_connection
    if raw is None:
        raise RuntimeError("the connection is closed")
    count = 0
    statement = f"copy {table.name} ({', '.join(columns)}) from stdin"
    async with raw.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            await copy.write_row(row)
            count += 1
            if copied is not None and count % _TICK == 0:
                copied(count)
    if copied is not None:
        copied(count)
