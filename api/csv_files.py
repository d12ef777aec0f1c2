"""CSV files that people hand in: every fault found at once, with its line, column and reason."""

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")
# Told steps done and steps in all.
Progress = Callable[[int, int], None]
_TICK = 1000


class ImportRefused(Exception):
    """The file as a whole cannot be read; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: the line as an editor counts it, the column, what is wrong with the value."""

    line: int
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Row:
    """One record. A reader of a wrong value notes the problem and answers something harmless."""

    line: int
    values: dict[str, str]
    problems: list[Problem]

    def refuse(self, column: str, reason: str) -> None:
        """Note that this row's value is wrong."""
        self.problems.append(Problem(self.line, column, reason))

    def text(self, column: str, longest: int = 200) -> str:
        """A text that must be there."""
        value = self.optional(column, longest)
        if value is None:
            self.refuse(column, "is empty")
        return value or ""

    def optional(self, column: str, longest: int = 200) -> str | None:
        """A text, or None where it is empty."""
        value = self.values[column].strip()
        if len(value) > longest:
            self.refuse(column, f"is longer than {longest} characters")
        if not value.isprintable():
            self.refuse(column, "has a control character")
        return value or None

    def flag(self, column: str, *, default: bool) -> bool:
        """`yes` or `no`; `default` where it is empty."""
        text = self.optional(column)
        if text not in {None, "yes", "no"}:
            self.refuse(column, f"must be yes or no, not {text!r}")
        return default if text is None else text == "yes"

    def whole(self, column: str, least: int, most: int, default: int | None = None) -> int:
        """A whole number within bounds; `default` where it is empty, if there is one."""
        text = self.values[column].strip()
        if not text and default is not None:
            return default
        # int() would also take signs, spaces, underscores and other scripts' digits.
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1
        if not least <= number <= most:
            self.refuse(column, f"must be a whole number from {least} to {most}, not {text!r}")
        return number

    def parsed(self, column: str, parse: Callable[[str], Value]) -> Value | None:
        """What `parse` makes of the text; None where it is empty or refused by a ValueError."""
        text = self.optional(column)
        try:
            return parse(text) if text is not None else None
        except ValueError as error:
            self.refuse(column, str(error))
            return None

    def once(self, column: str, value: str | None, seen: dict[str, int]) -> None:
        """Note a value that an earlier line has too."""
        if value and seen.setdefault(value, self.line) != self.line:
            self.refuse(column, f"is the same as in line {seen[value]}")


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A whole file, its rows not looked at yet."""

    path: Path
    rows: list[Row]
    sha256: str
    problems: list[Problem] = field(default_factory=list)

    def watched(self, progress: Progress, passes: int = 1) -> Iterator[Row]:
        """The rows, one by one; looking at all is one of `passes` that the work takes."""
        total = passes * len(self.rows)
        for done, row in enumerate(self.rows, start=1):
            yield row
            if done % _TICK == 0 or done == len(self.rows):
                progress(done, total)

    def report(self) -> "ImportReport":
        """What was found, in the order of the file."""
        problems = sorted(self.problems, key=lambda problem: (problem.line, problem.column))
        return ImportReport(len(self.rows), tuple(problems))


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How many rows the file has, and what is wrong with them; nothing was imported if any is."""

    rows: int
    problems: tuple[Problem, ...]


def read(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> CsvFile:
    """Read a UTF-8 file with a header of `columns`, in any order (RFC 4180).

    Rows of the wrong width become problems. A byte order mark is passed over. `optional` columns
    that the header does not have are empty in every row.

    Raises:
        ImportRefused: not a readable file, not UTF-8, not CSV, or another header.
    """
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise ImportRefused(f"cannot read {path}: {error.strerror}") from error
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ImportRefused(f"{path}, line {line}: not UTF-8; save the file as UTF-8") from error
    records = _records(path, text)
    header = [name.strip() for name in next(records, (0, []))[1]]
    _check_header(path, header, columns, optional)
    absent = dict.fromkeys(set(optional) - set(header), "")
    found = CsvFile(path, [], hashlib.sha256(octets).hexdigest())
    for line, record in records:
        if len(record) == len(header):
            values = absent | dict(zip(header, record, strict=True))
            found.rows.append(Row(line, values, found.problems))
        elif record:
            wrong = f"has {len(record)} fields, the header has {len(header)}"
            found.problems.append(Problem(line, "(row)", wrong))
    return found


def _records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Records with the line on which each begins (one in quotes may go over several)."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for record in reader:
            yield line, record
            line = reader.line_num + 1
    except csv.Error as error:
        raise ImportRefused(f"{path}, line {line}: not CSV: {error}") from error


def _check_header(
    path: Path, header: Sequence[str], columns: Sequence[str], optional: Sequence[str]
) -> None:
    missing = [name for name in columns if name not in header]
    unknown = [name for name in header if name not in (*columns, *optional)]
    faults = []
    if missing:
        faults.append(f"lacks {', '.join(missing)}")
    if unknown:
        faults.append(f"has unknown {', '.join(map(repr, unknown))}")
    if not faults and len(set(header)) != len(header):
        faults.append("names a column twice")
    if faults:
        may = f", and may have {','.join(optional)}" if optional else ""
        raise ImportRefused(
            f"{path}: the header {' and '.join(faults)}; it must be {','.join(columns)}{may}"
        )
