"""The journal: all or nothing, bounded, in order, and well again after a full disk."""

import multiprocessing
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import lmdb
import pytest

from radius.errors import JournalFull, LocalError
from radius.journal import DAMAGED, Entry, Journal

PACKET = b"\x04" * 300


def batch(count: int, octets: bytes = PACKET) -> list[tuple[float, int, str, bytes]]:
    return [(1_795_000_000.25, 7, "192.0.2.1", octets)] * count


def fill(journal: Journal, count: int) -> int:
    """Append batches of `count` until the journal refuses one; how many it took."""
    accepted = 0
    try:
        while True:
            journal.append(batch(count))
            accepted += count
    except JournalFull:
        return accepted


def test_entries_come_back_in_order_as_they_were_given(tmp_path: Path) -> None:
    with Journal(tmp_path, 1 << 20) as journal:
        journal.append([(1.5, 7, "192.0.2.1", b"one"), (2.5, 2**40, "2001:db8::1", b"")])
        journal.append([(3.5, 8, "", b"x" * 4096)])
        assert journal.depth() == 3
        assert journal.read(10) == [
            Entry(1, 1.5, 7, "192.0.2.1", b"one"),
            Entry(2, 2.5, 2**40, "2001:db8::1", b""),
            Entry(3, 3.5, 8, "", b"x" * 4096),
        ]
        assert [entry.sequence for entry in journal.read(2)] == [1, 2]


def test_a_sequence_is_never_used_again(tmp_path: Path) -> None:
    with Journal(tmp_path, 1 << 20) as journal:
        journal.append(batch(3))
        journal.discard(3)
        assert (journal.read(10), journal.depth()) == ([], 0)
    with Journal(tmp_path, 1 << 20) as journal:
        journal.append(batch(1))
        assert [entry.sequence for entry in journal.read(10)] == [4]


@pytest.mark.parametrize(("through", "left"), [(0, [1, 2, 3]), (2, [3]), (99, [])])
def test_discard_forgets_up_to_and_including(tmp_path: Path, through: int, left: list[int]) -> None:
    with Journal(tmp_path, 1 << 20) as journal:
        journal.append(batch(3))
        journal.discard(through)
        assert [entry.sequence for entry in journal.read(10)] == left


def test_nothing_to_append_is_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path, 1 << 20) as journal:
        journal.append([])
        assert journal.depth() == 0


def test_a_full_journal_refuses_whole_batches_and_recovers_when_drained(tmp_path: Path) -> None:
    with Journal(tmp_path, 256 << 10) as journal:
        accepted = fill(journal, 7)
        assert journal.depth() == accepted
        assert accepted * len(PACKET) > (256 << 10) * 0.7
        while journal.has_room():
            journal.append(batch(1))
        journal.discard(through=accepted)
        assert journal.has_room()
        journal.append(batch(7))


def test_the_file_stays_bounded_however_often_it_fills(tmp_path: Path) -> None:
    with Journal(tmp_path, 1 << 20) as journal:
        for _ in range(5):
            assert fill(journal, 50) > 1_000
            journal.discard(through=2**63)
            assert journal.depth() == 0
    assert (tmp_path / "data.mdb").stat().st_size <= (1 << 20) + (8 << 20)


def test_a_lowered_bound_still_drains(tmp_path: Path) -> None:
    with Journal(tmp_path, 16 << 20) as journal:
        fill(journal, 500)
    with Journal(tmp_path, 64 << 10) as journal:
        assert not journal.has_room()
        with pytest.raises(JournalFull):
            journal.append(batch(1))
        while entries := journal.read(5_000):
            journal.discard(entries[-1].sequence)
        journal.append(batch(1))


