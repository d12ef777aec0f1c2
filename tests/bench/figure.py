"""One measured figure, as the line that others read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`reach` is the bound in `unit`; every figure here is better when smaller."""

    bench: str
    ours: float
    unit: str
    reach: float

    @property
    def ok(self) -> bool:
        return self.ours <= self.reach

    def line(self) -> str:
        return json.dumps(
            {
                "bench": self.bench,
                "ours": round(self.ours, 3),
                "unit": self.unit,
                "peer": None,
                "ratio": None,
                "reach": self.reach,
                "ok": self.ok,
            }
        )


def percentile(values: Sequence[float], percent: int) -> float:
    """Nearest rank of at least one value."""
    ordered = sorted(values)
    return ordered[max(1, -(-len(ordered) * percent // 100)) - 1]
