"""Why the guards refuse a plan, in words."""

from collections.abc import Iterable, Mapping
from typing import Any

from api.sentences import Lang

_FLAWS: dict[Lang, dict[str, str]] = {
    "pt-BR": {
        "too_many": "{cuts} cortes; esta rodada pode fazer {cuts_max} ({by})",
        "too_many_today": "cortes demais em vinte e quatro horas, contando os de todas as origens",
        "too_many_on_nas": "cortes demais num só concentrador: {crowded}",
        "canary": "entre os primeiros cortados houve logo quem pagasse ou reclamasse: {signs}",
        "new_rules": "parte dos cortes vem de uma política que acaba de ficar mais dura",
        "plan_waits": "outro plano recusado espera por duas pessoas",
        "stale_feed": "um provedor de pagamentos está sem dar notícias há tempo demais",
        "clock_back": "o relógio está antes do último instante registrado",
        "clock_ahead": "o relógio saltou para muito depois do último instante registrado",
        "clocks_apart": "o nosso relógio e o do banco de dados divergem",
        "not_primary": "o banco de dados é uma réplica ou está em recuperação",
        "books_differ": "a última conferência dos livros achou diferenças (`religa verify`)",
    },
    "en": {
        "too_many": "{cuts} cuts; this sweep may make {cuts_max} ({by})",
        "too_many_today": "too many cuts in twenty-four hours, whatever made them",
        "too_many_on_nas": "too many cuts on one NAS: {crowded}",
        "canary": "of the first who were cut some paid or complained at once: {signs}",
        "new_rules": "some of the cuts follow from a policy that has just become harder",
        "plan_waits": "another refused plan waits for two people",
        "stale_feed": "a payment provider was not heard of for too long",
        "clock_back": "the clock is before the last instant that was recorded",
        "clock_ahead": "the clock is far past the last instant that was recorded",
        "clocks_apart": "our clock and the database's differ",
        "not_primary": "the database is a replica or is being recovered",
        "books_differ": "the last check of the books found differences (`religa verify`)",
    },
}
_BOUNDS: dict[Lang, dict[str, str]] = {
    "pt-BR": {
        "share": "parcela dos contratos em vigor",
        "usual": "pelo que as rodadas deste dia da semana costumam fazer",
        "floor": "o mínimo que sempre passa",
    },
    "en": {
        "share": "share of the running contracts",
        "usual": "by what sweeps of this weekday usually make",
        "floor": "as few as always pass",
    },
}
_CROWDED: dict[Lang, str] = {
    "pt-BR": "{nas} ({cuts} de {contracts} contratos, no máximo {cuts_max})",
    "en": "{nas} ({cuts} of {contracts} contracts, at most {cuts_max})",
}
_SIGNS: dict[Lang, dict[str, str]] = {
    "pt-BR": {
        "payment": "pagamento no contrato {}",
        "promise": "promessa no contrato {}",
        "dispute": "contestação no contrato {}",
        "hold": "suspensão do corte do contrato {}",
    },
    "en": {
        "payment": "a payment on contract {}",
        "promise": "a promise on contract {}",
        "dispute": "a dispute on contract {}",
        "hold": "a hold on contract {}",
    },
}


def refusals(lang: Lang, plan: Mapping[str, Any]) -> list[str]:
    """A sentence for each flaw of a plan.

    Args:
        lang: of the sentences.
        plan: its `flaws`, `cuts`, `cuts_max`, `cuts_max_by`, `crowded` and `signs`, as they are
            kept. A bound of before they were kept is told without its name.
    """
    by = _BOUNDS[lang].get(plan["cuts_max_by"] or "", "-")
    crowded = ", ".join(_CROWDED[lang].format_map(one) for one in plan["crowded"])
    signs = ", ".join(_signs(lang, plan["signs"]))
    words = {"cuts": plan["cuts"], "cuts_max": plan["cuts_max"], "by": by}
    return [
        _FLAWS[lang][flaw].format(**words, crowded=crowded, signs=signs) for flaw in plan["flaws"]
    ]


def blind_for(lang: Lang, flaws: Iterable[str]) -> list[str]:
    """A sentence for each flaw that no plan has, as `GET /guards` tells them."""
    return [_FLAWS[lang][flaw] for flaw in flaws]


def _signs(lang: Lang, signs: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for sign in signs:
        yield _SIGNS[lang][sign["sign"]].format(sign["contract_id"])
