"""The end of a contract: told for a day, done on it, with the final invoice.

What the days left cost less than was paid ahead goes back as credit notes on the invoices that it
was paid by: they ask for less, and what was paid already is customer credit. Choices that the
rules leave open are in ADR 0023.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from sqlalchemy import case, delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api import booklet, contract_changes
from api.correcting import correct
from api.house import House
from api.issuing import Proposed, drawn_invoice, is_issued, mark_of
from api.store import billing_rows, cycles, subscriptions, waiting
from api.store.billing_tables import contract_billing, contract_endings, minimum_terms
from api.store.customer_tables import contracts
from api.store.money_tables import invoices
from api.store.uow import Uow
from billing.account import issue_invoice
from billing.bounds import MAY_BE_RELEASED, Flaw
from billing.calendar import ONE_DAY
from billing.cycle import next_due
from billing.invoice import Kind, Line
from billing.payer import CorrectionKind, Desk, Refused
from billing.recurring import propose
from billing.subscription import Subscription
from billing.term import Leaving, MinimumTerm, penalty

# A final invoice, issued whatever the day of issue, leaves days to be paid in.
MIN_DAYS_TO_PAY = timedelta(days=5)
AHEAD = timedelta(days=60)
GIVEN_BACK = "dias pagos além do encerramento"

_DUE = text("""
select e.contract_id from contract_endings e join contracts c on c.id = e.contract_id
 where e.ends_on <= :today and c.ended_on is null and e.why <> 'debt' order by e.contract_id
""")
_NEXT = text("""
select min(e.ends_on) from contract_endings e join contracts c on c.id = e.contract_id
 where e.ends_on > :today and c.ended_on is null and e.why <> 'debt'
