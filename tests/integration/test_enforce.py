"""From desired to applied on a real database, against a NAS that answers as it is told."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import text

from api import converge, enforce
from api.enforce import Enforcer
from api.house import House
from api.store import claims
from api.store.sessions import of_contract, restore_metrics
from api.waiting import wait_for
from billing.access import Level
from radius.client import DynauthClient
from radius.dynauth import Outcome, Timers
from tests.support.dae import PATIENT, QUICK, Dae, HalfPatient, Heard, dae
from tests.support.database import add_contract, add_nas, add_plan

pytestmark = pytest.mark.anyio

# A busy machine answers within the first wait.
STEADY = Timers(initial_s=1.0, wait_max_s=2.0, sends_max=8, duration_max_s=15.0)

FULL, REDUCED, WALLED = Level.FULL, Level.REDUCED, Level.WALLED
COA_FULL, COA_REDUCED = "coa 50M/100M", "coa 1M/2M"


class Bounded(Enforcer):
    """Fails where it would go round for ever."""

    async def converge_all(self) -> int:
        async with asyncio.timeout(20):
            return await super().converge_all()

    async def converge_contract(self, contract_id: int) -> None:
        async with asyncio.timeout(20):
            await super().converge_contract(contract_id)


@dataclass
class Scene:
    """A house with lines on NASes of loopback."""

    house: House
    plan_id: int
    client: DynauthClient

    def enforcer(self, **settings: int) -> Enforcer:
        chosen = self.house.settings.model_copy(update=settings)
        return Bounded(replace(self.house, settings=chosen), self.client)

    async def nas(self, server: Dae, name: str = "bng", **columns: Any) -> int:
        # Each NAS of a test has an address of its own in the table; its lines say where it is.
        address = columns.pop("address", "127.0.0.1")
        return await add_nas(self.house, name, address=address, coa_port=server.port, **columns)

    async def line(
        self, nas_id: int, username: str, generation: int = 1, level: Level | None = FULL
    ) -> int:
        """A contract with an open session that was granted `generation`; the contract's id."""
        added = await add_contract(self.house, self.plan_id, username)
        await self.dial(nas_id, added.contract_id, username, generation, level)
        return added.contract_id

    async def lines(self, nas_id: int, count: int) -> None:
        """So many contracts, each with an open session."""
        await self.run(
            "with people as (insert into subscribers (name, document, created_at)"
            "   select 'n', lpad(n::text, 11, '0'), now() from generate_series(1, :count) n"
            "   returning id),"
            " signed as (insert into contracts (subscriber_id, plan_id, due_day, policy,"
            "   created_at, since) select id, :plan, 10, 'simple', now(), now() from people"
            "   returning id)"
            " insert into sessions (unique_id, acct_session_id, username, contract_id, nas_id,"
            "   nas_address, started_at, updated_at, received_at, applied_generation,"
            "   applied_level) select sha256(id::text::bytea), id::text, id::text, id, :nas,"
            "   '127.0.0.1', now(), now(), now(), 1, 'full' from signed",
            count=count,
            plan=self.plan_id,
            nas=nas_id,
        )

    async def dial(
        self, nas_id: int, contract_id: int, username: str, generation: int, level: Level | None
    ) -> None:
        await self.run(
            "insert into sessions (unique_id, acct_session_id, username, contract_id, nas_id,"
            " nas_address, ipv4, started_at, updated_at, received_at, applied_generation,"
            " applied_level, applied_wall) values (sha256(cast(random()::text as bytea)),"
            " 'session-' || :username, :username, :contract, :nas, '127.0.0.1', '100.64.0.7',"
            " now(), now(), now(), :generation, :level, now())",
            username=username,
            contract=contract_id,
            nas=nas_id,
            generation=generation,
            level=level,
        )

    async def decide(self, contract_id: int, level: Level, *, notify: bool = True) -> int:
        """Billing decides; the new generation."""
        rows = await self.run(
            "update contracts set level = :level, generation = generation + 1 where id = :contract"
            " returning generation",
            level=level,
            contract=contract_id,
        )
        generation = int(rows[0]["generation"])
        await self.run(
            "with notice as (insert into notices (subscriber_id, drawn_at, amounts_cents)"
            " select subscriber_id, now(), '{}' from contracts where id = :contract returning id)"
            " insert into access_decisions (contract_id, generation, level, rate_down_bps,"
            " rate_up_bps, reason, invoice_ids, counted_cents, notice_id, policy, policy_version,"
            " rungs, situation, decided_at, correlation_id) select :contract, :generation,"
            " :level, 1, 1, 'test', '{}', 0, id, 'simple', 1, '[]', '{}', now(), :correlation"
            " from notice",
            contract=contract_id,
            generation=generation,
            level=level,
            correlation=f"cause-{contract_id}-{generation}",
        )
        if notify:
            await self.run("select pg_notify('religa_access', :id)", id=str(contract_id))
        return generation

    async def run(self, statement: str, **parameters: Any) -> list[dict[str, Any]]:
        async with self.house.uow("test", "test") as uow:
            result = await uow.connection.execute(text(statement), parameters)
            return [dict(row) for row in result.mappings()] if result.returns_rows else []

    async def session(self, contract_id: int) -> dict[str, Any]:
        """The contract's latest session."""
        rows = await self.run(
            "select * from sessions where contract_id = :contract order by id desc limit 1",
            contract=contract_id,
        )
        return rows[0]

    async def actions(self, contract_id: int) -> list[tuple[str, str, int | None, int]]:
        rows = await self.run(
            "select kind, outcome, error_cause, sends from network_actions"
            " where contract_id = :contract order by id",
            contract=contract_id,
        )
        return [(r["kind"], r["outcome"], r["error_cause"], r["sends"]) for r in rows]

    async def audited(self, contract_id: int) -> list[tuple[str, str]]:
        rows = await self.run(
            "select action, correlation_id from audit_log where subject = :subject order by seq",
            subject=f"contract:{contract_id}",
        )
        return [(row["action"], row["correlation_id"]) for row in rows]

    async def make_due(self) -> None:
        """As if every pause had passed."""
        await self.run("update sessions set next_attempt_wall = clock_timestamp()")


