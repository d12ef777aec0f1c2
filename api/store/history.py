"""What happened to one contract, read from every table that keeps a part of it."""

from datetime import date, tzinfo
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Date, Select, Text, and_, cast, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.access_tables import access_decisions, holds, notices, promises
from api.store.billing_tables import billed_cycles, contract_plans, outage_contracts, outages
from api.store.customer_tables import contracts, nases, plans
from api.store.ladder_tables import contract_stages
from api.store.listing import Item, rows_of
from api.store.money_tables import (
    allocations,
    corrections,
    invoices,
    ledger_entries,
    payments,
    reversals,
)
from api.store.network_tables import network_actions, sessions
from api.store.outbox_tables import deliveries
from api.store.place_tables import policy_moves
from api.store.renegotiation import agreements, disputes, pauses
from api.store.staff_tables import audit_log


async def contract_history(
    connection: AsyncConnection, contract_id: int, zone: tzinfo
) -> dict[str, list[Item]]:
    """Rows by kind, each in its own order; an unknown contract has none."""
    queries = {
        "contract": _contract(contract_id),
        "invoice": _invoices(contract_id),
        "notice": _notices(contract_id),
        "attempt": _attempts(contract_id),
        "promise": _promises(contract_id),
        "hold": _holds(contract_id),
        "outage": _outages(contract_id),
        "move": _moves(contract_id),
        "agreement": _agreements(contract_id),
        "dispute": _disputes(contract_id),
        "pause": _pauses(contract_id),
        "payment": _payments(contract_id),
        "reversal": _reversals(contract_id),
        "correction": _corrections(contract_id),
        "decision": _decisions(contract_id),
        "action": _actions(contract_id),
        "change": _changes(contract_id),
        "stage": _stages(contract_id),
    }
    found = {kind: await rows_of(connection, query, zone) for kind, query in queries.items()}
    found["change"] = [_flat(row) for row in found["change"]]
    return found


def _contract(contract_id: int) -> Select[Any]:
    first_plan = (
        select(contract_plans.c.plan_id)
        .where(contract_plans.c.contract_id == contract_id)
        .order_by(contract_plans.c.from_on)
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(
            contracts.c.id, contracts.c.created_at, plans.c.name.label("plan"), contracts.c.policy
        )
        .select_from(contracts)
        .join(plans, func.coalesce(first_plan, contracts.c.plan_id) == plans.c.id)
        .where(contracts.c.id == contract_id)
    )


def _invoices(contract_id: int) -> Select[Any]:
    """As they were issued: how they stand by now is told by what happened to them since."""
    issued = ledger_entries.c.document["invoices"][0]
    return (
        select(
            invoices.c.id,
            invoices.c.issued_at,
            func.coalesce(cast(issued["due_on"].astext, Date), invoices.c.due_on).label("due_on"),
            func.coalesce(
                cast(issued["amount_cents"].astext, BigInteger), invoices.c.amount_cents
            ).label("amount_cents"),
            billed_cycles.c.billed_from,
            billed_cycles.c.billed_until,
        )
        .select_from(invoices)
        .outerjoin(billed_cycles, billed_cycles.c.invoice_id == invoices.c.id)
        .outerjoin(
            ledger_entries,
            and_(
                ledger_entries.c.kind == "invoice",
                ledger_entries.c.reference == func.concat("invoice:", invoices.c.id),
            ),
        )
        .where(invoices.c.contract_id == contract_id)
        .order_by(invoices.c.id)
    )


def _lists_invoice_of(contract_id: int) -> ColumnElement[bool]:
    own = select(cast(invoices.c.id, Text)).where(invoices.c.contract_id == contract_id)
    listed: ColumnElement[bool] = notices.c.amounts_cents.op("?|")(
        func.array(own.scalar_subquery(), type_=ARRAY(Text))
    )
    return listed


def _attempts(contract_id: int) -> Select[Any]:
    """Channels that took a notice and were not its proof, and those that came to nothing."""
    return (
        select(
            deliveries.c.notice_id,
            deliveries.c.channel,
            deliveries.c.state,
            deliveries.c.reason,
            func.coalesce(deliveries.c.ended_at, deliveries.c.accepted_at).label("at"),
        )
        .join(notices, notices.c.id == deliveries.c.notice_id)
        .where(_lists_invoice_of(contract_id), deliveries.c.state.not_in(("sending", "confirmed")))
        .order_by(deliveries.c.id)
    )


