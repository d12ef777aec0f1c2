"""One measured figure, as the line that others read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """`reach` bounds `ours`, in `unit`; with a `peer`, measured alike, it bounds ours : peer.

    Without a reach it is told, and nobody is held to it.
    """

    bench: str
    ours: float
    unit: str
    reach: float | None = None
    peer: float | None = None
    better: Literal["smaller", "larger"] = "smaller"

    @property
    def ratio(self) -> float | None:
        return None if self.peer is None else self.ours / self.peer

    @property
    def ok(self) -> bool:
        if self.reach is None:
            return True
        judged = self.ours if self.ratio is None else self.ratio
        return judged <= self.reach if self.better == "smaller" else judged >= self.reach

    def line(self) -> str:
        return json.dumps(
            {
                "bench": self.bench,
                "ours": round(self.ours, 3),
                "unit": self.unit,
                "peer": None if self.peer is None else round(self.peer, 3),
                "ratio": None if self.ratio is None else round(self.ratio, 3),
                "reach": self.reach,
                "ok": self.ok,
            }
        )


def percentile(values: Sequence[float], percent: int) -> float:
    """Nearest rank of at least one value."""
    ordered = sorted(values)
    return ordered[max(1, -(-len(ordered) * percent // 100)) - 1]
