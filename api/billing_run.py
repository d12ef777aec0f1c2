"""The recurring run: every due date whose day of issue has come is billed, once.

Contracts are taken in batches, each one transaction: proposed by `billing.recurring`, issued by
`billing.account.issue_invoice`, written in few statements. Whoever has more to say than one new
invoice (credit, debt, several contracts) is billed in a transaction of his own. A run cut short
leaves `contract_billing` saying what is still due, and the next one does the rest.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from api import crashpoints
from api.house import House
from api.store import billing_rows, enrol, good_payers, plain_payers, subscriptions
from api.store.bills import bill_for
from api.store.bulk import draw_ids
from api.store.bulk_issue import Issued
from api.store.subscriptions import Billed, Mark
from api.store.tables import invoices
from api.store.terms import read_terms
from api.store.uow import Uow
from billing.account import issue_invoice
from billing.bounds import MAY_BE_RELEASED
from billing.calendar import day_start
from billing.cycle import next_due
from billing.events import Fact, InvoiceIssued, Reviewed
from billing.invoice import Invoice
from billing.payer import Account, Desk
from billing.recurring import Proposal, propose
from billing.terms import Terms

BATCH = 1_000
AT_ONCE = 2
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


@dataclass(slots=True)
class _Tally:
    invoices: int = 0
    amount_cents: int = 0
    parked: int = 0
    done: int = 0


@dataclass(frozen=True, slots=True)
class _Proposed:
    billed: Billed
    due_on: date
    proposal: Proposal


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
        await _prepare(house)
        async with house.uow(actor, correlation_id) as uow:
            horizon = until + timedelta(days=(await uow.desk()).terms.issue_days_before)
            total = await billing_rows.due_count(uow.connection, horizon)
            if not total:
                return BillingRun(None, until, 0, 0, 0, ())
            run_id = await billing_rows.begin_run(uow.connection, until, uow.clock.now(), actor)
        tally, failed = _Tally(), []
        batches = _Batches(house, horizon)

        async def work() -> None:
            while ids := await batches.take():
                # A contract that is due several times is met again, until nothing of it is due.
                while ids:
                    left, alone = await _bill_batch(
                        house, ids, horizon, correlation_id, actor, tally
                    )
                    for contract_id in alone:
                        try:
                            again = await bill_one(
                                house, contract_id, horizon, correlation_id, actor, tally
                            )
                        except (IntegrityError, DataError, LookupError, ValueError):
                            log.exception("contract %s was not billed", contract_id)
                            failed.append(contract_id)
                            continue
                        left += [contract_id] if again else []
                    ids = sorted(left)
                    crashpoints.reach("billing-batch")
                    if progress is not None:
                        progress(tally.done, max(total, tally.done))

        # The database writes one batch while the next is worked out.
        await _together(work, AT_ONCE)
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


async def next_at(house: House, connection: AsyncConnection) -> datetime | None:
    """The instant at which the next day of issue begins; None: no run is scheduled."""
    if not house.settings.bills_by_itself:
        return None
    days = timedelta(days=(await read_terms(connection)).issue_days_before)
    due_on = await billing_rows.next_due(connection, house.clock.now().date() + days)
    return day_start(due_on - days, house.settings.zone) if due_on is not None else None


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


async def _together(work: Callable[[], Awaitable[None]], count: int) -> None:
    """Do `work` so many times at once; the first error ends all of it and is raised."""
    tasks = [asyncio.ensure_future(work()) for _ in range(count)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _alone(house: House) -> AsyncIterator[None]:
    """One run at a time, in all processes; the lock ends with its connection, however that ends."""
    async with house.store.dedicated() as connection:
        cursor = await connection.execute("select pg_try_advisory_lock(%s)", (LOCK,))
        if (await cursor.fetchone() or (False,))[0] is not True:
            raise RunGoesOn(
                "another billing run is at work; wait for its end (GET /api/v1/billing-runs)"
            )
        yield


async def _prepare(house: House) -> None:
    """Meet new contracts, and let plan changes whose day has come change the access too."""
    after: int | None = 0
    while after is not None:
        async with house.uow("billing", "enrol") as uow:
            after = await enrol.enrol(uow.connection, after, house.settings.zone)
    async with house.uow("billing", "plans") as uow:
        await billing_rows.apply_plan_changes(uow.connection, uow.clock.now().date())


async def _bill_batch(
    house: House,
    ids: Sequence[int],
    horizon: date,
    correlation_id: str,
    actor: str,
    tally: _Tally,
) -> tuple[list[int], list[int]]:
    """Bill the plain payers among them in one transaction.

    Returns:
        Who is due again, and who is to be billed alone.
    """
    marks: list[Mark] = []
    async with house.uow(actor, correlation_id) as uow:
        desk = await uow.desk()
        accounts = await plain_payers.lock_plain(uow.connection, ids, desk.now)
        loaded = await subscriptions.load(
            uow.connection, list(accounts), desk.now.date(), house.settings.zone
        )
        loaded = await good_payers.rewarded(uow.connection, loaded, desk)
        proposed = [
            found for found in (_propose(b, horizon, desk) for b in loaded.values()) if found
        ]
        alone = set(ids) - {item.billed.contract_id for item in proposed}
        issued: list[Issued] = []
        to_issue = [item for item in proposed if _is_issued(item.proposal)]
        numbers = iter(await draw_ids(uow.connection, invoices, len(to_issue)) if to_issue else [])
        for item in proposed:
            contract_id = item.billed.contract_id
            if item.proposal.flaws:
                alone.add(contract_id)
                continue
            if not _is_issued(item.proposal):
                marks.append(_mark(item, None))
                continue
            invoice = _invoice(item, next(numbers), desk)
            _, facts = issue_invoice(accounts[contract_id], invoice, desk)
            plain = _plain(facts)
            if plain is None:
                alone.add(contract_id)
                continue
            issued.append(plain)
            marks.append(_mark(item, invoice.id))
        if issued:
            await uow.record_issued(issued)
        if marks:
            await subscriptions.mark(uow.connection, marks)
        crashpoints.reach("billing-written")
    tally.done += len(marks)
    tally.invoices += len(issued)
    tally.amount_cents += sum(item.fact.invoice.amount_cents for item in issued)
    return [m.contract_id for m in marks if _again(m.next_due_on, horizon)], sorted(alone)


async def bill_one(
    house: House,
    contract_id: int,
    horizon: date,
    correlation_id: str,
    actor: str,
    tally: _Tally | None = None,
) -> bool:
    """Bill the next due date of one contract by its payer's whole account; is it due again?"""
    tally = tally if tally is not None else _Tally()
    async with house.uow(actor, correlation_id) as uow:
        account = await uow.account(await uow.payer_of_contract(contract_id))
        return await _bill_locked(house, uow, account, contract_id, horizon, tally)


