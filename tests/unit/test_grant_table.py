"""The grant table: what is written is found, by all, sealed; and a rebuild never loses a payer."""

import multiprocessing
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import lmdb
import pytest

from radius.errors import LocalError
from radius.table import Client, Grant, GrantTable
from tests.support.radius_worker import TABLE_KEY, client, grant


def opened(path: Path, *, map_bytes: int = 1 << 20) -> GrantTable:
    return GrantTable(path, TABLE_KEY, readonly=False, map_bytes=map_bytes)


def find_elsewhere(path: Path, usernames: list[bytes]) -> list[Grant | None]:
    """What another process finds; a process of its own, because LMDB forbids opening twice."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_find, (path, usernames))


def _find(path: Path, usernames: list[bytes]) -> list[Grant | None]:
    with GrantTable(path, TABLE_KEY, readonly=True) as table:
        return [table.find(username) for username in usernames]


def test_a_grant_is_found_as_it_was_written(tmp_path: Path) -> None:
    written = Grant(
        login_id=2**40,
        contract_id=2**41,
        generation=2**32 - 1,
        password="sênha".encode(),
        replies={"mikrotik": b"\x01" * 300, "wispr": b"", "accel_ppp": b"\x02"},
    )
    with opened(tmp_path) as table:
        table.write([("josé@isp".encode(), written), (b"b", grant(2))])
        assert table.find("josé@isp".encode()) == written
        assert table.find(b"b") == grant(2)
        assert table.username_of(2**40) == "josé@isp".encode()


@pytest.mark.parametrize("username", [b"", b"A", b"a ", b"a\x00", b"x" * 253])
def test_a_name_is_found_exactly_or_not_at_all(tmp_path: Path, username: bytes) -> None:
    with opened(tmp_path) as table:
        table.write([(b"a", grant(1))])
        assert table.find(username) is None


def test_a_write_is_seen_by_another_process_and_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as table:
        table.write([(b"a", grant(1))])
        assert find_elsewhere(tmp_path, [b"a", b"b"]) == [grant(1), None]
        table.write([(b"a", None), (b"b", grant(2))])
        assert find_elsewhere(tmp_path, [b"a", b"b"]) == [None, grant(2)]
    with opened(tmp_path) as table:
        assert table.find(b"b") == grant(2)


def test_changes_and_marks_are_one_transaction(tmp_path: Path) -> None:
    with opened(tmp_path) as table:
        table.write([(b"a", grant(1))], marks={"seen": 7})
        with pytest.raises(LocalError):
            table.write([(b"b", grant(2)), (b"", grant(3))], marks={"seen": 8})
        assert (table.find(b"b"), table.marked("seen"), len(table)) == (None, 7, 1)
        table.mark("seen", 9)
        assert (table.marked("seen"), table.marked("other")) == (9, None)


def test_a_renamed_login_is_not_let_in_under_its_old_name(tmp_path: Path) -> None:
    with opened(tmp_path) as table:
        table.write([(b"old", grant(1))])
        table.write([(b"new", grant(1, generation=2))])
        assert table.find(b"old") is None
        assert table.username_of(1) == b"new"


def test_two_logins_may_swap_their_names(tmp_path: Path) -> None:
    with opened(tmp_path) as table:
        table.write([(b"a", grant(1)), (b"b", grant(2))])
        table.write([(b"b", grant(1)), (b"a", grant(2))])
        assert (table.find(b"a"), table.find(b"b")) == (grant(2), grant(1))
        assert (table.username_of(1), table.username_of(2)) == (b"b", b"a")


def test_a_name_that_changes_hands_is_forgotten_by_its_former_login(tmp_path: Path) -> None:
    with opened(tmp_path) as table:
        table.write([(b"a", grant(1))])
        table.write([(b"a", grant(2))])
        assert (table.username_of(1), table.username_of(2)) == (None, b"a")
        table.write([(b"a", None), (b"a", None)])
        assert (table.username_of(2), table.find(b"a")) == (None, None)


def test_a_name_freed_and_taken_in_one_batch_stays_with_the_taker(tmp_path: Path) -> None:
    with opened(tmp_path) as table:
        table.write([(b"a", grant(1)), (b"b", grant(2))])
        table.write([(b"b", grant(1)), (b"a", None), (b"b", None)])
        assert (table.find(b"a"), table.find(b"b")) == (None, grant(1))
        assert (table.username_of(1), table.username_of(2)) == (b"b", None)


def test_clients_are_replaced_and_the_version_tells(tmp_path: Path) -> None:
    wide = Client(9, ip_network("2001:db8::/32"), b"\x00secret", "wispr", "auto")
    with opened(tmp_path) as table:
        before = table.clients_version()
        table.write_clients([client(), wide])
        assert table.clients() == [client(), wide]
        assert table.clients_version() > before
        table.write_clients([wide])
        assert table.clients() == [wide]
        assert table.clients_version() > before + 1


@pytest.mark.parametrize(
    ("secret", "require", "reason"), [(b"", "yes", "empty"), (b"s", "maybe", "maybe")]
)
def test_a_client_refuses_to_be_wrong(secret: bytes, require: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Client(1, ip_network("192.0.2.1/32"), secret, "mikrotik", require)


def test_the_map_grows_before_it_is_full_and_readers_follow(tmp_path: Path) -> None:
    many = [(b"user%d" % number, grant(number)) for number in range(1, 6_000)]
    with opened(tmp_path, map_bytes=256 << 10) as table:
        table.write([(b"a", grant(10_000))])
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        reader = context.Process(target=_find_on_demand, args=(tmp_path, theirs))
        reader.start()
        try:
            ours.send(b"a")
            assert ours.recv() == grant(10_000)
            table.write(many)
            ours.send(b"user5999")
            assert ours.recv() == grant(5_999)
        finally:
            ours.send(None)
            reader.join()
    assert (tmp_path / "data.mdb").stat().st_size > 256 << 10


def _find_on_demand(path: Path, pipe: "multiprocessing.connection.Connection") -> None:
    with GrantTable(path, TABLE_KEY, readonly=True, map_bytes=256 << 10) as table:
        while (username := pipe.recv()) is not None:
            pipe.send(table.find(username))


def test_a_rebuild_leaves_exactly_what_it_was_given(tmp_path: Path) -> None:
    seen: list[int] = []
    with opened(tmp_path) as table:
        table.write([(b"gone", grant(1)), (b"stays", grant(2)), (b"old", grant(3))])
        assert not table.complete()
        new = [(b"stays", grant(2, generation=5)), (b"new", grant(3)), (b"more", grant(4))]
        table.replace_all(iter(new), {"seen": 40}, seen.append)
        assert table.complete()
        assert {name: table.find(name) for name, _ in new} == dict(new)
        assert (table.find(b"gone"), table.find(b"old"), len(table)) == (None, None, 3)
        assert table.username_of(1) is None
        assert (table.marked("seen"), seen[-1]) == (40, 3)
        table.replace_all([], {"seen": 41}, seen.append)
        assert (len(table), table.marked("seen")) == (0, 41)


def test_a_rebuild_that_dies_loses_nobody_and_the_next_one_mends(tmp_path: Path) -> None:
    def dying(after: int) -> Iterator[tuple[bytes, Grant]]:
        for number in range(after):
            yield b"user%d" % number, grant(number + 1, generation=2)
        raise InterruptedError

    old = [(b"user%d" % number, grant(number + 1)) for number in range(6_000)]
    with opened(tmp_path) as table:
        table.replace_all(old, {"seen": 1})
        with pytest.raises(InterruptedError):
            table.replace_all(dying(5_500), {"seen": 2})
        assert len(table) == 6_000
        assert table.marked("seen") == 1
        table.replace_all(old[:10], {"seen": 3})
        assert (len(table), table.find(b"user3")) == (10, grant(4))


def test_nothing_secret_is_readable_in_the_file(tmp_path: Path) -> None:
    with opened(tmp_path) as table:
        table.write([(b"a", grant(1, password="correct horse"))])
        table.write_clients([client()])
    octets = (tmp_path / "data.mdb").read_bytes()
    assert b"correct horse" not in octets
    assert client().secret not in octets
    assert (tmp_path / "data.mdb").stat().st_mode & 0o077 == 0
    assert "correct" not in repr(grant(1, password="correct horse"))
    assert "shared" not in repr(client())


def test_a_credential_does_not_open_under_another_name(tmp_path: Path) -> None:
    with opened(tmp_path) as table:
        table.write([(b"a", grant(1))])
    with lmdb.open(str(tmp_path), max_dbs=4) as env, env.begin(write=True) as txn:
        grants = env.open_db(b"grants", txn=txn)
        row = txn.get(b"a", db=grants)
        assert row is not None
        txn.put(b"thief", row, db=grants)
    with opened(tmp_path) as table:
        assert table.find(b"a") == grant(1)
        with pytest.raises(LocalError, match="altered"):
            table.find(b"thief")


def test_another_key_or_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with pytest.raises(LocalError, match=r"another secret key.*rebuilt"):
        GrantTable(tmp_path, b"x" * 32, readonly=False)
    with lmdb.open(str(tmp_path), max_dbs=4) as env, env.begin(write=True) as txn:
        txn.put(b"format", (99).to_bytes(8, "big"), db=env.open_db(b"meta", txn=txn))
    for readonly in (True, False):
        with pytest.raises(LocalError, match=r"format 99.*rebuilt"):
            GrantTable(tmp_path, TABLE_KEY, readonly=readonly)


def test_a_table_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="nowhere"):
        GrantTable(tmp_path / "nowhere", TABLE_KEY, readonly=True)
    assert not (tmp_path / "nowhere").exists()
