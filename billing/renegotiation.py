"""An agreement is offered, approved, accepted; and broken (money rule 10, ladder rule 12).

Verbs as `billing.account` describes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from billing.agreement import (
    Agreement,
    AgreementState,
    Offer,
    Paid,
    approve,
    breaks_on,
    kept_charges,
    may_accept,
    owed_by,
    revive,
    simulate,
)
from billing.events import (
    AgreementAccepted,
    AgreementBroken,
    AgreementMoved,
    AgreementOffered,
    CreditUsed,
    Fact,
    InvoiceCorrected,
    InvoiceIssued,
)
from billing.invoice import Invoice, InvoiceState, Kind, Line, Share
from billing.lapses import awaits_first_payment
from billing.ledger import (
    FORGIVEN,
    RENEGOTIATED,
    REVENUE_FINE,
    REVENUE_INTEREST,
    Entry,
    credit_entry,
    entry,
    invoice_entry,
    renegotiation_entry,
    restoration_entry,
    void_entry,
)
from billing.payer import Account, Correction, CorrectionKind, Desk, Refused
from billing.settle import use_credit, with_invoices
from billing.standing import contract_of, look, policy_of, unpaid_invoices


def worked_out(account: Account, offer: Offer, desk: Desk) -> Agreement:
    """The agreement that an offer made now would be; nothing is changed.

    Raises:
        Refused: the contract is not this payer's; an invoice that it names is not owed or is
            itself a part of an agreement; or `simulate` refuses.
    """
    contract = contract_of(account, offer.contract_id)
    policy, today = policy_of(contract, desk), desk.now.date()
    parts = {number for item in account.agreements for number in item.invoice_ids}
    wanted = set(offer.invoice_ids)
    chosen = [
        invoice
        for invoice in unpaid_invoices(account, contract)
        if (invoice.id in wanted if wanted else invoice.due_on < today and invoice.id not in parts)
    ]
    for number in sorted(wanted - {invoice.id for invoice in chosen}):
        raise Refused(f"nothing is owed on invoice {number} of contract {contract.id}")
    for invoice in chosen:
        if invoice.id in parts:
            raise Refused(
                f"invoice {invoice.id} is a part of an agreement; that is paid or broken, not"
                " renegotiated"
            )
    owed = [owed_by(invoice, policy, desk.calendar, today) for invoice in chosen]
    found = simulate(owed, offer.proposal, today, offer.valid_until, desk.terms)
    waits = offer.proposal.principal_percent > 0
    return Agreement(
        id=offer.id,
        contract_id=contract.id,
        author=offer.author,
        offered_at=desk.now,
        valid_until=offer.valid_until,
        proposal=offer.proposal,
        simulation=found,
        state=AgreementState.AWAITING_APPROVAL if waits else AgreementState.OFFERED,
    )


def offer_agreement(account: Account, offer: Offer, desk: Desk) -> tuple[Account, tuple[Fact, ...]]:
    """Offer an agreement; one that forgives principal waits for a second person's approval.

    Raises:
        Refused: as `worked_out`.
    """
    agreement = worked_out(account, offer, desk)
    account = replace(account, agreements=(*account.agreements, agreement))
    return look(account, desk, [AgreementOffered(agreement)])


@dataclass(frozen=True, slots=True)
class Approval:
    """By whom an agreement is approved."""

    agreement_id: int
    approver: str


def approve_agreement(
    account: Account, approval: Approval, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Let an agreement that forgives principal be accepted.

    Raises:
        Refused: as `approve`.
    """
    before = _agreement(account, approval.agreement_id)
    agreement = approve(before, approval.approver, desk.now.date())
    return look(_with(account, agreement), desk, [AgreementMoved(agreement)])


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An agreement is signed. The ids are for its parts and for corrections of its old invoices."""

    agreement_id: int
    author: str
    invoice_ids: tuple[int, ...]
    correction_ids: tuple[int, ...]


def accept_agreement(
    account: Account, acceptance: Acceptance, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Put the old debt on instalments: the old invoices are renegotiated, the parts are invoices.

    Raises:
        Refused: as `may_accept`.
    """
    agreement = _agreement(account, acceptance.agreement_id)
    contract = contract_of(account, agreement.contract_id)
    policy = policy_of(contract, desk)
    # As of the day of the offer: the days since then are not charged.
    offered_on = agreement.offered_at.date()
    owed = [
        owed_by(invoice, policy, desk.calendar, offered_on)
        for invoice in unpaid_invoices(account, contract)
    ]
    may_accept(agreement, owed, desk.now.date())
    old = _invoices(account, [item.invoice_id for item in agreement.simulation.owed])
    facts: list[Fact] = []
    for number, invoice in zip(acceptance.correction_ids, old, strict=True):
        correction = _correction(
            number,
            CorrectionKind.RENEGOTIATION,
            invoice,
            acceptance.author,
            f"acordo {agreement.id}",
            desk,
        )
        after = replace(invoice, state=InvoiceState.RENEGOTIATED)
        moved = renegotiation_entry(correction, invoice)
        facts.append(InvoiceCorrected(correction, (), None, 0, moved, after))
        account = with_invoices(account, [after])
    agreement = replace(
        agreement,
        state=AgreementState.RUNNING,
        accepted_at=desk.now,
        invoice_ids=acceptance.invoice_ids,
        rungs=contract.rungs,
    )
    facts.append(AgreementAccepted(agreement, acceptance.author, _signature(agreement, desk, 1)))
    parts = _parts(agreement, desk)
    facts += [InvoiceIssued(part, invoice_entry(part)) for part in parts]
    account = replace(_with(account, agreement), invoices=(*account.invoices, *parts))
    account, used = use_credit(account, desk, f"agreement:{agreement.id}")
    return look(account, desk, [*facts, *used])


