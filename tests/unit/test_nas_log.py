"""The simulated NAS's log and what is read from it."""

from ipaddress import IPv4Address
from itertools import pairwise
from pathlib import Path

import pytest

from api.rehearsal.nas_log import Event, NasLog, by_username, read_log, restored, standing
from api.rehearsal.nas_profile import Profile
from api.rehearsal.nas_session import Line, Session

FULL = Profile(50_000_000, 10_000_000, walled=False)
SLOW = Profile(1_000_000, 500_000, walled=False)
WALLED = Profile(50_000_000, 10_000_000, walled=True)


def at(at_ns: int, event: str, after: Profile | None = None, username: str = "ana") -> Event:
    return Event(at_ns, "bng-1", event, username, f"s-{username}", after=after)


def test_what_is_written_is_read_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "nas.jsonl"
    session = Session(Line("ana\u2028\n", "pw", 1), "s1", IPv4Address("10.0.0.1"), FULL, None, 0)
    with NasLog(path, "bng-1") as log:
        for _ in range(50):
            log.write("acct_ok", session, outcome="start")
        log.write("profile", session, before=FULL, after=SLOW, authenticator=b"\x01\xff")
        log.write("access_reject", username="bia")
    events = read_log(path)
    assert len(events) == 52
    assert all(one.at_ns < next_.at_ns for one, next_ in pairwise(events))
    assert (events[50].before, events[50].after) == (FULL, SLOW)
    assert (events[50].username, events[50].session_id) == ("ana\u2028\n", "s1")
    assert events[50].authenticator == "01ff"
    assert [event.event for event in by_username(events)["bia"]] == ["access_reject"]
    assert "pw" not in path.read_text()


def test_a_line_still_being_written_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "nas.jsonl"
    with NasLog(path, "bng-1") as log:
        log.write("reboot")
    whole = path.read_text()
    path.write_text(whole + whole[:20])
    assert [event.event for event in read_log(path)] == ["reboot"]


@pytest.mark.parametrize(
    ("events", "reached"),
    [
        ([], None),
        ([at(5, "profile", FULL)], None),  # before the time asked for
        ([at(20, "profile", FULL)], 20),
        ([at(20, "profile", FULL), at(30, "profile", FULL)], 20),
        ([at(20, "profile", SLOW)], None),
        ([at(20, "profile", WALLED)], None),
        ([at(20, "profile", FULL, "bia")], None),
        ([at(20, "profile", FULL), at(30, "profile", SLOW)], None),
        ([at(20, "profile", FULL), at(30, "stop")], None),
        ([at(20, "profile", FULL), at(30, "forgotten")], None),
        ([at(20, "profile", FULL), at(30, "stop"), at(40, "profile", FULL)], 40),
        ([at(5, "profile", SLOW), at(20, "profile", FULL), at(30, "coa", SLOW)], 20),
    ],
)
def test_a_restore_counts_from_when_the_line_came_to_full_for_good(
    events: list[Event], reached: int | None
) -> None:
    assert restored(events, "ana", 10, 50_000_000, 10_000_000) == reached


def test_standing_is_the_profile_of_those_online_at_the_end() -> None:
    events = [
        at(1, "profile", SLOW, "ana"),
        at(2, "profile", FULL, "bia"),
        at(3, "profile", FULL, "ana"),
        at(4, "stop", None, "bia"),
    ]
    assert standing(events) == {"ana": FULL}


def test_two_nases_may_use_one_session_id() -> None:
    events = [
        Event(1, "bng-1", "profile", "ana", "s1", after=FULL),
        Event(2, "bng-2", "profile", "bia", "s1", after=SLOW),
        Event(3, "bng-2", "stop", "bia", "s1"),
    ]
    assert standing(events) == {"ana": FULL}