@pytest.fixture
async def scene(house: House) -> AsyncIterator[Scene]:
    made = Scene(house, await add_plan(house), DynauthClient(STEADY))
    yield made
    await made.client.close()


async def test_a_cut_and_its_restore_reach_the_live_line(scene: Scene) -> None:
    async with dae() as nas:
        contract = await scene.line(await scene.nas(nas), "ana")
        enforcer = scene.enforcer()
        await scene.decide(contract, REDUCED)
        assert await enforcer.converge_all() == 1
        await scene.decide(contract, FULL)
        await enforcer.converge_contract(contract)
        assert nas.sent("ana") == [COA_REDUCED, COA_FULL]
        assert await enforcer.converge_all() == 0
    session = await scene.session(contract)
    assert (session["applied_generation"], session["applied_level"]) == (3, "full")
    assert (session["stopped_at"], session["lease_owner"]) == (None, None)
    assert session["last_outcome"] == "coa ack"
    assert await scene.actions(contract) == [("coa", "ack", None, 1)] * 2
    # One id from the cause of the decision to the answer of the NAS.
    assert await scene.audited(contract) == [
        ("access.applied", f"cause-{contract}-2"),
        ("access.applied", f"cause-{contract}-3"),
    ]
    rows = await scene.run("select distinct correlation_id from network_actions order by 1")
    assert [row["correlation_id"] for row in rows] == [
        f"cause-{contract}-2",
        f"cause-{contract}-3",
    ]


