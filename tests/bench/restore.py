"""From payment webhook to the router: 10,000 contracts loaded, walled debtors pay one by one.

Measured by the simulated NAS, a process of its own: from the instant before the payer's provider is
told (it then calls the webhook, and is asked back) to the CoA applied, or the redial accepted.
"""

import sys
import time
from collections.abc import Iterator

from tests.bench.figure import Figure, percentile
from tests.support.product import own_folder
from tests.support.walled import Scene

CONTRACTS = 10_000
DEBTORS = 200
PAY_EVERY_S = 0.1


def restore_and_webhook() -> Iterator[Figure]:
    """Yield `restore_p99` and `webhook_p99`, in milliseconds."""
    with own_folder() as folder:
        scene = Scene(folder, subscribers=CONTRACTS, online=DEBTORS)
        try:
            print(f"loading {CONTRACTS} contracts", file=sys.stderr)
            scene.build()
            print(f"walling off {DEBTORS} debtors", file=sys.stderr)
            scene.wall_off(range(DEBTORS))
            txids = [scene.charge(index) for index in range(DEBTORS)]
            told_ns: dict[int, int] = {}
            webhook_ms: list[float] = []
            for index, txid in enumerate(txids):
                told_ns[index] = time.time_ns()
                scene.psp.pay(txid)
                took_s = (time.time_ns() - told_ns[index]) / 1e9
                webhook_ms.append(took_s * 1_000)
                time.sleep(max(0.0, PAY_EVERY_S - took_s))
            restore_ms: list[float] = []
            for index, told in told_ns.items():
                at = scene.restored_at(index, told, 30)
                if at is None:
                    raise RuntimeError(f"user{index} paid and was not restored")
                restore_ms.append((at - told) / 1e6)
            line = f"p50 {percentile(restore_ms, 50):.0f} ms, worst {max(restore_ms):.0f} ms"
            print(f"{DEBTORS} restored: {line}", file=sys.stderr)
            yield Figure("restore_p99", percentile(restore_ms, 99), "ms", 250.0)
            yield Figure("webhook_p99", percentile(webhook_ms, 99), "ms", 100.0)
        finally:
            scene.close()