def _notices(contract_id: int) -> Select[Any]:
    return (
        select(
            notices.c.id,
            notices.c.drawn_at,
            notices.c.amounts_cents,
            notices.c.proven_at,
            notices.c.failed_at,
            notices.c.channel,
        )
        .where(_lists_invoice_of(contract_id))
        .order_by(notices.c.id)
    )


def _promises(contract_id: int) -> Select[Any]:
    return select(promises).where(promises.c.contract_id == contract_id).order_by(promises.c.id)


def _holds(contract_id: int) -> Select[Any]:
    return (
        select(*(c for c in holds.c if c is not holds.c.contract_id))
        .where(holds.c.contract_id == contract_id)
        .order_by(holds.c.id)
    )


def _moves(contract_id: int) -> Select[Any]:
    return (
        select(policy_moves)
        .where(policy_moves.c.contract_id == contract_id)
        .order_by(policy_moves.c.id)
    )


def _outages(contract_id: int) -> Select[Any]:
    return (
        select(outages)
        .join(outage_contracts, outage_contracts.c.outage_id == outages.c.id)
        .where(outage_contracts.c.contract_id == contract_id)
        .order_by(outages.c.id)
    )


def _agreements(contract_id: int) -> Select[Any]:
    return (
        select(
            *(c for c in agreements.c if c.name not in ("proposal", "simulation", "rungs")),
            func.jsonb_array_length(agreements.c.simulation["parts"]).label("parts"),
        )
        .where(agreements.c.contract_id == contract_id)
        .order_by(agreements.c.id)
    )


def _disputes(contract_id: int) -> Select[Any]:
    return (
        select(disputes, disputes.c.cents.label("amount_cents"))
        .where(disputes.c.contract_id == contract_id)
        .order_by(disputes.c.id)
    )


def _pauses(contract_id: int) -> Select[Any]:
    return select(pauses).where(pauses.c.contract_id == contract_id).order_by(pauses.c.id)


def _payments(contract_id: int) -> Select[Any]:
    own = select(invoices.c.id).where(invoices.c.contract_id == contract_id)
    paid_here = select(allocations.c.payment_id).where(allocations.c.invoice_id.in_(own))
    return (
        select(
            payments.c.id,
            payments.c.cleared_at,
            payments.c.paid_at,
            payments.c.amount_cents,
            payments.c.method,
            payments.c.invoice_id,
            payments.c.correlation_id,
            ledger_entries.c.at.label("assigned_at"),
        )
        .select_from(payments)
        .outerjoin(
            ledger_entries,
            and_(
                ledger_entries.c.kind == "assignment",
                ledger_entries.c.reference
                == func.concat(payments.c.provider, ":", payments.c.external_id),
            ),
        )
        .where(or_(payments.c.invoice_id.in_(own), payments.c.id.in_(paid_here)))
        .order_by(payments.c.id)
    )


def _reversals(contract_id: int) -> Select[Any]:
    own = select(invoices.c.id).where(invoices.c.contract_id == contract_id)
    paid_here = select(allocations.c.payment_id).where(allocations.c.invoice_id.in_(own))
    return (
        select(
            reversals.c.id,
            reversals.c.payment_id,
            reversals.c.kind,
            reversals.c.amount_cents,
            reversals.c.author,
            reversals.c.reason,
            reversals.c.at,
            reversals.c.correlation_id,
        )
        .where(reversals.c.payment_id.in_(paid_here))
        .order_by(reversals.c.id)
    )


def _corrections(contract_id: int) -> Select[Any]:
    """Those by hand; what an agreement or a dispute corrects is told with it."""
    return (
        select(
            corrections.c.id,
            corrections.c.invoice_id,
            corrections.c.kind,
            corrections.c.amount_cents,
            corrections.c.author,
            corrections.c.reason,
            corrections.c.at,
            corrections.c.correlation_id,
        )
        .join(invoices, corrections.c.invoice_id == invoices.c.id)
        .where(
            invoices.c.contract_id == contract_id,
            corrections.c.kind.in_(["credit_note", "debit_note", "void", "write_off"]),
        )
        .order_by(corrections.c.id)
    )


