"""Payers of whom a new invoice is all that there is to say: read many at once, under lock.

They have one contract, at full level with no step entered and no quota; they owe nothing, have no
credit, nothing is parked, no hold stands, and none ever made a promise, a pause, a dispute or an
agreement. Everybody else is read one by one (`api.store.accounts`).
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.access import Level, Rates
from billing.payer import Account, Contract

_LOCK = text("""
select s.id from subscribers s
 where s.id in (select subscriber_id from contracts where id = any(cast(:ids as bigint[])))
 order by s.id for update skip locked
""")
# A statement of its own: its snapshot must be younger than the locks.
_PLAIN = text("""
select c.id, c.subscriber_id, c.policy, c.generation, c.reason, c.since, c.review_on,
       p.down_bps, p.up_bps, p.reduced_down_bps, p.reduced_up_bps
  from contracts c join plans p on p.id = c.plan_id
 where c.id = any(cast(:ids as bigint[])) and c.subscriber_id = any(cast(:locked as bigint[]))
   and c.ended_on is null and c.level = 'full' and c.rungs = '[]'
   and p.quota_octets is null and c.quota_spent_until is null
   and not exists (select from contracts o
       where o.subscriber_id = c.subscriber_id and o.id <> c.id)
   and not exists (select from invoices i where i.contract_id = c.id and i.state = 'open')
   and not exists (select from holds h where h.contract_id = c.id and h.expires_at > :now)
   and not exists (select from parked_invoices k
       where k.contract_id = c.id and k.state <> 'issued')
   and not exists (select from promises r where r.contract_id = c.id)
   and not exists (select from pauses u where u.contract_id = c.id)
   and not exists (select from disputes d where d.contract_id = c.id)
   and not exists (select from agreements a where a.contract_id = c.id)
   and not exists (select from ledger_postings l
       where l.account = 'credit:' || c.subscriber_id having sum(l.cents) <> 0)
""")


async def lock_plain(
    connection: AsyncConnection, contract_ids: Sequence[int], now: datetime
) -> dict[int, Account]:
    """The accounts of the plain payers among those of these contracts, by contract.

    They are locked until the end of the transaction. Who is locked by somebody else is left out.
    """
    locked = (await connection.execute(_LOCK, {"ids": list(contract_ids)})).scalars().all()
    wanted = {"ids": list(contract_ids), "locked": list(locked), "now": now}
    zone = now.tzinfo
    accounts: dict[int, Account] = {}
    for row in await connection.execute(_PLAIN, wanted):
        rates = Rates(row.down_bps, row.up_bps, row.reduced_down_bps, row.reduced_up_bps)
        contract = Contract(
            id=row.id,
            policy_name=row.policy,
            rates=rates,
            access=rates.at(Level.FULL),
            generation=row.generation,
            reason=row.reason,
            since=row.since.astimezone(zone),
            review_on=row.review_on.astimezone(zone) if row.review_on is not None else None,
        )
        accounts[row.id] = Account(row.subscriber_id, 0, (contract,))
    return accounts
