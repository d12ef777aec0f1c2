"""Money and invoices meet: an invoice is issued, a payment cleared, waiting money assigned.

Source: money rules 5 to 7 and 13. Verbs as `billing.account` describes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from billing.calendar import zone_of
from billing.events import CreditUsed, Fact, InvoiceIssued, PaymentAssigned, PaymentPosted
from billing.invoice import Allocation, Invoice, InvoiceState, allocate, recover
from billing.ledger import assignment_entry, credit_entry, invoice_entry, payment_entry
from billing.payer import Account, Desk, Payment, Refused
from billing.standing import look, policy_of, running_contract


def issue_invoice(
    account: Account, invoice: Invoice, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Put a new invoice on a contract; customer credit pays it as far as it goes.

    Raises:
        Refused: the contract is not this payer's or has ended, or the amount is not positive.
    """
    running_contract(account, invoice.contract_id)
    if not invoice.lines:
        raise Refused("an invoice needs at least one line")
    if invoice.amount_cents <= 0:
        raise Refused(f"an invoice's lines must add up to more than 0, not {invoice.amount_cents}")
    if any(line.conditional and line.amount_cents >= 0 for line in invoice.lines):
        raise Refused("a conditional line is a discount, so its amount is below 0")
    if invoice.state is not InvoiceState.OPEN or invoice.paid_cents:
        raise Refused("a new invoice is open and unpaid")
    if any(known.id == invoice.id for known in account.invoices):
        raise Refused(f"invoice {invoice.id} is already issued")
    issued = InvoiceIssued(invoice, invoice_entry(invoice))
    account = replace(account, invoices=(*account.invoices, invoice))
    # The credit was there before the invoice, so nothing that it pays is late.
    paid_on = min(desk.now.date(), invoice.due_on)
    account, used = _pay_from_credit(account, invoice, paid_on, desk, f"invoice:{invoice.id}")
    return look(account, desk, [issued, *used])


def clear_payment(
    account: Account, payment: Payment, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Let a payment pay what is owed (money rule 7); what is over becomes credit.

    What it names comes first, if that is open; then every other open invoice, oldest due date
    first. Late charges are those of the payment's own local date. An invoice that was written off
    is paid only if the payment names it (money rule 13).

    Raises:
        Refused: the amount is not positive.
    """
    if payment.amount_cents <= 0:
        raise Refused(f"a payment must be more than 0 cents, not {payment.amount_cents}")
    account, spent = spend(account, payment, payment.amount_cents, desk)
    posted = PaymentPosted(
        payment=payment,
        allocations=spent.allocations,
        credit_cents=spent.over_cents,
        entry=payment_entry(payment, spent.paid, account.subscriber_id),
        invoices=spent.invoices,
    )
    return look(account, desk, [posted])


@dataclass(frozen=True, slots=True)
class Waiting:
    """A payment in suspense. `cents` is what of it has not been sent back."""

    payment: Payment
    cents: int


def assign_payment(
    account: Account, waiting: Waiting, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Give money out of suspense to its payer, as if it had been known from the first.

    Raises:
        Refused: nothing of it is left.
    """
    payment = waiting.payment
    if waiting.cents <= 0:
        raise Refused(f"payment {payment.id} was sent back; there is nothing to assign")
    account, spent = spend(account, payment, waiting.cents, desk)
    assigned = PaymentAssigned(
        payment=payment,
        allocations=spent.allocations,
        credit_cents=spent.over_cents,
        entry=assignment_entry(payment, waiting.cents, spent.paid, account.subscriber_id, desk.now),
        invoices=spent.invoices,
    )
    return look(account, desk, [assigned])


def use_credit(account: Account, desk: Desk, reference: str) -> tuple[Account, tuple[Fact, ...]]:
    """Let new credit pay open invoices, oldest first, as money of today; no look at the contracts.

    No payer is cut while money of theirs lies idle. `reference` says where the credit comes from.
    """
    facts: list[Fact] = []
    for invoice in sorted(account.invoices, key=lambda item: (item.due_on, item.id)):
        if account.credit_cents > 0 and invoice.state is InvoiceState.OPEN:
            cause = f"{reference}:invoice:{invoice.id}"
            account, used = _pay_from_credit(account, invoice, desk.now.date(), desk, cause)
            facts += used
    return account, tuple(facts)


@dataclass(frozen=True, slots=True)
class Spent:
    """What became of money: each invoice that it met, as it stood before, and what it gave it.

    `invoices` are the same ones as they stand after it, `over_cents` is what became credit.
    """

    paid: tuple[tuple[Invoice, Allocation], ...]
    invoices: tuple[Invoice, ...]
    over_cents: int

    @property
    def allocations(self) -> tuple[Allocation, ...]:
        """What it gave to each."""
        return tuple(allocation for _, allocation in self.paid)


def spend(account: Account, payment: Payment, cents: int, desk: Desk) -> tuple[Account, Spent]:
    """Let `cents` of a payment pay what is owed (money rule 7); no look at the contracts."""
    # A payer's clock may run ahead of ours; nobody owes tomorrow's interest for it.
    paid_on = min(payment.paid_at.astimezone(zone_of(desk.now)).date(), desk.now.date())
    contracts = {contract.id: contract for contract in account.contracts}
    paid: list[tuple[Invoice, Allocation]] = []
    after: list[Invoice] = []
    for invoice in sorted(account.invoices, key=lambda item: _paying_order(item, payment)):
        if cents <= 0:
            break
        if invoice.state is InvoiceState.OPEN:
            policy = policy_of(contracts[invoice.contract_id], desk)
            changed, allocation, cents = allocate(invoice, cents, policy, desk.calendar, paid_on)
        elif invoice.state is InvoiceState.WRITTEN_OFF and invoice.id == payment.invoice_id:
            changed, allocation, cents = recover(invoice, cents)
        else:
            continue
        if changed != invoice:
            paid.append((invoice, allocation))
            after.append(changed)
    account = with_invoices(account, after)
    account = replace(account, credit_cents=account.credit_cents + cents)
    return account, Spent(tuple(paid), tuple(after), cents)


def _pay_from_credit(
    account: Account, invoice: Invoice, paid_on: date, desk: Desk, reference: str
) -> tuple[Account, list[Fact]]:
    (contract,) = (item for item in account.contracts if item.id == invoice.contract_id)
    policy = policy_of(contract, desk)
    # Without any credit too: a discount as high as the price is earned by paying nothing.
    after, allocation, rest_cents = allocate(
        invoice, account.credit_cents, policy, desk.calendar, paid_on
    )
    if after == invoice:
        return account, []
    entry = credit_entry((invoice, allocation), account.subscriber_id, desk.now, reference)
    account = replace(with_invoices(account, [after]), credit_cents=rest_cents)
    return account, [CreditUsed(allocation, entry, after)]


def with_invoices(account: Account, changed: Sequence[Invoice]) -> Account:
    """The account with these invoices as they stand now."""
    by_id = {invoice.id: invoice for invoice in changed}
    return replace(
        account, invoices=tuple(by_id.get(invoice.id, invoice) for invoice in account.invoices)
    )


def _paying_order(invoice: Invoice, payment: Payment) -> tuple[bool, bool, date, int]:
    billed = payment.bill_id is not None and invoice.bill_id == payment.bill_id
    return invoice.id != payment.invoice_id, not billed, invoice.due_on, invoice.id
