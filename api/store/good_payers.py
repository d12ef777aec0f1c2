"""Who pays well, of many contracts at once, and what the terms give them for it (rule 15)."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.subscriptions import Billed
from billing.calendar import zone_of
from billing.payer import Desk
from billing.reward import Paid, Reward, is_good_payer

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


async def rewarded(
    connection: AsyncConnection, billed: Mapping[int, Billed], desk: Desk
) -> dict[int, Billed]:
    """The same, good payers with their reward in the cycle that is to be billed.

    A broken promise or agreement needs no look of its own: it is about an invoice that was not
    paid in time.
    """
    terms, zone = desk.terms, zone_of(desk.now)
    reward = Reward(terms.reward_basis_points, terms.reward_service)
    if reward == Reward() or not billed:
        return dict(billed)
    history: dict[int, list[Paid]] = defaultdict(list)
    for row in await connection.execute(_HISTORY, {"ids": list(billed)}):
        settled = row.settled_at.astimezone(zone).date() if row.settled_at is not None else None
        history[row.contract_id].append(Paid(row.due_on, settled))

    def earned(item: Billed) -> Billed:
        begins = item.subscription.billed_until
        good = is_good_payer(
            history[item.contract_id], (), begins, desk.calendar, terms.reward_invoices
        )
        return (
            replace(item, subscription=replace(item.subscription, reward=reward)) if good else item
        )

    return {contract_id: earned(item) for contract_id, item in billed.items()}
