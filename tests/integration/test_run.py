"""`religa run` as an operator meets it: started, stopped, killed, misconfigured."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.store import embedded
from tests.support.product import ROOT, Product, nas_row, own_folder, plan_row, subscriber_row
from tests.support.programs import NasProgram


@pytest.fixture
def folder() -> Iterator[Path]:
    with own_folder() as made:
        yield made


def try_to_run(product: Product, **more: object) -> subprocess.CompletedProcess[str]:
    """Run it where it must refuse to."""
    return subprocess.run(
        [sys.executable, "-m", "api", "run"],
        cwd=ROOT,
        env=product.environment(**more),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_life_started_killed_in_parts_stopped_and_started_again(folder: Path) -> None:
    product = Product(folder, admin_password="")
    product.start()
    try:
        log = product.log_path.read_text()
        assert log.count("shown once") == 1, "the first start shows a random password"

        # A second one on these ports says which port, starts nothing and leaves nothing behind.
        other = Product(folder / "other")
        other.data_dir.mkdir(parents=True)
        for name in ("http_port", "radius_auth_port"):
            refused = try_to_run(other, **{name: product.settings[name]})
            assert refused.returncode == 1
            assert refused.stderr.count("\n") == 1, refused.stderr
            assert str(product.settings[name]) in refused.stderr
            assert "RELIGA_" in refused.stderr
        assert not other.pids()
        assert not embedded.running(other.data_dir)

        # Any role may be killed: it is started again by itself.
        for role in ("worker", "radius", "api"):
            victims = [pid for pid, line in product.pids() if f"-m api {role} " in line]
            assert len(victims) == 1
            os.kill(victims[0], signal.SIGKILL)
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                now = [pid for pid, line in product.pids() if f"-m api {role} " in line]
                if now and now != victims:
                    break
                time.sleep(0.1)
            else:
                pytest.fail(f"{role} was not started again")
            product.await_ready()

        # So may the database's server: requests wait with 503 until it is back.
        server = (product.data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0]
        os.kill(int(server), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while embedded.running(product.data_dir):
            assert time.monotonic() < deadline
        product.await_ready()
        assert embedded.running(product.data_dir)

        began = time.monotonic()
        assert product.stop() == 0
        assert time.monotonic() - began < 10
        assert not embedded.running(product.data_dir), "the server that it started is stopped"

        product.start()
        assert product.log_path.read_text().count("shown once") == 1
    finally:
        product.stop()


def test_a_lost_secret_key_is_refused_in_one_sentence_and_nothing_is_made_in_its_place(
    folder: Path,
) -> None:
    product = Product(folder).start()
    product.import_csv("nas", [nas_row("pop1", "127.0.0.1", "mikrotik", 3799)])
    product.stop()
    key = product.data_dir / "secret.key"
    assert key.stat().st_mode & 0o777 == 0o600
    kept = key.read_text()
    key.unlink()

    refused = try_to_run(product)
    assert refused.returncode == 1
    assert "secret.key" in refused.stderr
    assert "backup" in refused.stderr
    assert not list(product.data_dir.glob("secret.key*")), "a new key would pass for the lost one"

    key.write_text(kept)
    product.start()
    assert product.stop() == 0


def test_without_the_database_the_api_says_503_and_radius_keeps_answering(folder: Path) -> None:
    server = folder / "server"
    server.mkdir()
    product = Product(folder, database_url=embedded.start(server))
    nas = NasProgram(folder, product, "pop1", "mikrotik", "127.0.0.31")
    try:
        product.start()
        product.import_csv("plans", [plan_row()])
        product.import_csv("nas", [nas_row(nas.name, nas.bind, nas.dialect, nas.coa_port)])
        product.import_csv("subscribers", [subscriber_row(index) for index in range(21)])
        deadline = time.monotonic() + 20
        while nas.dial([0]) == 0:
            assert time.monotonic() < deadline, "the grants were never published"

        client = product.client  # logged in while there is a database to ask
        embedded.stop(server)
        answer = client.get("/plans")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0
        assert httpx.get(f"{product.url}/healthz").status_code == 200
        assert httpx.get(f"{product.url}/readyz").status_code == 503
        # Dialled, accounted for and acknowledged with no database anywhere.
        assert nas.dial(range(1, 20)) == 19
        # A restarted node serves from the table that is there.
        victims = [pid for pid, line in product.pids() if "-m api radius " in line]
        os.kill(victims[0], signal.SIGKILL)
        deadline = time.monotonic() + 30
        while nas.dial([20]) == 0:
            assert time.monotonic() < deadline, "the node did not come back without a database"

        assert embedded.start(server) == product.settings["database_url"]
        product.await_ready()
        deadline = time.monotonic() + 30
        while True:
            online = product.get("/sessions", online=True, limit=500)["items"]
            if {f"user{index}" for index in range(21)} <= {s["username"] for s in online}:
                break
            assert time.monotonic() < deadline, "what was accounted meanwhile did not arrive"
            time.sleep(0.1)
    finally:
        product.stop()
        nas.stop()
        embedded.stop(server)
