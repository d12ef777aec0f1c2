"""What the audit log tells of the rows that invoices to come are made from (invariants M5 and M2).

Each source answers what was told of a table's rows, as `api.verify_rows` takes it. Rows may stand
there that were written before the log told of them; those that cannot be are named.
"""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# By place, as `api.store.cycles` and `api.store.enrol` tell them.
_BEGUN = """
select seq, (one ->> 0)::bigint as contract_id, one -> 1 as started_on, one -> 2 as next_due_on
from audit_log, jsonb_array_elements(data -> 'contracts') as one where action = 'cycles.began'
"""
_MARKS = """
select seq, (one ->> 0)::bigint as contract_id, (one ->> 1)::date as due_on, one
from audit_log, jsonb_array_elements(data -> 'cycles') as one where action = 'cycles.billed'
"""
_BACK = """
select seq, (data ->> 'contract_id')::bigint as contract_id,
       (data ->> 'next_due_on')::date as due_on, data
from audit_log where action = 'cycles.taken_back'
"""
_OF = "split_part(subject, ':', 2)::bigint as contract_id"

# A cycle is told whole, once; what was taken back since is told no more.
_CYCLES = f"""
select m.seq, jsonb_build_object('contract_id', m.contract_id, 'due_on', m.due_on,
    'invoice_id', one -> 2, 'billed_from', one -> 3, 'billed_until', one -> 4,
    'credited_from', one -> 5) as doc
from ({_MARKS}) as m
where not exists (select from ({_BACK}) as b
    where b.contract_id = m.contract_id and b.due_on <= m.due_on and b.seq > m.seq)
"""  # noqa: S608 -- no text but our own constants, here and below
# A start that was set told less before the rest was told of at all. What ended before there was
# recurring billing may have no row yet.
_PROGRESS = f"""
select seq, jsonb_build_object('contract_id', contract_id, 'mode', 'arrears',
    'started_on', started_on, 'billed_until', started_on, 'credited_until', started_on,
    'next_due_on', next_due_on, 'automatic_payment', false) as doc from ({_BEGUN}) as b
union all
select seq, jsonb_build_object('contract_id', contract_id, 'billed_until', one -> 4,
    'credited_until', one -> 6, 'next_due_on', one -> 7) from ({_MARKS}) as m
union all
select seq, data - 'lines' from ({_BACK}) as b
union all
select seq, jsonb_build_object('contract_id', contract_id, 'mode', data -> 'mode',
        'started_on', data -> 'started_on')
    || case when not data ? 'next_due_on' then '{{}}' else jsonb_build_object(
        'billed_until', data -> 'started_on', 'credited_until', data -> 'started_on',
        'next_due_on', data -> 'next_due_on') end
from (select *, {_OF} from audit_log where action = 'contract.billing_set') as s
union all
select seq, jsonb_build_object('contract_id', contract_id, 'next_due_on', data -> 'next_due_on')
from (select *, {_OF} from audit_log where action = 'contract.due_day_changed') as d
where data ? 'next_due_on'
union all
select e.seq, jsonb_build_object('contract_id', contract_id, 'next_due_on', null)
from (select *, {_OF} from audit_log where action = 'contract.ended') as e
    join contract_billing using (contract_id)
union all
select seq, jsonb_build_object('contract_id', contract_id,
    'automatic_payment', data -> 'automatic')
from (select *, {_OF} from audit_log where action = 'contract.automatic_payment_set') as a
"""  # noqa: S608
_LINES = """
select seq, line as doc from audit_log, jsonb_array_elements(data -> 'lines') as line
where action in ('lines.added', 'lines.corrected', 'lines.moved')
union all
select seq, jsonb_build_object('id', line -> 0, 'invoice_id', line -> 1)
from audit_log, jsonb_array_elements(data -> 'lines') as line where action = 'cycles.billed'
union all
select seq, jsonb_build_object('id', line, 'invoice_id', null)
from audit_log, jsonb_array_elements(data -> 'lines') as line where action = 'cycles.taken_back'
"""
_DISCOUNTS = """
select seq, data as doc from audit_log where action = 'discount.given' and data ? 'id'
"""
_PROMISES = """
select seq, data || jsonb_build_object('id', data -> 'promise_id') as doc
from audit_log where action like 'promise.%'
"""

