"""Contracts of which a look can say nothing but when to look again, judged by due dates alone.

Nearly everybody: no step in force, no notice, no promise, nothing agreed or disputed. Whoever
selects them vouches for that; what is said of one is then the same for all with the same dates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from billing.calendar import Calendar, day_start, zone_of
from billing.ladder import Receivable, Situation, decide, notice_from
from billing.policy import Policy


@dataclass(frozen=True, slots=True)
class Quiet:
    """The verdict's reason, and when to look again; None: never, with no new fact."""

    reason: str
    review_on: datetime | None


def quiet(
    due_on: Sequence[date], policy: Policy, calendar: Calendar, now: datetime
) -> Quiet | None:
    """What a look says of a quiet contract; None: a notice is due, so the account must be seen.

    Args:
        due_on: of each invoice with unpaid principal.
        policy: the contract's ladder.
        calendar: the customer's holidays and the banks'.
        now: aware, in the zone that local dates are read in.
    """
    notices_from = [notice_from(day, policy, calendar) for day in due_on]
    if any(day <= now.date() for day in notices_from):
        return None
    owed = tuple(Receivable(number, day, 1) for number, day in enumerate(due_on))
    verdict = decide(Situation(owed), policy, calendar, now)
    zone = zone_of(now)
    instants = [verdict.review_on, *(day_start(day, zone) for day in notices_from)]
    known = [instant for instant in instants if instant is not None]
    coming = min(known, key=lambda instant: instant.astimezone(UTC), default=None)
    return Quiet(verdict.reason, coming)
