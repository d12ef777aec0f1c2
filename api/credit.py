"""Credit analyses: bureaus and our own books asked, the table's decision, and a person's after it.

An inquiry is written down before it is sent, under a reference of our own. Whoever dies or hears
nothing after that leaves a row which is asked about (`status`) before anything is sent again.
"""

import hmac
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import insert, select, update

from api.house import House
from api.store import bureaus, credit, following
from api.store.credit_tables import credit_analyses, credit_inquiries
from api.store.customer_tables import plans
from api.store.uow import Uow
from billing.bureau import Answer, Said
from billing.credit import (
    Decision,
    Offer,
    Overruling,
    OwnRecord,
    Table,
    case_of,
    decide,
    overrule,
)
from billing.documents import CPF_LENGTH
from billing.refusal import Refused

WAITS_S = (2, 10, 60, 300, 900)
ATTEMPTS_MAX = 8
# Only so long after it was last sent may "no such reference" be believed: it may be on its way.
SETTLED_S = 60.0


class UnknownAnalysis(LookupError):
    """No analysis has this number."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an analysis is asked for; `document` is normalised, `consent` says how it was given.

    `customer_class` None: the class that a subscriber of this document has, if the table knows it;
    else person or company.
    """

    document: str
    plan_id: int
    purpose: str
    consent: Mapping[str, object]
    customer_class: str | None = None


async def analyse(house: House, actor: str, correlation_id: str, asked: Asked) -> int:
    """Ask whoever the table asks, and decide; the analysis' id.

    It is left waiting where a bureau gave no answer in time; the worker asks on.

    Raises:
        Refused: the table knows no such customer class, or asks a bureau that is not configured.
        LookupError: no such plan.
    """
    begun: list[tuple[int, str, str]] = []
    async with house.uow(actor, correlation_id) as uow:
        table = await credit.table_in_force(uow.connection)
        terms = await bureaus.enabled(uow.connection)
        analysis_id = await _begin(house, uow, asked, table)
        inquiry_ids: list[int] = [await _local(house, uow, asked)]
        for name in table.bureaus:
            if name not in terms:
                raise Refused(
                    f"the decision table asks {name}, which is not configured or not enabled;"
                    f" PUT /api/v1/bureaus/{name}"
                )
            inquiry_id, reference = await _inquiry(house, uow, asked, table, name, terms[name])
            inquiry_ids.append(inquiry_id)
            if reference is not None:
                begun.append((inquiry_id, name, reference))
        await uow.connection.execute(
            update(credit_analyses)
            .where(credit_analyses.c.id == analysis_id)
            .values(inquiry_ids=inquiry_ids)
        )
    for inquiry_id, name, reference in begun:
        async with bureaus.adapter(house, name) as bureau:
            said = await bureau.inquire(reference, asked.document, asked.purpose)
            if said.answer is Answer.UNKNOWN:
                found = await bureau.status(reference)
                said = found if found.answer is Answer.DONE else said
        async with house.uow(actor, correlation_id) as uow:
            await keep_answer(house, uow, inquiry_id, said, attempts=1)
    async with house.uow(actor, correlation_id) as uow:
        await credit.hold_inquiries(uow.connection, analysis_id)
        await conclude(house, uow, analysis_id)
    return analysis_id


async def keep_answer(house: House, uow: Uow, inquiry_id: int, said: Said, attempts: int) -> None:
    """Keep what a bureau said; if the inquiry is over, decide what waited for it."""
    finished = said.answer is Answer.DONE or said.answer is Answer.REFUSED
    if not finished and attempts < ATTEMPTS_MAX:
        after_s = WAITS_S[min(attempts, len(WAITS_S)) - 1]
        sent = said.answer is not Answer.AWAY
        await credit.unknown(uow.connection, inquiry_id, after_s, said.detail, sent=sent)
        return
    report = said.report if said.answer is Answer.DONE else None
    error = None if report is not None else said.detail or "the answer has no report"
    now = uow.clock.now()
    if await credit.answered(uow.connection, inquiry_id, now, report, said.protocol, error):
        told = {"answer": "done" if report is not None else "failed", "protocol": said.protocol}
        await uow.audit("credit.inquiry_answered", f"credit_inquiry:{inquiry_id}", told)
    for analysis_id in await credit.waiting_for(uow.connection, inquiry_id):
        await conclude(house, uow, analysis_id)


