"""What a contract pays for and how its price divides: telecom (SCM) and value-added service (SVA).

Source: money rule 9. Amounts are cents of a whole cycle.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from billing.invoice import Kind

WHOLE_BASIS_POINTS = 10_000
INTERNET = "internet"


class BadTariff(ValueError):
    """A composition that does not divide a price; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a plan's price: a share, an amount, or (the last one alone) the residue.

    Attributes:
        service: code of the product that it pays for.
        basis_points: hundredths of a percent of the price.
        cents: an amount of a whole cycle.
        stays_while_walled: the service is usable while access is walled, so that walled days of
            it are charged (rule 8); blocked ones are not.
    """

    service: str
    description: str
    kind: Kind
    basis_points: int | None = None
    cents: int | None = None
    stays_while_walled: bool = False


@dataclass(frozen=True, slots=True)
class Tariff:
    """A plan's price and what it is made of. The last component takes the residue."""

    plan: str
    price_cents: int
    components: tuple[Component, ...]


@dataclass(frozen=True, slots=True)
class TariffPeriod:
    """A tariff from the first instant of `from_on` until the next period's (rule 3)."""

    from_on: date
    tariff: Tariff


@dataclass(frozen=True, slots=True)
class Addon:
    """A product of its own on a contract, at a price a cycle. `until_on` None: no end is known."""

    service: str
    description: str
    price_cents: int
    from_on: date
    until_on: date | None = None
    kind: Kind = Kind.SVA
    stays_while_walled: bool = False


def plain(plan: str, price_cents: int) -> Tariff:
    """The tariff of a plan without a composition: all of it is telecom service."""
    return Tariff(plan, price_cents, (Component(INTERNET, plan, Kind.SCM),))


def check(tariff: Tariff) -> Tariff:
    """The tariff, if its components divide its price.

    Raises:
        BadTariff: none, two of one service, a share or an amount that is none, or more than all.
    """
    if not tariff.components:
        raise BadTariff("a composition has at least one component; give the telecom service")
    *parts, last = tariff.components
    services = [part.service for part in tariff.components]
    if len(set(services)) < len(services):
        raise BadTariff("a composition names each service once; two components have the same")
    if last.basis_points is not None or last.cents is not None:
        raise BadTariff("the last component takes what is left; leave its share and amount out")
    if any((part.basis_points is None) == (part.cents is None) for part in parts):
        raise BadTariff("each component but the last needs either basis_points or cents")
    if any((part.basis_points or 0) < 0 or (part.cents or 0) < 0 for part in parts):
        raise BadTariff("a component is no less than 0")
    taken = sum(_part(tariff, part, Fraction(tariff.price_cents)) for part in parts)
    if taken > tariff.price_cents:
        raise BadTariff(
            f"the components take more than the price of {tariff.price_cents} cents; lower them"
        )
    return tariff


def divide(tariff: Tariff, cents: int) -> tuple[int, ...]:
    """Divide what a span of days of this tariff costs into its components, in their order.

    Each but the last is rounded down, the last takes the residue.

    >>> from billing.invoice import Kind
    >>> scm, sva = Component("scm", "", Kind.SCM, 6_000), Component("sva", "", Kind.SVA)
    >>> divide(Tariff("p", 99_90, (scm, sva)), 99_90)
    (5994, 3996)
    """
    parts = [_part(tariff, part, Fraction(cents)) for part in tariff.components[:-1]]
    return (*parts, cents - sum(parts))


def tariff_on(periods: Sequence[TariffPeriod], day: date) -> Tariff | None:
    """The tariff in force on `day`; None before the first."""
    held = [period.tariff for period in periods if period.from_on <= day]
    return held[-1] if held else None


def _part(tariff: Tariff, part: Component, cents: Fraction) -> int:
    if part.basis_points is not None:
        return int(Fraction(cents * part.basis_points, WHOLE_BASIS_POINTS))
    if tariff.price_cents == 0:
        return 0
    return int(Fraction(cents * (part.cents or 0), tariff.price_cents))
