"""Collection agencies as rows, and the accounts that each of them has."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.house import House
from api.store import charges, listing, listings
from api.store.credit_tables import agencies, handovers
from api.store.customer_tables import contracts, subscribers
from api.store.listing import Item
from api.store.uow import Uow
from billing.invoice import amount_due
from billing.listing import Debt, collectable

_PERSON = ("name", "document", "email", "phone")


async def insert(connection: AsyncConnection, name: str, at: datetime) -> int | None:
    """A new agency; None: another has this name."""
    made: int | None = await connection.scalar(
        upsert(agencies)
        .values(name=name, created_at=at)
        .on_conflict_do_nothing()
        .returning(agencies.c.id)
    )
    return made


async def accounts(
    house: House, uow: Uow, agency_id: int, *, withdrawn: bool, after: int | None, limit: int
) -> tuple[list[Item], int | None]:
    """A page of an agency's accounts, and the key to go on from.

    What nobody owes at this instant is left out, even where the withdrawal is not written yet.
    """
    gone = handovers.c.withdrawn_at
    query = (
        select(
            *(
                handovers.c[name]
                for name in ("id", "contract_id", "handed_at", "withdrawal", "withdraw_by")
            ),
            gone,
            *(subscribers.c[name] for name in _PERSON),
        )
        .select_from(handovers)
        .join(contracts, handovers.c.contract_id == contracts.c.id)
        .join(subscribers, contracts.c.subscriber_id == subscribers.c.id)
        .where(
            handovers.c.agency_id == agency_id,
            gone.is_not(None) if withdrawn else gone.is_(None),
        )
    )
    zone = house.settings.zone
    found, last = await listing.page(uow.connection, query, handovers.c.id, after, limit, zone)
    if withdrawn:
        nobody: dict[str, Any] = dict.fromkeys(_PERSON)
        nothing: dict[str, Any] = {"unpaid_cents": 0, "due_cents": 0, "invoices": []}
        return [row | nobody | nothing for row in found], last
    owed = await _owed(house, uow, [row["contract_id"] for row in found])
    items: list[Item] = []
    for row in found:
        debts = [await _invoice(uow, debt) for debt in owed.get(row["contract_id"], ())]
        if debts:
            sums = {
                name: sum(debt[name] for debt in debts) for name in ("unpaid_cents", "due_cents")
            }
            items.append(row | sums | {"invoices": debts})
    return items, last


async def _owed(house: House, uow: Uow, contract_ids: list[int]) -> dict[int, tuple[Debt, ...]]:
    desk = await uow.desk()
    today = desk.now.date()
    found = await listings.cases(
        uow.connection,
        desk,
        house.settings.timezone,
        limit=len(contract_ids) + 1,
        contract_ids=contract_ids,
    )
    return {
        case.situation.contract_id: collectable(case.situation, 1, house.calendar, today)
        for case in found
    }


async def _invoice(uow: Uow, debt: Debt) -> Item:
    desk = await uow.desk()
    found = await charges.read_invoice(uow.connection, debt.invoice_id)
    due_cents = debt.unpaid_cents
    if found is not None:
        policy = desk.policies[found.policy]
        due_cents = amount_due(found.invoice, policy, desk.calendar, desk.now.date())
    return {
        "invoice_id": debt.invoice_id,
        "due_on": debt.due_on,
        "unpaid_cents": debt.unpaid_cents,
        "due_cents": due_cents,
    }