async def conclude(house: House, uow: Uow, analysis_id: int) -> None:
    """Decide an analysis whose inquiries are all over; otherwise it goes on waiting."""
    row = await credit.analysis_for_update(uow.connection, analysis_id)
    if row is None or row.state != "waiting":
        return
    found = (
        await uow.connection.execute(
            select(credit_inquiries.c.bureau, credit_inquiries.c.state, credit_inquiries.c.report)
            .where(credit_inquiries.c.id.in_(row.inquiry_ids))
            .order_by(credit_inquiries.c.id)
        )
    ).all()
    if any(inquiry.state in ("asked", "unknown") for inquiry in found):
        return
    table = await credit.table_in_force(uow.connection, row.table_version)
    outside = [inquiry for inquiry in found if inquiry.bureau != credit.LOCAL]
    reports = [credit.read_report(inquiry.report) for inquiry in outside if inquiry.report]
    (local,) = [inquiry.report for inquiry in found if inquiry.bureau == credit.LOCAL]
    case = case_of(table, reports, OwnRecord(**local), row.price_cents, row.customer_class)
    decision = decide(table, case, row.price_cents)
    await uow.connection.execute(
        update(credit_analyses)
        .where(credit_analyses.c.id == analysis_id)
        .values(
            state="decided",
            criteria={
                "case": list(decision.case),
                "reports": [credit.report_row(report) for report in reports],
                "own": local,
            },
            rule=decision.rule,
            decided=credit.offer_row(decision.offer),
            texts=dict(decision.texts),
            outcome=decision.offer.outcome.value,
        )
    )
    await uow.audit("credit.decided", f"credit_analysis:{analysis_id}", _told(table, decision))


async def decide_otherwise(
    uow: Uow, analysis_id: int, author: str, reason: str, offer: Offer
) -> None:
    """A person's decision (LGPD art. 20); of a refusal two persons' in turn.

    Raises:
        UnknownAnalysis: there is none.
        Refused: a contract was made on it, or `billing.credit.overrule` says no.
    """
    row = await credit.analysis_for_update(uow.connection, analysis_id)
    if row is None:
        raise UnknownAnalysis(f"there is no credit analysis {analysis_id}")
    if row.contract_id is not None:
        raise Refused(f"contract {row.contract_id} was made on it; it stays as it is")
    by = Overruling(offer, author, reason)
    now = uow.clock.now()
    after = overrule(credit.read_analysis(row), by, now.date())
    pending = after.proposed is not None
    values: dict[str, Any] = {"state": after.state.value, "proposed": None}
    stored = credit.overruling_row(by, now)
    if pending:
        values["proposed"] = stored
    else:
        first = row.proposed if row.state == "awaiting_second" else None
        values |= {"overruling": stored | {"first": first}, "outcome": offer.outcome.value}
    await uow.connection.execute(
        update(credit_analyses).where(credit_analyses.c.id == analysis_id).values(values)
    )
    action = "credit.overruling_proposed" if pending else "credit.overruled"
    told = {"outcome": offer.outcome.value, "reason": reason, "author": author}
    await uow.audit(action, f"credit_analysis:{analysis_id}", told)


async def forget(house: House) -> int:
    """Forget what was asked of people who never became customers; how many rows."""
    async with house.uow("schedule", uuid4().hex) as uow:
        table = await credit.table_in_force(uow.connection)
        before = uow.clock.now() - timedelta(days=table.keep_days)
        gone = await credit.forget(uow.connection, before)
        if gone:
            await uow.audit("credit.forgotten", "credit", {"rows": gone})
        return gone


def subject_of(house: House, document: str) -> bytes:
    """What stands for a document where the document itself may have been forgotten."""
    return hmac.new(house.secrets.derive("credit-subject"), document.encode(), "sha256").digest()


