"""The ledger read: balances at an instant, entries with their postings."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Select, String, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.money_tables import ledger_entries, ledger_postings, ledger_seals

# Accounts of which there is one for each contract or customer.
_MANY = ("receivable", "credit")


async def balances(
    connection: AsyncConnection, account: str | None, until: datetime
) -> list[tuple[str, int]]:
    """Balances by account of the entries before or at `until`; debits are positive.

    Without an account: all of them, those of contracts and customers summed under one name. An
    account that never had a posting has a balance of 0.
    """
    family = func.split_part(ledger_postings.c.account, ":", 1, type_=String)
    shown = case((family.in_(_MANY), family), else_=ledger_postings.c.account)
    name = shown if account is None else ledger_postings.c.account
    query = (
        select(name.label("name"), cast(func.sum(ledger_postings.c.cents), BigInteger))
        .join(ledger_entries, ledger_entries.c.id == ledger_postings.c.entry_id)
        .where(ledger_entries.c.at <= until)
        .group_by("name")
        .order_by("name")
    )
    if account is not None:
        query = query.where(ledger_postings.c.account == account)
    found = [(row[0], row[1]) for row in await connection.execute(query)]
    return [(account, 0)] if account is not None and not found else found


def entry_rows(account: str | None) -> Select[Any]:
    """Entries with their seals, of one account or of all."""
    query = select(
        *(c for c in ledger_entries.c if c.name not in ("document", "recorded_wall")),
        ledger_seals.c.hash,
    ).outerjoin(ledger_seals, ledger_seals.c.entry_id == ledger_entries.c.id)
    if account is None:
        return query
    own = select(ledger_postings.c.entry_id).where(ledger_postings.c.account == account)
    return query.where(ledger_entries.c.id.in_(own))


async def postings_of(
    connection: AsyncConnection, entry_ids: Sequence[int]
) -> dict[int, list[dict[str, Any]]]:
    """The postings of these entries, in their order."""
    postings: dict[int, list[dict[str, Any]]] = {i: [] for i in entry_ids}
    found = await connection.execute(
        select(ledger_postings.c.entry_id, ledger_postings.c.account, ledger_postings.c.cents)
        .where(ledger_postings.c.entry_id.in_(entry_ids))
        .order_by(ledger_postings.c.entry_id, ledger_postings.c.position)
    )
    for entry_id, account, cents in found:
        postings[entry_id].append({"account": account, "cents": cents})
    return postings
