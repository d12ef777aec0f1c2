"""One invoice from its issue to its last cent (rules 5, 6, 7, 12 and 13), replayed in order."""

from copy import copy
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from tests.support.money_oracle.bank_days import payable_until
from tests.support.money_oracle.exact import half_up

FINE = Fraction(2, 100)
DAILY = Fraction(1, 3000)


@dataclass(frozen=True, slots=True)
class Share:
    """What an invoice took of a payment."""

    interest: int = 0
    fine: int = 0
    principal: int = 0

    @property
    def total(self) -> int:
        return self.interest + self.fine + self.principal


class Bill:
    """An invoice as somebody with a pencil would keep it.

    Args:
        due_on: the due date.
        full: the full price in cents.
        discount: what is taken off if it is paid in time.
        fine: the rate of the fine, once.
        daily: the rate of interest, a day.
    """

    def __init__(
        self,
        due_on: date,
        full: int,
        discount: int = 0,
        fine: Fraction = FINE,
        daily: Fraction = DAILY,
    ) -> None:
        self.due_on, self.full, self.discount = due_on, full, discount
        self._fine_rate, self._daily = fine, daily
        self.unpaid = full
        self.lost = False  # the first late day came before the discounted price was paid
        self.fined = 0
        self.fine_paid = 0
        self.accrued = Fraction(0)
        self.interest_paid = 0
        self.paid_on: date | None = None
        self._counted_to = due_on
        self._closed = False

    def owed(self, day: date) -> Share:
        """What a payment of that day would have to cover; asking changes nothing."""
        asked = copy(self)
        asked._count(day)
        return asked._standing()

    def _standing(self) -> Share:
        if self._closed or self.paid_on is not None:
            return Share()
        if not self.lost:
            return Share(principal=max(0, self.unpaid - self.discount))
        return Share(self._interest(), self.fined - self.fine_paid, self.unpaid)

    def pay(self, cents: int, day: date) -> Share:
        """Interest, then the fine, then principal (Código Civil art. 354); the share it took."""
        self._count(day)
        owed = self._standing()
        interest = min(cents, owed.interest)
        fine = min(cents - interest, owed.fine)
        principal = min(cents - interest - fine, owed.principal)
        self.interest_paid += interest
        self.fine_paid += fine
        self.unpaid -= principal
        if self._standing().total == 0 and not self._closed and self.paid_on is None:
            self.paid_on = day
        return Share(interest, fine, principal)

    def reopen(self, share: Share, charged_back_on: date, grace_days: int = 5) -> None:
        """Rule 12: the share is owed again by a new due date, with nothing for the time between."""
        self.unpaid += share.principal
        self.fine_paid -= share.fine
        self.interest_paid -= share.interest
        self.due_on = charged_back_on + timedelta(days=grace_days)
        self.paid_on = None
        self._counted_to = self.due_on

    def close(self, day: date) -> int:
        """Rules 10 and 13: renegotiated or written off; the principal that left the book."""
        self._count(day)
        self._closed = True
        return self.unpaid

    def restore(self) -> None:
        """Rule 10: the agreement broke; charges run again from the old due date."""
        self._closed = False

    @property
    def in_time(self) -> bool:
        """Whether it was paid by rule 5's date."""
        return self.paid_on is not None and not self.lost

    def _interest(self) -> int:
        return half_up(self.accrued) - self.interest_paid

    def _count(self, day: date) -> None:
        """Fine and interest up to a day; what was paid in time bears neither."""
        if self._closed or self.paid_on is not None or day <= payable_until(self.due_on):
            return
        if not self.lost:
            self.lost = True
            self.fined = half_up(self.unpaid * self._fine_rate)
        days = max(0, (day - self._counted_to).days)
        self.accrued += self.unpaid * days * self._daily
        self._counted_to = max(self._counted_to, day)
