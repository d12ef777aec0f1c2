"""The recurring run over a real database."""

from collections.abc import AsyncIterator
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update

from api import billing_run, commands, contract_changes
from api.billing_run import BadUntil, RunGoesOn, run
from api.enforce import Enforcer
from api.failures import Refused
from api.house import House
from api.issuing import Tally, bill_one
from api.issuing_many import bill_batch
from api.rehearsal_clock import ClockMover
from api.store.access_tables import notices
from api.store.billing_tables import (
    billed_cycles,
    billing_runs,
    contract_billing,
    discounts,
    parked_invoices,
    plan_components,
    waiting_lines,
)
from api.store.customer_tables import contracts
from api.store.money_tables import bills, invoice_lines, invoices, ledger_entries
from api.store.network_tables import usage_days
from api.store.renegotiation import disputes, pauses
from api.store.staff_tables import audit_log
from api.verify import verify
from billing.account import clear_payment, draw_notice, place_hold, prove_notice, take_promise
from billing.payer import Hold, Payment, Promise
from radius.client import DynauthClient
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.debtors import issue
from tests.support.money import add_invoice

pytestmark = pytest.mark.anyio

START = datetime.fromisoformat("2026-11-22T10:00:00-03:00")
DUE = date(2026, 12, 10)
ISSUE = date(2026, 11, 30)


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(database_url, tmp_path, now=START)
    yield made
    await made.store.close()


async def add(house: House, *, due_day: int = 10, **plan: Any) -> Added:
    return await add_contract(house, await add_plan(house, **plan), due_day=due_day)


async def move(house: House, to: str) -> date:
    async with house.uow("test", "move") as uow:
        await uow.move_clock(datetime.fromisoformat(to))
    return house.clock.now().date()


async def bill(house: House, until: date = ISSUE) -> billing_run.BillingRun:
    return await run(house, until, "corr", "test")


async def rows(house: House, table: Any, *where: Any) -> list[dict[str, Any]]:
    async with house.store.reading() as connection:
        found = await connection.execute(select(table).where(*where).order_by(*table.primary_key))
        return [dict(row) for row in found.mappings()]


async def write(house: House, *statements: Any) -> None:
    async with house.store.writing() as connection:
        for statement in statements:
            await connection.execute(statement)


async def sound(house: House) -> bool:
    async with house.store.reading() as connection:
        return await verify(house, connection) == []


async def test_a_new_contract_is_billed_from_its_day_by_its_plan(house: House) -> None:
    added = await add(house, price_cents=99_90)
    await move(house, "2026-11-29T23:00:00-03:00")
    assert (await bill(house, date(2026, 11, 29))).invoices == 0
    ran = await bill(house)
    assert (ran.invoices, ran.amount_cents, ran.parked, ran.failed) == (1, 59_94, 0, ())
    (invoice,) = await rows(house, invoices)
    assert (invoice["contract_id"], invoice["due_on"]) == (added.contract_id, DUE)
    (line,) = await rows(house, invoice_lines)
    assert (line["amount_cents"], line["kind"], line["from_on"], line["until_on"]) == (
        59_94,
        "scm",
        date(2026, 11, 22),
        DUE,
    )
    (told,) = await rows(house, billing_runs)
    assert (told["invoices"], told["amount_cents"], told["ended_at"] is None) == (1, 59_94, False)
    assert await sound(house)


async def test_a_run_for_a_day_already_run_issues_nothing(house: House) -> None:
    for _ in range(3):
        await add(house)
    assert (await bill(house)).invoices == 3
    again = await bill(house)
    assert (again.id, again.invoices) == (None, 0)
    assert len(await rows(house, invoices)) == 3


