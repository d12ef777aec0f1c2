"""Rows of moments and surveys: what happened, who was told, what was asked and answered."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, NamedTuple

from sqlalchemy import Select, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.customer_tables import contracts, plans, subscribers
from api.store.good_payers import histories
from api.store.message_tables import (
    door_knocks,
    moment_policies,
    moments_told,
    survey_answers,
    surveys,
)
from api.store.money_tables import invoices
from billing import moments
from billing.calendar import day_start
from billing.moments import Event, Moment, Moments, Occasion
from billing.payer import Desk
from billing.reward import streak
from billing.survey import DETRACTOR_MAX, Answer, Form

# Of each, `key` names it for ever and `at` is when it happened; running contracts alone.
_ACTIVATIONS = """
select 'contract:' || c.id as key, c.subscriber_id, c.id as contract_id, c.created_at as at
  from contracts c
 where c.created_at >= :first and c.created_at < :until and c.ended_on is null
"""
# Full again after a cut for debt; the customer's own suspension is none.
_RESTORES = """
select 'decision:' || d.id as key, c.subscriber_id, c.id as contract_id, d.decided_at as at
  from access_decisions d join contracts c on c.id = d.contract_id
  join access_decisions b on b.contract_id = d.contract_id and b.generation = d.generation - 1
 where d.decided_at >= :first and d.decided_at < :until and c.ended_on is null
   and d.level = 'full' and b.level <> 'full' and b.notice_id is not null
"""
_DISPUTES = """
select 'dispute:' || d.id as key, c.subscriber_id, c.id as contract_id, d.answered_at as at
  from disputes d join contracts c on c.id = d.contract_id
 where d.answered_at >= :first and d.answered_at < :until and d.state <> 'open'
   and c.ended_on is null
"""
# An invoice that is paid, and when the last of its payments cleared.
_PAYERS = """
select 'invoice:' || i.id as key, c.subscriber_id, c.id as contract_id, max(p.cleared_at) as at
  from payments p
  join allocations a on a.payment_id = p.id
  join invoices i on i.id = a.invoice_id and i.state = 'paid'
  join contracts c on c.id = i.contract_id and c.ended_on is null
 where p.cleared_at >= :first and p.cleared_at < :until
 group by i.id, c.id
"""
_EVENTS = {
    Occasion.ACTIVATION: _ACTIVATIONS,
    Occasion.RESTORE: _RESTORES,
    Occasion.DISPUTE_CLOSED: _DISPUTES,
    Occasion.PAID_IN_TIME: _PAYERS,
}
_UNTOLD = """
 and not exists (select from moments_told t where t.moment = :moment and t.event = e.key)
