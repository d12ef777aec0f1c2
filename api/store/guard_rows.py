"""What the guards see, kept as rows: providers heard of, the clock found right, cuts, switches."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.clock import wall
from api.store.guard_tables import payment_feeds
from api.store.staff_tables import facts
from billing.guard import STANDING, WINDOW, Sight

STANDING_SQL = f"'{{{','.join(sorted(STANDING))}}}'::text[]"

# Whether the switch of contract `c`, or of the NAS of its lines, is on. Of a contract without an
# open line the last one tells. Nearly always there is no switch, and no session is looked at.
SWITCHED_OFF = """
case when (select count(*) > 0 from kill_switches
            where lifted_at is null and scope <> 'global')
then exists (
  select from kill_switches k
   where k.lifted_at is null
     and (k.contract_id = c.id or k.nas_id in (
       select s.nas_id from sessions s where s.contract_id = c.id and s.stopped_at is null
       union (select s.nas_id from sessions s where s.contract_id = c.id
               order by s.started_at desc limit 1))))
else false end
"""

# Payers of whom a provider told us a payment that is not settled yet.
UNSETTLED = """
select c.subscriber_id from payment_notices n
  join charges ch on ch.provider = n.provider and ch.txid = n.body ->> 'txid'
  left join bills b on b.id = ch.bill_id
  left join invoices i on i.id = ch.invoice_id
  join contracts c on c.id = i.contract_id or c.subscriber_id = b.subscriber_id
 where n.state = 'received'