async def test_every_due_date_on_the_way_is_billed_and_cycles_join(house: House) -> None:
    added = await add(house)
    ran = await bill(house, date(2027, 4, 30))
    found = await rows(house, invoices)
    assert ran.invoices == 6
    assert [(i["due_on"], i["amount_cents"]) for i in found] == [
        (DUE, 59_94),
        *((date(2027, month, 10), 99_90) for month in range(1, 6)),
    ]
    cycles = await rows(house, billed_cycles, billed_cycles.c.contract_id == added.contract_id)
    assert all(a["billed_until"] == b["billed_from"] for a, b in pairwise(cycles))
    assert await sound(house)


async def test_a_due_date_that_is_past_becomes_one_that_can_be_kept(house: House) -> None:
    await add(house)
    today = await move(house, "2026-12-20T10:00:00-03:00")
    await bill(house, today)
    (invoice,) = await rows(house, invoices)
    assert invoice["due_on"] == today + timedelta(days=10)


async def test_one_run_at_a_time(house: House) -> None:
    await add(house)
    async with billing_run._alone(house):
        with pytest.raises(RunGoesOn, match="another billing run"):
            await bill(house)
    assert await rows(house, invoices) == []
    assert (await bill(house)).invoices == 1


async def test_a_day_that_nobody_means_is_refused(house: House) -> None:
    with pytest.raises(BadUntil, match="more than a year ahead"):
        await bill(house, date(2062, 1, 1))


async def test_who_is_billed_by_hand_is_left_alone(house: House) -> None:
    by_hand, other = await add(house), await add(house)
    row = {"contract_id": by_hand.contract_id, "due_on": DUE, "issued_at": START}
    await write(house, insert(invoices).values(**row, amount_cents=1_00))
    assert (await bill(house)).invoices == 1
    assert len(await rows(house, invoices, invoices.c.contract_id == by_hand.contract_id)) == 1
    assert len(await rows(house, invoices, invoices.c.contract_id == other.contract_id)) == 1


async def test_both_roads_write_the_same_rows(house: House) -> None:
    """What is issued a thousand at a time is what one would be."""
    plan = await add_plan(house, price_cents=99_90)
    parts = {"plan_id": plan, "from_on": date(2026, 1, 1)}
    scm = {"service": "internet", "description": "Internet", "kind": "scm", "basis_points": 6_000}
    sva = {"service": "filmes", "description": "Filmes", "kind": "sva", "basis_points": None}
    bulk, alone = await add_contract(house, plan), await add_contract(house, plan)
    await write(
        house,
        insert(plan_components).values(
            [parts | {"position": 0} | scm, parts | {"position": 1} | sva]
        ),
        insert(discounts).values(
            plan_id=plan,
            description="em dia",
            basis_points=1_000,
            conditional=True,
            from_on=date(2026, 1, 1),
        ),
    )
    await billing_run._prepare(house, "corr", "test")
    assert not await bill_one(house, alone.contract_id, DUE, "corr", "test")
    tally = Tally()
    assert await bill_batch(house, [bulk.contract_id], DUE, "corr", "test", tally) == (
        [],
        [],
    )
    assert await _told(house, bulk) == await _told(house, alone)
    assert len((await _told(house, bulk))["lines"]) == 3
    async with house.store.reading() as connection:
        # Nothing is amiss but the discount that was put there above, behind the product's back.
        assert await verify(house, connection) == ["no audit row tells of discounts 1"]


