"""100,000 subscribers: imported by the command from CSV, then published to a fresh grant table.

Import is the whole process, as a user waits for it. Publishing is one full rebuild by the code that
a RADIUS node runs, from PostgreSQL to LMDB on disk.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from api.compose import open_house
from api.publisher import Publisher
from config.settings import Settings
from radius.table import GrantTable
from tests.bench.figure import Figure
from tests.support.product import (
    Product,
    nas_row,
    own_folder,
    plan_row,
    subscriber_row,
    write_csv,
)

SUBSCRIBERS = 100_000


def import_and_publish() -> Iterator[Figure]:
    """Yield `import_100k`, then `publish_100k`, in seconds."""
    with own_folder() as folder:
        product = Product(folder).start()
        try:
            product.import_csv("plans", [plan_row()])
            product.import_csv("nas", [nas_row("pop1", "127.0.0.1", "mikrotik", 3799)])
            rows = [subscriber_row(index) for index in range(SUBSCRIBERS)]
            path = write_csv(folder / "subscribers.csv", rows)
            print(f"importing {SUBSCRIBERS} subscribers", file=sys.stderr)
            began = time.monotonic()
            done = product.command("import", "subscribers", str(path))
            took = time.monotonic() - began
            if done.returncode != 0:
                raise RuntimeError(done.stderr)
            yield Figure("import_100k", took, "s", 60.0)
            print(f"publishing {SUBSCRIBERS} grants", file=sys.stderr)
            yield Figure("publish_100k", asyncio.run(_publish(product, folder)), "s", 10.0)
        finally:
            product.stop()


async def _publish(product: Product, folder: Path) -> float:
    settings = Settings(data_dir=product.data_dir)
    async with open_house(settings) as house:
        table = GrantTable(folder / "grants", house.secrets.derive("grant-table"), readonly=False)
        began = time.monotonic()
        written = await Publisher(house, table, "bench").publish()
        took = time.monotonic() - began
    last = table.find(f"user{SUBSCRIBERS - 1}".encode())
    if written != SUBSCRIBERS or last is None:
        raise RuntimeError(f"only {written} grants were published")
    return took
