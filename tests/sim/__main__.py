"""`make sim [SEED= YEARS=]`: a failing seed is printed as the command that repeats it."""

import argparse
import json
import secrets
import sys
import time

from tests.sim.world import Broken, World

SUBSCRIBERS = 500


def main() -> int:
    """Run one world; 1 if an invariant broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--years", type=int, default=5)
    asked = parser.parse_args()
    seed = secrets.randbelow(10**6) if asked.seed is None else asked.seed
    began = time.monotonic()
    world = World(seed, SUBSCRIBERS)
    try:
        world.run(366 * asked.years)
    except Broken as broken:
        print(f"{broken}\nmake sim SEED={seed} YEARS={asked.years}", file=sys.stderr)
        return 1
    counts = world.count()
    result = {
        "sim": "provider",
        "seed": seed,
        "years": asked.years,
        "subscribers": SUBSCRIBERS,
        "invoices": counts["InvoiceIssued"],
        "payments": counts["PaymentPosted"],
        "cuts": counts["cuts"],
        "restores": counts["restores"],
        "took_s": round(time.monotonic() - began, 1),
        "ok": True,
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