async def _told(house: House, added: Added) -> dict[str, Any]:
    """Every row of a contract's only invoice, without what differs from one to the next."""
    (invoice,) = await rows(house, invoices, invoices.c.contract_id == added.contract_id)
    number = invoice.pop("id")
    invoice.pop("contract_id")
    lines = await rows(house, invoice_lines, invoice_lines.c.invoice_id == number)
    async with house.store.reading() as connection:
        entry = (
            (
                await connection.execute(
                    select(ledger_entries).where(ledger_entries.c.reference == f"invoice:{number}")
                )
            )
            .mappings()
            .one()
        )
        postings = await connection.execute(
            text(
                "select position, account, cents from ledger_postings where entry_id = :id"
                " order by position"
            ),
            {"id": entry["id"]},
        )
        audits = await connection.execute(
            select(audit_log.c.action, audit_log.c.data, audit_log.c.actor).where(
                audit_log.c.subject == f"invoice:{number}"
            )
        )
        own = str(added.contract_id)
        found = {
            "postings": [(p, a.replace(own, "?"), c) for p, a, c in postings.all()],
            "audits": [
                (a, {k: v for k, v in d.items() if k != "contract_id"}, who)
                for a, d, who in audits.all()
            ],
        }
    document = entry["document"]
    for row in document["invoices"]:
        assert (row.pop("id"), row.pop("contract_id")) == (number, added.contract_id)
    for row in document["invoice_lines"]:
        assert row.pop("invoice_id") == number
    columns = ("reason", "rungs", "review_on", "generation", "level")
    (contract,) = await rows(house, contracts, contracts.c.id == added.contract_id)
    (cycle,) = await rows(house, billed_cycles, billed_cycles.c.contract_id == added.contract_id)
    (far,) = await rows(
        house, contract_billing, contract_billing.c.contract_id == added.contract_id
    )
    assert cycle.pop("invoice_id") == number
    for row in (cycle, far):
        row.pop("contract_id")
    return found | {
        "invoice": invoice,
        "lines": [{k: v for k, v in line.items() if k != "invoice_id"} for line in lines],
        "entry": (entry["kind"], entry["at"], entry["correlation_id"]),
        "document": document,
        "contract": {name: contract[name] for name in columns},
        "cycle": cycle,
        "far": far,
    }


async def test_contracts_of_one_payer_due_on_a_day_are_one_bill(house: House) -> None:
    plan = await add_plan(house, price_cents=99_90)
    first = await add_contract(house, plan)
    second = await add_contract(house, plan, subscriber_id=first.subscriber_id)
    other_day = await add_contract(house, plan, subscriber_id=first.subscriber_id, due_day=5)
    alone = await add_contract(house, plan)
    assert (await bill(house)).invoices == 4
    (late, joint) = sorted(await rows(house, bills), key=lambda row: row["due_on"])
    assert (late["due_on"], joint["due_on"]) == (date(2026, 12, 5), DUE)
    found = {row["contract_id"]: row for row in await rows(house, invoices)}
    assert found[first.contract_id]["bill_id"] == joint["id"]
    assert found[second.contract_id]["bill_id"] == joint["id"]
    assert found[other_day.contract_id]["bill_id"] == late["id"]
    assert found[alone.contract_id]["bill_id"] is None
    assert await sound(house)


async def test_a_run_and_an_invoice_alone_give_one_bill(house: House) -> None:
    """Whether contracts are billed together or one of them is billed alone."""
    plan = await add_plan(house)
    first = await add_contract(house, plan)
    second = await add_contract(house, plan, subscriber_id=first.subscriber_id)
    await billing_run._prepare(house, "corr", "test")
    await bill_one(house, first.contract_id, DUE, "c", "t")
    await bill_batch(house, [second.contract_id], DUE, "c", "t", Tally())
    (bill_row,) = await rows(house, bills)
    assert [row["bill_id"] for row in await rows(house, invoices)] == [bill_row["id"]] * 2
    assert await sound(house)


