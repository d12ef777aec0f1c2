"""Issuing many invoices in one transaction: read at once, judged one by one, written at once.

Each is proposed and issued as `api.issuing` does it. Left to that are those that need a person's
look (parked), whose payer somebody else has locked, and whatever cannot be billed at all.
"""

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from api import crashpoints
from api.house import House
from api.issuing import Proposed, Tally, again, due_of, due_proposal, invoice_of, is_issued, mark_of
from api.store import billing_rows, bills, bulk_issue, cycles, good_payers, subscriptions
from api.store.bulk import draw_ids
from api.store.cycles import Mark
from api.store.money_tables import invoices
from api.store.uow import Uow
from billing.account import issue_invoice
from billing.events import Fact, InvoiceIssued
from billing.payer import Account, Desk

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Batch:
    desk: Desk
    marks: list[Mark] = field(default_factory=list)
    bulk: list[bulk_issue.Bulk] = field(default_factory=list)
    told: list[tuple[Account, list[Fact]]] = field(default_factory=list)
    invoices: int = 0
    amount_cents: int = 0

    def take(self, account: Account, facts: list[Fact], marks: list[Mark]) -> None:
        """Keep what is to be written of a payer."""
        self.marks += marks
        for fact in facts:
            if isinstance(fact, InvoiceIssued):
                self.invoices += 1
                self.amount_cents += fact.invoice.amount_cents
        simple = bulk_issue.bulk(facts)
        if simple is None:
            self.told.append((account, facts))
        else:
            self.bulk += simple


async def bill_batch(
    house: House,
    ids: Collection[int],
    horizon: date,
    correlation_id: str,
    actor: str,
    tally: Tally,
) -> tuple[list[int], list[int]]:
    """Bill the next due date of each of these contracts.

    Returns:
        Who is due again, and who is to be billed alone.
    """
    async with house.uow(actor, correlation_id) as uow:
        desk = await uow.desk()
        accounts = await uow.free_accounts(await billing_rows.payers(uow.connection, ids))
        proposed = await _proposed(house, uow, ids, horizon, desk)
        joint = await _bills(uow, accounts, proposed, desk)
        count = sum(is_issued(item.proposal) for item in proposed.values())
        numbers = iter(await draw_ids(uow.connection, invoices, count) if count else ())
        batch = _Batch(desk)
        for account in accounts.values():
            own = [proposed[c.id] for c in account.contracts if c.id in proposed]
            try:
                facts, marks = _issued(account, own, joint, numbers, desk)
            except (LookupError, ValueError):
                # Alone it fails alone, and is told.
                log.exception("payer %s was not billed with others", account.subscriber_id)
                continue
            batch.take(account, facts, marks)
        if batch.bulk:
            await uow.record_many(batch.bulk)
        for account, facts in batch.told:
            await uow.record(account, facts)
        if batch.marks:
            await cycles.mark(uow, batch.marks)
        crashpoints.reach("billing-written")
    tally.done += len(batch.marks)
    tally.invoices += batch.invoices
    tally.amount_cents += batch.amount_cents
    done = {mark.contract_id for mark in batch.marks}
    left = [mark.contract_id for mark in batch.marks if again(mark.next_due_on, horizon)]
    return left, sorted(set(ids) - done)


async def _proposed(
    house: House, uow: Uow, ids: Collection[int], horizon: date, desk: Desk
) -> dict[int, Proposed]:
    parked = await billing_rows.with_parked(uow.connection, ids)
    loaded = await subscriptions.load(
        uow.connection, [n for n in ids if n not in parked], desk.now.date(), house.settings.zone
    )
    loaded = await good_payers.rewarded(uow.connection, loaded, desk)
    found = {number: due_proposal(item, horizon, desk) for number, item in loaded.items()}
    return {n: item for n, item in found.items() if item is not None and not item.proposal.flaws}


async def _bills(
    uow: Uow, accounts: Mapping[int, Account], proposed: Mapping[int, Proposed], desk: Desk
) -> dict[tuple[int, date], int]:
    places = {
        (account.subscriber_id, due_of(proposed[contract.id], desk))
        for account in accounts.values()
        if bills.is_billed_jointly(account)
        for contract in account.contracts
        if contract.id in proposed and is_issued(proposed[contract.id].proposal)
    }
    return await bills.bills_for(uow.connection, places, desk.now)


def _issued(
    account: Account,
    proposed: Collection[Proposed],
    joint: Mapping[tuple[int, date], int],
    numbers: Iterator[int],
    desk: Desk,
) -> tuple[list[Fact], list[Mark]]:
    """What issuing these of one payer, one after the other, makes true."""
    told: list[Fact] = []
    marks: list[Mark] = []
    for item in proposed:
        invoice_id = None
        if is_issued(item.proposal):
            bill_id = joint.get((account.subscriber_id, due_of(item, desk)))
            invoice = invoice_of(item, next(numbers), bill_id, desk)
            account, facts = issue_invoice(account, invoice, desk)
            told += facts
            invoice_id = invoice.id
        marks.append(mark_of(item, invoice_id))
    return told, marks
