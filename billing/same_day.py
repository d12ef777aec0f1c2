"""A day's payments and reversals end the same in whatever order they are learnt of (invariant M9).

Providers tell of money when they like. A payment that came first has paid other invoices than it
would have paid after a chargeback of the same day had opened its own; so what the day's payments
did is undone, the reversal is taken back from what stood before them, and they pay anew. The
difference is one entry.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from billing.calendar import zone_of
from billing.events import CreditUsed, Fact, PaymentReversed
from billing.invoice import Allocation, Invoice, Share
from billing.ledger import reversal_entry
from billing.payer import Account, Desk, Payment
from billing.reverse import Reversing, refuse_excess, refuse_held, take_back
from billing.settle import Waiting, spend, use_credit, with_invoices
from billing.standing import look

_Key = tuple[int | None, int]


@dataclass(frozen=True, slots=True)
class Day:
    """What a payer's money did today, and how its accounts stood before.

    Attributes:
        invoices: those that the day's money met, as they stood.
        credit_cents: what stood as credit.
        shares: what stood allocated.
        payments: posted or assigned today, with what of each was spent.
        reversals: chargebacks and returned Pix recorded today.
    """

    invoices: tuple[Invoice, ...]
    credit_cents: int
    shares: tuple[Share, ...]
    payments: tuple[Waiting, ...]
    reversals: tuple[Reversing, ...]


def reverse_within_day(
    account: Account, reversing: Reversing, day: Day, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Take money of a payment back as if the day's reversals had come before its payments.

    Money that came today can go back only after it came.

    Raises:
        Refused: as `billing.reverse.reverse_payment`, by what stood before the day's payments:
            whether the agreement that holds the money must be ended first hangs on no order.
    """
    refuse_excess(reversing.reversal, reversing.payment, reversing.reversed_cents)
    refuse_held(account, reversing)
    book = _relive(account, reversing, day, desk)
    taken = _less(reversing.shares, book.shares)
    before = {invoice.id: invoice for invoice in account.invoices}
    paid = [(before[share.allocation.invoice_id], share.allocation) for share in taken]
    reversal, after = reversing.reversal, book.account
    fact = PaymentReversed(
        reversal=reversal,
        taken=taken,
        credit_cents=account.credit_cents - after.credit_cents,
        entry=reversal_entry(reversal, reversing.payment, paid, account.subscriber_id),
        invoices=tuple(item for item in after.invoices if item != before[item.id]),
    )
    return look(after, desk, [fact])


def _relive(account: Account, reversing: Reversing, day: Day, desk: Desk) -> "_Book":
    dawn = replace(with_invoices(account, day.invoices), credit_cents=day.credit_cents)
    book = _Book(dawn, desk, {_key(share): share.allocation for share in day.shares})
    todays = {item.payment.id for item in day.payments}
    reversals = sorted((*day.reversals, reversing), key=_reversal_order)
    book.take_back(item for item in reversals if item.payment.id not in todays)
    for item in sorted(day.payments, key=lambda item: _payment_order(item.payment)):
        book.spend(item)
    book.take_back(item for item in reversals if item.payment.id in todays)
    return book


@dataclass(slots=True)
class _Book:
    """The account on its way through the day, and what stands allocated by then."""

    account: Account
    desk: Desk
    shares: dict[_Key, Allocation]

    def take_back(self, reversals: Iterable[Reversing]) -> None:
        zone = zone_of(self.desk.now)
        for item in reversals:
            standing = tuple(Share(key[0], part) for key, part in self.shares.items())
            # That it is no more than was left was seen when it was recorded.
            asked = replace(item, shares=standing, reversed_cents=0)
            desk = replace(self.desk, now=item.reversal.at.astimezone(zone))
            done = take_back(self.account, asked, desk)
            self.account = done.account
            for share in done.taken:
                self._add(share.payment_id, share.allocation, -1)
            self._use_credit()

    def spend(self, item: Waiting) -> None:
        self.account, spent = spend(self.account, item.payment, item.cents, self.desk)
        for part in spent.allocations:
            self._add(item.payment.id, part, 1)

    def _use_credit(self) -> None:
        self.account, used = use_credit(self.account, self.desk, "day")
        for fact in used:
            if isinstance(fact, CreditUsed):
                self._add(None, fact.allocation, 1)

    def _add(self, payment_id: int | None, part: Allocation, sign: int) -> None:
        key = payment_id, part.invoice_id
        stood = self.shares.get(key, Allocation(part.invoice_id, 0, 0, 0))
        self.shares[key] = stood.plus(part, sign)


def _less(before: Iterable[Share], after: dict[_Key, Allocation]) -> tuple[Share, ...]:
    """What each payment gives up on each invoice; below zero where it gives more."""
    stood = {_key(share): share.allocation for share in before}
    nothing = Allocation(0, 0, 0, 0)
    parts = {
        key: stood.get(key, replace(nothing, invoice_id=key[1])).plus(after.get(key, nothing), -1)
        for key in sorted({*stood, *after}, key=lambda key: (key[1], key[0] or 0))
    }
    return tuple(
        Share(key[0], part)
        for key, part in parts.items()
        if part.total_cents
        or (part.interest_cents, part.fine_cents, part.discount_cents) != (0, 0, 0)
    )


def _key(share: Share) -> _Key:
    return share.payment_id, share.allocation.invoice_id


def _payment_order(payment: Payment) -> tuple[object, ...]:
    """By what the provider says of it, which does not depend on when we learnt it."""
    return payment.paid_at, payment.provider, payment.external_id


def _reversal_order(item: Reversing) -> tuple[object, ...]:
    return *_payment_order(item.payment), item.reversal.kind, item.reversal.external_id