# Contracts that were enrolled before the log told of it: only theirs may be untold.
_OLDER = f"""
select c.id as contract_id from contracts c left join ({_BEGUN}) as b on b.contract_id = c.id
where b.contract_id is null and c.created_at <= coalesce(
    (select min(at) from audit_log where action = 'cycles.began'), 'infinity')
"""  # noqa: S608
# Their cycles before the first that is told, and rows of a number before that.
_OLDER_CYCLES = f"""
select concat(k.contract_id, '/', k.due_on) as key
from billed_cycles k join ({_OLDER}) as o using (contract_id) left join (
    select contract_id, min(due_on) as due_on from ({_MARKS}) as m group by 1
) as first using (contract_id)
where k.due_on < coalesce(first.due_on, 'infinity')
"""  # noqa: S608
_OLDER_LINES = f"""
select w.id::text as key from waiting_lines w join ({_OLDER}) as o using (contract_id)
where w.id < coalesce((select min((line ->> 'id')::bigint)
    from audit_log, jsonb_array_elements(data -> 'lines') as line
    where action in ('lines.added', 'lines.corrected')), 9223372036854775807)
"""  # noqa: S608
# Nobody gives a discount to a plan but by hand.
_OLDER_DISCOUNTS = f"""
select d.id::text as key from discounts d left join ({_OLDER}) as o using (contract_id)
where (o.contract_id is not null or d.contract_id is null and exists ({_OLDER}))
    and d.id < coalesce((select min((data ->> 'discount_id')::bigint)
    from audit_log where action = 'discount.given'), 9223372036854775807)
"""  # noqa: S608
_OLDER_PROMISES = """
select p.id::text as key from promises p
where p.made_at < coalesce((select min(at) from audit_log), 'infinity')
"""


@dataclass(frozen=True, slots=True)
class Told:
    """A table, what names a row in it, what is told of it, and the keys that may be untold."""

    table: str
    key: str
    source: str
    untold: str


_ID = "{row} ->> 'id'"
TOLD = (
    Told(
        "billed_cycles",
        "concat({row} ->> 'contract_id', '/', {row} ->> 'due_on')",
        _CYCLES,
        _OLDER_CYCLES,
    ),
    Told(
        "contract_billing",
        "{row} ->> 'contract_id'",
        _PROGRESS,
        f"select contract_id::text as key from ({_OLDER}) as o",  # noqa: S608
    ),
    Told("waiting_lines", _ID, _LINES, _OLDER_LINES),
    Told("discounts", _ID, _DISCOUNTS, _OLDER_DISCOUNTS),
    Told("promises", _ID, _PROMISES, _OLDER_PROMISES),
)

# Every day of a contract's time is in one cycle: each begins where the one before it ends.
_GAPS = text("""
with spans as (
    select contract_id, due_on, billed_from, billed_until, lag(billed_until) over own as reached
    from billed_cycles where billed_from <> billed_until
    window own as (partition by contract_id order by billed_from, due_on)
), ends as (
    select b.contract_id, b.started_on, b.billed_until, max(s.billed_until) as reached
    from contract_billing b left join spans s using (contract_id) group by b.contract_id
)
select s.contract_id, concat('its cycle due ', s.due_on, ' is billed from'), s.billed_from,
       coalesce(s.reached, e.started_on)
from spans s join ends e using (contract_id)
where s.billed_from <> coalesce(s.reached, e.started_on)
union all
select contract_id, concat('its cycle due ', due_on, ' is billed until'), billed_until, billed_from
from spans where billed_until < billed_from
union all
select contract_id, 'it is billed until', billed_until, coalesce(reached, started_on)
from ends where billed_until <> coalesce(reached, started_on)
order by 1, 3
""")


async def verify_spans(connection: AsyncConnection) -> list[str]:
    """Days of a contract that are billed twice, or by no invoice (invariant M5)."""
    return [
        f"contract {contract_id}: {what} {day}, not {right}"
        for contract_id, what, day, right in await connection.execute(_GAPS)
    ]
