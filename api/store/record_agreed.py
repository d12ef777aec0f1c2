"""Writing facts of promises, agreements, disputes and pauses."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import assert_never

from sqlalchemy import bindparam, insert, update

from api.store.access_tables import promises
from api.store.pen import Pen
from api.store.renegotiation import agreement_row, agreements, dispute_row, disputes, pauses
from api.store.rungs import write_rungs
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

_MOVED = ("state", "approved_by", "accepted_at", "invoice_ids", "rungs", "settled_at")
_UPDATE_AGREEMENT = update(agreements).where(agreements.c.id == bindparam("which"))
_UPDATE_DISPUTE = update(disputes).where(disputes.c.id == bindparam("which"))
_UPDATE_PAUSE = update(pauses).where(pauses.c.id == bindparam("which"))
_UPDATE_PROMISE = update(promises).where(promises.c.id == bindparam("which"))


async def write_agreed(pen: Pen, fact: Told) -> None:
    """Write one of these facts."""
    match fact:
        case PromiseSettled(promise=promise):
            settled = {"state": promise.state.value, "settled_at": promise.settled_at}
            await pen.connection.execute(_UPDATE_PROMISE, {"which": promise.id, **settled})
            pen.tell(
                f"promise.{promise.state.value}",
                f"contract:{promise.contract_id}",
                promise_id=promise.id,
                until_on=promise.until_on.isoformat(),
                state=promise.state.value,
                settled_at=_shown(promise.settled_at),
            )
        case AgreementOffered(agreement=agreement):
            row = agreement_row(agreement)
            await pen.connection.execute(insert(agreements), row)
            _tell(pen, "agreement.offered", agreement, **_said(row), accepted_by=None)
        case AgreementMoved(agreement=agreement):
            await _move(pen, agreement)
            action = "approved" if agreement.settled_at is None else agreement.state.value
            _tell(pen, f"agreement.{action}", agreement)
        case AgreementAccepted(agreement=agreement, author=author, entry=entry):
            await _move(pen, agreement, accepted_by=author)
            if entry is not None:
                await pen.post(entry)
            _tell(
                pen,
                "agreement.accepted",
                agreement,
                accepted_by=author,
                old_invoice_ids=sorted(agreement.old_invoice_ids),
                invoice_ids=list(agreement.invoice_ids),
                accepted_at=_shown(agreement.accepted_at),
                rungs=write_rungs(agreement.rungs),
            )
        case AgreementBroken(agreement=agreement, entry=entry):
            await _move(pen, agreement)
            if entry is not None:
                await pen.post(entry)
            _tell(
                pen,
                "agreement.broken",
                agreement,
                restored=sorted(agreement.old_invoice_ids),
                void=list(agreement.invoice_ids),
                rungs=write_rungs(agreement.rungs),
            )
        case DisputeOpened(dispute=dispute):
            row = dispute_row(dispute)
            await pen.connection.execute(insert(disputes), row)
            said = _said(row) | {"dispute_id": dispute.id, "compensation_cents": 0}
            pen.tell("dispute.opened", f"invoice:{dispute.invoice_id}", **said)
        case DisputeAnswered(dispute=dispute, compensation_cents=cents, entry=entry):
            row = dispute_row(dispute)
            answer = {name: row[name] for name in ("state", "answer", "answered_by", "answered_at")}
            await pen.connection.execute(
                _UPDATE_DISPUTE, {"which": dispute.id, **answer, "compensation_cents": cents}
            )
            if entry is not None:
                await pen.post(entry)
            pen.tell(
                f"dispute.{dispute.state.value}",
                f"invoice:{dispute.invoice_id}",
                dispute_id=dispute.id,
                answer=dispute.answer,
                answered_by=dispute.answered_by,
                compensation_cents=cents,
                answered_at=_shown(dispute.answered_at),
                state=dispute.state.value,
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
            await pen.connection.execute(insert(pauses), row)
            said = _said(row) | {"pause_id": pause.id, "ended_at": None}
            pen.tell("pause.taken", f"contract:{pause.contract_id}", **said)
        case PauseEnded(pause=pause):
            await pen.connection.execute(
                _UPDATE_PAUSE, {"which": pause.id, "ended_at": pause.ended_at}
            )
            ended: dict[str, object] = {"pause_id": pause.id, "ended_at": _shown(pause.ended_at)}
            pen.tell("pause.ended", f"contract:{pause.contract_id}", **ended)
        case _:
            assert_never(fact)


async def _move(pen: Pen, agreement: Agreement, **more: object) -> None:
    row = agreement_row(agreement)
    moved = {name: row[name] for name in _MOVED}
    await pen.connection.execute(_UPDATE_AGREEMENT, {"which": agreement.id, **moved, **more})


def _tell(pen: Pen, action: str, agreement: Agreement, **data: object) -> None:
    """What `religa verify` compares the row with is said in the row's own names."""
    standing = {
        "agreement_id": agreement.id,
        "contract_id": agreement.contract_id,
        "state": agreement.state.value,
        "approved_by": agreement.approved_by,
        "settled_at": _shown(agreement.settled_at),
    }
    pen.tell(action, f"contract:{agreement.contract_id}", **(standing | data))


def _said(row: Mapping[str, object]) -> dict[str, object]:
    """A row's values as the audit log takes them."""
    return {
        name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()
    }


def _shown(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant is not None else None
