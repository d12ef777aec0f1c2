"""Reading what contracts are billed from, many at once."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, tzinfo
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.access import Level
from billing.calendar import day_start
from billing.cycle import DueDay, Mode
from billing.invoice import Kind, Line
from billing.pause import Pause
from billing.subscription import Discount, Extra, Outage, Subscription
from billing.suspended_days import Decided, suspensions
from billing.tariff import Addon, Component, Tariff, TariffPeriod, plain

Row = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Billed:
    """A contract with what it is billed from. `next_due_on` None: no run bills it."""

    contract_id: int
    subscriber_id: int
    next_due_on: date | None
    subscription: Subscription


_CONTRACTS = text("""
select c.id, c.subscriber_id, c.due_day, c.plan_id, c.ended_on, c.generation, c.level,
       b.mode, b.started_on, b.billed_until, b.credited_until, b.next_due_on, e.ends_on
  from contract_billing b join contracts c on c.id = b.contract_id
  left join contract_endings e on e.contract_id = c.id
 where b.contract_id = any(cast(:ids as bigint[]))
""")
_DUE_DAYS = text("""
select contract_id, from_on, day from contract_due_days
 where contract_id = any(cast(:ids as bigint[])) order by contract_id, from_on
""")
_PLANS = text("""
select contract_id, from_on, plan_id from contract_plans
 where contract_id = any(cast(:ids as bigint[])) order by contract_id, from_on
""")
_PRICES = text("select id, name, price_cents from plans")
_COMPONENTS = text("select * from plan_components order by plan_id, from_on, position")
_PRODUCTS = text("""
select a.contract_id, p.code, p.name, p.stays_while_walled, a.price_cents, a.from_on, a.until_on
  from contract_products a join products p on p.id = a.product_id
 where a.contract_id = any(cast(:ids as bigint[])) order by a.contract_id, a.id
""")
_DISCOUNTS = text("""
select c.id as of_contract, d.* from discounts d
  join contracts c on c.id = d.contract_id or c.plan_id = d.plan_id
 where c.id = any(cast(:ids as bigint[])) order by d.id
""")
_WAITING = text("""
select * from waiting_lines
 where contract_id = any(cast(:ids as bigint[])) and invoice_id is null order by id
""")
_OUTAGES = text("""
select oc.contract_id, o.id, o.started_at, o.ended_at
  from outage_contracts oc join outages o on o.id = oc.outage_id
 where oc.contract_id = any(cast(:ids as bigint[])) and oc.invoice_id is null order by o.id
""")
_PAUSES = text("""
select contract_id, id, asked_at, author, from_on, until_on, ended_at from pauses
 where contract_id = any(cast(:ids as bigint[])) order by contract_id, id
""")
_DECISIONS = text("""
select contract_id, level, decided_at from access_decisions
 where contract_id = any(cast(:ids as bigint[])) order by contract_id, generation
""")


async def load(
    connection: AsyncConnection, ids: Collection[int], today: date, zone: tzinfo
) -> dict[int, Billed]:
    """What these contracts are billed from; one without a row in `contract_billing` is left out."""
    found = (await connection.execute(_CONTRACTS, {"ids": list(ids)})).mappings().all()
    due_days = await _by_contract(connection, _DUE_DAYS, ids)
    plans = await _by_contract(connection, _PLANS, ids)
    products = await _by_contract(connection, _PRODUCTS, ids)
    discounts = await _by_contract(connection, _DISCOUNTS, ids, "of_contract")
    waiting = await _by_contract(connection, _WAITING, ids)
    outages = await _by_contract(connection, _OUTAGES, ids)
    # Who was never anything but at full level has no decision, and most never were.
    changed = [row["id"] for row in found if row["generation"] > 1]
    decisions = await _by_contract(connection, _DECISIONS, changed)
    pauses = await _by_contract(connection, _PAUSES, ids)
    tariffs = await _tariffs(connection)

    def billed(row: Row) -> Billed:
        contract_id = row["id"]
        subscription = Subscription(
            started_on=row["started_on"],
            due_days=tuple(DueDay(r["from_on"], r["day"]) for r in due_days[contract_id])
            or (DueDay(row["started_on"], row["due_day"]),),
            tariffs=_periods(row, plans[contract_id], tariffs),
            billed_until=row["billed_until"],
            credited_until=row["credited_until"],
            mode=Mode(row["mode"]),
            ended_on=row["ended_on"],
            ends_on=row["ends_on"],
            addons=tuple(map(_addon, products[contract_id])),
            discounts=tuple(map(_discount, discounts[contract_id])),
            suspensions=suspensions(
                map(_decided, decisions[contract_id]),
                tuple(map(_pause, pauses[contract_id])),
                today,
                zone,
            ),
            outages=tuple(_outages(outages[contract_id], row["ends_on"], today, zone)),
            extras=tuple(map(_extra, waiting[contract_id])),
        )
        return Billed(contract_id, row["subscriber_id"], row["next_due_on"], subscription)

    return {row["id"]: billed(row) for row in found}


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan's name and price, and from which days it is made of what, oldest first."""

    tariff: Tariff
    compositions: tuple[tuple[date, tuple[Component, ...]], ...]


