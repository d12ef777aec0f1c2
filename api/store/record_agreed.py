"""Writing facts of promises, agreements, disputes and pauses."""

from collections.abc import Awaitable, Callable
from typing import assert_never

from sqlalchemy import bindparam, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.renegotiation import agreement_row, agreements, dispute_row, disputes, pauses
from api.store.tables import promises
from billing.agreement import Agreement
from billing.events import (
    AgreementAccepted,
    AgreementBroken,
    AgreementMoved,
    AgreementOffered,
    DisputeAnswered,
    DisputeOpened,
    PauseEnded,
    PauseTaken,
    PromiseSettled,
)
from billing.ledger import Entry

Told = (
    PromiseSettled
    | AgreementOffered
    | AgreementMoved
    | AgreementAccepted
    | AgreementBroken
    | DisputeOpened
    | DisputeAnswered
    | PauseTaken
    | PauseEnded
)
Post = Callable[[Entry], Awaitable[int]]
Tell = Callable[[str, str, dict[str, object]], None]

_MOVED = ("state", "approved_by", "accepted_at", "invoice_ids", "rungs", "settled_at")
_UPDATE_AGREEMENT = update(agreements).where(agreements.c.id == bindparam("which"))
_UPDATE_DISPUTE = update(disputes).where(disputes.c.id == bindparam("which"))
_UPDATE_PAUSE = update(pauses).where(pauses.c.id == bindparam("which"))
_UPDATE_PROMISE = update(promises).where(promises.c.id == bindparam("which"))


async def write_agreed(connection: AsyncConnection, fact: Told, post: Post, tell: Tell) -> None:
    """Write one of these facts; `post` writes an entry, `tell` adds a row to the audit chain."""
    match fact:
        case PromiseSettled(promise=promise):
            settled = {"state": promise.state.value, "settled_at": promise.settled_at}
            await connection.execute(_UPDATE_PROMISE, {"which": promise.id, **settled})
            tell(
                f"promise.{promise.state.value}",
                f"contract:{promise.contract_id}",
                {"promise_id": promise.id, "until_on": promise.until_on.isoformat()},
            )
        case AgreementOffered(agreement=agreement):
            row = agreement_row(agreement)
            await connection.execute(insert(agreements), row)
            asked = {"proposal": row["proposal"], "simulation": row["simulation"]}
            _tell(tell, "agreement.offered", agreement, state=agreement.state.value, **asked)
        case AgreementMoved(agreement=agreement):
            await _move(connection, agreement)
            action = "approved" if agreement.settled_at is None else agreement.state.value
            _tell(tell, f"agreement.{action}", agreement, approved_by=agreement.approved_by)
        case AgreementAccepted(agreement=agreement, author=author, entry=entry):
            await _move(connection, agreement, accepted_by=author)
            if entry is not None:
                await post(entry)
            _tell(
                tell,
                "agreement.accepted",
                agreement,
                accepted_by=author,
                old_invoice_ids=sorted(agreement.old_invoice_ids),
                invoice_ids=list(agreement.invoice_ids),
            )
        case AgreementBroken(agreement=agreement, entry=entry):
            await _move(connection, agreement)
            if entry is not None:
                await post(entry)
            _tell(
                tell,
                "agreement.broken",
                agreement,
                restored=sorted(agreement.old_invoice_ids),
                void=list(agreement.invoice_ids),
            )
        case DisputeOpened(dispute=dispute):
            await connection.execute(insert(disputes), dispute_row(dispute))
            tell(
                "dispute.opened",
                f"invoice:{dispute.invoice_id}",
                {
                    "dispute_id": dispute.id,
                    "cents": dispute.cents,
                    "frozen_cents": dispute.frozen_cents,
                    "frozen_id": dispute.frozen_id,
                    "author": dispute.author,
                    "reason": dispute.reason,
                },
            )
        case DisputeAnswered(dispute=dispute, compensation_cents=cents, entry=entry):
            row = dispute_row(dispute)
            answer = {name: row[name] for name in ("state", "answer", "answered_by", "answered_at")}
            await connection.execute(
                _UPDATE_DISPUTE, {"which": dispute.id, **answer, "compensation_cents": cents}
            )
            if entry is not None:
                await post(entry)
            tell(
                f"dispute.{dispute.state.value}",
                f"invoice:{dispute.invoice_id}",
                {
                    "dispute_id": dispute.id,
                    "answer": dispute.answer,
                    "answered_by": dispute.answered_by,
                    "compensation_cents": cents,
                },
            )
        case PauseTaken(pause=pause):
            row = {
                "id": pause.id,
                "contract_id": pause.contract_id,
                "asked_at": pause.asked_at,
                "author": pause.author,
                "from_on": pause.from_on,
                "until_on": pause.until_on,
            }
            await connection.execute(insert(pauses), row)
            tell(
                "pause.taken",
                f"contract:{pause.contract_id}",
                {
                    "pause_id": pause.id,
                    "author": pause.author,
                    "from_on": pause.from_on.isoformat(),
                    "until_on": pause.until_on.isoformat(),
                },
            )
        case PauseEnded(pause=pause):
            await connection.execute(_UPDATE_PAUSE, {"which": pause.id, "ended_at": pause.ended_at})
            tell("pause.ended", f"contract:{pause.contract_id}", {"pause_id": pause.id})
        case _:
            assert_never(fact)


async def _move(connection: AsyncConnection, agreement: Agreement, **more: object) -> None:
    row = agreement_row(agreement)
    moved = {name: row[name] for name in _MOVED}
    await connection.execute(_UPDATE_AGREEMENT, {"which": agreement.id, **moved, **more})


def _tell(tell: Tell, action: str, agreement: Agreement, **data: object) -> None:
    tell(action, f"contract:{agreement.contract_id}", {"agreement_id": agreement.id, **data})
