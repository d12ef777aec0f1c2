"""What the guided fuzzer once found, and every fault it ever found, sent again by each test run."""

import pytest

from radius.grant import Rows
from radius.worker import Worker
from tests.fuzz.__main__ import CORPUS
from tests.fuzz.targets import TARGETS, seeds
from tests.support.radius_worker import pap

FILES_MAX = 200
OCTETS_MAX = 200_000


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_and_honest_input_pass_through_the_target(name: str) -> None:
    kept = sorted((CORPUS / name).iterdir())
    assert 0 < len(kept) <= FILES_MAX
    assert sum(path.stat().st_size for path in kept) < OCTETS_MAX
    with TARGETS[name]() as target:
        for octets in (*seeds(name), *(path.read_bytes() for path in kept)):
            target(octets)


def test_the_worker_target_sees_an_answer_to_a_forgery(monkeypatch: pytest.MonkeyPatch) -> None:
    forged = b"\x04" + pap(1, b"ana")[:-1] + b"?"
    with TARGETS["worker"]() as target:
        target(forged)
        monkeypatch.setattr(Worker, "handle_access", lambda *_: forged[1:])
        with pytest.raises(AssertionError, match="answered"):
            target(forged)


def test_the_worker_target_sees_an_exception_that_was_swallowed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(Rows, "read_answer", broken)
    with TARGETS["worker"]() as target, pytest.raises(AssertionError):
        target(b"\x00" + pap(1, b"ana"))
    assert "unexpected" in caplog.text


def test_every_folder_of_the_corpus_has_its_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
