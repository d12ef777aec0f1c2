"""What an invoice gives back: days without access, and outages.

Source: money rules 8 and 14.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime
from fractions import Fraction

from billing.access import Level
from billing.calendar import ONE_DAY, day_start, zone_of
from billing.fees import tariff_parts
from billing.invoice import Line
from billing.money import half_up
from billing.subscription import Outage, Piece, Subscription, pieces
from billing.tariff import divide, tariff_on
from billing.terms import Terms

OUT = frozenset({Level.WALLED, Level.BLOCKED})
# Blocked is nothing at all (a customer's own pause is), so what stays while walled is not there.
NOTHING = frozenset({Level.BLOCKED})


def suspension_credits(
    subscription: Subscription, look_until: date, terms: Terms
) -> Iterator[Line]:
    """Rule 8, for the days looked at since the last invoice: a line for each cycle and service."""
    if not subscription.suspensions:
        return
    for piece in pieces(subscription, subscription.credited_until, look_until):
        whole = next(pieces(subscription, piece.cycle.starts_on, piece.until_on))
        for levels, percent, title in (
            (OUT, 100, "Crédito por dias suspensos"),
            (
                {Level.REDUCED},
                terms.reduced_credit_percent,
                "Crédito por dias de velocidade reduzida",
            ),
        ):
            if percent:
                yield from _credits_of_cycle(
                    subscription, piece, whole.from_on, levels, Fraction(percent, 100), title
                )


def _credits_of_cycle(
    subscription: Subscription,
    piece: Piece,
    first: date,
    levels: AbstractSet[Level],
    rate: Fraction,
    title: str,
) -> Iterator[Line]:
    # What was credited of this cycle before counts along: all of it never exceeds the price.
    seen = Piece(piece.cycle, first, piece.until_on)
    for tariff, part in tariff_parts(subscription, seen):
        for stays in sorted({item.stays_while_walled for item in tariff.components}):
            days, earlier = _suspended(subscription, part, piece.from_on, _gone(levels, stays))
            cents = _credit(tariff.price_cents, days, earlier, piece, rate)
            if not cents:
                continue
            for component, share in zip(tariff.components, divide(tariff, cents), strict=True):
                if share and component.stays_while_walled is stays:
                    yield Line(
                        f"{title}: {component.description} ({len(days) - earlier} dias)",
                        -share,
                        component.kind,
                        component.service,
                        days[earlier],
                        days[-1] + ONE_DAY,
                    )
    for addon in subscription.addons:
        part_of = seen.within(addon.from_on, addon.until_on)
        if part_of is None:
            continue
        gone = _gone(levels, addon.stays_while_walled)
        days, earlier = _suspended(subscription, part_of, piece.from_on, gone)
        cents = _credit(addon.price_cents, days, earlier, piece, rate)
        if cents:
            yield Line(
                f"{title}: {addon.description} ({len(days) - earlier} dias)",
                -cents,
                addon.kind,
                addon.service,
                days[earlier],
                days[-1] + ONE_DAY,
            )


def _gone(levels: AbstractSet[Level], stays_while_walled: bool) -> AbstractSet[Level]:
    """At which of the levels a service is not there."""
    return levels & NOTHING if stays_while_walled else levels


def _suspended(
    subscription: Subscription, part: Piece, since: date, levels: AbstractSet[Level]
) -> tuple[list[date], int]:
    """The days of a part at one of the levels, in order; how many of them are before `since`."""
    days: list[date] = []
    for suspension in subscription.suspensions:
        held = part.within(suspension.from_on, suspension.until_on)
        if held is not None and suspension.level in levels:
            days += [held.from_on + n * ONE_DAY for n in range(held.days)]
    days.sort()
    return days, sum(day < since for day in days)


def _credit(price_cents: int, days: list[date], earlier: int, piece: Piece, rate: Fraction) -> int:
    def until(count: int) -> int:
        return half_up(Fraction(rate * price_cents * count, piece.cycle.full_days))

    return until(len(days)) - until(earlier)


def outage_credit(subscription: Subscription, outage: Outage, terms: Terms) -> Iterator[Line]:
    """Rule 14. Suspended days cost nothing and so give nothing back."""
    zone = zone_of(outage.started_at)
    if _minutes(outage.started_at, outage.ended_at) <= terms.outage_minutes:
        return
    cents = Fraction(0)
    first, last = outage.started_at.date(), outage.ended_at.date() + ONE_DAY
    for piece in pieces(subscription, first, last):
        of_cycle = _minutes(
            day_start(piece.cycle.starts_on, zone), day_start(piece.cycle.ends_on, zone)
        )
        # A bridging cycle's price is for the length that the old cycle would have had.
        days = (piece.cycle.ends_on - piece.cycle.starts_on).days
        of_price = Fraction(of_cycle * piece.cycle.full_days, days)
        for tariff, part in tariff_parts(subscription, piece):
            out = set(_suspended(subscription, part, part.from_on, OUT)[0])
            for n in range(part.days):
                day = part.from_on + n * ONE_DAY
                if day not in out:
                    start = max(outage.started_at, day_start(day, zone), key=_instant)
                    end = min(outage.ended_at, day_start(day + ONE_DAY, zone), key=_instant)
                    cents += Fraction(tariff.price_cents * _minutes(start, end), of_price)
    if half_up(cents):
        tariff_now = tariff_on(subscription.tariffs, first) or subscription.tariffs[0].tariff
        main = tariff_now.components[0]
        yield Line(
            f"Crédito por interrupção em {outage.started_at:%d/%m/%Y %H:%M}",
            -half_up(cents),
            main.kind,
            main.service,
            first,
            last,
        )


def _instant(at: datetime) -> datetime:
    return at.astimezone(UTC)


def _minutes(start: datetime, end: datetime) -> Fraction:
    elapsed = end.astimezone(UTC) - start.astimezone(UTC)
    return Fraction(elapsed.days * 86_400 + elapsed.seconds, 60)
