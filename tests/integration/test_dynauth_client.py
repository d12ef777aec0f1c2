"""The client over real UDP, against a responder that pyrad speaks for; timers are compressed."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from radius import client as client_module
from radius.client import DynauthClient
from radius.codec import Code, Secret, attribute
from radius.dynauth import Ack, Nak, Outcome, Silence, Timers
from tests.support.dae import QUICK, SECRET, Dae, Heard, dae

pytestmark = pytest.mark.anyio

# For tests in which a resend would be a failure of the machine and not of the client.
PATIENT = Timers(initial_s=5.0, duration_max_s=60.0)
# Sends again soon, and has patience for the answer.
RESENDING = Timers(initial_s=0.1, wait_max_s=10.0, sends_max=20, duration_max_s=60.0)


@pytest.fixture(params=[PATIENT])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[DynauthClient]:
    """A patient one, unless the test asks for another."""
    made = DynauthClient(request.param)
    yield made
    await made.close()


quick = pytest.mark.parametrize("client", [QUICK], indirect=True)
resending = pytest.mark.parametrize("client", [RESENDING], indirect=True)


async def ask(
    client: DynauthClient, nas: Dae, username: str = "ana", code: Code = Code.COA_REQUEST
) -> Outcome:
    return await client.exchange(
        "127.0.0.1",
        nas.port,
        code,
        attribute(1, username.encode()),
        Secret(SECRET),
        message_authenticator=True,
    )


async def test_a_request_is_believed_by_another_implementation_and_answered(
    client: DynauthClient,
) -> None:
    async with dae() as nas:
        assert isinstance(await ask(client, nas), Ack)
        assert isinstance(await ask(client, nas, code=Code.DISCONNECT_REQUEST), Ack)
    assert [heard.code for heard in nas.heard] == [Code.COA_REQUEST, Code.DISCONNECT_REQUEST]
    stamped = int.from_bytes(nas.heard[0].attributes[55][0], "big")
    assert abs(stamped - time.time()) < 10


@pytest.mark.parametrize(("answer", "cause"), [(503, 503), ("nak", None)])
async def test_a_refusal_carries_its_cause(
    client: DynauthClient, answer: int | str, cause: int | None
) -> None:
    async with dae(lambda heard, times: answer) as nas:
        outcome = await ask(client, nas)
    assert isinstance(outcome, Nak)
    assert outcome.error_cause == cause


@quick
async def test_silence_after_identical_resends_from_one_port(client: DynauthClient) -> None:
    async with dae(lambda heard, times: None) as nas:
        assert await ask(client, nas) == Silence(3)
        await nas.hears(3)
    assert len(nas.heard) == 3
    assert len({(heard.octets, heard.port) for heard in nas.heard}) == 1


@resending
async def test_a_late_answer_still_counts(client: DynauthClient) -> None:
    async with dae(lambda heard, times: "ack" if times == 2 else None) as nas:
        await acknowledged_at_the_second(nas, await ask(client, nas))


async def acknowledged_at_the_second(nas: Dae, outcome: Outcome) -> None:
    """Sent twice; or more often, where a machine was so slow that the next resend came first."""
    assert isinstance(outcome, Ack)
    assert outcome.sends >= 2
    await nas.hears(outcome.sends)
    assert len(nas.heard) == outcome.sends


@quick
async def test_an_answer_signed_by_another_is_no_answer(client: DynauthClient) -> None:
    async with dae(lambda heard, times: None) as nas, dae(secret=b"guessed") as forger:
        asking = asyncio.create_task(ask(client, nas))
        await nas.hears(1)
        heard = nas.heard[0]
        nas.send(forger.reply(heard, "ack"), ("127.0.0.1", heard.port))
        nas.send(b"\x2c", ("127.0.0.1", heard.port))
        assert isinstance(await asking, Silence)


@quick
async def test_an_answer_from_another_address_is_no_answer(client: DynauthClient) -> None:
    async with dae(lambda heard, times: None) as nas, dae() as other:
        asking = asyncio.create_task(ask(client, nas))
        await nas.hears(1)
        other.send(nas.reply(nas.heard[0], "ack"), ("127.0.0.1", nas.heard[0].port))
        assert isinstance(await asking, Silence)


async def test_a_burst_gets_each_its_own_answer_and_no_port_repeats_an_identifier() -> None:
    def behave(heard: Heard, times: int) -> str | int:
        number = int(heard.username)
        return "ack" if number % 2 else 400 + number % 7

    client = DynauthClient(PATIENT)
    async with dae(behave) as nas:
        outcomes = await asyncio.gather(*(ask(client, nas, str(n)) for n in range(600)))
        # Answered, and still not free before the replay window has passed.
        assert isinstance(await ask(client, nas, "601"), Ack)
    await client.close()
    for number, outcome in enumerate(outcomes):
        if number % 2:
            assert isinstance(outcome, Ack)
        else:
            assert isinstance(outcome, Nak)
            assert outcome.error_cause == 400 + number % 7
    requests = {heard.octets: (heard.port, heard.identifier) for heard in nas.heard}
    assert len(requests) == 601
    assert set(Counter(requests.values()).values()) == {1}
    assert len({port for port, _ in requests.values()}) == 3


async def test_two_nases_share_a_source_port() -> None:
    client = DynauthClient(PATIENT)
    async with dae() as one, dae() as other:
        await asyncio.gather(*(ask(client, nas) for nas in (one, other) for _ in range(200)))
        assert {heard.port for heard in one.heard} == {heard.port for heard in other.heard}
    await client.close()


async def test_cancelling_abandons_the_request_and_keeps_its_identifier(
    client: DynauthClient,
) -> None:
    async with dae(lambda heard, times: None) as nas:
        asking = asyncio.create_task(ask(client, nas))
        await nas.hears(1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        nas.behave = lambda heard, times: "ack"
        # The answer to what was abandoned must not answer what comes next.
        again = asyncio.create_task(ask(client, nas, "bia"))
        nas.send(nas.reply(nas.heard[0], 503), ("127.0.0.1", nas.heard[0].port))
        assert isinstance(await again, Ack)
    assert nas.heard[0].identifier != nas.heard[-1].identifier


async def test_an_identifier_is_free_again_after_the_replay_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "REPLAY_WINDOW_S", 0.0)
    client = DynauthClient(PATIENT)
    async with dae() as nas:
        for _ in range(300):
            await ask(client, nas)
    await client.close()
    assert len({heard.port for heard in nas.heard}) == 1


@resending
async def test_on_sent_is_told_once_after_the_first_datagram_left(client: DynauthClient) -> None:
    told: list[int] = []
    async with dae(lambda heard, times: "ack" if times == 2 else None) as nas:
        outcome = await client.exchange(
            "127.0.0.1",
            nas.port,
            Code.COA_REQUEST,
            attribute(1, b"ana"),
            Secret(SECRET),
            message_authenticator=True,
            on_sent=lambda: told.append(1),
        )
        await acknowledged_at_the_second(nas, outcome)
    assert told == [1]


async def test_ipv6() -> None:
    client = DynauthClient(QUICK)
    outcome = await client.exchange(
        "::1",
        9,
        Code.COA_REQUEST,
        attribute(1, b"ana"),
        Secret(SECRET),
        message_authenticator=True,
    )
    await client.close()
    assert outcome == Silence(3)
