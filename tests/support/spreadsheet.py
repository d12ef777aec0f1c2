"""Reads the exports back: CSV as a spreadsheet would, XLSX by the standard's own parts."""

import csv
import io
import zipfile
from xml.etree import ElementTree

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def read_csv(content: bytes, delimiter: str) -> list[list[str]]:
    """Every row, after the byte order mark."""
    assert content.startswith(b"\xef\xbb\xbf")
    text = content.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def read_xlsx(content: bytes) -> list[list[tuple[str, str]]]:
    """Every row as (type, value): `text`, `number`, `money`, `day` or `empty`."""
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        assert book.testzip() is None
        for name in book.namelist():
            ElementTree.fromstring(book.read(name))
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    assert not list(sheet.iter(f"{_MAIN}f")), "a formula"
    return [[_cell(cell) for cell in row] for row in sheet.iter(f"{_MAIN}row")]


def _cell(cell: ElementTree.Element) -> tuple[str, str]:
    if cell.get("t") == "inlineStr":
        return "text", cell.findtext(f"{_MAIN}is/{_MAIN}t") or ""
    value = cell.findtext(f"{_MAIN}v")
    if value is None:
        return "empty", ""
    return {None: "number", "1": "money", "2": "day"}[cell.get("s")], value
