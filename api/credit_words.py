"""Why a credit decision came out as it did, in words for the customer (LGPD art. 20 par. 1)."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.explain import money
from api.sentences import Lang

_OUTCOMES: dict[Lang, dict[str, str]] = {
    "pt-BR": {
        "approve": "Decisão: aprovado.",
        "deposit": "Decisão: aprovado com caução de {deposit}.",
        "prepaid": "Decisão: aprovado com pagamento antecipado.",
        "other_due_day": "Decisão: aprovado com vencimento no dia {days}.",
        "manual_review": "Decisão: uma pessoa vai analisar o pedido.",
        "refuse": "Decisão: recusado.",
    },
    "en": {
        "approve": "Decision: approved.",
        "deposit": "Decision: approved with a deposit of {deposit}.",
        "prepaid": "Decision: approved, paid in advance.",
        "other_due_day": "Decision: approved with a due day of {days}.",
        "manual_review": "Decision: a person will look at the application.",
        "refuse": "Decision: refused.",
    },
}
_WORDS: dict[Lang, dict[str, str]] = {
    "pt-BR": {
        "because": "Motivo: {text}.",
        "person": "Revisto por uma pessoa: {text}.",
        "band": "Faixa de pontuação: {word}.",
        "flag": "Registros: {word}.",
        "history": "Histórico conosco: {word}.",
        "review": "Você pode pedir que uma pessoa reveja esta decisão.",
        "waiting": "O pedido ainda está em análise.",
    },
    "en": {
        "because": "Reason: {text}.",
        "person": "Reviewed by a person: {text}.",
        "band": "Score band: {word}.",
        "flag": "Records: {word}.",
        "history": "History with us: {word}.",
        "review": "You may ask a person to review this decision.",
        "waiting": "The application is still being looked at.",
    },
}
_VALUES: dict[Lang, dict[str, dict[str, str]]] = {
    "pt-BR": {
        "band": {"no_score": "sem pontuação"},
        "flag": {
            "none": "nenhum",
            "other_debt": "débitos em outros credores",
            "telecom_debt": "débito com outra operadora",
            "no_answer": "o birô não respondeu",
            "identity_doubt": "dados a conferir",
            "document_invalid": "documento não regular",
        },
        "history": {
            "none": "nenhum",
            "good": "pagamentos em dia",
            "late": "pagamentos em atraso",
            "broken_agreement": "acordo descumprido",
            "debt": "débito em aberto",
        },
    },
    "en": {
        "band": {"no_score": "no score"},
        "flag": {
            "none": "none",
            "other_debt": "debts with other creditors",
            "telecom_debt": "debt with another operator",
            "no_answer": "the bureau did not answer",
            "identity_doubt": "data to be checked",
            "document_invalid": "document not in good order",
        },
        "history": {
            "none": "none",
            "good": "paid in time",
            "late": "paid late",
            "broken_agreement": "an agreement was broken",
            "debt": "open debt",
        },
    },
}


def reasons(row: Mapping[str, Any], lang: Lang) -> Sequence[str]:
    """The decision in force and its reasons, as sentences; `row` is an analysis as stored."""
    words = _WORDS[lang]
    if row["decided"] is None:
        return (words["waiting"],)
    by = row["overruling"]
    offer = by or row["decided"]
    told = [
        _OUTCOMES[lang][offer["outcome"]].format(
            deposit=money(lang, offer["deposit_cents"]),
            days=", ".join(map(str, offer["due_days"])),
        )
    ]
    if by is not None:
        told.append(words["person"].format(text=by["reason"].rstrip(".")))
    else:
        told.append(words["because"].format(text=row["texts"][lang].rstrip(".")))
    if row["criteria"] is not None:
        band, flag, history = row["criteria"]["case"][:3]
        for name, word in (("band", band), ("flag", flag), ("history", history)):
            told.append(words[name].format(word=_VALUES[lang][name].get(word, word)))
    return (*told, words["review"])
