"""Steps of the ladder as stored: `[{"level": ..., "entered_on": ...}]`."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from billing.ladder import Rung
from billing.stage import Stage


def read_rungs(rows: Iterable[Mapping[str, Any]]) -> tuple[Rung, ...]:
    """Rungs from how they are stored."""
    return tuple(Rung(Stage(row["level"]), date.fromisoformat(row["entered_on"])) for row in rows)


def write_rungs(rungs: Iterable[Rung]) -> list[dict[str, str]]:
    """The same, to be stored."""
    return [{"level": rung.stage, "entered_on": rung.entered_on.isoformat()} for rung in rungs]
