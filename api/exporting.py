"""A list written as CSV or as an XLSX workbook, row by row, for a spreadsheet to open.

Text that a spreadsheet could take for a formula is written with an apostrophe before it. CSV is
UTF-8 with a byte order mark, because Excel reads it as something else without one; in Portuguese
it has semicolons and decimal commas, as Excel in Brazil expects, in English commas and points.
"""

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import IO, Literal, Protocol
from xml.sax.saxutils import escape

from api.sentences import Lang

Format = Literal["csv", "xlsx"]
Kind = Literal["text", "number", "cents", "day", "flag"]
Value = str | int | date | bool | None

ROWS_MAX = 1_048_575
"""What a worksheet holds below its header."""
MEDIA_TYPES: Mapping[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

# OWASP, CSV Injection: what makes a spreadsheet calculate or run something, after spaces too.
_FORMULA = re.compile(r"\A\s*[=+\-@|%\t\r\n]|\A[\t\r\n]")
# XML 1.0 has no way to write these.
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_YES: Mapping[Lang, tuple[str, str]] = {"pt-BR": ("não", "sim"), "en": ("no", "yes")}


class TooManyRows(ValueError):
    """More rows than a worksheet holds; as CSV they fit."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: which value of a row it shows, as what, and its header in each language."""

    name: str
    kind: Kind
    portuguese: str
    english: str

    def header(self, lang: Lang) -> str:
        return self.portuguese if lang == "pt-BR" else self.english


class Writer(Protocol):
    """Takes rows, a few at a time, and is closed once."""

    def write(self, rows: Iterable[Mapping[str, Value]]) -> None: ...

    def close(self) -> None: ...


def writer(kind: Format, file: IO[bytes], columns: Sequence[Column], lang: Lang) -> Writer:
    """A writer into `file`, the header written."""
    made: Callable[[IO[bytes], Sequence[Column], Lang], Writer]
    made = CsvWriter if kind == "csv" else XlsxWriter
    return made(file, columns, lang)


def safe(text: str) -> str:
    """Text that no spreadsheet takes for a formula.

    >>> safe("=1+1"), safe("Assinante 1")
    ("'=1+1", 'Assinante 1')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def decimal(cents: int, point: str) -> str:
    """Cents as a decimal number.

    >>> decimal(9990, ","), decimal(-5, ".")
    ('99,90', '-0.05')
    """
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole}{point}{rest:02d}"


class CsvWriter:
    """RFC 4180, with a byte order mark."""

    def __init__(self, file: IO[bytes], columns: Sequence[Column], lang: Lang) -> None:
        self._columns, self._lang = columns, lang
        self._point = "," if lang == "pt-BR" else "."
        # Closed as bytes by whoever opened it: this wraps it for as long as rows come.
        self._text = io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")
        self._csv = csv.writer(self._text, delimiter=";" if lang == "pt-BR" else ",")
        self._csv.writerow([safe(column.header(lang)) for column in columns])

    def write(self, rows: Iterable[Mapping[str, Value]]) -> None:
        self._csv.writerows(
            [self._cell(c.kind, row[c.name]) for c in self._columns] for row in rows
        )

    def close(self) -> None:
        self._text.flush()
        self._text.detach()

    def _cell(self, kind: Kind, value: Value) -> str:
        if value is None:
            return ""
        if kind == "cents":
            return decimal(int(str(value)), self._point)
        if kind == "flag":
            return _YES[self._lang][bool(value)]
        if kind == "text":
            return safe(str(value))
        return str(value)


class XlsxWriter:
    """A workbook of one sheet (ECMA-376), its cells typed: text is never read as anything else."""

    def __init__(self, file: IO[bytes], columns: Sequence[Column], lang: Lang) -> None:
        self._columns, self._lang, self._rows = columns, lang, 0
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)
        for name, content in _PARTS.items():
            self._zip.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        sheet = zipfile.ZipInfo("xl/worksheets/sheet1.xml")
        sheet.compress_type = zipfile.ZIP_DEFLATED
        self._sheet = self._zip.open(sheet, "w")
        self._sheet.write(_SHEET_HEAD)
        titles = (_text(column.header(lang)) for column in columns)
        self._sheet.write(f"<row>{''.join(titles)}</row>".encode())

    def write(self, rows: Iterable[Mapping[str, Value]]) -> None:
        """Raises TooManyRows."""
        written: list[str] = []
        for row in rows:
            self._rows += 1
            if self._rows > ROWS_MAX:
                raise TooManyRows(
                    f"a worksheet holds {ROWS_MAX} rows and there are more; ask for format=csv"
                )
            cells = "".join(self._cell(c.kind, row[c.name]) for c in self._columns)
            written.append(f"<row>{cells}</row>")
        self._sheet.write("".join(written).encode())

    def close(self) -> None:
        self._sheet.write(_SHEET_TAIL)
        self._sheet.close()
        self._zip.close()

    def _cell(self, kind: Kind, value: Value) -> str:
        if value is None:
            return "<c/>"
        if kind == "cents":
            return f'<c s="1"><v>{decimal(int(str(value)), ".")}</v></c>'
        if kind == "day" and isinstance(value, date):
            return f'<c s="2"><v>{(value - _DAY_ZERO).days}</v></c>'
        if kind == "number":
            return f"<c><v>{int(str(value))}</v></c>"
        return _text(_YES[self._lang][bool(value)] if kind == "flag" else str(value))


def _text(words: str) -> str:
    shown = escape(_NO_XML.sub("\ufffd", safe(words)))
    return f'<c t="inlineStr"><is><t xml:space="preserve">{shown}</t></is></c>'


# A spreadsheet counts days from here, as it takes 1900 for a leap year.
_DAY_ZERO = date(1899, 12, 30)
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_RELS = f'<Relationships xmlns="{_PACKAGE}/relationships">'
_SHEET_HEAD = (
    f'{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" state="frozen"/></sheetView></sheetViews><sheetData>'
).encode()
_SHEET_TAIL = b"</sheetData></worksheet>"
_PARTS: Mapping[str, str] = {
    "[Content_Types].xml": f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels"'
    ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>',
    "_rels/.rels": f'{_XML}{_RELS}<Relationship Id="rId1" Type="{_OFFICE}/officeDocument"'
    ' Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
    '<sheet name="religa" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f"{_XML}{_RELS}"
    f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
    # 4: two decimals and thousands, 14: a date, both as the reader's language has them.
    "xl/styles.xml": f'{_XML}<styleSheet xmlns="{_MAIN}">'
    '<fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="4" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    '<xf numFmtId="14" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
    "</cellXfs></styleSheet>",
}
