"""Two workers killed 200 times under accounting load: nothing acknowledged is lost.

`python -m tests.fuzz.kill --kills 200 --seed 7` ends with one JSON line.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.support.killed_accounting import kill_under_load


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.kill")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    options = parser.parse_args()
    began = time.monotonic()
    # On the disk and not in memory: what is durable is the question.
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill_under_load(Path(folder), options.kills, options.seed)
    lost = len(outcome.lost())
    report = {
        "fuzz": "kill",
        "seed": options.seed,
        "kills": options.kills,
        "acknowledged": len(outcome.acknowledged),
        "journalled": len(set(outcome.journalled)),
        "lost": lost,
        "strange_replies": outcome.strange,
        "seconds": round(time.monotonic() - began, 1),
        "ok": lost == 0 and outcome.strange == 0,
    }
    print(json.dumps(report), flush=True)
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
