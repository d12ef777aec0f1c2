"""One line too many, under a plan that drops the oldest: what the NAS heard, what was kept."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from api.enforce import Enforcer
from api.explain import timeline
from api.house import House
from api.store.sessions import of_contract
from radius.client import DynauthClient
from radius.dynauth import Timers
from tests.support.dae import Dae, HalfPatient, dae
from tests.support.database import add_contract, add_nas, add_plan

pytestmark = pytest.mark.anyio

STEADY = Timers(initial_s=1.0, wait_max_s=2.0, sends_max=8, duration_max_s=15.0)


@dataclass
class Lines:
    """One contract, its lines, and the enforcer."""

    house: House
    client: DynauthClient
    nas_id: int = 0
    contract_id: int = 0

    async def contract(self, nas: Dae, allowed: int = 1, policy: str = "drop_oldest") -> None:
        self.nas_id = await add_nas(self.house, "bng", coa_port=nas.port)
        plan = await add_plan(self.house, simultaneous_use=allowed, simultaneous_policy=policy)
        self.contract_id = (await add_contract(self.house, plan, "ana")).contract_id

    async def up(
        self,
        name: str,
        minute: int,
        mac: str | None = None,
        port: str = "p1",
        generation: int = 1,
    ) -> None:
        """A line that came up at that minute of the day before and is heard of since."""
        await self.run(
            "insert into sessions (unique_id, acct_session_id, username, contract_id, nas_id,"
            " nas_address, nas_port_id, mac, started_at, updated_at, received_at,"
            " applied_generation, applied_level) values ("
            " sha256(cast(cast(:name as text) as bytea)), :name, 'ana', :contract, :nas,"
            " '127.0.0.1', :port, :mac,"
            " now() - interval '1 day' + make_interval(mins => :minute), now(), now(), :generation,"
            " 'full')",
            name=name,
            minute=minute,
            mac=mac,
            port=port,
            generation=generation,
        )

    async def run(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        given = {"contract": self.contract_id, "nas": self.nas_id, **parameters}
        async with self.house.uow("test", "test") as uow:
            result = await uow.connection.execute(text(statement), given)
            return [dict(row) for row in result.mappings()] if result.returns_rows else []

    async def open(self) -> list[str]:
        rows = await self.run(
            "select acct_session_id from sessions where stopped_at is null order by started_at"
        )
        return [row["acct_session_id"] for row in rows]

    async def converge(self) -> int:
        return await Enforcer(self.house, self.client).converge_all()


@pytest.fixture
async def lines(house: House) -> AsyncIterator[Lines]:
    made = Lines(house, DynauthClient(STEADY))
    yield made
    await made.client.close()


def _dropped(nas: Dae) -> list[str]:
    assert {heard.code for heard in nas.heard} <= {40}
    return [heard.attributes[44][0].decode() for heard in nas.heard]


async def test_the_oldest_goes_and_it_is_kept_why(lines: Lines) -> None:
    async with dae() as nas:
        await lines.contract(nas, allowed=2)
        for minute, name in enumerate(("first", "second", "third", "fourth")):
            await lines.up(name, minute)
        assert await lines.converge() == 2
        assert sorted(_dropped(nas)) == ["first", "second"]
        assert await lines.open() == ["third", "fourth"]
        assert await lines.converge() == 0
    actions = await lines.run("select kind, reason, outcome from network_actions")
    assert [tuple(a.values()) for a in actions] == [("disconnect", "surplus", "ack")] * 2
    audited = await lines.run("select action from audit_log where action like 'session%'")
    assert [row["action"] for row in audited] == ["session.dropped"] * 2
    async with lines.house.uow("test", "test") as uow:
        told = await timeline(lines.house, uow.connection, lines.contract_id, "en", amounts=True)
    assert "Disconnect (one line more than the plan allows)" in told[-1].sentence
    ended = await lines.run("select terminate_cause from sessions where stopped_at is not null")
    assert {row["terminate_cause"] for row in ended} == {"Admin-Reset"}


@pytest.mark.parametrize("policy", ["reject", "allow"])
async def test_nothing_is_dropped_under_another_policy(lines: Lines, policy: str) -> None:
    async with dae() as nas:
        await lines.contract(nas, policy=policy)
        await lines.up("first", 0)
        await lines.up("second", 1)
        assert await lines.converge() == 0
        assert nas.heard == []


async def test_as_many_as_allowed_are_left_alone(lines: Lines) -> None:
    async with dae() as nas:
        await lines.contract(nas, allowed=2)
        await lines.up("first", 0)
        await lines.up("second", 1)
        assert await lines.converge() == 0


async def test_of_a_device_that_dialled_again_on_its_port_the_old_line_goes(lines: Lines) -> None:
    async with dae() as nas:
        await lines.contract(nas, allowed=2)
        await lines.up("elsewhere", 0, "aa:aa:aa:aa:aa:aa", "p9")
        await lines.up("ghost", 1, "bb:bb:bb:bb:bb:bb")
        await lines.up("redial", 2, "bb:bb:bb:bb:bb:bb")
        await lines.converge()
        assert _dropped(nas) == ["ghost"]
        assert await lines.open() == ["elsewhere", "redial"]


async def test_a_stale_line_is_not_counted(lines: Lines) -> None:
    async with dae() as nas:
        await lines.contract(nas)
        await lines.up("silent", 0)
        await lines.up("alive", 1)
        await lines.run("insert into shippers values ('node', now(), 300, now())")
        await lines.run(
            "update sessions set received_at = now() - interval '17 minutes'"
            " where acct_session_id = 'silent'"
        )
        assert await lines.converge() == 0
        async with lines.house.uow("test", "test") as uow:
            shown = await of_contract(uow.connection, lines.contract_id)
        assert [row["stale"] for row in shown] == [True, False]
        # One interim of it, and it counts.
        await lines.run("update sessions set received_at = now()")
        assert await lines.converge() == 1
        assert _dropped(nas) == ["silent"]


async def test_a_nas_that_stays_silent_is_asked_again_later(lines: Lines) -> None:
    await lines.client.close()
    lines.client = client = HalfPatient()
    async with dae(lambda heard, times: None) as nas:
        await lines.contract(nas)
        await lines.up("first", 0)
        await lines.up("second", 1)
        await lines.converge()
        assert await lines.converge() == 0, "its pause has not passed"
        nas.behave = lambda heard, times: "ack"
        client.expect_answers()
        await lines.run("update sessions set next_attempt_wall = clock_timestamp()")
        await lines.converge()
        assert await lines.open() == ["second"]


async def test_what_is_no_longer_too_many_is_not_dropped(lines: Lines) -> None:
    async with dae() as nas:
        await lines.contract(nas)
        await lines.up("first", 0)
        await lines.up("second", 1)
        enforcer = Enforcer(lines.house, lines.client)
        await lines.run("update sessions set stopped_at = now() where acct_session_id = 'second'")
        await enforcer.converge_contract(lines.contract_id)
        assert nas.heard == []


async def test_a_line_dropped_often_is_not_taken_for_one_that_redials_in_vain(
    lines: Lines,
) -> None:
    async with dae() as nas:
        await lines.contract(nas)
        await lines.run(
            "update contracts set level = 'walled', generation = 2 where id = :contract"
        )
        for number in range(8):
            await lines.up(f"line{number}", number, generation=2)
            await lines.converge()
        assert len(_dropped(nas)) == 7
        # The wall takes a redial here, and this is the first for its sake.
        await lines.run("update sessions set applied_generation = 1 where stopped_at is null")
        await lines.converge()
        assert _dropped(nas)[-1] == "line7"