async def _crowd(house: House) -> list[Added]:
    """One of each kind that runs meet: plain, in debt, walled, promised, held, with credit."""
    plan = await add_plan(house, price_cents=99_90)
    metered = await add_plan(house, quota_octets=10, quota_down_bps=1_000, quota_up_bps=1_000)
    crowd = [await add_contract(house, plan, policy="simple") for _ in range(8)]
    crowd.append(await add_contract(house, metered, policy="simple"))
    crowd.append(await add_contract(house, plan, subscriber_id=crowd[0].subscriber_id))
    # Enrolled first: who has an invoice by then is billed by hand.
    await billing_run._prepare(house, "corr", "test")
    for added in crowd[1:6]:
        await issue(house, added.contract_id, date(2026, 11, 10), 50_00)
    row = {"contract_id": crowd[8].contract_id, "day": START.date()}
    await write(house, insert(usage_days).values(**row, down_octets=99, up_octets=0))
    async with house.uow("test", "crowd") as uow:
        desk = await uow.desk()
        for added in crowd[2:6]:
            account = await uow.account(added.subscriber_id)
            account, facts = draw_notice(account, await uow.draw("notices"), desk)
            await uow.record(account, facts)
        drawn = update(notices).where(notices.c.channel.is_(None))
        await uow.connection.execute(drawn.values(channel="email", content_sha256=b"x"))
        for added in crowd[3:6]:
            account = await uow.account(added.subscriber_id)
            (notice,) = account.notices
            account, facts = prove_notice(account, notice.id, START - timedelta(days=9), desk)
            await uow.record(account, facts)
        for added in crowd[4:5]:
            promise = Promise(
                await uow.draw("promises"), added.contract_id, START, date(2026, 11, 25), "x", ()
            )
            account, facts = take_promise(await uow.account(added.subscriber_id), promise, desk)
            await uow.record(account, facts)
        ahead = START + timedelta(days=30)
        number = await uow.draw("holds")
        hold = Hold(number, crowd[5].contract_id, "x", "y", START, ahead)
        account, facts = place_hold(await uow.account(crowd[5].subscriber_id), hold, desk)
        await uow.record(account, facts)
        for added, cents in ((crowd[6], 20_00), (crowd[7], 500_00)):
            money = Payment(
                id=await uow.draw("payments"),
                provider="manual",
                external_id=f"paid-{added.contract_id}",
                amount_cents=cents,
                method="cash",
                reference="",
                paid_at=START,
                cleared_at=START,
                invoice_id=None,
            )
            account, facts = clear_payment(await uow.account(added.subscriber_id), money, desk)
            await uow.record(account, facts)
    return crowd


async def test_many_accounts_are_read_as_each_alone_is(house: House) -> None:
    crowd = await _crowd(house)
    payers = {added.subscriber_id for added in crowd}
    async with house.uow("test", "read") as uow:
        many = await uow.free_accounts(payers)
        alone = {number: await uow.account(number) for number in payers}
    assert many == alone
    assert {c.access.level for a in many.values() for c in a.contracts} == {"full", "walled"}
    assert any(a.promises for a in many.values())
    assert any(a.holds for a in many.values())
    assert any(c.meter is not None for a in many.values() for c in a.contracts)
    assert sorted(a.credit_cents for a in many.values())[-2:] == [20_00, 500_00]


async def test_a_batch_issues_what_one_at_a_time_would(house: House) -> None:
    batch, single = await _crowd(house), await _crowd(house)
    await move(house, "2026-11-30T10:00:00-03:00")
    ids = [added.contract_id for added in batch]
    assert await bill_batch(house, ids, DUE, "c", "t", Tally()) == ([], [])
    for added in single:
        assert not await bill_one(house, added.contract_id, DUE, "c", "t")
    told = [await _standing(house, added) for added in batch]
    assert told == [await _standing(house, added) for added in single]
    assert [one["paid"] for one in told[6:8]] == [20_00, 59_94]
    assert {one["level"] for one in told} == {"full", "walled"}
    assert await sound(house)


