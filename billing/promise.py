"""Promise-to-pay ("trust unlock"): who may have one, and for how long (ladder rule 9).

What a promise does to access is in `billing.ladder`; here is only whether it may be taken.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from billing.calendar import zone_of
from billing.payer import Promise, Refused
from billing.policy import Policy


class PromiseRefused(Refused):
    """A promise that the policy does not allow; the message says why, and from when it would."""


def may_promise(
    promise: Promise,
    earlier: Sequence[Promise],
    unpaid_invoice_ids: frozenset[int],
    policy: Policy,
    now: datetime,
) -> None:
    """Pass if the promise may be taken at `now`.

    Args:
        promise: the new one; `debt_invoice_ids` says what is owed and promised.
        earlier: promises for the same contract, in any order.
        unpaid_invoice_ids: invoices of the payer with unpaid principal.
        policy: the contract's ladder, with the bounds.
        now: aware, in the zone that local dates are read in.

    Raises:
        PromiseRefused: nothing is owed; the day is past, too far, or before the end of a promise
            in force; the last promise was broken and its debt is still unpaid; or it is too recent.
    """
    today = now.date()
    if not promise.debt_invoice_ids:
        raise PromiseRefused("nothing is overdue on this contract; there is nothing to promise")
    last_day = today + timedelta(days=policy.promise_days)
    if not today <= promise.until_on <= last_day:
        raise PromiseRefused(f"a promise runs until a day from {today} to {last_day}")
    if not earlier:
        return
    last = max(earlier, key=lambda item: (item.made_at, item.id))
    if last.until_on < today and unpaid_invoice_ids.intersection(last.debt_invoice_ids):
        raise PromiseRefused(
            f"the promise until {last.until_on} was not kept and its debt is unpaid; pay it first"
        )
    again_on = _made_on(last, now) + timedelta(days=policy.promise_every_days)
    if today < again_on:
        raise PromiseRefused(f"the last promise is too recent; the next may be made on {again_on}")
    # So the last promise made is also the last to end, and a store need keep no other at hand.
    if promise.until_on < last.until_on:
        raise PromiseRefused(f"a promise until {last.until_on} is in force; promise no earlier day")


def _made_on(promise: Promise, now: datetime) -> date:
    return promise.made_at.astimezone(zone_of(now)).date()