@contextmanager
def files_up_to(octets: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_no_more_is_a_full_journal_until_it_does_again(tmp_path: Path) -> None:
    with Journal(tmp_path, 16 << 20) as journal:
        with files_up_to(200_000):
            accepted = fill(journal, 10)
        assert journal.depth() == accepted > 0
        journal.append(batch(10))
        sequences = [entry.sequence for entry in journal.read(2**31)]
        assert sequences == list(range(1, accepted + 11))


def test_after_a_panic_the_environment_is_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(tmp_path, 1 << 20) as journal:
        journal.append(batch(1))

        def panic(*, write: bool) -> None:
            raise lmdb.PanicError("mdb_txn_commit", -30795)

        with monkeypatch.context() as patched:
            patched.setattr(journal, "_transaction", panic)
            with pytest.raises(JournalFull, match="mdb_txn_commit"):
                journal.append(batch(1))
        journal.append(batch(1))
        assert [entry.sequence for entry in journal.read(10)] == [1, 2]


def _ship(path: Path, count: int) -> list[int]:
    """The shipper: another process that reads from the front and discards."""
    shipped: list[int] = []
    with Journal(path, 1 << 20) as journal:
        while len(shipped) < count:
            entries = journal.read(10)
            shipped += [entry.sequence for entry in entries]
            if entries:
                journal.discard(entries[-1].sequence)
    return shipped


def test_another_process_ships_while_this_one_appends(tmp_path: Path) -> None:
    with (
        Journal(tmp_path, 1 << 20) as journal,
        multiprocessing.get_context("spawn").Pool(1) as pool,
    ):
        shipped = pool.apply_async(_ship, (tmp_path, 200))
        for _ in range(100):
            journal.append(batch(2))
        assert shipped.get(timeout=30) == list(range(1, 201))
        assert journal.depth() == 0


def test_another_format_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path, 1 << 20).close()
    with lmdb.open(str(tmp_path), max_dbs=2) as env, env.begin(write=True) as txn:
        txn.put(b"format", b"99", db=env.open_db(b"meta", txn=txn))
    with pytest.raises(LocalError, match="another format"):
        Journal(tmp_path, 1 << 20)


def test_a_journal_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalError, match="journal"):
        Journal(tmp_path / "file", 1 << 20)


@pytest.mark.parametrize(
    ("free_mib", "disk_mib", "fullness"),
    [
        (10_000, 200_000, 0.0),  # a disk nearly full, and room for all that may come to wait
        (8, 160, 0.95),  # a disk that ends before the bound does
        (0, 160, 1.0),
        (40, 160, 0.75),
    ],
)
def test_it_is_as_full_as_its_disk_where_that_ends_first(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    free_mib: int,
    disk_mib: int,
    fullness: float,
) -> None:
    class Disk:
        f_frsize = 1 << 20
        f_bavail = free_mib
        f_blocks = disk_mib

    with Journal(tmp_path, 64 << 20) as journal:
        monkeypatch.setattr("os.statvfs", lambda _path: Disk)
        assert journal.fullness() == pytest.approx(fullness, abs=0.001)


def test_it_is_as_full_as_its_bound_says(tmp_path: Path) -> None:
    with Journal(tmp_path, 256 << 10) as journal:
        seen = [journal.fullness()]
        with suppress(JournalFull):
            while True:
                journal.append(batch(10))
                seen.append(journal.fullness())
        assert seen == sorted(seen)
        assert seen[0] == 0
        assert 0.9 < seen[-1] <= 1
        journal.discard(2**63)
        assert journal.fullness() < 0.05


def test_a_damaged_row_is_told_apart_and_does_not_hide_the_others(tmp_path: Path) -> None:
    with Journal(tmp_path, 1 << 20) as journal:
        journal.append([(1.5, 7, "192.0.2.1", b"number %d" % number) for number in range(3)])
    data = tmp_path / "data.mdb"
    octets = data.read_bytes()
    assert octets.count(b"number 1") == 1
    data.write_bytes(octets.replace(b"number 1", b"number 7"))
    with Journal(tmp_path, 1 << 20) as journal:
        found = journal.read(10)
        assert [(entry.sequence, entry.octets) for entry in found] == [
            (1, b"number 0"),
            (2, b""),
            (3, b"number 2"),
        ]
        assert found[1].source == DAMAGED


def test_a_journal_that_was_cut_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path, 1 << 20) as journal:
        journal.append(batch(500))
    os.truncate(tmp_path / "data.mdb", 5 * 4096)
    with pytest.raises(LocalError, match="damaged"):
        Journal(tmp_path, 1 << 20)
