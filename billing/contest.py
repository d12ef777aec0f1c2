"""A charge is disputed, and the dispute is answered (ladder rule 11).

Verbs as `billing.account` describes them.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, timedelta

from billing.correct import Correcting, add_note
from billing.dispute import BILL_DAYS, Dispute, DisputeState, may_dispute, refund
from billing.events import DisputeAnswered, DisputeOpened, Fact, InvoiceCorrected, InvoiceIssued
from billing.invoice import Invoice, InvoiceState, Kind, Line, Share, allocate, with_line
from billing.ledger import (
    compensation_entry,
    correction_entry,
    dispute_entry,
    invoice_entry,
    release_entry,
)
from billing.payer import Account, Correction, CorrectionKind, Desk, Refused
from billing.settle import use_credit, with_invoices
from billing.standing import look, policy_of

# What an invoice charges for itself, and not for another one.
_CHARGED = (Kind.SCM, Kind.SVA, Kind.ONE_OFF, Kind.PENALTY, Kind.OTHER)


@dataclass(frozen=True, slots=True)
class Opening:
    """A dispute to be opened.

    Attributes:
        cents: None: all of the invoice that was never disputed.
        paid_on: first local day on which the invoice was paid anything; None: nothing was.
        frozen_id: for an invoice of the disputed part alone, should one be needed.
        correction_ids: two, for what is done to the invoices.
    """

    id: int
    invoice_id: int
    cents: int | None
    reason: str
    author: str
    paid_on: date | None
    frozen_id: int
    correction_ids: tuple[int, int]


def open_dispute(
    account: Account, opening: Opening, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Freeze the disputed part; the rest has at least `BILL_DAYS` more to be paid.

    What of the disputed part is unpaid is put on an invoice of its own, unless it is all that the
    disputed one still owes.

    Raises:
        Refused: no reason, an invoice that cannot be disputed, or `may_dispute` refuses.
    """
    invoice = _invoice(account, opening.invoice_id)
    if not opening.reason.strip() or not opening.author.strip():
        raise Refused("a dispute needs its author and a reason")
    if invoice.state not in (InvoiceState.OPEN, InvoiceState.PAID):
        raise Refused(f"invoice {invoice.id} is {invoice.state}; there is no charge to dispute")
    if not any(line.kind in _CHARGED for line in invoice.lines):
        raise Refused(
            f"invoice {invoice.id} asks for what another invoice had charged; dispute that one"
        )
    earlier = [item for item in account.disputes if item.invoice_id == invoice.id]
    left_cents = (
        invoice.amount_cents - invoice.discount_cents - sum(item.standing_cents for item in earlier)
    )
    cents = left_cents if opening.cents is None else opening.cents
    may_dispute(invoice, cents, earlier, desk.now.date())
    frozen_cents = min(cents, invoice.unpaid_cents)
    frozen_id: int | None = None
    facts: list[Fact] = []
    if frozen_cents:
        frozen = invoice
        if frozen_cents < invoice.unpaid_cents:
            apart, rest = _apart(account, invoice, frozen_cents, opening, desk)
            facts += [rest, InvoiceIssued(apart, invoice_entry(apart))]
            account = with_invoices(account, [rest.invoice])
            account = replace(account, invoices=(*account.invoices, apart))
            frozen = apart
        frozen_id = frozen.id
        correction = _correction(
            opening.correction_ids[1],
            CorrectionKind.DISPUTE,
            frozen,
            frozen_cents,
            opening.author,
            opening.reason,
            desk,
        )
        held = replace(frozen, state=InvoiceState.DISPUTED)
        entry = dispute_entry(correction, frozen)
        facts.append(InvoiceCorrected(correction, (), None, 0, entry, held))
        account = with_invoices(account, [held])
    dispute = Dispute(
        id=opening.id,
        invoice_id=invoice.id,
        contract_id=invoice.contract_id,
        cents=cents,
        frozen_cents=frozen_cents,
        reason=opening.reason,
        author=opening.author,
        opened_at=desk.now,
        frozen_id=frozen_id,
        paid_on=opening.paid_on,
    )
    account = replace(account, disputes=(*account.disputes, dispute))
    return look(account, desk, [*facts, DisputeOpened(dispute)])


