import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.documents import InvalidDocument, mask, parse_document


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("111.444.777-35", "11144477735"),
        (" 390.533.447-05 ", "39053344705"),
        ("12345678909", "12345678909"),
        ("11.222.333/0001-81", "11222333000181"),
        ("00.000.000/0001-91", "00000000000191"),
        ("12.ABC.345/01DE-35", "12ABC34501DE35"),
        ("12abc34501de35", "12ABC34501DE35"),
    ],
)
def test_valid_documents_are_normalised(text: str, document: str) -> None:
    assert parse_document(text) == document
    assert parse_document(document) == document


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("...", "empty"),
        ("1234567890", "has 10"),
        ("123456789012", "has 12"),
        ("111.444.777-36", "check digits of this CPF"),
        ("111.111.111-11", "repeat"),  # stdnum alone lets it pass
        ("00000000000000", "repeat"),
        ("AAAAAAAAAAAAAA", "repeat"),
        ("12ABC34501DE36", "check digits of this CNPJ"),
        ("1234567890A", "CPF"),
        ("１２３.456.789-09", "characters"),
        ("123.456.789-0\x00", "characters"),
        ("123.456.789–09", "characters"),
    ],
)
def test_a_wrong_document_is_refused_without_repeating_it(text: str, says: str) -> None:
    with pytest.raises(InvalidDocument, match=says) as caught:
        parse_document(text)
    assert len(text) < 10 or text not in str(caught.value)


@given(st.text(max_size=20))
def test_any_text_is_a_document_or_a_clear_refusal(text: str) -> None:
    try:
        document = parse_document(text)
    except InvalidDocument:
        return
    assert document.isascii()
    assert len(document) in (11, 14)


def test_a_mask_hides_the_ends() -> None:
    assert mask("12345678909") == "***.456.789-**"
    assert mask("11222333000181") == "**.222.333/****-**"
