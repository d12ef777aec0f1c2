"""A payer's account: contracts, invoices, credit, notices, promises; and the one road of change.

Every change is a function `(account, what happened, desk) -> (account, facts)`. It is pure: the
shell loads the account under lock, calls, saves the facts in the same transaction. Each ends by
looking at every contract anew, so access is recomputed from facts and never nudged.
"""

from dataclasses import replace
from datetime import UTC, date, datetime

from billing.calendar import zone_of
from billing.events import (
    CreditUsed,
    Fact,
    HoldPlaced,
    InvoiceChanged,
    InvoiceIssued,
    NoticeDrawn,
    NoticeProven,
    PaymentPosted,
    PromiseSettled,
    PromiseTaken,
)
from billing.invoice import Allocation, Invoice, InvoiceState, allocate
from billing.ladder import decide, overdue_from
from billing.lapses import extended, settle
from billing.ledger import credit_entry, invoice_entry, payment_entry
from billing.payer import (
    Account,
    Contract,
    Desk,
    Hold,
    Notice,
    Payment,
    Promise,
    Refused,
)
from billing.promise import may_promise
from billing.standing import (
    judged,
    notice_due,
    policy_of,
    running_contract,
    situation_of,
    unpaid_invoices,
)

__all__ = [
    "Account",
    "Contract",
    "Desk",
    "Hold",
    "Notice",
    "Payment",
    "Promise",
    "Refused",
    "clear_payment",
    "draw_notice",
    "issue_invoice",
    "notice_due",
    "place_hold",
    "policy_of",
    "prove_notice",
    "review",
    "situation_of",
    "take_promise",
]


