"""The real product (`religa run`, two RADIUS workers) with PostgreSQL running and stopped, in turn.

Workers answer from the grant table, so the rate must not care. Five times: the database runs and
everybody is ready, measured; the database is stopped, measured. The figure is the ratio of the
medians, stopped by running.
"""

import time
from collections.abc import Iterator
from statistics import median

from api.store import embedded
from tests.bench.figure import Figure
from tests.bench.flood import Load, flood
from tests.bench.peers import processor_s, rate, tell
from tests.support.product import Product, nas_row, own_folder, plan_row, subscriber_row
from tests.support.radius_worker import SECRET

ROUNDS = 5
SUBSCRIBERS = 5_000
PUBLISHED_WITHIN_S = 60.0
SETTLE_S = 2.0


def without_database() -> Iterator[Figure]:
    """Yield `radius_without_database`."""
    with own_folder() as folder:
        server = folder / "server"
        server.mkdir()
        product = Product(folder, database_url=embedded.start(server), radius_workers=2)
        try:
            product.start()
            _load(product)
            measure = rate(product.auth_port, "access", SUBSCRIBERS)
            rates: dict[str, list[float]] = {"running": [], "stopped": []}
            for number in range(ROUNDS):
                for state, several in rates.items():
                    if state == "running":
                        embedded.start(server)
                        product.await_ready()
                    else:
                        embedded.stop(server)
                    time.sleep(SETTLE_S)  # reconnecting and catching up are not what is measured
                    pids = [pid for pid, line in product.pids() if "api.radius_worker" in line]
                    before_s = processor_s(pids)
                    outcome = measure(number)
                    used_s = processor_s(pids) - before_s
                    tell(f"database {state}", number, outcome, used_s)
                    several.append(outcome.per_s)
        finally:
            product.stop()
            embedded.stop(server)
    stopped, running = median(rates["stopped"]), median(rates["running"])
    yield Figure(
        "radius_without_database", stopped, "replies/s", 0.95, peer=running, better="larger"
    )


def _load(product: Product) -> None:
    """Subscribers whom the generator knows, on a NAS with its secret; until they are published."""
    # One session each: the same equipment that dials again is no second one.
    product.import_csv("plans", [plan_row()])
    secret = SECRET.value.decode()
    product.import_csv("nas", [nas_row("bng1", "127.0.0.1", "mikrotik", 3799, secret=secret)])
    product.import_csv("subscribers", [subscriber_row(index) for index in range(SUBSCRIBERS)])
    deadline = time.monotonic() + PUBLISHED_WITHIN_S
    while True:
        try:
            flood(Load(product.auth_port, "access", SUBSCRIBERS, seed=-2, users=SUBSCRIBERS))
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return
