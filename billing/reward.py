"""Who pays well, and what that earns.

Source: money rule 15.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from billing.calendar import Calendar, next_bank_day


@dataclass(frozen=True, slots=True)
class Paid:
    """How one invoice was paid. `settled_on` is the payment's own date; None: it is open."""

    due_on: date
    settled_on: date | None


@dataclass(frozen=True, slots=True)
class Reward:
    """What a good payer has on the invoice: a part of the price, a product for nothing.

    A quicker line is on none; `Terms.reward_speed_percent` says by how much.
    """

    basis_points: int = 0
    free_service: str = ""


def in_time(paid: Paid, calendar: Calendar) -> bool:
    """Whether it was paid on its due date or, when that is no bank day, by the next (rule 5)."""
    return paid.settled_on is not None and paid.settled_on <= next_bank_day(calendar, paid.due_on)


def streak(history: Sequence[Paid], due_on: date, calendar: Calendar) -> int:
    """How many invoices in a row were paid in time, the last of them due on `due_on`."""
    count = 0
    for paid in sorted(history, key=lambda item: item.due_on, reverse=True):
        if paid.due_on <= due_on:
            if not in_time(paid, calendar):
                break
            count += 1
    return count


def is_good_payer(
    history: Sequence[Paid],
    broken_on: Sequence[date],
    cycle_starts_on: date,
    calendar: Calendar,
    invoices: int,
) -> bool:
    """Whether the reward holds in the cycle that starts on `cycle_starts_on`.

    Looked at are the last `invoices` whose time to be paid had passed before that day. An invoice
    paid late therefore ends the reward with the cycle after it, and it is earned anew.

    Args:
        history: the contract's invoices that were not void, in any order.
        broken_on: the days on which a promise or an agreement was broken.
        cycle_starts_on: first day of the cycle that is to be billed.
        calendar: for the days on which banks work.
        invoices: so many in a row are asked for; 0 asks for nothing.
    """
    judged = sorted(
        (paid for paid in history if next_bank_day(calendar, paid.due_on) < cycle_starts_on),
        key=lambda paid: paid.due_on,
    )[-invoices or len(history) :]
    if len(judged) < invoices or not all(in_time(paid, calendar) for paid in judged):
        return False
    since = judged[0].due_on if judged else cycle_starts_on
    return not any(since <= day < cycle_starts_on for day in broken_on)