async def test_what_cannot_change_live_is_dropped_and_comes_again(scene: Scene) -> None:
    async with dae() as nas:
        nas_id = await scene.nas(nas)
        contract = await scene.line(nas_id, "ana")
        enforcer = scene.enforcer()
        await scene.decide(contract, WALLED)
        await enforcer.converge_all()
        assert nas.sent("ana") == ["disconnect"]
        dropped = await scene.session(contract)
        assert dropped["stopped_at"] is not None
        assert dropped["terminate_cause"] == "Admin-Reset"
        # The redial was granted what is desired: nothing is left to do.
        await scene.dial(nas_id, contract, "ana", 2, WALLED)
        assert await enforcer.converge_all() == 0
        await scene.decide(contract, FULL)
        await enforcer.converge_all()
        assert nas.sent("ana") == ["disconnect"] * 2
    assert [action for action, _ in await scene.audited(contract)] == ["access.redialled"] * 2


async def test_the_lines_of_an_ended_contract_are_dropped(scene: Scene) -> None:
    async with dae() as nas:
        nas_id = await scene.nas(nas)
        contract, other = await scene.line(nas_id, "ana"), await scene.line(nas_id, "bia")
        await scene.run("update contracts set ended_on = '2026-01-01' where id = :id", id=contract)
        enforcer = scene.enforcer()
        await enforcer.converge_contract(contract)
        assert (nas.sent("ana"), nas.sent("bia")) == (["disconnect"], [])
        assert (await scene.session(contract))["terminate_cause"] == "Admin-Reset"
        # A node that had not heard of it let it in once more: the sweep finds it.
        await scene.dial(nas_id, contract, "ana", 1, FULL)
        await enforcer.converge_all()
        assert (nas.sent("ana"), nas.sent("bia")) == (["disconnect"] * 2, [])
        assert await enforcer.converge_all() == 0
    assert (await scene.session(other))["stopped_at"] is None
    assert (
        await scene.audited(contract)
        == [("session.dropped", f"contract-{contract}-generation-1")] * 2
    )
    rows = await scene.run("select distinct reason from network_actions")
    assert [row["reason"] for row in rows] == ["ended"]


async def test_a_session_that_the_nas_does_not_have_is_closed(scene: Scene) -> None:
    async with dae(lambda heard, times: 503) as nas:
        contract = await scene.line(await scene.nas(nas), "ana")
        await scene.decide(contract, REDUCED)
        await scene.enforcer().converge_all()
        assert nas.sent("ana") == [COA_REDUCED]
    session = await scene.session(contract)
    assert session["terminate_cause"] == "Lost-Session"
    assert session["stopped_at"] is not None
    assert await scene.actions(contract) == [("coa", "nak", 503, 1)]


@pytest.mark.parametrize("refusal", [402, "nak"])
async def test_a_refused_coa_is_followed_by_a_disconnect_at_once(
    scene: Scene, refusal: int | str
) -> None:
    def behave(heard: Heard, times: int) -> int | str:
        return "ack" if heard.code == 40 else refusal

    async with dae(behave) as nas:
        contract = await scene.line(await scene.nas(nas), "ana", level=REDUCED)
        await scene.decide(contract, FULL)
        await scene.enforcer().converge_all()
        assert nas.sent("ana") == [COA_FULL, "disconnect"]
    cause = refusal if isinstance(refusal, int) else None
    assert await scene.actions(contract) == [
        ("coa", "nak", cause, 1),
        ("disconnect", "ack", None, 1),
    ]
    assert (await scene.session(contract))["terminate_cause"] == "Admin-Reset"


async def test_a_late_answer_is_an_answer(scene: Scene) -> None:
    async with dae(lambda heard, times: "ack" if times == 2 else None) as nas:
        contract = await scene.line(await scene.nas(nas), "ana", level=REDUCED)
        await scene.decide(contract, FULL)
        await scene.enforcer().converge_all()
    assert await scene.actions(contract) == [("coa", "ack", None, 2)]
    assert (await scene.session(contract))["applied_generation"] == 2


