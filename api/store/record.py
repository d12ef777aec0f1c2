"""Writing facts: each to its table, with its row for the audit chain and its word on a channel."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, assert_never

from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store import chain, holidays, situations
from api.store.audit import Item
from api.store.guard_rows import SEVERITY
from api.store.invoices import standing_of
from api.store.ladder_tables import contract_stages
from api.store.message_tables import payment_receipts
from api.store.record_agreed import write_agreed
from api.store.rungs import write_rungs
from api.store.tables import (
    access_decisions,
    allocations,
    contracts,
    corrections,
    holds,
    invoice_lines,
    invoices,
    notices,
    payments,
    promises,
    reversals,
)
from billing.access import Level
from billing.account import (
    Account,
    CorrectionKind,
    Hold,
    Notice,
    Payment,
    Promise,
    Reversal,
)
from billing.events import (
    AccessDecided,
    AgreementAccepted,
    AgreementBroken,
    AgreementMoved,
    AgreementOffered,
    Allocation,
    CreditUsed,
    DisputeAnswered,
    DisputeOpened,
    Fact,
    HoldEnded,
    HoldPlaced,
    InvoiceCorrected,
    InvoiceIssued,
    NoticeDrawn,
    NoticeProven,
    NoticeUnproven,
    PauseEnded,
    PauseTaken,
    PaymentAssigned,
    PaymentPosted,
    PaymentReversed,
    PromiseSettled,
    PromiseTaken,
    Reviewed,
    StageEntered,
    StageLeft,
)
from billing.invoice import Invoice, Share
from billing.ladder import Verdict
from billing.ledger import Entry

Row = dict[str, Any]

# Built once: building a statement anew costs more than running it.
_ENTRY = text("""
with entry as (
    insert into ledger_entries (kind, at, reference, correlation_id, document)
    values (:kind, :at, :reference, :correlation_id, cast(:document as jsonb))
    returning id, recorded_wall
)
insert into ledger_postings (entry_id, position, account, cents)
select entry.id, part.n - 1, part.account, part.cents
from entry, unnest(cast(:accounts as text[]), cast(:cents as bigint[]))
    with ordinality as part(account, cents, n)
returning entry_id, (select recorded_wall from entry)
""")
# Counted whoever decides it, with what stood before; the customer's own suspension is no cut.
_COUNT_CUT = text(f"""
insert into cuts (contract_id, generation, at, level_before, rungs_before)
select id, :generation, :at, level, rungs from contracts
 where id = :contract_id
   and {SEVERITY.format("level")} < {SEVERITY.format("cast(:level as text)")}
""")  # noqa: S608 -- no text but our own constants
_INSERT_ALLOCATION = insert(allocations)
_INSERT_CORRECTION = insert(corrections)
_INSERT_DECISION = insert(access_decisions)
_INSERT_HOLD = insert(holds)
_INSERT_INVOICE = insert(invoices)
_INSERT_LINE = insert(invoice_lines)
_INSERT_NOTICE = insert(notices)
_INSERT_PAYMENT = insert(payments)
_INSERT_PROMISE = insert(promises)
_INSERT_RECEIPT = insert(payment_receipts)
_INSERT_REVERSAL = insert(reversals)
_INSERT_STAGE = insert(contract_stages)
_LEAVE_STAGE = update(contract_stages).where(
    contract_stages.c.contract_id == bindparam("which"),
    contract_stages.c.stage == bindparam("over"),
    contract_stages.c.left_at.is_(None),
)
_UPDATE_CONTRACT = update(contracts).where(contracts.c.id == bindparam("which"))
_UPDATE_HOLD = update(holds).where(holds.c.id == bindparam("which"))
_UPDATE_INVOICE = update(invoices).where(invoices.c.id == bindparam("which"))
_UPDATE_PAYMENT = update(payments).where(payments.c.id == bindparam("which"))
_UPDATE_NOTICE = update(notices).where(notices.c.id == bindparam("which"))


@dataclass(frozen=True, slots=True)
class Written:
    """What recording leaves for the end of the transaction."""

    audits: list[Item] = field(default_factory=list)
    notifications: list[tuple[str, str]] = field(default_factory=list)
    entries: list[chain.Unsealed] = field(default_factory=list)

    def tell(self, action: str, subject: str, **data: object) -> None:
        self.audits.append(Item(action, subject, data))


async def write(
    connection: AsyncConnection, payer: Account, facts: Sequence[Fact], correlation_id: str
) -> Written:
    """Write facts about a payer in their order, inside the caller's transaction."""
    pen = _Pen(connection, payer.subscriber_id, correlation_id, Written())
    for fact in facts:
        await pen.write(fact)
    return pen.written


