"""The traffic quota on a real database: who is found, what is decided, and that only once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import text

from api import quota, review
from api.cashier import post_payment
from api.enforce import Enforcer
from api.explain import timeline
from api.house import House
from api.messenger import Messenger
from api.publisher import Publisher
from api.rehearsal_clock import ClockMover
from api.store import claims, quotas
from api.store.access_tables import access_decisions
from api.store.customer_tables import contracts
from api.store.sessions import restore_metrics
from api.verify import verify
from radius.client import DynauthClient
from radius.table import GrantTable
from tests.support.dae import dae
from tests.support.database import Added, add_contract, add_nas, add_plan, make_house
from tests.support.debtors import audited, issue, move_clock, rows
from tests.support.http_face import open_face

pytestmark = pytest.mark.anyio

ZONE = ZoneInfo("America/Sao_Paulo")
START = datetime(2026, 8, 20, 12, tzinfo=ZONE)
QUOTA = 100_000_000_000
RESET_ON = date(2026, 9, 10)
THROTTLED = (5_000_000, 500_000)
PLAN_RATES = (100_000_000, 50_000_000)


@dataclass
class Scene:
    house: House
    plan_id: int
    ana: Added

    async def run(self, statement: str, **parameters: Any) -> list[Any]:
        async with self.house.uow("test", "test") as uow:
            done = await uow.connection.execute(text(statement), parameters)
            return list(done) if done.returns_rows else []

    async def use(self, octets: int, day: str = "2026-08-20", who: Added | None = None) -> None:
        """Count so much more, as the shipper does: a part of it sent, the rest received."""
        await self.run(
            "insert into usage_days as u values (:id, cast(:day as date), :down, :up)"
            " on conflict (contract_id, day) do update set"
            " down_octets = u.down_octets + excluded.down_octets,"
            " up_octets = u.up_octets + excluded.up_octets",
            id=(who or self.ana).contract_id,
            day=day,
            down=octets - octets // 10,
            up=octets // 10,
        )

    async def look(self) -> int:
        return await quota.look(self.house, "correlation", "test")

    async def decisions(self) -> list[tuple[int, str, str, int, int, date | None]]:
        names = ("generation", "level", "reason", "rate_down_bps", "rate_up_bps")
        return [
            (*(row[name] for name in names), row["quota_spent_until"])
            for row in await rows(self.house, access_decisions)
        ]

    async def waiting(self) -> list[Any]:
        return await self.run("select contract_id, changes from quota_looks order by 1")

    async def differences(self) -> list[str]:
        async with self.house.store.reading() as connection:
            return await verify(self.house, connection)

    async def walk_to(self, until: datetime) -> None:
        """As the rehearsal clock does: stop wherever something is due."""
        while True:
            await review.run(self.house, None, "correlation", "test")
            await self.look()
            await Messenger(self.house).drain()
            async with self.house.uow("test", "next") as uow:
                due = await review.next_due(uow.connection)
            if due is None or due > until:
                await move_clock(self.house, until)
                return
            await move_clock(self.house, due)


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    house = await make_house(database_url, tmp_path, now=START, billing="off")
    plan_id = await add_plan(
        house, quota_octets=QUOTA, quota_down_bps=THROTTLED[0], quota_up_bps=THROTTLED[1]
    )
    yield Scene(house, plan_id, await add_contract(house, plan_id, "ana"))
    await house.store.close()


@pytest.fixture
def table(scene: Scene, tmp_path: Path) -> Iterator[GrantTable]:
    key = scene.house.secrets.derive("grant-table")
    with GrantTable(tmp_path / "grants", key, readonly=False) as opened:
        yield opened


def spent(generation: int, until: date = RESET_ON) -> tuple[int, str, str, int, int, date | None]:
    return (generation, "full", "quota_spent", *THROTTLED, until)


async def test_used_up_and_whole_again_on_the_reset_day(scene: Scene) -> None:
    # The cycle began on 08-10: what was before it does not count.
    await scene.use(QUOTA, "2026-08-09")
    await scene.use(QUOTA - 1, "2026-08-10")
    assert await scene.look() == 0
    await scene.use(1)
    assert await scene.look() == 1
    assert await scene.decisions() == [spent(2)]
    (told,) = await audited(scene.house, "access.decided")
    assert (told["data"]["reason"], told["data"]["quota_spent_until"]) == (
        "quota_spent",
        "2026-09-10",
    )
    await move_clock(scene.house, datetime(2026, 9, 9, 23, 59, 59, tzinfo=ZONE))
    assert await scene.look() == 0
    await move_clock(scene.house, datetime(2026, 9, 10, tzinfo=ZONE))
    assert await scene.look() == 1
    assert await scene.decisions() == [
        spent(2),
        (3, "full", "quota_renewed", *PLAN_RATES, None),
    ]
    assert await scene.look() == 0
    assert await scene.differences() == []
    async with scene.house.store.reading() as connection:
        assert await restore_metrics(connection) == {"open": []}, "nobody paid"


async def test_looking_again_and_at_once_decides_once(scene: Scene) -> None:
    await scene.use(QUOTA)
    await asyncio.gather(*(scene.look() for _ in range(5)))
    for octets in (1, QUOTA):
        await scene.use(octets)
        await scene.look()
    assert await scene.decisions() == [spent(2)]
    (contract,) = await rows(scene.house, contracts)
    assert (contract["generation"], contract["reason"]) == (2, "no_debt")
    assert await scene.waiting() == []


async def test_what_came_while_a_look_went_on_is_looked_at_by_the_next(scene: Scene) -> None:
    await scene.use(1)
    async with scene.house.store.reading() as connection:
        before = await quotas.changed(connection, 0, 10)
    await scene.use(QUOTA)
    async with scene.house.store.writing() as connection:
        await quotas.seen(connection, before)
    assert await scene.look() == 1


async def test_batches_meet_everybody_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.review.BATCH", 2)
    monkeypatch.setattr("api.quota.PAGE", 3)
    people = [scene.ana, *[await add_contract(scene.house, scene.plan_id) for _ in range(6)]]
    for person in people:
        await scene.use(QUOTA, who=person)
    assert await scene.look() == 7
    await move_clock(scene.house, datetime(2026, 9, 10, 8, tzinfo=ZONE))
    assert await scene.look() == 7
    assert [row["generation"] for row in await rows(scene.house, contracts)] == [3] * 7


async def test_an_account_that_cannot_be_judged_is_found_again(scene: Scene) -> None:
    bia = await add_contract(scene.house, scene.plan_id, "bia")
    for person in (scene.ana, bia):
        await scene.use(QUOTA, who=person)
    await scene.run("update contracts set policy = 'gone' where id = :id", id=bia.contract_id)
    assert await scene.look() == 1
    assert await scene.waiting() == [(bia.contract_id, 1)]
    await scene.run("update contracts set policy = 'simple' where id = :id", id=bia.contract_id)
    assert await scene.look() == 1
    assert await scene.waiting() == []


async def test_nothing_is_waiting_of_plans_without_a_quota(scene: Scene) -> None:
    other = await add_contract(scene.house, await add_plan(scene.house))
    await scene.use(QUOTA, who=other)
    assert await scene.waiting() == []


@pytest.mark.parametrize(
    "change",
    [
        "update plans set quota_octets = quota_octets * 2",
        "update plans set quota_octets = null, quota_down_bps = null, quota_up_bps = null",
        "update contracts set plan_id = :other",
        # A cycle that began after the use.
        "update contracts set quota_reset_day = 21",
    ],
)
async def test_a_throttle_that_no_longer_holds_is_lifted(scene: Scene, change: str) -> None:
    other = await add_plan(scene.house)
    await scene.use(QUOTA)
    await scene.look()
    await move_clock(scene.house, START + timedelta(days=1))
    await scene.run(change, **({"other": other} if ":other" in change else {}))
    assert await scene.look() == 1
    assert await scene.decisions() == [
        spent(2),
        (3, "full", "quota_changed", *PLAN_RATES, None),
    ]
    assert await scene.differences() == []


async def test_a_smaller_quota_is_used_up_without_another_octet(scene: Scene) -> None:
    await scene.use(QUOTA // 2)
    await scene.look()
    await scene.run("update plans set quota_octets = :few", few=QUOTA // 2)
    assert await scene.look() == 1
    assert await scene.decisions() == [spent(2)]


async def test_its_own_reset_day_wins_over_the_due_day(scene: Scene) -> None:
    await scene.run("update contracts set quota_reset_day = 31")
    await scene.use(QUOTA)
    await scene.look()
    assert await scene.decisions() == [spent(2, date(2026, 8, 31))]


async def test_a_cut_keeps_the_throttle_and_paying_restores_the_quotas_rate(scene: Scene) -> None:
    # A cycle that holds the whole story: due 09-01, walled on Monday 09-21, paid on 09-22.
    await scene.run("update contracts set quota_reset_day = 2")
    invoice_id = await issue(scene.house, scene.ana.contract_id, date(2026, 9, 1))
    await move_clock(scene.house, datetime(2026, 9, 2, 9, tzinfo=ZONE))
    await scene.use(QUOTA, "2026-09-02")
    await scene.walk_to(datetime(2026, 9, 22, 10, tzinfo=ZONE))
    async with scene.house.uow("ana", "hand") as uow:
        await post_payment(
            scene.house,
            uow,
            provider="hand",
            external_id="r-1",
            amount_cents=20_000,
            method="cash",
            reference="r-1",
            paid_at=uow.clock.now(),
            invoice_id=invoice_id,
        )
    await move_clock(scene.house, datetime(2026, 10, 2, tzinfo=ZONE))
    await scene.look()
    until = date(2026, 10, 2)
    assert await scene.decisions() == [
        spent(2, until),
        (3, "walled", "step_reached", 2_000_000, 500_000, until),
        (4, "full", "no_debt", *THROTTLED, until),
        (5, "full", "quota_renewed", *PLAN_RATES, None),
    ]
    assert await scene.differences() == []


async def test_a_renewal_while_walled_keeps_the_wall_and_its_notice(scene: Scene) -> None:
    await scene.use(QUOTA)
    await issue(scene.house, scene.ana.contract_id, date(2026, 8, 21))
    await scene.walk_to(datetime(2026, 9, 9, 12, tzinfo=ZONE))
    assert (await scene.decisions())[-1] == (
        3,
        "walled",
        "step_reached",
        2_000_000,
        500_000,
        RESET_ON,
    )
    await move_clock(scene.house, datetime(2026, 9, 10, tzinfo=ZONE))
    assert await scene.look() == 1
    renewed = (await rows(scene.house, access_decisions))[-1]
    assert (renewed["level"], renewed["reason"]) == ("walled", "quota_renewed")
    assert (renewed["rate_down_bps"], renewed["rate_up_bps"]) == (2_000_000, 1_000_000)
    assert renewed["notice_id"] is not None
    assert await scene.differences() == []


async def test_a_redial_is_granted_the_quotas_rate(scene: Scene, table: GrantTable) -> None:
    publisher = Publisher(scene.house, table, "test")
    await publisher.publish()
    renewed_at = datetime(2026, 9, 10, tzinfo=ZONE)
    for octets, at, rate in ((QUOTA, START, b"500k/5M"), (0, renewed_at, b"50M/100M")):
        await scene.use(octets)
        await move_clock(scene.house, at)
        await scene.look()
        await publisher.publish()
        granted = table.find(b"ana")
        assert granted is not None
        assert rate in granted.replies["mikrotik"]


async def test_a_live_line_is_changed_and_changed_back_as_a_restore(scene: Scene) -> None:
    async with dae() as nas:
        nas_id = await add_nas(scene.house, "bng", coa_port=nas.port)
        await scene.run(
            "insert into sessions (unique_id, acct_session_id, username, contract_id, nas_id,"
            " nas_address, started_at, updated_at, received_at, applied_generation, applied_level,"
            " applied_wall) values ('x', 's', 'ana', :id, :nas, '127.0.0.1', now(), now(), now(),"
            " 1, 'full', now())",
            id=scene.ana.contract_id,
            nas=nas_id,
        )
        client = DynauthClient()
        enforcer = Enforcer(scene.house, client)
        mover = ClockMover(scene.house, enforcer)
        restores: list[bool] = []

        async def claimed() -> None:
            async with scene.house.uow("test", "claim") as uow:
                found = await claims.claim(uow.connection, "me", 9, 10.0)
                restores.extend(claim.restores for claim in found)
                await claims.release(uow.connection, "me", [claim.session_id for claim in found])

        await scene.use(QUOTA)
        await scene.look()
        await claimed()
        # The clock stops on the reset day by itself, and what is due then is done.
        moved = await mover.move(datetime(2026, 9, 9, 12, tzinfo=ZONE), "walk")
        assert (moved["stops"], nas.sent("ana")) == (0, ["coa 500k/5M"])
        await move_clock(scene.house, datetime(2026, 9, 10, tzinfo=ZONE))
        await scene.look()
        await claimed()
        moved = await mover.move(datetime(2026, 10, 20, tzinfo=ZONE), "walk")
        assert nas.sent("ana") == ["coa 500k/5M", "coa 50M/100M"]
        await client.close()
    assert restores == [False, True], "a throttle is a cut, its end a restore"


async def test_the_rehearsal_clock_stops_on_the_reset_day(scene: Scene) -> None:
    client = DynauthClient()
    mover = ClockMover(scene.house, Enforcer(scene.house, client))
    await scene.use(QUOTA)
    moved = await mover.move(datetime(2026, 10, 20, tzinfo=ZONE), "walk")
    await client.close()
    assert (moved["stops"], moved["open"]) == (1, 0)
    decided = await rows(scene.house, access_decisions)
    assert [row["decided_at"] for row in decided] == [START, datetime(2026, 9, 10, tzinfo=ZONE)]


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "update contracts set quota_spent_until = null",
            "contract 1 stands at full (2), its last decision says full (2), quota used up until"
            " 2026-09-10",
        ),
        ("update access_decisions set quota_spent_until = '2026-09-11'", "decision 2: stored"),
        (
            "update access_decisions set situation = jsonb_set(situation,"
            " '{quota,used_octets}', '5')",
            "judged again",
        ),
    ],
)
async def test_verify_names_a_quota_changed_behind_our_back(
    scene: Scene, statement: str, said: str
) -> None:
    await scene.use(QUOTA)
    await scene.look()
    assert await scene.differences() == []
    async with scene.house.uow("test", "tamper") as uow:
        await uow.connection.execute(text("set local session_replication_role = replica"))
        await uow.connection.execute(text(statement))
    assert said in "\n".join(await scene.differences())


async def test_verify_reads_decisions_from_before_there_were_quotas(scene: Scene) -> None:
    other = await add_contract(scene.house, await add_plan(scene.house))
    await issue(scene.house, other.contract_id, date(2026, 8, 21))
    await scene.walk_to(datetime(2026, 9, 9, 12, tzinfo=ZONE))
    assert [level for _, level, *_ in await scene.decisions()] == ["walled"]
    async with scene.house.uow("test", "older") as uow:
        await uow.connection.execute(text("set local session_replication_role = replica"))
        await uow.connection.execute(
            text("update access_decisions set situation = situation - 'quota'")
        )
    assert await scene.differences() == []


async def test_octets_beyond_belief_harm_only_their_contract(scene: Scene) -> None:
    for day in ("2026-08-18", "2026-08-19"):
        await scene.run(
            "insert into usage_days values (:id, cast(:day as date), :most, :most)",
            id=scene.ana.contract_id,
            day=day,
            most=2**63 - 1,
        )
    assert await scene.look() == 1
    assert await scene.decisions() == [spent(2)]
    assert await scene.differences() == []


async def test_it_is_told_as_sentences(scene: Scene) -> None:
    await scene.use(QUOTA)
    await scene.look()
    await move_clock(scene.house, datetime(2026, 9, 10, tzinfo=ZONE))
    await scene.look()
    told = {}
    for lang in ("pt-BR", "en"):
        async with scene.house.store.reading() as connection:
            items = await timeline(scene.house, connection, scene.ana.contract_id, lang)
        told[lang] = [item.sentence for item in items if item.kind == "access_decided"]
    assert [sentence.split(";")[0] for sentence in told["en"]] == [
        "Decided: the speed of a used up quota, until 2026-09-10 (generation 2), because the"
        " traffic quota of this cycle is used up",
        "Decided: full speed (generation 3), because a new cycle of the traffic quota has begun",
    ]
    assert [sentence.split(";")[0] for sentence in told["pt-BR"]] == [
        "Decidido: velocidade da franquia usada, até 10/09/2026 (geração 2), porque a franquia de"
        " tráfego do ciclo foi usada",
        "Decidido: velocidade plena (geração 3), porque começou um novo ciclo da franquia de"
        " tráfego",
    ]


async def test_the_access_answer_shows_the_quota(scene: Scene) -> None:
    other = await add_contract(scene.house, await add_plan(scene.house))
    await scene.use(QUOTA + 7)
    async with open_face(scene.house) as face:
        admin = await face.client()

        async def shown(contract_id: int) -> Any:
            return (await admin.get(f"/api/v1/contracts/{contract_id}/access")).json()["quota"]

        expected = {"octets": QUOTA, "used_octets": QUOTA + 7, "cycle_ends_on": "2026-09-10"}
        assert await shown(scene.ana.contract_id) == {**expected, "spent_until": None}
        await scene.look()
        assert await shown(scene.ana.contract_id) == {**expected, "spent_until": "2026-09-10"}
        assert await shown(other.contract_id) is None


async def test_a_contract_is_made_with_its_reset_day(scene: Scene) -> None:
    async with open_face(scene.house) as face:
        admin = await face.client()

        async def make(username: str, **more: Any) -> httpx.Response:
            body = {
                "subscriber_id": scene.ana.subscriber_id,
                "plan_id": scene.plan_id,
                "due_day": 10,
                "login": {"username": username, "password": "segredo"},
                **more,
            }
            return await admin.post("/api/v1/contracts", json=body)

        assert (await make("bia")).json()["quota_reset_day"] is None
        made = await make("caio", quota_reset_day=31)
        assert (made.status_code, made.json()["quota_reset_day"]) == (201, 31)
        for wrong in (0, 32, "10", 1.5, True):
            assert (await make("davi", quota_reset_day=wrong)).status_code == 422, wrong
