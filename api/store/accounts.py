"""Reading a payer's account under lock."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, tzinfo
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store import quotas
from api.store.invoices import invoice_of
from api.store.renegotiation import read_agreement, read_dispute, read_pause
from api.store.rungs import read_rungs
from billing.access import Level, Rates
from billing.account import Account, Contract, Hold, Notice, Promise
from billing.invoice import Invoice
from billing.payer import AuthorKind, PromiseState

_LOCK = text("select id from subscribers where id = :subscriber_id for update")

# All tables in one statement: each round trip more would stand between a payer and the line.
# The last promise of each contract says all that rule 9 asks about earlier ones.
_EVERYTHING = text(f"""
with own as materialized (
    select c.*, p.down_bps, p.up_bps, p.reduced_down_bps, p.reduced_up_bps, p.quota_down_bps,
           p.quota_up_bps, {quotas.METERED}
    from contracts c join plans p on p.id = c.plan_id
    where c.subscriber_id = :subscriber_id
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
)
select
    (select jsonb_agg(to_jsonb(own) order by id) from own) as contracts,
    (select jsonb_agg(to_jsonb(owed) order by due_on, id) from owed) as invoices,
    (select jsonb_agg(to_jsonb(n) order by n.id) from notices n
     where n.subscriber_id = :subscriber_id
       and n.amounts_cents ?| array(
           select id::text from owed union select invoice_id::text from contested)) as notices,
    (select jsonb_agg(to_jsonb(promised) order by id) from promised) as promises,
    (select jsonb_agg(to_jsonb(h) order by h.id) from holds h
     where h.contract_id in (select id from own) and h.expires_at > :now) as holds,
    (select jsonb_agg(to_jsonb(agreed) order by id) from agreed) as agreements,
    (select jsonb_agg(to_jsonb(contested) order by id) from contested) as disputes,
    (select jsonb_agg(to_jsonb(s) order by s.id) from pauses s
     where s.contract_id in (select id from own)) as pauses,
    (select -coalesce(sum(cents), 0)::bigint from ledger_postings
     where account = 'credit:' || :subscriber) as credit_cents
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
    if await connection.scalar(_LOCK, {"subscriber_id": subscriber_id}) is None:
        raise LookupError(f"there is no subscriber {subscriber_id}")
    # Not in the statement above: its snapshot may be older than the lock that it waited for.
    found = await connection.execute(
        _EVERYTHING,
        {
            "subscriber_id": subscriber_id,
            "subscriber": str(subscriber_id),
            "now": now,
            "also": list(also),
            **quotas.cycles(now.date()),
        },
    )
    return _account(subscriber_id, found.one()._asdict(), now.tzinfo, now.date())


def _account(subscriber_id: int, found: Row, zone: tzinfo | None, today: date) -> Account:
    def instant(value: str) -> datetime:
        return datetime.fromisoformat(value).astimezone(zone)

    def perhaps(value: str | None) -> datetime | None:
        return instant(value) if value is not None else None

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
        credit_cents=found["credit_cents"],
        contracts=tuple(map(contract, found["contracts"] or ())),
        invoices=tuple(map(invoice, found["invoices"] or ())),
        notices=tuple(map(notice, found["notices"] or ())),
        promises=tuple(map(promise, found["promises"] or ())),
        holds=tuple(map(hold, found["holds"] or ())),
        agreements=tuple(read_agreement(row, instant) for row in found["agreements"] or ()),
        disputes=tuple(read_dispute(row, instant) for row in found["disputes"] or ()),
        pauses=tuple(read_pause(row, instant) for row in found["pauses"] or ()),
    )


def _day(value: str | None) -> date | None:
    return date.fromisoformat(value) if value is not None else None
