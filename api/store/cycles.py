"""How far contracts are billed: kept with their invoices, taken back with a booklet's rest.

The audit log is told of each such row, of a whole batch at once, so that `religa verify` knows how
the rows must stand that the next invoices are made from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import text

from api.store.uow import Uow


@dataclass(frozen=True, slots=True)
class Mark:
    """A contract done with a due date. `invoice_id` None: nothing was issued for it."""

    contract_id: int
    due_on: date
    invoice_id: int | None
    billed_from: date
    billed_until: date
    credited_from: date
    credited_until: date
    next_due_on: date | None
    extra_ids: tuple[int, ...] = ()
    outage_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rest:
    """What is taken back of a contract: its cycles from a due date on, and their invoices."""

    contract_id: int
    due_on: date
    billed_from: date
    credited_from: date
    invoice_ids: tuple[int, ...]


_CYCLES = text("""
insert into billed_cycles
    (contract_id, due_on, invoice_id, billed_from, billed_until, credited_from)
select * from unnest(cast(:contract_ids as bigint[]), cast(:due_ons as date[]),
    cast(:invoice_ids as bigint[]), cast(:froms as date[]), cast(:untils as date[]),
    cast(:credited as date[]))
""")
_PROGRESS = text("""
update contract_billing b
   set billed_until = m.billed_until, credited_until = m.credited_until, next_due_on = m.next_due_on
  from unnest(cast(:contract_ids as bigint[]), cast(:untils as date[]), cast(:credited as date[]),
    cast(:next_dues as date[])) as m(contract_id, billed_until, credited_until, next_due_on)
 where b.contract_id = m.contract_id
""")
_USE_LINES = text("""
update waiting_lines w set invoice_id = m.invoice_id
  from unnest(cast(:ids as bigint[]), cast(:invoice_ids as bigint[])) as m(id, invoice_id)
 where w.id = m.id
""")
_USE_OUTAGES = text("""
update outage_contracts o set invoice_id = m.invoice_id
  from unnest(cast(:ids as bigint[]), cast(:contract_ids as bigint[]),
    cast(:invoice_ids as bigint[])) as m(outage_id, contract_id, invoice_id)
 where o.outage_id = m.outage_id and o.contract_id = m.contract_id
""")
_FORGET = text("""
delete from billed_cycles where contract_id = :contract_id and due_on >= :due_on
""")
_BACK = text("""
update contract_billing
   set billed_until = :billed_until, credited_until = :credited_until, next_due_on = :due_on
 where contract_id = :contract_id
""")
_FREE_LINES = text("""
update waiting_lines set invoice_id = null where invoice_id = any(cast(:ids as bigint[]))
returning id
""")
_FREE_OUTAGES = text("""
update outage_contracts set invoice_id = null where invoice_id = any(cast(:ids as bigint[]))
""")


async def mark(uow: Uow, marks: Sequence[Mark]) -> None:
    """Keep how far contracts are billed, in the transaction of their invoices.

    A due date that is done already violates the key of `billed_cycles`: nothing is billed twice.
    """
    contract_ids = [item.contract_id for item in marks]
    await uow.connection.execute(
        _CYCLES,
        {
            "contract_ids": contract_ids,
            "due_ons": [item.due_on for item in marks],
            "invoice_ids": [item.invoice_id for item in marks],
            "froms": [item.billed_from for item in marks],
            "untils": [item.billed_until for item in marks],
            "credited": [item.credited_from for item in marks],
        },
    )
    await uow.connection.execute(
        _PROGRESS,
        {
            "contract_ids": contract_ids,
            "untils": [item.billed_until for item in marks],
            "credited": [item.credited_until for item in marks],
            "next_dues": [item.next_due_on for item in marks],
        },
    )
    lines = [(extra, item.invoice_id) for item in marks for extra in item.extra_ids]
    if lines:
        ids, invoice_ids = zip(*lines, strict=True)
        used = {"ids": list(ids), "invoice_ids": list(invoice_ids)}
        await uow.connection.execute(_USE_LINES, used)
    ends = [(o, item.contract_id, item.invoice_id) for item in marks for o in item.outage_ids]
    if ends:
        ids, contracts, invoice_ids = zip(*ends, strict=True)
        await uow.connection.execute(
            _USE_OUTAGES,
            {"ids": list(ids), "contract_ids": list(contracts), "invoice_ids": list(invoice_ids)},
        )
    # One row of the log for all of them, and each in a list: a run marks a hundred thousand.
    one = len(marks) == 1
    subject = f"contract:{contract_ids[0]}" if one else f"contracts:{len(marks)}"
    told = {"cycles": [_told(item) for item in marks], "lines": [list(line) for line in lines]}
    await uow.audit("cycles.billed", subject, told)


async def take_back(uow: Uow, rest: Rest) -> None:
    """As if these due dates had never been billed. The lines and outages on them wait again."""
    ids = {"ids": list(rest.invoice_ids)}
    lines = (await uow.connection.execute(_FREE_LINES, ids)).scalars().all()
    await uow.connection.execute(_FREE_OUTAGES, ids)
    first = {"contract_id": rest.contract_id, "due_on": rest.due_on}
    await uow.connection.execute(_FORGET, first)
    far = {"billed_until": rest.billed_from, "credited_until": rest.credited_from}
    await uow.connection.execute(_BACK, first | far)
    told = {
        "contract_id": rest.contract_id,
        "billed_until": rest.billed_from.isoformat(),
        "credited_until": rest.credited_from.isoformat(),
        "next_due_on": rest.due_on.isoformat(),
        "lines": sorted(lines),
    }
    await uow.audit("cycles.taken_back", f"contract:{rest.contract_id}", told)


def _told(item: Mark) -> list[object]:
    """By place, as `api.verify_billing` reads it."""
    due = item.next_due_on
    return [
        item.contract_id,
        item.due_on.isoformat(),
        item.invoice_id,
        item.billed_from.isoformat(),
        item.billed_until.isoformat(),
        item.credited_from.isoformat(),
        item.credited_until.isoformat(),
        due.isoformat() if due is not None else None,
    ]
