"""The main job by its own commands, and the running product under radclient's eyes."""

import json
import subprocess
import sys
import time

from tests.support.product import (
    ROOT,
    Product,
    nas_row,
    own_folder,
    plan_row,
    subscriber_row,
)
from tests.support.radclient import Answer, radclient

SIGNED = "Message-Authenticator = 0x00"


def test_the_demo_restores_every_payer_and_touches_nobody_else() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "api", "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["ok"] is True
    assert told["subscribers"] >= 200
    assert told["restored"] == told["paid"] == told["cut"] // 2
    assert told["wrong"] == 0
    assert 0 < told["restore_ms_p50"] <= told["restore_ms_p99"]


def test_radclient_dials_accounts_and_is_found_in_the_api() -> None:
    with own_folder() as folder:
        product = Product(folder)
        product.start()
        try:
            product.import_csv("plans", [plan_row()])
            # A network, so that radclient's own address is inside it.
            product.import_csv("nas", [nas_row("lab", "127.0.0.0/8", "mikrotik", 3799)])
            product.import_csv("subscribers", [subscriber_row(1, static_ipv4="10.7.0.9")])

            def ask(port: int, command: str, *lines: str) -> Answer | None:
                return radclient(port, command, lines, "secret-of-lab", wait_s=1.0)

            user = 'User-Name = "user1"'
            deadline = time.monotonic() + 20
            accepted = None
            while accepted is None or accepted.code != "Access-Accept":
                assert time.monotonic() < deadline, "the login was never published"
                accepted = ask(product.auth_port, "auth", user, 'User-Password = "pw-1"', SIGNED)
            assert accepted["Mikrotik-Rate-Limit"] == "50M/100M"
            assert accepted["Framed-IP-Address"] == "10.7.0.9"
            chap = ask(product.auth_port, "auth", user, 'CHAP-Password = "pw-1"', SIGNED)
            assert chap is not None
            assert chap.code == "Access-Accept"
            mschap = ask(product.auth_port, "auth", user, 'MS-CHAP-Password = "pw-1"', SIGNED)
            assert mschap is not None
            assert mschap.code == "Access-Accept"
            wrong = ask(product.auth_port, "auth", user, 'User-Password = "no"', SIGNED)
            assert wrong is not None
            assert wrong.code == "Access-Reject"
            # Required of this NAS by default: unsigned is silence (CVE-2024-3596).
            assert ask(product.auth_port, "auth", user, 'User-Password = "pw-1"') is None

            session = ['Acct-Session-Id = "r1"', user, f"Class = {accepted['Class']}"]
            for status, more in (
                ("Start", []),
                ("Interim-Update", ["Acct-Input-Octets = 5", "Acct-Input-Gigawords = 1"]),
            ):
                line = f"Acct-Status-Type = {status}"
                told = ask(product.acct_port, "acct", line, *session, *more)
                assert told is not None
                assert told.code == "Accounting-Response"

            deadline = time.monotonic() + 10
            while True:
                found = product.get("/sessions", online=True)["items"]
                if found and found[0]["input_octets"] == 2**32 + 5:
                    break
                assert time.monotonic() < deadline, found
                time.sleep(0.05)
            # Four Access-Accepts and one Start: a login alone leaves no session behind.
            assert len(product.get("/sessions")["items"]) == 1
            (contract,) = product.get("/contracts", username="user1")["items"]
            access = product.get(f"/contracts/{contract['id']}/access")
            assert (access["level"], access["generation"]) == ("full", 1)
            assert [s["state"] for s in access["sessions"]] == ["observed"]
            told = ask(product.acct_port, "acct", "Acct-Status-Type = Stop", *session)
            assert told is not None
            explained = product.command("explain", str(contract["id"]))
            assert explained.returncode == 0
        finally:
            product.stop()
