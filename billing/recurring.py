"""What the invoice of a due date contains.

Source: money rules 1 to 5, 8, 9, 14, 15 and 16. Each line is exact until it is rounded, once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction

from billing.bounds import Flaw, flaws
from billing.calendar import ONE_DAY
from billing.cycle import Mode, cycle_of, issue_on
from billing.fees import charges, tariff_parts
from billing.given_back import outage_credit, suspension_credits
from billing.invoice import Kind, Line
from billing.money import half_up
from billing.subscription import Discount, Piece, Subscription, pieces
from billing.tariff import WHOLE_BASIS_POINTS, tariff_on
from billing.terms import Terms


@dataclass(frozen=True, slots=True)
class Proposal:
    """An invoice as it would be issued, and what issuing it would use up.

    `billed_until` and `credited_until` are the subscription's after it.
    """

    due_on: date
    lines: tuple[Line, ...]
    flaws: tuple[Flaw, ...]
    billed_until: date
    credited_until: date
    extra_ids: tuple[int, ...] = ()
    outage_ids: tuple[int, ...] = ()

    @property
    def amount_cents(self) -> int:
        """The principal. Not above 0: nothing is issued."""
        return sum(line.amount_cents for line in self.lines if not line.conditional)


def propose(
    subscription: Subscription, due_on: date, terms: Terms, known_until: date | None = None
) -> Proposal:
    """The invoice due on `due_on`: every day not billed yet, up to what that invoice pays for.

    The end of the contract makes it the final invoice, on which all that waits is put. Days after
    an end that is still to come are on none.

    Args:
        subscription: what the contract is billed from.
        due_on: one of its due dates.
        terms: of the provider.
        known_until: the first day of which it cannot be known whether it will be suspended, if
            that comes before the day of issue, as when invoices are issued ahead.
    """
    final = subscription.ended_on is not None
    end = due_on
    if subscription.mode is Mode.ADVANCE:
        end = cycle_of(due_on, subscription.due_days).ends_on
    if subscription.stops_on is not None:
        end = min(end, subscription.stops_on)
    end = max(end, subscription.billed_until)
    span = list(pieces(subscription, subscription.billed_until, end))
    look_until = subscription.ended_on or issue_on(due_on, terms.issue_days_before)
    if known_until is not None:
        look_until = min(look_until, known_until)
    look_until = max(look_until, subscription.credited_until)

    charged = [line for piece in span for line in charges(subscription, piece)]
    credited = list(suspension_credits(subscription, look_until, terms))
    outages = [
        (outage.id, line)
        for outage in subscription.outages
        for line in outage_credit(subscription, outage, terms)
    ]
    discounted = list(_discounts(subscription, span, charged, credited))
    extras = [item for item in subscription.extras if final or item.due_from <= due_on]
    by_hand = [item.line for item in extras if item.by_hand]
    corrections = _without_pairs([item.line for item in extras if not item.by_hand])
    lines = (
        *charged,
        *discounted,
        *credited,
        *(line for _, line in outages),
        *corrections,
        *by_hand,
    )
    earned = [*credited, *(line for _, line in outages), *corrections]
    return Proposal(
        due_on=due_on,
        lines=lines,
        flaws=flaws(
            lines,
            bool(by_hand),
            _monthly_cents(subscription, max(end - ONE_DAY, subscription.started_on)),
            # After the last invoice comes none that could take what is left over.
            0 if final else max(0, -sum(line.amount_cents for line in earned)),
            terms,
        ),
        billed_until=end,
        credited_until=look_until,
        extra_ids=tuple(item.id for item in extras),
        outage_ids=tuple(outage.id for outage in subscription.outages),
    )


def correction(before: Subscription, after: Subscription) -> list[Line]:
    """What a change of tariffs, products or end adds to the next invoice for days billed already.

    Args:
        before: the subscription as those days were billed.
        after: as it is now; `billed_until` is of both.
    """
    spans = [
        {
            (piece.from_on, piece.cycle): charges(subscription, piece)
            for piece in pieces(subscription, subscription.started_on, before.billed_until)
        }
        for subscription in (before, after)
    ]
    billed = [line for lines in spans[0].values() for line in lines]
    right = [line for lines in spans[1].values() for line in lines]
    undone = [
        replace(line, amount_cents=-line.amount_cents, description=f"Estorno: {line.description}")
        for line in billed
        if line not in right
    ]
    return undone + [line for line in right if line not in billed]


def _discounts(
    subscription: Subscription,
    span: Sequence[Piece],
    charged: Sequence[Line],
    credited: Sequence[Line],
) -> Iterator[Line]:
    """Rules 5 and 15: each of the full price of its days, of a cycle together at most its price."""
    if not span:
        return
    plan = {c.service for period in subscription.tariffs for c in period.tariff.components}
    first = span[0].from_on
    # Cycle by cycle: what is left of one is no price that another's discount could be of.
    left = [
        sum(
            line.amount_cents
            for line in (*charged, *credited)
            if line.service in plan
            and line.from_on is not None
            and piece.from_on <= line.from_on < piece.until_on
        )
        for piece in span
    ]
    wanted = list(subscription.discounts)
    reward = subscription.reward
    if reward is not None and reward.basis_points:
        wanted.append(Discount("Bônus de bom pagador", first, basis_points=reward.basis_points))
    # What lateness cannot take away comes first.
    for discount in sorted(wanted, key=lambda item: item.conditional):
        exact = Fraction(0)
        for place, piece in enumerate(span):
            before = half_up(exact)
            most = Fraction(max(0, left[place]))
            exact += min(_discount_of(subscription, discount, piece), most)
            left[place] -= half_up(exact) - before
        cents = half_up(exact)
        if cents:
            yield Line(
                discount.description,
                -cents,
                Kind.SCM,
                "",
                first,
                span[-1].until_on,
                conditional=discount.conditional,
            )
    free = [line for line in charged if reward is not None and line.service == reward.free_service]
    # Suspended days of it were given back already.
    back = -sum(
        line.amount_cents
        for line in credited
        if free and line.service == free[0].service and line.from_on and line.from_on >= first
    )
    for line in free:
        cents = max(0, line.amount_cents - back)
        back -= line.amount_cents - cents
        if cents:
            title = f"Bônus de bom pagador: {line.description}"
            yield replace(line, description=title, amount_cents=-cents)


def _discount_of(subscription: Subscription, discount: Discount, piece: Piece) -> Fraction:
    """What a discount comes to on the days of one cycle, in cents that are not rounded."""
    cents = Fraction(0)
    for tariff, part in tariff_parts(subscription, piece):
        held = part.within(discount.from_on, discount.until_on)
        if held is None:
            continue
        full = Fraction(discount.cents or 0)
        if discount.basis_points is not None:
            full = Fraction(tariff.price_cents * discount.basis_points, WHOLE_BASIS_POINTS)
        cents += Fraction(full * held.days, piece.cycle.full_days)
    return cents


def _without_pairs(lines: Sequence[Line]) -> list[Line]:
    """Without lines that one change put there and a later one took back."""
    kept: list[Line] = []
    for line in lines:
        place = (line.service, line.from_on, line.until_on, -line.amount_cents)
        opposite = next(
            (k for k in kept if (k.service, k.from_on, k.until_on, k.amount_cents) == place), None
        )
        if opposite is None:
            kept.append(line)
        else:
            kept.remove(opposite)
    return kept


def _monthly_cents(subscription: Subscription, day: date) -> int:
    tariff = tariff_on(subscription.tariffs, day)
    addons = sum(
        addon.price_cents
        for addon in subscription.addons
        if addon.from_on <= day and (addon.until_on is None or day < addon.until_on)
    )
    return (tariff.price_cents if tariff is not None else 0) + addons