async def _standing(house: House, added: Added) -> dict[str, Any]:
    """How a contract and its last invoice stand, by what is the same for its like."""
    own = invoices.c.contract_id == added.contract_id
    found = (await rows(house, invoices, own))[-1]
    (contract,) = await rows(house, contracts, contracts.c.id == added.contract_id)
    of_invoice = ("due_on", "state", "amount_cents", "discount_cents", "paid_in_time_cents")
    of_contract = ("level", "reason", "rungs", "review_on", "generation", "quota_spent_until")
    lines = await rows(house, invoice_lines, invoice_lines.c.invoice_id == found["id"])
    return {
        **{name: found[name] for name in of_invoice},
        **{name: contract[name] for name in of_contract},
        "paid": found["paid_cents"],
        "jointly": found["bill_id"] is not None,
        "lines": [(line["kind"], line["from_on"], line["amount_cents"]) for line in lines],
    }


@pytest.mark.parametrize("kind", ["pause", "dispute"])
async def test_a_day_that_somebody_waits_for_outlives_a_batch(house: House, kind: str) -> None:
    """Else it would be forgotten by the look that every invoice ends with."""
    many, alone = await add(house), await add(house)
    await billing_run._prepare(house, "corr", "test")
    made = house.clock.now()
    for added in (many, alone):
        row: dict[str, Any] = {"contract_id": added.contract_id, "author": "ana"}
        if kind == "pause":
            days = {"from_on": DUE, "until_on": DUE + timedelta(days=40)}
            await write(house, insert(pauses).values(**row, **days, asked_at=made))
        else:
            number = await issue(house, added.contract_id, DUE)
            row |= {"invoice_id": number, "cents": 1, "frozen_cents": 1, "reason": "x"}
            await write(house, insert(disputes).values(**row, opened_at=made, state="open"))
            disputed = update(invoices).where(invoices.c.id == number)
            await write(house, disputed.values(state="disputed"))
    await move(house, "2026-11-30T10:00:00-03:00")
    await bill_batch(house, [many.contract_id], DUE, "c", "t", Tally())
    await bill_one(house, alone.contract_id, DUE, "c", "t")
    told = await _standing(house, many)
    assert told == await _standing(house, alone)
    if kind == "pause":
        assert told["review_on"] is not None


async def test_what_is_absurd_is_parked_once_and_issued_when_it_is_right(house: House) -> None:
    added = await add(house)
    line = {
        "contract_id": added.contract_id,
        "description": "Desconto",
        "kind": "one_off",
        "due_from": DUE,
        "by_hand": True,
        "author": "test",
        "amount_cents": -500_00,
    }
    await write(house, insert(waiting_lines).values(**line))
    ran = await bill(house)
    assert (ran.invoices, ran.parked) == (0, 1)
    assert (await bill(house)).parked == 0
    (parked,) = await rows(house, parked_invoices)
    assert (parked["flaws"], parked["state"], parked["amount_cents"]) == (
        ["negative"],
        "parked",
        -440_06,
    )
    await write(house, update(waiting_lines).values(amount_cents=-9_94))
    assert (await bill(house)).amount_cents == 50_00
    (parked,) = await rows(house, parked_invoices)
    assert parked["state"] == "issued"
    assert parked["invoice_id"] is not None


