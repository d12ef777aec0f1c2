"""The environment under grant table and presence: growth, killed readers, what cannot be opened."""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from radius.errors import LocalError
from radius.mapped import Mapped


def opened(path: Path, *, map_bytes: int = 1 << 20, readonly: bool = False) -> Mapped:
    return Mapped(path, "test", [b"rows"], map_bytes=map_bytes, readonly=readonly)


def fill(mapped: Mapped, start: int, count: int) -> None:
    rows = mapped.databases[0]

    def change(txn: object) -> None:
        for number in range(start, start + count):
            txn.put(b"%08d" % number, bytes(500), db=rows)  # type: ignore[attr-defined]

    mapped.write(change)


def test_the_map_grows_before_it_is_full(tmp_path: Path) -> None:
    mapped = opened(tmp_path)
    size = mapped._env.info()["map_size"]
    for batch in range(40):
        fill(mapped, batch * 100, 100)
        info = mapped._env.info()
        used = (info["last_pgno"] + 1) * mapped._env.stat()["psize"]
        assert used <= 0.75 * info["map_size"]
    assert mapped._env.info()["map_size"] > 2 * size
    mapped.close()


def test_one_write_larger_than_the_map_goes_in_whole(tmp_path: Path) -> None:
    mapped = opened(tmp_path)
    fill(mapped, 0, 10_000)
    assert mapped.read(lambda txn: txn.stat(mapped.databases[0])["entries"]) == 10_000
    mapped.close()


def _read_at_word(path: Path, conversation: Connection) -> None:
    mapped = opened(path, readonly=True)
    rows = mapped.databases[0]
    while conversation.recv() == "read":
        txn = mapped.begin()
        seen = txn.get(b"00000000", None, rows), txn.stat(rows)["entries"]
        mapped.end(txn)
        conversation.send((seen[0] is not None, seen[1]))
    reading = mapped.begin()
    conversation.send("reading")
    signal.pause()
    mapped.end(reading)


def test_another_process_reads_through_growth_and_its_death_frees_its_slot(tmp_path: Path) -> None:
    mapped = opened(tmp_path)
    fill(mapped, 0, 1)
    mine, theirs = multiprocessing.Pipe()
    reader = multiprocessing.get_context("spawn").Process(
        target=_read_at_word, args=(tmp_path, theirs)
    )
    reader.start()
    for batch in range(3):
        mine.send("read")
        assert mine.recv() == (True, 1 + batch * 5_000)
        fill(mapped, 1 + batch * 5_000, 5_000)
    mine.send("die")
    assert mine.recv() == "reading"
    assert reader.pid is not None
    os.kill(reader.pid, signal.SIGKILL)
    reader.join(10)
    assert mapped.forget_dead_readers() == 1
    assert mapped.forget_dead_readers() == 0
    mapped.close()


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_file_that_was_cut_is_refused_and_kills_nobody(tmp_path: Path, kept: float) -> None:
    mapped = opened(tmp_path)
    fill(mapped, 0, 2_000)
    mapped.close()
    data = tmp_path / "data.mdb"
    os.truncate(data, int(data.stat().st_size * kept) // 4096 * 4096)
    with pytest.raises(LocalError, match="damaged"):
        opened(tmp_path)


def test_what_cannot_be_opened_is_said_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="missing"):
        opened(tmp_path / "missing", readonly=True)
    (tmp_path / "data.mdb").write_bytes(b"no such thing" * 1000)
    with pytest.raises(LocalError, match=r"^test "):
        opened(tmp_path)
