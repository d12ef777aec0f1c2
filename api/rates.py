"""What a contract's line may run at changes: by its plan's day, by a good payer's bonus.

Level-triggered: each run looks at what holds today and at what the contracts have, and grants anew
where they differ, each in a transaction of its own.
"""

import logging
from collections.abc import Mapping

from sqlalchemy import update

from api.house import House
from api.store import following, good_payers
from api.store.customer_tables import contracts
from api.store.uow import Uow
from billing.regrant import regrant

PAGE = 5_000

log = logging.getLogger(__name__)


async def set_on_contract(uow: Uow, contract_id: int, values: Mapping[str, int]) -> None:
    """Change what a contract's rates come from; a live line follows if they are others then."""
    payer = await uow.payer_of_contract(contract_id)
    before = await uow.account(payer)
    await uow.connection.execute(
        update(contracts).where(contracts.c.id == contract_id).values(**values)
    )
    if "plan_id" in values:
        await following.settle(uow.connection, [contract_id], uow.clock.now(), uow.actor)
    account = await uow.account(payer)
    had, has = (
        next(item.rates for item in known.contracts if item.id == contract_id)
        for known in (before, account)
    )
    if had != has:
        _, facts = regrant(account, contract_id, await uow.desk())
        await uow.record(account, facts)


async def reward(house: House, correlation_id: str, actor: str) -> list[int]:
    """Give the speed bonus to who pays well and take it from who does not; who could not be."""
    after, failed = 0, list[int]()
    while True:
        async with house.uow(actor, correlation_id) as uow:
            page = await good_payers.speeds(uow.connection, await uow.desk(), after, PAGE)
        if page is None:
            return failed
        for contract_id, percent in page.changed.items():
            try:
                async with house.uow(actor, correlation_id) as uow:
                    await set_on_contract(uow, contract_id, {"speed_bonus_percent": percent})
                    told = {"speed_percent": percent}
                    await uow.audit("contract.rewarded", f"contract:{contract_id}", told)
            except (LookupError, ValueError):
                log.exception("contract %s kept its speed", contract_id)
                failed.append(contract_id)
        after = page.last