async def bill_in(house: House, uow: Uow, contract_id: int, horizon: date) -> None:
    """The same inside the caller's transaction."""
    account = await uow.account(await uow.payer_of_contract(contract_id))
    await _bill_locked(house, uow, account, contract_id, horizon, _Tally())


async def _bill_locked(
    house: House, uow: Uow, account: Account, contract_id: int, horizon: date, tally: _Tally
) -> bool:
    desk = await uow.desk()
    loaded = await subscriptions.load(
        uow.connection, [contract_id], desk.now.date(), house.settings.zone
    )
    loaded = await good_payers.rewarded(uow.connection, loaded, desk)
    item = _propose(loaded[contract_id], horizon, desk) if contract_id in loaded else None
    if item is None:
        return False
    parked = await billing_rows.parked(uow.connection, contract_id, item.due_on)
    released = parked is not None and parked.state == "released"
    if item.proposal.flaws and not (released and MAY_BE_RELEASED.issuperset(item.proposal.flaws)):
        await billing_rows.park(uow, contract_id, item.proposal)
        tally.parked += parked is None
        return False
    invoice_id = None
    if _is_issued(item.proposal):
        invoice = await _on_bill(uow, account, _invoice(item, await uow.draw("invoices"), desk))
        _, facts = issue_invoice(account, invoice, desk)
        await uow.record(account, facts)
        invoice_id = invoice.id
        tally.invoices += 1
        tally.amount_cents += invoice.amount_cents
    if parked is not None:
        await billing_rows.unpark(uow.connection, parked.id, invoice_id)
    made = _mark(item, invoice_id)
    await subscriptions.mark(uow.connection, [made])
    tally.done += 1
    return _again(made.next_due_on, horizon)


