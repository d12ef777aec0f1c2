"""From payment webhook to the router: 10,000 contracts loaded, walled debtors pay one by one.

Measured by the simulated NAS, a process of its own: from the instant before the webhook is called
(the provider is then asked back) to the CoA applied, or, for the half that has to, the redial
accepted. Five pay a second.
"""

import sys
import time
from collections.abc import Iterator

import httpx

from tests.bench.figure import Figure, percentile
from tests.support.product import own_folder
from tests.support.walled import Scene

CONTRACTS = 10_000
DEBTORS = 200
PAY_EVERY_S = 0.2


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
            with httpx.Client(timeout=10) as provider:
                for index, txid in enumerate(txids):
                    notice = _notice(scene.psp.pay(txid, silent=True)["endToEndId"], txid)
                    told_ns[index] = time.time_ns()
                    answer = provider.post(f"{scene.product.url}/webhooks/pix", json=notice)
                    took_s = (time.time_ns() - told_ns[index]) / 1e9
                    answer.raise_for_status()
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


def _notice(end_to_end_id: str, txid: str) -> dict[str, object]:
    """The body that a provider posts (Bacen Pix API)."""
    paid = {
        "endToEndId": end_to_end_id,
        "txid": txid,
        "chave": "financeiro@provedor.invalid",
        "valor": "99.90",
        "horario": "2027-01-10T12:00:00.000Z",
    }
    return {"pix": [paid]}
