"""Reading payers' accounts under lock, one or many at once."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, tzinfo
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store import places, quotas
from api.store.guard_rows import SWITCHED_OFF, UNSETTLED
from api.store.invoices import invoice_of
from api.store.rates import RATES
from api.store.renegotiation import read_agreement, read_dispute, read_pause
from api.store.rungs import read_rungs
from billing.access import Level, Rates
from billing.account import Account, Contract, Hold, Notice, Promise
from billing.invoice import Invoice
from billing.ladder import Bar
from billing.payer import AuthorKind, HoldKind, PromiseState

_LOCK = text("select id from subscribers where id = :subscriber_id for update")
# In one order, so that two who lock many never wait for each other in a circle.
_LOCK_FREE = text("""
select id from subscribers where id = any(cast(:subscriber_ids as bigint[]))
 order by id for update skip locked
""")

# All tables in one statement: each round trip more would stand between a payer and the line.
# The last promise of each contract says all that rule 9 asks about earlier ones.
_EVERYTHING = text(f"""
with own as materialized (
    select c.*, {RATES}, {quotas.METERED}, {places.STANDING}, {SWITCHED_OFF} as switched_off
    from contracts c join plans p on p.id = c.plan_id
    where c.subscriber_id = any(cast(:subscriber_ids as bigint[]))
), promised as materialized (
    select distinct on (contract_id) * from promises
    where contract_id in (select id from own)
    order by contract_id, made_at desc, id desc
), agreed as materialized (
    select * from agreements
    where contract_id in (select id from own)
      and (state in ('awaiting_approval', 'offered', 'running') or id in (
          select distinct on (contract_id) id from agreements
          where contract_id in (select id from own) and state = 'broken'
          order by contract_id, settled_at desc))
), contested as materialized (
    select * from disputes where contract_id in (select id from own)
), owed as materialized (
    select i.*, (
        select jsonb_agg(to_jsonb(l) order by l.position)
        from invoice_lines l where l.invoice_id = i.id
    ) as lines
    from invoices i
    where i.contract_id in (select id from own)
      and (i.state = 'open' or i.id in (select unnest(debt_invoice_ids) from promised)
           or i.id in (select unnest(old_invoice_ids || invoice_ids) from agreed
                       where state = 'running')
           or i.id in (select unnest(array[invoice_id, frozen_id]) from contested
                       where state = 'open')
           or i.id = any(cast(:also as bigint[])))
), listed as materialized (
    select id::text as key from owed union select invoice_id::text from contested
)
select 'contracts' as part, null::date as due_on, id, to_jsonb(own) as row from own
union all select 'invoices', due_on, id, to_jsonb(owed) from owed
union all select 'notices', null, id, to_jsonb(n) from notices n
  where n.subscriber_id = any(cast(:subscriber_ids as bigint[]))
    and exists (select from jsonb_object_keys(n.amounts_cents) as of_notice(key)
                where key in (select key from listed))
union all select 'promises', null, id, to_jsonb(promised) from promised
union all select 'holds', null, id, to_jsonb(h) from holds h
  where h.contract_id in (select id from own) and h.expires_at > :now and h.ended_at is null
union all select 'agreements', null, id, to_jsonb(agreed) from agreed
union all select 'disputes', null, id, to_jsonb(contested) from contested
union all select 'pauses', null, id, to_jsonb(s) from pauses s
  where s.contract_id in (select id from own)
union all select 'paying', null, payer.id, 'true'
  from unnest(cast(:subscriber_ids as bigint[])) as payer(id)
  where payer.id in ({UNSETTLED})
union all select 'credit', null, payer.id,
    (select to_jsonb(-sum(cents)::bigint) from ledger_postings
     where account = 'credit:' || payer.id)
  from unnest(cast(:subscriber_ids as bigint[])) as payer(id)
