"""Serasa Experian: report of persons and companies; PEFIN records, one debt a call, asynchronous.

Removal reasons: 01 paid, 02 renegotiated, 03 at the creditor's or customer's request.
"""

from api.bureaus.shape import Document, Shape, cents, count, rows, score, table, word
from billing.bureau import Record, Removal
from billing.credit import Flag, Report
from billing.documents import CPF_LENGTH

_TELECOM = "TC"
_REGULAR = ("", "REGULAR", "ATIVA")
_IN_DOUBT = ("SUSPENSA", "PENDENTE DE REGULARIZACAO", "PENDENTE DE REGULARIZAÇÃO", "INAPTA")
_REASONS = {Removal.PAID: "01", Removal.RENEGOTIATED: "02"}


def inquiry(document: str, purpose: str) -> Document:
    person = len(document) == CPF_LENGTH
    return {
        "documentNumber": document,
        "reportName": "RELATORIO_BASICO_PF" if person else "RELATORIO_BASICO_PJ",
        "purpose": purpose,
    }


def report(bureau: str, document: Document) -> Report:
    found = rows(document, "reports")
    first: Document = found[0] if found else {}
    negative, told = table(first, "negativeData"), table(first, "score")
    flags: set[Flag] = set()
    status = word(table(first, "registration"), "statusRegistration").upper()
    if status in _IN_DOUBT:
        flags.add(Flag.IDENTITY_DOUBT)
    elif status not in _REGULAR:
        flags.add(Flag.DOCUMENT_INVALID)
    pending, owed = 0, 0
    for kind in ("pefin", "refin", "notary", "check", "collectionRecords"):
        part = table(negative, kind)
        summary = table(part, "summary")
        pending += count(summary, "count")
        owed += cents(summary, "balance")
        if any(word(row, "legalNatureId") == _TELECOM for row in rows(part, f"{kind}Response")):
            flags.add(Flag.TELECOM_DEBT)
    if pending:
        flags.add(Flag.OTHER_DEBT)
    return Report(
        bureau=bureau,
        score=score(told, "score"),
        score_model=word(told, "scoreModel"),
        flags=frozenset(flags),
        pending_count=pending,
        pending_cents=owed,
    )


def inclusion(record: Record) -> Document:
    return {
        # The API takes a number; two decimals survive the way.
        "value": record.cents / 100,
        "areaInformante": "0001",
        "dueDate": record.due_on.isoformat(),
        "categoryId": _TELECOM,
        "debtor": {"documentNumber": record.debtor.document, "name": record.debtor.name},
        "creditor": {"documentNumber": record.creditor_document},
        "contractNumber": record.contract_number,
        "debtType": "PEFIN",
    }


def removal(record: Record, why: Removal) -> Document:
    return {
        "documentNumber": record.debtor.document,
        "creditorDocument": record.creditor_document,
        "contractNumber": record.contract_number,
        "dueDate": record.due_on.isoformat(),
        "debtType": "PEFIN",
        "reasonId": _REASONS.get(why, "03"),
    }


SHAPE = Shape(inquiry, report, inclusion, removal)
