"""Debts at collection agencies: handed over in files with a manifest, and taken back.

An agency sees an account's person only while something of it may be collected. A withdrawal names
nobody: the account's number is enough (LGPD art. 6 III).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api import safe_csv
from api.house import House
from api.store import listings
from api.store.credit_tables import agencies, handover_batches, handovers
from api.store.listings import Case
from api.store.tables import subscribers
from api.store.uow import Uow
from billing.calendar import Calendar
from billing.handover import goes_to_agency, owed_cents, release
from billing.listing import Situation, collectable
from billing.refusal import Refused

COLUMNS: Final = (
    "action",
    "account",
    "contract",
    "name",
    "document",
    "email",
    "phone",
    "amount_cents",
    "oldest_due_on",
    "reason",
)
_PAGE = 1000


class UnknownAgency(LookupError):
    """No agency has this number."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A file made: how many rows, and what the newly handed over accounts owe."""

    id: int
    rows: int
    collect_cents: int


async def hand_over(
    house: House, uow: Uow, agency_id: int, contract_ids: Sequence[int] | None
) -> Batch:
    """Everything that is due for an agency in one file: new accounts, changes, withdrawals.

    Args:
        house: for its calendar and the key that seals the file.
        uow: the transaction; all of the file is made or nothing.
        agency_id: to whom.
        contract_ids: only these are handed over anew; None: all that are due.

    Raises:
        UnknownAgency: there is none.
        Refused: nothing is due.
    """
    if await uow.connection.scalar(select(agencies.c.id).where(agencies.c.id == agency_id)) is None:
        raise UnknownAgency(f"there is no agency {agency_id}")
    batch_id = await uow.draw("handover_batches")
    today = uow.clock.now().date()
    told = await _withdrawn(uow, agency_id)
    told += await _changed(house, uow, agency_id, today)
    fresh = await _due(house, uow, contract_ids, today)
    if not told and not fresh:
        raise Refused(
            "nothing is due for an agency: no rescinded contract owes enough for long enough"
            " (GET /api/v1/listing-rules), and nothing that it has has changed"
        )
    accounts = [await uow.draw("handovers") for _ in fresh]
    lines = [
        await _line(uow, "collect", i, case, today, house)
        for i, case in zip(accounts, fresh, strict=True)
    ]
    cents = [owed_cents(case.situation, house.calendar, today) for case in fresh]
    content = safe_csv.written(COLUMNS, [*lines, *told])
    await uow.connection.execute(
        insert(handover_batches).values(
            id=batch_id,
            agency_id=agency_id,
            made_at=uow.clock.now(),
            author=uow.actor,
            content=house.secrets.seal("handover_batches", str(batch_id), "content", content),
            sha256=hashlib.sha256(content).digest(),
            rows=len(lines) + len(told),
            collect_cents=sum(cents),
        )
    )
    for account, case, owed in zip(accounts, fresh, cents, strict=True):
        await uow.connection.execute(
            insert(handovers).values(
                id=account,
                agency_id=agency_id,
                contract_id=case.situation.contract_id,
                batch_id=batch_id,
                handed_at=uow.clock.now(),
                told_cents=owed,
            )
        )
        said = {"handover_id": account, "agency_id": agency_id, "amount_cents": owed}
        await uow.audit("handover.made", f"contract:{case.situation.contract_id}", said)
    await uow.connection.execute(
        update(handovers)
        .where(
            handovers.c.agency_id == agency_id,
            handovers.c.withdrawn_at.is_not(None),
            handovers.c.withdrawal_batch_id.is_(None),
        )
        .values(withdrawal_batch_id=batch_id)
    )
    await uow.audit("handover.batch", f"agency:{agency_id}", {"batch_id": batch_id})
    return Batch(batch_id, len(lines) + len(told), sum(cents))


async def released(
    connection: AsyncConnection, cases: Sequence[Case], calendar: Calendar, today: date
) -> frozenset[int]:
    """The contracts, of these, whose account comes back from its agency."""
    ids = [case.situation.contract_id for case in cases]
    held = set(await connection.scalars(_living(handovers.c.contract_id, ids)))
    return frozenset(
        case.situation.contract_id
        for case in cases
        if case.situation.contract_id in held and release(case.situation, calendar, today)
    )