async def test_silence_is_retried_then_dropped_then_shown_and_never_given_up(
    scene: Scene,
) -> None:
    scene.client = client = HalfPatient()
    async with dae(lambda heard, times: None) as nas:
        contract = await scene.line(await scene.nas(nas), "ana", level=REDUCED)
        await scene.decide(contract, FULL)
        enforcer = scene.enforcer()

        await enforcer.converge_all()
        assert nas.sent("ana") == [COA_FULL]
        session = await scene.session(contract)
        assert session["attempts"] == 1
        assert session["lease_owner"] is None
        # Its pause has not passed.
        assert await enforcer.converge_all() == 0

        for _ in range(3):
            await scene.make_due()
            assert await enforcer.converge_all() == 1
        assert nas.sent("ana") == [COA_FULL] + [COA_FULL, "disconnect"] * 3
        states = [row["state"] for row in await of(scene, contract)]
        assert states == ["failed"]
        assert await scene.audited(contract) == [("access.failed", f"cause-{contract}-2")]

        # The NAS comes back.
        nas.behave = lambda heard, times: "ack"
        client.expect_answers()
        await scene.make_due()
        await enforcer.converge_all()
    assert (await scene.session(contract))["applied_generation"] == 2
    assert [row["state"] for row in await of(scene, contract)] == ["applied"]


async def of(scene: Scene, contract: int) -> list[dict[str, Any]]:
    async with scene.house.uow("test", "test") as uow:
        return await of_contract(uow.connection, contract)


async def test_one_silence_after_another_does_not_fill_the_table(scene: Scene) -> None:
    scene.client = DynauthClient(QUICK)
    async with dae(lambda heard, times: None) as nas:
        contract = await scene.line(await scene.nas(nas), "ana")
        await scene.decide(contract, WALLED)
        enforcer = scene.enforcer()
        for _ in range(3):
            await scene.make_due()
            await enforcer.converge_all()
    assert await scene.actions(contract) == [("disconnect", "silence", None, 9)]


async def test_a_restore_does_not_sit_out_the_timers_of_its_cut(scene: Scene) -> None:
    def behave(heard: Heard, times: int) -> str | None:
        return "ack" if b"50M/100M" in heard.octets else None

    scene.client = DynauthClient(PATIENT)
    async with dae(behave) as nas:
        contract = await scene.line(await scene.nas(nas), "ana")
        enforcer = scene.enforcer()
        await scene.decide(contract, REDUCED)
        cutting = asyncio.create_task(enforcer.converge_all())
        await nas.hears(1)
        await scene.decide(contract, FULL)
        # Nobody has the time to sit them out: the cut is not sent again within this test.
        await enforcer.converge_contract(contract)
        assert await cutting == 1
        assert nas.sent("ana") == [COA_REDUCED, COA_FULL]
    assert await scene.actions(contract) == [
        ("coa", "superseded", None, 1),
        ("coa", "ack", None, 1),
    ]
    session = await scene.session(contract)
    assert (session["applied_generation"], session["applied_level"]) == (3, "full")


async def test_a_cut_that_was_paid_for_while_it_stood_in_line_is_never_sent(scene: Scene) -> None:
    async with dae() as nas:
        nas_id = await scene.nas(nas)
        names = ["ana", "bia", "caio"]
        contracts = {name: await scene.line(nas_id, name) for name in names}
        for contract in contracts.values():
            await scene.decide(contract, REDUCED)
        enforcer = scene.enforcer(coa_per_s=1)
        cutting = [
            asyncio.create_task(enforcer.converge_contract(contract))
            for contract in contracts.values()
        ]
        await nas.hears(1)
        # Whoever was claimed first is told first: somebody who still stands in line pays.
        payer = [name for name in names if not nas.sent(name)][-1]
        async with asyncio.timeout(20):
            while (await scene.session(contracts[payer]))["lease_owner"] is None:
                await wait_for(asyncio.Event(), 0.01)
        # Nobody notifies or sweeps: what is read right before the sending decides.
        await scene.decide(contracts[payer], FULL, notify=False)
        await asyncio.gather(*cutting)
        assert nas.sent(payer) == [COA_FULL]
        assert all(nas.sent(name) == [COA_REDUCED] for name in names if name != payer)


