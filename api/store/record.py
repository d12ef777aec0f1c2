"""Writing facts: each to its table, with its row for the audit chain and its word on a channel."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import assert_never

from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store import situations
from api.store.accounts import write_rungs
from api.store.audit import Item
from api.store.tables import (
    access_decisions,
    allocations,
    contracts,
    holds,
    invoice_lines,
    invoices,
    notices,
    payments,
    promises,
)
from billing.account import Account, Hold, Notice, Payment, Promise
from billing.events import (
    AccessDecided,
    Allocation,
    CreditUsed,
    Fact,
    HoldPlaced,
    InvoiceChanged,
    InvoiceIssued,
    NoticeDrawn,
    NoticeProven,
    PaymentPosted,
    PromiseTaken,
    Reviewed,
)
from billing.invoice import Invoice
from billing.ladder import Verdict
from billing.ledger import Entry

# Built once: building a statement anew costs more than running it.
_ENTRY = text("""
with entry as (
    insert into ledger_entries (kind, at, reference, correlation_id)
    values (:kind, :at, :reference, :correlation_id) returning id
)
insert into ledger_postings (entry_id, position, account, cents)
select entry.id, part.n - 1, part.account, part.cents
from entry, unnest(cast(:accounts as text[]), cast(:cents as bigint[]))
    with ordinality as part(account, cents, n)
