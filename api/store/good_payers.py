"""Who pays well, of many contracts at once, and what the terms give them for it (rule 15)."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.billing_tables import products
from api.store.subscriptions import Billed
from billing.calendar import zone_of
from billing.cycle import DueDay, cycle_of
from billing.payer import Desk
from billing.reward import Paid, Reward, is_good_payer
from billing.tariff import Addon

# Credit of the customer pays on the day of issue. What is renegotiated or written off is unpaid.
_HISTORY = text("""
select i.contract_id, i.due_on,
       case when i.state = 'paid' then (
         select max(coalesce(p.paid_at, i.issued_at))
           from allocations a left join payments p on p.id = a.payment_id
          where a.invoice_id = i.id
       ) end as settled_at
  from invoices i where i.contract_id = any(cast(:ids as bigint[])) and i.state <> 'void'
""")
# Nobody is looked at where there is no bonus to give and none to take.
_SPEEDS = text("""
select c.id, c.due_day, c.speed_bonus_percent, b.started_on,
       coalesce((select jsonb_agg(jsonb_build_array(d.from_on, d.day) order by d.from_on)
           from contract_due_days d where d.contract_id = c.id), '[]') as due_days
  from contracts c join contract_billing b on b.contract_id = c.id
 where c.id > :after and c.ended_on is null and (:percent > 0 or c.speed_bonus_percent > 0)
 order by c.id limit :limit
""")


async def rewarded(
    connection: AsyncConnection, billed: Mapping[int, Billed], desk: Desk
) -> dict[int, Billed]:
    """The same, good payers with their reward in the cycle that is to be billed.

    A broken promise or agreement needs no look of its own: it is about an invoice that was not
    paid in time.
    """
    terms = desk.terms
    reward = Reward(terms.reward_basis_points, terms.reward_service)
    if reward == Reward() or not billed:
        return dict(billed)
    history = await histories(connection, list(billed), desk)
    free = await _product(connection, terms.reward_service)

    def earned(item: Billed) -> Billed:
        bill = item.subscription
        good = is_good_payer(
            history[item.contract_id],
            (),
            bill.billed_until,
            desk.calendar,
            terms.reward_invoices,
        )
        if not good:
            return item
        held = {addon.service for addon in bill.addons} | {
            component.service for period in bill.tariffs for component in period.tariff.components
        }
        addons = bill.addons
        if free is not None and free.service not in held:
            # Shown at its price and given back: so the invoice says what is had for nothing.
            addons = (*addons, replace(free, from_on=bill.billed_until))
        return replace(item, subscription=replace(bill, reward=reward, addons=addons))

    return {contract_id: earned(item) for contract_id, item in billed.items()}


@dataclass(frozen=True, slots=True)
class Speeds:
    """A page of contracts: the last one, and whose bonus is to be another now, in percent."""

    last: int
    changed: Mapping[int, int]


async def speeds(connection: AsyncConnection, desk: Desk, after: int, limit: int) -> Speeds | None:
    """Whose speed bonus is not what it should be, among the contracts after one; None: no more.

    It begins with a cycle, and ends on the day that shows the first invoice paid late.
    """
    terms, today = desk.terms, desk.now.date()
    asked = {"after": after, "limit": limit, "percent": terms.reward_speed_percent}
    rows = (await connection.execute(_SPEEDS, asked)).all()
    if not rows:
        return None
    history = await histories(connection, [row.id for row in rows], desk)

    def percent(row: Any) -> int:
        due_days = tuple(DueDay(date.fromisoformat(on), day) for on, day in row.due_days)
        cycle = cycle_of(today, due_days or (DueDay(row.started_on, row.due_day),))
        good = all(
            is_good_payer(history[row.id], (), day, desk.calendar, terms.reward_invoices)
            for day in (cycle.starts_on, today)
        )
        return terms.reward_speed_percent if good else 0

    due = {row.id: percent(row) for row in rows}
    changed = {row.id: due[row.id] for row in rows if due[row.id] != row.speed_bonus_percent}
    return Speeds(rows[-1].id, changed)


async def histories(
    connection: AsyncConnection, ids: Collection[int], desk: Desk
) -> Mapping[int, Sequence[Paid]]:
    """How the invoices of contracts were paid, by contract, in any order."""
    zone = zone_of(desk.now)
    history: dict[int, list[Paid]] = defaultdict(list)
    for row in await connection.execute(_HISTORY, {"ids": list(ids)}):
        settled = row.settled_at.astimezone(zone).date() if row.settled_at is not None else None
        history[row.contract_id].append(Paid(row.due_on, settled))
    return history


async def _product(connection: AsyncConnection, code: str) -> Addon | None:
    row = (await connection.execute(select(products).where(products.c.code == code))).one_or_none()
    if row is None:
        return None
    return Addon(
        service=row.code,
        description=row.name,
        price_cents=row.price_cents,
        from_on=date.min,
        stays_while_walled=row.stays_while_walled,
    )
