"""What time or money ends by itself: promises kept or broken."""

from collections.abc import Iterable
from dataclasses import replace

from billing.events import Fact, PromiseSettled
from billing.payer import Account, Desk, Promise, PromiseState


def wind_up(account: Account, desk: Desk) -> tuple[Account, tuple[Fact, ...]]:
    """End whatever is over by now and needs nobody's decision."""
    unpaid_ids = frozenset(item.id for item in account.invoices if item.unpaid_cents)
    promises = tuple(_settled(item, unpaid_ids, desk) for item in account.promises)
    facts = tuple(
        PromiseSettled(after)
        for before, after in zip(account.promises, promises, strict=True)
        if after is not before
    )
    return replace(account, promises=promises), facts


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
