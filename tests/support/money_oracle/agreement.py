"""Renegotiation (rule 10): what is owed, what is forgiven, the instalments, and how it breaks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from tests.support.money_oracle.bill import Bill
from tests.support.money_oracle.cycles import DAY, due_from
from tests.support.money_oracle.exact import half_up, split


@dataclass(frozen=True, slots=True)
class Offer:
    """An agreement as it is signed; all in cents."""

    debt: int
    forgiven: int
    down: int
    interest: int
    instalments: tuple[int, ...]

    @property
    def total(self) -> int:
        return self.down + sum(self.instalments)


def offer(
    principal: int,
    charges: int,
    off_charges: Fraction = Fraction(0),
    off_principal: Fraction = Fraction(0),
    down: int = 0,
    instalments: int = 1,
    monthly: Fraction = Fraction(0),
) -> Offer:
    """The agreement on a debt: principal and late charges as of the day of signature.

    Args:
        principal: unpaid, cents.
        charges: fine and interest on the day, cents.
        off_charges: the part of the charges that is forgiven.
        off_principal: the part of the principal that is forgiven.
        down: paid at once, cents.
        instalments: how many for the rest.
        monthly: simple interest on the rest at signature, for each instalment's month.
    """
    forgiven = half_up(charges * off_charges) + half_up(principal * off_principal)
    rest = principal + charges - forgiven - down
    interest = half_up(rest * monthly * instalments)
    return Offer(
        principal + charges, forgiven, down, interest, tuple(split(rest + interest, instalments))
    )


def due_dates(first: date, due_day: int, instalments: int) -> list[date]:
    """The instalments' due dates: the chosen day, month by month, from a day on."""
    found = [due_from(first, due_day)]
    while len(found) < instalments:
        found.append(due_from(found[-1] + DAY, due_day))
    return found


def broken_on(due_on: date, grace_days: int = 5) -> date:
    """The first day on which an instalment of that due date has been unpaid for too long."""
    return due_on + (grace_days + 1) * DAY


def pay_oldest_first(bills: Sequence[Bill], payments: Iterable[tuple[date, int]]) -> int:
    """Rule 7 over invoices; the cents that no invoice takes.

    A broken agreement is this: its payments against the old invoices, on the days they were paid.
    """
    over = 0
    for day, cents in sorted(payments):
        for bill in sorted(bills, key=lambda item: item.due_on):
            cents -= bill.pay(cents, day).total
        over += cents
    return over
