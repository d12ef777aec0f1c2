"""Every proof by hostile input, one after the other, one JSON line each.

`python -m tests.fuzz [NAME] [--seconds 60] [--seed 7] [--keep]`

    mutation               damaged honest datagrams through every reader; needs no fuzzer
    decode, worker, rows   guided by coverage, from the corpus in the repository
    flood                  a million random and a million damaged datagrams through one worker
    kill                   a worker killed 200 times under accounting load

Exit 0 only if all of them held. A fault is shown with its input: save it as a file of
tests/fuzz/corpus/NAME, and the tests replay it for ever.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.fuzz.targets import TARGETS, seeds

CORPUS: Final = Path(__file__).parent / "corpus"
_ROOT: Final = Path(__file__).parents[2]
_FLAGS: Final = ("-max_len=4224", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1")
_FOUND: Final = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)
_COVERED: Final = re.compile(r"\bcov: (\d+)")


def guided(name: str, seconds: int, seed: int, *, keep: bool) -> bool:
    """One target under the fuzzer; prints its line."""
    memory = Path("/dev/shm")  # a durable write costs no disk there: this is not about the disk
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
        folder = Path(made)
        found, honest = folder / "found", folder / "honest"
        for each in (found, honest):
            each.mkdir()
        for number, octets in enumerate(seeds(name)):
            (honest / f"{number:03}").write_bytes(octets)
        kept = CORPUS / name
        flags = [*_FLAGS, f"-max_total_time={seconds}", f"-seed={seed}"]
        flags += [f"-artifact_prefix={folder}/fault-", str(found), str(kept), str(honest)]
        code, told = _fuzzer(name, folder, flags)
        report: dict[str, object] = {"fuzz": name, "seed": seed, "seconds": seconds}
        report |= {
            "executions": int((_FOUND.findall(told) or ["0"])[-1]),
            "edges": int((_COVERED.findall(told) or ["0"])[-1]),
            "corpus": len(list(kept.iterdir())),
            "ok": code == 0,
        }
        if code != 0:
            print(told[-6_000:], file=sys.stderr)
            report["input"] = [each.read_bytes().hex() for each in folder.glob("fault-*")]
        elif keep:
            _fuzzer(name, folder, ["-max_len=4224", "-merge=1", str(kept), str(found), str(honest)])
        print(json.dumps(report), flush=True)
        return code == 0


def _fuzzer(name: str, folder: Path, flags: list[str]) -> tuple[int, str]:
    program = folder / "again"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.fuzz.guided {name} "$@"\n')
    program.chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.guided", name, *flags],
        cwd=_ROOT,
        env={**os.environ, "TMPDIR": str(folder), "FUZZ_PROGRAM": str(program)},
        capture_output=True,
        text=True,
        errors="replace",
    )
    return done.returncode, done.stdout + done.stderr


def _module(name: str, *flags: str) -> bool:
    command = [sys.executable, "-m", f"tests.fuzz.{name}", *flags]
    return subprocess.run(command, cwd=_ROOT).returncode == 0


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("only", nargs="?")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--keep", action="store_true", help="add what was found to the corpus")
    options = parser.parse_args()
    seed = f"--seed={options.seed}"
    proofs: Mapping[str, Callable[[], bool]] = {
        "mutation": lambda: _module("decode", f"--seconds={options.seconds}", seed),
        **{
            name: lambda name=name: guided(  # type: ignore[misc]
                name, options.seconds, options.seed, keep=options.keep
            )
            for name in TARGETS
        },
        "flood": lambda: _module("flood", seed),
        "kill": lambda: _module("kill", seed),
    }
    if options.only not in (None, *proofs):
        parser.error(f"no target {options.only}; there are {', '.join(proofs)}")
    held = [proof() for name, proof in proofs.items() if options.only in (None, name)]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