returning entry_id
""")
_INSERT_ALLOCATION = insert(allocations)
_INSERT_DECISION = insert(access_decisions)
_INSERT_HOLD = insert(holds)
_INSERT_INVOICE = insert(invoices)
_INSERT_LINE = insert(invoice_lines)
_INSERT_NOTICE = insert(notices)
_INSERT_PAYMENT = insert(payments)
_INSERT_PROMISE = insert(promises)
_UPDATE_CONTRACT = update(contracts).where(contracts.c.id == bindparam("which"))
_UPDATE_INVOICE = update(invoices).where(invoices.c.id == bindparam("which"))
_UPDATE_NOTICE = update(notices).where(notices.c.id == bindparam("which"))


@dataclass(frozen=True, slots=True)
class Written:
    """What recording leaves for the end of the transaction."""

    audits: list[Item] = field(default_factory=list)
    notifications: list[tuple[str, str]] = field(default_factory=list)

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
    entry_id = await _post(connection, entry, correlation_id)
    # The invoice that it names may not exist.
    named = select(invoices.c.id).where(invoices.c.id == payment.invoice_id).scalar_subquery()
    row = _payment_row(payment, entry_id, correlation_id)
    row |= {"state": "suspense", "suspense_reason": reason, "invoice_id": named}
    await connection.execute(insert(payments).values(row))
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
            case InvoiceChanged(invoice=invoice):
                standing = {"which": invoice.id, **_invoice_standing(invoice)}
                await self.connection.execute(_UPDATE_INVOICE, standing)
            case PaymentPosted():
                await self._payment_posted(fact)
            case CreditUsed(allocation=allocation, entry=entry):
                await self._credit_used(allocation, entry)
            case NoticeDrawn(notice=notice):
                await self._notice_drawn(notice)
            case NoticeProven(notice_id=notice_id, proven_at=proven_at):
                proof = {"which": notice_id, "state": "proven", "proven_at": proven_at}
                await self.connection.execute(_UPDATE_NOTICE, proof)
                self.written.tell(
                    "notice.proven", f"notice:{notice_id}", proven_at=proven_at.isoformat()
                )
            case PromiseTaken(promise=promise):
                await self._promise_taken(promise)
            case HoldPlaced(hold=hold):
                await self._hold_placed(hold)
            case AccessDecided():
                await self._access_decided(fact)
            case Reviewed(contract_id=contract_id, verdict=verdict):
                await self.connection.execute(
                    _UPDATE_CONTRACT, {"which": contract_id, **_last_look(verdict)}
                )
            case _:
                assert_never(fact)

    async def _invoice_issued(self, invoice: Invoice, entry: Entry) -> None:
        await self.connection.execute(
            _INSERT_INVOICE,
            {
                "id": invoice.id,
                "contract_id": invoice.contract_id,
                "due_on": invoice.due_on,
                "issued_at": invoice.issued_at,
                "amount_cents": invoice.amount_cents,
                **_invoice_standing(invoice),
            },
        )
        lines = [
            {"invoice_id": invoice.id, "position": n, **asdict(line)}
            for n, line in enumerate(invoice.lines)
        ]
        await self.connection.execute(_INSERT_LINE, lines)
        await _post(self.connection, entry, self.correlation_id)
        self.written.tell(
            "invoice.issued",
            f"invoice:{invoice.id}",
            contract_id=invoice.contract_id,
            due_on=invoice.due_on.isoformat(),
            amount_cents=invoice.amount_cents,
        )

    async def _payment_posted(self, fact: PaymentPosted) -> None:
        payment = fact.payment
        entry_id = await _post(self.connection, fact.entry, self.correlation_id)
        row = _payment_row(payment, entry_id, self.correlation_id)
        row |= {"subscriber_id": self.subscriber_id, "credit_cents": fact.credit_cents}
        await self.connection.execute(_INSERT_PAYMENT, row)
        if fact.allocations:
            rows = [{"payment_id": payment.id, **asdict(a)} for a in fact.allocations]
            await self.connection.execute(_INSERT_ALLOCATION, rows)
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

    async def _credit_used(self, allocation: Allocation, entry: Entry) -> None:
        await _post(self.connection, entry, self.correlation_id)
        row = {"payment_id": None, **asdict(allocation)}
        await self.connection.execute(_INSERT_ALLOCATION, row)
        self.written.tell("credit.used", f"invoice:{allocation.invoice_id}", **asdict(allocation))

    async def _notice_drawn(self, notice: Notice) -> None:
        amounts = {str(invoice_id): cents for invoice_id, cents in notice.amounts_cents.items()}
        await self.connection.execute(
            _INSERT_NOTICE,
            {
                "id": notice.id,
                "subscriber_id": self.subscriber_id,
                "drawn_at": notice.drawn_at,
                "amounts_cents": amounts,
            },
        )
        self.written.notifications.append(("religa_notices", str(notice.id)))
        self.written.tell(
            "notice.drawn",
            f"notice:{notice.id}",
            subscriber_id=self.subscriber_id,
            amounts_cents=amounts,
        )

    async def _promise_taken(self, promise: Promise) -> None:
        await self.connection.execute(_INSERT_PROMISE, asdict(promise))
        self.written.tell(
            "promise.taken",
            f"contract:{promise.contract_id}",
            promise_id=promise.id,
            until_on=promise.until_on.isoformat(),
            author=promise.author,
            debt_invoice_ids=list(promise.debt_invoice_ids),
        )

    async def _hold_placed(self, hold: Hold) -> None:
        await self.connection.execute(_INSERT_HOLD, asdict(hold))
        self.written.tell(
            "hold.placed",
            f"contract:{hold.contract_id}",
            hold_id=hold.id,
            author=hold.author,
            reason=hold.reason,
            expires_at=hold.expires_at.isoformat(),
        )

    async def _access_decided(self, fact: AccessDecided) -> None:
        verdict, until = fact.verdict, fact.quota_spent_until
        look = _last_look(verdict)
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
                "situation": situations.write(fact.situation, fact.meter),
                "decided_at": fact.since,
                "quota_spent_until": fact.quota_spent_until,
                "correlation_id": self.correlation_id,
                **look,
                "reason": fact.reason,
            },
        )
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
            counted_cents=verdict.counted_cents,
            notice_id=verdict.notice_id,
            policy=f"{verdict.policy_name}@{verdict.policy_version}",
        )


async def _post(connection: AsyncConnection, entry: Entry, correlation_id: str) -> int:
    posted = await connection.execute(
        _ENTRY,
        {
            "kind": entry.kind,
            "at": entry.at,
            "reference": entry.reference,
            "correlation_id": correlation_id,
            "accounts": [posting.account for posting in entry.postings],
            "cents": [posting.cents for posting in entry.postings],
        },
    )
    entry_id: int = posted.scalars().all()[0]
    return entry_id


def _last_look(verdict: Verdict) -> dict[str, object]:
    return {
        "reason": verdict.reason,
        "rungs": write_rungs(verdict.rungs),
        "review_on": verdict.review_on,
    }


def _invoice_standing(invoice: Invoice) -> dict[str, object]:
    return {
        "state": invoice.state,
        "paid_cents": invoice.paid_cents,
        "fine_paid_cents": invoice.fine_paid_cents,
        "interest_paid_cents": invoice.interest_paid_cents,
        "fine_base_cents": invoice.fine_base_cents,
        "interest_accrued_cents": invoice.interest_accrued_cents,
        "interest_since": invoice.interest_since,
    }


def _payment_row(payment: Payment, entry_id: int, correlation_id: str) -> dict[str, object]:
    return {**asdict(payment), "entry_id": entry_id, "correlation_id": correlation_id}