""")


@dataclass(frozen=True, slots=True)
class Ended:
    """An end, done or (`invoice_id` and what was given back still unknown) to come.

    `ended_on` is the first day without service, `penalty_cents` the minimum term's,
    `given_back_cents` what credit notes gave back of days that were billed ahead.
    """

    ended_on: date
    penalty_cents: int
    invoice_id: int | None = None
    invoice_cents: int = 0
    given_back_cents: int = 0


async def end(
    house: House, uow: Uow, contract_id: int, why: Leaving, author: str, last_day: date | None
) -> Ended:
    """End a contract after its last day with service; without one at once, today being without.

    Raises:
        UnknownContract: there is none.
        Refused: it has ended; or that day is past, or further ahead than 60 days; or it owes a
            penalty that no invoice would take.
    """
    today = uow.clock.now().date()
    if last_day is not None and not today <= last_day <= today + AHEAD:
        raise Refused(f"a contract's last day is one from {today} to {today + AHEAD}")
    ends_on = today if last_day is None else last_day + ONE_DAY
    _, before = await contract_changes.locked(house, uow, contract_id)
    await booklet.take_back(uow, contract_id, author)
    row = {"ends_on": ends_on, "told_on": today, "why": why.value, "author": author}
    statement = insert(contract_endings).values(contract_id=contract_id, **row)
    async with contract_changes.changed(house, uow, contract_id, author):
        await uow.connection.execute(
            statement.on_conflict_do_update(index_elements=["contract_id"], set_=row)
        )
    if ends_on <= today:
        return await finish(house, uow, contract_id)
    told = {"why": why.value, "ends_on": ends_on.isoformat()}
    await uow.audit("contract.end_told", f"contract:{contract_id}", told)
    return Ended(ends_on, await _penalty(uow, before, ends_on, today, why))


async def withdraw(house: House, uow: Uow, contract_id: int, author: str) -> None:
    """Take back an end that is still to come.

    Raises:
        UnknownContract: there is no such contract.
        Refused: it has ended, or no end was told.
    """
    async with contract_changes.changed(house, uow, contract_id, author):
        gone = await uow.connection.execute(
            delete(contract_endings).where(contract_endings.c.contract_id == contract_id)
        )
        if not gone.rowcount:
            raise Refused(f"no end of contract {contract_id} is to come; there is none to withdraw")
    await uow.audit("contract.end_withdrawn", f"contract:{contract_id}", {})


async def due(connection: AsyncConnection, today: date) -> Sequence[int]:
    """The contracts whose last day is over and that have not been ended; not those for debt.

    Of an end for debt the ladder is asked once more on its day (`api.rescinding`).
    """
    return (await connection.scalars(_DUE, {"today": today})).all()


async def next_on(connection: AsyncConnection, today: date) -> date | None:
    """The next day on which one ends."""
    found: date | None = await connection.scalar(_NEXT, {"today": today})
    return found


async def finish(house: House, uow: Uow, contract_id: int) -> Ended:
    """Do what an end asks for: the line is cut, the final invoice issued, the rest given back."""
    account, before = await contract_changes.locked(house, uow, contract_id)
    told = (
        await uow.connection.execute(
            select(contract_endings).where(contract_endings.c.contract_id == contract_id)
        )
    ).one()
    why = Leaving(told.why)
    cents = await _penalty(uow, before, told.ends_on, told.told_on, why)
    if cents:
        line = Line("Multa por fidelidade", cents, Kind.PENALTY)
        due_from = before.next_due_on or told.ends_on
        await waiting.add(uow, contract_id, [(due_from, line)], told.author, True)
    loaded = await subscriptions.load(
        uow.connection, [contract_id], uow.clock.now().date(), house.settings.zone
    )
    ended = replace(loaded[contract_id].subscription, ended_on=told.ends_on, ends_on=None)
    invoice_id, invoice_cents, given_back = None, 0, 0
    if before.next_due_on is not None:
        item = _final(ended, before, await uow.desk())
        if item.proposal.amount_cents < 0:
            given_back, item = await _give_back(uow, item, told.author)
            account = await uow.account(account.subscriber_id)
        flaws = item.proposal.flaws
        if flaws and not MAY_BE_RELEASED.issuperset(flaws):
            await billing_rows.park(uow, contract_id, item.proposal)
        else:
            if is_issued(item.proposal):
                invoice = await drawn_invoice(uow, account, item, await uow.desk())
                _, facts = issue_invoice(account, invoice, await uow.desk())
                await uow.record(account, facts)
                invoice_id, invoice_cents = invoice.id, invoice.amount_cents
            made = replace(mark_of(item, invoice_id), next_due_on=None)
            await cycles.mark(uow, [made])
    await uow.connection.execute(
        update(contract_billing)
        .where(contract_billing.c.contract_id == contract_id)
        .values(next_due_on=None)
    )
    # The ladder looks again: an ended contract's debt may go on to bureaus.
    await uow.connection.execute(
        update(contracts)
        .where(contracts.c.id == contract_id)
        .values(
            ended_on=told.ends_on,
            review_on=case((contracts.c.rungs != [], uow.clock.now()), else_=contracts.c.review_on),
        )
    )
    uow.notify("religa_access", str(contract_id))
    done = Ended(told.ends_on, cents, invoice_id, invoice_cents, given_back)
    said = {
        # Who told of it, though a run did it.
        "author": told.author,
        "why": why.value,
        "ended_on": told.ends_on.isoformat(),
        "penalty_cents": cents,
        "invoice_id": invoice_id,
        "given_back_cents": given_back,
    }
    await uow.audit("contract.ended", f"contract:{contract_id}", said)
    return done


def _final(subscription: Subscription, billed: subscriptions.Billed, desk: Desk) -> Proposed:
    """The final invoice: every day not billed yet and all that waits, due in five days or more."""
    first = billed.next_due_on or desk.now.date()
    ended_on = subscription.ended_on or first
    cycle_due = first
    while cycle_due < ended_on:
        # Runs that did not take place are no reason not to bill those days.
        cycle_due = next_due(cycle_due, subscription.due_days)
    due_on = first
    while due_on < desk.now.date() + MIN_DAYS_TO_PAY:
        due_on = next_due(due_on, subscription.due_days)
    proposal = replace(propose(subscription, cycle_due, desk.terms), due_on=due_on)
    return Proposed(replace(billed, subscription=subscription), first, proposal)


async def _give_back(uow: Uow, item: Proposed, author: str) -> tuple[int, Proposed]:
    """Credit notes for what a final invoice below nothing gives back; what then is left of it.

    Each kind of revenue by itself, on the contract's newest invoices first, each at most what it
    stands at. What no invoice can take stays on the proposal, below nothing.
    """
    by_kind: dict[Kind, int] = defaultdict(int)
    for line in item.proposal.lines:
        by_kind[line.kind] += 0 if line.conditional else line.amount_cents
    contract_id = item.billed.contract_id
    standing = (
        await uow.connection.execute(
            select(
                invoices.c.id, (invoices.c.amount_cents - invoices.c.discount_cents).label("cents")
            )
            .where(invoices.c.contract_id == contract_id, invoices.c.state.in_(("open", "paid")))
            .order_by(invoices.c.due_on.desc(), invoices.c.id.desc())
        )
    ).all()
    left = {row.id: row.cents for row in standing}
    given = 0
    for kind in sorted(by_kind):
        for invoice_id in left:
            part = min(-by_kind[kind], left[invoice_id])
            if part > 0:
                await correct(
                    uow,
                    invoice_id,
                    CorrectionKind.CREDIT_NOTE,
                    author=author,
                    reason=GIVEN_BACK,
                    amount_cents=part,
                    line_kind=kind,
                )
                left[invoice_id] -= part
                by_kind[kind] += part
                given += part
    lines = tuple(line for line in item.proposal.lines if by_kind[line.kind] > 0)
    lines += tuple(
        Line(GIVEN_BACK, cents, kind) for kind, cents in sorted(by_kind.items()) if cents < 0
    )
    total = sum(line.amount_cents for line in lines if not line.conditional)
    flaws = tuple(f for f in item.proposal.flaws if f is not Flaw.NEGATIVE or total < 0)
    return given, replace(item, proposal=replace(item.proposal, lines=lines, flaws=flaws))


async def _penalty(
    uow: Uow, billed: subscriptions.Billed, ends_on: date, told_on: date, why: Leaving
) -> int:
    """What leaving before the minimum term's end costs (rule 11).

    Raises:
        Refused: it costs something that no invoice would take.
    """
    contract_id = billed.contract_id
    term = (
        await uow.connection.execute(
            select(minimum_terms).where(minimum_terms.c.contract_id == contract_id)
        )
    ).one_or_none()
    if term is None:
        return 0
    agreed = MinimumTerm(term.from_on, term.until_on, term.penalty_cents, term.away_from_shop)
    cents = penalty(agreed, ends_on, why, told_on=told_on)
    if cents and billed.next_due_on is None and why is Leaving.DEBT:
        return 0  # who bills by hand bills this too; the end does not wait for it
    if cents and billed.next_due_on is None:
        raise Refused(
            f"contract {contract_id} is billed by hand; no invoice would take the penalty of"
            f" {cents} cents; PUT its billing first"
        )
    return cents