async def _known_class(uow: Uow, document: str, table: Table) -> str:
    """The applicant's class as we know it, if the table does too; else what the document tells."""
    ours = await following.class_of_document(uow.connection, document)
    if ours is not None and ours in table.classes:
        return ours
    return "person" if len(document) == CPF_LENGTH else "company"


async def _begin(house: House, uow: Uow, asked: Asked, table: Table) -> int:
    price_cents = await uow.connection.scalar(
        select(plans.c.price_cents).where(plans.c.id == asked.plan_id)
    )
    if price_cents is None:
        raise LookupError(f"there is no plan {asked.plan_id}; GET /api/v1/plans lists them")
    customer_class = asked.customer_class or await _known_class(uow, asked.document, table)
    if customer_class not in table.classes:
        known = ", ".join(table.classes)
        raise Refused(f"the decision table has no customer class {customer_class!r}; use {known}")
    now = uow.clock.now()
    analysis_id = await uow.draw("credit_analyses")
    await uow.connection.execute(
        insert(credit_analyses).values(
            id=analysis_id,
            subject=subject_of(house, asked.document),
            document=asked.document,
            plan_id=asked.plan_id,
            price_cents=price_cents,
            customer_class=customer_class,
            purpose=asked.purpose,
            consent=dict(asked.consent),
            author=uow.actor,
            made_at=now,
            valid_until=now.date() + timedelta(days=table.valid_days),
            state="waiting",
            inquiry_ids=[],
            table_version=table.version,
        )
    )
    # The chain names nobody: nothing can be removed from it.
    said = {"plan_id": asked.plan_id, "purpose": asked.purpose, "table_version": table.version}
    await uow.audit("credit.analysis_asked", f"credit_analysis:{analysis_id}", said)
    return analysis_id


async def _local(house: House, uow: Uow, asked: Asked) -> int:
    """Our own books, asked anew each time: they cost nothing."""
    now = uow.clock.now()
    record = await credit.own_record(
        uow.connection, asked.document, house.calendar, now.date(), house.settings.timezone
    )
    made = await uow.connection.execute(
        insert(credit_inquiries)
        .values(
            **_inquiry_row(house, uow, asked, credit.LOCAL, 0),
            state="done",
            report=asdict(record),
            answered_at=now,
        )
        .returning(credit_inquiries.c.id)
    )
    return int(made.scalar_one())


async def _inquiry(
    house: House, uow: Uow, asked: Asked, table: Table, name: str, terms: bureaus.Terms
) -> tuple[int, str | None]:
    """The inquiry that answers, and its reference if it is new and must be sent."""
    subject = subject_of(house, asked.document)
    since = credit.cached_since(uow.clock.now(), table)
    found = await credit.reusable(uow.connection, name, subject, since)
    if found is not None:
        return found, None
    row = _inquiry_row(house, uow, asked, name, terms.price_cents)
    made = await credit.ask(uow.connection, row)
    if made is None:  # somebody else has just begun it: theirs answers both
        found = await credit.reusable(uow.connection, name, subject, since)
        if found is None:
            raise Refused(f"{name} is being asked about this document; try again in a few seconds")
        return found, None
    told = {"bureau": name, "purpose": asked.purpose, "cost_cents": terms.price_cents}
    await uow.audit("credit.inquiry_asked", f"credit_inquiry:{made}", told)
    return made, str(row["reference"])


def _inquiry_row(
    house: House, uow: Uow, asked: Asked, bureau: str, cost_cents: int
) -> dict[str, object]:
    return {
        "bureau": bureau,
        "subject": subject_of(house, asked.document),
        "document": asked.document,
        "purpose": asked.purpose,
        "consent": dict(asked.consent),
        "author": uow.actor,
        "asked_at": uow.clock.now(),
        "reference": f"inquiry-{uuid4().hex}",
        "cost_cents": cost_cents,
    }


def _told(table: Table, decision: Decision) -> dict[str, object]:
    return {
        "outcome": decision.offer.outcome.value,
        "rule": decision.rule,
        "table_version": table.version,
    }
