"""Records at bureaus as rows: the situations that `billing.listing` judges, and the queue of calls.

A row being worked on has no `last_error`; one that waits for its next try has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store import accounts, bulk, places
from api.store.credit_tables import listing_letters, listings
from api.store.customer_tables import contracts, subscribers
from api.store.guard_rows import SWITCHED_OFF, UNSETTLED
from api.store.payments import in_seconds
from api.store.staff_tables import facts
from billing.bureau import Debtor, ListingState, Removal
from billing.invoice import InvoiceState
from billing.listing import Communication, Debt, Listing, ListingRules, Situation
from billing.payer import Desk
from billing.policy import RestoreOn
from billing.stage import Stage

# Longer than any call may take.
LEASE_S = 150
CALLED = ("pending", "sent", "awaiting", "removing", "removal_sent", "removal_awaiting")
_RULES = "listing_rules"

# A contract that its customer ended, or that we broke, is nobody's delinquency. What stands
# against cuts (holds, promises, agreements that wait for a first payment, bars) does here too.
_CANDIDATES = text(f"""
select c.id, c.subscriber_id, c.ended_on,
       coalesce(e.why, 'debt') not in ('customer', 'moved', 'provider_breach') as for_debt,
       greatest(
           (select max(timezone(:zone, h.expires_at))::date from holds h
             where h.contract_id = c.id and h.ended_at is null),
           (select max(p.until_on) from promises p
             where p.contract_id = c.id and p.state = 'running')) as held_until,
       c.policy = any(cast(:first_payment as text[])) and exists (
           select from agreements g join invoices i on i.id = g.invoice_ids[1]
            where g.contract_id = c.id and g.state = 'running' and i.state = 'open'
              and i.amount_cents > i.paid_cents + i.discount_cents) as agreed,
       exists (select from contract_stages s
                where s.contract_id = c.id and s.stage = 'rescind') as by_ladder,
       array(select s.stage from contract_stages s
              where s.contract_id = c.id and s.left_at is null) as stages,
       {SWITCHED_OFF} as switched_off, c.subscriber_id in ({UNSETTLED}) as paying,
       {places.STANDING}
  from contracts c left join contract_endings e on e.contract_id = c.id
 where c.ended_on <= :today and c.id > :after
   and (cast(:ids as bigint[]) is null or c.id = any(cast(:ids as bigint[])))
   and (exists (select from invoices i where i.contract_id = c.id and i.state = 'open')
        or exists (select from listings l where l.contract_id = c.id
                    and l.state not in ('removed', 'cancelled'))
        or exists (select from handovers h where h.contract_id = c.id and h.withdrawn_at is null))
 order by c.id limit :limit
""")  # noqa: S608 -- no text but our own constants
_ANYTHING = text("""
select exists (select from listings where state not in ('removed', 'cancelled'))
    or exists (select from handovers where withdrawn_at is null)
""")
# What changed an invoice last; an instalment is no debt of its own while its agreement stands.
_DEBTS = text("""
select i.id, i.contract_id, i.due_on, i.state,
       i.amount_cents - i.paid_cents - i.discount_cents as rest_cents,
       (timezone(:zone, greatest(
           (select max(p.cleared_at) from allocations a join payments p on p.id = a.payment_id
             where a.invoice_id = i.id),
           (select max(k.at) from corrections k where k.invoice_id = i.id),
           (select max(d.opened_at) from disputes d
             where d.state = 'open' and i.id in (d.invoice_id, d.frozen_id))
       )))::date as changed_on
  from invoices i
 where i.contract_id = any(cast(:ids as bigint[]))
   and (i.state in ('open', 'disputed', 'renegotiated')
        or exists (select from listings l where l.invoice_id = i.id)
        or exists (select from handovers h
                    where h.contract_id = i.contract_id and h.withdrawn_at is null))
   and not exists (select from agreements g
                    where g.contract_id = i.contract_id and i.id = any(g.invoice_ids))
 order by i.id
""")
_LETTERS = text("""
select id, contract_id, bureaus, amounts_cents,
       (timezone(:zone, drawn_at))::date as drawn_on,
       (timezone(:zone, proven_at))::date as proven_on,
       (timezone(:zone, failed_at))::date as failed_on
  from listing_letters where contract_id = any(cast(:ids as bigint[])) order by id
""")
_LISTINGS = text("""
select id, contract_id, bureau, invoice_id, due_on, cents, state, removal, remove_by, alarmed_at,
       (timezone(:zone, removal_at))::date as removal_on
  from listings where contract_id = any(cast(:ids as bigint[])) order by id
