"""Changes of what a contract is billed from: each in one transaction, its correction with it.

Days that were billed already are corrected by lines on the next invoice (`recurring.correction`).
The payer's account is locked first, so that no run bills the contract meanwhile.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date

from sqlalchemy import delete, insert, select, update

from api import booklet, rates
from api.house import House
from api.store import enrol, subscriptions, waiting
from api.store.billing_tables import (
    contract_billing,
    contract_due_days,
    contract_plans,
    contract_products,
    discounts,
    products,
)
from api.store.chain import plain
from api.store.customer_tables import contracts, plans
from api.store.subscriptions import Billed
from api.store.uow import Uow
from billing.account import Account
from billing.cycle import Mode, as_many_on, change_due_day, next_due, next_due_changed
from billing.invoice import Kind, Line
from billing.money import split
from billing.payer import Refused
from billing.recurring import correction
from billing.standing import running_contract
from billing.subscription import Discount, first_due
from billing.tariff import tariff_on


async def locked(house: House, uow: Uow, contract_id: int) -> tuple[Account, Billed]:
    """The payer's account under lock, and what the contract is billed from.

    Raises:
        UnknownContract: there is none.
        Refused: it has ended.
    """
    account = await uow.account(await uow.payer_of_contract(contract_id))
    running_contract(account, contract_id)
    await enrol.enrol_one(uow, contract_id, house.settings.zone)
    return account, await _billed(house, uow, contract_id)


@asynccontextmanager
async def changed(
    house: House, uow: Uow, contract_id: int, author: str
) -> AsyncIterator[tuple[Account, Billed]]:
    """What is changed inside is corrected for the days that are billed already."""
    account, before = await locked(house, uow, contract_id)
    yield account, before
    after = await _billed(house, uow, contract_id)
    lines = correction(before.subscription, after.subscription)
    due_from = before.next_due_on or uow.clock.now().date()
    await waiting.add(uow, contract_id, [(due_from, line) for line in lines], author, False)


async def change_plan(
    house: House, uow: Uow, contract_id: int, plan_id: int, from_on: date | None, author: str
) -> date:
    """Another plan from the first instant of a day (rule 3); answers that day."""
    today = uow.clock.now().date()
    on = from_on or today
    plan = (
        await uow.connection.execute(
            select(plans.c.name, plans.c.withdrawn_on).where(plans.c.id == plan_id)
        )
    ).one_or_none()
    if plan is None:
        raise Refused(f"there is no plan {plan_id}; GET /api/v1/plans lists them")
    if plan.withdrawn_on is not None and plan.withdrawn_on <= on:
        raise Refused(f"plan {plan_id} was withdrawn on {plan.withdrawn_on}; choose another")
    await locked(house, uow, contract_id)
    # A booklet's unpaid rest is of the old price: it is issued anew.
    taken_back = await booklet.take_back(uow, contract_id, author)
    async with changed(house, uow, contract_id, author) as (_, before):
        bill = before.subscription
        if on < max(today, bill.started_on):
            raise Refused(f"a plan changes from {today} on, not on {on}; the past was served")
        held = await _plans_of(uow, contract_id)
        if not held:
            current = await uow.connection.scalar(
                select(contracts.c.plan_id).where(contracts.c.id == contract_id)
            )
            held = [(bill.started_on, int(current or 0))]
        kept = [(day, which) for day, which in held if day < on]
        if kept and kept[-1][1] == plan_id:
            raise Refused(f"the contract has plan {plan_id} then already; choose another")
        await uow.connection.execute(
            delete(contract_plans).where(contract_plans.c.contract_id == contract_id)
        )
        rows = [
            {"contract_id": contract_id, "from_on": day, "plan_id": which}
            for day, which in [*kept, (on, plan_id)]
        ]
        await uow.connection.execute(insert(contract_plans), rows)
        if on <= today:
            await rates.set_on_contract(uow, contract_id, {"plan_id": plan_id})
    await booklet.issue_again(house, uow, contract_id, taken_back)
    told = {"plan_id": plan_id, "from_on": on.isoformat()}
    await uow.audit("contract.plan_changed", f"contract:{contract_id}", told)
    return on


async def change_day(house: House, uow: Uow, contract_id: int, day: int) -> date:
    """Another due day, after one bridging cycle (rule 4); answers the day on which that begins."""
    terms = (await uow.desk()).terms
    if day not in terms.due_days:
        offered = ", ".join(map(str, terms.due_days))
        raise Refused(f"due day {day} is not offered; choose one of {offered}")
    _, before = await locked(house, uow, contract_id)
    bill = before.subscription
    anchor = max(bill.billed_until, uow.clock.now().date(), bill.started_on)
    try:
        due_days = change_due_day(bill.due_days, day, anchor)
    except ValueError as error:
        raise Refused(str(error)) from error
    await uow.connection.execute(
        delete(contract_due_days).where(contract_due_days.c.contract_id == contract_id)
    )
    rows = [{"contract_id": contract_id, "from_on": d.from_on, "day": d.day} for d in due_days]
    await uow.connection.execute(insert(contract_due_days), rows)
    await uow.connection.execute(
        update(contracts).where(contracts.c.id == contract_id).values(due_day=day)
    )
    due_on = before.next_due_on
    if due_on is not None and bill.mode is Mode.ARREARS:
        due_on = next_due_changed(due_on, bill.due_days, due_days)
        await uow.connection.execute(
            update(contract_billing)
            .where(contract_billing.c.contract_id == contract_id)
            .values(next_due_on=due_on)
        )
    told = {
        "day": day,
        "from_on": due_days[-1].from_on.isoformat(),
        "next_due_on": due_on.isoformat() if due_on is not None else None,
    }
    await _move_lines(house, uow, before)
    await uow.audit("contract.due_day_changed", f"contract:{contract_id}", told)
    return due_days[-1].from_on


async def set_mode(
    house: House, uow: Uow, contract_id: int, mode: Mode, started_on: date | None
) -> None:
    """How, and from which day, runs bill a contract; only before its first recurring invoice."""
    _, before = await locked(house, uow, contract_id)
    bill = before.subscription
    if bill.billed_until > bill.started_on:
        raise Refused(f"the contract is billed until {bill.billed_until}; its mode stays as it is")
    start = started_on or bill.started_on
    due_days = (replace(bill.due_days[0], from_on=start), *bill.due_days[1:])
    due_on = first_due(start, due_days, mode)
    await uow.connection.execute(
        update(contract_billing)
        .where(contract_billing.c.contract_id == contract_id)
        .values(
            mode=mode.value,
            started_on=start,
            billed_until=start,
            credited_until=start,
            next_due_on=due_on,
        )
    )
    told = {
        "mode": mode.value,
        "started_on": start.isoformat(),
        "next_due_on": due_on.isoformat(),
    }
    await _move_lines(house, uow, before)
    await uow.audit("contract.billing_set", f"contract:{contract_id}", told)


async def set_automatic(house: House, uow: Uow, contract_id: int, automatic: bool) -> None:
    """Whether the contract is paid automatically, from now on."""
    await locked(house, uow, contract_id)
    await uow.connection.execute(
        update(contract_billing)
        .where(contract_billing.c.contract_id == contract_id)
        .values(automatic_payment=automatic)
    )
    await uow.audit(
        "contract.automatic_payment_set", f"contract:{contract_id}", {"automatic": automatic}
    )


async def subscribe(
    house: House, uow: Uow, contract_id: int, product_id: int, from_on: date | None, author: str
) -> int:
    """A product of its own on a contract, from a day on; answers its number there."""
    today = uow.clock.now().date()
    on = from_on or today
    product = (
        await uow.connection.execute(select(products).where(products.c.id == product_id))
    ).one_or_none()
    if product is None:
        raise Refused(f"there is no product {product_id}; GET /api/v1/products lists them")
    if product.withdrawn_on is not None and product.withdrawn_on <= on:
        raise Refused(f"product {product_id} was withdrawn on {product.withdrawn_on}")
    if on < today:
        raise Refused(f"a product is added from {today} on, not on {on}")
    async with changed(house, uow, contract_id, author) as (_, before):
        for addon in before.subscription.addons:
            if addon.service == product.code and (addon.until_on is None or addon.until_on > on):
                raise Refused(f"the contract has product {product_id} then already; end it first")
        row = {"contract_id": contract_id, "product_id": product_id, "from_on": on}
        made = await uow.connection.execute(
            insert(contract_products)
            .values(**row, price_cents=product.price_cents)
            .returning(contract_products.c.id)
        )
        number = int(made.scalar_one())
    told = {"product_id": product_id, "from_on": on.isoformat()}
    await uow.audit("contract.product_added", f"contract:{contract_id}", told)
    return number


async def unsubscribe(
    house: House, uow: Uow, contract_id: int, number: int, until_on: date | None, author: str
) -> date:
    """End a product of a contract; answers the first day without it."""
    today = uow.clock.now().date()
    on = until_on or today
    row = (
        await uow.connection.execute(
            select(contract_products).where(
                contract_products.c.id == number, contract_products.c.contract_id == contract_id
            )
        )
    ).one_or_none()
    if row is None:
        raise Refused(f"contract {contract_id} has no product numbered {number}")
    if on < today or (row.until_on is not None and row.until_on <= today):
        raise Refused(f"a product ends from {today} on, once; this one: {row.until_on or on}")
    async with changed(house, uow, contract_id, author):
        await uow.connection.execute(
            update(contract_products)
            .where(contract_products.c.id == number)
            .values(until_on=max(on, row.from_on))
        )
    told = {"product_id": row.product_id, "until_on": on.isoformat()}
    await uow.audit("contract.product_ended", f"contract:{contract_id}", told)
    return on


async def add_discount(house: House, uow: Uow, contract_id: int, discount: Discount) -> int:
    """A discount from a day on; none may be above the price of the plan."""
    _, before = await locked(house, uow, contract_id)
    bill = before.subscription
    tariff = tariff_on(bill.tariffs, max(discount.from_on, bill.started_on))
    price = tariff.price_cents if tariff is not None else 0
    if (discount.cents or 0) > price:
        raise Refused(f"a discount of {discount.cents} cents is above the price of {price} cents")
    number = await uow.draw("discounts")
    row = {name: getattr(discount, name) for name in _DISCOUNT}
    row |= {"id": number, "contract_id": contract_id, "plan_id": None}
    await uow.connection.execute(insert(discounts).values(**row))
    told = {"discount_id": number, **plain(row)}
    await uow.audit("discount.given", f"contract:{contract_id}", told)
    return number


_DISCOUNT = ("description", "from_on", "until_on", "basis_points", "cents", "conditional")


async def add_instalments(
    house: House, uow: Uow, contract_id: int, title: str, cents: int, parts: int, author: str
) -> list[tuple[date, int]]:
    """An amount over so many invoices in a row, the residue on the last; answers when and what."""
    _, before = await locked(house, uow, contract_id)
    if before.next_due_on is None:
        raise Refused(f"contract {contract_id} is billed by hand; no invoice would take the line")
    due_on, dues = before.next_due_on, []
    for amount in split(cents, parts):
        dues.append((due_on, amount))
        due_on = next_due(due_on, before.subscription.due_days)
    lines = [
        (on, Line(f"{title} {n}/{parts}" if parts > 1 else title, amount, Kind.ONE_OFF))
        for n, (on, amount) in enumerate(dues, start=1)
        if amount
    ]
    await waiting.add(uow, contract_id, lines, author, True)
    return dues


async def add_one_off(
    house: House, uow: Uow, contract_id: int, title: str, cents: int, author: str
) -> date:
    """A line on the next invoice, of more or less than nothing; answers its due date."""
    _, before = await locked(house, uow, contract_id)
    if before.next_due_on is None:
        raise Refused(f"contract {contract_id} is billed by hand; no invoice would take the line")
    line = Line(title, cents, Kind.ONE_OFF)
    await waiting.add(uow, contract_id, [(before.next_due_on, line)], author, True)
    return before.next_due_on


async def _move_lines(house: House, uow: Uow, before: Billed) -> None:
    """What waits for the next invoice, or the one after, is on that one, whenever it is due now."""
    after = await _billed(house, uow, before.contract_id)
    was, now = before.next_due_on, after.next_due_on
    if was is None or now is None:
        return
    days = before.subscription.due_days, after.subscription.due_days
    moved = {
        extra.id: as_many_on(extra.due_from, was, days[0], now, days[1])
        for extra in before.subscription.extras
    }
    await waiting.move(uow, before.contract_id, moved)


async def _billed(house: House, uow: Uow, contract_id: int) -> Billed:
    today = uow.clock.now().date()
    loaded = await subscriptions.load(uow.connection, [contract_id], today, house.settings.zone)
    return loaded[contract_id]


async def _plans_of(uow: Uow, contract_id: int) -> list[tuple[date, int]]:
    found = await uow.connection.execute(
        select(contract_plans.c.from_on, contract_plans.c.plan_id)
        .where(contract_plans.c.contract_id == contract_id)
        .order_by(contract_plans.c.from_on)
    )
    return [(row.from_on, row.plan_id) for row in found]
