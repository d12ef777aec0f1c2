"""What contracts used, by the hour and by the day: as it is added, and as it is read."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import BigInteger, Select, cast, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.meter import QUARTER_US
from api.store.customer_tables import contracts
from api.store.network_tables import usage_days, usage_hours

By = Literal["hour", "day"]

# 64 bits of a counter do not fit a signed column; who claims more than this lies.
OCTETS_MAX = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)


_ADD_USAGE = """
with used as (
  select * from json_to_recordset(cast(:used as json))
    as t (contract_id bigint, period {kind}, down bigint, up bigint)
)
insert into {table} as u (contract_id, {period}, down_octets, up_octets)
select contract_id, period, greatest(down, 0), greatest(up, 0) from used
 order by contract_id, period
on conflict (contract_id, {period}) do update set
  down_octets = least(cast(u.down_octets as numeric) + excluded.down_octets, {most}),
  up_octets = least(cast(u.up_octets as numeric) + excluded.up_octets, {most})
"""
# What a late record moved to another period.
_MOVE_USAGE = """
with used as (
  select * from json_to_recordset(cast(:used as json))
    as t (contract_id bigint, period {kind}, down bigint, up bigint)
)
update {table} u set down_octets = greatest(0, u.down_octets + least(t.down, 0)),
       up_octets = greatest(0, u.up_octets + least(t.up, 0))
  from used t
 where u.contract_id = t.contract_id and u.{period} = t.period and (t.down < 0 or t.up < 0)
"""
_PERIODS = {
    "hour": {"table": "usage_hours", "period": "hour", "kind": "timestamptz", "most": OCTETS_MAX},
    "day": {"table": "usage_days", "period": "day", "kind": "date", "most": OCTETS_MAX},
}
_ADD = {name: text(_ADD_USAGE.format(**words)) for name, words in _PERIODS.items()}
_MOVE = {name: text(_MOVE_USAGE.format(**words)) for name, words in _PERIODS.items()}


async def add(
    connection: AsyncConnection, used: Mapping[tuple[int, int], Sequence[int]], zone: tzinfo
) -> None:
    """Add what was used, down and up, by contract and quarter (see `api.meter`).

    What is negative moved to another quarter, and mostly stays within its hour and day.
    """
    for name, period_of in (("hour", _hour), ("day", _day)):
        summed: dict[tuple[int, str], list[int]] = {}
        for (contract_id, quarter), (down, up) in used.items():
            cell = summed.setdefault((contract_id, period_of(quarter, zone)), [0, 0])
            cell[0] += down
            cell[1] += up
        if summed:
            rows = [
                {"contract_id": key[0], "period": key[1], "down": down, "up": up}
                for key, (down, up) in ((key, map(_bounded, cell)) for key, cell in summed.items())
            ]
            parameters = {"used": json.dumps(rows)}
            await connection.execute(_ADD[name], parameters)
            if any(octets < 0 for cell in summed.values() for octets in cell):
                await connection.execute(_MOVE[name], parameters)


def _bounded(octets: int) -> int:
    return max(-OCTETS_MAX, min(octets, OCTETS_MAX))


@lru_cache(maxsize=4096)
def _hour(quarter: int, _zone: tzinfo) -> str:
    seconds = quarter * QUARTER_US // 1_000_000
    return datetime.fromtimestamp(seconds - seconds % 3600, UTC).isoformat()


@lru_cache(maxsize=4096)
def _day(quarter: int, zone: tzinfo) -> str:
    seconds = quarter * QUARTER_US // 1_000_000
    return datetime.fromtimestamp(seconds, zone).date().isoformat()


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
