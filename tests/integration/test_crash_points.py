"""kill -9 between webhook and ACK, started again: the payer is restored, nobody else is touched,
nothing is posted twice. Judged by the routers' logs and by the books, for every named point.
"""

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.product import own_folder
from tests.support.walled import Scene

# In the order of a payment's way. The last two are in the RADIUS node.
POINTS = (
    "notice-read",
    "notice-inserted",
    "notice-committed",
    "settle-claimed",
    "settle-asked",
    "settle-recorded",
    "settle-committed",
    "enforce-claimed",
    "enforce-sent",
    "enforce-answered",
    "enforce-marked",
    "grants-written",
    "records-shipped",
)
# Even users are disconnected and redial, odd ones are changed live: both ways for most points.
PAYERS = {point: number for number, point in enumerate(POINTS)}
NEVER_PAYS = len(POINTS)
GOOD = NEVER_PAYS + 1
EVERYTHING_DIES = NEVER_PAYS + 2
RESTORED_WITHIN_S = 40.0


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with own_folder() as folder:
        built = Scene(folder, subscribers=20, online=18)
        try:
            built.build()
            built.wall_off([*PAYERS.values(), NEVER_PAYS, EVERYTHING_DIES])
            built.product.stop()
            yield built
        finally:
            built.close()


def notify(scene: Scene, end_to_end_id: str, txid: str) -> None:
    """The webhook as a provider calls it: again and again until it is answered 200."""
    notice = {
        "endToEndId": end_to_end_id,
        "txid": txid,
        "chave": "financeiro@provedor.invalid",
        "valor": "99.90",
        "horario": "2027-01-10T12:00:00.000Z",
    }
    deadline = time.monotonic() + 30
    while True:
        try:
            url = f"{scene.product.url}/webhooks/pix"
            answer = httpx.post(url, json={"pix": [notice]}, timeout=5)
            if answer.status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, "the webhook never answered 200"
        time.sleep(0.1)


def check_posted_once(scene: Scene, invoice_id: int) -> None:
    posted = scene.product.get("/payments", limit=500)["items"]
    assert [p["invoice_id"] for p in posted].count(invoice_id) == 1
    assert scene.product.get(f"/invoices/{invoice_id}")["state"] == "paid"


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point_every_payer_is_restored_and_nobody_else_is_touched(
    scene: Scene, point: str
) -> None:
    payer = PAYERS[point]
    scene.product.start(crash_at=point)
    try:
        txid = scene.charge(payer)
        since_ns = time.time_ns()
        paid = scene.psp.pay(txid, silent=True)
        notify(scene, paid["endToEndId"], txid)

        assert scene.restored_at(payer, since_ns, RESTORED_WITHIN_S) is not None
        # A redial's accounting and a grant's publishing come after the restore.
        marker = scene.product.data_dir / f"crashed-{point}"
        deadline = time.monotonic() + 10
        while not marker.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert marker.exists(), "the process did not die at this point: the test proves nothing"
        scene.product.await_ready()
        # Who died between the router's answer and its mark asks again once the lease is over.
        scene.await_applied(RESTORED_WITHIN_S)

        assert scene.touched_since(since_ns) == {f"user{payer}"}
        assert scene.stands(NEVER_PAYS) == "walled"
        assert scene.stands(GOOD) == "full"
        check_posted_once(scene, scene.invoices[payer])
    finally:
        scene.product.stop()


def test_everything_killed_right_after_the_webhook_was_answered(scene: Scene) -> None:
    scene.product.start()
    try:
        txid = scene.charge(EVERYTHING_DIES)
        since_ns = time.time_ns()
        paid = scene.psp.pay(txid, silent=True)
        notify(scene, paid["endToEndId"], txid)
        scene.product.kill()

        scene.product.start()
        assert scene.restored_at(EVERYTHING_DIES, since_ns, RESTORED_WITHIN_S) is not None
        assert scene.touched_since(since_ns) == {f"user{EVERYTHING_DIES}"}
        check_posted_once(scene, scene.invoices[EVERYTHING_DIES])
        # The books of all that died above.
        verified = scene.product.command("verify")
        assert verified.returncode == 0, verified.stderr
    finally:
        scene.product.stop()
