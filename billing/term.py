"""The minimum term (fidelity) and what leaving before its end costs.

Source: money rule 11; CDC art. 49 for the seven days; at most 12 months for consumers (RGC).
"""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction

from billing.money import half_up

REGRET_DAYS = timedelta(days=7)
TERM_DAYS_MAX = 366


class Leaving(StrEnum):
    """Why a contract ends. MOVED is to where there is no service, DEBT the ladder's rescission."""

    CUSTOMER = "customer"
    PROVIDER_BREACH = "provider_breach"
    MOVED = "moved"
    DEBT = "debt"


@dataclass(frozen=True, slots=True)
class MinimumTerm:
    """Days from `from_on` until before `until_on` that were agreed to, for a benefit.

    `away_from_shop`: sold by telephone, in the network or at the door, so that the customer may go
    back on it within seven days.
    """

    from_on: date
    until_on: date
    penalty_cents: int
    away_from_shop: bool = False

    def __post_init__(self) -> None:
        days = (self.until_on - self.from_on).days
        if not 0 < days <= TERM_DAYS_MAX:
            raise ValueError(f"a minimum term is 1 to {TERM_DAYS_MAX} days long, not {days}")
        if self.penalty_cents < 0:
            raise ValueError(f"a penalty is no less than 0 cents: {self.penalty_cents}")


def penalty(
    term: MinimumTerm,
    ended_on: date,
    why: Leaving = Leaving.CUSTOMER,
    *,
    told_on: date | None = None,
    moving_is_free: bool = True,
) -> int:
    """What leaving on `ended_on` (the first day without service) costs, in cents.

    The seven days run until the customer says so, on `told_on` if that was before the end.

    >>> term = MinimumTerm(date(2026, 1, 1), date(2027, 1, 1), 600_00)
    >>> penalty(term, date(2026, 8, 31))
    20219
    """
    total, left = (term.until_on - term.from_on).days, (term.until_on - ended_on).days
    regretted = term.away_from_shop and (told_on or ended_on) - term.from_on <= REGRET_DAYS
    excused = why is Leaving.PROVIDER_BREACH or (why is Leaving.MOVED and moving_is_free)
    if left <= 0 or regretted or excused:
        return 0
    return half_up(Fraction(term.penalty_cents * min(left, total), total))
