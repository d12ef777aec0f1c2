"""`religa verify`: everything that can be computed a second time, compared with what is stored."""

from datetime import date, tzinfo

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.house import House
from api.store import audit, chain, holidays, places, recovery, situations
from api.store.access_tables import access_decisions, policies
from api.verify_rows import verify_rows
from billing import policy
from billing.calendar import Calendar, known_from
from billing.ladder import decide
from billing.policy import Policy
from billing.quota import spent_until

# Each query answers the rows that disagree: what it is about, what is stored, what it should be.
_MONEY = {
    "ledger entry {} sums to {} cents, not {}": """
        select entry_id, sum(cents), 0 from ledger_postings group by entry_id having sum(cents) <> 0
    """,
    "invoice {} has {} cents, its lines add up to {}": """
        select i.id, i.amount_cents, coalesce(sum(l.amount_cents), 0)
        from invoices i
            left join invoice_lines l on l.invoice_id = i.id and not l.conditional
        group by i.id having i.amount_cents <> coalesce(sum(l.amount_cents), 0)
    """,
    "invoice {} has {} cents of principal, fine, interest and discount, payments gave it {}": """
        with given as (
            select invoice_id, sum(principal_cents) as principal, sum(fine_cents) as fine,
                   sum(interest_cents) as interest, sum(discount_cents) as discount
            from allocations group by invoice_id
        )
        select i.id,
               concat_ws('+', i.paid_cents, i.fine_paid_cents, i.interest_paid_cents,
                         i.discount_cents),
               concat_ws('+', coalesce(g.principal, 0), coalesce(g.fine, 0),
                         coalesce(g.interest, 0), coalesce(g.discount, 0))
        from invoices i left join given g on g.invoice_id = i.id
        where (i.paid_cents, i.fine_paid_cents, i.interest_paid_cents, i.discount_cents)
            <> (coalesce(g.principal, 0), coalesce(g.fine, 0), coalesce(g.interest, 0),
                coalesce(g.discount, 0))
    """,
    "the ledger has {1} cents receivable of contract {0}, its invoices have {2} unpaid": """
        with owed as (
            select contract_id as id, sum(amount_cents - discount_cents - paid_cents) as cents
            from invoices where state = 'open' group by contract_id
        ), posted as (
            select split_part(account, ':', 2)::bigint as id, sum(cents) as cents
            from ledger_postings where account like 'receivable:%' group by account
        )
        select id, coalesce(p.cents, 0), coalesce(o.cents, 0)
        from owed o full join posted p using (id)
        where coalesce(p.cents, 0) <> coalesce(o.cents, 0)
    """,
    "the ledger has {1} cents of credit of subscriber {0}, payments leave {2}": """
        with moved as (
            select subscriber_id as id, credit_cents as cents
            from payments where state = 'posted'
            union all
            select c.subscriber_id, -(a.interest_cents + a.fine_cents + a.principal_cents)
            from allocations a
                join invoices i on i.id = a.invoice_id join contracts c on c.id = i.contract_id
            where a.payment_id is null and a.reversal_id is null and a.correction_id is null
            union all
            select p.subscriber_id, -r.credit_cents
            from reversals r join payments p on p.id = r.payment_id
            where p.subscriber_id is not null
            union all
            select c.subscriber_id, k.credit_cents
            from corrections k
                join invoices i on i.id = k.invoice_id join contracts c on c.id = i.contract_id
            union all
            select c.subscriber_id, d.compensation_cents
            from disputes d join contracts c on c.id = d.contract_id
        ), left_over as (
            select id, sum(cents) as cents from moved group by id
        ), posted as (
            select split_part(account, ':', 2)::bigint as id, -sum(cents) as cents
            from ledger_postings where account like 'credit:%' group by account
        )
        select id, coalesce(p.cents, 0), coalesce(l.cents, 0)
        from left_over l full join posted p using (id)
        where coalesce(p.cents, 0) <> coalesce(l.cents, 0)
    """,
    "payment {} is of {} cents, invoices, credit and what went back before got {}": """
        with given as (
            select payment_id, sum(interest_cents + fine_cents + principal_cents) as cents
            from allocations where reversal_id is null and correction_id is null
            group by payment_id
        ), returned as (
            select r.payment_id, sum(r.amount_cents) as cents
            from reversals r join payments p on p.id = r.payment_id
                join ledger_entries e on e.kind = 'assignment'
                    and e.reference = concat(p.provider, ':', p.external_id)
            where r.entry_id < e.id group by r.payment_id
        )
        select p.id, p.amount_cents,
               p.credit_cents + coalesce(g.cents, 0) + coalesce(r.cents, 0)
        from payments p left join given g on g.payment_id = p.id
            left join returned r on r.payment_id = p.id
        where p.state = 'posted' and p.amount_cents
            <> p.credit_cents + coalesce(g.cents, 0) + coalesce(r.cents, 0)
    """,
    "payment {} is of {} cents, {} of them went back": """
        select p.id, p.amount_cents, sum(r.amount_cents)
        from payments p join reversals r on r.payment_id = p.id
        group by p.id having sum(r.amount_cents) > p.amount_cents
    """,
    "the ledger has {1} cents {0}, its invoices have {2}": """
        with owed as (
            select coalesce(sum(amount_cents - discount_cents - paid_cents), 0) as cents
            from invoices where state = 'disputed'
        ), posted as (
            select coalesce(sum(cents), 0) as cents from ledger_postings where account = 'disputed'
        )
        select 'disputed', p.cents, o.cents from owed o, posted p where p.cents <> o.cents
    """,
    "the ledger has {1} cents {0} that are on no instalment, not {2}": """
        select 'renegotiated', sum(cents), 0 from ledger_postings
        where account = 'renegotiated' having sum(cents) <> 0
    """,
    "agreement {} is of parts of {} cents, their invoices were issued for {}": """
        with asked as (
            select a.id, string_agg(part ->> 1, '+' order by place) as cents
            from agreements a,
                jsonb_array_elements(a.simulation -> 'parts') with ordinality as p(part, place)
            where a.accepted_at is not null group by a.id
        ), issued as (
            select a.id, string_agg(l.amount_cents::text, '+' order by place) as cents
            from agreements a, unnest(a.invoice_ids) with ordinality as p(invoice_id, place)
                join invoice_lines l on l.invoice_id = p.invoice_id and l.kind = 'instalment'
            group by a.id
        )
        select id, a.cents, i.cents from asked a full join issued i using (id)
        where a.cents is distinct from i.cents
    """,
    "agreement {} is {}, its invoices are {}": """
        select a.id, a.state, string_agg(concat(i.id, ' ', i.state), ', ' order by i.id)
        from agreements a join invoices i on
            i.id = any(a.old_invoice_ids) and a.state in ('running', 'kept')
                and i.state <> 'renegotiated'
            or i.id = any(a.invoice_ids) and a.state = 'broken' and i.state <> 'void'
        group by a.id
    """,
    "invoice {} is renegotiated by {} agreements that stand, not {}": """
        select i.id, count(a.id), 1
        from invoices i left join agreements a
            on i.id = any(a.old_invoice_ids) and a.state in ('running', 'kept')
        where i.state = 'renegotiated' group by i.id having count(a.id) <> 1
    """,
    "the ledger has {1} cents from {0}, its payments add up to {2}": """
        with moved as (
            select provider, amount_cents as cents from payments
            union all
            select p.provider, -r.amount_cents
            from reversals r join payments p on p.id = r.payment_id
        ), came as (
            select concat('cash:', provider) as account, sum(cents) as cents
            from moved group by provider
        ), posted as (
            select account, sum(cents) as cents
            from ledger_postings where account like 'cash:%' group by account
        )
        select account, coalesce(p.cents, 0), coalesce(c.cents, 0)
        from came c full join posted p using (account)
        where coalesce(p.cents, 0) <> coalesce(c.cents, 0)
    """,
    "the ledger has {1} cents in {0}, its payments add up to {2}": """
        with held as (
            select coalesce(sum(p.amount_cents - coalesce(r.cents, 0)), 0) as cents
            from payments p left join (
                select payment_id, sum(amount_cents) as cents from reversals group by payment_id
            ) r on r.payment_id = p.id
            where p.state = 'suspense'
        ), posted as (
            select -coalesce(sum(cents), 0) as cents from ledger_postings
            where account = 'suspense'
        )
        select 'suspense', p.cents, h.cents from held h, posted p where p.cents <> h.cents
    """,
    "contract {} stands at {}, its last decision says {}": """
        with last as (
            select distinct on (contract_id) contract_id, level, generation, quota_spent_until
            from access_decisions order by contract_id, generation desc
        )
        select c.id,
               concat(c.level, ' (', c.generation, ')', ', quota used up until '
                   || c.quota_spent_until),
               concat(coalesce(l.level, 'full'), ' (', coalesce(l.generation, 1), ')',
                   ', quota used up until ' || l.quota_spent_until)
        from contracts c left join last l on l.contract_id = c.id
        where (c.level, c.generation, c.quota_spent_until) is distinct from
            (coalesce(l.level, 'full'), coalesce(l.generation, 1), l.quota_spent_until)
    """,
}

