"""A sealed secret opens in its place, by its key, unchanged; and nowhere else."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.store.secrets import (
    SecretBox,
    SecretError,
    drop_new_key,
    keep_key,
    load_key,
)
from config.settings import Settings

KEY = bytes(range(32))
BOX = SecretBox(KEY)
PLACE = ("logins", "ana", "password")


@given(clear=st.binary(max_size=200), row=st.text(max_size=64))
def test_what_is_sealed_opens_in_its_place(clear: bytes, row: str) -> None:
    assert BOX.open("logins", row, "password", BOX.seal("logins", row, "password", clear)) == clear


@pytest.mark.parametrize(
    "place", [("nases", "ana", "password"), ("logins", "bob", "password"), ("logins", "ana", "mac")]
)
def test_it_opens_nowhere_else(place: tuple[str, str, str]) -> None:
    with pytest.raises(SecretError, match="does not open"):
        BOX.open(*place, BOX.seal(*PLACE, b"secret"))


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(SecretError, match="does not open"):
        SecretBox(bytes(32)).open(*PLACE, BOX.seal(*PLACE, b"secret"))


@given(st.data())
def test_a_changed_bit_does_not_open(data: st.DataObject) -> None:
    sealed = bytearray(BOX.seal(*PLACE, b"secret"))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SecretError):
        BOX.open(*PLACE, bytes(sealed))


@pytest.mark.parametrize("length", [0, 1, 12, 28])
def test_a_cut_value_does_not_open(length: int) -> None:
    with pytest.raises(SecretError):
        BOX.open(*PLACE, BOX.seal(*PLACE, b"secret")[:length])


def test_equal_secrets_look_different() -> None:
    assert BOX.seal(*PLACE, b"secret") != BOX.seal(*PLACE, b"secret")


def test_each_purpose_has_a_key_of_its_own() -> None:
    keys = {BOX.derive("grant table"), BOX.derive("class"), KEY}
    assert {len(key) for key in keys} == {32}
    assert len(keys) == 3
    assert BOX.derive("class") == SecretBox(KEY).derive("class")


def test_a_box_shows_nothing_of_its_key() -> None:
    assert KEY.hex() not in repr(BOX)
    assert repr(KEY) not in repr(BOX)


def test_the_first_start_makes_a_key_for_us_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "var")
    key = load_key(settings)
    file = tmp_path / "var" / "secret.key"
    assert not file.exists(), "not in its place before the database was asked"
    assert load_key(settings) == key
    keep_key(settings)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secret.key"]
    assert load_key(settings) == key
    assert len(key) == 32


def test_a_new_key_that_fits_no_database_is_forgotten(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    load_key(settings)
    drop_new_key(settings)
    assert list(tmp_path.iterdir()) == []


def test_of_two_first_starts_the_key_that_stands_first_stays(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    load_key(settings)
    (tmp_path / "secret.key").write_text(KEY.hex())
    keep_key(settings)
    assert load_key(settings) == KEY


def test_a_key_that_is_set_is_used(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path, "secret_key": KEY.hex()})
    assert load_key(settings) == KEY
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "zz", "00" * 31, "00" * 33])
def test_a_broken_key_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret.key").write_text(text)
    with pytest.raises(ValueError, match=r"secret\.key: .*64 hexadecimal"):
        load_key(Settings(data_dir=tmp_path))


def test_a_key_is_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SecretBox(b"short")
