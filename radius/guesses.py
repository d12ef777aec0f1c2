"""How long a Reject waits: not at all for a slip, longer and longer for whoever goes on guessing.

Time is an argument, so a test needs no clock.
"""

from collections import OrderedDict
from typing import Final

_FREE: Final = 3
_WINDOW_S: Final = 60.0
_STEPS_MAX: Final = 5
_NAMES_MAX: Final = 16_384


class Guesses:
    """Wrong answers by user name, of the last minute. `step_s`: by how much each one more waits."""

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        # In the order of the last wrong answer; whoever is silent longest is forgotten first.
        self._wrong: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

    def delay_s(self, username: bytes, now: float) -> float:
        """Count one more wrong answer; seconds that its Reject waits: 0 for the first three."""
        count, since = self._wrong.pop(username, (0, now))
        if now - since >= _WINDOW_S:
            count, since = 0, now
        self._wrong[username] = (count + 1, since)
        if len(self._wrong) > _NAMES_MAX:
            self._wrong.popitem(last=False)
        return self._step_s * min(max(0, count + 1 - _FREE), _STEPS_MAX)