def _stages(contract_id: int) -> Select[Any]:
    return (
        select(
            contract_stages.c.id,
            contract_stages.c.stage,
            contract_stages.c.entered_at,
            contract_stages.c.invoice_ids,
            contract_stages.c.amounts_cents,
            contract_stages.c.counted_cents,
            contract_stages.c.notice_id,
            contract_stages.c.policy,
            contract_stages.c.policy_version,
            contract_stages.c.left_at,
            contract_stages.c.left_reason,
            contract_stages.c.correlation_id,
        )
        .where(contract_stages.c.contract_id == contract_id)
        .order_by(contract_stages.c.id)
    )


CHANGES = (
    "contract.plan_changed",
    "contract.due_day_changed",
    "contract.ended",
    "contract.placed",
    "contract.classed",
    "invoice.parked",
    "credit.applied",
    "listing.letter_drawn",
    "listing.letter_proven",
    "listing.letter_failed",
    "listing.letter_unproven",
    "listing.listed",
    "listing.refused",
    "listing.withdrawal_decided",
    "listing.removed",
    "listing.cancelled",
    "listing.alarm",
    "handover.made",
    "handover.withdrawn",
)


def _changes(contract_id: int) -> Select[Any]:
    """What the audit log alone keeps: changes of what is billed, and what was not issued."""
    return (
        select(
            audit_log.c.seq.label("id"),
            audit_log.c.at,
            audit_log.c.actor.label("author"),
            audit_log.c.action,
            audit_log.c.data,
            audit_log.c.correlation_id,
            plans.c.name.label("plan"),
        )
        .outerjoin(plans, plans.c.id == cast(audit_log.c.data["plan_id"].astext, BigInteger))
        .where(audit_log.c.subject == f"contract:{contract_id}", audit_log.c.action.in_(CHANGES))
        .order_by(audit_log.c.seq)
    )


def _flat(row: Item) -> Item:
    """An entry with its data beside the rest, days as dates."""
    data: Item = row["data"]
    days = {
        name: date.fromisoformat(value)
        for name, value in data.items()
        if name.endswith("_on") and value is not None
    }
    return {name: value for name, value in row.items() if name != "data"} | data | days


def _decisions(contract_id: int) -> Select[Any]:
    item = func.jsonb_array_elements(access_decisions.c.situation["receivables"]).column_valued(
        "item", joins_implicitly=True
    )
    number = item.op("->>")("invoice_id")
    # What each counted invoice stood at, by its id, as the verdict saw it.
    amounts = (
        select(func.jsonb_object_agg(number, item.op("->")("unpaid_cents")))
        .where(cast(number, BigInteger) == func.any(access_decisions.c.invoice_ids))
        .scalar_subquery()
    )
    return (
        select(
            access_decisions.c.id,
            access_decisions.c.decided_at,
            access_decisions.c.generation,
            access_decisions.c.level,
            access_decisions.c.step,
            access_decisions.c.reason,
            access_decisions.c.invoice_ids,
            amounts.label("amounts_cents"),
            access_decisions.c.counted_cents,
            access_decisions.c.notice_id,
            access_decisions.c.policy,
            access_decisions.c.policy_version,
            access_decisions.c.review_on,
            access_decisions.c.quota_spent_until,
            access_decisions.c.situation["quota"].label("quota"),
            access_decisions.c.rate_down_bps,
            access_decisions.c.rate_up_bps,
            access_decisions.c.correlation_id,
        )
        .where(access_decisions.c.contract_id == contract_id)
        .order_by(access_decisions.c.generation)
    )


def _actions(contract_id: int) -> Select[Any]:
    return (
        select(
            network_actions.c.id,
            network_actions.c.generation,
            network_actions.c.kind,
            network_actions.c.reason,
            network_actions.c.outcome,
            network_actions.c.error_cause,
            network_actions.c.sends,
            network_actions.c.sent_wall,
            network_actions.c.answered_wall,
            network_actions.c.correlation_id,
            nases.c.name.label("nas"),
            sessions.c.acct_session_id,
        )
        .join(nases, network_actions.c.nas_id == nases.c.id)
        .join(sessions, network_actions.c.session_id == sessions.c.id)
        .where(network_actions.c.contract_id == contract_id)
        .order_by(network_actions.c.id)
    )
