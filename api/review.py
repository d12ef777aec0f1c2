"""The ladder looked at: whose contracts are due for a look, what would change, and changing it.

Each account is judged under its own lock in its own transaction, so that a payment waits for one
account and never for a run. Rows are the schedule: `contracts.review_on` says who is due.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from api import rescinding
from api.house import House
from api.renegotiating import run_out
from api.store.policies import next_rules_on, tell_of_new_rules
from api.store.tables import contracts, subscribers
from api.store.uow import Uow
from billing.access import Level
from billing.account import Account, draw_notice, notice_due
from billing.account import review as review_account
from billing.calendar import day_start
from billing.events import AccessDecided, Fact, NoticeDrawn, Reviewed, StageEntered, StageLeft

BATCH = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One contract whose level a review changes (or, in a plan, would change)."""

    contract_id: int
    subscriber_id: int
    subscriber: str
    before: Level
    after: Level
    reason: str
    counted_cents: int
    invoice_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReviewRun:
    """What a run did. `failed` are the subscribers whose account could not be judged or saved."""

    accounts: int
    notices: int
    changes: tuple[PlannedChange, ...]
    failed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Due:
    """A payer to look at. `contract_ids` None: all of the payer's contracts."""

    subscriber_id: int
    name: str
    contract_ids: frozenset[int] | None


async def plan(house: House, contract_ids: Sequence[int] | None) -> list[PlannedChange]:
    """What a run now would change; changes nothing.

    Args:
        house: where to look.
        contract_ids: the contracts to look at; None: all that are due. An empty list is nobody.
    """
    changes: list[PlannedChange] = []
    async for batch in _due(house, contract_ids):
        for due in batch:
            async with house.uow("review", "plan") as uow:
                before = await uow.account(due.subscriber_id)
                # No notice is drawn: until it is proven, a notice changes no level.
                _, facts = review_account(before, await uow.desk())
            changes += _changes(due, before, facts)
    return changes


async def run(
    house: House,
    contract_ids: Sequence[int] | None,
    correlation_id: str,
    actor: str,
    progress: Callable[[int], None] | None = None,
) -> ReviewRun:
    """Draw the notices that are due, decide anew, and record both; `contract_ids` as in `plan`.

    An account that cannot be judged or saved is reported and left; the others go on.
    """
    async with house.uow(actor, correlation_id) as uow:
        now = uow.clock.now()
        await tell_of_new_rules(uow.connection, now.date(), now)
    accounts, notices = 0, 0
    changes: list[PlannedChange] = []
    failed: list[int] = []
    async for batch in _due(house, contract_ids):
        for due in batch:
            try:
                async with house.uow(actor, correlation_id) as uow:
                    before = await uow.account(due.subscriber_id)
                    facts = await _judge(uow, before)
                    await uow.record(before, _asked_for(due, facts))
            except (IntegrityError, DataError, LookupError, ValueError):
                log.exception("the account of subscriber %s was not reviewed", due.subscriber_id)
                failed.append(due.subscriber_id)
                continue
            accounts += 1
            notices += sum(isinstance(fact, NoticeDrawn) for fact in facts)
            changes += _changes(due, before, facts)
        if progress is not None:
            progress(accounts)
    await rescinding.enact(house, correlation_id, actor)
    return ReviewRun(accounts, notices, tuple(changes), tuple(failed))


async def next_due(connection: AsyncConnection) -> datetime | None:
    """The earliest instant at which a contract is due for a look."""
    earliest: datetime | None = await connection.scalar(select(func.min(contracts.c.review_on)))
    return earliest


async def next_rules_at(house: House, connection: AsyncConnection) -> datetime | None:
    """The next instant at which another version of a policy begins to rule."""
    day = await next_rules_on(connection, house.clock.now().date())
    return day_start(day, house.settings.zone) if day is not None else None


async def _judge(uow: Uow, account: Account) -> Sequence[Fact]:
    """What a look at the account makes true: what is over, a notice that is due, the verdicts."""
    desk = await uow.desk()
    account, over = await run_out(uow, account, desk, uow.actor)
    if notice_due(account, desk):
        return (*over, *draw_notice(account, await uow.draw("notices"), desk)[1])
    return (*over, *review_account(account, desk)[1])


def _asked_for(due: _Due, facts: Sequence[Fact]) -> list[Fact]:
    """Without the verdicts on the payer's other contracts; those have review dates of their own."""
    asked = due.contract_ids
    return [
        fact
        for fact in facts
        if asked is None
        or not isinstance(fact, AccessDecided | Reviewed | StageEntered | StageLeft)
        or fact.contract_id in asked
    ]


def _changes(due: _Due, before: Account, facts: Sequence[Fact]) -> list[PlannedChange]:
    levels = {contract.id: contract.access.level for contract in before.contracts}
    last = {
        fact.contract_id: fact for fact in _asked_for(due, facts) if isinstance(fact, AccessDecided)
    }
    return [
        PlannedChange(
            contract_id=contract_id,
            subscriber_id=due.subscriber_id,
            subscriber=due.name,
            before=levels[contract_id],
            after=decided.access.level,
            reason=decided.verdict.reason,
            counted_cents=decided.verdict.counted_cents,
            invoice_ids=decided.verdict.invoice_ids,
        )
        for contract_id, decided in last.items()
        if decided.access.level is not levels[contract_id]
    ]


async def _due(house: House, contract_ids: Sequence[int] | None) -> AsyncIterator[list[_Due]]:
    """Payers in batches, by id: whoever is looked at once is not met again in this run."""
    asked = None if contract_ids is None else frozenset(contract_ids)
    if asked is not None and not asked:
        return  # an empty list is nobody, never everybody
    after = 0
    while True:
        async with house.uow("review", "due") as uow:
            wanted = (
                contracts.c.review_on <= uow.clock.now()
                if asked is None
                else contracts.c.id.in_(asked)
            )
            rows = await uow.connection.execute(
                select(subscribers.c.id, subscribers.c.name)
                .where(
                    subscribers.c.id > after,
                    subscribers.c.id.in_(select(contracts.c.subscriber_id).where(wanted)),
                )
                .order_by(subscribers.c.id)
                .limit(BATCH)
            )
            batch = [_Due(row.id, row.name, asked) for row in rows]
        if not batch:
            return
        yield batch
        after = batch[-1].subscriber_id
