"""CSV for other programs (RFC 4180, UTF-8) that no spreadsheet takes for formulas."""

import csv
import io
from collections.abc import Iterable, Sequence

from api.exporting import safe


def cell(value: object) -> str:
    """One value as it may stand in a spreadsheet.

    >>> cell("=HYPERLINK(1)"), cell(-5), cell(None)
    ("'=HYPERLINK(1)", '-5', '')
    """
    if value is None:
        return ""
    return safe(value) if isinstance(value, str) else str(value)


def written(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """The whole file, with its header."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([cell(value) for value in row] for row in rows)
    return file.getvalue().encode()