async def write_suspense(
    connection: AsyncConnection, payment: Payment, reason: str, entry: Entry, correlation_id: str
) -> Written:
    """Write a payment that nobody can be credited with yet (invariant M15)."""
    written = Written()
    # The invoice that it names may not exist.
    found = select(invoices.c.id).where(invoices.c.id == payment.invoice_id)
    row = _payment_row(payment, correlation_id) | {
        "subscriber_id": None,
        "credit_cents": 0,
        "state": "suspense",
        "suspense_reason": reason,
        "invoice_id": await connection.scalar(found),
    }
    entry_id = await _post(connection, entry, correlation_id, {"payments": [row]}, written)
    await connection.execute(_INSERT_PAYMENT, row | {"entry_id": entry_id})
    written.tell(
        "payment.suspended",
        f"payment:{payment.id}",
        provider=payment.provider,
        external_id=payment.external_id,
        amount_cents=payment.amount_cents,
        invoice_id=payment.invoice_id,
        reason=reason,
    )
    return written


async def write_suspense_reversal(
    connection: AsyncConnection, reversal: Reversal, entry: Entry, correlation_id: str
) -> Written:
    """Write that money which waited in suspense went back."""
    written = Written()
    row = _reversal_row(reversal, 0, correlation_id)
    entry_id = await _post(connection, entry, correlation_id, {"reversals": [row]}, written)
    await connection.execute(_INSERT_REVERSAL, row | {"entry_id": entry_id})
    written.tell(
        "payment.reversed",
        f"payment:{reversal.payment_id}",
        kind=reversal.kind.value,
        external_id=reversal.external_id,
        amount_cents=reversal.amount_cents,
        credit_cents=0,
        author=reversal.author,
        reason=reversal.reason,
        reopened={},
    )
    return written


