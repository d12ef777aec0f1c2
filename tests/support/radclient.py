"""Debian's `radclient` as an outside judge: it signs, sends, checks the answer and prints it.

Its answers are only taken from what it verified; one that does not verify counts as none.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

_RECEIVED = re.compile(r"^Received (\S+) Id \d+ .*\n((?:\t.*\n)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `code` is FreeRADIUS's name of it; values are as radclient prints them."""

    code: str
    attributes: tuple[tuple[str, str], ...]

    def __getitem__(self, name: str) -> str:
        return next(value for known, value in self.attributes if known == name)

    def __contains__(self, name: str) -> bool:
        return any(known == name for known, _ in self.attributes)


def radclient(
    port: int, command: str, lines: Sequence[str], secret: str, wait_s: float = 3.0
) -> Answer | None:
    """Send one packet of these attributes to 127.0.0.1, once; None if no genuine answer came."""
    program = shutil.which("radclient")
    if program is None:
        pytest.fail("radclient is missing: apt-get install freeradius-utils (`make test` does)")
    done = subprocess.run(
        [program, "-x", "-r", "1", "-t", str(wait_s), f"127.0.0.1:{port}", command, secret],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=wait_s + 10,
        check=False,
    )
    assert "Sent " in done.stdout, f"radclient did not understand {lines}: {done.stderr}"
    found = _RECEIVED.search(done.stdout)
    if found is None or "verification failed" in done.stderr + done.stdout:
        return None
    attributes = []
    for line in found[2].splitlines():
        name, _, value = line.strip().partition(" = ")
        attributes.append((name, value.strip('"')))
    return Answer(found[1], tuple(attributes))