async def _tariffs(connection: AsyncConnection) -> dict[int, Plan]:
    compositions: dict[int, dict[date, list[Component]]] = defaultdict(lambda: defaultdict(list))
    for row in (await connection.execute(_COMPONENTS)).mappings():
        compositions[row["plan_id"]][row["from_on"]].append(_component(row))
    return {
        row["id"]: Plan(
            plain(row["name"], row["price_cents"]),
            tuple((on, tuple(parts)) for on, parts in compositions[row["id"]].items()),
        )
        for row in (await connection.execute(_PRICES)).mappings()
    }


def _periods(
    row: Row, changes: Sequence[Row], plans: Mapping[int, Plan]
) -> tuple[TariffPeriod, ...]:
    held = [(change["from_on"], change["plan_id"]) for change in changes]
    held = held or [(row["started_on"], row["plan_id"])]
    periods: list[TariffPeriod] = []
    for place, (from_on, plan_id) in enumerate(held):
        until_on = held[place + 1][0] if place + 1 < len(held) else date.max
        plan = plans[plan_id]
        current = plan.tariff
        for on, components in plan.compositions:
            if on <= from_on:
                current = replace(plan.tariff, components=components)
        periods.append(TariffPeriod(from_on, current))
        periods += [
            TariffPeriod(on, replace(plan.tariff, components=components))
            for on, components in plan.compositions
            if from_on < on < until_on
        ]
    return tuple(periods)


def _component(row: Row) -> Component:
    return Component(
        service=row["service"],
        description=row["description"],
        kind=Kind(row["kind"]),
        basis_points=row["basis_points"],
        cents=row["cents"],
        stays_while_walled=row["stays_while_walled"],
    )


def _addon(row: Row) -> Addon:
    return Addon(
        service=row["code"],
        description=row["name"],
        price_cents=row["price_cents"],
        from_on=row["from_on"],
        until_on=row["until_on"],
        stays_while_walled=row["stays_while_walled"],
    )


def _discount(row: Row) -> Discount:
    return Discount(
        description=row["description"],
        from_on=row["from_on"],
        until_on=row["until_on"],
        basis_points=row["basis_points"],
        cents=row["cents"],
        conditional=row["conditional"],
    )


def _outages(
    rows: Sequence[Row], ends_on: date | None, today: date, zone: tzinfo
) -> Iterator[Outage]:
    """Those that are over; one that goes on is over for a contract with the contract itself."""
    last = day_start(ends_on, zone) if ends_on is not None and ends_on <= today else None
    for row in rows:
        started_at, ended_at = row["started_at"].astimezone(zone), row["ended_at"] or last
        if ended_at is not None and started_at.astimezone(UTC) < ended_at.astimezone(UTC):
            yield Outage(row["id"], started_at, ended_at.astimezone(zone))


def _decided(row: Row) -> Decided:
    return Decided(Level(row["level"]), row["decided_at"])


def _pause(row: Row) -> Pause:
    return Pause(**{name: row[name] for name in _PAUSE})


_PAUSE = ("id", "contract_id", "asked_at", "author", "from_on", "until_on", "ended_at")


def _extra(row: Row) -> Extra:
    line = Line(
        row["description"],
        row["amount_cents"],
        Kind(row["kind"]),
        row["service"],
        row["from_on"],
        row["until_on"],
    )
    return Extra(row["id"], line, row["due_from"], row["by_hand"])


async def _by_contract(
    connection: AsyncConnection, query: TextClause, ids: Collection[int], key: str = "contract_id"
) -> dict[int, list[Row]]:
    rows: dict[int, list[Row]] = defaultdict(list)
    if ids:
        for row in (await connection.execute(query, {"ids": list(ids)})).mappings():
            rows[row[key]].append(row)
    return rows
