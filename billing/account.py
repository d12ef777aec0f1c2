"""A payer's account: contracts, invoices, credit, notices, promises; and the one road of change.

Every change is a function `(account, what happened, desk) -> (account, facts)`. It is pure: the
shell loads the account under lock, calls, saves the facts in the same transaction. Each ends by
looking at every contract anew, so access is recomputed from facts and never nudged.

The verbs of money are in `billing.settle`, `billing.reverse` and `billing.correct`, and named here
again.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from billing.correct import add_note, void_invoice, write_off_invoice
from billing.events import (
    Fact,
    HoldEnded,
    HoldPlaced,
    NoticeDrawn,
    NoticeProven,
    NoticeUnproven,
    PromiseSettled,
    PromiseTaken,
)
from billing.ladder import decide, overdue_from
from billing.lapses import extended
from billing.payer import (
    Account,
    Contract,
    Correction,
    CorrectionKind,
    Desk,
    Hold,
    HoldKind,
    Notice,
    Payment,
    Promise,
    Refused,
    Reversal,
    ReversalKind,
)
from billing.promise import may_promise
from billing.reverse import reverse_payment
from billing.settle import assign_payment, clear_payment, issue_invoice
from billing.standing import (
    calendar_of,
    look,
    notice_due,
    policy_of,
    running_contract,
    situation_of,
    unpaid_invoices,
)

__all__ = [
    "Account",
    "Contract",
    "Correction",
    "CorrectionKind",
    "Desk",
    "Hold",
    "HoldKind",
    "Notice",
    "Payment",
    "Promise",
    "Refused",
    "Reversal",
    "ReversalKind",
    "add_note",
    "assign_payment",
    "clear_payment",
    "draw_notice",
    "end_hold",
    "issue_invoice",
    "notice_due",
    "place_hold",
    "policy_of",
    "prove_notice",
    "reverse_payment",
    "review",
    "situation_of",
    "take_promise",
    "unprove_notice",
    "void_invoice",
    "write_off_invoice",
]


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
    situation = situation_of(account, contract, desk)
    counted = decide(situation, policy, calendar_of(contract, desk), desk.now)
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
    return look(replace(account, promises=promises), desk, facts)


def place_hold(account: Account, hold: Hold, desk: Desk) -> tuple[Account, tuple[Fact, ...]]:
    """Forbid cuts of a contract until the hold expires. It undoes no cut.

    Raises:
        Refused: no author, no reason, an expiry that is not ahead or further away than the terms
            allow, or a contract that is not this payer's or has ended.
    """
    running_contract(account, hold.contract_id)
    if not hold.author.strip() or not hold.reason.strip():
        raise Refused("a hold needs its author and a reason")
    if hold.expires_at.astimezone(UTC) <= desk.now.astimezone(UTC):
        raise Refused("a hold must expire later than now")
    longest = desk.terms.hold_days
    if hold.expires_at.astimezone(UTC) > (desk.now + timedelta(days=longest)).astimezone(UTC):
        raise Refused(
            f"the terms allow {longest} days at most; give an earlier expiry, or put the customer"
            " into a class that is never blocked"
        )
    account = replace(account, holds=(*account.holds, hold))
    return look(account, desk, [HoldPlaced(hold)])


def end_hold(
    account: Account, hold_id: int, author: str, reason: str, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """End a hold or an exemption before it expires; cuts follow their dates again (rule 5).

    Raises:
        Refused: no reason, no such hold, or it is over.
    """
    hold = next((item for item in account.holds if item.id == hold_id), None)
    if hold is None or not hold.stands(desk.now):
        raise Refused(f"hold {hold_id} is over already; GET /api/v1/holds lists those that stand")
    if not author.strip() or not reason.strip():
        raise Refused("the end of a hold needs its author and a reason")
    ended = replace(hold, ended_at=desk.now, ended_by=author, end_reason=reason)
    holds = tuple(ended if item is hold else item for item in account.holds)
    return look(replace(account, holds=holds), desk, [HoldEnded(ended)])


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
    return look(account, desk, [NoticeDrawn(notice)])


def prove_notice(
    account: Account, notice_id: int, proven_at: datetime, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """A channel confirmed delivery at `proven_at`. The first proof stands; a repeat is nothing new.

    What was given up counts too once it is confirmed: a receipt comes late, and the person has it.

    Raises:
        Refused: no such notice.
    """
    notice = next((item for item in account.notices if item.id == notice_id), None)
    if notice is None:
        raise Refused(f"notice {notice_id} does not wait for delivery; draw the one that is due")
    if notice.proven_at is not None:
        return look(account, desk, [])
    proven = replace(notice, proven_at=proven_at, failed_at=None)
    notices = tuple(proven if item is notice else item for item in account.notices)
    facts: list[Fact] = [NoticeProven(notice_id, proven_at)]
    return look(replace(account, notices=notices), desk, facts)


def unprove_notice(
    account: Account, notice_id: int, reason: str, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """What proved a notice came back, as when an e-mail bounced within 24 hours (rule 2).

    Nothing counts from it any more: whoever was cut by it alone is restored, and its days run anew
    from another channel's proof. A repeat, or one of a notice not proven, is nothing new.

    Raises:
        Refused: no such notice.
    """
    notice = next((item for item in account.notices if item.id == notice_id), None)
    if notice is None:
        raise Refused(f"nothing that notice {notice_id} lists is owed; there is nothing to undo")
    if notice.proven_at is None:
        return look(account, desk, [])
    waiting = replace(notice, proven_at=None)
    notices = tuple(waiting if item is notice else item for item in account.notices)
    facts: list[Fact] = [NoticeUnproven(notice_id, reason)]
    return look(replace(account, notices=notices), desk, facts)


def review(account: Account, desk: Desk) -> tuple[Account, tuple[Fact, ...]]:
    """Look at every running contract; nothing happened but time."""
    return look(account, desk, [])
