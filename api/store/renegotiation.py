"""The tables of agreements, disputes and pauses, and their rows in the words of `billing`."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from api.store.columns import metadata
from api.store.rungs import read_rungs, write_rungs
from billing.agreement import (
    Agreement,
    AgreementState,
    Owed,
    Part,
    Proposal,
    Simulation,
)
from billing.dispute import Dispute, DisputeState
from billing.pause import Pause

Row = Mapping[str, Any]
Instant = Callable[[str], datetime]

agreements = Table(
    "agreements",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), nullable=False, index=True),
    Column("state", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("offered_at", DateTime(timezone=True), nullable=False),
    Column("valid_until", Date, nullable=False),
    # What was asked for and what that came to, as `billing.agreement` has them.
    Column("proposal", JSONB, nullable=False),
    Column("simulation", JSONB, nullable=False),
    Column("approved_by", Text),
    Column("accepted_by", Text),
    Column("accepted_at", DateTime(timezone=True)),
    Column("old_invoice_ids", ARRAY(BigInteger), nullable=False),
    # Of the parts, in their order; empty until it is accepted.
    Column("invoice_ids", ARRAY(BigInteger), nullable=False, server_default="{}"),
    Column("rungs", JSONB, nullable=False, server_default="[]"),
    Column("settled_at", DateTime(timezone=True)),
    CheckConstraint(
        "state in ('awaiting_approval', 'offered', 'expired', 'running', 'kept', 'broken')",
        name="state",
    ),
    CheckConstraint("approved_by <> author", name="two_persons"),
    CheckConstraint(
        "(state in ('running', 'kept', 'broken')) = (accepted_at is not null)", name="accepted"
    ),
    Index("ix_agreements_state", "state"),
)

disputes = Table(
    "disputes",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("invoice_id", BigInteger, ForeignKey("invoices.id"), nullable=False, index=True),
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), nullable=False, index=True),
    Column("cents", BigInteger, nullable=False),
    Column("frozen_cents", BigInteger, nullable=False),
    Column("frozen_id", BigInteger, ForeignKey("invoices.id")),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("paid_on", Date),
    Column("state", Text, nullable=False),
    Column("answer", Text, nullable=False, server_default=""),
    Column("answered_by", Text, nullable=False, server_default=""),
    Column("answered_at", DateTime(timezone=True)),
    # Credited beyond what had been paid: the penalty of the double refund, and its interest.
    Column("compensation_cents", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("state in ('open', 'accepted', 'rejected', 'unanswered')", name="state"),
    CheckConstraint("(state = 'open') = (answered_at is null)", name="answered"),
    CheckConstraint(
        "cents > 0 and frozen_cents between 0 and cents and compensation_cents >= 0", name="cents"
    ),
    Index("uq_disputes_open", "invoice_id", unique=True, postgresql_where=text("state = 'open'")),
)

pauses = Table(
    "pauses",
    metadata,
    Column("id", BigInteger, Identity(always=False), primary_key=True),
    Column("contract_id", BigInteger, ForeignKey("contracts.id"), nullable=False, index=True),
    Column("asked_at", DateTime(timezone=True), nullable=False),
    Column("author", Text, nullable=False),
    Column("from_on", Date, nullable=False),
    Column("until_on", Date, nullable=False),
    Column("ended_at", DateTime(timezone=True)),
    CheckConstraint("until_on > from_on", name="days"),
)


def agreement_row(agreement: Agreement) -> dict[str, object]:
    """The row of an agreement."""
    found, asked = agreement.simulation, agreement.proposal
    return {
        "id": agreement.id,
        "contract_id": agreement.contract_id,
        "state": agreement.state.value,
        "author": agreement.author,
        "offered_at": agreement.offered_at,
        "valid_until": agreement.valid_until,
        "proposal": {
            "instalments": asked.instalments,
            "due_day": asked.due_day,
            "down_payment_cents": asked.down_payment_cents,
            "charges_percent": asked.charges_percent,
            "principal_percent": asked.principal_percent,
            "interest_month_basis_points": asked.interest_month_basis_points,
        },
        "simulation": {
            "owed": [
                {
                    "invoice_id": item.invoice_id,
                    "principal_cents": item.principal_cents,
                    "fine_cents": item.fine_cents,
                    "interest_cents": item.interest_cents,
                }
                for item in found.owed
            ],
            "charges_discount_cents": found.charges_discount_cents,
            "principal_discount_cents": found.principal_discount_cents,
            "interest_cents": found.interest_cents,
            "parts": [[part.due_on.isoformat(), part.cents] for part in found.parts],
        },
        "approved_by": agreement.approved_by,
        "accepted_at": agreement.accepted_at,
        "old_invoice_ids": sorted(agreement.old_invoice_ids),
        "invoice_ids": list(agreement.invoice_ids),
        "rungs": write_rungs(agreement.rungs),
        "settled_at": agreement.settled_at,
    }


def read_simulation(stored: Row) -> Simulation:
    """The simulation of a stored agreement."""
    return Simulation(
        owed=tuple(Owed(**item) for item in stored["owed"]),
        charges_discount_cents=stored["charges_discount_cents"],
        principal_discount_cents=stored["principal_discount_cents"],
        interest_cents=stored["interest_cents"],
        parts=tuple(Part(date.fromisoformat(due_on), cents) for due_on, cents in stored["parts"]),
    )


def read_agreement(row: Row, instant: Instant) -> Agreement:
    """An agreement from its row as JSON."""
    return Agreement(
        id=row["id"],
        contract_id=row["contract_id"],
        author=row["author"],
        offered_at=instant(row["offered_at"]),
        valid_until=date.fromisoformat(row["valid_until"]),
        proposal=Proposal(**row["proposal"]),
        simulation=read_simulation(row["simulation"]),
        state=AgreementState(row["state"]),
        approved_by=row["approved_by"],
        accepted_at=_perhaps(row["accepted_at"], instant),
        invoice_ids=tuple(row["invoice_ids"]),
        rungs=read_rungs(row["rungs"]),
        settled_at=_perhaps(row["settled_at"], instant),
    )


def dispute_row(dispute: Dispute) -> dict[str, object]:
    """The row of a dispute, but for its compensation."""
    return {
        "id": dispute.id,
        "invoice_id": dispute.invoice_id,
        "contract_id": dispute.contract_id,
        "cents": dispute.cents,
        "frozen_cents": dispute.frozen_cents,
        "frozen_id": dispute.frozen_id,
        "reason": dispute.reason,
        "author": dispute.author,
        "opened_at": dispute.opened_at,
        "paid_on": dispute.paid_on,
        "state": dispute.state.value,
        "answer": dispute.answer,
        "answered_by": dispute.answered_by,
        "answered_at": dispute.answered_at,
    }


def read_dispute(row: Row, instant: Instant) -> Dispute:
    """A dispute from its row as JSON."""
    paid_on = row["paid_on"]
    return Dispute(
        id=row["id"],
        invoice_id=row["invoice_id"],
        contract_id=row["contract_id"],
        cents=row["cents"],
        frozen_cents=row["frozen_cents"],
        reason=row["reason"],
        author=row["author"],
        opened_at=instant(row["opened_at"]),
        state=DisputeState(row["state"]),
        frozen_id=row["frozen_id"],
        paid_on=date.fromisoformat(paid_on) if paid_on is not None else None,
        answer=row["answer"],
        answered_by=row["answered_by"],
        answered_at=_perhaps(row["answered_at"], instant),
    )


def read_pause(row: Row, instant: Instant) -> Pause:
    """A pause from its row as JSON."""
    return Pause(
        id=row["id"],
        contract_id=row["contract_id"],
        asked_at=instant(row["asked_at"]),
        author=row["author"],
        from_on=date.fromisoformat(row["from_on"]),
        until_on=date.fromisoformat(row["until_on"]),
        ended_at=_perhaps(row["ended_at"], instant),
    )


def _perhaps(value: str | None, instant: Instant) -> datetime | None:
    return instant(value) if value is not None else None
