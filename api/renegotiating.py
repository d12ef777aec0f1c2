"""Agreements and disputes between the store and the core: what a verb must know is read here.

Each function works inside the caller's transaction and takes the payer's lock.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Table, select

from api.store.customer_tables import contracts
from api.store.money_tables import payments
from api.store.renegotiation import agreements, disputes, pauses
from api.store.shares import shares_of_invoice
from api.store.uow import Uow
from billing.account import Account
from billing.agreement import Agreement, Offer, Paid, Proposal
from billing.contest import Answer, Opening, answer_dispute, due_to_lapse, open_dispute
from billing.dispute import DisputeState
from billing.events import Fact
from billing.invoice import Share
from billing.payer import Desk
from billing.renegotiation import (
    Acceptance,
    Approval,
    Breach,
    accept_agreement,
    approve_agreement,
    break_agreement,
    due_to_break,
    offer_agreement,
    worked_out,
)
from billing.suspension import resume

Draw = Callable[[str], Awaitable[int]]

LAPSED = "sem resposta em 30 dias"


class UnknownRow(LookupError):
    """No agreement, dispute, pause or invoice has this number."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An agreement as it is asked for."""

    author: str
    valid_until: date
    proposal: Proposal
    invoice_ids: tuple[int, ...]


async def simulate(uow: Uow, account: Account, contract_id: int, asked: Asked) -> Agreement:
    """The agreement that an offer made now would be; nothing is written."""
    return worked_out(account, _offer(0, contract_id, asked), await uow.desk())


async def offer(uow: Uow, account: Account, contract_id: int, asked: Asked) -> int:
    """Offer an agreement; its id."""
    number = await uow.draw("agreements")
    made = _offer(number, contract_id, asked)
    _, facts = offer_agreement(account, made, await uow.desk())
    await uow.record(account, facts)
    return number


async def approve(uow: Uow, agreement_id: int, approver: str) -> None:
    """Approve an agreement as a second person."""
    account = await _account(uow, agreements, agreement_id)
    _, facts = approve_agreement(account, Approval(agreement_id, approver), await uow.desk())
    await uow.record(account, facts)


async def accept(uow: Uow, agreement_id: int, author: str) -> None:
    """Sign an agreement for the customer."""
    account = await _account(uow, agreements, agreement_id)
    found = next((item for item in account.agreements if item.id == agreement_id), None)
    parts, old = (len(found.simulation.parts), len(found.simulation.owed)) if found else (0, 0)
    acceptance = Acceptance(
        agreement_id,
        author,
        tuple([await uow.draw("invoices") for _ in range(parts)]),
        tuple([await uow.draw("corrections") for _ in range(old)]),
    )
    _, facts = accept_agreement(account, acceptance, await uow.desk())
    await uow.record(account, facts)


async def dispute(uow: Uow, invoice_id: int, cents: int | None, reason: str, author: str) -> int:
    """Open a dispute; its id."""
    payer = await uow.payer_of_invoice(invoice_id)
    if payer is None:
        raise UnknownRow(f"there is no invoice {invoice_id}")
    account = await uow.account(payer, [invoice_id])
    shares = await shares_of_invoice(uow.connection, invoice_id)
    days = [item.on for item in await _dated(uow, shares, uow.clock.now())]
    opening = Opening(
        id=await uow.draw("disputes"),
        invoice_id=invoice_id,
        cents=cents,
        reason=reason,
        author=author,
        paid_on=min(days, default=None),
        frozen_id=await uow.draw("invoices"),
        correction_ids=(await uow.draw("corrections"), await uow.draw("corrections")),
    )
    _, facts = open_dispute(account, opening, await uow.desk())
    await uow.record(account, facts)
    return opening.id


async def answer(
    uow: Uow, dispute_id: int, state: DisputeState, text: str, author: str, due_on: date | None
) -> None:
    """Answer a dispute."""
    account = await _account(uow, disputes, dispute_id)
    said = await _answer(uow, account, dispute_id, state, text, author, due_on)
    _, facts = answer_dispute(account, said, await uow.desk())
    await uow.record(account, facts)


