"""Where and who a contract's customer is, as an account is read; and having contracts looked at.

What stands against cuts because of it comes along: the class, and an outage that goes on.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, case, delete, exists, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.customer_tables import contracts
from api.store.place_tables import addresses
from billing.ladder import Bar
from billing.place import Place

ADDRESS = (
    "cep", "street", "number", "complement", "district", "city", "city_code", "state", "region"
)  # fmt: skip
# Joined to `contracts c`: the contract's own address, else the subscriber's; never parts of both.
JOINED = """
    left join addresses here on here.contract_id = c.id
    left join addresses home on home.subscriber_id = c.subscriber_id and here.id is null
    left join subscriber_classes member on member.subscriber_id = c.subscriber_id
    left join customer_classes class on class.id = member.class_id
"""
# The same of `contracts c`, in one value: the state and the city's code, null: none is known.
PLACE = """
    (
        select jsonb_build_array(a.state, a.city_code) from addresses a
        where a.contract_id = c.id or a.subscriber_id = c.subscriber_id
        order by a.contract_id nulls last limit 1
    ) as place"""
# The same for one payer's contracts, and what bars cutting them; `:now` is the business instant.
# Subqueries, which are planned one by one: a payment waits for planning as for everything else.
STANDING = f"""{PLACE},
    exists (
        select from subscriber_classes m join customer_classes k on k.id = m.class_id
        where m.subscriber_id = c.subscriber_id and k.never_block
    ) as never_block,
    exists (
        select from outage_contracts hit join outages o on o.id = hit.outage_id
        where hit.contract_id = c.id and hit.invoice_id is null
          and o.ended_at is null and o.started_at <= :now
    ) as in_outage
"""  # noqa: S608 -- no text but our own constants
REGION = "coalesce(here.region, home.region)"

# In one order, as ever. A look that went on meanwhile would write over the date of review.
_LOCK_PAYERS = text("""
select id from subscribers
where id in (select subscriber_id from contracts where id = any(cast(:ids as bigint[])))
order by id for update
""")
_LOOK_AGAIN = text("""
update contracts c set review_on = :at
where c.id = any(cast(:ids as bigint[])) and c.ended_on is null
  and (c.review_on is not null
       or exists (select from invoices i where i.contract_id = c.id and i.state = 'open'))
""")
_OF_SUBSCRIBER = text("select id from contracts where subscriber_id = :id and ended_on is null")
_AT_HOME = text("""
select id from contracts where subscriber_id = :id and ended_on is null
  and not exists (select from addresses a where a.contract_id = contracts.id)
""")
_AT_PLACE = text(f"""
select c.id from contracts c {JOINED}
where c.ended_on is null
  and (:state = '' or coalesce(here.state, home.state, :own_state) = :state)
  and (:city_code = '' or coalesce(
      here.city_code, home.city_code,
      case when coalesce(here.state, home.state) is null then :own_city_code end) = :city_code)
""")  # noqa: S608 -- no text but our own constants
_REGIONS = text(f"""
select c.id, {REGION} as region from contracts c {JOINED}
where c.id = any(cast(:ids as bigint[])) and {REGION} is not null
""")  # noqa: S608
_IN_REGION = text(f"""
select c.id from contracts c {JOINED}
where c.ended_on is null and {REGION} = :region
""")  # noqa: S608


def read_place(row: Mapping[str, Any]) -> Place | None:
    """Whose holidays bind a contract of an account; None: the provider's own."""
    state, city_code = row["place"] or (None, None)
    return Place(state, city_code or "") if state is not None else None


def read_bars(row: Mapping[str, Any]) -> tuple[Bar, ...]:
    """What stands against cutting it."""
    bars = ((Bar.NEVER_BLOCK, row["never_block"]), (Bar.OUTAGE, row["in_outage"]))
    return tuple(bar for bar, stands in bars if stands)


async def look_again(
    connection: AsyncConnection, contract_ids: Collection[int], at: datetime
) -> int:
    """Have the ladder look anew at those of these contracts that owe anything; how many."""
    await lock_payers(connection, contract_ids)
    done = await connection.execute(_LOOK_AGAIN, {"ids": list(contract_ids), "at": at})
    changed: int = done.rowcount
    return changed


async def lock_payers(connection: AsyncConnection, contract_ids: Collection[int]) -> None:
    """Until commit, nobody else judges or changes these contracts."""
    await connection.execute(_LOCK_PAYERS, {"ids": list(contract_ids)})


async def contracts_of(connection: AsyncConnection, subscriber_id: int) -> Sequence[int]:
    """The running contracts of a subscriber."""
    return (await connection.scalars(_OF_SUBSCRIBER, {"id": subscriber_id})).all()


async def contracts_at_home(connection: AsyncConnection, subscriber_id: int) -> Sequence[int]:
    """Those that are where the subscriber is."""
    return (await connection.scalars(_AT_HOME, {"id": subscriber_id})).all()


async def contracts_at(connection: AsyncConnection, place: Place, own: Place) -> Sequence[int]:
    """The running contracts that a place's holidays bind; `own` is where the provider is."""
    asked = {
        "state": place.state,
        "city_code": place.city_code,
        "own_state": own.state,
        "own_city_code": own.city_code,
    }
    return (await connection.scalars(_AT_PLACE, asked)).all()


async def contracts_in_region(connection: AsyncConnection, region: str) -> Sequence[int]:
    """The running contracts of a region."""
    return (await connection.scalars(_IN_REGION, {"region": region})).all()


async def regions_of(connection: AsyncConnection, contract_ids: Collection[int]) -> dict[int, str]:
    """The region of each of these contracts that has one."""
    rows = await connection.execute(_REGIONS, {"ids": list(contract_ids)})
    return {row.id: row.region for row in rows}


def region_of_contract() -> ColumnElement[str]:
    """The region of the contract of a query on `contracts`; empty: it has none."""
    own = select(addresses.c.region).where(addresses.c.contract_id == contracts.c.id)
    home = select(addresses.c.region).where(addresses.c.subscriber_id == contracts.c.subscriber_id)
    # A contract that has an address of its own is there, region or not.
    lives = case(
        (exists(own.correlate(contracts)), own.correlate(contracts).scalar_subquery()),
        else_=home.correlate(contracts).scalar_subquery(),
    )
    return func.coalesce(lives, "")


def address_rows() -> Select[Any]:
    """Addresses, each with whose it is."""
    return select(*(addresses.c[name] for name in ("subscriber_id", "contract_id", *ADDRESS)))


async def put_address(
    connection: AsyncConnection, owner: str, owner_id: int, values: Mapping[str, str | None]
) -> None:
    """Write the address of a subscriber or contract over the one before.

    Args:
        connection: inside the transaction.
        owner: `subscriber_id` or `contract_id`.
        owner_id: whose.
        values: a value, or None, by each name of `ADDRESS`.
    """
    row = {owner: owner_id, **values}
    statement = insert(addresses).values(row)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=[owner], set_=dict(values))
    )


async def drop_address(connection: AsyncConnection, contract_id: int) -> bool:
    """Forget a contract's own address; whether it had one."""
    gone = await connection.execute(delete(addresses).where(addresses.c.contract_id == contract_id))
    return bool(gone.rowcount)