async def take_back(uow: Uow, situation: Situation, calendar: Calendar, today: date) -> bool:
    """End the hand-over of a contract of which nothing may be collected any more."""
    gone = release(situation, calendar, today)
    if gone is None:
        return False
    row = (
        await uow.connection.execute(
            update(handovers)
            .where(
                handovers.c.contract_id == situation.contract_id,
                handovers.c.withdrawn_at.is_(None),
            )
            .values(withdrawal=gone.why.value, withdrawn_at=uow.clock.now(), withdraw_by=gone.by)
            .returning(handovers.c.id, handovers.c.agency_id)
        )
    ).one_or_none()
    if row is None:
        return False
    told = {"handover_id": row.id, "agency_id": row.agency_id, "removal": gone.why.value}
    await uow.audit("handover.withdrawn", f"contract:{situation.contract_id}", told)
    return True


async def _due(
    house: House, uow: Uow, contract_ids: Sequence[int] | None, today: date
) -> list[Case]:
    """The contracts that go to an agency and are at none."""
    rules = await listings.read_rules(uow.connection)
    found: list[Case] = []
    after = 0
    while True:
        page = await listings.cases(
            uow.connection,
            today,
            house.settings.timezone,
            after=after,
            limit=_PAGE,
            contract_ids=contract_ids,
        )
        ids = [case.situation.contract_id for case in page]
        held = set(await uow.connection.scalars(_living(handovers.c.contract_id, ids)))
        found += (
            case
            for case in page
            if case.situation.contract_id not in held
            and goes_to_agency(case.situation, rules, house.calendar, today)
        )
        if len(page) < _PAGE:
            return found
        after = page[-1].situation.contract_id


async def _changed(house: House, uow: Uow, agency_id: int, today: date) -> list[list[object]]:
    """The accounts that owe another sum than the agency was told last."""
    query = _living(handovers, None).where(handovers.c.agency_id == agency_id)
    held = (await uow.connection.execute(query.order_by(handovers.c.id))).all()
    cases = await listings.cases(
        uow.connection,
        today,
        house.settings.timezone,
        limit=len(held) + 1,
        contract_ids=[row.contract_id for row in held],
    )
    by_contract = {case.situation.contract_id: case for case in cases}
    lines: list[list[object]] = []
    for row in held:
        case = by_contract.get(row.contract_id)
        owed = owed_cents(case.situation, house.calendar, today) if case is not None else 0
        if case is not None and owed not in (0, row.told_cents):
            lines.append(["update", row.id, row.contract_id, *[""] * 4, owed, "", ""])
            await uow.connection.execute(
                update(handovers).where(handovers.c.id == row.id).values(told_cents=owed)
            )
    return lines


async def _withdrawn(uow: Uow, agency_id: int) -> list[list[object]]:
    found = await uow.connection.execute(
        select(handovers.c.id, handovers.c.contract_id, handovers.c.withdrawal)
        .where(
            handovers.c.agency_id == agency_id,
            handovers.c.withdrawn_at.is_not(None),
            handovers.c.withdrawal_batch_id.is_(None),
        )
        .order_by(handovers.c.id)
    )
    return [
        ["withdraw", row.id, row.contract_id, *[""] * 4, 0, "", row.withdrawal] for row in found
    ]


async def _line(
    uow: Uow, action: str, account: int, case: Case, today: date, house: House
) -> list[object]:
    person = (
        await uow.connection.execute(
            select(subscribers).where(subscribers.c.id == case.subscriber_id)
        )
    ).one()
    debts = collectable(case.situation, 0, 1, house.calendar, today)
    return [
        action,
        account,
        case.situation.contract_id,
        person.name,
        person.document,
        person.email,
        person.phone,
        sum(debt.unpaid_cents for debt in debts),
        debts[0].due_on,
        "",
    ]


def _living(wanted: Any, contract_ids: Sequence[int] | None) -> Any:
    query = select(wanted).where(handovers.c.withdrawn_at.is_(None))
    return query if contract_ids is None else query.where(handovers.c.contract_id.in_(contract_ids))