async def test_restores_overtake_cuts_at_a_slow_nas(scene: Scene) -> None:
    async with dae() as nas:
        nas_id = await scene.nas(nas)
        for number in range(8):
            await scene.decide(await scene.line(nas_id, f"debtor{number}"), REDUCED)
        paid = await scene.line(nas_id, "payer", level=REDUCED)
        # Slow enough for a payment to be read in between, on a busy machine too.
        enforcer = scene.enforcer(coa_per_s=2)
        cutting = asyncio.create_task(enforcer.converge_all())
        await nas.hears(2)
        await scene.decide(paid, FULL)
        await enforcer.converge_contract(paid)
        await cutting
        order = [heard.username for heard in nas.heard]
    assert len(order) == 9
    assert order.index("payer") <= 3


async def test_a_silent_nas_holds_nobody_up_at_another(scene: Scene) -> None:
    scene.client = DynauthClient(PATIENT)
    async with dae(lambda heard, times: None) as silent, dae() as nas:
        silent_id = await scene.nas(silent, "silent")
        nas_id = await scene.nas(nas, "bng", address="127.0.0.2")
        debtors = [await scene.line(silent_id, f"debtor{number}") for number in range(20)]
        for contract in debtors:
            await scene.decide(contract, REDUCED)
        paid = await scene.line(nas_id, "payer", level=REDUCED)
        await scene.decide(paid, FULL)
        stop = asyncio.Event()
        running = asyncio.create_task(scene.enforcer().run(stop))
        await silent.hears(1)
        await nas.hears(1)
        await until_applied(scene, paid, 2)
        # All the others still wait for their NAS.
        assert [await scene.actions(contract) for contract in debtors] == [[]] * 20
        stop.set()
        await running


async def test_a_socket_error_at_one_nas_holds_nobody_up_at_another(scene: Scene) -> None:
    async with dae() as lost, dae() as nas:

        class Unrouted(DynauthClient):
            async def exchange(self, address: str, port: int, *args: Any, **more: Any) -> Outcome:
                if port == lost.port:
                    raise OSError(101, "Network is unreachable")
                return await super().exchange(address, port, *args, **more)

        await scene.client.close()
        scene.client = Unrouted(STEADY)
        lost_id = await scene.nas(lost, "lost")
        nas_id = await scene.nas(nas, "bng", address="127.0.0.2")
        unreached = [await scene.line(lost_id, f"debtor{n}", level=REDUCED) for n in range(5)]
        paid = await scene.line(nas_id, "payer", level=REDUCED)
        for contract in (*unreached, paid):
            await scene.decide(contract, FULL)
        assert await scene.enforcer().converge_all() == 6
        assert (await scene.session(paid))["applied_generation"] == 2
        # Nothing is taken for done: each is due again once its lease has run out.
        for contract in unreached:
            session = await scene.session(contract)
            assert (session["applied_generation"], session["stopped_at"]) == (1, None)


async def until_applied(scene: Scene, contract: int, generation: int) -> None:
    never = asyncio.Event()
    async with asyncio.timeout(20):
        while (await scene.session(contract))["applied_generation"] < generation:
            await wait_for(never, 0.01)


async def test_a_line_of_before_our_time_gets_its_rate_without_a_redial(scene: Scene) -> None:
    async with dae() as nas:
        contract = await scene.line(await scene.nas(nas), "ana", generation=0, level=None)
        await scene.enforcer().converge_all()
        assert nas.sent("ana") == [COA_FULL]
    assert (await scene.session(contract))["applied_generation"] == 1


