"""Pacing towards one NAS in virtual time: the rate, who goes first, and what may be in flight."""

from hypothesis import given
from hypothesis import strategies as st

from api.send_rate import SendQueue


def test_a_second_worth_goes_at_once_and_the_rest_at_the_rate() -> None:
    queue: SendQueue[int] = SendQueue(per_s=4)
    for ticket in range(6):
        queue.offer(ticket, restores=True)
    assert queue.admit(10.0) == ([0, 1, 2, 3], 0.25)
    assert queue.admit(10.25) == ([4], 0.25)
    assert queue.admit(10.5) == ([5], None)


def test_restores_overtake_cuts_that_came_earlier() -> None:
    queue: SendQueue[str] = SendQueue(per_s=2)
    for ticket in ("cut 1", "cut 2", "cut 3"):
        queue.offer(ticket, restores=False)
    assert queue.admit(0.0)[0] == ["cut 1", "cut 2"]
    queue.offer("restore", restores=True)
    assert queue.admit(0.5)[0] == ["restore"]
    assert queue.admit(1.0)[0] == ["cut 3"]


def test_unanswered_cuts_leave_room_for_restores() -> None:
    queue: SendQueue[str] = SendQueue(per_s=100, in_flight_max=4, cuts_in_flight_max=2)
    for number in range(4):
        queue.offer(f"cut {number}", restores=False)
    assert queue.admit(0.0) == (["cut 0", "cut 1"], None)
    for number in range(4):
        queue.offer(f"restore {number}", restores=True)
    assert queue.admit(0.0) == (["restore 0", "restore 1"], None)
    queue.withdraw("restore 0")
    assert queue.admit(0.0) == (["restore 2"], None)
    queue.withdraw("cut 0")
    assert queue.admit(0.0) == (["restore 3"], None)


def test_who_leaves_the_line_is_not_admitted() -> None:
    queue: SendQueue[str] = SendQueue(per_s=100)
    queue.offer("gone", restores=False)
    queue.offer("stays", restores=False)
    queue.withdraw("gone")
    assert queue.admit(0.0) == (["stays"], None)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 400)), min_size=1, max_size=80),
    st.integers(1, 20),
    st.integers(1, 6),
)
def test_nothing_is_lost_and_no_window_holds_more_than_its_share(
    offers: list[tuple[bool, int]], per_s: int, cuts_max: int
) -> None:
    queue: SendQueue[int] = SendQueue(per_s, in_flight_max=8, cuts_in_flight_max=cuts_max)
    now = 0.0
    sent: list[tuple[float, int]] = []
    flying: list[int] = []

    def pump() -> float | None:
        admitted, ask_in_s = queue.admit(now)
        sent.extend((now, ticket) for ticket in admitted)
        flying.extend(admitted)
        assert len(flying) <= 8
        assert sum(not offers[ticket][0] for ticket in flying) <= cuts_max
        return ask_in_s

    for ticket, (restores, pause_ms) in enumerate(offers):
        now += pause_ms / 1000
        queue.offer(ticket, restores=restores)
        pump()
    for _ in range(1000):
        if len(sent) == len(offers):
            break
        ask_in_s = pump()
        if ask_in_s is not None:
            now += ask_in_s
        elif flying:
            queue.withdraw(flying.pop(0))
    assert sorted(ticket for _, ticket in sent) == list(range(len(offers)))
    for at, _ in sent:
        for window_s in (0.1, 1.0, 5.0):
            inside = sum(at <= other <= at + window_s for other, _ in sent)
            assert inside <= per_s * (1 + window_s) + 1
