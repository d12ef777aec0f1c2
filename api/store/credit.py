"""Rows of credit: the table in force, inquiries and analyses, and what our own books say.

An inquiry is a queue row: claimed by moving its `next_attempt_wall` past a lease. A row being
worked on has no `last_error`; one that waits for its next try has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Date, any_, cast, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.bureaus.known import SHAPES
from api.store.credit_tables import credit_analyses, credit_inquiries, credit_tables
from api.store.customer_tables import contracts, subscribers
from api.store.money_tables import allocations, invoices, payments
from api.store.payments import in_seconds
from api.store.renegotiation import agreements
from billing.calendar import Calendar, next_bank_day
from billing.credit import (
    Analysis,
    AnalysisState,
    Flag,
    Offer,
    Outcome,
    Overruling,
    OwnRecord,
    Report,
    Table,
)
from billing.credit_table import parse

LOCAL = "local"
# Longer than any call may take.
LEASE_S = 150
_OPEN = ("asked", "unknown")
_ATTACHED = credit_analyses.c.inquiry_ids
_LOCK = text("select pg_advisory_xact_lock(hashtextextended(:name, 0))")


class Inquiry(NamedTuple):
    """A claimed inquiry. `sent_s` is how long ago it was last sent; None: never."""

    id: int
    bureau: str
    reference: str
    document: str
    purpose: str
    state: str
    attempts: int
    sent_s: float | None


async def table_in_force(connection: AsyncConnection, version: int | None = None) -> Table:
    """The newest decision table, or one version; before the first, the one that ships."""
    query = select(credit_tables.c.version, credit_tables.c.document)
    if version is not None:
        query = query.where(credit_tables.c.version == version)
    row = (
        await connection.execute(query.order_by(credit_tables.c.version.desc()).limit(1))
    ).one_or_none()
    return parse(row.version, row.document, tuple(SHAPES)) if row else parse(0, {}, ())


async def lock_table(connection: AsyncConnection) -> None:
    """Writers of the decision table one after another."""
    await connection.execute(_LOCK, {"name": "credit_tables"})


async def own_record(
    connection: AsyncConnection, document: str, calendar: Calendar, today: date, zone: str
) -> OwnRecord:
    """Former and present contracts, debts, agreements and punctuality of a document."""
    own = (
        select(contracts.c.id)
        .join(subscribers, contracts.c.subscriber_id == subscribers.c.id)
        .where(subscribers.c.document == document)
    )
    held = (await connection.scalars(own)).all()
    if not held:
        return OwnRecord()
    broken = await connection.scalar(
        select(func.count()).where(
            agreements.c.contract_id.in_(held), agreements.c.state == "broken"
        )
    )
    paid_on = cast(func.timezone(zone, func.max(payments.c.paid_at)), Date)
    rows = await connection.execute(
        select(
            invoices.c.due_on,
            invoices.c.state,
            (invoices.c.amount_cents - invoices.c.paid_cents - invoices.c.discount_cents).label(
                "rest_cents"
            ),
            select(paid_on)
            .select_from(allocations)
            .join(payments, allocations.c.payment_id == payments.c.id)
            .where(allocations.c.invoice_id == invoices.c.id)
            .scalar_subquery()
            .label("paid_on"),
        ).where(invoices.c.contract_id.in_(held))
    )
    overdue = paid = paid_late = 0
    for row in rows:
        last_day = next_bank_day(calendar, row.due_on)
        if row.state in ("open", "written_off") and last_day < today:
            overdue += row.rest_cents
        if row.state == "paid" and row.paid_on is not None:
            paid += 1
            paid_late += row.paid_on > last_day
    return OwnRecord(len(held), overdue, broken or 0, paid, paid_late)


async def reusable(
    connection: AsyncConnection, bureau: str, subject: bytes, since: datetime
) -> int | None:
    """An inquiry that answers already, or that is under way; None: a new one is needed."""
    fresh = (credit_inquiries.c.state == "done") & (credit_inquiries.c.asked_at >= since)
    found: int | None = await connection.scalar(
        select(credit_inquiries.c.id)
        .where(
            credit_inquiries.c.bureau == bureau,
            credit_inquiries.c.subject == subject,
            or_(
                credit_inquiries.c.state.in_(_OPEN), fresh & credit_inquiries.c.report.is_not(None)
            ),
        )
        .order_by(credit_inquiries.c.id.desc())
        .limit(1)
    )
    return found


async def ask(connection: AsyncConnection, row: Mapping[str, object]) -> int | None:
    """A new inquiry, leased to whoever asks; None: somebody else has just begun one."""
    made: int | None = await connection.scalar(
        insert(credit_inquiries)
        .values(
            **row,
            attempts=1,
            sent_wall=func.clock_timestamp(),
            next_attempt_wall=in_seconds(LEASE_S),
        )
        .on_conflict_do_nothing()
        .returning(credit_inquiries.c.id)
    )
    return made


async def claim(connection: AsyncConnection, limit: int) -> list[Inquiry]:
    """Take up to `limit` open inquiries that are due, for `LEASE_S`."""
    due = (
        select(credit_inquiries.c.id)
        .where(
            credit_inquiries.c.state.in_(_OPEN),
            credit_inquiries.c.next_attempt_wall <= func.clock_timestamp(),
        )
        .order_by(credit_inquiries.c.next_attempt_wall)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    claimed = await connection.execute(
        update(credit_inquiries)
        .where(credit_inquiries.c.id.in_(select(due.c.id)))
        .values(
            attempts=credit_inquiries.c.attempts + 1,
            next_attempt_wall=in_seconds(LEASE_S),
            last_error=None,
        )
        .returning(
            credit_inquiries.c.id,
            credit_inquiries.c.bureau,
            credit_inquiries.c.reference,
            credit_inquiries.c.document,
            credit_inquiries.c.purpose,
            credit_inquiries.c.state,
            credit_inquiries.c.attempts,
            func.extract("epoch", func.clock_timestamp() - credit_inquiries.c.sent_wall),
        )
    )
    return [Inquiry(*row) for row in claimed]


async def in_work(connection: AsyncConnection) -> bool:
    """Whether somebody holds a lease on an inquiry."""
    held = select(credit_inquiries.c.id).where(
        credit_inquiries.c.state.in_(_OPEN),
        credit_inquiries.c.last_error.is_(None),
        credit_inquiries.c.next_attempt_wall > func.clock_timestamp(),
    )
    return bool(await connection.scalar(select(held.exists())))


async def sending_again(connection: AsyncConnection, inquiry_id: int) -> None:
    await connection.execute(
        update(credit_inquiries)
        .where(credit_inquiries.c.id == inquiry_id)
        .values(sent_wall=func.clock_timestamp())
    )


async def unknown(
    connection: AsyncConnection, inquiry_id: int, after_s: float, error: str, *, sent: bool
) -> None:
    """Asked about again after a while. Not `sent`: it surely never reached the bureau."""
    values: dict[str, object] = {"sent_wall": None} if not sent else {}
    await connection.execute(
        update(credit_inquiries)
        .where(credit_inquiries.c.id == inquiry_id, credit_inquiries.c.state.in_(_OPEN))
        .values(
            state="unknown",
            next_attempt_wall=in_seconds(after_s),
            last_error=error,
            **values,
        )
    )


async def answered(
    connection: AsyncConnection,
    inquiry_id: int,
    at: datetime,
    report: Report | None,
    protocol: str,
    error: str | None,
) -> bool:
    """Keep an answer, once; without a report it has failed."""
    done = await connection.execute(
        update(credit_inquiries)
        .where(credit_inquiries.c.id == inquiry_id, credit_inquiries.c.state.in_(_OPEN))
        .values(
            state="done" if report is not None else "failed",
            report=report_row(report) if report is not None else None,
            protocol=protocol,
            answered_at=at,
            last_error=error,
        )
    )
    return bool(done.rowcount)


async def waiting_for(connection: AsyncConnection, inquiry_id: int) -> Sequence[int]:
    """The analyses that an inquiry keeps waiting."""
    return (
        await connection.scalars(
            select(credit_analyses.c.id)
            .where(
                credit_analyses.c.state == "waiting",
                literal(inquiry_id, BigInteger) == any_(_ATTACHED),
            )
            .order_by(credit_analyses.c.id)
        )
    ).all()


async def hold_inquiries(connection: AsyncConnection, analysis_id: int) -> None:
    """Wait for whoever is writing the answer to one of an analysis' inquiries.

    An answer looks for the analyses that it ends (`waiting_for`) before it is committed. Whoever
    has just attached one to an open inquiry comes through here first: it sees the answer, or the
    answer sees it.
    """
    await connection.execute(
        select(credit_inquiries.c.id)
        .join(credit_analyses, credit_inquiries.c.id == any_(_ATTACHED))
        .where(credit_analyses.c.id == analysis_id)
        .order_by(credit_inquiries.c.id)
        .with_for_update(read=True, of=credit_inquiries)
    )


async def analysis_for_update(connection: AsyncConnection, analysis_id: int) -> Any:
    """The row under lock; None: there is no such analysis."""
    return (
        await connection.execute(
            select(credit_analyses).where(credit_analyses.c.id == analysis_id).with_for_update()
        )
    ).one_or_none()


async def forget(connection: AsyncConnection, before: datetime) -> int:
    """Drop what was asked of people who never became customers (LGPD art. 15 and 16).

    Date, purpose, consent and cost stay; document, report and criteria go.
    """
    customers = select(subscribers.c.document)
    forgotten = 0
    for table, at, gone in (
        (credit_inquiries, credit_inquiries.c.asked_at, {"report": None}),
        (credit_analyses, credit_analyses.c.made_at, {"criteria": None}),
    ):
        done = await connection.execute(
            update(table)
            .where(
                table.c.document.is_not(None),
                at < before,
                table.c.document.not_in(customers),
                table.c.state.not_in(("asked", "unknown", "waiting")),
            )
            .values(document=None, **gone)
        )
        forgotten += done.rowcount
    return forgotten


def report_row(report: Report) -> dict[str, object]:
    """A report as stored."""
    return {**asdict(report), "flags": sorted(flag.value for flag in report.flags)}


def read_report(row: Mapping[str, Any]) -> Report:
    """A report from how it is stored."""
    return Report(**{**row, "flags": frozenset(map(Flag, row["flags"]))})


def offer_row(offer: Offer) -> dict[str, object]:
    """Terms as stored."""
    return {
        "outcome": offer.outcome.value,
        "deposit_cents": offer.deposit_cents,
        "due_days": list(offer.due_days),
    }


def read_offer(row: Mapping[str, Any]) -> Offer:
    """Terms from how they are stored."""
    return Offer(Outcome(row["outcome"]), row["deposit_cents"], tuple(row["due_days"]))


def overruling_row(by: Overruling, at: datetime) -> dict[str, object]:
    """A person's decision as stored."""
    return {
        **offer_row(by.offer),
        "author": by.author,
        "reason": by.reason,
        "at": at.isoformat(),
    }


def read_analysis(row: Any) -> Analysis:
    """An analysis in the words of `billing`."""

    def overruling(stored: Mapping[str, Any] | None) -> Overruling | None:
        if stored is None:
            return None
        return Overruling(read_offer(stored), stored["author"], stored["reason"])

    return Analysis(
        state=AnalysisState(row.state),
        valid_until=row.valid_until,
        decided=read_offer(row.decided) if row.decided is not None else None,
        overruling=overruling(row.overruling),
        proposed=overruling(row.proposed),
    )


def cached_since(now: datetime, table: Table) -> datetime:
    """From when on an inquiry is used again."""
    return now - timedelta(days=table.cache_days)
