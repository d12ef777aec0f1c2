"""What the judge must see before it cuts: whole books, feeds in use, the policy that rules."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api import book_check, guards, review
from api.drip import make
from api.guards import ReleaseRefused
from api.house import House
from api.operators import Role
from api.previewing import preview
from api.store.access_tables import access_decisions
from api.store.book_tables import book_checks
from api.store.guard_tables import payment_feeds, review_plans, review_rows
from tests.support.debtors import audited, move_clock, rows, with_provider
from tests.support.http_face import Face, open_face
from tests.support.late_payers import WALLED_AT, Late, late
from tests.support.provider import FakeProvider

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
_SECOND_VERSION = (
    "insert into policies values ('anatel-765', 2, cast(:document as jsonb), 'ana', now())"
)
_HARSHER = '{"steps": [{"level": "blocked", "anchor": "maturity", "after_days": 0}]}'


@pytest.fixture
async def three(database_url: str, tmp_path: Path) -> AsyncIterator[Late]:
    made = await late(database_url, tmp_path, 3)
    yield made
    await made.house.store.close()


@pytest.fixture
async def face(three: Late) -> AsyncIterator[Face]:
    async with open_face(three.house) as opened:
        yield opened


async def test_while_the_books_differ_nobody_is_cut_and_restores_go_on(
    three: Late, face: Face
) -> None:
    finance = await face.client(Role.FINANCE)
    assert (await finance.get("/api/v1/guards")).json()["books"] is None
    await three.at_the_cut()
    assert await book_check.check(three.house, "cli") == []
    third = {"id": three.debtors[2].contract_id}
    await three.change("update contracts set review_on = :on where id = :id",
                       on=WALLED_AT + HOUR, **third)  # fmt: skip
    assert len((await three.run()).changes) == 2
    tamper = "update invoices set amount_cents = amount_cents + :by where contract_id = :id"
    await three.change(tamper, by=1, **third)
    found = await book_check.check(three.house, "cli")
    assert len(found) == 3
    await move_clock(three.house, WALLED_AT + HOUR)
    ran = await three.run()
    assert (ran.changes, ran.flaws) == ((), ("books_differ",))
    # Nobody can answer for books that nobody has repaired.
    with pytest.raises(ReleaseRefused, match="books_differ"):
        await three.release(await three.plan(), "ana", "bia")
    told = (await finance.get("/api/v1/guards", params={"lang": "en"})).json()
    assert (told["bars"], told["flaws"]) == (["guard"], ["books_differ"])
    assert "found differences" in told["sentences"][0]
    assert (told["books"]["differences"], told["books"]["told"]) == (3, list(found))
    # What they say is what people owe.
    noc = await face.client(Role.NOC)
    told = (await noc.get("/api/v1/guards")).json()
    assert (told["books"]["differences"], told["books"]["told"]) == (3, None)
    await three.pay(0)
    assert await three.levels() == ["full", "walled", "full"]
    await three.change(tamper, by=-1, **third)
    assert await book_check.check(three.house, "ana") == []
    assert [cut.contract_id for cut in (await three.run()).changes] == [third["id"]]
    assert [row["state"] for row in await rows(three.house, review_plans)] == [
        "done",
        "overtaken",
        "done",
    ]
    (differ,) = await audited(three.house, "books.differ")
    assert differ["data"] == {"differences": 3, "first": found[0]}
    assert [row["actor"] for row in await audited(three.house, "books.agree")] == ["ana"]


async def test_the_worker_has_the_books_recomputed_once_a_night(
    house: House, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELIGA_DATABASE_URL", database_url)
    monkeypatch.setenv("RELIGA_DATA_DIR", str(tmp_path))
    assert await book_check.check_nightly(house)
    (row,) = await rows(house, book_checks)
    assert (row["actor"], row["differences"], row["told"]) == ("schedule", 0, [])
    assert not await book_check.check_nightly(house)


async def test_a_provider_that_is_used_no_more_is_retired_and_stops_nobody(
    three: Late, face: Face
) -> None:
    await three.at_the_cut()
    await three.hear(WALLED_AT - timedelta(days=3), "boleto")
    await three.hear(WALLED_AT)
    assert (await three.run()).flaws == ("stale_feed",)
    noc = await face.client(Role.NOC)
    told = (await noc.get("/api/v1/guards")).json()
    assert [(feed["provider"], feed["stale"], feed["set_up"]) for feed in told["feeds"]] == [
        ("boleto", True, False),
        ("pix", False, False),
    ]
    url, why = "/api/v1/guards/feeds/boleto/retirement", {"reason": "contrato encerrado"}
    finance = await face.client(Role.FINANCE, "fin")
    # Whoever may release plans may say so, with a reason; it is kept.
    assert (await noc.put(url, json=why)).status_code == 403
    assert (await finance.put(url, json={})).status_code == 422
    assert (await three.run()).changes == ()
    assert (await finance.put(url, json=why)).status_code == 204
    assert (await finance.put(url, json=why)).status_code == 404
    (audit,) = await audited(three.house, "feed.retired")
    assert (audit["actor"], audit["subject"], audit["data"]) == ("fin", "feed:boleto", why)
    told = (await noc.get("/api/v1/guards")).json()
    assert ([feed["provider"] for feed in told["feeds"]], told["bars"]) == (["pix"], [])
    assert len((await three.run()).changes) == 3
    # Heard of again, it counts again.
    await three.hear(WALLED_AT, "boleto")
    await three.hear(WALLED_AT + 2 * HOUR)
    await move_clock(three.house, WALLED_AT + 2 * HOUR)
    assert (await noc.get("/api/v1/guards")).json()["flaws"] == ["stale_feed"]


async def _outcomes(scene: Late) -> list[tuple[Any, ...]]:
    return [(row["state"], row["outcome"]) for row in await rows(scene.house, review_rows)]


@pytest.mark.parametrize(
    ("document", "outcome"),
    [
        ('{"law": "anatel-765", "min_debt_cents": 500000}', ("left", "below_minimum")),
        ('{"law": "anatel-765", "min_debt_cents": 2}', ("cut", "step_reached")),
    ],
)
async def test_a_policy_that_changes_after_the_plan_judges_each_cut_anew(
    three: Late, document: str, outcome: tuple[str, str]
) -> None:
    await three.at_the_cut()
    ran = await review.sweep(three.house, None, "correlation", "test")
    assert (ran.flaws, ran.waiting) == ((), 3)
    await three.change(_SECOND_VERSION, document=document)
    made, waiting = await make(three.house, None)
    assert (len(made), waiting) == (3 if outcome[0] == "cut" else 0, 0)
    assert await _outcomes(three) == [outcome] * 3
    if made:
        assert {cut.policy_version for cut in made} == {2}
        decided = [
            row for row in await rows(three.house, access_decisions) if row["level"] != "full"
        ]
        assert {row["policy_version"] for row in decided} == {2}


async def test_two_people_release_a_plan_under_its_policy_and_no_other(
    database_url: str, tmp_path: Path
) -> None:
    scene = await late(database_url, tmp_path, 4, cuts_sweep_floor=3)
    await scene.at_the_cut()
    assert (await scene.run()).flaws == ("too_many",)
    plan = await scene.plan()
    await scene.release(plan, "ana")
    # It would cut the same people for the same debt; but nobody has looked at it.
    await scene.change(_SECOND_VERSION, document='{"law": "anatel-765", "min_debt_cents": 2}')
    assert await scene.release(plan, "bia") == ["released"]
    assert await make(scene.house, plan["id"]) == ([], 0)
    assert await _outcomes(scene) == [("left", "changed")] * 4
    assert await scene.levels() == ["full"] * 4
    # The next sweep plans them anew, for two people to look at.
    assert (await scene.run()).flaws == ("too_many",)
    assert (await scene.plan())["hash"] != plan["hash"]
    await scene.house.store.close()


async def test_a_provider_that_is_set_up_and_never_answers_is_silent_and_is_not_retired(
    three: Late,
) -> None:
    house = with_provider(three.house, FakeProvider(away=True))
    scene = replace(three, house=house)
    await scene.at_the_cut()
    assert (await scene.run()).flaws == ("stale_feed",)
    assert await scene.levels() == ["full"] * 3
    url = "/api/v1/guards/feeds/pix/retirement"
    async with open_face(house) as face:
        finance = await face.client(Role.FINANCE)
        refused = await finance.put(url, json={"reason": "fora do ar"})
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:religa:feed-in-use")
        told = (await finance.get("/api/v1/guards")).json()["feeds"]
        assert [(feed["provider"], feed["stale"], feed["set_up"]) for feed in told] == [
            ("pix", True, True)
        ]
    # Taken out of the settings it may be retired; set up again it is waited for anew.
    async with open_face(three.house) as face:
        finance = await face.client(Role.FINANCE, "fin")
        assert (await finance.put(url, json={"reason": "sem Pix"})).status_code == 204
    assert len((await three.run()).changes) == 3
    await scene.run()
    (feed,) = await rows(house, payment_feeds)
    assert (feed["heard_at"], feed["retired_at"]) == (WALLED_AT, None)


async def test_releasing_a_plan_answers_for_no_version_that_nobody_saw(
    database_url: str, tmp_path: Path
) -> None:
    scene = await late(database_url, tmp_path, 4, cuts_sweep_floor=3)
    await scene.at_the_cut()
    assert (await scene.run()).flaws == ("too_many",)
    plan = await scene.plan()
    await scene.release(plan, "ana")
    await scene.change(_SECOND_VERSION, document=_HARSHER)
    assert await scene.release(plan, "bia") == ["released"]
    assert await make(scene.house, plan["id"]) == ([], 0)
    assert (await scene.run()).flaws == ("new_rules", "too_many")
    assert await scene.levels() == ["full"] * 4
    await scene.house.store.close()


async def test_rules_that_change_under_a_sweep_wait_for_an_answer(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As few as no guard of size would stop.
    scene = await late(database_url, tmp_path, 4, cuts_sweep_floor=3)
    await scene.to_the_eve()
    await scene.pay(3)
    await scene.run()
    await move_clock(scene.house, WALLED_AT)
    begin = guards.begin

    async def begun_before(house: House, correlation_id: str, actor: str) -> guards.Begun:
        begun = await begin(house, correlation_id, actor)
        await scene.change(_SECOND_VERSION, document=_HARSHER)
        return begun

    with monkeypatch.context() as patch:
        patch.setattr(guards, "begin", begun_before)
        assert (await scene.run()).flaws == ("new_rules",)
    assert await scene.levels() == ["full"] * 4
    await scene.house.store.close()


async def test_the_look_ahead_sees_the_rules_of_its_own_day(
    database_url: str, tmp_path: Path
) -> None:
    scene = await late(database_url, tmp_path, 4, cuts_sweep_floor=3)
    await scene.to_the_eve()
    await scene.run()
    await scene.change(_SECOND_VERSION, document=_HARSHER)
    await scene.change("update policies set valid_from = '2026-09-22' where version = 2")
    tuesday = WALLED_AT + timedelta(days=1)
    assert "new_rules" not in (await preview(scene.house, None, WALLED_AT)).flaws
    assert "new_rules" in (await preview(scene.house, None, tuesday)).flaws
    await scene.house.store.close()
