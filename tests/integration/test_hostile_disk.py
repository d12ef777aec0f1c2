"""Journal and grant table after a crash in the middle of a write: the intact data, or an error.

LMDB writes new pages first and one of its two meta pages last, so a crash leaves new pages without
a meta page, whole or half: that is made here from copies taken before and after a write.
"""

from pathlib import Path

import pytest

from radius.journal import Journal
from tests.support.damaged_files import (
    ENTRIES,
    JOURNAL_BYTES,
    LOGINS,
    PAGE,
    Damage,
    cut,
    make,
    noise,
    pages,
    untouched,
    use,
)

COUNTS = {"journal": ENTRIES, "table": LOGINS + 1}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sound")
    return {kind: make(kind, folder / kind) for kind in COUNTS}


@pytest.mark.parametrize("kind", COUNTS)
def test_what_was_written_is_found(sound: dict[str, Path], tmp_path: Path, kind: str) -> None:
    outcome = use(kind, sound[kind], tmp_path / "copy", untouched)
    assert outcome.exit_code == 0
    assert outcome.found is not None
    assert len(outcome.found) == COUNTS[kind]


def more(octets: bytes) -> Damage:
    def damage(path: Path) -> None:
        with path.open("ab") as file:
            file.write(octets)

    return damage


@pytest.mark.parametrize("kind", COUNTS)
@pytest.mark.parametrize(
    "tail",
    [b"\xff" * 100, bytes(PAGE // 2), b"\xff" * PAGE, bytes(5 * PAGE + 7)],
    ids=["a few octets", "half a page", "a page", "pages"],
)
def test_pages_that_no_meta_page_knows_are_no_harm(
    sound: dict[str, Path], tmp_path: Path, kind: str, tail: bytes
) -> None:
    whole = use(kind, sound[kind], tmp_path / "whole", untouched)
    assert use(kind, sound[kind], tmp_path / "torn", more(tail)) == whole


@pytest.mark.parametrize("written_of_16", [0, 1, 4, 8, 12, 15, 16])
def test_an_append_that_was_cut_off_anywhere_leaves_what_was_before(
    tmp_path: Path, written_of_16: int
) -> None:
    files = make("journal", tmp_path / "journal")
    before = (files / "data.mdb").read_bytes()
    with Journal(files, JOURNAL_BYTES) as journal:
        journal.append([(2.5, 7, "192.0.2.1", b"unfinished" * 30)] * 50)
    after = (files / "data.mdb").read_bytes()

    def torn(path: Path) -> None:
        """The old meta pages; of what differs behind them, the first part is new."""
        size = max(len(before), len(after))
        old, new = before.ljust(size, b"\0"), after.ljust(size, b"\0")
        changed = [
            at for at in range(2 * PAGE, size, PAGE // 2) if old[at:][:2048] != new[at:][:2048]
        ]
        mixed = bytearray(old)
        for at in changed[: len(changed) * written_of_16 // 16]:
            mixed[at : at + PAGE // 2] = new[at : at + PAGE // 2]
        assert changed
        path.write_bytes(mixed)

    outcome = use("journal", files, tmp_path / "torn", torn)
    assert outcome.exit_code == 0
    assert outcome.found is not None
    assert len(outcome.found) == ENTRIES
    assert [bytes.fromhex(each).partition(b":")[0] for each in outcome.found] == [
        b"%d" % number for number in range(ENTRIES)
    ]


@pytest.mark.parametrize("kind", COUNTS)
@pytest.mark.parametrize("octets", [1, 100, PAGE, PAGE + 100])
def test_a_file_without_its_meta_pages_is_an_error(
    sound: dict[str, Path], tmp_path: Path, kind: str, octets: int
) -> None:
    outcome = use(kind, sound[kind], tmp_path / "copy", cut(octets))
    assert outcome.exit_code == 0
    assert outcome.found is None
    assert str(tmp_path / "copy") in (outcome.error or "")


@pytest.mark.parametrize("part", range(8))
def test_a_page_of_the_table_that_is_not_its_own_is_found_out_or_unused(
    sound: dict[str, Path], tmp_path: Path, part: int
) -> None:
    number = part * pages(sound["table"]) // 8
    whole = use("table", sound["table"], tmp_path / "whole", untouched)
    damaged = use("table", sound["table"], tmp_path / "damaged", noise(number))
    assert damaged.exit_code == 0
    assert damaged.error is not None or damaged == whole
