"""The stand-ins as programs of their own: what the product under test cannot reach into."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from api.rehearsal.nas_log import Event, read_log
from tests.support.product import ROOT, Product, free_port


class NasProgram:
    """`religa simulate nas`, told what to do over stdin, judged by the log that it writes."""

    def __init__(
        self,
        folder: Path,
        product: Product,
        name: str,
        dialect: str,
        bind: str,
        method: str = "chap",
    ) -> None:
        self.name = name
        self.dialect = dialect
        self.bind = bind
        self.secret = f"secret-of-{name}"
        self.log_path = folder / f"{name}.jsonl"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "api", "simulate", "nas", "--name", name),
                *("--auth-port", str(product.auth_port), "--acct-port", str(product.acct_port)),
                *("--secret", self.secret, "--dialect", dialect, "--bind", bind),
                *("--coa-port", "0", "--method", method, "--log", str(self.log_path)),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.coa_port = int(self._answer()["coa_port"])

    def _answer(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise RuntimeError("the NAS was started without its stdout")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with {self._process.wait(5)}")
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            raise RuntimeError(f"{self.name}: {answer}")
        return answer

    def order(self, do: str, **fields: object) -> dict[str, Any]:
        """One order, carried out before this returns."""
        if self._process.stdin is None:
            raise RuntimeError("the NAS was started without its stdin")
        self._process.stdin.write(json.dumps({"do": do, **fields}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def dial(self, indices: "range | list[int]", rate_per_s: float = 200.0) -> int:
        """Dial `user{index}` for each; answers how many were accepted and accounted for."""
        credentials = [[f"user{index}", f"pw-{index}"] for index in indices]
        dialled = self.order("dial", credentials=credentials, rate_per_s=rate_per_s)
        self.order("accounted")
        return int(dialled["accepted"])

    def events(self) -> list[Event]:
        return read_log(self.log_path)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


class PspProgram:
    """`religa simulate psp` on a free port."""

    def __init__(self, webhook_url: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "api", "simulate", "psp"),
                *("--port", str(self.port), "--webhook-url", webhook_url),
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                httpx.get(f"{self.url}/pix", timeout=1)
                return
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def settings(self) -> dict[str, object]:
        """What the product is told so that it finds this provider."""
        return {
            "pix_url": self.url,
            "pix_key": "financeiro@provedor.invalid",
            "pix_client_id": "rehearsal",
            "pix_client_secret": "rehearsal",
        }

    def pay(self, txid: str, **fields: object) -> dict[str, Any]:
        """Pay a charge; `silent=True` does not call the webhook."""
        answer = httpx.post(f"{self.url}/simulate/pay", json={"txid": txid, **fields}, timeout=30)
        answer.raise_for_status()
        paid: dict[str, Any] = answer.json()
        return paid

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)