""")


class Case(NamedTuple):
    """A contract to judge. `undone` are its decided removals: id, last day, whether told of."""

    subscriber_id: int
    situation: Situation
    undone: tuple[tuple[int, date, bool], ...]


class Call(NamedTuple):
    """A claimed record. `sent_s` is how long ago it was last sent; None: never in this phase."""

    id: int
    bureau: str
    contract_id: int
    due_on: date
    cents: int
    state: ListingState
    removal: Removal | None
    include_reference: str
    exclude_reference: str
    attempts: int
    sent_s: float | None


async def read_rules(connection: AsyncConnection) -> ListingRules:
    """What the provider lists; what was never set is as usual."""
    stored: dict[str, Any] | None = await connection.scalar(
        select(facts.c.value).where(facts.c.name == _RULES)
    )
    known = {field.name for field in fields(ListingRules)}
    given = {name: value for name, value in (stored or {}).items() if name in known}
    if "bureaus" in given:
        given["bureaus"] = tuple(given["bureaus"])
    return ListingRules(**given)


async def write_rules(connection: AsyncConnection, rules: ListingRules) -> None:
    value = asdict(rules) | {"bureaus": list(rules.bureaus)}
    await connection.execute(
        insert(facts)
        .values(name=_RULES, value=value)
        .on_conflict_do_update(index_elements=["name"], set_={"value": value})
    )


async def anything(connection: AsyncConnection, rules: ListingRules) -> bool:
    """Whether there can be work at all: somewhere to list, or something at a bureau or agency."""
    return bool(rules.bureaus) or bool(await connection.scalar(_ANYTHING))


async def cases(
    connection: AsyncConnection,
    desk: Desk,
    zone: str,
    *,
    after: int = 0,
    limit: int = 1000,
    contract_ids: Sequence[int] | None = None,
) -> list[Case]:
    """Ended contracts that owe something, or of which something is at a bureau or an agency.

    What lies on the desk against every cut stands against each of them.
    """
    ids = list(contract_ids) if contract_ids is not None else None
    asked = {
        "today": desk.now.date(),
        "now": desk.now,
        "after": after,
        "limit": limit,
        "ids": ids,
        "zone": zone,
        "first_payment": [
            name
            for name, policy in desk.policies.items()
            if policy.restore_on is RestoreOn.FIRST_PAYMENT
        ],
    }
    found = (await connection.execute(_CANDIDATES, asked)).all()
    which = {"ids": [row.id for row in found], "zone": zone}
    if not found:
        return []
    debts = _grouped((await connection.execute(_DEBTS, which)).all())
    letters = _grouped((await connection.execute(_LETTERS, which)).all())
    records = _grouped((await connection.execute(_LISTINGS, which)).all())
    return [
        Case(
            row.subscriber_id,
            Situation(
                contract_id=row.id,
                ended_on=row.ended_on,
                for_debt=row.for_debt,
                debts=tuple(map(_debt, debts.get(row.id, ()))),
                communications=tuple(map(_letter, letters.get(row.id, ()))),
                listings=tuple(map(_listing, records.get(row.id, ()))),
                held_until=row.held_until,
                bars=(*desk.bars, *accounts.read_bars(row._asdict(), row.paying)),
                agreed=row.agreed,
                stages=frozenset(map(Stage, row.stages)) if row.by_ladder else None,
            ),
            tuple(
                (record.id, record.remove_by, record.alarmed_at is not None)
                for record in records.get(row.id, ())
                if record.removal is not None and not ListingState(record.state).over
            ),
        )
        for row in found
    ]


async def draw_letters(
    connection: AsyncConnection,
    named: Sequence[tuple[Case, Mapping[int, int]]],
    bureaus: Sequence[str],
    at: datetime,
) -> list[int]:
    """Letters to be sent, each with the principals that it names, by invoice; their ids."""
    if not named:
        return []
    ids = await bulk.draw_ids(connection, listing_letters, len(named))
    made = [
        {
            "id": letter_id,
            "contract_id": case.situation.contract_id,
            "subscriber_id": case.subscriber_id,
            "bureaus": list(bureaus),
            "amounts_cents": {str(key): cents for key, cents in amounts_cents.items()},
            "drawn_at": at,
        }
        for letter_id, (case, amounts_cents) in zip(ids, named, strict=True)
    ]
    await connection.execute(insert(listing_letters), made)
    return ids


async def add(connection: AsyncConnection, row: Mapping[str, object]) -> int | None:
    """A record to be included; None: it is there, or on its way, already."""
    made: int | None = await connection.scalar(
        insert(listings).values(**row).on_conflict_do_nothing().returning(listings.c.id)
    )
    return made


async def locked(connection: AsyncConnection, listing_id: int) -> Any:
    """The row under lock; None: there is none."""
    return (
        await connection.execute(
            select(listings).where(listings.c.id == listing_id).with_for_update()
        )
    ).one_or_none()


async def move(
    connection: AsyncConnection, listing_id: int, state: ListingState, **values: object
) -> None:
    """Where a record stands now; a row that may be called is due at once unless `values` say."""
    due = {} if "next_attempt_wall" in values else {"next_attempt_wall": func.clock_timestamp()}
    await connection.execute(
        update(listings)
        .where(listings.c.id == listing_id)
        .values(state=state.value, **due, **values)
    )


async def sending(connection: AsyncConnection, listing_id: int, state: ListingState) -> bool:
    """Right before it is sent. A record to be included only if nothing takes it back."""
    statement = update(listings).where(listings.c.id == listing_id)
    if state is ListingState.SENT:
        statement = statement.where(listings.c.removal.is_(None))
    done = await connection.execute(
        statement.values(state=state.value, sent_wall=func.clock_timestamp())
    )
    return bool(done.rowcount)


async def alarmed(connection: AsyncConnection, listing_id: int, at: datetime) -> None:
    await connection.execute(
        update(listings).where(listings.c.id == listing_id).values(alarmed_at=at)
    )


async def claim(connection: AsyncConnection, limit: int) -> list[Call]:
    """Take up to `limit` records that are due for a call, for `LEASE_S`."""
    due = (
        select(listings.c.id)
        .where(
            listings.c.state.in_(CALLED),
            listings.c.next_attempt_wall <= func.clock_timestamp(),
        )
        # What must go comes first.
        .order_by(listings.c.remove_by.nulls_last(), listings.c.next_attempt_wall)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claimed = await connection.execute(
        update(listings)
        .where(listings.c.id.in_(select(due.c.id)))
        .values(
            attempts=listings.c.attempts + 1,
            next_attempt_wall=in_seconds(LEASE_S),
            last_error=None,
        )
        .returning(
            listings.c.id,
            listings.c.bureau,
            listings.c.contract_id,
            listings.c.due_on,
            listings.c.cents,
            listings.c.state,
            listings.c.removal,
            listings.c.include_reference,
            listings.c.exclude_reference,
            listings.c.attempts,
            func.extract("epoch", func.clock_timestamp() - listings.c.sent_wall).label("sent_s"),
        )
    )
    return [
        Call(
            **{
                **row,
                "state": ListingState(row["state"]),
                "removal": Removal(row["removal"]) if row["removal"] else None,
                "sent_s": float(row["sent_s"]) if row["sent_s"] is not None else None,
            }
        )
        for row in claimed.mappings()
    ]


async def in_work(connection: AsyncConnection) -> bool:
    """Whether somebody holds a lease on a record."""
    held = select(listings.c.id).where(
        listings.c.state.in_(CALLED),
        listings.c.attempts > 0,
        listings.c.last_error.is_(None),
        listings.c.next_attempt_wall > func.clock_timestamp(),
    )
    return bool(await connection.scalar(select(held.exists())))


async def debtor(connection: AsyncConnection, contract_id: int) -> tuple[Debtor, datetime]:
    """Whom a contract's debt is of, and when the contract was made."""
    row = (
        await connection.execute(
            select(subscribers.c.document, subscribers.c.name, contracts.c.created_at)
            .select_from(contracts)
            .join(subscribers, contracts.c.subscriber_id == subscribers.c.id)
            .where(contracts.c.id == contract_id)
        )
    ).one()
    return Debtor(row.document, row.name), row.created_at


def _grouped(rows: Sequence[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.contract_id, []).append(row)
    return found


def _debt(row: Any) -> Debt:
    state = InvoiceState(row.state)
    unpaid = row.rest_cents if state is InvoiceState.OPEN else 0
    return Debt(row.id, row.due_on, unpaid, state, row.changed_on)


def _letter(row: Any) -> Communication:
    return Communication(
        id=row.id,
        bureaus=frozenset(row.bureaus),
        amounts_cents={int(key): cents for key, cents in row.amounts_cents.items()},
        drawn_on=row.drawn_on,
        proven_on=row.proven_on,
        failed_on=row.failed_on,
    )


def _listing(row: Any) -> Listing:
    return Listing(
        id=row.id,
        bureau=row.bureau,
        invoice_id=row.invoice_id,
        due_on=row.due_on,
        cents=row.cents,
        state=ListingState(row.state),
        removal=Removal(row.removal) if row.removal else None,
        removal_on=row.removal_on,
    )