@dataclass(frozen=True, slots=True)
class _Pen:
    connection: AsyncConnection
    subscriber_id: int
    correlation_id: str
    written: Written

    async def write(self, fact: Fact) -> None:
        match fact:
            case InvoiceIssued(invoice=invoice, entry=entry):
                await self._invoice_issued(invoice, entry)
            case PaymentPosted():
                await self._payment_posted(fact)
            case PaymentAssigned():
                await self._payment_assigned(fact)
            case CreditUsed():
                await self._credit_used(fact)
            case PaymentReversed():
                await self._payment_reversed(fact)
            case InvoiceCorrected():
                await self._invoice_corrected(fact)
            case NoticeDrawn(notice=notice):
                await self._notice_drawn(notice)
            case NoticeProven(notice_id=notice_id, proven_at=proven_at):
                proof = {"which": notice_id, "state": "proven", "proven_at": proven_at}
                await self.connection.execute(_UPDATE_NOTICE, proof)
                self.written.tell(
                    "notice.proven", f"notice:{notice_id}", proven_at=proven_at.isoformat()
                )
            case NoticeUnproven(notice_id=notice_id, reason=reason):
                await self._notice_unproven(notice_id, reason)
            case PromiseTaken(promise=promise):
                await self._promise_taken(promise)
            case HoldPlaced(hold=hold):
                await self._hold_placed(hold)
            case HoldEnded(hold=hold):
                await self._hold_ended(hold)
            case (
                PromiseSettled()
                | AgreementOffered()
                | AgreementMoved()
                | AgreementAccepted()
                | AgreementBroken()
                | DisputeOpened()
                | DisputeAnswered()
                | PauseTaken()
                | PauseEnded()
            ):
                await write_agreed(self.connection, fact, self._post, self._tell)
            case AccessDecided():
                await self._access_decided(fact)
            case Reviewed(contract_id=contract_id, verdict=verdict):
                await self.connection.execute(
                    _UPDATE_CONTRACT, {"which": contract_id, **last_look(verdict)}
                )
            case StageEntered():
                await self._stage_entered(fact)
            case StageLeft():
                left = {"left_at": fact.at, "left_reason": fact.reason}
                await self.connection.execute(
                    _LEAVE_STAGE, {"which": fact.contract_id, "over": fact.stage.value, **left}
                )
                self.written.tell(
                    "stage.left",
                    f"contract:{fact.contract_id}",
                    stage=fact.stage.value,
                    reason=fact.reason,
                )
            case _:
                assert_never(fact)

    async def _invoice_issued(self, invoice: Invoice, entry: Entry) -> None:
        row, lines = invoice_rows(invoice)
        await self.connection.execute(_INSERT_INVOICE, row)
        await self.connection.execute(_INSERT_LINE, lines)
        await self._post(entry, invoices=[row], invoice_lines=lines)
        self.written.audits.append(issued_item(invoice))

    async def _payment_posted(self, fact: PaymentPosted) -> None:
        payment = fact.payment
        row = _payment_row(payment, self.correlation_id) | {
            "subscriber_id": self.subscriber_id,
            "credit_cents": fact.credit_cents,
            "state": "posted",
            "suspense_reason": None,
        }
        shares = [allocation_row(payment.id, item) for item in fact.allocations]
        standings = [_standing(invoice) for invoice in fact.invoices]
        entry_id = await self._post(
            fact.entry, payments=[row], allocations=shares, invoices=standings
        )
        await self.connection.execute(_INSERT_PAYMENT, row | {"entry_id": entry_id})
        await self._allocate(shares, standings)
        await self.connection.execute(_INSERT_RECEIPT, {"payment_id": payment.id})
        self.written.tell(
            "payment.posted",
            f"payment:{payment.id}",
            subscriber_id=self.subscriber_id,
            provider=payment.provider,
            external_id=payment.external_id,
            amount_cents=payment.amount_cents,
            credit_cents=fact.credit_cents,
            allocations=[asdict(a) for a in fact.allocations],
        )

    async def _payment_assigned(self, fact: PaymentAssigned) -> None:
        payment = fact.payment
        row: dict[str, object] = {
            "id": payment.id,
            "subscriber_id": self.subscriber_id,
            "credit_cents": fact.credit_cents,
            "state": "posted",
            "invoice_id": payment.invoice_id,
            "bill_id": payment.bill_id,
        }
        shares = [allocation_row(payment.id, item) for item in fact.allocations]
        standings = [_standing(invoice) for invoice in fact.invoices]
        await self._post(fact.entry, payments=[row], allocations=shares, invoices=standings)
        await self.connection.execute(_UPDATE_PAYMENT, {"which": payment.id, **_without_id(row)})
        await self._allocate(shares, standings)
        await self.connection.execute(_INSERT_RECEIPT, {"payment_id": payment.id})
        self.written.tell(
            "payment.assigned",
            f"payment:{payment.id}",
            subscriber_id=self.subscriber_id,
            credit_cents=fact.credit_cents,
            allocations=[asdict(a) for a in fact.allocations],
        )

    async def _credit_used(self, fact: CreditUsed) -> None:
        share, standing = allocation_row(None, fact.allocation), _standing(fact.invoice)
        await self._post(fact.entry, allocations=[share], invoices=[standing])
        await self._allocate([share], [standing])
        self.written.audits.append(credit_item(fact.allocation))

    async def _payment_reversed(self, fact: PaymentReversed) -> None:
        reversal = fact.reversal
        row = _reversal_row(reversal, fact.credit_cents, self.correlation_id)
        shares = [_taken_row(share, "reversal_id", reversal.id) for share in fact.taken]
        standings = [_standing(invoice) for invoice in fact.invoices]
        entry_id = await self._post(
            fact.entry, reversals=[row], allocations=shares, invoices=standings
        )
        await self.connection.execute(_INSERT_REVERSAL, row | {"entry_id": entry_id})
        await self._allocate(shares, standings)
        self.written.tell(
            "payment.reversed",
            f"payment:{reversal.payment_id}",
            kind=reversal.kind.value,
            external_id=reversal.external_id,
            amount_cents=reversal.amount_cents,
            credit_cents=fact.credit_cents,
            author=reversal.author,
            reason=reversal.reason,
            reopened={str(i.id): i.due_on.isoformat() for i in fact.invoices},
        )

    async def _invoice_corrected(self, fact: InvoiceCorrected) -> None:
        correction, invoice = fact.correction, fact.invoice
        row: dict[str, object] = {
            **asdict(correction),
            "kind": correction.kind.value,
            "credit_cents": fact.credit_cents,
            "correlation_id": self.correlation_id,
        }
        shares = [_taken_row(share, "correction_id", correction.id) for share in fact.taken]
        if fact.given is not None:
            shares.append(allocation_row(None, fact.given))
        lines = []
        if correction.kind in (CorrectionKind.CREDIT_NOTE, CorrectionKind.DEBIT_NOTE):
            lines.append(_line_row(invoice, len(invoice.lines) - 1))
            await self.connection.execute(_INSERT_LINE, lines)
        entry_id = await self._post(
            fact.entry,
            corrections=[row],
            allocations=shares,
            invoices=[_standing(invoice)],
            invoice_lines=lines,
        )
        await self.connection.execute(_INSERT_CORRECTION, row | {"entry_id": entry_id})
        await self._allocate(shares, [_standing(invoice)])
        self.written.tell(
            f"invoice.{correction.kind.value}",
            f"invoice:{invoice.id}",
            correction_id=correction.id,
            amount_cents=correction.amount_cents,
            credit_cents=fact.credit_cents,
            author=correction.author,
            reason=correction.reason,
        )

    async def _allocate(self, shares: Sequence[Row], standings: Sequence[Row]) -> None:
        if shares:
            await self.connection.execute(_INSERT_ALLOCATION, list(shares))
        for row in standings:
            await self.connection.execute(_UPDATE_INVOICE, {"which": row["id"], **_without_id(row)})

    def _tell(self, action: str, subject: str, data: dict[str, object]) -> None:
        self.written.audits.append(Item(action, subject, data))

    async def _post(self, entry: Entry, **rows: Sequence[Row]) -> int:
        return await _post(self.connection, entry, self.correlation_id, rows, self.written)

    async def _notice_drawn(self, notice: Notice) -> None:
        await self.connection.execute(_INSERT_NOTICE, notice_row(self.subscriber_id, notice))
        self.written.notifications.append(("religa_notices", str(notice.id)))
        self.written.audits.append(notice_item(self.subscriber_id, notice))

    async def _notice_unproven(self, notice_id: int, reason: str) -> None:
        waiting = {"state": "drawn", "proven_at": None, "wait_until": None, "last_error": reason}
        await self.connection.execute(_UPDATE_NOTICE, {"which": notice_id, **waiting})
        self.written.notifications.append(("religa_notices", str(notice_id)))
        self.written.tell("notice.unproven", f"notice:{notice_id}", reason=reason)

    async def _promise_taken(self, promise: Promise) -> None:
        row = asdict(promise)
        row |= {"author_kind": promise.author_kind.value, "state": promise.state.value}
        await self.connection.execute(_INSERT_PROMISE, row)
        self.written.tell(
            "promise.taken",
            f"contract:{promise.contract_id}",
            promise_id=promise.id,
            until_on=promise.until_on.isoformat(),
            author=promise.author,
            author_kind=promise.author_kind.value,
            debt_invoice_ids=list(promise.debt_invoice_ids),
        )

    async def _hold_placed(self, hold: Hold) -> None:
        await self.connection.execute(_INSERT_HOLD, asdict(hold) | {"kind": hold.kind.value})
        self.written.tell(
            "hold.placed",
            f"contract:{hold.contract_id}",
            hold_id=hold.id,
            contract_id=hold.contract_id,
            kind=hold.kind.value,
            author=hold.author,
            reason=hold.reason,
            placed_at=hold.placed_at.isoformat(),
            expires_at=hold.expires_at.isoformat(),
        )

    async def _hold_ended(self, hold: Hold) -> None:
        who = {"ended_by": hold.ended_by, "end_reason": hold.end_reason}
        await self.connection.execute(
            _UPDATE_HOLD, {"which": hold.id, "ended_at": hold.ended_at, **who}
        )
        ended_at = hold.ended_at.isoformat() if hold.ended_at is not None else None
        self.written.tell(
            "hold.ended",
            f"contract:{hold.contract_id}",
            hold_id=hold.id,
            ended_at=ended_at,
            **who,
        )

    async def _access_decided(self, fact: AccessDecided) -> None:
        verdict, until = fact.verdict, fact.quota_spent_until
        look = last_look(verdict)
        await self.connection.execute(
            _INSERT_DECISION,
            {
                "contract_id": fact.contract_id,
                "generation": fact.generation,
                "level": fact.access.level,
                "rate_down_bps": fact.access.rate_down_bps,
                "rate_up_bps": fact.access.rate_up_bps,
                "step": verdict.step,
                "invoice_ids": list(verdict.invoice_ids),
                "counted_cents": verdict.counted_cents,
                "notice_id": verdict.notice_id,
                "policy": verdict.policy_name,
                "policy_version": verdict.policy_version,
                "situation": situations.write(fact.situation, fact.meter)
                | holidays.named(fact.calendar),
                "decided_at": fact.since,
                "quota_spent_until": fact.quota_spent_until,
                "correlation_id": self.correlation_id,
                **look,
                "reason": fact.reason,
            },
        )
        if fact.access.level is not Level.FULL and verdict.reason != "paused":
            counted = {
                "contract_id": fact.contract_id,
                "generation": fact.generation,
                "level": fact.access.level.value,
                "at": fact.since,
            }
            await self.connection.execute(_COUNT_CUT, counted)
        standing = {
            "which": fact.contract_id,
            "level": fact.access.level,
            "generation": fact.generation,
            "since": fact.since,
            "quota_spent_until": fact.quota_spent_until,
            **look,
        }
        await self.connection.execute(_UPDATE_CONTRACT, standing)
        self.written.notifications.append(("religa_access", str(fact.contract_id)))
        self.written.tell(
            "access.decided",
            f"contract:{fact.contract_id}",
            generation=fact.generation,
            level=fact.access.level,
            reason=fact.reason,
            quota_spent_until=until.isoformat() if until is not None else None,
            invoice_ids=list(verdict.invoice_ids),
            amounts_cents=list(verdict.amounts_cents),
            counted_cents=verdict.counted_cents,
            notice_id=verdict.notice_id,
            policy=f"{verdict.policy_name}@{verdict.policy_version}",
        )

    async def _stage_entered(self, fact: StageEntered) -> None:
        verdict = fact.verdict
        counted = {
            "stage": fact.stage.value,
            "invoice_ids": list(verdict.invoice_ids),
            "amounts_cents": list(verdict.amounts_cents),
            "counted_cents": verdict.counted_cents,
            "notice_id": verdict.notice_id,
        }
        row = counted | {
            "contract_id": fact.contract_id,
            "entered_at": fact.at,
            "policy": verdict.policy_name,
            "policy_version": verdict.policy_version,
            "situation": situations.write(fact.situation, None),
            "correlation_id": self.correlation_id,
        }
        await self.connection.execute(_INSERT_STAGE, row)
        self.written.tell(
            "stage.entered",
            f"contract:{fact.contract_id}",
            **counted,
            policy=f"{verdict.policy_name}@{verdict.policy_version}",
        )


