"""Named points at which a rehearsal may kill the process, as `kill -9` would.

`RELIGA_CRASH_AT` names one; it fires once for a data directory, so that what starts again lives.
"""

import os
import signal
from pathlib import Path

_armed: tuple[str, Path] | None = None


def arm(point: str, data_dir: Path) -> None:
    """Arm one point for this process unless it fired before under this data directory."""
    global _armed
    marker = data_dir / f"crashed-{point}"
    _armed = (point, marker) if point and not marker.exists() else None


def reach(point: str) -> None:
    """Die here if this point is armed. Costs a comparison otherwise."""
    if _armed is not None and _armed[0] == point:
        _armed[1].touch()
        os.kill(os.getpid(), signal.SIGKILL)
