"""One session as its records tell it in any order: when it began, if it ended, what it counted.

Everything here is commutative and forgets repeats, so late, duplicated and reordered records end in
the same state (invariant N5). Pure; instants are aware.

Source: RFC 2866 section 2 (a Stop ends a session), RFC 5080 section 2.2.1 (records are resent).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from api.meter import Meter, Point, Reading, Usage, advance

# The NAS's last interim and its Stop, or ours and its clock, may be so far apart and still agree.
SLACK = timedelta(seconds=5)

# What ended it: the NAS's Stop, or an Accounting-On or -Off. None: we did, or nothing.
StoppedBy = Literal["stop", "restart"]


class Counters(NamedTuple):
    """What one record counted, and when."""

    at: datetime
    input_octets: int
    output_octets: int
    gigawords_given: bool


@dataclass(slots=True)
class SessionChange:
    """What one or more records of one session say, folded together.

    Attributes:
        started_at: instant of the record less its Acct-Session-Time, the earliest of them.
        updated_at: of the latest record.
        alive_at: of the latest Start or Interim, if there is one.
        stopped_at: of the latest Stop, if there is one.
        terminate_cause: of that Stop.
        received_at: when a worker last took a record in.
    """

    unique_id: bytes
    acct_session_id: str
    username: str
    login_id: int | None
    granted_generation: int
    nas_id: int
    nas_address: str
    nas_port_id: str | None
    ipv4: str | None
    ipv6: str | None
    delegated_ipv6: str | None
    mac: str | None
    class_value: bytes | None
    started_at: datetime
    updated_at: datetime
    alive_at: datetime | None
    stopped_at: datetime | None
    terminate_cause: str | None
    session_seconds: int
    received_at: datetime
    counted: list[Counters] = field(default_factory=list)

    def fold(self, other: "SessionChange") -> None:
        """Take in another record of the same session, in any order."""
        later = other.updated_at >= self.updated_at
        for name in ("nas_port_id", "ipv4", "ipv6", "delegated_ipv6", "mac"):
            mine, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, (theirs or mine) if later else (mine or theirs))
        self.started_at = min(self.started_at, other.started_at)
        self.updated_at = max(self.updated_at, other.updated_at)
        self.alive_at = _latest(self.alive_at, other.alive_at)
        if other.stopped_at is not None and (
            self.stopped_at is None
            or (other.stopped_at, other.terminate_cause or "")
            > (self.stopped_at, self.terminate_cause or "")
        ):
            self.stopped_at, self.terminate_cause = other.stopped_at, other.terminate_cause
        self.session_seconds = max(self.session_seconds, other.session_seconds)
        self.received_at = max(self.received_at, other.received_at)
        self.counted += other.counted


@dataclass(frozen=True, slots=True)
class State:
    """What is kept of a session. `stopped_at` None: it is open."""

    started_at: datetime
    updated_at: datetime
    stopped_at: datetime | None
    stopped_by: StoppedBy | None
    terminate_cause: str | None
    input_octets: int
    output_octets: int
    meter: Meter


def take(state: State | None, change: SessionChange, *, wraps: bool) -> tuple[State, Usage]:
    """The session after a change, and what the change adds to its usage.

    Args:
        state: None for a session not heard of before.
        change: what is told now; what was told before may be told again.
        wraps: whether this NAS's counters start over at 4 GiB (where it gives no Gigawords).
    """
    started_at = change.started_at if state is None else min(state.started_at, change.started_at)
    readings = [
        Reading(_microseconds(at), input_octets, output_octets, wraps and not gigawords_given)
        for at, input_octets, output_octets, gigawords_given in change.counted
    ]
    advanced = advance(
        state.meter if state is not None else Meter(),
        _microseconds(state.started_at if state is not None else started_at),
        readings,
        _microseconds(started_at),
    )
    stopped_at, stopped_by, cause = _end(state, change)
    return State(
        started_at=started_at,
        updated_at=change.updated_at if state is None else max(state.updated_at, change.updated_at),
        stopped_at=stopped_at,
        stopped_by=stopped_by,
        terminate_cause=cause,
        input_octets=advanced.input_octets,
        output_octets=advanced.output_octets,
        meter=advanced.meter,
    ), advanced.usage


def restored_meter(
    numbers: Sequence[int] | None, updated_at: datetime, input_octets: int, output_octets: int
) -> Meter:
    """The meter of a stored session; one from before there were meters is settled as it stands."""
    if numbers is None:
        return Meter(Point(_microseconds(updated_at), input_octets, output_octets))
    return Meter.unpack(numbers)


def _end(
    state: State | None, change: SessionChange
) -> tuple[datetime | None, StoppedBy | None, str | None]:
    """A session ends with its latest Stop, unless it was heard of after that.

    Then the NAS used the identifier again, or had not done what it acknowledged: the line is open.
    The same holds for an end that we concluded; and there the NAS's own word, once it comes, wins.
    """
    lived_until = change.alive_at
    stopped_at, cause = change.stopped_at, change.terminate_cause
    if state is not None:
        lived_until = _latest(state.updated_at, lived_until)
        if state.stopped_by == "stop" and state.stopped_at is not None:
            kept = (state.stopped_at, state.terminate_cause or "")
            if stopped_at is None or (stopped_at, cause or "") < kept:
                stopped_at, cause = state.stopped_at, state.terminate_cause
    if stopped_at is not None and (lived_until is None or lived_until <= stopped_at + SLACK):
        return stopped_at, "stop", cause
    if (
        state is not None
        and state.stopped_at is not None
        and state.stopped_by != "stop"
        and (lived_until is None or lived_until <= state.stopped_at + SLACK)
    ):
        return state.stopped_at, state.stopped_by, state.terminate_cause
    return None, None, None


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return max(one, other)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