"""
_ORDER = {
    name: text(f"select e.* from ({query}) as e where true {_UNTOLD} order by e.at, e.key")  # noqa: S608
    for name, query in _EVENTS.items()
}
_LOCK = text("select pg_advisory_xact_lock(hashtextextended('moments', 0))")


class InForce(NamedTuple):
    """The document of moments that is in force, and since when anything is followed."""

    moments: Moments
    version: int
    since: date


async def read_moments(connection: AsyncConnection, zone: tzinfo) -> InForce | None:
    """The document in force; None: none was written yet."""
    query = select(moment_policies).order_by(moment_policies.c.version)
    rows = (await connection.execute(query)).all()
    if not rows:
        return None
    first, last = rows[0], rows[-1]
    since = first.created_at.astimezone(zone).date()
    return InForce(moments.parse(last.document), last.version, since)


async def moments_row(
    connection: AsyncConnection, version: int | None = None
) -> Mapping[Any, Any] | None:
    """One version of the document with its author; None: the last."""
    query = select(moment_policies).order_by(moment_policies.c.version.desc()).limit(1)
    if version is not None:
        query = query.where(moment_policies.c.version == version)
    return (await connection.execute(query)).mappings().one_or_none()


async def add_moments(
    connection: AsyncConnection, document: Mapping[str, object], author: str, at: datetime
) -> int:
    """Write a version; the one that is the latest already makes none. Answers the version."""
    await connection.execute(_LOCK)
    row = await moments_row(connection)
    if row is not None and row["document"] == document:
        return int(row["version"])
    version = 1 if row is None else int(row["version"]) + 1
    await connection.execute(
        insert(moment_policies).values(
            version=version, document=dict(document), author=author, created_at=at
        )
    )
    return version


async def events(
    connection: AsyncConnection, moment: Moment, first: date, last: date, zone: tzinfo
) -> list[Event]:
    """What happened on the local days from `first` to `last` and was not followed yet."""
    if first > last:
        return []
    rows = await connection.execute(
        _ORDER[moment.occasion],
        {
            "first": day_start(first, zone),
            "until": day_start(last + timedelta(days=1), zone),
            "moment": moment.name,
        },
    )
    return [
        Event(row.key, row.subscriber_id, row.contract_id, row.at.astimezone(zone).date())
        for row in rows
    ]


async def of_good_payers(
    connection: AsyncConnection, found: Sequence[Event], invoices_in_a_row: int, desk: Desk
) -> list[Event]:
    """Of paid invoices, those with which so many (or twice, or three times) were in time."""
    by_invoice = {int(event.key.removeprefix("invoice:")): event for event in found}
    query = select(invoices.c.id, invoices.c.due_on).where(invoices.c.id.in_(by_invoice))
    dues = {row[0]: row[1] for row in await connection.execute(query)}
    paid = await histories(connection, {event.contract_id for event in found}, desk)

    def reached(invoice_id: int, event: Event) -> bool:
        count = streak(paid[event.contract_id], dues[invoice_id], desk.calendar)
        return count > 0 and count % invoices_in_a_row == 0

    return [event for number, event in by_invoice.items() if reached(number, event)]


async def told_on(
    connection: AsyncConnection, subscriber_ids: Sequence[int], message: str
) -> dict[int, date]:
    """By subscriber, the last day on which the person was sent this kind of message."""
    query = (
        select(moments_told.c.subscriber_id, func.max(moments_told.c.told_on))
        .where(moments_told.c.subscriber_id.in_(subscriber_ids), moments_told.c.message == message)
        .group_by(moments_told.c.subscriber_id)
    )
    return {row[0]: row[1] for row in await connection.execute(query)}


async def tell(connection: AsyncConnection, moment: Moment, event: Event, on: date) -> bool:
    """That this event is followed; False: it was already."""
    made = await connection.scalar(
        upsert(moments_told)
        .values(
            moment=moment.name,
            event=event.key,
            subscriber_id=event.subscriber_id,
            message=moment.message,
            told_on=on,
        )
        .on_conflict_do_nothing()
        .returning(moments_told.c.event)
    )
    return made is not None


async def ask(
    connection: AsyncConnection,
    *,
    event: Event,
    form: Form,
    moment: str,
    language: str,
    token_sha256: bytes,
    asked_at: datetime,
    expires_at: datetime,
) -> int:
    """A survey of this person, with the plan that the contract has now."""
    plan = select(contracts.c.plan_id).where(contracts.c.id == event.contract_id)
    made = await connection.execute(
        insert(surveys)
        .values(
            subscriber_id=event.subscriber_id,
            contract_id=event.contract_id,
            plan_id=plan.scalar_subquery(),
            form=form,
            moment=moment,
            language=language,
            token_sha256=token_sha256,
            asked_at=asked_at,
            expires_at=expires_at,
        )
        .returning(surveys.c.id)
    )
    return int(made.scalar_one())


class Asked(NamedTuple):
    """A survey as its page needs it, with what was answered already."""

    id: int
    form: Form
    language: str
    expires_at: datetime
    score: int | None
    marks: Mapping[str, int] | None
    comment: str | None
    answered_at: datetime | None


async def by_token(
    connection: AsyncConnection, token_sha256: bytes, *, lock: bool = False
) -> Asked | None:
    """The survey that a token opens; None: none, expired or not."""
    query = (
        select(
            surveys.c.id,
            surveys.c.form,
            surveys.c.language,
            surveys.c.expires_at,
            survey_answers.c.score,
            survey_answers.c.marks,
            survey_answers.c.comment,
            survey_answers.c.answered_at,
        )
        .outerjoin(survey_answers, survey_answers.c.survey_id == surveys.c.id)
        .where(surveys.c.token_sha256 == token_sha256)
    )
    if lock:
        query = query.with_for_update(of=surveys)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Asked(row[0], Form(row[1]), *row[2:])


async def keep_answer(
    connection: AsyncConnection, survey_id: int, answer: Answer, at: datetime
) -> None:
    """What was answered; a second answer replaces the first."""
    values = {
        "score": answer.score,
        "marks": dict(answer.marks) if answer.marks is not None else None,
        "comment": answer.comment,
    }
    await connection.execute(
        upsert(survey_answers)
        .values(survey_id=survey_id, answered_at=at, **values)
        .on_conflict_do_update(index_elements=["survey_id"], set_=values | {"changed_at": at})
    )


def detractor_rows(
    first: datetime | None = None, until: datetime | None = None, plan_id: int | None = None
) -> Select[Any]:
    """Who would not recommend us, with what they said."""
    query = (
        select(
            surveys.c.id,
            surveys.c.subscriber_id,
            subscribers.c.name.label("subscriber"),
            surveys.c.contract_id,
            plans.c.name.label("plan"),
            surveys.c.moment,
            survey_answers.c.score,
            survey_answers.c.comment,
            survey_answers.c.answered_at,
            survey_answers.c.changed_at,
        )
        .join(surveys, surveys.c.id == survey_answers.c.survey_id)
        .join(subscribers, subscribers.c.id == surveys.c.subscriber_id)
        .join(plans, plans.c.id == surveys.c.plan_id)
        .where(survey_answers.c.score <= DETRACTOR_MAX)
    )
    return _within(query, first, until, plan_id)


def score_counts(
    zone: str, first: datetime | None, until: datetime | None, plan_id: int | None
) -> Select[Any]:
    """How many there are of each score, by month of the answer and by plan."""
    month = func.to_char(func.timezone(zone, survey_answers.c.answered_at), "YYYY-MM")
    query = (
        select(
            month.label("month"),
            surveys.c.plan_id,
            plans.c.name.label("plan"),
            survey_answers.c.score,
            func.count().label("answers"),
        )
        .join(surveys, surveys.c.id == survey_answers.c.survey_id)
        .join(plans, plans.c.id == surveys.c.plan_id)
        .where(survey_answers.c.score.is_not(None))
        .group_by(text("1"), surveys.c.plan_id, plans.c.name, survey_answers.c.score)
    )
    return _within(query, first, until, plan_id)


def mark_counts(first: datetime | None, until: datetime | None, plan_id: int | None) -> Select[Any]:
    """How many there are of each mark, by question."""
    marks = func.jsonb_each_text(survey_answers.c.marks).table_valued("key", "value")
    query = (
        select(marks.c.key.label("question"), marks.c.value.label("mark"), func.count())
        .select_from(survey_answers)
        .join(surveys, surveys.c.id == survey_answers.c.survey_id)
        .join(marks, text("true"))
        .where(survey_answers.c.marks.is_not(None))
        .group_by(marks.c.key, marks.c.value)
    )
    return _within(query, first, until, plan_id)


def asked_count(first: datetime | None, until: datetime | None, plan_id: int | None) -> Select[Any]:
    """How many were asked by each form."""
    query = select(surveys.c.form, func.count()).group_by(surveys.c.form)
    if first is not None:
        query = query.where(surveys.c.asked_at >= first)
    if until is not None:
        query = query.where(surveys.c.asked_at < until)
    return query.where(surveys.c.plan_id == plan_id) if plan_id is not None else query


def _within(
    query: Select[Any], first: datetime | None, until: datetime | None, plan_id: int | None
) -> Select[Any]:
    if first is not None:
        query = query.where(survey_answers.c.answered_at >= first)
    if until is not None:
        query = query.where(survey_answers.c.answered_at < until)
    return query.where(surveys.c.plan_id == plan_id) if plan_id is not None else query


async def knock(connection: AsyncConnection, door: str, peer: str, since: datetime) -> int:
    """Note a knock at a door; how many there were since then, this one included."""
    await connection.execute(insert(door_knocks).values(door=door, peer=peer))
    query = select(func.count()).where(
        door_knocks.c.door == door, door_knocks.c.peer == peer, door_knocks.c.at_wall >= since
    )
    return int(await connection.scalar(query) or 0)
