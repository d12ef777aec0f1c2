"""What time or money ends by itself: promises and agreements kept, broken, expired."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date

from billing.agreement import Agreement, AgreementState, breaks_on, is_kept
from billing.calendar import ONE_DAY, day_start, zone_of
from billing.dispute import DisputeState
from billing.events import AgreementMoved, Fact, PromiseSettled, Reviewed
from billing.invoice import Invoice
from billing.ladder import Verdict
from billing.payer import Account, Contract, Desk, Promise, PromiseState
from billing.policy import Policy, RestoreOn

_OPEN_OFFER = (AgreementState.AWAITING_APPROVAL, AgreementState.OFFERED)


def wind_up(account: Account, desk: Desk) -> tuple[Account, tuple[Fact, ...]]:
    """End whatever is over by now and needs neither a number nor anybody's decision."""
    unpaid_ids = frozenset(item.id for item in account.invoices if item.unpaid_cents)
    promises = tuple(_settled(item, unpaid_ids, desk) for item in account.promises)
    agreements = tuple(_moved(item, account.invoices, desk) for item in account.agreements)
    facts: list[Fact] = [
        PromiseSettled(after)
        for before, after in zip(account.promises, promises, strict=True)
        if after is not before
    ]
    facts += [
        AgreementMoved(moved)
        for standing, moved in zip(account.agreements, agreements, strict=True)
        if moved is not standing
    ]
    return replace(account, promises=promises, agreements=agreements), tuple(facts)


def lapses_on(account: Account, contract: Contract, desk: Desk) -> date | None:
    """The first local day on which something of the contract is over by itself; None: nothing."""
    grace_days = desk.terms.agreement_grace_days
    days: list[date | None] = [
        item.until_on + ONE_DAY
        for item in account.promises
        if item.contract_id == contract.id and item.state is PromiseState.RUNNING
    ]
    for item in account.agreements:
        if item.contract_id == contract.id and item.state in _OPEN_OFFER:
            days.append(item.valid_until + ONE_DAY)
        elif item.contract_id == contract.id and item.state is AgreementState.RUNNING:
            days.append(breaks_on(item, account.invoices, grace_days))
    days += [
        item.lapses_on
        for item in account.disputes
        if item.contract_id == contract.id and item.state is DisputeState.OPEN
    ]
    return min((day for day in days if day is not None), default=None)


def after_the_end(
    account: Account, contract: Contract, verdict: Verdict, notice_on: date | None, desk: Desk
) -> tuple[Contract, Reviewed | None]:
    """An ended contract looked at: its debt goes on to bureau and agency, and what was agreed ends.

    Its access stays as it stood, for nobody uses it any more. `notice_on` is the day on which it
    asks for a notice; None: never.
    """
    days = (lapses_on(account, contract, desk), notice_on)
    starts = (day_start(day, zone_of(desk.now)) for day in days if day is not None)
    instants = (verdict.review_on, *starts)
    review_on = min(
        filter(None, instants), key=lambda instant: instant.astimezone(UTC), default=None
    )
    after = replace(contract, reason=verdict.reason, rungs=verdict.rungs, review_on=review_on)
    if after == contract:
        return contract, None
    told = replace(verdict, level=contract.access.level, review_on=review_on)
    return after, Reviewed(contract.id, told)


def awaits_first_payment(agreement: Agreement, invoices: Sequence[Invoice], policy: Policy) -> bool:
    """Whether access still waits for the first part to be paid (ladder rule 12)."""
    return (
        agreement.state is AgreementState.RUNNING
        and policy.restore_on is RestoreOn.FIRST_PAYMENT
        and any(item.id == agreement.invoice_ids[0] and item.unpaid_cents for item in invoices)
    )


def extended(promises: Iterable[Promise], contract_id: int, desk: Desk) -> tuple[Promise, ...]:
    """The promises of a contract that are in force, as a further one ends them."""
    return tuple(
        replace(item, state=PromiseState.EXTENDED, settled_at=desk.now)
        for item in promises
        if item.contract_id == contract_id and item.state is PromiseState.RUNNING
    )


def _settled(promise: Promise, unpaid_ids: frozenset[int], desk: Desk) -> Promise:
    if promise.state is not PromiseState.RUNNING:
        return promise
    if not unpaid_ids.intersection(promise.debt_invoice_ids):
        return replace(promise, state=PromiseState.KEPT, settled_at=desk.now)
    if promise.until_on < desk.now.date():
        return replace(promise, state=PromiseState.BROKEN, settled_at=desk.now)
    return promise


def _moved(agreement: Agreement, invoices: Sequence[Invoice], desk: Desk) -> Agreement:
    if agreement.state in _OPEN_OFFER and desk.now.date() > agreement.valid_until:
        return replace(agreement, state=AgreementState.EXPIRED, settled_at=desk.now)
    if agreement.state is AgreementState.RUNNING and is_kept(agreement, invoices):
        return replace(agreement, state=AgreementState.KEPT, settled_at=desk.now)
    return agreement
