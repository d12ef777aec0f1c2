"""What to do after a NAS answered, or did not. Pure.

Source: RFC 5176 section 3.5 for the causes; RFC 5080 for giving up on silence.
"""

from dataclasses import dataclass
from typing import Literal, assert_never

from radius.dynauth import Ack, Nak, Outcome, Silence

Kind = Literal["coa", "disconnect"]

NAS_IDENTIFICATION_MISMATCH = 403
SESSION_CONTEXT_NOT_FOUND = 503
# What passes by itself: a route or a proxy that failed, a NAS that is busy or asks us back first.
_PASSING_CAUSES = frozenset({502, 505, 506, 507})

SILENT_COAS_MAX = 2
TRIES_MAX = 4
# Of a NAS that comes back, every line is right within a minute: the last resend of an exchange
# (16 s before its end) and this pause leave time for the answer.
RETRY_MAX_S = 30.0


@dataclass(frozen=True, slots=True)
class MarkApplied:
    """The live line has it."""


@dataclass(frozen=True, slots=True)
class AwaitRedial:
    """The line was dropped; it comes again with the new grant."""


@dataclass(frozen=True, slots=True)
class CloseStaleSession:
    """The NAS has no such line; whatever comes next comes with the new grant."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """This NAS will not change the line live: drop it."""


@dataclass(frozen=True, slots=True)
class RetryLater:
    """It may pass."""

    after_s: float


@dataclass(frozen=True, slots=True)
class CallHuman:
    """Nothing that we have left helps. Tried again after `after_s`, because it remains owed."""

    after_s: float


Step = MarkApplied | AwaitRedial | CloseStaleSession | Disconnect | RetryLater | CallHuman


def next_step(outcome: Outcome, kind: Kind, attempts: int) -> Step:
    """The step that an outcome calls for.

    A refused CoA is followed by a Disconnect, since a redial brings the whole grant. Not after 403:
    we name no NAS, so one that finds the name wrong is not the one that has this line, and would
    refuse to drop it for the same reason.

    Args:
        outcome: of the exchange.
        kind: what was sent.
        attempts: how many tries for the same generation came to nothing before this one.
    """
    match outcome:
        case Ack():
            return MarkApplied() if kind == "coa" else AwaitRedial()
        case Nak(error_cause=cause) if cause == SESSION_CONTEXT_NOT_FOUND:
            return CloseStaleSession()
        case Nak(error_cause=cause) if cause in _PASSING_CAUSES:
            return _again(attempts)
        case Nak(error_cause=cause):
            if kind == "coa" and cause != NAS_IDENTIFICATION_MISMATCH:
                return Disconnect()
            return CallHuman(RETRY_MAX_S)
        case Silence():
            if kind == "coa" and attempts + 1 >= SILENT_COAS_MAX:
                return Disconnect()
            return _again(attempts)
        case _:
            assert_never(outcome)


def _again(attempts: int) -> RetryLater | CallHuman:
    if attempts + 1 >= TRIES_MAX:
        return CallHuman(RETRY_MAX_S)
    return RetryLater(min(RETRY_MAX_S, 2.0 * 2**attempts))