async def test_a_line_that_may_be_walled_is_dropped_but_not_for_ever(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converge, "REDIAL_PAUSES_S", (0.0, 0.01, 0.02, 0.03))
    async with dae() as nas:
        nas_id = await scene.nas(nas)
        contract = await scene.line(nas_id, "ana", generation=0, level=None)
        await scene.decide(contract, WALLED)
        await scene.decide(contract, FULL)
        enforcer = scene.enforcer()
        # Whatever redials is as unknown as what was dropped: say, the tables lag.
        for _ in range(6):
            await enforcer.converge_all()
            if (await scene.session(contract))["stopped_at"] is not None:
                await scene.dial(nas_id, contract, "ana", 0, None)
        assert nas.sent("ana") == ["disconnect"] * converge.REDIALS_MAX
    assert "in vain" in (await scene.session(contract))["last_outcome"]


async def test_what_cannot_be_told_is_shown_and_holds_nobody_up(scene: Scene) -> None:
    async with dae() as nas:
        nas_id = await scene.nas(nas)
        strange = await scene.nas(nas, "strange", address="127.0.0.2", dialect="telepathy")
        sealed = await scene.nas(nas, "sealed", address="127.0.0.3", secret=b"other")
        await scene.run("update nases set secret = 'x' where id = :id", id=sealed)
        lost = [await scene.line(strange, "ana"), await scene.line(sealed, "bia")]
        paid = await scene.line(nas_id, "caio", level=REDUCED)
        for contract in (*lost, paid):
            await scene.decide(contract, FULL)
        enforcer = scene.enforcer()
        assert await enforcer.converge_all() == 3
        assert await enforcer.converge_all() == 0
        assert [heard.username for heard in nas.heard] == ["caio"]
    for contract in lost:
        assert [row["state"] for row in await of(scene, contract)] == ["failed"]


async def test_of_two_enforcers_one_sends(scene: Scene) -> None:
    async with dae() as nas:
        nas_id = await scene.nas(nas)
        contracts = [await scene.line(nas_id, f"user{number}") for number in range(40)]
        for contract in contracts:
            await scene.decide(contract, REDUCED)
        one, other = scene.enforcer(), scene.enforcer()
        taken = await asyncio.gather(one.converge_all(), other.converge_all())
        assert sum(taken) == 40
        assert len({heard.octets for heard in nas.heard}) == 40


async def test_who_lost_the_lease_cannot_mark(scene: Scene) -> None:
    async with dae() as nas:
        contract = await scene.line(await scene.nas(nas), "ana")
    await scene.decide(contract, REDUCED)
    async with scene.house.uow("test", "test") as uow:
        # As long as a crash leaves it: the lease runs out by itself.
        [claim] = await claims.claim_contracts(uow.connection, "crashed", [contract], 0.0)
        assert await claims.claim(uow.connection, "heir", 10, 60.0) == [claim]
        assert await claims.claim(uow.connection, "third", 10, 60.0) == []
        assert await claims.read(uow.connection, "crashed", [claim.session_id]) == []
        assert not await claims.mark_applied(uow.connection, "crashed", claim, "coa ack")
        assert not await claims.mark_closed(uow.connection, "crashed", claim, "x", "x")
        assert not await claims.mark_retry(uow.connection, "crashed", claim, "x", 1.0)
        assert await claims.mark_applied(uow.connection, "heir", claim, "coa ack")
    assert (await scene.session(contract))["applied_generation"] == 2