async def _post(
    connection: AsyncConnection,
    entry: Entry,
    correlation_id: str,
    rows: Mapping[str, Sequence[Row]],
    written: Written,
) -> int:
    """Write an entry with the rows that come with it, and leave it to be sealed."""
    document = chain.document(rows)
    posted = await connection.execute(
        _ENTRY,
        {
            "kind": entry.kind,
            "at": entry.at,
            "reference": entry.reference,
            "correlation_id": correlation_id,
            "accounts": [posting.account for posting in entry.postings],
            "cents": [posting.cents for posting in entry.postings],
            "document": json.dumps(document),
        },
    )
    entry_id, recorded_wall = posted.all()[0]
    written.entries.append(chain.Unsealed(entry_id, entry, correlation_id, recorded_wall, document))
    return int(entry_id)


def issued_item(invoice: Invoice) -> Item:
    """What the audit log says of a new invoice."""
    data = {
        "contract_id": invoice.contract_id,
        "due_on": invoice.due_on.isoformat(),
        "amount_cents": invoice.amount_cents,
    }
    return Item("invoice.issued", f"invoice:{invoice.id}", data)


def credit_item(allocation: Allocation) -> Item:
    """What it says of credit that paid of an invoice."""
    return Item("credit.used", f"invoice:{allocation.invoice_id}", asdict(allocation))


