"""Bounds of a sweep beyond the share of all: this weekday's usual number, and each NAS."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from api.drip import make
from api.previewing import preview
from tests.support.database import add_nas
from tests.support.late_payers import WALLED_AT, Late, late

pytestmark = pytest.mark.anyio


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Late]:
    """Six debtors, of whom a sweep may cut all but for what their NAS or the weekday says."""
    made = await late(
        database_url,
        tmp_path,
        6,
        cuts_sweep_percent=100,
        cuts_sweep_floor=2,
        cuts_day_percent=100,
        cuts_nas_floor=2,
    )
    yield made
    await made.house.store.close()


async def _swept(scene: Late, weeks_ago: int, cuts: int, state: str = "done") -> None:
    """A plan of so many weeks ago, as it was kept."""
    await scene.change(
        "with plan as (insert into review_plans (state, made_at, actor, correlation_id, hash, cuts,"
        " active, cuts_max, totals, expires_at) values (:state, :at, 'a', 'c', '\\x00', :cuts, 9,"
        " 9, '{}', :at) returning id)"
        " insert into review_rows (plan_id, contract_id, subscriber_id, subscriber, region, nas,"
        " before, after, reason, counted_cents, invoice_ids, policy, policy_version, state)"
        " select plan.id, n, n, '', '', '', 'full', 'walled', 'step_reached', 1, '{}', 'p', 1,"
        " case when :state = 'refused' then 'shown' when n <= :cuts then 'cut' else 'left' end"
        " from plan, generate_series(1, :cuts + 5) n",
        state=state,
        at=WALLED_AT - weeks_ago * timedelta(days=7),
        cuts=cuts,
    )


async def test_three_times_what_this_weekday_usually_has(scene: Late) -> None:
    await scene.at_the_cut()
    # Seven Mondays, two sweeps on one of them, say nothing yet; other days and refused plans never.
    for week in range(1, 7):
        await _swept(scene, week, 1)
    await _swept(scene, 7, 1)
    await _swept(scene, 7, 2)
    await _swept(scene, 8, 50, "refused")
    await scene.change("update review_plans set state = 'expired' where state = 'refused'")
    found = await preview(scene.house, None)
    assert (found.flaws, found.cuts_max, found.cuts_max_by) == ((), 6, "share")
    # The eighth: the median is one, and six are more than three.
    await _swept(scene, 9, 1)
    found = await preview(scene.house, None)
    assert (found.flaws, found.cuts_max, found.cuts_max_by) == (("too_many",), 3, "usual")
    # A look ahead to Tuesday knows that it is none of them.
    ahead = await preview(scene.house, None, WALLED_AT + timedelta(days=1))
    assert (ahead.cuts_max, ahead.cuts_max_by) == (6, "share")
    assert (await scene.run()).flaws == ("too_many",)
    plan = await scene.plan()
    assert (plan["cuts"], plan["cuts_max"], plan["cuts_max_by"]) == (6, 3, "usual")
    assert await scene.levels() == ["full"] * 6


async def test_a_nas_of_which_too_many_would_be_cut_refuses_the_plan_and_is_named(
    scene: Late,
) -> None:
    # Four lines on one NAS, two on another: of each a sweep may cut its share, two at least.
    await scene.at_the_cut()
    small = {"cuts_sweep_percent": 50}
    scene.house = replace(scene.house, settings=scene.house.settings.model_copy(update=small))
    for number, name in enumerate(("bng-1", "bng-2")):
        nas_id = await add_nas(scene.house, name, address=f"127.0.0.{number + 1}")
        for debtor in scene.debtors[:4] if name == "bng-1" else scene.debtors[4:]:
            await scene.change(
                "insert into sessions (unique_id, acct_session_id, username, contract_id, nas_id,"
                " nas_address, started_at, updated_at, received_at, stopped_at) values"
                " (:u, 's', 'n', :id, :nas, '127.0.0.1', now(), now(), now(), now())",
                u=debtor.username.encode(),
                id=debtor.contract_id,
                nas=nas_id,
            )
    # Three of six are few enough for a sweep, and too many of four on one NAS.
    await scene.change(
        "update contracts set review_on = :on where id = any(:ids)",
        on=WALLED_AT + timedelta(hours=1),
        ids=[debtor.contract_id for debtor in scene.debtors[3:]],
    )
    found = await preview(scene.house, None)
    assert (found.flaws, found.cuts_max, found.cuts_max_by) == (("too_many_on_nas",), 3, "share")
    assert (await scene.run()).flaws == ("too_many_on_nas",)
    assert await scene.levels() == ["full"] * 6
    plan = await scene.plan()
    assert plan["crowded"] == [{"nas": "bng-1", "cuts": 3, "cuts_max": 2, "contracts": 4}]
    assert (plan["state"], plan["expires_at"]) == ("refused", WALLED_AT + timedelta(hours=1))
    # Two people may let it go.
    await scene.release(plan, "ana", "bia")
    assert len((await make(scene.house, plan["id"]))[0]) == 3