_STAGES = text(f"""
select s.*, {places.PLACE} from contract_stages s join contracts c on c.id = s.contract_id
order by s.id
""")  # noqa: S608 -- no text but our own constants


async def verify(house: House, connection: AsyncConnection) -> list[str]:
    """Every difference as a sentence; none when all is as it was recorded.

    It reads one snapshot of the database, so work that goes on meanwhile is no difference.
    """
    await connection.execute(text("set transaction isolation level repeatable read, read only"))
    differences: list[str] = []
    for sentence, query in _MONEY.items():
        for row in await connection.execute(text(query)):
            differences.append(sentence.format(*row))
    differences += await chain.verify(connection)
    differences += await verify_rows(connection)
    differences += await recovery.differences(connection, house.settings.zone)
    broken = await audit.verify(connection)
    if broken is not None:
        differences.append(f"the audit chain breaks at row {broken}")
    zone = house.settings.zone
    return differences + await _judge_again(connection, house.calendar, zone)


async def _judge_again(connection: AsyncConnection, calendar: Calendar, zone: tzinfo) -> list[str]:
    """Every stored situation under the policy of its time (invariant A1), every stored meter."""
    ladders = await _ladders(connection)
    oldest = await connection.scalar(select(func.min(access_decisions.c.decided_at)))
    if oldest is not None:
        calendar = known_from(calendar, oldest.astimezone(zone).year)
    calendars = holidays.PastCalendars(calendar, await holidays.every_sheet(connection))
    differences: list[str] = []
    query = select(access_decisions).order_by(access_decisions.c.id)
    async with connection.stream(query) as rows:
        async for row in rows:
            decided_at = row.decided_at.astimezone(zone)
            verdict = decide(
                situations.read(row.situation),
                ladders[row.policy, row.policy_version],
                calendars.of(row.situation),
                decided_at,
            )
            until = spent_until(situations.read_meter(row.situation), decided_at.date())
            stored = (row.level, row.step, row.counted_cents, _shown(row.quota_spent_until))
            again = (verdict.level.value, verdict.step, verdict.counted_cents, _shown(until))
            if stored != again:
                differences.append(
                    f"contract {row.contract_id}, decision {row.generation}: stored {stored},"
                    f" judged again {again}"
                )
    for row in await connection.execute(_STAGES):
        # Stages from before they kept their calendar were entered by that of the contract's place.
        place = places.read_place({"place": row.place})
        verdict = decide(
            situations.read(row.situation),
            ladders[row.policy, row.policy_version],
            calendars.of(row.situation, place),
            row.entered_at.astimezone(zone),
        )
        entered = (row.stage, row.counted_cents, tuple(row.amounts_cents))
        anew = (verdict.step, verdict.counted_cents, verdict.amounts_cents)
        if entered != anew:
            differences.append(
                f"contract {row.contract_id}, stage {row.id}: stored {entered}, judged again {anew}"
            )
    return differences


def _shown(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None


async def _ladders(connection: AsyncConnection) -> dict[tuple[str, int], Policy]:
    rows = await connection.execute(select(policies))
    return {
        (row.name, row.version): policy.read(row.name, row.version, row.document) for row in rows
    }
