"""The ladder looked at: whose contracts are due for a look, what would change, and changing it.

A sweep looks at everybody who is due, in small batches, so that a payment waits for a batch of one
account's kin and never for a run. What it finds is written at once, but for the cuts: those are
planned, judged by the guards as a whole (`api.guards`), and made one by one (`api.drip`). Rows are
the schedule: `contracts.review_on` says who is due.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from api import drip, guards, rescinding
from api.batches import few_collections, together
from api.house import House
from api.known import Known, Numbers
from api.looking import Looked, changes, judge, only
from api.store import bulk_looks, canary_rows, review_rows
from api.store.customer_tables import contracts
from api.store.guard_tables import review_rows as review_rows_table
from api.store.policies import next_rules_on, tell_of_new_rules
from api.store.uow import Uow
from billing.account import Account
from billing.calendar import day_start
from billing.cuts import cut_ids, is_hasty, undated, without
from billing.events import Fact, NoticeDrawn
from billing.guard import Flaw
from billing.ladder import Bar
from billing.quiet import Quiet

# Payers whose quiet contracts are written together, and accounts that are seen together.
BATCH = 2_000
ACCOUNTS = 100
AT_ONCE = 2
# What one account's rows may raise; the others are looked at all the same.
UNJUDGEABLE = (IntegrityError, DataError, LookupError, ValueError)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReviewRun:
    """What a run did. `failed` are the subscribers whose account could not be judged or saved.

    `plan_id` is of its cuts; None: there were none. With `flaws` the guards refused them all, or,
    if the first of them brought a sign (`canary`), the rest, whose plan it is then; else `waiting`
    of them are still to be made, at their pace.
    """

    accounts: int
    notices: int
    changes: tuple[Looked, ...]
    failed: tuple[int, ...]
    plan_id: int | None = None
    flaws: tuple[str, ...] = ()
    waiting: int = 0


@dataclass(slots=True)
class _Sweep:
    """What is known of a sweep while it goes on."""

    house: House
    asked: Sequence[int] | None
    correlation_id: str
    actor: str
    standing: tuple[Bar, ...]
    begun: guards.Begun
    numbers: Numbers = field(default_factory=Numbers)
    accounts: int = 0
    notices: int = 0
    done: list[Looked] = field(default_factory=list)
    cuts: list[Looked] = field(default_factory=list)
    hasty: int = 0
    failed: list[int] = field(default_factory=list)

    @property
    def named(self) -> frozenset[int] | None:
        return None if self.asked is None else frozenset(self.asked)

    def uow(self) -> Uow:
        return self.house.uow(self.actor, self.correlation_id)


async def run(
    house: House,
    contract_ids: Sequence[int] | None,
    correlation_id: str,
    actor: str,
    progress: Callable[[int], None] | None = None,
    patience_s: float | None = None,
) -> ReviewRun:
    """Look at whoever is due, record it, and make the cuts that the guards let through.

    Args:
        house: where.
        contract_ids: the contracts to look at; None: all that are due. An empty list is nobody.
        correlation_id: of whoever asked.
        actor: the same, for the audit log.
        progress: told how many accounts are done.
        patience_s: how long to wait for the cuts, which have a pace; None: until all are made.
            In rehearsal there is no pace.
    """
    ran = await sweep(house, contract_ids, correlation_id, actor, progress)
    made, waiting = list[Looked](), ran.waiting
    if house.clock.manual:
        # Time stands still, so there is no pace; what an earlier run left is made too.
        made, waiting = await drip.make(house, None)
    elif ran.waiting:
        made, waiting = await drip.make(house, ran.plan_id, patience_s)
    if ran.plan_id is not None and not ran.flaws:
        async with house.store.reading() as connection:
            rest = await canary_rows.rest_of(connection, ran.plan_id)
        if rest is not None:
            ran = replace(ran, plan_id=rest, flaws=(Flaw.CANARY.value,))
    await rescinding.enact(house, correlation_id, actor)
    told = sorted((*ran.changes, *made), key=lambda item: (item.subscriber_id, item.contract_id))
    return replace(ran, changes=tuple(told), waiting=waiting)


async def sweep(
    house: House,
    contract_ids: Sequence[int] | None,
    correlation_id: str,
    actor: str,
    progress: Callable[[int], None] | None = None,
) -> ReviewRun:
    """The same, but for the cuts: they are planned, and made by whoever makes planned cuts.

    An account that cannot be judged or saved is reported and left; the others go on.
    """
    if contract_ids is not None and not contract_ids:
        return ReviewRun(0, 0, (), ())  # an empty list is nobody, never everybody
    async with house.uow(actor, correlation_id) as uow:
        now = uow.clock.now()
        await tell_of_new_rules(uow.connection, now.date(), now)
    begun = await guards.begin(house, correlation_id, actor)
    restores_only = begun.is_idle and contract_ids is None
    if restores_only:
        async with house.uow(actor, correlation_id) as uow:
            contract_ids = await review_rows.lowered(uow.connection, now)
    standing = (Bar.KILL_SWITCH,) if begun.sight.switched_off else ()
    going = _Sweep(house, contract_ids, correlation_id, actor, standing, begun)
    batches = _Batches(going)

    async def work() -> None:
        while payer_ids := await batches.take():
            await _batch(going, payer_ids)
            if progress is not None:
                progress(going.accounts)

    with few_collections():
        await together(work, AT_ONCE)
    whole = begun if contract_ids is None else None
    decided = await guards.plan_cuts(
        house,
        () if restores_only else going.cuts,
        correlation_id,
        actor,
        whole,
        hasty=going.hasty,
        doubted=begun.doubted.keys(),
    )
    ran = ReviewRun(going.accounts, going.notices, tuple(going.done), tuple(going.failed))
    if decided is None:
        return ran
    flaws = tuple(flaw.value for flaw in decided.flaws)
    waiting = 0 if flaws else len(going.cuts)
    return replace(ran, plan_id=decided.plan_id, flaws=flaws, waiting=waiting)


async def next_due(connection: AsyncConnection) -> datetime | None:
    """The earliest instant at which a contract is due for a look."""
    # Whose cut is planned already waits for something else.
    planned = select(review_rows_table.c.contract_id).where(review_rows_table.c.state == "waiting")
    query = select(func.min(contracts.c.review_on)).where(contracts.c.id.not_in(planned))
    earliest: datetime | None = await connection.scalar(query)
    return earliest


async def next_rules_at(house: House, connection: AsyncConnection) -> datetime | None:
    """The next instant at which another version of a policy begins to rule."""
    day = await next_rules_on(connection, house.clock.now().date())
    return day_start(day, house.settings.zone) if day is not None else None


class _Batches:
    """The payers who are due, by id, each batch given once."""

    def __init__(self, sweep: _Sweep) -> None:
        self._sweep = sweep
        self._after = 0
        self._lock = asyncio.Lock()

    async def take(self) -> Sequence[int]:
        async with self._lock, self._sweep.uow() as uow:
            ids = await review_rows.payers(
                uow.connection, uow.clock.now(), self._sweep.asked, self._after, BATCH
            )
            self._after = ids[-1] if ids else self._after
            return ids


async def _batch(sweep: _Sweep, payer_ids: Sequence[int]) -> None:
    """Write what is said of quiet contracts; see the accounts of the others."""
    async with sweep.uow() as uow:
        desk = await uow.desk_with(sweep.standing)
        free = await review_rows.lock_free(uow.connection, payer_ids)
        found = await review_rows.due(uow.connection, desk.now, sweep.asked, free)
        looks: dict[int, Quiet] = {}
        loud: list[int] = []
        known = Known(desk)
        for item in found:
            said = known.said_of(item)
            if said is None:
                loud.append(item.subscriber_id)
            else:
                looks[item.contract_id] = said
        if sweep.begun.knows_the_day:
            await review_rows.keep_quiet(uow.connection, looks)
    seen = {item.subscriber_id for item in found}
    sweep.accounts += len(seen - set(loud))
    # Whom somebody else had locked is waited for, alone.
    alone = sorted(set(payer_ids) - set(free))
    together = sorted(set(loud))
    for start in range(0, len(together), ACCOUNTS):
        alone += await _accounts(sweep, together[start : start + ACCOUNTS])
    for payer_id in alone:
        try:
            async with sweep.uow() as uow:
                account = await uow.account(payer_id)
                await _look(sweep, uow, {payer_id: account})
        except UNJUDGEABLE:
            log.exception("the account of subscriber %s was not reviewed", payer_id)
            sweep.failed.append(payer_id)


async def _accounts(sweep: _Sweep, payer_ids: Sequence[int]) -> list[int]:
    """Look at these accounts in one transaction; who is to be looked at alone."""
    try:
        async with sweep.uow() as uow:
            accounts = await uow.free_accounts(payer_ids)
            left = await _look(sweep, uow, accounts)
    except UNJUDGEABLE:
        log.exception("subscribers %s to %s are looked at one by one", payer_ids[0], payer_ids[-1])
        return list(payer_ids)
    return [*left, *(number for number in payer_ids if number not in accounts)]


async def _look(sweep: _Sweep, uow: Uow, accounts: "dict[int, Account]") -> list[int]:
    """Judge and write, but for the cuts; who could not be judged with others.

    What is kept of it is kept as the block ends, after the last statement that may fail.
    """
    desk = await uow.desk_with(sweep.standing)
    left: list[int] = []
    simple: list[tuple[int, list[bulk_looks.Simple]]] = []
    told: list[tuple[Account, list[Fact]]] = []
    cuts: list[Looked] = []
    done: list[Looked] = []
    notices = hasty = 0
    for payer_id, before in accounts.items():
        try:
            after, facts = await judge(
                uow, before, desk, sweep.numbers.draw(uow), knows_the_day=sweep.begun.knows_the_day
            )
        except (LookupError, ValueError):
            if len(accounts) == 1:
                raise
            left.append(payer_id)
            continue
        asked = only(facts, sweep.named)
        cut = cut_ids(before, after)
        mine = [item for item in changes(before, asked) if item.contract_id in cut]
        hasty += sum(is_hasty(before, item.cut, desk, sweep.begun.doubted) for item in mine)
        cuts += mine
        kept = without(asked, cut)
        if not sweep.begun.knows_the_day:
            kept = undated(kept)
        done += changes(before, kept)
        notices += sum(isinstance(fact, NoticeDrawn) for fact in kept)
        looks = bulk_looks.simple(kept)
        if looks is None:
            told.append((before, kept))
        else:
            simple.append((payer_id, looks))
    await uow.record_looks(simple)
    for payer, facts in told:
        await uow.record(payer, facts)
    sweep.notices += notices
    sweep.accounts += len(accounts) - len(left)
    sweep.cuts += cuts
    sweep.hasty += hasty
    sweep.done += done
    return left
