"""Lines that wait for an invoice of their contract."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import insert, text

from api.store.billing_tables import waiting_lines
from api.store.chain import plain
from api.store.uow import Uow
from billing.invoice import Line

_MOVE = text("""
update waiting_lines w set due_from = m.due_from
  from unnest(cast(:ids as bigint[]), cast(:days as date[])) as m(id, due_from)
 where w.id = m.id and w.due_from <> m.due_from
returning w.id, w.due_from
""")


async def add(
    uow: Uow, contract_id: int, lines: Sequence[tuple[date, Line]], author: str, by_hand: bool
) -> None:
    """Let lines wait for the first invoice due on or after their day; without any, do nothing.

    The audit log is told of the whole rows: an invoice takes them as they then stand.
    """
    rows: list[Mapping[str, Any]] = [
        {
            "id": await uow.draw("waiting_lines"),
            "contract_id": contract_id,
            "description": line.description,
            "amount_cents": line.amount_cents,
            "kind": line.kind.value,
            "service": line.service,
            "from_on": line.from_on,
            "until_on": line.until_on,
            "due_from": due_from,
            "by_hand": by_hand,
            "author": author,
            "invoice_id": None,
        }
        for due_from, line in lines
    ]
    if rows:
        await uow.connection.execute(insert(waiting_lines), rows)
        action = "lines.added" if by_hand else "lines.corrected"
        told = {"lines": [plain(row) for row in rows]}
        await uow.audit(action, f"contract:{contract_id}", told)


async def move(uow: Uow, contract_id: int, due_from: Mapping[int, date]) -> None:
    """Let lines, by id, wait for another day; those that wait for it already are as they were."""
    rows = await uow.connection.execute(
        _MOVE, {"ids": list(due_from), "days": list(due_from.values())}
    )
    told = [{"id": row.id, "due_from": row.due_from.isoformat()} for row in rows]
    if told:
        await uow.audit("lines.moved", f"contract:{contract_id}", {"lines": told})
