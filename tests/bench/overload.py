"""A queue that is never empty: 16,000 logins in flight at once, against 128.

Two workers on 50,000 subscribers, asked by the same generator with 128 requests in flight from 16
source ports, and with 16,000 from 160, in turn. Every request then waits for half a second before
it is looked at, as in the first minute after a power cut; nothing is dropped, so nothing is sent
again. The figure is the ratio of the medians of replies a second: a server that collapses does
less the more it is asked.
"""

from collections.abc import Iterator
from statistics import median

from tests.bench.figure import Figure
from tests.bench.flood import Load, flood
from tests.bench.ours import make_table, serving
from tests.bench.peers import processor_s, tell
from tests.bench.requests import USERS
from tests.support.product import own_folder

ROUNDS = 5
SOURCES = 160
CALM, STORM = 128, 100 * SOURCES
REQUESTS = 200_000
ROUND_S = 3.0


def overload() -> Iterator[Figure]:
    """Yield `radius_overload`."""
    with own_folder() as folder:
        make_table(folder, USERS)
        with serving(folder) as ours:
            rates: dict[int, list[float]] = {CALM: [], STORM: []}
            for number in range(ROUNDS):
                for in_flight, several in rates.items():
                    load = Load(
                        port=ours.auth_port,
                        kind="access",
                        requests=REQUESTS,
                        seed=number,
                        seconds=ROUND_S,
                        in_flight=in_flight,
                        sources=SOURCES if in_flight == STORM else 16,
                    )
                    before_s = processor_s(ours.pids)
                    outcome = flood(load)
                    used_s = processor_s(ours.pids) - before_s
                    tell(f"{in_flight} in flight", number, outcome, used_s)
                    several.append(outcome.per_s)
    calm, storm = median(rates[CALM]), median(rates[STORM])
    yield Figure("radius_overload", storm, "replies/s", 0.8, peer=calm, better="larger")
