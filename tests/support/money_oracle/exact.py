"""Fractions to cents: the judge's own rounding, from the policy text and not from the product."""

from collections.abc import Sequence
from fractions import Fraction


def half_up(cents: Fraction | int) -> int:
    """Whole cents; half a cent goes away from zero."""
    size = abs(Fraction(cents))
    whole, rest = divmod(size.numerator, size.denominator)
    if 2 * rest >= size.denominator:
        whole += 1
    return whole if cents >= 0 else -whole


def split(cents: int, parts: int) -> list[int]:
    """Equal parts, each rounded down; the residue goes to the last."""
    return shares(cents, [Fraction(1)] * parts)


def shares(cents: int, weights: Sequence[Fraction]) -> list[int]:
    """Parts by weight, each rounded down; the residue goes to the last."""
    whole = sum(weights)
    down = [int(cents * weight / whole) for weight in weights[:-1]]
    return [*down, cents - sum(down)]


def cents(text: str) -> int:
    """`-38.67` as cents; refuses more than two decimals."""
    exact = Fraction(text.replace(",", "")) * 100
    if exact.denominator != 1:
        raise ValueError(f"{text} is not a sum of whole cents")
    return int(exact)


def reais(amount: int) -> str:
    """Cents as a sum that an accountant reads: `-38.67`."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // 100}.{abs(amount) % 100:02d}"