def notice_row(subscriber_id: int, notice: Notice) -> Row:
    """The row of a newly drawn notice."""
    return {
        "id": notice.id,
        "subscriber_id": subscriber_id,
        "drawn_at": notice.drawn_at,
        "amounts_cents": _amounts(notice),
    }


def notice_item(subscriber_id: int, notice: Notice) -> Item:
    """What the audit log says of it."""
    data = {"subscriber_id": subscriber_id, "amounts_cents": _amounts(notice)}
    return Item("notice.drawn", f"notice:{notice.id}", data)


def _amounts(notice: Notice) -> dict[str, int]:
    return {str(invoice_id): cents for invoice_id, cents in notice.amounts_cents.items()}


def last_look(verdict: Verdict) -> dict[str, object]:
    return {
        "reason": verdict.reason,
        "rungs": write_rungs(verdict.rungs),
        "review_on": verdict.review_on,
    }


def _payment_row(payment: Payment, correlation_id: str) -> dict[str, object]:
    return {**asdict(payment), "correlation_id": correlation_id}


def invoice_rows(invoice: Invoice) -> tuple[Row, list[Row]]:
    """The rows of a newly issued invoice: of `invoices`, and of `invoice_lines`."""
    row = {
        "id": invoice.id,
        "contract_id": invoice.contract_id,
        "issued_at": invoice.issued_at,
        "bill_id": invoice.bill_id,
        **standing_of(invoice),
    }
    return row, [_line_row(invoice, n) for n in range(len(invoice.lines))]