def due_to_lapse(account: Account, desk: Desk) -> tuple[Dispute, ...]:
    """The disputes that nobody answered in time."""
    today = desk.now.date()
    return tuple(
        item
        for item in account.disputes
        if item.state is DisputeState.OPEN and item.lapses_on <= today
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """A dispute's answer.

    Attributes:
        state: ACCEPTED, REJECTED or UNANSWERED.
        text: the reasons, as the customer is told them.
        due_on: of a rejected part that is owed; None: `BILL_DAYS` from today.
        shares: what stands allocated to the disputed invoice.
        correction_ids: three, for what is done to the invoices.
    """

    dispute_id: int
    state: DisputeState
    text: str
    author: str
    due_on: date | None
    shares: tuple[Share, ...]
    correction_ids: tuple[int, int, int]


def answer_dispute(
    account: Account, answer: Answer, desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Accept or reject a dispute, or let it lapse for the customer.

    Accepted: what was unpaid is cancelled; what was paid comes back as credit, double and with
    interest. Rejected: what was unpaid is owed again, with a new due date.

    Raises:
        Refused: no such open dispute, no reasons, a rejection after the last day, an acceptance by
            default before it, or a due date that is too near.
    """
    dispute = next((item for item in account.disputes if item.id == answer.dispute_id), None)
    if dispute is None or dispute.state is not DisputeState.OPEN:
        raise Refused(f"dispute {answer.dispute_id} is not open; nothing is to be answered")
    today = desk.now.date()
    if not answer.text.strip() or not answer.author.strip():
        raise Refused("an answer needs its author and the reasons that the customer is told")
    lapsed = dispute.lapses_on <= today
    if answer.state is DisputeState.REJECTED and lapsed:
        raise Refused(
            f"dispute {dispute.id} was to be answered by {dispute.answer_due_on}; it is decided"
            " for the customer"
        )
    if answer.state is DisputeState.UNANSWERED and not lapsed:
        raise Refused(f"dispute {dispute.id} may be answered until {dispute.answer_due_on}")
    rejected = answer.state is DisputeState.REJECTED
    facts: list[Fact] = []
    if dispute.frozen_id is not None:
        frozen = _invoice(account, dispute.frozen_id)
        due_on = _due_on(frozen, answer, today) if rejected else frozen.due_on
        # No interest runs for the days in dispute.
        since = due_on if frozen.interest_since is not None else None
        after = replace(frozen, state=InvoiceState.OPEN, due_on=due_on, interest_since=since)
        correction = _correction(
            answer.correction_ids[0],
            CorrectionKind.RELEASE,
            frozen,
            frozen.rest_cents,
            answer.author,
            answer.text,
            desk,
        )
        entry = release_entry(correction, after)
        facts.append(InvoiceCorrected(correction, (), None, 0, entry, after))
        account = with_invoices(account, [after])
    answered = replace(
        dispute,
        state=answer.state,
        answer=answer.text,
        answered_by=answer.author,
        answered_at=desk.now,
    )
    disputes = tuple(answered if item is dispute else item for item in account.disputes)
    account = replace(account, disputes=disputes)
    if rejected:
        return look(account, desk, [*facts, DisputeAnswered(answered, 0, None)])
    return _given_back(account, answered, answer, facts, desk)


def _given_back(
    account: Account, dispute: Dispute, answer: Answer, facts: list[Fact], desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Cancel what was unpaid, credit double of what was paid."""
    disputed = _invoice(account, dispute.invoice_id)
    notes = [
        (answer.correction_ids[1], dispute.frozen_id, dispute.frozen_cents, ()),
        (answer.correction_ids[2], disputed.id, dispute.paid_cents, answer.shares),
    ]
    compensation_cents = 0
    if dispute.paid_cents and dispute.paid_on is not None:
        back = refund(dispute.paid_cents, dispute.paid_on, desk.now.date())
        compensation_cents = back.penalty_cents + back.interest_cents
    entry = None
    if compensation_cents:
        reference = f"dispute:{dispute.id}"
        entry = compensation_entry(reference, compensation_cents, account.subscriber_id, desk.now)
        account = replace(account, credit_cents=account.credit_cents + compensation_cents)
    facts = [*facts, DisputeAnswered(dispute, compensation_cents, entry)]
    for number, invoice_id, cents, shares in notes:
        if invoice_id is None or not cents:
            continue
        correction = _correction(
            number,
            CorrectionKind.CREDIT_NOTE,
            _invoice(account, invoice_id),
            cents,
            answer.author,
            answer.text,
            desk,
        )
        account, more = add_note(account, Correcting(correction, shares, _kind(disputed)), desk)
        facts += more
    account, used = use_credit(account, desk, f"dispute:{dispute.id}")
    account, more = look(account, desk, used)
    return account, (*facts, *more)


def _apart(
    account: Account, invoice: Invoice, cents: int, opening: Opening, desk: Desk
) -> tuple[Invoice, InvoiceCorrected]:
    """An invoice of the disputed part, and the disputed one without it and with time to pay."""
    (contract,) = (item for item in account.contracts if item.id == invoice.contract_id)
    policy, today = policy_of(contract, desk), desk.now.date()
    apart = Invoice(
        id=opening.frozen_id,
        contract_id=invoice.contract_id,
        due_on=invoice.due_on,
        issued_at=desk.now,
        lines=(Line(f"Parte contestada da fatura {invoice.id}", cents, Kind.INSTALMENT),),
    )
    correction = _correction(
        opening.correction_ids[0],
        CorrectionKind.CREDIT_NOTE,
        invoice,
        cents,
        opening.author,
        opening.reason,
        desk,
    )
    line = Line(f"Contestado, na fatura {apart.id}", -cents, Kind.INSTALMENT)
    later_on = max(invoice.due_on, today + timedelta(days=BILL_DAYS))
    rest = replace(with_line(invoice, line, policy, desk.calendar, today), due_on=later_on)
    # What was paid in time may be all that is asked for now.
    rest, allocation, _ = allocate(rest, 0, policy, desk.calendar, today)
    given = allocation if allocation.discount_cents else None
    entry = correction_entry(
        correction,
        line,
        [],
        (invoice, given) if given else None,
        account.subscriber_id,
        invoice.contract_id,
    )
    return apart, InvoiceCorrected(correction, (), given, 0, entry, rest)


def _due_on(frozen: Invoice, answer: Answer, today: date) -> date:
    earliest = today + timedelta(days=BILL_DAYS)
    if answer.due_on is not None and answer.due_on < earliest:
        raise Refused(
            f"the rejected part is due on {earliest} or later, {BILL_DAYS} days from now, not on"
            f" {answer.due_on}"
        )
    return answer.due_on or max(frozen.due_on, earliest)


def _kind(invoice: Invoice) -> Kind:
    """What most of the invoice charges for, and so which revenue an undue part of it was."""
    sums: Counter[Kind] = Counter()
    for line in invoice.lines:
        if not line.conditional and line.kind in _CHARGED:
            sums[line.kind] += line.amount_cents
    return max(sums, key=lambda kind: (sums[kind], kind))


def _correction(
    number: int,
    kind: CorrectionKind,
    invoice: Invoice,
    cents: int,
    author: str,
    reason: str,
    desk: Desk,
) -> Correction:
    return Correction(number, kind, invoice.id, cents, author, reason, desk.now)


def _invoice(account: Account, invoice_id: int) -> Invoice:
    for invoice in account.invoices:
        if invoice.id == invoice_id:
            return invoice
    raise Refused(
        f"subscriber {account.subscriber_id} has no invoice {invoice_id}; check the number"
    )