def issue_invoice(
    account: Account, invoice: Invoice, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Put a new invoice on a contract; customer credit pays it as far as it goes.

    Raises:
        Refused: the contract is not this payer's or has ended, or the amount is not positive.
    """
    contract = running_contract(account, invoice.contract_id)
    if not invoice.lines:
        raise Refused("an invoice needs at least one line")
    if invoice.amount_cents <= 0:
        raise Refused(f"an invoice's lines must add up to more than 0, not {invoice.amount_cents}")
    if invoice.state is not InvoiceState.OPEN or invoice.paid_cents:
        raise Refused("a new invoice is open and unpaid")
    if any(known.id == invoice.id for known in account.invoices):
        raise Refused(f"invoice {invoice.id} is already issued")
    facts: list[Fact] = [InvoiceIssued(invoice, invoice_entry(invoice))]
    credit_cents = account.credit_cents
    if credit_cents:
        # The credit was there before the invoice, so nothing that it pays is late.
        paid_on = min(desk.now.date(), invoice.due_on)
        invoice, allocation, credit_cents = allocate(
            invoice, credit_cents, policy_of(contract, desk), desk.calendar, paid_on
        )
        entry = credit_entry(invoice, allocation, account.subscriber_id, desk.now)
        facts += [CreditUsed(allocation, entry), InvoiceChanged(invoice)]
    account = replace(account, invoices=(*account.invoices, invoice), credit_cents=credit_cents)
    return _look(account, desk, facts)


def clear_payment(
    account: Account, payment: Payment, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Let a payment pay what is owed (money rule 7); what is over becomes credit.

    The invoice that it names comes first, if that is open; then every other open invoice, oldest
    due date first. Late charges are those of the payment's own local date.

    Raises:
        Refused: the amount is not positive.
    """
    if payment.amount_cents <= 0:
        raise Refused(f"a payment must be more than 0 cents, not {payment.amount_cents}")
    # A payer's clock may run ahead of ours; nobody owes tomorrow's interest for it.
    paid_on = min(payment.paid_at.astimezone(zone_of(desk.now)).date(), desk.now.date())
    contracts = {contract.id: contract for contract in account.contracts}
    changed: dict[int, Invoice] = {}
    shares: list[tuple[int, Allocation]] = []
    left_cents = payment.amount_cents
    for invoice in sorted(account.invoices, key=lambda item: _paying_order(item, payment)):
        if left_cents == 0 or invoice.unpaid_cents == 0:
            continue
        policy = policy_of(contracts[invoice.contract_id], desk)
        after, allocation, left_cents = allocate(
            invoice, left_cents, policy, desk.calendar, paid_on
        )
        changed[invoice.id] = after
        shares.append((invoice.contract_id, allocation))
    account = replace(
        account,
        invoices=tuple(changed.get(invoice.id, invoice) for invoice in account.invoices),
        credit_cents=account.credit_cents + left_cents,
    )
    posted = PaymentPosted(
        payment=payment,
        allocations=tuple(allocation for _, allocation in shares),
        credit_cents=left_cents,
        entry=payment_entry(payment, shares, account.subscriber_id),
    )
    return _look(account, desk, [posted, *(InvoiceChanged(after) for after in changed.values())])


def take_promise(
    account: Account, promise: Promise, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Take a promise-to-pay. What it promises (`debt_invoice_ids`) is worked out here.

    Raises:
        PromiseRefused: the policy does not allow it (rule 9).
        Refused: the contract is not this payer's or has ended.
    """
    contract = running_contract(account, promise.contract_id)
    policy = policy_of(contract, desk)
    counted = decide(situation_of(account, contract, desk), policy, desk.calendar, desk.now)
    owed = counted.invoice_ids or tuple(
        invoice.id
        for invoice in unpaid_invoices(account, contract)
        if overdue_from(invoice.due_on, policy, desk.calendar) <= desk.now.date()
    )
    promise = replace(promise, debt_invoice_ids=owed)
    earlier = [item for item in account.promises if item.contract_id == contract.id]
    unpaid_ids = frozenset(item.id for item in account.invoices if item.unpaid_cents)
    may_promise(promise, earlier, unpaid_ids, policy, desk.now)
    over = {item.id: item for item in extended(account.promises, contract.id, desk)}
    promises = (*(over.get(item.id, item) for item in account.promises), promise)
    facts: list[Fact] = [PromiseTaken(promise), *map(PromiseSettled, over.values())]
    return _look(replace(account, promises=promises), desk, facts)


def place_hold(account: Account, hold: Hold, desk: Desk) -> tuple[Account, tuple[Fact, ...]]:
    """Forbid cuts of a contract until the hold expires. It undoes no cut.

    Raises:
        Refused: no author, no reason, an expiry that is not ahead, or a contract that is not this
            payer's or has ended.
    """
    running_contract(account, hold.contract_id)
    if not hold.author.strip() or not hold.reason.strip():
        raise Refused("a hold needs its author and a reason")
    if hold.expires_at.astimezone(UTC) <= desk.now.astimezone(UTC):
        raise Refused("a hold must expire later than now")
    account = replace(account, holds=(*account.holds, hold))
    return _look(account, desk, [HoldPlaced(hold)])


def draw_notice(account: Account, notice_id: int, desk: Desk) -> tuple[Account, tuple[Fact, ...]]:
    """Make the notice that is due, to be sent.

    Raises:
        Refused: none is due.
    """
    amounts_cents = notice_due(account, desk)
    if not amounts_cents:
        raise Refused(f"no notice is due to subscriber {account.subscriber_id}")
    notice = Notice(notice_id, desk.now, amounts_cents)
    account = replace(account, notices=(*account.notices, notice))
    return _look(account, desk, [NoticeDrawn(notice)])


def prove_notice(
    account: Account, notice_id: int, proven_at: datetime, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """A channel confirmed delivery at `proven_at`. The first proof stands; a repeat is nothing new.

    Raises:
        Refused: no such notice, or it was given up.
    """
    notice = next((item for item in account.notices if item.id == notice_id), None)
    if notice is None or notice.failed_at is not None:
        raise Refused(f"notice {notice_id} does not wait for delivery; draw the one that is due")
    if notice.proven_at is not None:
        return _look(account, desk, [])
    proven = replace(notice, proven_at=proven_at)
    notices = tuple(proven if item is notice else item for item in account.notices)
    facts: list[Fact] = [NoticeProven(notice_id, proven_at)]
    return _look(replace(account, notices=notices), desk, facts)


def review(account: Account, desk: Desk) -> tuple[Account, tuple[Fact, ...]]:
    """Look at every running contract; nothing happened but time."""
    return _look(account, desk, [])


def _look(account: Account, desk: Desk, facts: list[Fact]) -> tuple[Account, tuple[Fact, ...]]:
    """Every running contract judged anew; `facts` and what that added to them."""
    account, settled = settle(account, desk)
    facts = [*facts, *settled]
    looked: list[Contract] = []
    for contract in account.contracts:
        after, fact = (contract, None) if contract.ended_on else judged(account, contract, desk)
        looked.append(after)
        facts = facts if fact is None else [*facts, fact]
    return replace(account, contracts=tuple(looked)), tuple(facts)


def _paying_order(invoice: Invoice, payment: Payment) -> tuple[bool, date, int]:
    return invoice.id != payment.invoice_id, invoice.due_on, invoice.id
