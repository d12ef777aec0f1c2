"""A plan's first cuts go alone, and what they bring stops the rest."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.drip import make
from api.enforce import Enforcer
from api.rehearsal_clock import ClockMover
from api.store import canary_rows
from api.store.guard_tables import cuts, review_plans, review_rows
from api.store.uow import Store
from billing.ladder import Bar
from radius.client import DynauthClient
from tests.support.debtors import audited, move_clock, rows
from tests.support.late_payers import WALLED_AT, Late, late

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)
OPEN, SHUT = "full", "walled"


@pytest.fixture
async def watched(database_url: str, tmp_path: Path) -> AsyncIterator[Late]:
    """Five debtors; after the first two of them a plan waits five minutes."""
    made = await late(database_url, tmp_path, 5, cuts_canary=2, cuts_canary_minutes=5)
    yield made
    await made.house.store.close()


async def _plans(scene: Late) -> list[tuple[Any, ...]]:
    names = ("state", "cuts", "canary", "flaws", "rest_of", "signs")
    return [tuple(row[name] for name in names) for row in await rows(scene.house, review_plans)]


async def test_the_first_go_alone_and_a_restart_goes_on_there(watched: Late) -> None:
    await watched.at_the_cut()
    ran = await watched.run()
    assert (len(ran.changes), ran.waiting) == (2, 3)
    assert await _plans(watched) == [("running", 5, "waiting", [], None, [])]
    await move_clock(watched.house, WALLED_AT + 4 * MINUTE)
    ran = await watched.run()
    assert (ran.accounts, ran.changes, ran.plan_id, ran.waiting) == (0, (), None, 3)
    # Another process, which knows of it only by the rows.
    other = replace(watched.house, store=Store(watched.house.store.url))
    assert await make(other, None) == ([], 3)
    await move_clock(watched.house, WALLED_AT + 5 * MINUTE)
    assert len((await make(other, None))[0]) == 3
    await other.store.close()
    assert await watched.levels() == [SHUT] * 5
    assert await _plans(watched) == [("done", 5, "passed", [], None, [])]


async def test_one_who_pays_stops_the_rest_until_two_people_have_looked(watched: Late) -> None:
    await watched.at_the_cut()
    await watched.run()
    plan = await watched.plan()
    await move_clock(watched.house, WALLED_AT + MINUTE)
    first = watched.debtors[0].contract_id
    await watched.pay(0)
    assert await watched.levels() == [OPEN, SHUT, OPEN, OPEN, OPEN]
    ran = await watched.run()
    assert (ran.changes, ran.waiting) == ((), 0)
    sign = {"contract_id": first, "sign": "payment"}
    assert await _plans(watched) == [
        ("done", 5, "stopped", [], None, []),
        ("refused", 3, None, ["canary"], plan["id"], [sign]),
    ]
    rest = await watched.plan()
    assert rest["expires_at"] == WALLED_AT + 61 * MINUTE
    kept = await rows(watched.house, review_rows)
    assert [(row["state"], row["outcome"]) for row in kept] == [
        ("cut", "step_reached"),
        ("cut", "step_reached"),
        *[("left", "canary")] * 3,
        *[("shown", None)] * 3,
    ]
    (told,) = await audited(watched.house, "review.stopped")
    assert told["data"] == {"cuts": 3, "signs": [f"payment of contract {first}"]}
    # Nobody else is cut meanwhile, and nobody of them is planned again.
    async with watched.house.uow("test", "desk") as uow:
        assert (await uow.desk()).bars == (Bar.GUARD,)
    assert (await watched.run()).accounts == 0
    # Released, the rest has no first ones again: the two have seen what stopped it.
    assert await watched.release(rest, "ana", "bia") == ["refused", "released"]
    assert len((await make(watched.house, rest["id"]))[0]) == 3
    assert await watched.levels() == [OPEN, *[SHUT] * 4]


async def test_a_promise_a_dispute_a_hold_and_money_on_its_way_are_signs(watched: Late) -> None:
    await watched.at_the_cut()
    await watched.run()
    first, second = (debtor.contract_id for debtor in watched.debtors[:2])
    others = [debtor.contract_id for debtor in watched.debtors[2:]]
    plan = await watched.plan()
    for statement in (
        "insert into promises (contract_id, made_at, until_on, author, debt_invoice_ids)"
        " values (:id, :at, '2026-09-23', 'ana', '{}')",
        "insert into holds (contract_id, author, reason, placed_at, expires_at)"
        " values (:id, 'ana', 'reclama', :at, cast(:at as timestamptz) + interval '1 day')",
        "insert into disputes (invoice_id, contract_id, cents, frozen_cents, reason, author,"
        " opened_at, state) select i.id, :id, 100, 100, 'errada', 'ana', :at, 'open'"
        " from invoices i where i.contract_id = :id",
    ):
        # What stood before the cut is no sign, nor what others do.
        for contract_id, at in (
            (first, WALLED_AT - MINUTE),
            (others[0], WALLED_AT + MINUTE),
            (second, WALLED_AT + MINUTE),
        ):
            await watched.change(statement, id=contract_id, at=at)
    await watched.change(
        "insert into charges (provider, txid, invoice_id, amount_cents, copy_and_paste, created_at)"
        " values ('pix', 'tx', :id, 9990, '', now())",
        id=watched.invoice_ids[0],
    )
    await watched.change(
        "insert into payment_notices (provider, external_id, kind, sha256, body, correlation_id,"
        " received_at) values ('pix', 'e', 'pix', '\\x00', '{\"txid\": \"tx\"}', 'c', :at)",
        at=WALLED_AT + MINUTE,
    )
    async with watched.house.uow("test", "signs") as uow:
        assert await canary_rows.signs(uow.connection, plan["id"]) == [
            (first, "payment"),
            *[(second, sign) for sign in ("dispute", "hold", "promise")],
        ]
    # Seen at the last instant of the wait too.
    await move_clock(watched.house, WALLED_AT + 5 * MINUTE)
    assert await make(watched.house, None) == ([], 0)
    assert (await watched.plan())["flaws"] == ["canary"]
    assert len(await rows(watched.house, cuts)) == 2


async def test_the_clock_stops_where_a_wait_ends(watched: Late) -> None:
    await watched.to_the_eve()
    mover = ClockMover(watched.house, Enforcer(watched.house, DynauthClient()))
    moved = await mover.move(WALLED_AT + 3 * MINUTE, "walk")
    assert (await watched.levels(), moved["open"]) == ([SHUT, SHUT, OPEN, OPEN, OPEN], 0)
    await mover.move(WALLED_AT + 60 * MINUTE, "walk")
    assert await watched.levels() == [SHUT] * 5
    at = [row["at"] for row in await rows(watched.house, cuts)]
    assert at == [*[WALLED_AT] * 2, *[WALLED_AT + 5 * MINUTE] * 3]


async def test_in_rehearsal_nobody_waits_unless_told_to(database_url: str, tmp_path: Path) -> None:
    made = await late(database_url, tmp_path, 12)
    await made.to_the_eve()
    mover = ClockMover(made.house, Enforcer(made.house, DynauthClient()))
    await mover.move(WALLED_AT, "walk")
    assert await made.levels() == [SHUT] * 12
    assert await _plans(made) == [("done", 12, "passed", [], None, [])]
    await made.house.store.close()
