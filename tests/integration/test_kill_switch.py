"""The kill switch against real lines: cuts end within a second, restores go on."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from api import kill_switch
from api.converge import Converger, Held
from api.enforce import Enforcer
from api.operators import Role
from api.store.customer_tables import contracts
from api.store.guard_tables import cuts, kill_switches
from api.store.network_tables import sessions
from radius.client import DynauthClient
from radius.dynauth import Timers
from tests.support.dae import Dae, Heard, dae
from tests.support.database import add_nas
from tests.support.debtors import audited, move_clock, rows
from tests.support.http_face import Face, open_face
from tests.support.late_payers import WALLED_AT, Late, late

pytestmark = pytest.mark.anyio

PATIENT = Timers(initial_s=0.2, wait_max_s=0.4, sends_max=200, duration_max_s=60.0)
COUNT = 30
CUT, FULL = "coa 1M/2M", "coa 50M/100M"


@pytest.fixture
async def lines(database_url: str, tmp_path: Path) -> AsyncIterator[Late]:
    """Thirty who are slowed at the same instant, told to the NAS eight a second."""
    made = await late(database_url, tmp_path, COUNT, "slowed", coa_per_s=8, cuts_sweep_floor=50)
    yield made
    await made.house.store.close()


@pytest.fixture
async def face(lines: Late) -> AsyncIterator[Face]:
    async with open_face(lines.house) as opened:
        yield opened


@pytest.fixture
def on_the_way(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Sessions that were looked at for the last time before sending, and not found barred."""
    found: set[int] = set()
    look = Converger._read_again

    async def looked(self: Converger, held: Held) -> bool:
        found.add(held.claim.session_id)
        may_go = await look(self, held)
        if not may_go:
            found.discard(held.claim.session_id)
        return may_go

    monkeypatch.setattr(Converger, "_read_again", looked)
    return found