async def test_a_pause_for_one_generation_does_not_delay_the_next(scene: Scene) -> None:
    scene.client = client = HalfPatient()
    async with dae(lambda heard, times: None) as nas:
        contract = await scene.line(await scene.nas(nas), "ana")
        await scene.decide(contract, REDUCED)
        enforcer = scene.enforcer()
        for _ in range(4):
            await scene.make_due()
            await enforcer.converge_all()
        assert (await scene.session(contract))["failed_generation"] == 2
        await scene.run(
            "update sessions set next_attempt_wall = clock_timestamp() + interval '1 hour'"
        )
        nas.behave = lambda heard, times: "ack"
        client.expect_answers()
        await scene.decide(contract, FULL)
        assert await enforcer.converge_all() == 1
    session = await scene.session(contract)
    assert (session["applied_generation"], session["failed_generation"]) == (3, None)


async def test_more_lines_than_one_sweep_takes_are_all_converged(scene: Scene) -> None:
    async with dae() as nas:
        await scene.lines(await scene.nas(nas), 300)
        await scene.run("update contracts set level = 'reduced', generation = 2")
        assert await scene.enforcer(coa_per_s=300).converge_all() == 300
    rows = await scene.run("select count(*) as n from sessions where applied_generation = 2")
    assert rows[0]["n"] == 300


@pytest.mark.parametrize("notify", [True, False])
async def test_running_it_is_woken_and_sweeps(
    scene: Scene, notify: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An hour between sweeps: only the wake-up can have done it. Without a wake-up: only a sweep.
    monkeypatch.setattr(enforce, "SWEEP_EVERY_S", 3600.0 if notify else 0.05)
    async with dae() as nas:
        contract = await scene.line(await scene.nas(nas), "ana", level=REDUCED)
        owed = await scene.line(await scene.nas(nas, "b2", address="127.0.0.2"), "bia")
        await scene.decide(owed, REDUCED, notify=False)
        stop = asyncio.Event()
        running = asyncio.create_task(scene.enforcer().run(stop))
        # What was owed before the start is done at once.
        await until_applied(scene, owed, 2)
        await scene.decide(contract, FULL, notify=notify)
        await until_applied(scene, contract, 2)
        stop.set()
        await running


async def test_stopping_leaves_what_is_open_to_others_at_once(scene: Scene) -> None:
    scene.client = DynauthClient(PATIENT)
    async with dae(lambda heard, times: None) as nas:
        contract = await scene.line(await scene.nas(nas), "ana")
        await scene.decide(contract, REDUCED)
        stop = asyncio.Event()
        running = asyncio.create_task(scene.enforcer().run(stop))
        await nas.hears(1)
        stop.set()
        async with asyncio.timeout(20):
            await running
        nas.behave = lambda heard, times: "ack"
        assert await scene.enforcer().converge_all() == 1
    assert (await scene.session(contract))["applied_generation"] == 2


async def test_restore_times_run_from_the_payment_to_the_answer(scene: Scene) -> None:
    scene.client = HalfPatient(lambda attributes: b"bia" in attributes)
    async with dae(lambda heard, times: None if heard.username == "bia" else "ack") as nas:
        nas_id = await scene.nas(nas)
        ana, bia = await scene.line(nas_id, "ana"), await scene.line(nas_id, "bia")
        enforcer = scene.enforcer()
        for contract in (ana, bia):
            await scene.decide(contract, REDUCED)
        await enforcer.converge_all()
        await scene.run(
            "insert into payment_notices (provider, external_id, kind, sha256, body,"
            " correlation_id, received_at, received_wall) values ('pix', 'e1', 'pix', '', '{}',"
            " :correlation, now(), clock_timestamp() - interval '7 seconds')",
            correlation=f"cause-{ana}-3",
        )
        for contract in (ana, bia):
            await scene.decide(contract, FULL)
        await enforcer.converge_all()
    async with scene.house.uow("test", "test") as uow:
        metrics: Any = await restore_metrics(uow.connection)
    assert metrics["applied"]["count"] == 1
    assert 7_000 <= metrics["applied"]["p50_ms"] == metrics["applied"]["p99_ms"] < 12_000
    assert metrics["observed"]["count"] == 0
    assert [row["contract_id"] for row in metrics["open"]] == [bia]
