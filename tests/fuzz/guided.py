"""One target under the guided fuzzer: `python -m tests.fuzz.guided NAME FLAG... FOLDER...`.

Flags and corpus folders are libFuzzer's. The process ends by the fuzzer's own exit: 0 when time is
up, anything else for a fault, whose input then lies under -artifact_prefix. To merge corpora it
starts itself again: FUZZ_PROGRAM names an executable that runs this with NAME.
"""

import os
import sys

import atheris


def main() -> None:
    """Command line."""
    name, *flags = sys.argv[1:]
    with atheris.instrument_imports(include=["radius"]):
        from tests.fuzz.targets import TARGETS  # the product must not be loaded before
    with TARGETS[name]() as target:
        atheris.Setup([os.environ.get("FUZZ_PROGRAM", sys.argv[0]), *flags], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
