"""Exports are read back whole, and nothing in them is a formula."""

import io
from datetime import date

import pytest

from api import exporting
from api.exporting import Column, Format, TooManyRows, XlsxWriter, decimal, safe, writer
from api.sentences import Lang
from tests.support.spreadsheet import read_csv, read_xlsx

COLUMNS = (
    Column("number", "number", "Contrato", "Contract"),
    Column("name", "text", "Assinante", "Subscriber"),
    Column("debt", "cents", "Dívida", "Debt"),
    Column("due", "day", "Vencimento", "Due"),
    Column("flag", "flag", "Promessa", "Promise"),
    Column("login", "text", "Login", "Login"),
)
ROWS: list[dict[str, exporting.Value]] = [
    {
        "number": 7,
        "name": 'Ção; "aspas", <b> & \n linha',
        "debt": 1234567,
        "due": date(2026, 9, 1),
        "flag": True,
        "login": None,
    },
    {
        "number": 8,
        "name": "=cmd|'/C calc'!A0",
        "debt": 5,
        "due": date(2024, 2, 29),
        "flag": False,
        "login": "@sum(a1)",
    },
]


def exported(kind: Format, lang: Lang, rows: list[dict[str, exporting.Value]]) -> bytes:
    file = io.BytesIO()
    made = writer(kind, file, COLUMNS, lang)
    for row in rows:
        made.write([row])
    made.close()
    return file.getvalue()


def test_csv_for_brazil_has_semicolons_and_decimal_commas() -> None:
    assert read_csv(exported("csv", "pt-BR", ROWS), ";") == [
        ["Contrato", "Assinante", "Dívida", "Vencimento", "Promessa", "Login"],
        ["7", 'Ção; "aspas", <b> & \n linha', "12345,67", "2026-09-01", "sim", ""],
        ["8", "'=cmd|'/C calc'!A0", "0,05", "2024-02-29", "não", "'@sum(a1)"],
    ]


def test_csv_in_english_has_commas_and_points() -> None:
    content = exported("csv", "en", ROWS)
    assert read_csv(content, ",")[1][2:5] == ["12345.67", "2026-09-01", "yes"]
    assert content.count(b"\r\n") == 3  # RFC 4180


def test_a_workbook_has_typed_cells() -> None:
    header, first, second = read_xlsx(exported("xlsx", "en", ROWS))
    assert [value for _, value in header] == [column.english for column in COLUMNS]
    assert first == [
        ("number", "7"),
        ("text", 'Ção; "aspas", <b> & \n linha'),
        ("money", "12345.67"),
        ("day", "46266"),
        ("text", "yes"),
        ("empty", ""),
    ]
    assert second[1:4] == [("text", "'=cmd|'/C calc'!A0"), ("money", "0.05"), ("day", "45351")]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+55", "-2", "@a", "\t=1", "\r=1", "\n=1", "  =1", "=", "\tx", "=HYPERLINK(1)"],
)
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_what_could_calculate_is_text(kind: Format, text: str) -> None:
    assert safe(text) == f"'{text}"
    content = exported(kind, "en", [ROWS[0] | {"name": text}])
    if kind == "csv":
        found = read_csv(content, ",")[1][1]
    else:
        # XML reads a carriage return as the end of a line.
        found = read_xlsx(content)[1][1][1].replace("\n=", f"{text[0]}=")
    assert found == f"'{text}"


@pytest.mark.parametrize("text", ["Assinante 1", "a=b", "1-2", "", "'=1", "São João", "a@b"])
def test_what_cannot_stays_as_it_is(text: str) -> None:
    assert safe(text) == text


def test_signs_that_no_file_can_hold_are_replaced() -> None:
    row = ROWS[0] | {"name": "a\x00\x0b\ud800\ufffeb"}
    assert read_xlsx(exported("xlsx", "en", [row]))[1][1][1] == "a\ufffd\ufffd\ufffd\ufffdb"
    assert read_csv(exported("csv", "en", [row]), ",")[1][1].startswith("a\x00\x0b?")


@pytest.mark.parametrize(
    ("cents", "shown"),
    [(0, "0.00"), (5, "0.05"), (9990, "99.90"), (-5, "-0.05"), (-12345, "-123.45")],
)
def test_cents_are_decimals(cents: int, shown: str) -> None:
    assert decimal(cents, ".") == shown


def test_more_rows_than_a_worksheet_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "ROWS_MAX", 2)
    made = XlsxWriter(io.BytesIO(), COLUMNS, "en")
    made.write(ROWS)
    with pytest.raises(TooManyRows, match="format=csv"):
        made.write(ROWS[:1])