async def end_pause(uow: Uow, pause_id: int) -> None:
    """End a suspension now, or take back one that has not begun."""
    account = await _account(uow, pauses, pause_id)
    _, facts = resume(account, pause_id, await uow.desk())
    await uow.record(account, facts)


async def run_out(
    uow: Uow, account: Account, desk: Desk, author: str, draw: Draw | None = None
) -> tuple[Account, tuple[Fact, ...]]:
    """Break the agreements and decide the disputes whose days are over by now.

    Args:
        uow: the transaction.
        account: the payer's.
        desk: of whoever looks.
        author: the same, by name.
        draw: the next id of a table; None: a real one. A preview makes its own.
    """
    draw = draw or uow.draw
    facts: list[Fact] = []
    for found in due_to_break(account, desk):
        count = len(found.invoice_ids) + len(found.old_invoice_ids)
        breach = Breach(
            found.id,
            author,
            await _paid(uow, found),
            tuple([await draw("corrections") for _ in range(count)]),
        )
        account, more = break_agreement(account, breach, desk)
        facts += more
    for lapsed in due_to_lapse(account, desk):
        said = await _answer(
            uow, account, lapsed.id, DisputeState.UNANSWERED, LAPSED, author, None, draw
        )
        account, more = answer_dispute(account, said, desk)
        facts += more
    return account, tuple(facts)


def _offer(number: int, contract_id: int, asked: Asked) -> Offer:
    return Offer(
        number, contract_id, asked.author, asked.valid_until, asked.proposal, asked.invoice_ids
    )


async def _account(uow: Uow, table: Table, row_id: int) -> Account:
    """The account that a row belongs to, with the invoice that it is about."""
    columns = [contracts.c.subscriber_id]
    if table is disputes:
        columns.append(disputes.c.invoice_id)
    query = select(*columns).join(table, table.c.contract_id == contracts.c.id)
    row = (await uow.connection.execute(query.where(table.c.id == row_id))).one_or_none()
    if row is None:
        raise UnknownRow(f"{table.name} has no {row_id}")
    return await uow.account(row[0], row[1:])


async def _answer(
    uow: Uow,
    account: Account,
    dispute_id: int,
    state: DisputeState,
    text: str,
    author: str,
    due_on: date | None,
    draw: Draw | None = None,
) -> Answer:
    draw = draw or uow.draw
    shares: tuple[Share, ...] = ()
    for found in account.disputes:
        if found.id == dispute_id:
            shares = await shares_of_invoice(uow.connection, found.invoice_id)
    numbers = [await draw("corrections") for _ in range(3)]
    return Answer(
        dispute_id, state, text, author, due_on, shares, (numbers[0], numbers[1], numbers[2])
    )


async def _paid(uow: Uow, agreement: Agreement) -> tuple[Paid, ...]:
    """What the parts of an agreement got, and when. Credit counts as of its signature."""
    found: list[Paid] = []
    for invoice_id in agreement.invoice_ids:
        shares = await shares_of_invoice(uow.connection, invoice_id)
        found += await _dated(uow, shares, agreement.accepted_at or uow.clock.now())
    return tuple(found)


async def _dated(uow: Uow, shares: Sequence[Share], credit_at: datetime) -> list[Paid]:
    numbers = [share.payment_id for share in shares if share.payment_id is not None]
    rows = await uow.connection.execute(
        select(payments.c.id, payments.c.paid_at, payments.c.cleared_at).where(
            payments.c.id.in_(numbers)
        )
    )
    zone = uow.clock.now().tzinfo
    # A payer's clock may run ahead of ours.
    paid_at = {row.id: min(row.paid_at, row.cleared_at) for row in rows}
    return [
        Paid(share, _instant(share, paid_at, credit_at).astimezone(zone).date()) for share in shares
    ]


def _instant(share: Share, paid_at: dict[int, datetime], credit_at: datetime) -> datetime:
    return credit_at if share.payment_id is None else paid_at[share.payment_id]
