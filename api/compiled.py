"""RADIUS workers run compiled where set-up found a C compiler: the same Python, a third less time.

`python -m api.compiled` compiles the packet path with mypyc into the virtual environment. What it
makes is found by a digest of the sources, so a changed source is never answered by an old binary:
without a compiled copy of just these sources workers run them as they are.
"""

import contextlib
import hashlib
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import typer

_SOURCES: Final = Path(__file__).resolve().parent.parent / "radius"
_MODULES: Final = (
    *("access", "accounting", "clients", "codec", "counters", "credentials", "datagrams", "door"),
    *("errors", "grant", "guesses", "mapped", "presence", "recorder", "replay", "server"),
    *("session_class", "sparse_log", "table", "worker"),
)
_DONE: Final = "complete"


def folder() -> Path:
    """Where the compiled copy of these sources is, or would be."""
    state = hashlib.sha256(f"{sys.implementation.cache_tag} {platform.machine()}".encode())
    for path in sorted(_SOURCES.glob("*.py")):
        state.update(path.name.encode() + path.read_bytes())
    return Path(sys.prefix) / "religa-compiled" / state.hexdigest()[:16]


def worker_command() -> tuple[list[str], dict[str, str]]:
    """How to start a RADIUS worker, and what to add to its environment."""
    if not is_compiled():
        return [sys.executable, "-m", "api.radius_worker"], {}
    # -P: else the folder it is started in would come before the compiled one.
    command = [sys.executable, "-P", "-m", "api.radius_worker"]
    return command, {"PYTHONPATH": os.pathsep.join((str(folder()), str(_SOURCES.parent)))}


def is_compiled() -> bool:
    """Whether there is a compiled copy of just these sources."""
    return (folder() / _DONE).exists()


def compile_workers() -> None:
    """Make the compiled copy, in half a minute, unless it is there.

    Raises:
        ImportError: mypyc or setuptools is not installed.
        CompileError: the C compiler is missing or fails.
    """
    target = folder()
    if is_compiled():
        return
    shutil.rmtree(target.parent, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copytree(_SOURCES, target / "radius", ignore=shutil.ignore_patterns("__pycache__"))
    with contextlib.chdir(target):
        _build([f"radius/{name}.py" for name in _MODULES])
    (target / _DONE).touch()


def _build(paths: list[str]) -> None:
    # Only here: neither is needed to run.
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    options = ["--ignore-missing-imports", "--no-warn-unused-ignores"]
    extensions = mypycify([*options, *paths], opt_level="3", debug_level="0")
    command = build_ext(Distribution({"name": "radius", "ext_modules": extensions}))
    command.inplace = True
    with tempfile.TemporaryDirectory() as objects:
        command.build_temp = objects
        command.ensure_finalized()
        command.run()
    shutil.rmtree("build", ignore_errors=True)


def main() -> int:
    """Compile; without a compiler say so, which is no failure."""
    from setuptools.errors import CompileError, PlatformError

    try:
        compile_workers()
    except (CompileError, PlatformError) as error:
        typer.echo(f"RADIUS workers run as they are, a third slower; no C compiler works: {error}")
        return 0
    typer.echo("RADIUS workers are compiled")
    return 0


if __name__ == "__main__":
    sys.exit(main())