@asynccontextmanager
async def _enforcing(lines: Late) -> AsyncIterator[None]:
    """An enforcer at work, as in the worker."""
    client, stop = DynauthClient(PATIENT), asyncio.Event()
    running = asyncio.create_task(Enforcer(lines.house, client).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running
        await client.close()


async def _dial(lines: Late, nas: Dae) -> int:
    nas_id = await add_nas(lines.house, "bng-1", coa_port=nas.port)
    await lines.change(
        "insert into sessions (unique_id, acct_session_id, username, contract_id, nas_id,"
        " nas_address, started_at, updated_at, received_at, applied_generation, applied_level)"
        " select sha256(l.username::bytea), l.username, l.username, l.contract_id, :nas,"
        " '127.0.0.1', now(), now(), now(), 1, 'full' from logins l",
        nas=nas_id,
    )
    return nas_id


async def _wall(lines: Late) -> datetime:
    async with lines.house.uow("test", "read") as uow:
        now: datetime = (
            await uow.connection.execute(text("select clock_timestamp()"))
        ).scalar_one()
    return now


def _lowers(heard: Heard) -> bool:
    return CUT.removeprefix("coa ").encode() in heard.octets


def _sent(nas: Dae) -> dict[str, list[str]]:
    return {name: nas.sent(name) for name in sorted({heard.username for heard in nas.heard})}


async def test_from_the_switch_to_no_further_cut_is_less_than_a_second(
    lines: Late, face: Face, on_the_way: set[int]
) -> None:
    await lines.at_the_cut()
    admin = await face.client(name="chefe")
    url = "/api/v1/kill-switches/global"
    async with dae() as nas, _enforcing(lines):
        await _dial(lines, nas)
        sweeping = asyncio.create_task(lines.run())
        await nas.hears(4)
        put = await admin.put(url, json={"reason": "pagamentos não chegaram"})
        told, going = {one for one, sent in _sent(nas).items() if CUT in sent}, set(on_the_way)
        put_at = time.monotonic()
        quiet = asyncio.create_task(nas.quiet(_lowers))
        assert put.status_code == 200, put.text
        answered_wall = await _wall(lines)
        # Whoever was told before stays slowed, and pays: the restore flows under the switch.
        cut = sorted(told)[0]
        await lines.pay([debtor.username for debtor in lines.debtors].index(cut))
        while FULL not in nas.sent(cut):
            await asyncio.sleep(0.01)
            assert time.monotonic() - put_at < 20.0, "a restore waited for the switch"
        # At eight a second those who still stood in line would be told for seconds.
        assert await quiet < 1.0
        ran = await sweeping
        later = {name for name, sent in _sent(nas).items() if CUT in sent} - told
        by_id = {row["id"]: row["username"] for row in await rows(lines.house, sessions)}
        assert later <= {by_id[one] for one in going}, "more than what was on its way"
        assert len(ran.changes) < COUNT
    # By the database's clock: from the answer on no cut was decided at all, and from the stamp of
    # the switch, which it has before it is committed, few. On an idle machine ten take a quarter
    # of a second; a loaded one takes longer for the switch as for the cuts.
    (switch,) = await rows(lines.house, kill_switches)
    decided = sorted(row["at_wall"] for row in await rows(lines.house, cuts))
    assert decided[-1] < answered_wall
    assert sum(at > switch["put_wall"] for at in decided) <= 10
    # Nobody is cut but who was told; what had reached no line is taken back, so that no redial
    # brings it either.
    slowed = [row["level"] for row in await rows(lines.house, contracts)].count("reduced")
    assert 0 < slowed <= len(told | later) - 1 < COUNT
    assert len(await audited(lines.house, "cut.taken_back")) == put.json()["taken_back"]
    (audit,) = await audited(lines.house, "kill_switch.put")
    assert (audit["actor"], audit["data"]["reason"]) == ("chefe", "pagamentos não chegaram")
    # Lifted, whoever it held is looked at again.
    lifted = await admin.delete(url, params={"reason": "voltaram"})
    assert lifted.json()["contracts_to_review"] > 0
    await lines.run()
    levels = [row["level"] for row in await rows(lines.house, contracts)]
    assert levels.count("reduced") == COUNT - 1


async def test_a_silent_nas_is_not_told_again_after_the_switch(lines: Late, face: Face) -> None:
    await lines.at_the_cut()
    noc = await face.client(Role.NOC)
    async with dae(lambda heard, times: None) as nas, _enforcing(lines):
        nas_id = await _dial(lines, nas)
        await lines.run()
        await nas.hears(4)
        put = await noc.put(f"/api/v1/kill-switches/nas/{nas_id}", json={"reason": "manutenção"})
        assert put.status_code == 200, put.text
        # Resends would come every 0.4 s for each line.
        assert await nas.quiet(_lowers) < 1.0
    # Nobody's cut had been acknowledged: all are as they were, in the grant table too.
    assert {row["level"] for row in await rows(lines.house, contracts)} == {"full"}


async def test_switches_are_listed_and_refused_in_words(lines: Late, face: Face) -> None:
    finance = await face.client(Role.FINANCE, "fin")
    contract_id = lines.debtors[0].contract_id
    url = f"/api/v1/kill-switches/contracts/{contract_id}"
    put = await finance.put(url, json={"reason": "liminar"})
    assert (put.json()["scope"], put.json()["author"]) == ("contract", "fin")
    again = await finance.put(url, json={"reason": "outra"})
    assert (again.json()["id"], again.json()["reason"]) == (put.json()["id"], "liminar")
    assert (await finance.put(url, json={"reason": " "})).status_code == 422
    assert (await finance.put(url, json={})).status_code == 422
    unknown = "/api/v1/kill-switches/contracts/999999"
    assert (await finance.put(unknown, json={"reason": "x"})).status_code == 404
    (on,) = (await finance.get("/api/v1/kill-switches", params={"on": True})).json()["items"]
    assert on["contract_id"] == contract_id
    assert (await finance.delete(url)).status_code == 422
    assert (await finance.delete(url, params={"reason": "caiu"})).status_code == 200
    assert (await finance.delete(url, params={"reason": "caiu"})).status_code == 404
    (off,) = (await finance.get("/api/v1/kill-switches", params={"on": False})).json()["items"]
    assert (off["lifted_by"], off["lifted_because"]) == ("fin", "caiu")


async def test_a_refused_plan_is_read_and_released_over_http(
    database_url: str, tmp_path: Path
) -> None:
    made = await late(database_url, tmp_path, 4, cuts_sweep_floor=3)
    await made.at_the_cut()
    async with open_face(made.house) as face:
        ana = await face.client(Role.FINANCE, "ana")
        bia = await face.client(Role.ADMIN, "bia")
        preview = (await ana.post("/api/v1/reviews", json={"dry_run": True})).json()
        assert (preview["flaws"], preview["totals"]["cuts"]) == (["too_many"], 4)
        refused = (await ana.post("/api/v1/reviews", json={"dry_run": False})).json()
        assert (refused["cuts"], refused["flaws"]) == ([], ["too_many"])
        why = "4 cortes; esta rodada pode fazer 3 (o mínimo que sempre passa)"
        assert refused["sentences"] == preview["sentences"] == [why]
        listed = await ana.get("/api/v1/reviews", params={"state": "refused"})
        (item,) = listed.json()["items"]
        assert item["id"] == refused["id"]
        url = f"/api/v1/reviews/{item['id']}"
        plan = (await ana.get(url)).json()
        assert (plan["approved_by"], plan["hash"]) == ([], preview["hash"])
        assert (plan["cuts_max"], plan["cuts_max_by"], plan["crowded"]) == (3, "floor", [])
        english = (await ana.get(url, params={"lang": "en"})).json()["sentences"]
        assert english == ["4 cuts; this sweep may make 3 (as few as always pass)"]
        assert plan["totals"]["by_level"] == {"walled": {"cuts": 4, "restores": 0, "unchanged": 0}}
        await _pages(ana, url, made)
        release = {"hash": plan["hash"]}
        wrong = await ana.post(f"{url}/release", json={"hash": "0" * 64})
        assert (wrong.status_code, wrong.json()["type"]) == (409, "urn:religa:release-refused")
        first = (await ana.post(f"{url}/release", json=release)).json()
        assert (first["state"], first["approved_by"]) == ("refused", ["ana"])
        assert (await ana.post(f"{url}/release", json=release)).status_code == 409
        last = (await bia.post(f"{url}/release", json=release)).json()
        assert (last["state"], last["approved_by"]) == ("released", ["ana", "bia"])
        assert (await ana.get(url)).json()["state"] == "done"
        assert await made.levels() == ["walled"] * 4
        told = (await ana.get("/api/v1/guards")).json()
        assert (told["cuts_in_window"], told["sweep_max"]) == (4, 3)
        assert (told["sweep_max_by"], told["weekday_cuts"], told["waiting"]) == ("floor", [], 0)
        assert (await ana.get("/api/v1/reviews/999999/rows")).status_code == 404
    await made.house.store.close()


async def _pages(client: httpx.AsyncClient, url: str, made: Late) -> None:
    seen: list[int] = []
    after: dict[str, str] = {}
    while True:
        page = (await client.get(f"{url}/rows", params={"limit": "3", **after})).json()
        seen += [row["contract_id"] for row in page["items"]]
        assert {row["reason"] for row in page["items"]} == {"step_reached"}
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == [debtor.contract_id for debtor in made.debtors]
    for filters, many in (
        ({"change": "cut"}, 4),
        ({"change": "none"}, 0),
        ({"level": "walled"}, 4),
        ({"nas": "bng-9"}, 0),
        ({"state": "shown"}, 4),
    ):
        found = (await client.get(f"{url}/rows", params=filters)).json()["items"]
        assert len(found) == many, filters


async def test_what_a_switch_left_behind_is_taken_back_by_the_next_sweep(lines: Late) -> None:
    await lines.at_the_cut()
    async with dae(lambda heard, times: None) as nas:
        await _dial(lines, nas)
        assert len((await lines.run()).changes) == COUNT
        # Whoever put it died before the cuts that reached no line were taken back.
        async with lines.house.uow("chefe", "switch") as uow:
            await kill_switch.put(uow, kill_switch.EVERYTHING, "pagamentos não chegaram")
        await lines.run()
    assert await lines.levels() == ["full"] * COUNT
    assert len(await audited(lines.house, "cut.taken_back")) == COUNT


async def test_a_switch_put_days_later_restores_nobody_who_was_off_line(lines: Late) -> None:
    await lines.at_the_cut()
    assert len((await lines.run()).changes) == COUNT
    await move_clock(lines.house, WALLED_AT + timedelta(days=7))
    async with lines.house.uow("chefe", "switch") as uow:
        await kill_switch.put(uow, kill_switch.EVERYTHING, "pagamentos não chegaram")
    assert await kill_switch.take_back_unsent(lines.house, kill_switch.EVERYTHING, "c", "a") == 0
    assert await lines.levels() == ["reduced"] * COUNT
