"""Laws of one exchange, for any timers and jitter; and of the Identifiers of one source port."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from radius.client import IDENTIFIERS, Identifiers
from radius.codec import Code, Secret, attribute, encode_reply, encode_request, parse
from radius.dynauth import REPLAY_WINDOW_S, Ack, Exchange, Silence, Timers

SECRET = Secret(b"xyzzy5461")
REQUEST = encode_request(
    Code.COA_REQUEST, 7, attribute(1, b"nemo"), SECRET, message_authenticator=True
)
TIMERS = st.builds(
    Timers,
    initial_s=st.floats(0.01, 4),
    wait_max_s=st.floats(0.01, 32),
    sends_max=st.integers(1, 8),
    duration_max_s=st.floats(0.05, 60),
    jitter=st.floats(0, 0.5),
)


@given(TIMERS, st.randoms(use_true_random=False))
def test_an_unanswered_exchange_ends_within_its_bounds(timers: Timers, random: Random) -> None:
    one = Exchange(REQUEST, SECRET, timers, random.random, now=0.0)
    times = []
    while True:
        now = one.wake_at
        assert one.poll(now - 1e-6) is None
        due = one.poll(now)
        if isinstance(due, Silence):
            break
        assert due == REQUEST
        times.append(now)
    assert 1 <= due.sends == len(times) <= timers.sends_max
    assert now <= timers.duration_max_s
    waits = [later - sooner for sooner, later in pairwise(times)]
    longest = max(timers.wait_max_s, timers.initial_s) * (1 + timers.jitter)
    assert all(wait <= longest + 1e-9 for wait in waits)


@given(st.binary(max_size=60))
def test_no_octets_but_the_answers_are_believed(octets: bytes) -> None:
    one = Exchange(REQUEST, SECRET, Timers(), lambda: 0.5, now=0.0)
    one.poll(0.0)
    assert one.receive(octets, 0.0) is None


@given(st.integers(0, 7), st.integers(0, 19))
def test_one_changed_bit_makes_an_answer_unbelievable(bit: int, octet: int) -> None:
    good = encode_reply(Code.COA_ACK, parse(REQUEST), b"", SECRET, message_authenticator=False)
    one = Exchange(REQUEST, SECRET, Timers(), lambda: 0.5, now=0.0)
    one.poll(0.0)
    changed = bytearray(good)
    changed[octet] ^= 1 << bit
    assert one.receive(bytes(changed), 0.0) is None
    assert one.receive(good, 0.0) == Ack(1)


@given(st.integers(0, 2**32), st.floats(0.05, 3), st.floats(0, 1))
def test_an_identifier_is_in_one_use_at_a_time_and_then_rests(
    seed: int, pause_mean_s: float, answered_share: float
) -> None:
    random = Random(seed)
    identifiers = Identifiers()
    now = 0.0
    rested_since: dict[int, float] = {}
    flying: list[int] = []
    for _ in range(900):
        now += random.expovariate(1 / pause_mean_s)
        if flying and random.random() < answered_share:
            identifier = flying.pop(random.randrange(len(flying)))
            identifiers.give_back(identifier, now)
            rested_since[identifier] = now
            continue
        taken = identifiers.take(now)
        if taken is None:
            resting = sum(now - at < REPLAY_WINDOW_S for at in rested_since.values())
            assert len(flying) + resting == IDENTIFIERS
        else:
            assert 0 <= taken < IDENTIFIERS
            assert taken not in flying
            assert now - rested_since.pop(taken, -REPLAY_WINDOW_S) >= REPLAY_WINDOW_S
            flying.append(taken)
