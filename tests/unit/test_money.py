import ast
import doctest
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import billing
from billing import documents, money
from billing.money import half_up, split


@pytest.mark.parametrize(
    ("exact", "cents"),
    [
        (Fraction(0), 0),
        (Fraction(1, 2), 1),
        (Fraction(-1, 2), -1),
        (Fraction(49, 100), 0),
        (Fraction(3, 2), 2),
        (Fraction(5, 2), 3),  # half even would say 2
        (Fraction(9990 * 18, 30), 5994),  # money rule 2
        (Fraction(9990 * 10, 28), 3568),  # money rule 3
        (Fraction(14990 * 18, 28), 9636),  # money rule 3
        (Fraction(9990 * 15, 31), 4834),  # money rule 4
        (Fraction(-9990 * 12, 31), -3867),  # money rule 8
        (Fraction(60000 * 123, 365), 20219),  # money rule 11
    ],
)
def test_half_a_cent_goes_away_from_zero(exact: Fraction, cents: int) -> None:
    assert half_up(exact) == cents


@given(st.fractions())
def test_rounding_moves_at_most_half_a_cent_and_mirrors(exact: Fraction) -> None:
    assert abs(half_up(exact) - exact) <= Fraction(1, 2)
    assert half_up(-exact) == -half_up(exact)


def test_the_residue_goes_to_the_last_part() -> None:
    assert split(300_00, 7) == (42_85,) * 6 + (42_90,)  # money rule 10
    assert split(2, 3) == (0, 0, 2)


@given(st.integers(0, 10**12), st.integers(1, 60))
def test_parts_add_up_to_the_whole(cents: int, parts: int) -> None:
    pieces = split(cents, parts)
    assert sum(pieces) == cents
    assert len(pieces) == parts
    assert pieces[-1] == max(pieces)


@pytest.mark.parametrize(("cents", "parts"), [(-1, 2), (10, 0)])
def test_what_cannot_be_split_is_refused(cents: int, parts: int) -> None:
    with pytest.raises(ValueError, match="cannot split"):
        split(cents, parts)


def test_the_examples_in_the_docstrings_hold() -> None:
    for module in (money, documents):
        outcome = doctest.testmod(module)
        assert outcome.attempted > 0
        assert outcome.failed == 0


def test_no_float_is_written_in_the_money_core() -> None:
    """Invariant M8: neither a float literal, nor `float`, nor a true division of cents."""
    files = sorted(Path(billing.__path__[0]).glob("*.py"))
    assert len(files) > 10
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            where = f"{file.name}:{getattr(node, 'lineno', 0)}"
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), where
            assert not (isinstance(node, ast.Name) and node.id == "float"), where
            assert not isinstance(node, ast.Div), file.name
            assert not (isinstance(node, ast.Attribute) and node.attr == "timestamp"), where
