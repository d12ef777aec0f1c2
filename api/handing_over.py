"""Debts at collection agencies: handed over in files with a manifest, and taken back.

An agency sees an account's person only while something of it may be collected. A withdrawal names
nobody: the account's number is enough (LGPD art. 6 III).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api import safe_csv
from api.house import House
from api.store import bulk, listings
from api.store.credit_tables import agencies, handover_batches, handovers
from api.store.customer_tables import subscribers
from api.store.listings import Case
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
# Name, document, e-mail and telephone of what is not handed over anew.
_NOBODY: Final = ("", "", "", "")
_LOCK: Final = text("select pg_advisory_xact_lock(hashtextextended('handovers', 0))")


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
    # Two files at once would hand one account to two agencies.
    await uow.connection.execute(_LOCK)
    batch_id = await uow.draw("handover_batches")
    today = uow.clock.now().date()
    gone = await _withdrawn(uow, agency_id)
    told = [["withdraw", row.id, row.contract_id, *_NOBODY, 0, "", row.withdrawal] for row in gone]
    told += await _changed(house, uow, agency_id, today)
    fresh = await _due(house, uow, contract_ids, today)
    if not told and not fresh:
        if bars := (await uow.desk()).bars:
            raise Refused(
                f"nothing is handed over while nobody is cut ({', '.join(bars)}; GET"
                " /api/v1/guards), and nothing that the agency has has changed"
            )
        raise Refused(
            "nothing is due for an agency: no contract that ended for debt owes enough (GET"
            " /api/v1/listing-rules) or has come to its step, and nothing that it has has changed"
        )
    accounts = await bulk.draw_ids(uow.connection, handovers, len(fresh))
    lines = await _lines(house, uow, list(zip(accounts, fresh, strict=True)), today)
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
    made = [
        {
            "id": account,
            "agency_id": agency_id,
            "contract_id": case.situation.contract_id,
            "batch_id": batch_id,
            "handed_at": uow.clock.now(),
            "told_cents": owed,
        }
        for account, case, owed in zip(accounts, fresh, cents, strict=True)
    ]
    if made:
        await uow.connection.execute(insert(handovers), made)
    for row in made:
        said = {
            "handover_id": row["id"],
            "agency_id": agency_id,
            "amount_cents": row["told_cents"],
        }
        await uow.audit("handover.made", f"contract:{row['contract_id']}", said)
    await uow.connection.execute(
        update(handovers)
        .where(handovers.c.id.in_([row.id for row in gone]))
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
    desk = await uow.desk()
    found: list[Case] = []
    after = 0
    while True:
        page = await listings.cases(
            uow.connection,
            desk,
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
        await uow.desk(),
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
            lines.append(["update", row.id, row.contract_id, *_NOBODY, owed, "", ""])
            await uow.connection.execute(
                update(handovers).where(handovers.c.id == row.id).values(told_cents=owed)
            )
    return lines


async def _withdrawn(uow: Uow, agency_id: int) -> Sequence[Any]:
    """The accounts that came back and that no file has told of."""
    found = await uow.connection.execute(
        select(handovers.c.id, handovers.c.contract_id, handovers.c.withdrawal)
        .where(
            handovers.c.agency_id == agency_id,
            handovers.c.withdrawn_at.is_not(None),
            handovers.c.withdrawal_batch_id.is_(None),
        )
        .order_by(handovers.c.id)
    )
    return found.all()


async def _lines(
    house: House, uow: Uow, accounts: Sequence[tuple[int, Case]], today: date
) -> list[list[object]]:
    """The rows of new accounts: whom to collect from, and how much."""
    who = [case.subscriber_id for _, case in accounts]
    found = await uow.connection.execute(select(subscribers).where(subscribers.c.id.in_(who)))
    persons = {row.id: row for row in found}
    lines: list[list[object]] = []
    for account, case in accounts:
        person = persons[case.subscriber_id]
        debts = collectable(case.situation, 1, house.calendar, today)
        owed = sum(debt.unpaid_cents for debt in debts)
        named = [person.name, person.document, person.email, person.phone]
        oldest_on = debts[0].due_on
        lines.append(["collect", account, case.situation.contract_id, *named, owed, oldest_on, ""])
    return lines


def _living(wanted: Any, contract_ids: Sequence[int] | None) -> Any:
    query = select(wanted).where(handovers.c.withdrawn_at.is_(None))
    return query if contract_ids is None else query.where(handovers.c.contract_id.in_(contract_ids))