order by due_on nulls first, id
""")  # noqa: S608 -- no text but our own constants

Row = Mapping[str, Any]


async def load(
    connection: AsyncConnection, subscriber_id: int, now: datetime, also: Sequence[int] = ()
) -> Account:
    """Lock a payer and read the account, in two statements; instants come in the zone of `now`.

    Args:
        connection: inside the transaction that holds the lock.
        subscriber_id: whose account.
        now: the business instant.
        also: invoices that are wanted though nothing is owed on them.

    Raises:
        LookupError: no such subscriber.
    """
    await lock(connection, subscriber_id)
    found = await _read(connection, [subscriber_id], now, also)
    return found[subscriber_id]


async def lock(connection: AsyncConnection, subscriber_id: int) -> None:
    """Lock a payer without reading the account.

    Raises:
        LookupError: no such subscriber.
    """
    if await connection.scalar(_LOCK, {"subscriber_id": subscriber_id}) is None:
        raise LookupError(f"there is no subscriber {subscriber_id}")


async def load_free(
    connection: AsyncConnection, subscriber_ids: Collection[int], now: datetime
) -> dict[int, Account]:
    """Lock many payers and read their accounts; one whom somebody else has locked is left out."""
    asked = {"subscriber_ids": list(subscriber_ids)}
    free = (await connection.execute(_LOCK_FREE, asked)).scalars().all()
    return await _read(connection, free, now)


async def load_unlocked(
    connection: AsyncConnection, subscriber_ids: Sequence[int], now: datetime
) -> dict[int, Account]:
    """The accounts of many payers as they stand, for who only looks."""
    return await _read(connection, subscriber_ids, now)


async def _read(
    connection: AsyncConnection,
    subscriber_ids: Sequence[int],
    now: datetime,
    also: Sequence[int] = (),
) -> dict[int, Account]:
    # Not in the statement that locks: its snapshot may be older than a lock that it waited for.
    rows = await connection.execute(
        _EVERYTHING,
        {
            "subscriber_ids": list(subscriber_ids),
            "now": now,
            "also": list(also),
            **quotas.cycles(now.date()),
        },
    )
    everything = rows.all()
    payers = {r.id: r.row["subscriber_id"] for r in everything if r.part == "contracts"}
    parts: dict[int, dict[str, list[Any]]] = {number: {} for number in subscriber_ids}
    for part, _, number, row in everything:
        if part in ("credit", "paying"):
            payer = number
        elif part == "notices":
            payer = row["subscriber_id"]
        else:
            payer = payers[number if part == "contracts" else row["contract_id"]]
        parts[payer].setdefault(part, []).append(row)
    return {
        number: _account(number, found, now.tzinfo, now.date()) for number, found in parts.items()
    }


def _account(
    subscriber_id: int, found: Mapping[str, Sequence[Any]], zone: tzinfo | None, today: date
) -> Account:
    def instant(value: str) -> datetime:
        return datetime.fromisoformat(value).astimezone(zone)

    def perhaps(value: str | None) -> datetime | None:
        return instant(value) if value is not None else None

    paying = "paying" in found

    def contract(row: Row) -> Contract:
        rates = Rates(
            row["down_bps"],
            row["up_bps"],
            row["reduced_down_bps"],
            row["reduced_up_bps"],
            row["quota_down_bps"],
            row["quota_up_bps"],
        )
        spent_until = _day(row["quota_spent_until"])
        return Contract(
            id=row["id"],
            policy_name=row["policy"],
            rates=rates,
            access=rates.at(Level(row["level"]), quota_spent=spent_until is not None),
            generation=row["generation"],
            reason=row["reason"],
            since=instant(row["since"]),
            rungs=read_rungs(row["rungs"]),
            review_on=perhaps(row["review_on"]),
            ended_on=_day(row["ended_on"]),
            meter=quotas.read_meter(row, today),
            quota_spent_until=spent_until,
            bars=read_bars(row, paying),
            place=places.read_place(row),
        )

    def notice(row: Row) -> Notice:
        return Notice(
            id=row["id"],
            drawn_at=instant(row["drawn_at"]),
            amounts_cents={int(key): cents for key, cents in row["amounts_cents"].items()},
            proven_at=perhaps(row["proven_at"]),
            failed_at=perhaps(row["failed_at"]),
        )

    def promise(row: Row) -> Promise:
        return Promise(
            id=row["id"],
            contract_id=row["contract_id"],
            made_at=instant(row["made_at"]),
            until_on=date.fromisoformat(row["until_on"]),
            author=row["author"],
            debt_invoice_ids=tuple(row["debt_invoice_ids"]),
            author_kind=AuthorKind(row["author_kind"]),
            state=PromiseState(row["state"]),
            settled_at=perhaps(row["settled_at"]),
        )

    def hold(row: Row) -> Hold:
        return Hold(
            id=row["id"],
            contract_id=row["contract_id"],
            author=row["author"],
            reason=row["reason"],
            placed_at=instant(row["placed_at"]),
            expires_at=instant(row["expires_at"]),
            kind=HoldKind(row["kind"]),
        )

    def invoice(row: Row) -> Invoice:
        typed = {
            "due_on": date.fromisoformat(row["due_on"]),
            "issued_at": instant(row["issued_at"]),
            "interest_since": _day(row["interest_since"]),
            "reopened_at": perhaps(row["reopened_at"]),
        }
        lines = (
            {**line, "from_on": _day(line["from_on"]), "until_on": _day(line["until_on"])}
            for line in row["lines"]
        )
        return invoice_of({**row, **typed}, lines)

    return Account(
        subscriber_id=subscriber_id,
        credit_cents=found["credit"][0] or 0,
        contracts=tuple(map(contract, found.get("contracts", ()))),
        invoices=tuple(map(invoice, found.get("invoices", ()))),
        notices=tuple(map(notice, found.get("notices", ()))),
        promises=tuple(map(promise, found.get("promises", ()))),
        holds=tuple(map(hold, found.get("holds", ()))),
        agreements=tuple(read_agreement(row, instant) for row in found.get("agreements", ())),
        disputes=tuple(read_dispute(row, instant) for row in found.get("disputes", ())),
        pauses=tuple(read_pause(row, instant) for row in found.get("pauses", ())),
    )


def read_bars(row: Row, paying: bool) -> tuple[Bar, ...]:
    """What stands against cutting one contract.

    Its switch or its NAS's, money on its way, its customer's class, an outage that goes on.
    """
    bars = ((Bar.KILL_SWITCH, row["switched_off"]), (Bar.STALE_FEED, paying))
    return (*(bar for bar, stands in bars if stands), *places.read_bars(row))


def _day(value: str | None) -> date | None:
    return date.fromisoformat(value) if value is not None else None
