"""Boa Vista (Equifax), by way of a reseller: plain fields, since no shape of its own is public."""

from api.bureaus.shape import BadReport, Document, Shape, count, reais, score, word
from billing.bureau import Record, Removal
from billing.credit import Flag, Report
from billing.documents import CPF_LENGTH


def inquiry(document: str, purpose: str) -> Document:
    kind = "F" if len(document) == CPF_LENGTH else "J"
    return {"document": document, "person_type": kind, "purpose": purpose}


def report(bureau: str, document: Document) -> Report:
    said = document.get("flags") or []
    if not isinstance(said, list) or not all(flag in tuple(Flag) for flag in said):
        raise BadReport("flags has an unknown flag")
    flags = {Flag(flag) for flag in said} - {Flag.NONE}
    pending = count(document, "pending_count")
    if pending and not flags & {Flag.OTHER_DEBT, Flag.TELECOM_DEBT}:
        flags.add(Flag.OTHER_DEBT)
    return Report(
        bureau=bureau,
        score=score(document, "score"),
        score_model=word(document, "score_model"),
        flags=frozenset(flags),
        pending_count=pending,
        pending_cents=count(document, "pending_cents"),
    )


def inclusion(record: Record) -> Document:
    return {
        **_key(record),
        "person_type": "J" if record.debtor.is_company else "F",
        "name": record.debtor.name,
        "creditor_document": record.creditor_document,
        "amount": reais(record.cents),
    }


def removal(record: Record, why: Removal) -> Document:
    return {**_key(record), "reason": why.value}


def _key(record: Record) -> dict[str, object]:
    return {
        "document": record.debtor.document,
        "contract_number": record.contract_number,
        "due_on": record.due_on.isoformat(),
    }


SHAPE = Shape(inquiry, report, inclusion, removal)
