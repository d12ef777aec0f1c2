"""The recurring lines of a span of days: each tariff's components, each product's own.

Source: money rules 2, 3 and 9. Each line is exact until it is rounded, once.
"""

from collections.abc import Iterator
from fractions import Fraction

from billing.calendar import ONE_DAY
from billing.invoice import Line
from billing.money import half_up
from billing.subscription import Piece, Subscription
from billing.tariff import Tariff, divide


def charges(subscription: Subscription, piece: Piece) -> list[Line]:
    """The recurring lines of days of one cycle: each tariff's components, each product's."""
    return [*_plan_lines(subscription, piece), *_addon_lines(subscription, piece)]


def _plan_lines(subscription: Subscription, piece: Piece) -> Iterator[Line]:
    parts = tariff_parts(subscription, piece)
    same_price = len({tariff.price_cents for tariff, _ in parts}) == 1
    left_cents = _prorated(parts[0][0].price_cents, piece) if same_price else 0
    for place, (tariff, part) in enumerate(parts):
        cents = _prorated(tariff.price_cents, part)
        if same_price:
            # Parts of one price add up to the whole; the last takes the residue (M8).
            cents = left_cents if place == len(parts) - 1 else cents
            left_cents -= cents
        for component, share in zip(tariff.components, divide(tariff, cents), strict=True):
            if share:
                yield Line(
                    _titled(component.description, part),
                    share,
                    component.kind,
                    component.service,
                    part.from_on,
                    part.until_on,
                )


def _addon_lines(subscription: Subscription, piece: Piece) -> Iterator[Line]:
    for addon in subscription.addons:
        part = piece.within(addon.from_on, addon.until_on)
        cents = _prorated(addon.price_cents, part) if part is not None else 0
        if part is not None and cents:
            yield Line(
                _titled(addon.description, part),
                cents,
                addon.kind,
                addon.service,
                part.from_on,
                part.until_on,
            )


def tariff_parts(subscription: Subscription, piece: Piece) -> list[tuple[Tariff, Piece]]:
    """The days of a piece by the tariff in force; days before the first tariff cost nothing."""
    parts: list[tuple[Tariff, Piece]] = []
    periods = subscription.tariffs
    for place, period in enumerate(periods):
        until_on = periods[place + 1].from_on if place + 1 < len(periods) else None
        part = piece.within(period.from_on, until_on)
        if part is None:
            continue
        if parts and parts[-1][0] == period.tariff:
            part = Piece(piece.cycle, parts.pop()[1].from_on, part.until_on)
        parts.append((period.tariff, part))
    return parts


def _prorated(cents: int, part: Piece) -> int:
    if part.days == part.cycle.full_days:
        return cents
    return half_up(Fraction(cents * part.days, part.cycle.full_days))


def _titled(description: str, part: Piece) -> str:
    last = part.until_on - ONE_DAY
    return f"{description} ({part.from_on:%d/%m/%Y} a {last:%d/%m/%Y})"
