"""Money goes back: refunds, chargebacks, returned Pix (money rule 12, invariant M12).

Each is a new entry; nothing of the payment is undone in place. A verb as `billing.account`
describes them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NoReturn

from billing.events import Fact, PaymentReversed
from billing.invoice import Allocation, Invoice, InvoiceState, Share, release, reopened
from billing.ledger import reversal_entry
from billing.payer import Account, Desk, Payment, Refused, Reversal, ReversalKind
from billing.settle import use_credit, with_invoices
from billing.standing import look, policy_of

# What an invoice in these states was paid can be asked back for.
_PAYABLE = (InvoiceState.OPEN, InvoiceState.PAID, InvoiceState.WRITTEN_OFF)


@dataclass(frozen=True, slots=True)
class Reversing:
    """A reversal, and what the core must know of the payment that loses it.

    Attributes:
        reversal: what is asked for.
        payment: whose money it is.
        reversed_cents: what of the payment went back before.
        shares: what stands allocated to the payer's invoices, of any payment and of credit.
    """

    reversal: Reversal
    payment: Payment
    reversed_cents: int
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Where the money of a reversal came from, and the account without it.

    `taken` is what invoices gave up, discounts that are unearned by it included.
    """

    account: Account
    taken: tuple[Share, ...]
    credit_cents: int


