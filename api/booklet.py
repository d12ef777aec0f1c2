"""The booklet (carnê): the next invoices of a contract issued ahead, and taken back by a change."""

from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import text

from api.correcting import correct
from api.house import House
from api.issuing import bill_in
from api.store import billing_rows, cycles
from api.store.uow import Uow
from billing.payer import CorrectionKind, Refused

LEAVES = 12

_AHEAD = text("""
select b.due_on as cycle_due_on, b.billed_from, b.credited_from, i.id, i.due_on, i.amount_cents,
       i.state, i.paid_cents + i.fine_paid_cents + i.interest_paid_cents as paid_cents
  from billed_cycles b join invoices i on i.id = b.invoice_id
 where b.contract_id = :contract_id and b.due_on >= :since order by b.due_on
""")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One invoice of the booklet."""

    invoice_id: int
    due_on: date
    amount_cents: int
    state: str


async def issue(house: House, uow: Uow, contract_id: int, count: int) -> None:
    """Issue ahead until so many invoices of the contract wait to be paid.

    Raises:
        Refused: the contract is billed by hand, or an invoice of it is parked.
    """
    for _ in range(count - len(await leaves(uow, contract_id))):
        await _issue_next(house, uow, contract_id)


async def leaves(uow: Uow, contract_id: int) -> list[Leaf]:
    """The contract's recurring invoices that are due from today on, but for voided ones."""
    found = await uow.connection.execute(
        _AHEAD, {"contract_id": contract_id, "since": uow.clock.now().date()}
    )
    return [
        Leaf(row.id, row.due_on, row.amount_cents, row.state)
        for row in found
        if row.state != "void"
    ]


async def take_back(uow: Uow, contract_id: int, author: str) -> int:
    """Void the unpaid rest of what was issued ahead of its day; how many invoices that was.

    One that something was paid of stays, and those before it. What they took up waits again.
    """
    days = timedelta(days=(await uow.desk()).terms.issue_days_before)
    since = uow.clock.now().date() + days + timedelta(days=1)
    rows = (
        await uow.connection.execute(_AHEAD, {"contract_id": contract_id, "since": since})
    ).all()
    rest = []
    for row in reversed(rows):
        if row.state != "open" or row.paid_cents:
            break
        rest.append(row)
    if not rest:
        return 0
    for row in rest:
        await correct(
            uow, row.id, CorrectionKind.VOID, author=author, reason="o contrato mudou; nova emissão"
        )
    first = rest[-1]
    ids = tuple(row.id for row in rest)
    taken = cycles.Rest(
        contract_id, first.cycle_due_on, first.billed_from, first.credited_from, ids
    )
    await cycles.take_back(uow, taken)
    return len(rest)


async def issue_again(house: House, uow: Uow, contract_id: int, count: int) -> None:
    """Issue as many as were taken back."""
    for _ in range(count):
        await _issue_next(house, uow, contract_id)


async def _issue_next(house: House, uow: Uow, contract_id: int) -> None:
    due_on = await billing_rows.next_due_of(uow.connection, contract_id)
    if due_on is None:
        raise Refused(f"contract {contract_id} is billed by hand; PUT its billing first")
    await bill_in(house, uow, contract_id, due_on)
    if await billing_rows.next_due_of(uow.connection, contract_id) == due_on:
        raise Refused(
            f"the invoice of contract {contract_id} due {due_on} is parked; see"
            " /api/v1/parked-invoices"
        )
