"""SPC Brasil: the fields of its query and of `incluirSpc` and `excluirSpc`.

A record's key is document, contract and due date.
"""

from api.bureaus.shape import Document, Shape, cents, count, reais, rows, score, table, word
from billing.bureau import Debtor, Record, Removal
from billing.credit import Flag, Report
from billing.documents import CPF_LENGTH

_PRODUCT = "126"
_NATURE = 1
_BUYER = "C"
_REGULAR = ("", "REGULAR", "ATIVA")
_IN_DOUBT = ("SUSPENSA", "PENDENTE", "INAPTA")
_REASONS = {Removal.PAID: 1, Removal.RENEGOTIATED: 2}


def inquiry(document: str, purpose: str) -> Document:
    return {
        "codigoProduto": _PRODUCT,
        "tipoConsumidor": "F" if len(document) == CPF_LENGTH else "J",
        "documentoConsumidor": document,
        "codigoInsumoOpcional": [],
        "finalidade": purpose,
    }


def report(bureau: str, document: Document) -> Report:
    told, spc = table(document, "score"), table(document, "spc")
    flags: set[Flag] = set()
    status = word(table(document, "consumidor"), "situacaoDocumento").upper()
    if status in _IN_DOUBT:
        flags.add(Flag.IDENTITY_DOUBT)
    elif status not in _REGULAR:
        flags.add(Flag.DOCUMENT_INVALID)
    summary = table(spc, "resumo")
    pending = count(summary, "quantidadeTotal")
    if pending:
        flags.add(Flag.OTHER_DEBT)
    if any(word(row, "segmento").upper() == "TELECOM" for row in rows(spc, "detalhe")):
        flags.add(Flag.TELECOM_DEBT)
    return Report(
        bureau=bureau,
        score=score(told, "pontuacao"),
        score_model=word(told, "modelo"),
        flags=frozenset(flags),
        pending_count=pending,
        pending_cents=cents(summary, "valorTotal"),
    )


def inclusion(record: Record) -> Document:
    return {
        **_person(record.debtor, named=True),
        "data-compra": record.bought_on.isoformat(),
        "data-vencimento": record.due_on.isoformat(),
        "codigo-tipo-devedor": _BUYER,
        "numero-contrato": record.contract_number,
        "valor-debito": reais(record.cents),
        "natureza-inclusao": {"id": _NATURE},
    }


def removal(record: Record, why: Removal) -> Document:
    return {
        **_person(record.debtor, named=False),
        "data-vencimento": record.due_on.isoformat(),
        "numero-contrato": record.contract_number,
        "motivo-exclusao": {"id": _REASONS.get(why, 3)},
    }


def _person(debtor: Debtor, *, named: bool) -> dict[str, object]:
    if debtor.is_company:
        name = {"razao-social": debtor.name} if named else {}
        told = {"cnpj": {"numero": debtor.document}, **name}
        return {"tipo-pessoa": "J", "dados-pessoa-juridica": told}
    name = {"nome": debtor.name} if named else {}
    return {"tipo-pessoa": "F", "dados-pessoa-fisica": {"cpf": {"numero": debtor.document}, **name}}


SHAPE = Shape(inquiry, report, inclusion, removal)