def reverse_payment(
    account: Account, reversing: Reversing, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Take money of a payment back; credit that is left pays what that opened.

    Raises:
        Refused: it is more than what is left of the payment, or an agreement holds what it paid.
    """
    before = {invoice.id: invoice for invoice in account.invoices}
    refuse_excess(reversing.reversal, reversing.payment, reversing.reversed_cents)
    refuse_held(account, reversing)
    done = take_back(account, reversing, desk)
    paid = [(before[share.allocation.invoice_id], share.allocation) for share in done.taken]
    account = done.account
    reversal, payment = reversing.reversal, reversing.payment
    fact = PaymentReversed(
        reversal=reversal,
        taken=done.taken,
        credit_cents=done.credit_cents,
        entry=reversal_entry(reversal, payment, paid, account.subscriber_id),
        invoices=tuple(item for item in account.invoices if item != before[item.id]),
    )
    account, used = use_credit(account, desk, f"reversal:{reversal.id}")
    return look(account, desk, [fact, *used])


def take_back(account: Account, reversing: Reversing, desk: Desk) -> TakenBack:
    """Find the money of a reversal, and take it from there.

    A refund is taken from the customer's credit first, then from what the payment had paid; the
    others from what it had paid first. What credit has been spent on gives the rest. A paid invoice
    that gives anything up is open again, due `chargeback_grace_days` from today, without late
    charges for the time that it stood paid, and older notices do not cover it any more; one that
    was still open keeps its due date.

    Raises:
        Refused: an agreement holds what is asked for.
    """
    reversal, payment = reversing.reversal, reversing.payment
    invoices = {invoice.id: invoice for invoice in account.invoices}
    own = [share for share in reversing.shares if share.payment_id == payment.id]
    # Only what credit paid, or what took the place of credit that was refunded, is left to ask.
    rest = [share for share in reversing.shares if share.payment_id != payment.id]
    rest.sort(key=lambda share: share.payment_id is not None)
    standing = {
        invoice.id: Allocation(
            invoice.id,
            invoice.interest_paid_cents,
            invoice.fine_paid_cents,
            invoice.paid_cents,
        )
        for invoice in account.invoices
    }
    left_cents, credit_cents = reversal.amount_cents, 0
    taken: list[Share] = []

    def from_credit() -> None:
        nonlocal left_cents, credit_cents
        credit_cents = min(left_cents, account.credit_cents)
        left_cents -= credit_cents

    def from_invoices(shares: Sequence[Share]) -> None:
        nonlocal left_cents
        for share in _youngest_first(shares, invoices):
            number = share.allocation.invoice_id
            part = _part(share.allocation, standing[number], left_cents)
            left_cents -= part.total_cents
            if part.total_cents:
                taken.append(Share(share.payment_id, part))
                standing[number] = standing[number].plus(part, -1)

    if reversal.kind is ReversalKind.REFUND:
        from_credit()
        from_invoices(own)
    else:
        from_invoices(own)
        from_credit()
    from_invoices(rest)
    if left_cents:
        _refuse(left_cents, payment)
    taken += _unearned(taken, reversing.shares)
    account = replace(account, credit_cents=account.credit_cents - credit_cents)
    return TakenBack(_opened(account, taken, desk), tuple(taken), credit_cents)


def refuse_excess(reversal: Reversal, payment: Payment, reversed_cents: int) -> None:
    """See that no more goes back than came.

    Raises:
        Refused: the amount is not positive, or above what is left of the payment.
    """
    left_cents = payment.amount_cents - reversed_cents
    if not 0 < reversal.amount_cents <= left_cents:
        raise Refused(
            f"payment {payment.id} was of {payment.amount_cents} cents and {reversed_cents} of them"
            f" went back before; 1 to {left_cents} cents can, not {reversal.amount_cents}"
            if left_cents
            else f"all of payment {payment.id} went back before"
        )


def refuse_held(account: Account, reversing: Reversing) -> None:
    """See that nothing goes back of what an agreement holds: no other money stands in for it.

    A refund is our own act, of credit first: it may.

    Raises:
        Refused: some of what is asked for paid an invoice that is renegotiated.
    """
    reversal, payment = reversing.reversal, reversing.payment
    if reversal.kind is ReversalKind.REFUND:
        return
    renegotiated = {
        invoice.id for invoice in account.invoices if invoice.state is InvoiceState.RENEGOTIATED
    }
    held_cents = sum(
        share.allocation.total_cents
        for share in reversing.shares
        if share.payment_id == payment.id and share.allocation.invoice_id in renegotiated
    )
    free_cents = payment.amount_cents - reversing.reversed_cents - held_cents
    if reversal.amount_cents > free_cents:
        _refuse(reversal.amount_cents - free_cents, payment)


def _refuse(held_cents: int, payment: Payment) -> NoReturn:
    raise Refused(
        f"{held_cents} cents of payment {payment.id} stand on invoices of an agreement;"
        " end the agreement first"
    )


def _opened(account: Account, taken: Sequence[Share], desk: Desk) -> Account:
    """The account whose invoices gave this up."""
    contracts = {contract.id: contract for contract in account.contracts}
    before = {invoice.id: invoice for invoice in account.invoices}
    after = dict(before)
    for share in taken:
        part, invoice = share.allocation, after[share.allocation.invoice_id]
        policy = policy_of(contracts[invoice.contract_id], desk)
        after[invoice.id] = release(invoice, part, policy, desk.calendar, desk.now.date())
    due_on = desk.now.date() + timedelta(days=desk.terms.chargeback_grace_days)
    return with_invoices(
        account,
        [
            reopened(invoice, due_on, desk.now) if invoice.state is InvoiceState.PAID else invoice
            for invoice in after.values()
            if invoice != before[invoice.id]
        ],
    )


def _unearned(taken: Sequence[Share], shares: Sequence[Share]) -> list[Share]:
    """The discounts of invoices that give up principal: what is not paid in full earns none."""
    opened = {share.allocation.invoice_id for share in taken if share.allocation.principal_cents}
    return [
        Share(share.payment_id, Allocation(number, 0, 0, 0, share.allocation.discount_cents))
        for share in shares
        if (number := share.allocation.invoice_id) in opened and share.allocation.discount_cents > 0
    ]


def _youngest_first(shares: Sequence[Share], invoices: dict[int, Invoice]) -> Iterator[Share]:
    known = [share for share in shares if share.allocation.invoice_id in invoices]
    known.sort(
        key=lambda share: (
            invoices[share.allocation.invoice_id].due_on,
            share.allocation.invoice_id,
        ),
        reverse=True,
    )
    for share in known:
        if invoices[share.allocation.invoice_id].state in _PAYABLE:
            yield share


def _part(given: Allocation, standing: Allocation, cents: int) -> Allocation:
    """At most `cents` of what was given and still stands: principal first, then fine, interest."""
    principal = min(cents, max(0, given.principal_cents), standing.principal_cents)
    cents -= principal
    fine = min(cents, max(0, given.fine_cents), standing.fine_cents)
    cents -= fine
    interest = min(cents, max(0, given.interest_cents), standing.interest_cents)
    return Allocation(given.invoice_id, interest, fine, principal)
