"""`make sim [SEED= YEARS= WORLD=]`: a failing seed is printed as the command that repeats it.

Worlds: `provider`, years of five hundred lives to the cent; `disasters`, a year of twenty thousand
contracts in which what the guards are for goes wrong; `laws`, the laws of `tests/property` by other
examples than `make test` takes. Without a name: all.
"""

import argparse
import gc
import json
import secrets
import subprocess
import sys
import time

from tests.sim.disasters import Disasters
from tests.sim.world import Broken, World
from tests.sim.year import Year

WORLDS = ("provider", "disasters", "laws")
SUBSCRIBERS = 500
CONTRACTS = 20_000


def main() -> int:
    """Run the worlds; 1 if an invariant broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--world", choices=WORLDS, default=None)
    parser.add_argument("--contracts", type=int, default=CONTRACTS)
    asked = parser.parse_args()
    seed = secrets.randbelow(10**6) if asked.seed is None else asked.seed
    # Accounts are values: nearly nothing is ever a circle.
    gc.set_threshold(200_000, 20, 100)
    again = f"make sim SEED={seed}"
    try:
        for world in WORLDS if asked.world is None else (asked.world,):
            again = f"make sim WORLD={world} SEED={seed}"
            match world:
                case "provider":
                    again += f" YEARS={asked.years}"
                    provider_years(seed, asked.years)
                case "disasters":
                    disastrous_year(seed, asked.contracts)
                case _:
                    laws_by_chance(seed)
    except Broken as broken:
        print(f"{broken}\n{again}", file=sys.stderr)
        return 1
    return 0


def provider_years(seed: int, years: int) -> None:
    """Random lives, invariants every day, every cent."""
    began = time.monotonic()
    world = World(seed, SUBSCRIBERS)
    world.run(366 * years)
    counts = world.count()
    result = {
        "sim": "provider",
        "seed": seed,
        "years": years,
        "subscribers": SUBSCRIBERS,
        "invoices": counts["InvoiceIssued"],
        "payments": counts["PaymentPosted"],
        "cuts": counts["cuts"],
        "restores": counts["restores"],
        "took_s": round(time.monotonic() - began, 1),
        "ok": True,
    }
    print(json.dumps(result), flush=True)


def disastrous_year(seed: int, contracts: int) -> None:
    """Planted disasters: wrong cuts 0, restores at once, whoever owes is cut in the end."""
    began = time.monotonic()
    year = Year(seed, contracts)
    disasters = Disasters(year)
    year.run()
    if year.wrong:
        raise Broken(f"{len(year.wrong)} wrong cuts; the first: {year.wrong[0]}")
    result = {
        "sim": "disasters",
        "seed": seed,
        "contracts": contracts,
        **year.count(),
        "disasters": disasters.began,
        "took_s": round(time.monotonic() - began, 1),
        "ok": True,
    }
    print(json.dumps(result), flush=True)


def laws_by_chance(seed: int) -> None:
    """The laws of `tests/property`, the machine of the ledger among them, from a seed."""
    began = time.monotonic()
    chance = ["--hypothesis-profile=chance", f"--hypothesis-seed={seed}"]
    judged = subprocess.run([sys.executable, "-m", "pytest", "tests/property", *chance])
    if judged.returncode:
        raise Broken("a law is broken; what was shown above is the smallest case of it")
    took_s = round(time.monotonic() - began, 1)
    print(json.dumps({"sim": "laws", "seed": seed, "took_s": took_s, "ok": True}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
