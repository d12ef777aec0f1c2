"""CSV out (RFC 4180, UTF-8) that no spreadsheet takes for formulas.

Source: OWASP, CSV Injection: a cell that begins with one of these signs is told to be text.
"""

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


def cell(value: object) -> str:
    """One value as it may stand in a spreadsheet.

    >>> cell("=HYPERLINK(1)"), cell(-5), cell(None)
    ("'=HYPERLINK(1)", '-5', '')
    """
    if value is None:
        return ""
    text = str(value)
    if isinstance(value, str) and (text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA)):
        return f"'{text}"
    return text


def written(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """The whole file, with its header."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([cell(value) for value in row] for row in rows)
    return file.getvalue().encode()
