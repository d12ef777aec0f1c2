"""Counters: shared memory in a file, of one layout."""

from pathlib import Path

import pytest

from radius.counters import NAMES, Counters
from radius.errors import LocalError


def test_counts_are_seen_through_another_map_of_the_file(tmp_path: Path) -> None:
    with Counters(tmp_path / "c") as ours, Counters(tmp_path / "c") as theirs:
        ours.bump("access_accept")
        ours.bump("malformed", 3)
        assert theirs.read() == {**dict.fromkeys(NAMES, 0), "access_accept": 1, "malformed": 3}


def test_counts_survive_a_restart(tmp_path: Path) -> None:
    with Counters(tmp_path / "c") as counters:
        counters.bump("duplicate", 2**40)
    with Counters(tmp_path / "c") as counters:
        assert counters.read()["duplicate"] == 2**40


@pytest.mark.parametrize("size", [0, 8, 4096])
def test_a_file_of_another_layout_starts_from_zero(tmp_path: Path, size: int) -> None:
    (tmp_path / "c").write_bytes(b"\xff" * size)
    with Counters(tmp_path / "c") as counters:
        assert set(counters.read().values()) == {0}


def test_a_file_of_the_same_size_but_other_names_starts_from_zero(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"\xff" * (8 * (1 + len(NAMES))))
    with Counters(tmp_path / "c") as counters:
        assert set(counters.read().values()) == {0}


def test_a_replaced_file_leaves_the_old_map_alone(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"")
    with Counters(tmp_path / "c") as old:
        old.bump("malformed")
        (tmp_path / "c").rename(tmp_path / "away")
        with Counters(tmp_path / "c"):
            assert old.read()["malformed"] == 1


def test_an_unknown_name_is_our_mistake(tmp_path: Path) -> None:
    with Counters(tmp_path / "c") as counters, pytest.raises(KeyError):
        counters.bump("nonsense")


def test_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="missing"):
        Counters(tmp_path / "missing" / "c")
