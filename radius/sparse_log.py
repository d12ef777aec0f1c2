"""Warnings that a flood of packets cannot turn into a flood of lines. Counters say how many."""

import logging
from typing import Final

_WINDOW_S: Final = 60.0
_LINES_MAX: Final = 64


class SparseLog:
    """Per minute: one line of each kind and source, 64 lines of all. Time is an argument."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._said: set[tuple[str, str]] = set()
        self._window_until = 0.0

    def warn(
        self, kind: str, source: str, text: str, now: float, error: BaseException | None = None
    ) -> None:
        """Warn about `source`, with the traceback of `error`, unless it was said in this minute."""
        if now >= self._window_until:
            self._window_until = now + _WINDOW_S
            self._said.clear()
        if (kind, source) not in self._said and len(self._said) < _LINES_MAX:
            self._said.add((kind, source))
            self._logger.warning("%s: %s", source, text, exc_info=error)