def due_to_break(account: Account, desk: Desk) -> tuple[Agreement, ...]:
    """The agreements with a part that was not paid in its days of grace."""
    grace_days, today = desk.terms.agreement_grace_days, desk.now.date()
    return tuple(
        item
        for item in account.agreements
        if item.state is AgreementState.RUNNING
        and (day := breaks_on(item, account.invoices, grace_days)) is not None
        and day <= today
    )


@dataclass(frozen=True, slots=True)
class Breach:
    """An agreement is broken. `paid` is what its parts got; the ids are for parts and old ones."""

    agreement_id: int
    author: str
    paid: tuple[Paid, ...]
    correction_ids: tuple[int, ...]


def break_agreement(
    account: Account, breach: Breach, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Undo an agreement: what its parts got pays the old debt as of the days it was paid.

    The parts are void, the old invoices are owed again with their own due dates and notices; the
    steps of the ladder that stood at signature wait for the next allowed instant for a cut.

    Raises:
        Refused: it is not running, or every part is paid or within its days of grace.
    """
    agreement = _agreement(account, breach.agreement_id)
    if agreement not in due_to_break(account, desk):
        raise Refused(f"agreement {agreement.id} is {agreement.state} and not due to be broken")
    contract = contract_of(account, agreement.contract_id)
    policy = policy_of(contract, desk)
    waited = awaits_first_payment(agreement, account.invoices, policy)
    parts = _invoices(account, agreement.invoice_ids)
    old = _invoices(account, sorted(agreement.old_invoice_ids))
    numbers = iter(breach.correction_ids)
    reason = f"acordo {agreement.id} descumprido"
    facts: list[Fact] = []
    for part in parts:
        correction = _correction(
            next(numbers), CorrectionKind.VOID, part, breach.author, reason, desk
        )
        shares = [item.share for item in breach.paid if item.share.allocation.invoice_id == part.id]
        facts.append(_void(correction, part, shares, account.subscriber_id))
    agreement = replace(
        agreement,
        state=AgreementState.BROKEN,
        settled_at=desk.now,
        # Access never came back, so no step waits to stand again.
        rungs=() if waited else agreement.rungs,
    )
    facts.append(AgreementBroken(agreement, _signature(agreement, desk, -1)))
    for invoice in old:
        correction = _correction(
            next(numbers), CorrectionKind.RESTORATION, invoice, breach.author, reason, desk
        )
        after = replace(invoice, state=InvoiceState.OPEN)
        facts.append(
            InvoiceCorrected(correction, (), None, 0, restoration_entry(correction, invoice), after)
        )
    revived, moves, over_cents = revive(old, breach.paid, policy, desk.calendar)
    for n, move in enumerate(moves):
        reference = f"agreement:{agreement.id}:{n}"
        again = credit_entry(
            (move.before, move.allocation), account.subscriber_id, desk.now, reference
        )
        facts.append(CreditUsed(move.allocation, again, move.after))
    voided = [fact.invoice for fact in facts if isinstance(fact, InvoiceCorrected)]
    account = with_invoices(_with(account, agreement), [*voided, *revived])
    account = replace(account, credit_cents=account.credit_cents + over_cents)
    if agreement.rungs and not contract.rungs:
        # No review date, so that the look that follows always has something to keep.
        standing = replace(contract, rungs=agreement.rungs, review_on=None)
        contracts = tuple(standing if c is contract else c for c in account.contracts)
        account = replace(account, contracts=contracts)
    account, used = use_credit(account, desk, f"agreement:{agreement.id}:broken")
    return look(account, desk, [*facts, *used])


def _void(
    correction: Correction, part: Invoice, shares: Sequence[Share], subscriber_id: int
) -> InvoiceCorrected:
    after = replace(
        part,
        state=InvoiceState.VOID,
        paid_cents=0,
        fine_paid_cents=0,
        interest_paid_cents=0,
        discount_cents=0,
        paid_in_time_cents=0,
    )
    undone = void_entry(
        correction, part, [(part, share.allocation) for share in shares], subscriber_id
    )
    credit_cents = sum(share.allocation.total_cents for share in shares)
    return InvoiceCorrected(correction, tuple(shares), None, credit_cents, undone, after)


def _signature(agreement: Agreement, desk: Desk, sign: int) -> Entry | None:
    """What the agreement forgives and what it recognises, or (`sign` -1) neither; None: nothing."""
    fine_cents, interest_cents = kept_charges(agreement)
    forgiven_cents = agreement.simulation.principal_discount_cents
    if not fine_cents and not interest_cents and not forgiven_cents:
        return None
    kind = "agreement" if sign > 0 else "agreement_broken"
    return entry(
        kind,
        desk.now,
        f"agreement:{agreement.id}",
        (FORGIVEN, sign * forgiven_cents),
        (REVENUE_FINE, -sign * fine_cents),
        (REVENUE_INTEREST, -sign * interest_cents),
        (RENEGOTIATED, sign * (fine_cents + interest_cents - forgiven_cents)),
    )


def _parts(agreement: Agreement, desk: Desk) -> list[Invoice]:
    parts = agreement.simulation.parts
    down = 1 if agreement.proposal.down_payment_cents else 0
    names = ["entrada"] * down + [
        f"parcela {n} de {len(parts) - down}" for n in range(1, len(parts) - down + 1)
    ]
    return [
        Invoice(
            id=number,
            contract_id=agreement.contract_id,
            due_on=part.due_on,
            issued_at=desk.now,
            lines=(Line(f"Acordo {agreement.id}: {name}", part.cents, Kind.INSTALMENT),),
        )
        for number, part, name in zip(agreement.invoice_ids, parts, names, strict=True)
    ]


def _correction(
    number: int, kind: CorrectionKind, invoice: Invoice, author: str, reason: str, desk: Desk
) -> Correction:
    cents = invoice.amount_cents if kind is CorrectionKind.VOID else invoice.rest_cents
    return Correction(number, kind, invoice.id, cents, author, reason, desk.now)


def _agreement(account: Account, agreement_id: int) -> Agreement:
    for agreement in account.agreements:
        if agreement.id == agreement_id:
            return agreement
    raise Refused(
        f"subscriber {account.subscriber_id} has no open agreement {agreement_id}; check the number"
    )


def _with(account: Account, agreement: Agreement) -> Account:
    agreements = tuple(
        agreement if item.id == agreement.id else item for item in account.agreements
    )
    return replace(account, agreements=agreements)


def _invoices(account: Account, numbers: Sequence[int]) -> list[Invoice]:
    found = {invoice.id: invoice for invoice in account.invoices}
    return [found[number] for number in numbers]
