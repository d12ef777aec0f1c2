"""Which proposed invoices are illegal or absurd: parked for a person, not issued.

Source: money rule 16, invariant M13.
"""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise

from billing.invoice import Kind, Line
from billing.terms import Terms


class Flaw(StrEnum):
    """Why an invoice is parked."""

    NEGATIVE = "negative"
    ABOVE_BOUND = "above_bound"
    TWICE = "billed_twice"
    TOO_MANY_LINES = "too_many_lines"


# A person may decide that these are right; the others are never issued as they are.
MAY_BE_RELEASED = frozenset({Flaw.ABOVE_BOUND, Flaw.TOO_MANY_LINES})


def flaws(
    lines: Sequence[Line],
    by_hand: Sequence[Line],
    monthly_cents: int,
    earned_credit_cents: int,
    terms: Terms,
) -> tuple[Flaw, ...]:
    """What is wrong with an invoice, in the order of the rule; empty: it may be issued.

    Args:
        lines: all of it.
        by_hand: the lines among them that an operator put there; the upper bound is of the rest.
        monthly_cents: what the contract pays in a whole cycle.
        earned_credit_cents: what rules gave back (suspended days, outages, days paid ahead): so
            far the invoice may be negative. No less than 0.
        terms: `bound_factor` and `bound_lines`.
    """
    total = sum(line.amount_cents for line in lines if not line.conditional)
    usual = total - sum(line.amount_cents for line in by_hand if not line.conditional)
    found: list[Flaw] = []
    if total < -earned_credit_cents:
        found.append(Flaw.NEGATIVE)
    if usual > terms.bound_factor * monthly_cents:
        found.append(Flaw.ABOVE_BOUND)
    if _twice(lines):
        found.append(Flaw.TWICE)
    services = Counter(line.service for line in lines if line.service)
    if max(services.values(), default=0) > terms.bound_lines:
        found.append(Flaw.TOO_MANY_LINES)
    return tuple(found)


def _twice(lines: Sequence[Line]) -> bool:
    """Whether two recurring lines are for one service and day."""
    spans = sorted(
        (line.service, line.from_on, line.until_on)
        for line in lines
        if line.kind in (Kind.SCM, Kind.SVA)
        and line.amount_cents > 0
        and line.from_on is not None
        and line.until_on is not None
    )
    return any(before[0] == after[0] and after[1] < before[2] for before, after in pairwise(spans))
