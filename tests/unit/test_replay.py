"""RFC 5080 section 2.2.2, in virtual time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius.errors import LocalError
from radius.replay import PENDING, Key, ReplyCache

KEY: Key = (("192.0.2.1", 40000), 7)
ONE = b"1" * 16
TWO = b"2" * 16


def test_a_repeat_gets_the_same_octets_until_they_expire() -> None:
    cache = ReplyCache(ttl_s=30.0)
    assert cache.find(KEY, ONE, 0.0) is None
    cache.store(KEY, ONE, b"reply", 0.0)
    assert cache.find(KEY, ONE, 4.0) == b"reply"
    assert cache.find(KEY, ONE, 29.9) == b"reply"
    assert cache.find(KEY, ONE, 30.0) is None


def test_a_request_in_progress_is_not_started_twice() -> None:
    cache = ReplyCache()
    cache.begin(KEY, ONE, 0.0)
    assert cache.find(KEY, ONE, 0.1) is PENDING
    cache.store(KEY, ONE, b"reply", 0.2)
    assert cache.find(KEY, ONE, 0.3) == b"reply"


def test_what_we_could_not_answer_may_be_tried_again() -> None:
    cache = ReplyCache()
    cache.begin(KEY, ONE, 0.0)
    cache.forget(KEY)
    assert cache.find(KEY, ONE, 0.1) is None
    cache.forget(KEY)


def test_another_authenticator_under_the_same_identifier_is_a_new_request() -> None:
    cache = ReplyCache()
    cache.store(KEY, ONE, b"reply", 0.0)
    assert cache.find(KEY, TWO, 1.0) is None
    assert cache.find(KEY, ONE, 1.0) is None, "the older entry must be purged"


@pytest.mark.parametrize(
    "other", [(("192.0.2.2", 40000), 7), (("192.0.2.1", 40001), 7), (("192.0.2.1", 40000), 8)]
)
def test_address_port_and_identifier_tell_requests_apart(other: Key) -> None:
    cache = ReplyCache()
    cache.store(KEY, ONE, b"reply", 0.0)
    assert cache.find(other, ONE, 0.0) is None


def test_of_a_full_cache_the_last_half_is_known_and_the_expired_go_by_themselves() -> None:
    cache = ReplyCache(ttl_s=30.0, entries_max=4)
    for identifier in range(7):
        cache.store((("192.0.2.1", 1), identifier), ONE, b"r", float(identifier))
        assert len(cache) <= 4
        for known in range(max(0, identifier - 1), identifier + 1):
            assert cache.find((("192.0.2.1", 1), known), ONE, float(identifier)) == b"r"
    assert cache.find((("192.0.2.1", 1), 3), ONE, 7.0) is None
    cache.store(KEY, ONE, b"r", 100.0)
    assert len(cache) == 1


def test_a_reply_lives_as_long_as_it_should_across_generations() -> None:
    cache = ReplyCache(ttl_s=30.0)
    cache.store((("192.0.2.1", 1), 1), ONE, b"first", 0.0)
    cache.store(KEY, ONE, b"late", 29.0)
    cache.store((("192.0.2.1", 1), 2), ONE, b"next", 31.0)
    assert cache.find(KEY, ONE, 58.9) == b"late"
    assert cache.find(KEY, ONE, 59.0) is None


@pytest.mark.parametrize(("ttl_s", "entries_max"), [(0.0, 2), (30.0, 1)])
def test_a_cache_that_keeps_nothing_is_refused(ttl_s: float, entries_max: int) -> None:
    with pytest.raises(LocalError):
        ReplyCache(ttl_s=ttl_s, entries_max=entries_max)


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from([ONE, TWO]), st.floats(0.0, 20.0)),
        max_size=60,
    )
)
def test_like_a_table_that_remembers_everything_but_by_the_clock(
    events: list[tuple[int, bytes, float]],
) -> None:
    cache = ReplyCache(ttl_s=30.0, entries_max=4)
    model: dict[int, tuple[bytes, bytes, float]] = {}
    now = 0.0
    for step, (identifier, authenticator, pause) in enumerate(events):
        now += pause
        key = (("192.0.2.1", 1), identifier)
        kept = model.get(identifier)
        found = cache.find(key, authenticator, now)
        if found is not None:
            assert kept is not None
            assert found == kept[1]
            assert kept[0] == authenticator
            assert now < kept[2] + 30.0
            continue
        reply = b"%d" % step
        cache.store(key, authenticator, reply, now)
        model[identifier] = (authenticator, reply, now)
        assert cache.find(key, authenticator, now) == reply
        assert len(cache) <= 4
