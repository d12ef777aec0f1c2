"""Planted disasters: nobody is cut wrongly, and restores go on at once."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from api import guards, kill_switch, review
from api.drip import make
from api.guards import ReleaseRefused
from api.previewing import preview
from api.store import guard_rows, trusted_rules
from api.store.access_tables import notices
from api.store.customer_tables import contracts
from api.store.guard_rows import Place
from api.store.guard_tables import cuts, review_plans, review_rows
from billing.ladder import Bar
from tests.support.database import add_nas
from tests.support.debtors import audited, issue, move_clock, rows
from tests.support.late_payers import START, WALLED_AT, Late, late

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Late]:
    """Four debtors, of whom a sweep may cut three."""
    made = await late(database_url, tmp_path, 4, cuts_sweep_floor=3, cuts_day_floor=3)
    yield made
    await made.house.store.close()


@pytest.fixture
async def small(database_url: str, tmp_path: Path) -> AsyncIterator[Late]:
    """Two debtors: few enough for every guard."""
    made = await late(database_url, tmp_path, 2)
    yield made
    await made.house.store.close()


async def test_an_import_that_makes_everybody_late_cuts_nobody(scene: Late) -> None:
    await scene.at_the_cut()
    ran = await scene.run()
    assert (ran.changes, ran.flaws) == ((), ("too_many", "too_many_today"))
    assert await scene.levels() == ["full"] * 4
    plan = await scene.plan()
    assert (plan["state"], plan["cuts"], plan["cuts_max"]) == ("refused", 4, 3)
    assert plan["expires_at"] == WALLED_AT + HOUR
    kept = await rows(scene.house, review_rows)
    assert [(row["contract_id"], row["after"], row["state"]) for row in kept] == [
        (debtor.contract_id, "walled", "shown") for debtor in scene.debtors
    ]
    (told,) = await audited(scene.house, "review.refused")
    assert told["data"]["hash"] == bytes(plan["hash"]).hex()
    # Off the schedule, and nobody is cut past the guard while it waits.
    assert (await scene.run()).accounts == 0
    async with scene.house.uow("test", "desk") as uow:
        assert (await uow.desk()).bars == (Bar.GUARD,)


async def test_two_people_release_a_plan_and_what_changed_is_not_done(scene: Late) -> None:
    await scene.at_the_cut()
    await scene.run()
    plan = await scene.plan()
    with pytest.raises(ReleaseRefused, match="not the hash"):
        await scene.release(plan | {"hash": b"other"}, "ana")
    assert await scene.release(plan, "ana") == ["refused"]
    with pytest.raises(ReleaseRefused, match="another person"):
        await scene.release(plan, "ana")
    assert await scene.levels() == ["full"] * 4
    # Between plan and release one pays all, and one pays a part: that is another cut.
    await scene.pay(0)
    await scene.pay(1, 1_000)
    assert await scene.release(plan, "bia") == ["released"]
    made, waiting = await make(scene.house, plan["id"])
    assert ([cut.contract_id for cut in made], waiting) == (
        [debtor.contract_id for debtor in scene.debtors[2:]],
        0,
    )
    assert await scene.levels() == ["full", "full", "walled", "walled"]
    kept = await rows(scene.house, review_rows)
    assert [(row["state"], row["outcome"]) for row in kept] == [
        ("left", "no_debt"),
        ("left", "changed"),
        ("cut", "step_reached"),
        ("cut", "step_reached"),
    ]
    assert (await scene.plan())["state"] == "done"
    (told,) = await audited(scene.house, "review.released")
    assert (told["actor"], told["data"]["people"]) == ("bia", ["ana", "bia"])
    # The one that changed is planned by the next sweep like any other.
    assert [cut.contract_id for cut in (await scene.run()).changes] == [
        scene.debtors[1].contract_id
    ]


async def test_a_plan_expires_and_is_made_anew(scene: Late) -> None:
    await scene.at_the_cut()
    await scene.run()
    plan = await scene.plan()
    await move_clock(scene.house, WALLED_AT + HOUR)
    with pytest.raises(ReleaseRefused, match="expired"):
        await scene.release(plan, "ana")
    await scene.pay(0)
    # Three are few enough for a sweep.
    ran = await scene.run()
    assert (len(ran.changes), ran.flaws) == (3, ())
    assert [row["state"] for row in await rows(scene.house, review_plans)] == ["expired", "done"]


async def test_cuts_of_all_sources_are_counted_in_a_rolling_day(scene: Late) -> None:
    await scene.at_the_cut()
    await scene.change("update contracts set review_on = :on where id = :id",
                       on=WALLED_AT + HOUR, id=scene.debtors[3].contract_id)  # fmt: skip
    assert len((await scene.run()).changes) == 3
    assert len(await rows(scene.house, cuts)) == 3
    await move_clock(scene.house, WALLED_AT + HOUR)
    # A look at a single account, as a payment has it, cuts nobody past the guard either.
    async with scene.house.uow("test", "look") as uow:
        account = await uow.account(scene.debtors[3].subscriber_id)
        desk = await uow.desk()
    assert (account.contracts[0].access.level, desk.bars) == ("full", (Bar.GUARD,))
    assert (await scene.run()).flaws == ("too_many_today",)
    await move_clock(scene.house, WALLED_AT + 24 * HOUR)
    assert [cut.contract_id for cut in (await scene.run()).changes] == [
        scene.debtors[3].contract_id
    ]


async def test_a_feed_dead_for_three_days_cuts_nobody_and_restores_go_on(small: Late) -> None:
    await small.at_the_cut()
    await small.hear(WALLED_AT - timedelta(days=3))
    await small.hear(WALLED_AT, "card")
    await small.set_fact("clock_seen", WALLED_AT - HOUR)
    ran = await small.run()
    assert (ran.changes, ran.flaws) == ((), ("stale_feed",))
    # The clock is right meanwhile, or it would be taken for ahead once the feed is back.
    async with small.house.uow("test", "sight") as uow:
        assert (await guard_rows.sight(uow.connection, uow.clock.now())).seen_at == WALLED_AT
    assert await small.levels() == ["full"] * 2
    # Nobody can answer for payments that nobody sees.
    with pytest.raises(ReleaseRefused, match="stale_feed"):
        await small.release(await small.plan(), "ana", "bia")
    await move_clock(small.house, WALLED_AT + 30 * timedelta(minutes=1))
    await small.hear(WALLED_AT + 30 * timedelta(minutes=1))
    await small.hear(WALLED_AT + 30 * timedelta(minutes=1), "card")
    # Heard again: one of the two had paid; the other is looked at by itself.
    await small.pay(0)
    assert [cut.contract_id for cut in (await small.run()).changes] == [
        small.debtors[1].contract_id
    ]
    assert [row["state"] for row in await rows(small.house, review_plans)] == ["overtaken", "done"]


async def test_restores_pass_every_guard(small: Late) -> None:
    await small.at_the_cut()
    assert len((await small.run()).changes) == 2
    await small.hear(WALLED_AT - timedelta(days=3))
    await small.set_fact("clock_seen", (WALLED_AT - timedelta(days=40)))
    async with small.house.uow("ana", "switch") as uow:
        await kill_switch.put(uow, Place("global"), "alarme")
        assert (await guard_rows.sight(uow.connection, uow.clock.now())).switched_off
    began = datetime.now(UTC)
    await small.pay(0)
    assert await small.levels() == ["full", "walled"]
    # One that a sweep finds, in the same sweep whose cuts are refused; its cut was made long ago.
    await small.change(
        "insert into sessions (unique_id, acct_session_id, username, contract_id, nas_id,"
        " nas_address, started_at, updated_at, received_at, stopped_at, applied_generation)"
        " select '\\x00', 's', 'n', :id, :nas, '127.0.0.1', now(), now(), now(), now(), 9",
        id=small.debtors[1].contract_id,
        nas=await add_nas(small.house, "bng-1"),
    )
    await small.change("update invoices set amount_cents = 0, state = 'void' where id = :id",
                       id=small.invoice_ids[1])  # fmt: skip
    await small.change("update contracts set review_on = :on", on=WALLED_AT)
    assert [change.after for change in (await small.run()).changes] == ["full"]
    # A guard that holds a restore holds it for its own window, minutes at the least.
    assert datetime.now(UTC) - began < timedelta(seconds=30)


async def test_a_clock_40_days_ahead_cuts_nobody(small: Late) -> None:
    await small.to_the_eve()
    await small.set_fact("clock", (WALLED_AT + timedelta(days=44)))
    ran = await small.run()
    assert (ran.changes, ran.flaws) == ((), ("clock_ahead",))
    assert await small.levels() == ["full"] * 2
    # Two people who looked at a calendar may say that it is right.
    plan = await small.plan()
    assert await small.release(plan, "ana", "bia") == ["refused", "released"]
    assert len((await make(small.house, plan["id"]))[0]) == 2


async def test_a_clock_put_right_leaves_nothing_behind(small: Late) -> None:
    await small.to_the_eve()
    for debtor in small.debtors:
        await issue(small.house, debtor.contract_id, date(2026, 10, 10))
    told = len(await rows(small.house, notices))
    await small.set_fact("clock", WALLED_AT + timedelta(days=40))
    assert (await small.run()).flaws == ("clock_ahead",)
    # People are asked once; nobody is told that he owes what is not due.
    assert (await small.run()).accounts == 0
    assert len(await rows(small.house, notices)) == told
    assert (await small.plan())["cuts"] == 0  # it says that it is Saturday
    await small.set_fact("clock", WALLED_AT)
    # A payment on the instant of the cut does not make it past the guards.
    await small.pay(0, 1_000)
    assert await small.levels() == ["full"] * 2
    assert len((await small.run()).changes) == 2
    assert [row["state"] for row in await rows(small.house, review_plans)] == ["expired", "done"]


async def test_while_people_are_asked_for_the_day_a_line_is_restored_and_none_is_cut(
    small: Late,
) -> None:
    await small.to_the_eve()
    await small.change(
        "insert into holds (contract_id, author, reason, placed_at, expires_at)"
        " values (:id, 'ana', 'x', :at, cast(:at as timestamptz) + interval '1 hour')",
        id=small.debtors[1].contract_id,
        at=WALLED_AT,
    )
    await move_clock(small.house, WALLED_AT)
    assert len((await small.run()).changes) == 1
    await small.set_fact("clock", WALLED_AT + timedelta(days=40))
    assert (await small.run()).flaws == ("clock_ahead",)
    asked = len(await rows(small.house, review_plans))
    # What the first one owed is void, by a way that tells nobody.
    first = small.debtors[0]
    await small.change("update invoices set amount_cents = 0, state = 'void' where id = :id",
                       id=small.invoice_ids[0])  # fmt: skip
    await small.change("update contracts set review_on = :on", on=WALLED_AT)
    ran = await small.run()
    assert [(change.contract_id, change.after) for change in ran.changes] == [
        (first.contract_id, "full")
    ]
    assert await small.levels() == ["full"] * 2
    assert len(await rows(small.house, review_plans)) == asked


async def test_people_are_asked_for_the_day_with_nobody_to_cut(small: Late) -> None:
    await small.set_fact("clock", START + timedelta(days=3))
    await small.set_fact("clock_seen", START)
    assert (await small.run()).flaws == ("clock_ahead",)
    plan = await small.plan()
    assert (plan["cuts"], plan["state"]) == (0, "refused")
    assert await small.release(plan, "ana", "bia") == ["refused", "released"]
    assert (await small.run()).flaws == ()
    assert (await small.plan())["state"] == "done"


async def test_a_clock_that_went_back_cuts_nobody(small: Late) -> None:
    await small.at_the_cut()
    await small.set_fact("clock_seen", WALLED_AT + HOUR)
    assert (await small.run()).flaws == ("clock_back",)
    assert await small.levels() == ["full"] * 2


async def test_a_hasty_policy_cuts_nobody(scene: Late) -> None:
    await scene.to_the_eve()
    hasty = '{"law": "none", "notice_days": 0, "notice_after_days": 0, "cut_any_day": true}'
    await scene.change(
        "insert into policies values ('anatel-765', 2, cast(:document as jsonb), 'ana', now())",
        document=hasty,
    )
    await scene.change("update contracts set review_on = :on",
                       on=datetime(2026, 9, 10, 15, tzinfo=UTC))  # fmt: skip
    # It would have had everybody cut before the law allows.
    await move_clock(scene.house, WALLED_AT - timedelta(minutes=5))
    await move_clock(scene.house, datetime(2026, 9, 18, 15, tzinfo=UTC))
    ran = await scene.run()
    assert (ran.changes, ran.flaws[:2]) == ((), ("new_rules", "too_many"))
    assert await scene.levels() == ["full"] * 4


async def test_few_cuts_by_rules_that_nobody_answered_for_wait_for_two_people(scene: Late) -> None:
    await scene.to_the_eve()
    await scene.pay(3)
    harsher = '{"steps": [{"level": "blocked", "anchor": "maturity", "after_days": 0}]}'
    await scene.change(
        "insert into policies (name, version, document, author, created_at)"
        " values ('anatel-765', 2, cast(:document as jsonb), 'ana', now())",
        document=harsher,
    )
    await scene.run()
    await move_clock(scene.house, WALLED_AT)
    assert (await preview(scene.house, None)).flaws == ("new_rules",)
    assert (await scene.run()).flaws == ("new_rules",)
    assert await scene.levels() == ["full"] * 4
    plan = await scene.plan()
    assert await scene.release(plan, "ana", "bia") == ["refused", "released"]
    assert len((await make(scene.house, plan["id"]))[0]) == 3
    assert await scene.levels() == ["blocked"] * 3 + ["full"]
    async with scene.house.uow("test", "doubt") as uow:
        today = uow.clock.now().date()
        assert await trusted_rules.doubted(uow.connection, today, 3) == {}


async def test_rules_of_few_contracts_need_nobodys_answer(small: Late) -> None:
    await small.to_the_eve()
    harsher = '{"steps": [{"level": "blocked", "anchor": "maturity", "after_days": 0}]}'
    await small.change(
        "insert into policies (name, version, document, author, created_at)"
        " values ('anatel-765', 2, cast(:document as jsonb), 'ana', now())",
        document=harsher,
    )
    await move_clock(small.house, WALLED_AT)
    assert (await small.run()).flaws == ()
    assert await small.levels() == ["blocked"] * 2


async def test_the_preview_says_why_and_why_not(scene: Late) -> None:
    await scene.at_the_cut()
    await scene.change(
        "insert into holds (contract_id, author, reason, placed_at, expires_at)"
        " values (:id, 'ana', 'internado', :now, :until)",
        id=scene.debtors[0].contract_id,
        now=WALLED_AT,
        until=WALLED_AT + 24 * HOUR,
    )
    async with scene.house.uow("ana", "switch") as uow:
        await kill_switch.put(uow, Place("contract", None, scene.debtors[1].contract_id), "juiz")
    before = await rows(scene.house, contracts)
    found = await preview(scene.house, None)
    assert [(row.reason, row.after.value, row.is_cut) for row in found.rows] == [
        ("hold", "full", False),
        ("kill_switch", "full", False),
        ("step_reached", "walled", True),
        ("step_reached", "walled", True),
    ]
    assert (found.flaws, found.cuts_max) == ((), 3)
    totals = guards.totals(found.rows)
    assert (totals["cuts"], totals["unchanged"]) == (2, 2)
    assert await rows(scene.house, contracts) == before
    assert len((await scene.run()).changes) == 2
    # No sweep looks at the two again today; people see them all the same.
    assert (await scene.run()).accounts == 0
    found = await preview(scene.house, None)
    assert [(row.contract_id, row.reason) for row in found.rows] == [
        (scene.debtors[0].contract_id, "hold"),
        (scene.debtors[1].contract_id, "kill_switch"),
    ]


async def test_money_on_its_way_stops_the_cut_of_its_payer_alone(small: Late) -> None:
    await small.at_the_cut()
    await small.change(
        "insert into charges (provider, txid, invoice_id, amount_cents, copy_and_paste, created_at)"
        " values ('pix', 'tx', :id, 9990, '', now())",
        id=small.invoice_ids[0],
    )
    await small.change(
        "insert into payment_notices (provider, external_id, kind, sha256, body, correlation_id,"
        " received_at) values ('pix', 'e', 'pix', '\\x00', '{\"txid\": \"tx\"}', 'c', now())"
    )
    ran = await small.run()
    assert [cut.contract_id for cut in ran.changes] == [small.debtors[1].contract_id]
    assert (await rows(small.house, contracts))[0]["reason"] == "stale_feed"
    await small.change("update payment_notices set state = 'refused'")
    assert len((await small.run()).changes) == 1


async def test_a_switch_on_a_nas_holds_the_lines_on_it(small: Late) -> None:
    await small.to_the_eve()
    nas_id = await add_nas(small.house, "bng-1")
    await small.change(
        "insert into sessions (unique_id, acct_session_id, username, contract_id, nas_id,"
        " nas_address, started_at, updated_at, received_at, stopped_at) values ('u', 's', 'n', :id,"
        " :nas, '127.0.0.1', now(), now(), now(), now())",
        id=small.debtors[0].contract_id,
        nas=nas_id,
    )
    place = Place("nas", nas_id)
    async with small.house.uow("ana", "switch") as uow:
        assert (await kill_switch.put(uow, place, "troca")).new
        assert not (await kill_switch.put(uow, place, "troca")).new
    await move_clock(small.house, WALLED_AT)
    await small.run()
    assert await small.levels() == ["full", "walled"]
    assert (await small.run()).accounts == 0
    async with small.house.uow("ana", "switch") as uow:
        assert await kill_switch.lift(uow, place, "pronto") == 1
    await small.run()
    assert await small.levels() == ["walled", "walled"]
    with pytest.raises(kill_switch.NotSwitched):
        async with small.house.uow("ana", "switch") as uow:
            await kill_switch.lift(uow, place, "pronto")


async def test_a_run_cut_short_goes_on_where_it_was(small: Late) -> None:
    await small.at_the_cut()
    ran = await review.sweep(small.house, None, "correlation", "test")
    assert (ran.waiting, await small.levels()) == (2, ["full"] * 2)
    # Waiting is not due: nobody is planned twice.
    again = await review.sweep(small.house, None, "correlation", "test")
    assert (again.accounts, again.plan_id) == (0, None)
    # A payment that came meanwhile wins.
    await small.pay(0)
    assert len((await small.run()).changes) == 1
    assert await small.levels() == ["full", "walled"]
    kept = await rows(small.house, review_rows)
    assert [(row["state"], row["outcome"]) for row in kept] == [
        ("left", "no_debt"),
        ("cut", "step_reached"),
    ]
