"""The Class we issue comes back as what it says; nothing else is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius.errors import LocalError
from radius.session_class import Issuer

KEY = b"k" * 32
VALUE = Issuer(KEY).make(7, 3, b"\x01\x02")


def test_the_shape_is_the_one_freeradius_takes() -> None:
    assert VALUE.startswith(b"ai:00000007" + b"00000003" + b"0102")
    assert len(VALUE) == 35


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"ai:",
        VALUE[:-1],
        VALUE + b"0",
        VALUE.upper(),
        b"AI:" + VALUE[3:],
        b"ai:" + b" " * 32,
        b"ai:" + b"\xff" * 32,
        b"ai:" + b"g" * 32,
        VALUE.replace(b"7", b"8"),
        Issuer(b"other").make(7, 3, b"\x01\x02"),
    ],
)
def test_what_we_did_not_issue_is_not_read(value: bytes) -> None:
    assert Issuer(KEY).read(value) is None


@pytest.mark.parametrize(
    ("login_id", "generation", "nonce"),
    [(2**32, 0, b"ab"), (-1, 0, b"ab"), (0, 2**32, b"ab"), (0, 0, b"a")],
)
def test_what_does_not_fit_is_our_fault(login_id: int, generation: int, nonce: bytes) -> None:
    with pytest.raises(LocalError):
        Issuer(KEY).make(login_id, generation, nonce)


numbers = st.integers(0, 2**32 - 1)


@given(st.binary(min_size=1), numbers, numbers, st.binary(min_size=2, max_size=2))
def test_read_is_the_inverse_of_make(
    key: bytes, login_id: int, generation: int, nonce: bytes
) -> None:
    assert Issuer(key).read(Issuer(key).make(login_id, generation, nonce)) == (login_id, generation)


@given(st.integers(0, 34), st.integers(0, 255))
def test_no_octet_can_be_changed(at: int, octet: int) -> None:
    changed = VALUE[:at] + bytes((octet,)) + VALUE[at + 1 :]
    assert Issuer(KEY).read(changed) == ((7, 3) if changed == VALUE else None)


@given(st.binary(max_size=64))
def test_any_octets_are_read_without_an_error(value: bytes) -> None:
    assert Issuer(KEY).read(value) is None
