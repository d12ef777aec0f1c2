"""Writing facts: each to its table, with its row for the audit chain and its word on a channel."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import bindparam, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store import chain
from api.store.access_tables import holds, notices, promises
from api.store.pen import Pen, Written
from api.store.record_access import write_judged
from api.store.record_agreed import write_agreed
from api.store.record_money import write_money
from api.store.record_rows import notice_item, notice_row
from billing.account import Account, Hold, Notice, Promise
from billing.events import (
    AccessDecided,
    CreditUsed,
    Fact,
    HoldEnded,
    HoldPlaced,
    InvoiceCorrected,
    InvoiceIssued,
    NoticeDrawn,
    NoticeProven,
    NoticeUnproven,
    PaymentAssigned,
    PaymentPosted,
    PaymentReversed,
    PromiseTaken,
    Reviewed,
    StageEntered,
    StageLeft,
)

_INSERT_HOLD = insert(holds)
_INSERT_NOTICE = insert(notices)
_INSERT_PROMISE = insert(promises)
_UPDATE_HOLD = update(holds).where(holds.c.id == bindparam("which"))
_UPDATE_NOTICE = update(notices).where(notices.c.id == bindparam("which"))


async def write(
    connection: AsyncConnection, payer: Account, facts: Sequence[Fact], correlation_id: str
) -> Written:
    """Write facts about a payer in their order, inside the caller's transaction."""
    pen = Pen(connection, payer.subscriber_id, correlation_id, Written())
    for fact in facts:
        await _write(pen, fact)
    return pen.written


async def _write(pen: Pen, fact: Fact) -> None:
    match fact:
        case (
            InvoiceIssued()
            | PaymentPosted()
            | PaymentAssigned()
            | CreditUsed()
            | PaymentReversed()
            | InvoiceCorrected()
        ):
            await write_money(pen, fact)
        case AccessDecided() | Reviewed() | StageEntered() | StageLeft():
            await write_judged(pen, fact)
        case NoticeDrawn(notice=notice):
            await _notice_drawn(pen, notice)
        case NoticeProven():
            await _notice_proven(pen, fact)
        case NoticeUnproven(notice_id=notice_id, reason=reason):
            await _notice_unproven(pen, notice_id, reason)
        case PromiseTaken(promise=promise):
            await _promise_taken(pen, promise)
        case HoldPlaced(hold=hold):
            await _hold_placed(pen, hold)
        case HoldEnded(hold=hold):
            await _hold_ended(pen, hold)
        case _:
            await write_agreed(pen, fact)


async def _notice_drawn(pen: Pen, notice: Notice) -> None:
    await pen.connection.execute(_INSERT_NOTICE, notice_row(pen.subscriber_id, notice))
    pen.written.notifications.append(("religa_notices", str(notice.id)))
    pen.written.audits.append(notice_item(pen.subscriber_id, notice))


async def _notice_proven(pen: Pen, fact: NoticeProven) -> None:
    # It may have been given up: the word that it was delivered comes late.
    proof = {
        "which": fact.notice_id,
        "state": "proven",
        "proven_at": fact.proven_at,
        "failed_at": None,
        "wait_until": None,
        "last_error": None,
    }
    await pen.connection.execute(_UPDATE_NOTICE, proof)
    pen.tell("notice.proven", f"notice:{fact.notice_id}", proven_at=fact.proven_at.isoformat())


async def _notice_unproven(pen: Pen, notice_id: int, reason: str) -> None:
    waiting = {"state": "drawn", "proven_at": None, "wait_until": None, "last_error": reason}
    await pen.connection.execute(_UPDATE_NOTICE, {"which": notice_id, **waiting})
    pen.written.notifications.append(("religa_notices", str(notice_id)))
    pen.tell("notice.unproven", f"notice:{notice_id}", reason=reason)


async def _promise_taken(pen: Pen, promise: Promise) -> None:
    row = asdict(promise)
    row |= {"author_kind": promise.author_kind.value, "state": promise.state.value}
    await pen.connection.execute(_INSERT_PROMISE, row)
    told = {name: value for name, value in row.items() if name != "debt_invoice_ids"}
    debt = list(promise.debt_invoice_ids)
    pen.tell(
        "promise.taken",
        f"contract:{promise.contract_id}",
        promise_id=promise.id,
        **chain.plain(told),
        debt_invoice_ids=debt,
    )


async def _hold_placed(pen: Pen, hold: Hold) -> None:
    await pen.connection.execute(_INSERT_HOLD, asdict(hold) | {"kind": hold.kind.value})
    pen.tell(
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


async def _hold_ended(pen: Pen, hold: Hold) -> None:
    who = {"ended_by": hold.ended_by, "end_reason": hold.end_reason}
    await pen.connection.execute(_UPDATE_HOLD, {"which": hold.id, "ended_at": hold.ended_at, **who})
    ended_at = hold.ended_at.isoformat() if hold.ended_at is not None else None
    pen.tell(
        "hold.ended",
        f"contract:{hold.contract_id}",
        hold_id=hold.id,
        ended_at=ended_at,
        **who,
    )
