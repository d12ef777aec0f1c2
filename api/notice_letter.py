"""An overdue notice as it reads at this instant: what is still owed, in the person's language."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, tzinfo
from typing import NamedTuple

from api.house import House
from api.notice_text import (
    Letter,
    OwedInvoice,
    ToldBefore,
    Wording,
    deadlines,
    render,
    rescission_days,
    soonest,
)
from api.store import charges, notices, templates
from api.store.notices import Addressee
from api.store.uow import Uow
from api.wording.template import Kind
from billing.calendar import zone_of
from billing.documents import mask
from billing.invoice import amount_due
from billing.policy import Policy


class NothingOwed(Exception):
    """Nothing that the notice lists is unpaid any more."""


class NotNow(Exception):
    """It may be sent, but later: the text says what stands against it."""


class Written(NamedTuple):
    """What it says, and the channels of the policy that cuts first, in its order."""

    wording: Wording
    channels: tuple[str, ...]


async def write(
    house: House, uow: Uow, notice_id: int, to: Addressee, language: str | None
) -> Written:
    """Put a notice into words.

    Args:
        house: whose name stands in it.
        uow: where to read.
        notice_id: the notice.
        to: the person.
        language: `pt-BR` or `en`; None: the house's own.

    Raises:
        NothingOwed: it was paid meanwhile.
    """
    desk = await uow.desk()
    today = desk.now.date()
    owed: list[OwedInvoice] = []
    policies: list[Policy] = []
    of_running: list[Policy] = []
    for invoice_id in await notices.listed(uow.connection, notice_id):
        found = await charges.read_invoice(uow.connection, invoice_id)
        if found is None or found.invoice.unpaid_cents == 0:
            continue
        policy = desk.policies[found.policy]
        due_cents = amount_due(found.invoice, policy, desk.calendar, today)
        charge = await charges.living_charge(uow.connection, invoice_id, due_cents)
        owed.append(
            OwedInvoice(
                invoice_id=invoice_id,
                contract_id=found.invoice.contract_id,
                due_on=found.invoice.due_on,
                unpaid_cents=found.invoice.unpaid_cents,
                due_cents=due_cents,
                copy_and_paste=None if charge is None else charge.copy_and_paste,
                ended_on=found.ended_on,
            )
        )
        policies.append(policy)
        of_running += [policy] if found.ended_on is None else []
    if not owed:
        raise NothingOwed("nothing that it lists is unpaid any more")
    # An ended contract's policy cuts nothing any more.
    policy = soonest(of_running or policies, today)
    letter = Letter(
        notice_id=notice_id,
        provider=house.settings.provider_name,
        name=to.name,
        document=mask(to.document),
        written_on=today,
        notice_days=policy.notice_days,
        deadlines=deadlines(policy, today),
        rescission_after_days=rescission_days(policy),
        invoices=tuple(sorted(owed, key=lambda item: (item.due_on, item.invoice_id))),
        told_before=await _told_before(uow, notice_id, owed, policies, zone_of(desk.now)),
    )
    template = await templates.template_of(
        uow.connection, Kind.NOTICE, "en" if language == "en" else "pt_BR"
    )
    return Written(render(letter, template=template), policy.channels)


async def _told_before(
    uow: Uow,
    notice_id: int,
    owed: Sequence[OwedInvoice],
    policies: Sequence[Policy],
    zone: tzinfo,
) -> tuple[ToldBefore, ...]:
    """What an older notice says already, by its day: those days run from that one (rule 5)."""
    by_invoice: Mapping[int, Policy] = {
        item.invoice_id: policy
        for item, policy in zip(owed, policies, strict=True)
        if item.ended_on is None
    }
    found = await notices.told_before(uow.connection, notice_id, list(by_invoice))
    together: defaultdict[tuple[date, date], list[int]] = defaultdict(list)
    for invoice_id, proven_at in sorted(found.items()):
        told_on = proven_at.astimezone(zone).date()
        steps = deadlines(by_invoice[invoice_id], told_on)
        if steps:
            together[told_on, min(step.on for step in steps)].append(invoice_id)
    return tuple(ToldBefore(*days, tuple(ids)) for days, ids in sorted(together.items()))