async def issue_final(house: House, uow: Uow, account: Account, contract_id: int) -> int | None:
    """Issue what a contract owes at its end, whose day the caller has set; its invoice, if any.

    Nothing is billed after it. An end that leaves the provider owing is parked.
    """
    desk = await uow.desk()
    loaded = await subscriptions.load(
        uow.connection, [contract_id], desk.now.date(), house.settings.zone
    )
    billed = loaded[contract_id]
    if billed.next_due_on is None:
        return None
    today = desk.now.date()
    due_on = billed.next_due_on
    # It is issued now, whatever the day of issue: it must leave days to be paid in.
    while due_on < today + MIN_DAYS_TO_PAY:
        due_on = next_due(due_on, billed.subscription.due_days)
    proposal = replace(propose(billed.subscription, billed.next_due_on, desk.terms), due_on=due_on)
    item = _Proposed(billed, billed.next_due_on, proposal)
    if proposal.flaws and not MAY_BE_RELEASED.issuperset(proposal.flaws):
        await billing_rows.park(uow, contract_id, proposal)
        return None
    invoice_id = None
    if _is_issued(proposal):
        invoice = await _on_bill(uow, account, _invoice(item, await uow.draw("invoices"), desk))
        _, facts = issue_invoice(account, invoice, desk)
        await uow.record(account, facts)
        invoice_id = invoice.id
    await subscriptions.mark(uow.connection, [replace(_mark(item, invoice_id), next_due_on=None)])
    return invoice_id


MIN_DAYS_TO_PAY = timedelta(days=5)


def _propose(billed: Billed, horizon: date, desk: Desk) -> _Proposed | None:
    """What the next due date comes to; None: none is due yet."""
    due_on = billed.next_due_on
    if due_on is None or due_on > horizon:
        return None
    return _Proposed(billed, due_on, proposal_of(billed, due_on, desk.terms, desk.now.date()))


def proposal_of(billed: Billed, due_on: date, terms: Terms, today: date) -> Proposal:
    """The invoice of a due date, as it would be issued today."""
    return propose(billed.subscription, due_on, terms, known_until=today + timedelta(days=1))


def _is_issued(proposal: Proposal) -> bool:
    return proposal.amount_cents > 0


def _invoice(item: _Proposed, invoice_id: int, desk: Desk) -> Invoice:
    """Nobody is billed for a day that is past: a due date missed becomes one that can be kept."""
    due_on = item.proposal.due_on
    if due_on < desk.now.date():
        due_on = desk.now.date() + timedelta(days=desk.terms.issue_days_before)
    return Invoice(
        id=invoice_id,
        contract_id=item.billed.contract_id,
        due_on=due_on,
        issued_at=desk.now,
        lines=item.proposal.lines,
    )


async def _on_bill(uow: Uow, account: Account, invoice: Invoice) -> Invoice:
    """The invoice on the bill of its due date, if its payer has several contracts."""
    bill_id = await bill_for(uow.connection, account, invoice.due_on, invoice.issued_at)
    return replace(invoice, bill_id=bill_id)


def _mark(item: _Proposed, invoice_id: int | None) -> Mark:
    billed, proposal = item.billed, item.proposal
    following = next_due(item.due_on, billed.subscription.due_days)
    if invoice_id is None and proposal.amount_cents < 0:
        # What is given back is more than what is charged: the next invoice takes both.
        return Mark(
            contract_id=billed.contract_id,
            due_on=item.due_on,
            invoice_id=None,
            billed_from=billed.subscription.billed_until,
            billed_until=billed.subscription.billed_until,
            credited_until=billed.subscription.credited_until,
            next_due_on=following,
        )
    return Mark(
        contract_id=billed.contract_id,
        due_on=item.due_on,
        invoice_id=invoice_id,
        billed_from=billed.subscription.billed_until,
        billed_until=proposal.billed_until,
        credited_until=proposal.credited_until,
        next_due_on=following,
        extra_ids=proposal.extra_ids,
        outage_ids=proposal.outage_ids,
    )


def _again(next_due_on: date | None, horizon: date) -> bool:
    return next_due_on is not None and next_due_on <= horizon


def _plain(facts: Sequence[Fact]) -> Issued | None:
    """The facts as those of a plain payer; None if there is more to say."""
    match facts:
        case (InvoiceIssued() as fact,):
            return Issued(fact, None)
        case (InvoiceIssued() as fact, Reviewed() as looked):
            return Issued(fact, looked)
    return None