"""

_SIGHT = text(f"""
select (select count(*) > 0 from kill_switches where lifted_at is null and scope = 'global')
         as switched_off,
       (select jsonb_object_agg(provider, heard_at) from payment_feeds where retired_at is null)
         as heard_at,
       (select value #>> '{{}}' from facts where name = 'clock_seen') as seen_at,
       coalesce((select value::bigint from facts where name = 'active_contracts'),
                (select count(*) from contracts where ended_on is null)) as active,
       (select count(*) from (select from cuts where at > :since and at <= :now limit 1000000) c)
         as cuts_in_window,
       exists (select from review_plans where state = 'refused'
                 and flaws && {STANDING_SQL}) as plan_waits,
       pg_is_in_recovery() as in_recovery,
       (select differences > 0 from book_checks order by id desc limit 1) as books_differ,
       clock_timestamp() as database_wall
""")  # noqa: S608 -- no text but our own constants

_COUNT_ACTIVE = text("""
insert into facts (name, value)
select 'active_contracts', to_jsonb(count(*)) from contracts where ended_on is null
on conflict (name) do update set value = excluded.value
""")

_RELOOK = text("""
update contracts set review_on = :now
 where reason = any(cast(:reasons as text[])) and ended_on is null
   and reason in ('guard', 'kill_switch', 'stale_feed')
   and (review_on is null or review_on > :now)
returning id
""")

_STANDS_THERE = """
select id from kill_switches
 where lifted_at is null and scope = :scope
   and nas_id is not distinct from :nas_id and contract_id is not distinct from :contract_id
"""
_STANDS, _STANDING = text(_STANDS_THERE), text(f"{_STANDS_THERE} for update")
_ALL_STANDING = text(
    "select scope, nas_id, contract_id from kill_switches where lifted_at is null order by id"
)
_PUT = text("""
insert into kill_switches (scope, nas_id, contract_id, author, reason, put_at, put_wall)
values (:scope, :nas_id, :contract_id, :author, :reason, :put_at, clock_timestamp())
on conflict (scope, (coalesce(nas_id, contract_id, 0))) where lifted_at is null do nothing
returning id
""")
_LIFT = text("""
update kill_switches
   set lifted_at = :lifted_at, lifted_by = :lifted_by, lifted_because = :lifted_because
 where id = :id
""")

# Cuts that were decided and have reached no line: not told to any session, nor taken at a dial.
# One whose customer was not on line to be told counts as made after a minute, by either clock: in
# rehearsal days pass in none of ours.
_UNSENT_CUTS = """
select c.id as contract_id, c.subscriber_id, k.rungs_before
  from contracts c
  join cuts k on k.contract_id = c.id and k.generation = c.generation
 where c.ended_on is null and {}
   and not exists (
     select from sessions s where s.contract_id = c.id and s.applied_generation >= c.generation)
   and (k.at_wall > clock_timestamp() - interval '1 minute'
        and k.at > cast(:now as timestamptz) - interval '1 minute' or exists (
     select from sessions s where s.contract_id = c.id and s.stopped_at is null))
 order by k.at_wall desc
"""
_UNSENT = text(
    _UNSENT_CUTS.format("""
(cast(:scope as text) = 'global' or c.id = :contract_id or exists (
  select from sessions s
   where s.contract_id = c.id and s.stopped_at is null and s.nas_id = :nas_id))
""")
)
_IS_UNSENT = text(_UNSENT_CUTS.format("c.id = :contract_id"))


class Place(NamedTuple):
    """What a switch is for: everything, one NAS, or one contract."""

    scope: Literal["global", "nas", "contract"]
    nas_id: int | None = None
    contract_id: int | None = None


class Unsent(NamedTuple):
    contract_id: int
    subscriber_id: int
    rungs_before: list[dict[str, str]]


async def sight(connection: AsyncConnection, now: datetime) -> Sight:
    """What the judge can see at the business instant `now`, in one statement."""
    asked = {"now": now, "since": now - WINDOW}
    row = (await connection.execute(_SIGHT, asked)).one()
    heard = row.heard_at or {}
    return Sight(
        now=now,
        heard_at={name: datetime.fromisoformat(at) for name, at in heard.items()},
        seen_at=datetime.fromisoformat(row.seen_at) if row.seen_at is not None else None,
        clocks_apart=wall() - row.database_wall.astimezone(UTC),
        primary=not row.in_recovery,
        active=row.active,
        cuts_in_window=row.cuts_in_window,
        plan_waits=row.plan_waits,
        switched_off=row.switched_off,
        books_differ=bool(row.books_differ),
    )


async def count_active(connection: AsyncConnection) -> None:
    """Keep how many contracts run: counting them takes too long for a payment to wait."""
    await connection.execute(_COUNT_ACTIVE)


async def keep_seen(connection: AsyncConnection, now: datetime) -> None:
    """The clock is right at this business instant."""
    value = now.astimezone(UTC).isoformat()
    statement = insert(facts).values(name="clock_seen", value=value)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": value})
    )


async def hear(connection: AsyncConnection, provider: str, now: datetime) -> None:
    """A provider answered, or confirmed a payment: its news is fresh."""
    statement = insert(payment_feeds).values(
        provider=provider, heard_at=now, heard_wall=wall(), retired_at=None
    )
    fresh = {name: statement.excluded[name] for name in ("heard_at", "heard_wall", "retired_at")}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["provider"], set_=fresh)
    )


async def wait_for_news(
    connection: AsyncConnection, providers: Collection[str], now: datetime
) -> None:
    """These providers are asked from now on: one that never answers is silent since then."""
    for provider in sorted(providers):
        statement = insert(payment_feeds).values(provider=provider, heard_at=now, heard_wall=wall())
        anew = {"heard_at": now, "heard_wall": wall(), "retired_at": None}
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["provider"],
                set_=anew,
                where=payment_feeds.c.retired_at.is_not(None),
            )
        )


async def retire(connection: AsyncConnection, provider: str, now: datetime) -> bool:
    """Nobody waits for this provider any more; False: it was never heard of, or is retired."""
    done = await connection.execute(
        payment_feeds.update()
        .where(payment_feeds.c.provider == provider, payment_feeds.c.retired_at.is_(None))
        .values(retired_at=now)
    )
    return bool(done.rowcount)


async def look_again(connection: AsyncConnection, reasons: Collection[str], now: datetime) -> int:
    """Have the contracts looked at that one of these bars holds; how many."""
    asked = {"now": now, "reasons": list(reasons)}
    return len((await connection.execute(_RELOOK, asked)).all())


async def standing(connection: AsyncConnection, place: Place) -> int | None:
    """The id of the switch that is on there, locked; None: none is."""
    found = (await connection.execute(_STANDING, place._asdict())).one_or_none()
    return None if found is None else int(found.id)


async def all_standing(connection: AsyncConnection) -> list[Place]:
    """Where a switch is on."""
    return [Place(*row) for row in await connection.execute(_ALL_STANDING)]


async def stands(connection: AsyncConnection, place: Place) -> bool:
    """Whether a switch is on there, as far as one can say without waiting for anybody."""
    return (await connection.execute(_STANDS, place._asdict())).first() is not None


async def put(
    connection: AsyncConnection, place: Place, author: str, reason: str, now: datetime
) -> int | None:
    """Switch cuts off there; None: they are already."""
    row = {**place._asdict(), "author": author, "reason": reason, "put_at": now}
    return (await connection.execute(_PUT, row)).scalar_one_or_none()


async def lift(
    connection: AsyncConnection, switch_id: int, author: str, reason: str, now: datetime
) -> None:
    """Let cuts go on there."""
    asked = {"id": switch_id, "lifted_at": now, "lifted_by": author, "lifted_because": reason}
    await connection.execute(_LIFT, asked)


async def unsent(connection: AsyncConnection, place: Place, now: datetime) -> list[Unsent]:
    """The cuts under a switch that have reached no line, the newest first."""
    rows = await connection.execute(_UNSENT, {**place._asdict(), "now": now})
    return [Unsent(*row) for row in rows]


async def is_unsent(connection: AsyncConnection, contract_id: int, now: datetime) -> bool:
    """Whether this contract's last decision is a cut that has reached no line."""
    found = await connection.execute(_IS_UNSENT, {"contract_id": contract_id, "now": now})
    return found.first() is not None
