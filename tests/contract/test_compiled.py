"""Compiled workers answer as the sources do: the same tests, run on the compiled packet path."""

import os
import subprocess
import sys

from api.compiled import folder, is_compiled, worker_command
from tests.support.product import ROOT

SUITE = (
    *("tests/unit/test_codec.py", "tests/unit/test_credentials.py", "tests/unit/test_guesses.py"),
    *("tests/unit/test_must_reject.py", "tests/unit/test_replay.py", "tests/unit/test_worker.py"),
    "tests/unit/test_session_class.py",
    *("tests/property/test_codec_laws.py", "tests/vectors/test_radius_vectors.py"),
)
# They put another method into an object, which a compiled one refuses.
NOT_COMPILED = "not unexpected_error_ends_one_packet and not who_is_on_cannot_be_told"
RUN = (
    "import sys, pytest, radius.access, radius.codec, radius.server;"
    " assert all(m.__file__.endswith('.so') for m in (radius.access, radius.codec, radius.server));"
    " sys.exit(pytest.main(sys.argv[1:]))"
)


def test_set_up_has_compiled_just_these_sources() -> None:
    assert is_compiled(), "run `make setup`; `python -m api.compiled` says what is missing"
    command, environment = worker_command()
    assert "-P" in command
    assert environment["PYTHONPATH"].startswith(str(folder()))


def test_the_compiled_packet_path_passes_the_same_tests() -> None:
    path = os.pathsep.join((str(folder()), str(ROOT)))
    arguments = ["-o", "pythonpath=", "-p", "no:cacheprovider", "-k", NOT_COMPILED, *SUITE]
    done = subprocess.run(
        [sys.executable, "-P", "-c", RUN, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
