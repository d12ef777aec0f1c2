"""What a contract used, as it is read: by the hour, by the day, and of its current period."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import BigInteger, Select, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.tables import contracts, usage_days, usage_hours

By = Literal["hour", "day"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)


def number(at: date) -> int:
    """An hour or a day as a whole number, for cursors.

    >>> number(date(1970, 1, 3)), number(datetime(1970, 1, 1, 5, tzinfo=UTC))
    (2, 5)
    """
    if isinstance(at, datetime):
        return (at - _EPOCH) // _HOUR
    return (at - _EPOCH.date()).days


async def page(
    connection: AsyncConnection,
    contract_id: int,
    by: By,
    bounds: tuple[date | None, date | None],
    after: int | None,
    limit: int,
) -> tuple[Sequence[dict[str, Any]], int | None]:
    """At most `limit` periods after the one numbered `after`, and the number to go on from.

    Args:
        connection: any.
        contract_id: whose.
        by: hours begin at UTC's, days at the provider's midnight.
        bounds: the first period and the one that ends it; instants where hours are asked for.
        after: see `number`.
        limit: how many.
    """
    table, period = (
        (usage_hours, usage_hours.c.hour) if by == "hour" else (usage_days, usage_days.c.day)
    )
    query: Select[Any] = select(
        period.label("period"), table.c.down_octets, table.c.up_octets
    ).where(table.c.contract_id == contract_id)
    first, end = bounds
    if first is not None:
        query = query.where(period >= first)
    if end is not None:
        query = query.where(period < end)
    if after is not None:
        query = query.where(
            period > (_EPOCH + after * _HOUR if by == "hour" else _EPOCH.date() + timedelta(after))
        )
    rows = (await connection.execute(query.order_by(period).limit(limit + 1))).mappings().all()
    shown = [dict(row) for row in rows[:limit]]
    return shown, number(shown[-1]["period"]) if len(rows) > limit else None


async def reset_day(connection: AsyncConnection, contract_id: int) -> int | None:
    """The day of the month on which the contract's cycle begins; None: no such contract."""
    day = func.coalesce(contracts.c.quota_reset_day, contracts.c.due_day)
    found: int | None = await connection.scalar(select(day).where(contracts.c.id == contract_id))
    return found


async def total(
    connection: AsyncConnection, contract_id: int, first: date, end: date
) -> tuple[int, int]:
    """Octets down and up of the days from `first` to before `end`."""
    down, up = (
        cast(func.coalesce(func.sum(column), 0), BigInteger)
        for column in (usage_days.c.down_octets, usage_days.c.up_octets)
    )
    query = select(down, up).where(
        usage_days.c.contract_id == contract_id, usage_days.c.day >= first, usage_days.c.day < end
    )
    row = (await connection.execute(query)).one()
    return row[0], row[1]
