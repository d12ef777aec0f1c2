"""The recurring run: every due date whose day of issue has come is billed, once.

Contracts are taken in batches, each one transaction (`api.issuing_many`); what needs a look of its
own is billed in a transaction of its own (`api.issuing`). A run cut short leaves `contract_billing`
saying what is still due, and the next one does the rest.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import psycopg
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from api import crashpoints, ending, rates
from api.batches import few_collections, together
from api.house import House
from api.issuing import Tally, bill_one
from api.issuing_many import bill_batch
from api.store import billing_rows, enrol
from api.store.terms import read_terms
from api.store.uow import Uow
from billing.calendar import day_start

BATCH = 1_000
AT_ONCE = 2
# What one contract's rows may raise; the others are billed all the same.
UNBILLABLE = (IntegrityError, DataError, LookupError, ValueError)
LOCK = 0x52454C42  # "RELB"
# Nobody means to issue further ahead; a year mistyped would.
AHEAD = timedelta(days=366)

log = logging.getLogger(__name__)


class RunGoesOn(Exception):
    """Another billing run is at work; one at a time."""


class BadUntil(ValueError):
    """A run until a day that nobody means."""


@dataclass(frozen=True, slots=True)
class BillingRun:
    """What a run did. `failed` are contracts that could not be billed; the log says why."""

    id: int | None
    until: date
    invoices: int
    amount_cents: int
    parked: int
    failed: tuple[int, ...]


async def run(
    house: House,
    until: date,
    correlation_id: str,
    actor: str,
    progress: Callable[[int, int], None] | None = None,
) -> BillingRun:
    """Issue every invoice whose day of issue is on or before `until`.

    Args:
        house: where.
        until: a local date, at most a year ahead.
        correlation_id: of whoever asked.
        actor: the same, for the audit log.
        progress: told due dates done, and how many there are at least.

    Raises:
        RunGoesOn: another run is at work.
        BadUntil: `until` is further ahead than anybody means.
    """
    today = house.clock.now().date()
    if until > today + AHEAD:
        raise BadUntil(
            f"{until} is more than a year ahead of {today}; give a date up to {today + AHEAD}"
        )
    async with _alone(house):
        failed = await _prepare(house, correlation_id, actor)
        ended, unended = await _end_contracts(house, correlation_id, actor)
        failed += unended
        async with house.uow(actor, correlation_id) as uow:
            horizon = until + timedelta(days=(await uow.desk()).terms.issue_days_before)
            total = await billing_rows.due_count(uow.connection, horizon)
            if not total and not ended.done and not failed:
                return BillingRun(None, until, 0, 0, 0, ())
            run_id = await billing_rows.begin_run(uow.connection, until, uow.clock.now(), actor)
        tally = ended
        batches = _Batches(house, horizon)

        async def work() -> None:
            while ids := await batches.take():
                # A contract that is due several times is met again, until nothing of it is due.
                while ids:
                    left, alone = await _batch(house, ids, horizon, correlation_id, actor, tally)
                    for contract_id in alone:
                        try:
                            again = await bill_one(
                                house, contract_id, horizon, correlation_id, actor, tally
                            )
                        except UNBILLABLE:
                            log.exception("contract %s was not billed", contract_id)
                            failed.append(contract_id)
                            continue
                        left += [contract_id] if again else []
                    ids = sorted(left)
                    crashpoints.reach("billing-batch")
                    if progress is not None:
                        progress(tally.done, max(total, tally.done))

        # The database writes one batch while the next is worked out.
        with few_collections():
            await together(work, AT_ONCE)
        if not (tally.done or tally.parked or failed):
            async with house.uow(actor, correlation_id) as uow:
                await billing_rows.forget_run(uow.connection, run_id)
            return BillingRun(None, until, 0, 0, 0, ())
        async with house.uow(actor, correlation_id) as uow:
            await billing_rows.end_run(
                uow.connection,
                run_id,
                uow.clock.now(),
                tally.invoices,
                tally.amount_cents,
                tally.parked,
            )
            summary = {
                "until": until.isoformat(),
                "invoices": tally.invoices,
                "amount_cents": tally.amount_cents,
                "parked": tally.parked,
                "failed": failed,
            }
            await uow.audit("billing.run", f"billing_run:{run_id}", summary)
    return BillingRun(
        run_id, until, tally.invoices, tally.amount_cents, tally.parked, tuple(failed)
    )


async def keep_empty(uow: Uow, ran: BillingRun) -> None:
    """In the audit log, that somebody asked for a run and nothing was due, if that is so.

    The schedule asks often, and says nothing of what it did not find.
    """
    if ran.id is None:
        await uow.audit("billing.run_empty", "billing", {"until": ran.until.isoformat()})


async def bills_by_itself(house: House, connection: AsyncConnection) -> bool:
    """Whether the recurring run is one of the jobs of the schedule.

    In rehearsal, unless it is told to, not where somebody billed by hand before any run did: a
    story that sets its own invoices counts them, and who only stands by in it is not to be cut.
    """
    told = house.settings.billing
    if told or not house.clock.manual:
        return told != "off"
    return not await billing_rows.was_billed_by_hand_first(connection)


async def next_at(house: House, connection: AsyncConnection) -> datetime | None:
    """The instant at which the next day of issue begins; None: no run is scheduled."""
    if not await bills_by_itself(house, connection):
        return None
    today = house.clock.now().date()
    days = timedelta(days=(await read_terms(connection)).issue_days_before)
    due_on = await billing_rows.next_due(connection, today + days)
    ends_on = await ending.next_on(connection, today)
    coming = [day for day in (due_on and due_on - days, ends_on) if day is not None]
    return day_start(min(coming), house.settings.zone) if coming else None


class _Batches:
    """The contracts that are due, by id, each batch given once."""

    def __init__(self, house: House, horizon: date) -> None:
        self._house, self._horizon = house, horizon
        self._after = 0
        self._lock = asyncio.Lock()

    async def take(self) -> list[int]:
        async with self._lock, self._house.uow("billing", "due") as uow:
            ids = await billing_rows.due(uow.connection, self._horizon, self._after, BATCH)
            self._after = ids[-1] if ids else self._after
            return ids


@asynccontextmanager
async def _alone(house: House) -> AsyncIterator[None]:
    """One run at a time, in all processes; the lock ends with its connection, however that ends."""
    async with house.store.dedicated() as connection:
        cursor = await connection.execute("select pg_try_advisory_lock(%s)", (LOCK,))
        if (await cursor.fetchone() or (False,))[0] is not True:
            raise RunGoesOn(
                "another billing run is at work; wait for its end (GET /api/v1/billing-runs)"
            )
        try:
            yield
        finally:
            # A server takes a moment to see that a connection is gone: the next run waits for none.
            with contextlib.suppress(psycopg.OperationalError):
                await connection.execute("select pg_advisory_unlock(%s)", (LOCK,))


async def _prepare(house: House, correlation_id: str, actor: str) -> list[int]:
    """Meet new contracts, and let plans and rewards whose day has come change the access too.

    Returns:
        Whose access could not be changed.
    """
    after: int | None = 0
    while after is not None:
        async with house.uow("billing", "enrol") as uow:
            after = await enrol.enrol(uow, after, house.settings.zone)
    failed = []
    async with house.store.reading() as connection:
        changes = await billing_rows.plan_changes(connection, house.clock.now().date())
    for contract_id, plan_id in changes.items():
        try:
            async with house.uow(actor, correlation_id) as uow:
                await rates.set_on_contract(uow, contract_id, {"plan_id": plan_id})
        except UNBILLABLE:
            log.exception("contract %s kept its old plan on the line", contract_id)
            failed.append(contract_id)
    return failed + await rates.reward(house, correlation_id, actor)


async def _end_contracts(house: House, correlation_id: str, actor: str) -> tuple[Tally, list[int]]:
    """Do the ends whose day has come, each in a transaction of its own; which could not be."""
    tally, failed = Tally(), []
    async with house.store.reading() as connection:
        due = await ending.due(connection, house.clock.now().date())
    for contract_id in due:
        try:
            async with house.uow(actor, correlation_id) as uow:
                ended = await ending.finish(house, uow, contract_id)
        except UNBILLABLE:
            log.exception("contract %s was not ended", contract_id)
            failed.append(contract_id)
            continue
        tally.done += 1
        tally.invoices += ended.invoice_id is not None
        tally.amount_cents += ended.invoice_cents
    return tally, failed


async def _batch(
    house: House, ids: list[int], horizon: date, correlation_id: str, actor: str, tally: Tally
) -> tuple[list[int], list[int]]:
    """Bill them together; where the database refuses what one of them asks for, one by one."""
    try:
        return await bill_batch(house, ids, horizon, correlation_id, actor, tally)
    except (IntegrityError, DataError):
        log.exception("contracts %s to %s are billed one by one", ids[0], ids[-1])
        return [], ids
