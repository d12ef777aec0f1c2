"""Whatever the order of records and however often they come: one session, one usage (N5)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from api.meter import READINGS_KEPT, Usage
from api.session_state import Counters, SessionChange, State, take

BEGAN = datetime(2026, 9, 1, 2, 50, tzinfo=UTC)
KINDS = ("start", "interim", "stop")


@st.composite
def _records(draw: st.DrawFn, most: int = READINGS_KEPT) -> list[SessionChange]:
    """Records of one session as any NAS, also one that lies, may tell them."""
    seconds = draw(
        st.lists(st.integers(0, 40_000), min_size=1, max_size=most, unique=True).map(sorted)
    )
    return [
        _record(
            draw(st.sampled_from(KINDS)),
            second,
            draw(st.integers(0, 2**32 - 1)),
            draw(st.integers(0, 2**32 - 1)),
            began_s=draw(st.integers(-3, 3)),
        )
        for second in seconds
    ]


def _record(
    kind: str, second: int, input_octets: int, output_octets: int, began_s: int = 0
) -> SessionChange:
    at = BEGAN + timedelta(seconds=second)
    stopped = kind == "stop"
    return SessionChange(
        unique_id=b"s1",
        acct_session_id="s1",
        username="ana",
        login_id=1,
        granted_generation=1,
        nas_id=1,
        nas_address="127.0.0.1",
        nas_port_id=None,
        ipv4=None,
        ipv6=None,
        delegated_ipv6=None,
        mac=None,
        class_value=None,
        started_at=min(at, BEGAN + timedelta(seconds=began_s)),
        updated_at=at,
        alive_at=None if stopped else at,
        stopped_at=at if stopped else None,
        terminate_cause="User-Request" if stopped else None,
        session_seconds=second,
        received_at=at,
        counted=[Counters(at, input_octets, output_octets, gigawords_given=False)],
    )


def _told(records: Sequence[SessionChange], sizes: Sequence[int], *, wraps: bool) -> "_End":
    """The state after these records, in batches of these sizes (then one at a time)."""
    state: State | None = None
    usage: Usage = {}
    left = list(records)
    batches = iter(sizes)
    while left:
        size = next(batches, 1)
        first, *rest = left[:size]
        del left[:size]
        change = _record("interim", 0, 0, 0)
        for name in SessionChange.__slots__:
            setattr(change, name, getattr(first, name))
        change.counted = list(first.counted)
        for record in rest:
            change.fold(record)
        state, added = take(state, change, wraps=wraps)
        for quarter, (input_octets, output_octets) in added.items():
            cell = usage.setdefault(quarter, [0, 0])
            cell[0] += input_octets
            cell[1] += output_octets
    assert state is not None
    return state, {quarter: octets for quarter, octets in usage.items() if octets != [0, 0]}


_End = tuple[State, Usage]
_sizes = st.lists(st.integers(1, 5), max_size=10)


@given(_records(), st.data(), _sizes, st.booleans())
def test_any_order_repeats_and_batches_end_in_the_same_session_and_usage(
    records: list[SessionChange], data: st.DataObject, sizes: list[int], wraps: bool
) -> None:
    expected = _told(records, [], wraps=wraps)
    repeats = data.draw(st.lists(st.sampled_from(records), max_size=8))
    order = data.draw(st.permutations(records + repeats))
    assert _told(order, sizes, wraps=wraps) == expected


@given(_records(most=3 * READINGS_KEPT), st.data(), _sizes)
def test_beyond_what_is_remembered_the_order_moves_octets_in_time_but_makes_and_loses_none(
    records: list[SessionChange], data: st.DataObject, sizes: list[int]
) -> None:
    order = data.draw(st.permutations(records + records[:5]))
    state, usage = _told(order, sizes, wraps=False)
    expected, _ = _told(records, [], wraps=False)
    most = [max(r.counted[0][place] for r in records) for place in (1, 2)]
    assert [state.input_octets, state.output_octets] == most
    assert [sum(cell[place] for cell in usage.values()) for place in (0, 1)] == most
    for name in ("started_at", "updated_at", "stopped_at", "terminate_cause"):
        assert getattr(state, name) == getattr(expected, name)


@given(_records(most=3 * READINGS_KEPT), st.booleans())
def test_usage_adds_up_to_what_was_counted_and_is_never_negative(
    records: list[SessionChange], wraps: bool
) -> None:
    state, usage = _told(records, [], wraps=wraps)
    totals = [sum(cell[place] for cell in usage.values()) for place in (0, 1)]
    assert totals == [state.input_octets, state.output_octets]
    assert all(octets >= 0 for cell in usage.values() for octets in cell)


@given(_records(most=3 * READINGS_KEPT), st.booleans())
def test_told_again_it_adds_nothing(records: list[SessionChange], wraps: bool) -> None:
    assert _told([*records, *records], [], wraps=wraps) == _told(records, [], wraps=wraps)
