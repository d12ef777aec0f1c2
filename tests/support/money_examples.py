"""The rows of docs/money-examples.md: what is given, the equations, the result."""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import floor
from pathlib import Path

from tests.support.money_oracle.exact import cents, half_up

PAGE = Path(__file__).parents[2] / "docs" / "money-examples.md"


@dataclass(frozen=True, slots=True)
class Example:
    """One row; `given` and `result` by key."""

    section: str
    number: str
    given: dict[str, str]
    computation: str
    result: dict[str, str]
    source: str

    def money(self, key: str, default: str = "0.00") -> int:
        return cents(self.given.get(key, default))

    def day(self, key: str) -> date:
        return date.fromisoformat(self.given[key])

    def dated(self, key: str, word: str = "on") -> list[tuple[int, date]]:
        """`50.00 on 2026-09-08, 39.91 on 2026-09-10` as pairs; empty without the key."""
        found = []
        for item in self.items(key):
            amount, _, day = item.partition(f" {word} ")
            found.append((cents(amount), date.fromisoformat(day)))
        return found

    def items(self, key: str) -> list[str]:
        return [item.strip() for item in self.given.get(key, "").split(",") if item.strip()]

    def percents(self, key: str) -> list[Fraction]:
        return [Fraction(item) / 100 for item in self.items(key)]


def examples() -> list[Example]:
    """Every row of every table, in the page's order."""
    found, section = [], ""
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
        if not re.match(r"\| [B\d]+\.\d+ \|", line):
            continue
        number, _, given, computation, result, source = (
            cell.strip() for cell in line.strip("|").split("|")
        )
        found.append(Example(section, number, _pairs(given), computation, _pairs(result), source))
    return found


def _pairs(text: str) -> dict[str, str]:
    found = {}
    for item in text.split("; "):
        key, _, value = item.partition("=")
        found[key] = value
    return found


def wrong_equations(example: Example) -> list[str]:
    """The equations of a row whose right side is not the left side's rounding."""
    return [text for text in re.findall(r"`([^`]+)`", example.computation) if not _holds(text)]


def _holds(equation: str) -> bool:
    left, right = equation.rsplit(" = ", 1)
    places = len(right.partition(".")[2])
    down = left.startswith("⌊")
    exact = _value(ast.parse(left.strip("⌊⌋").replace("×", "*"), mode="eval").body)
    rounded: Callable[[Fraction], int] = floor if down else half_up
    return Fraction(right) == Fraction(rounded(exact * 10**places), 10**places)


def _value(node: ast.expr) -> Fraction:
    """The exact value of sums and products of decimal numbers as they are written."""
    match node:
        case ast.Constant(value=value):
            return Fraction(str(value))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _value(left) + _value(right)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _value(left) - _value(right)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _value(left) * _value(right)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _value(left) / _value(right)
    raise ValueError(f"{ast.unparse(node)} is no arithmetic")
