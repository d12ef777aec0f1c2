"""Issuing the invoice of one contract and due date, with the payer's whole account under lock."""

from dataclasses import dataclass
from datetime import date, timedelta

from api.house import House
from api.store import billing_rows, cycles, good_payers, subscriptions
from api.store.bills import bill_for
from api.store.cycles import Mark
from api.store.subscriptions import Billed
from api.store.uow import Uow
from billing.account import issue_invoice
from billing.bounds import MAY_BE_RELEASED
from billing.cycle import next_due
from billing.invoice import Invoice
from billing.payer import Account, Desk
from billing.recurring import Proposal, propose
from billing.terms import Terms


@dataclass(slots=True)
class Tally:
    """What a run did so far. `done` counts due dates."""

    invoices: int = 0
    amount_cents: int = 0
    parked: int = 0
    done: int = 0


@dataclass(frozen=True, slots=True)
class Proposed:
    """What a contract's due date comes to; `due_on` is that of the cycle."""

    billed: Billed
    due_on: date
    proposal: Proposal


async def bill_one(
    house: House,
    contract_id: int,
    horizon: date,
    correlation_id: str,
    actor: str,
    tally: Tally | None = None,
) -> bool:
    """Bill the next due date of one contract by its payer's whole account; is it due again?"""
    tally = tally if tally is not None else Tally()
    async with house.uow(actor, correlation_id) as uow:
        account = await uow.account(await uow.payer_of_contract(contract_id))
        return await _bill_locked(house, uow, account, contract_id, horizon, tally)


async def bill_in(house: House, uow: Uow, contract_id: int, horizon: date) -> None:
    """The same inside the caller's transaction."""
    account = await uow.account(await uow.payer_of_contract(contract_id))
    await _bill_locked(house, uow, account, contract_id, horizon, Tally())


async def _bill_locked(
    house: House, uow: Uow, account: Account, contract_id: int, horizon: date, tally: Tally
) -> bool:
    desk = await uow.desk()
    loaded = await subscriptions.load(
        uow.connection, [contract_id], desk.now.date(), house.settings.zone
    )
    loaded = await good_payers.rewarded(uow.connection, loaded, desk)
    item = due_proposal(loaded[contract_id], horizon, desk) if contract_id in loaded else None
    if item is None:
        return False
    parked = await billing_rows.parked(uow.connection, contract_id, item.due_on)
    released = parked is not None and parked.state == "released"
    if item.proposal.flaws and not (released and MAY_BE_RELEASED.issuperset(item.proposal.flaws)):
        await billing_rows.park(uow, contract_id, item.proposal)
        tally.parked += parked is None
        return False
    invoice_id = None
    if is_issued(item.proposal):
        invoice = await drawn_invoice(uow, account, item, desk)
        _, facts = issue_invoice(account, invoice, desk)
        await uow.record(account, facts)
        invoice_id = invoice.id
        tally.invoices += 1
        tally.amount_cents += invoice.amount_cents
    if parked is not None:
        await billing_rows.unpark(uow.connection, parked.id, invoice_id)
    made = mark_of(item, invoice_id)
    await cycles.mark(uow, [made])
    tally.done += 1
    return again(made.next_due_on, horizon)


async def drawn_invoice(uow: Uow, account: Account, item: Proposed, desk: Desk) -> Invoice:
    """The invoice of a proposal with its number, on the payer's bill if there is one."""
    bill_id = await bill_for(uow.connection, account, due_of(item, desk), desk.now)
    return invoice_of(item, await uow.draw("invoices"), bill_id, desk)


def due_proposal(billed: Billed, horizon: date, desk: Desk) -> Proposed | None:
    """What the next due date comes to; None: none is due yet."""
    due_on = billed.next_due_on
    if due_on is None or due_on > horizon:
        return None
    return Proposed(billed, due_on, proposal_of(billed, due_on, desk.terms, desk.now.date()))


def proposal_of(billed: Billed, due_on: date, terms: Terms, today: date) -> Proposal:
    """The invoice of a due date, as it would be issued today."""
    return propose(billed.subscription, due_on, terms, known_until=today + timedelta(days=1))


def is_issued(proposal: Proposal) -> bool:
    return proposal.amount_cents > 0


def due_of(item: Proposed, desk: Desk) -> date:
    """Nobody is billed for a day that is past: a due date missed becomes one that can be kept."""
    due_on = item.proposal.due_on
    if due_on < desk.now.date():
        due_on = desk.now.date() + timedelta(days=desk.terms.issue_days_before)
    return due_on


def invoice_of(item: Proposed, invoice_id: int, bill_id: int | None, desk: Desk) -> Invoice:
    """The invoice of a proposal. `bill_id` None: it is sent alone."""
    return Invoice(
        id=invoice_id,
        contract_id=item.billed.contract_id,
        due_on=due_of(item, desk),
        issued_at=desk.now,
        lines=item.proposal.lines,
        bill_id=bill_id,
    )


def mark_of(item: Proposed, invoice_id: int | None) -> Mark:
    billed, proposal = item.billed, item.proposal
    following = next_due(item.due_on, billed.subscription.due_days)
    taken = proposal.amount_cents < 0 or proposal.extra_ids or proposal.outage_ids
    if invoice_id is None and taken:
        # What is given back is all that is charged, or more: the next invoice takes both. A line or
        # an outage that is on no invoice would be given back again and again.
        return Mark(
            contract_id=billed.contract_id,
            due_on=item.due_on,
            invoice_id=None,
            billed_from=billed.subscription.billed_until,
            billed_until=billed.subscription.billed_until,
            credited_from=billed.subscription.credited_until,
            credited_until=billed.subscription.credited_until,
            next_due_on=following,
        )
    return Mark(
        contract_id=billed.contract_id,
        due_on=item.due_on,
        invoice_id=invoice_id,
        billed_from=billed.subscription.billed_until,
        billed_until=proposal.billed_until,
        credited_from=billed.subscription.credited_until,
        credited_until=proposal.credited_until,
        next_due_on=following,
        extra_ids=proposal.extra_ids,
        outage_ids=proposal.outage_ids,
    )


def again(next_due_on: date | None, horizon: date) -> bool:
    return next_due_on is not None and next_due_on <= horizon
