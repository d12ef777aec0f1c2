"""What each answer of a NAS calls for, and what silence does."""

from typing import Literal

import pytest

from api.next_step import (
    AwaitRedial,
    CallHuman,
    CloseStaleSession,
    Disconnect,
    MarkApplied,
    RetryLater,
    Step,
    next_step,
)
from radius.dynauth import Ack, Nak, Outcome, Silence

COA: Literal["coa"] = "coa"
DROP: Literal["disconnect"] = "disconnect"


@pytest.mark.parametrize(
    ("kind", "outcome", "attempts", "step"),
    [
        (COA, Ack(1), 0, MarkApplied()),
        (COA, Ack(5), 9, MarkApplied()),
        (DROP, Ack(1), 0, AwaitRedial()),
        (COA, Nak(503, 1), 0, CloseStaleSession()),
        (DROP, Nak(503, 1), 0, CloseStaleSession()),
        *[
            (COA, Nak(cause, 1), 0, Disconnect())
            for cause in (None, 201, 401, 402, 404, 405, 406, 407, 501, 504, 508, 999)
        ],
        *[
            (DROP, Nak(cause, 1), 0, CallHuman(30.0))
            for cause in (None, 401, 402, 403, 404, 405, 406, 407, 501, 504, 508, 999)
        ],
        (COA, Nak(403, 1), 0, CallHuman(30.0)),
        *[(COA, Nak(cause, 1), 0, RetryLater(2.0)) for cause in (502, 505, 506, 507)],
        (DROP, Nak(506, 1), 1, RetryLater(4.0)),
        (COA, Nak(506, 1), 2, RetryLater(8.0)),
        (COA, Nak(506, 1), 3, CallHuman(30.0)),
        (COA, Silence(4), 0, RetryLater(2.0)),
        (COA, Silence(4), 1, Disconnect()),
        (COA, Silence(4), 7, Disconnect()),
        (DROP, Silence(4), 0, RetryLater(2.0)),
        (DROP, Silence(4), 1, RetryLater(4.0)),
        (DROP, Silence(4), 2, RetryLater(8.0)),
        (DROP, Silence(4), 3, CallHuman(30.0)),
        (DROP, Silence(4), 90, CallHuman(30.0)),
    ],
)
def test_next_step(
    kind: Literal["coa", "disconnect"], outcome: Outcome, attempts: int, step: Step
) -> None:
    assert next_step(outcome, kind, attempts) == step


@pytest.mark.parametrize("kind", [COA, DROP])
@pytest.mark.parametrize("outcome", [Silence(4), Nak(506, 1), Nak(404, 1), Nak(403, 1)])
def test_what_is_owed_is_never_given_up(
    kind: Literal["coa", "disconnect"], outcome: Outcome
) -> None:
    for attempts in range(50):
        step = next_step(outcome, kind, attempts)
        # A pause of more than this, and a NAS that came back would wait a minute for its lines.
        pause_s = step.after_s if isinstance(step, RetryLater | CallHuman) else 0.0
        assert isinstance(step, Disconnect) or 0 < pause_s <= 30