async def test_a_run_cut_short_is_gone_on_with(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        await add(house)
    monkeypatch.setattr(billing_run, "BATCH", 2)
    monkeypatch.setattr(billing_run, "AT_ONCE", 1)
    reached: list[str] = []

    def die(point: str) -> None:
        reached.append(point)
        if point == "billing-written" and reached.count(point) == 2:
            raise RuntimeError(point)

    monkeypatch.setattr("api.crashpoints.reach", die)
    with pytest.raises(RuntimeError, match="billing-written"):
        await bill(house)
    assert len(await rows(house, invoices)) == 2
    monkeypatch.setattr("api.crashpoints.reach", lambda point: None)
    assert (await bill(house)).invoices == 3
    assert len(await rows(house, invoices)) == 5
    assert await sound(house)


async def test_what_is_parked_makes_no_run_of_every_look(house: House) -> None:
    added = await add(house)
    line = {"contract_id": added.contract_id, "description": "x", "kind": "one_off"}
    rest = {"due_from": DUE, "by_hand": True, "author": "test", "amount_cents": -500_00}
    await write(house, insert(waiting_lines).values(**line, **rest))
    assert (await bill(house)).id is not None
    assert (await bill(house)).id is None
    assert len(await rows(house, billing_runs)) == 1


async def test_what_gives_back_just_what_is_charged_does_so_once(house: House) -> None:
    added = await add(house)
    async with house.uow("ana", "gift") as uow:
        await contract_changes.add_one_off(house, uow, added.contract_id, "Brinde", -59_94, "ana")
    for day in ("2026-11-30", "2026-12-31", "2027-01-31"):
        await move(house, f"{day}T10:00:00-03:00")
        await bill(house, date.fromisoformat(day))
    issued = await rows(house, invoices)
    assert [(row["due_on"], row["amount_cents"]) for row in issued] == [
        (date(2027, 1, 10), 99_90),
        (date(2027, 2, 10), 99_90),
    ]
    # The first one pays for both cycles, and has the line.
    lines = await rows(house, invoice_lines, invoice_lines.c.invoice_id == issued[0]["id"])
    assert sorted(row["amount_cents"] for row in lines) == [-59_94, 59_94, 99_90]
    (line,) = await rows(house, waiting_lines)
    assert line["invoice_id"] == issued[0]["id"]
    async with house.store.reading() as connection:
        assert await verify(house, connection) == []


@pytest.mark.parametrize(("billing", "count"), [("on", 2), ("", 2), ("off", 0)])
async def test_the_rehearsal_clock_bills_each_day_of_issue(
    database_url: str, tmp_path: Path, billing: str, count: int
) -> None:
    house = await make_house(database_url, tmp_path, now=START, billing=billing)
    client = DynauthClient()
    try:
        await add(house, price_cents=99_90)
        mover = ClockMover(house, Enforcer(house, client))
        await mover.move(datetime.fromisoformat("2027-01-31T12:00:00-03:00"), "corr")
        found = await rows(house, invoices)
        issued = [i["issued_at"].astimezone(house.settings.zone).date() for i in found]
        # Never paid, so walled in January: what that month would cost is given back whole.
        assert issued == [ISSUE, date(2026, 12, 31)][:count]
        done = await rows(house, billed_cycles)
        assert [item["invoice_id"] is None for item in done] == [False, False, True][: len(done)]
        assert await sound(house)
    finally:
        await client.close()
        await house.store.close()


@pytest.mark.parametrize(("billing", "count"), [("on", 2), ("", 1)])
async def test_who_bills_by_hand_first_is_left_alone_in_rehearsal(
    database_url: str, tmp_path: Path, billing: str, count: int
) -> None:
    house = await make_house(database_url, tmp_path, now=START, billing=billing)
    client = DynauthClient()
    try:
        by_hand, plan_id = await add(house, price_cents=99_90), await add_plan(house)
        await add_contract(house, plan_id)
        await add_invoice(house, by_hand, ISSUE + timedelta(days=20))
        mover = ClockMover(house, Enforcer(house, client))
        await mover.move(datetime.combine(DUE, time(12), house.settings.zone), "corr")
        assert len(await rows(house, invoices)) == count
    finally:
        await client.close()
        await house.store.close()


async def test_the_command_says_what_it_did_and_what_it_cannot(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    house = await make_house(database_url, tmp_path)
    await add(house)
    until = house.clock.now().date() + timedelta(days=40)
    assert await commands.bill(house.settings, until) == 0
    assert " cents issued, 0 parked" in capsys.readouterr().out
    assert await commands.bill(house.settings, until) == 0
    assert "billed already" in capsys.readouterr().out
    with pytest.raises(Refused, match="more than a year ahead"):
        await commands.bill(house.settings, until + timedelta(days=4_000))
    async with billing_run._alone(house):
        with pytest.raises(Refused, match="another billing run"):
            await commands.bill(house.settings, until)
    await house.store.close()
