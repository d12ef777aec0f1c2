"""Rounding and splitting, each by a rule with a name. Amounts are integer cents of one currency."""

from fractions import Fraction


def half_up(cents: Fraction) -> int:
    """Round exact cents once, at the end of a line: half a cent goes away from zero.

    >>> half_up(Fraction(5, 2)), half_up(Fraction(-5, 2)), half_up(Fraction(49, 20))
    (3, -3, 2)
    """
    magnitude = (2 * abs(cents.numerator) + cents.denominator) // (2 * cents.denominator)
    return magnitude if cents >= 0 else -magnitude


def split(cents: int, parts: int) -> tuple[int, ...]:
    """Split an amount evenly: each part rounded down, the residue to the last part.

    >>> split(300_00, 7)
    (4285, 4285, 4285, 4285, 4285, 4285, 4290)

    Raises:
        ValueError: `cents` is negative or `parts` is less than one.
    """
    if cents < 0 or parts < 1:
        raise ValueError(f"cannot split {cents} cents into {parts} parts")
    each = cents // parts
    return (*(each for _ in range(parts - 1)), cents - each * (parts - 1))
