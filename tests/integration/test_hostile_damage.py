"""Journal and grant table on a disk that lost part of them: an error that says what to do.

Never a signal, which would end the process again after every restart, and never a silent half.
"""

import shutil
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

import lmdb
import pytest
from sqlalchemy import text

from api.clock import wall
from api.house import House
from api.node import Node
from api.shipper import Shipper
from radius.journal import Journal
from radius.soundness import is_sound
from tests.support.damaged_files import ENTRIES, LOGINS, PAGE, cut, make, pages, use, zeros
from tests.support.database import add_nas
from tests.support.radius_worker import accounting

COUNTS: Final[Mapping[str, int]] = {"journal": ENTRIES, "table": LOGINS + 1}
WHAT_TO_DO: Final = ("remove", "move")
JOURNAL_BYTES = 1 << 20


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sound")
    return {kind: make(kind, folder / kind) for kind in COUNTS}


@pytest.mark.parametrize("kind", COUNTS)
@pytest.mark.parametrize("part", range(6))
def test_a_truncated_file_is_an_error_that_says_what_to_do(
    sound: dict[str, Path], tmp_path: Path, kind: str, part: int
) -> None:
    size = pages(sound[kind])
    kept = (PAGE, 2 * PAGE - 1, 2 * PAGE, 3 * PAGE, size // 2 * PAGE, (size - 8) * PAGE)[part]
    outcome = use(kind, sound[kind], tmp_path / "copy", cut(kept))
    assert outcome.exit_code == 0, "ended by a signal"
    assert outcome.error is not None
    assert any(verb in outcome.error for verb in WHAT_TO_DO)


@pytest.mark.parametrize("part", range(8))
def test_a_zeroed_page_of_the_journal_is_noticed_before_it_ends_a_process(
    sound: dict[str, Path], tmp_path: Path, part: int
) -> None:
    number = part * pages(sound["journal"]) // 8
    outcome = use("journal", sound["journal"], tmp_path / "copy", zeros(number))
    if outcome.exit_code != 0:
        shutil.copytree(sound["journal"], tmp_path / "again")
        zeros(number)(tmp_path / "again" / "data.mdb")
        assert not is_sound(tmp_path / "again")
    else:
        assert outcome.error is not None or len(outcome.found or ()) == ENTRIES


def test_a_sound_journal_is_said_to_be_sound(sound: dict[str, Path]) -> None:
    assert is_sound(sound["journal"])


@pytest.mark.anyio
@pytest.mark.parametrize("row", [b"", b"\xff" * 10, b"\xff" * 400], ids=["empty", "short", "noise"])
async def test_a_damaged_row_holds_up_no_record_behind_it(
    house: House, tmp_path: Path, row: bytes
) -> None:
    nas_id = await add_nas(house)
    path = tmp_path / "w0"
    with Journal(path, JOURNAL_BYTES) as journal:
        journal.append(
            [
                (wall().timestamp(), nas_id, "127.0.0.1", accounting(1, name))
                for name in (b"first", b"damaged", b"last")
            ]
        )
    with lmdb.open(str(path), map_size=JOURNAL_BYTES + (8 << 20), max_dbs=2) as env:
        entries = env.open_db(b"entries")
        with env.begin(write=True) as txn:
            txn.put((2).to_bytes(8, "big"), row, db=entries)
    with closing(Shipper(house, tmp_path, JOURNAL_BYTES)) as shipper:
        while await shipper.ship():
            pass
    async with house.store.reading() as connection:
        found = await connection.execute(text("select acct_session_id from sessions order by 1"))
        assert [each[0] for each in found] == ["first", "last"]


@pytest.mark.anyio
async def test_a_node_sets_a_damaged_journal_aside_and_keeps_a_sound_one(
    house: House, sound: dict[str, Path]
) -> None:
    journals = house.settings.data_dir / "radius" / "journal"
    for name in ("w0", "w1"):
        shutil.copytree(sound["journal"], journals / name)
    zeros(pages(journals / "w0") // 2)(journals / "w0" / "data.mdb")
    assert not is_sound(journals / "w0")
    await Node(house, [], [])._set_damaged_aside()
    names = sorted(path.name.rpartition("-")[0] or path.name for path in journals.iterdir())
    assert names == ["damaged-w0", "w1"]