def _line_row(invoice: Invoice, position: int) -> Row:
    line = invoice.lines[position]
    return {
        "invoice_id": invoice.id,
        "position": position,
        "description": line.description,
        "amount_cents": line.amount_cents,
        "kind": line.kind.value,
        "service": line.service,
        "from_on": line.from_on,
        "until_on": line.until_on,
        "conditional": line.conditional,
    }


def allocation_row(payment_id: int | None, allocation: Allocation) -> Row:
    """The row of an allocation. `payment_id` None: from customer credit."""
    return {
        "payment_id": payment_id,
        **asdict(allocation),
        "reversal_id": None,
        "correction_id": None,
    }


def _taken_row(share: Share, cause: str, cause_id: int) -> Row:
    part = share.allocation
    taken = Allocation(part.invoice_id, 0, 0, 0).plus(part, -1)
    return allocation_row(share.payment_id, taken) | {cause: cause_id}


def _standing(invoice: Invoice) -> Row:
    return {"id": invoice.id, **standing_of(invoice)}


def _reversal_row(reversal: Reversal, credit_cents: int, correlation_id: str) -> Row:
    return {
        **asdict(reversal),
        "kind": reversal.kind.value,
        "credit_cents": credit_cents,
        "correlation_id": correlation_id,
    }


def _without_id(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "id"}
