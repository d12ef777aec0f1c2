"""BR Codes against the vectors of BCB's manual and of facts computed independently."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.payments import brcode

MANUAL = (
    "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-4266554400005204000053039865802BR"
    "5913Fulano de Tal6008BRASILIA62070503***63041D3D"
)
WITH_AMOUNT = (
    "00020126480014br.gov.bcb.pix0126financeiro@provedor.com.br520400005303986540599.905802BR"
    "5921Provedor Exemplo Ltda6009FORTALEZA62190515FAT2026120001236304243E"
)
DYNAMIC = (
    "00020101021226810014br.gov.bcb.pix2559pix.example.com/qr/v2/cobv/"
    "2353c790eefb11eaadc10242ac1200025204000053039865802BR5916Provedor Exemplo6009FORTALEZA"
    "62070503***6304EA19"
)


def test_static_code_of_the_manual() -> None:
    made = brcode.static("123e4567-e12b-12d1-a456-426655440000", "Fulano de Tal", "BRASILIA")
    assert made == MANUAL


def test_static_code_with_amount_and_txid() -> None:
    made = brcode.static(
        "financeiro@provedor.com.br",
        "Provedor Exemplo Ltda",
        "FORTALEZA",
        amount_cents=9990,
        txid="FAT202612000123",
    )
    assert made == WITH_AMOUNT


def test_dynamic_code() -> None:
    location = "pix.example.com/qr/v2/cobv/2353c790eefb11eaadc10242ac120002"
    assert brcode.dynamic(location, "Provedor Exemplo", "FORTALEZA") == DYNAMIC


def test_crc_check_value() -> None:
    assert brcode.crc("123456789") == "29B1"


def test_accents_are_dropped_and_names_are_cut() -> None:
    fields = brcode.read(
        brcode.static("k@x", "São João Telecomunicações Ltda", "São Gonçalo do Sul")
    )
    assert fields["59"] == "Sao Joao Telecomunicacoes"
    assert fields["60"] == "Sao Goncalo do"


@pytest.mark.parametrize("code", [MANUAL, WITH_AMOUNT, DYNAMIC])
def test_a_changed_character_is_noticed(code: str) -> None:
    broken = code[:40] + ("x" if code[40] != "x" else "y") + code[41:]
    with pytest.raises(ValueError, match="CRC"):
        brcode.read(broken)


@pytest.mark.parametrize(
    ("key", "name", "city", "amount_cents", "txid"),
    [
        ("", "N", "C", None, None),
        ("k" * 78, "N", "C", None, None),
        ("chave com espaço", "N", "C", None, None),
        ("k", "   ", "C", None, None),
        ("k", "N", "日本", None, None),
        ("k", "N", "C", 0, None),
        ("k", "N", "C", -1, None),
        ("k", "N", "C", 10**12, None),
        ("k", "N", "C", None, "FAT-1"),
        ("k", "N", "C", None, "a" * 26),
    ],
)
def test_what_the_format_cannot_carry_is_refused(
    key: str, name: str, city: str, amount_cents: int | None, txid: str | None
) -> None:
    with pytest.raises(ValueError, match=r"."):
        brcode.static(key, name, city, amount_cents=amount_cents, txid=txid)


def test_a_location_has_no_scheme() -> None:
    with pytest.raises(ValueError, match="scheme"):
        brcode.dynamic("https://pix.example.com/1", "N", "C")


printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=77)


@given(key=printable, amount=st.none() | st.integers(1, 10**12 - 1))
def test_reading_gives_back_what_was_written(key: str, amount: int | None) -> None:
    code = brcode.static(key, "Provedor", "Fortaleza", amount_cents=amount)
    fields = brcode.read(code)
    assert fields["26"].endswith(f"01{len(key):02d}{key}")
    assert fields.get("54") == (None if amount is None else f"{amount // 100}.{amount % 100:02d}")


@given(st.text(max_size=200))
def test_any_text_is_a_code_or_an_error(text: str) -> None:
    with contextlib.suppress(ValueError):  # anything else fails the test
        assert brcode.crc(text[:-4]) == brcode.read(text)["63"]
