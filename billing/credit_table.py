"""The decision table as a document: read, checked for gaps and overlaps, and written back.

Source: score bands as Serasa prints them (0 to 300, 500, 700, 1000); an inquiry may be used again
for 30 to 90 days.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Final

from billing.credit import (
    DIMENSIONS,
    NO_SCORE,
    SCORE_MAX,
    Case,
    Cut,
    Flag,
    History,
    Outcome,
    Rule,
    Table,
)

LANGUAGES: Final = ("pt-BR", "en")
CASES_MAX: Final = 20_000
_CENTS_MAX: Final = 10**9
_WORD_MAX: Final = 40


class CreditTableError(ValueError):
    """A document that cannot be a decision table, in one sentence that says what to change."""


def _rule(
    outcome: str, portuguese: str, english: str, more: Mapping[str, object], **when: Sequence[str]
) -> dict[str, object]:
    texts = {"pt-BR": portuguese, "en": english}
    named = {name.rstrip("_"): list(words) for name, words in when.items()}
    return {"when": named, "outcome": outcome, "texts": texts, **more}


_CLEAN = ("none", "other_debt")
_NEW = ("none", "late")
DEFAULTS: Final[Mapping[str, object]] = {
    "bands": {"very_low": 0, "low": 301, "good": 501, "excellent": 701},
    "prices": {"standard": 0, "high": 20000},
    "classes": ["person", "company"],
    "bureaus": [],
    "required": False,
    "cache_days": 30,
    "valid_days": 30,
    "late_percent": 25,
    "keep_days": 180,
    "rules": [
        _rule(
            "refuse",
            "há débito vencido conosco; quite-o ou negocie um acordo",
            "there is overdue debt with us; pay it or agree on instalments",
            {},
            history=["debt"],
        ),
        _rule(
            "refuse",
            "o documento não está regular na Receita Federal",
            "the document is not in good order at the federal revenue office",
            {},
            flag=["document_invalid"],
            history=["none", "good", "late", "broken_agreement"],
        ),
        _rule(
            "manual_review",
            "os dados precisam ser conferidos por uma pessoa",
            "a person has to check the data",
            {},
            flag=["identity_doubt", "no_answer"],
            history=["none", "good", "late", "broken_agreement"],
        ),
        _rule(
            "prepaid",
            "um acordo anterior não foi cumprido; o serviço é pago antes",
            "an earlier agreement was broken; the service is paid in advance",
            {},
            flag=[*_CLEAN, "telecom_debt"],
            history=["broken_agreement"],
        ),
        _rule(
            "approve",
            "bom histórico de pagamento conosco",
            "a good payment history with us",
            {},
            flag=[*_CLEAN, "telecom_debt"],
            history=["good"],
        ),
        _rule(
            "prepaid",
            "há débito com outra operadora; o serviço é pago antes",
            "there is debt with another operator; the service is paid in advance",
            {},
            flag=["telecom_debt"],
            history=_NEW,
        ),
        _rule(
            "prepaid",
            "pontuação muito baixa; o serviço é pago antes",
            "a very low score; the service is paid in advance",
            {},
            band=["very_low"],
            flag=_CLEAN,
            history=_NEW,
            price=["standard"],
        ),
        _rule(
            "manual_review",
            "pontuação muito baixa para um plano deste preço; uma pessoa decide",
            "a very low score for a plan of this price; a person decides",
            {},
            band=["very_low"],
            flag=_CLEAN,
            history=_NEW,
            price=["high"],
        ),
        _rule(
            "deposit",
            "pontuação baixa; pede-se caução de uma mensalidade",
            "a low score; a deposit of one month is asked for",
            {"deposit_percent": 100},
            band=["low"],
            flag=_CLEAN,
            history=_NEW,
        ),
        _rule(
            "other_due_day",
            "pagamentos anteriores atrasaram; escolha um vencimento no início do mês",
            "earlier payments were late; choose a due day early in the month",
            {"due_days": [5, 10]},
            band=["good", "excellent", NO_SCORE],
            flag=_CLEAN,
            history=["late"],
        ),
        _rule(
            "approve",
            "pontuação suficiente e nada que pese contra",
            "a sufficient score and nothing against",
            {},
            band=["good", "excellent"],
            flag=_CLEAN,
            history=["none"],
        ),
        _rule(
            "approve",
            "nada consta contra o documento",
            "nothing is known against the document",
            {},
            band=[NO_SCORE],
            flag=["none"],
            history=["none"],
        ),
        _rule(
            "deposit",
            "há débitos em outros credores e nenhuma pontuação; pede-se caução",
            "there is debt elsewhere and no score; a deposit of one month is asked for",
            {"deposit_percent": 100},
            band=[NO_SCORE],
            flag=["other_debt"],
            history=["none"],
        ),
    ],
}


def parse(version: int, document: Mapping[str, object], bureaus: Sequence[str]) -> Table:
    """Read and check a document (`DEFAULTS` names its keys); what it leaves out is the default.

    Args:
        version: its number.
        document: plain JSON types.
        bureaus: those that may be asked.

    Raises:
        CreditTableError: an unknown key or word, a number out of bounds, a case that no rule or
            that two rules decide.
    """
    for key in document:
        if key not in DEFAULTS:
            raise CreditTableError(f"unknown key {key!r}; known keys are {', '.join(DEFAULTS)}")
    given = {**DEFAULTS, **document}
    required = given["required"]
    if not isinstance(required, bool):
        raise CreditTableError(f"required must be true or false, not {required!r}")
    bands = _cuts("bands", given["bands"], SCORE_MAX)
    prices = _cuts("prices", given["prices"], _CENTS_MAX)
    classes = _words("classes", given["classes"], None)
    for kind in ("person", "company"):
        if kind not in classes:
            raise CreditTableError(f"classes must have {kind!r}, which a document alone tells")
    space = {
        "band": (*(cut.name for cut in bands), NO_SCORE),
        "flag": tuple(flag.value for flag in Flag),
        "history": tuple(history.value for history in History),
        "price": tuple(cut.name for cut in prices),
        "class": classes,
    }
    rules = given["rules"]
    if not isinstance(rules, list) or not rules:
        raise CreditTableError("rules must be a list with at least one rule")
    asked = given["bureaus"]
    table = Table(
        version=version,
        bands=bands,
        prices=prices,
        classes=classes,
        rules=tuple(_read_rule(position, rule, space) for position, rule in enumerate(rules, 1)),
        bureaus=_words("bureaus", asked, tuple(bureaus)) if asked else (),
        required=required,
        cache_days=_whole("cache_days", given["cache_days"], 0, 90),
        valid_days=_whole("valid_days", given["valid_days"], 1, 90),
        late_percent=_whole("late_percent", given["late_percent"], 0, 100),
        keep_days=_whole("keep_days", given["keep_days"], 1, 1825),
    )
    _covered(table, space)
    return table


def document(table: Table) -> dict[str, object]:
    """The document that `parse` would read as `table`, in plain JSON types."""
    return {
        "bands": {cut.name: cut.start for cut in table.bands},
        "prices": {cut.name: cut.start for cut in table.prices},
        "classes": list(table.classes),
        "bureaus": list(table.bureaus),
        "required": table.required,
        "cache_days": table.cache_days,
        "valid_days": table.valid_days,
        "late_percent": table.late_percent,
        "keep_days": table.keep_days,
        "rules": [
            {
                "when": {name: sorted(words) for name, words in rule.when.items()},
                "outcome": rule.outcome.value,
                "texts": dict(rule.texts),
                **({"deposit_percent": rule.deposit_percent} if rule.deposit_percent else {}),
                **({"due_days": list(rule.due_days)} if rule.due_days else {}),
            }
            for rule in table.rules
        ],
    }


def cases(space: Mapping[str, Sequence[str]]) -> Iterator[Case]:
    """Every case that a table must decide, in the order of its words."""
    yield from product(*(space[name] for name in DIMENSIONS))


def _covered(table: Table, space: Mapping[str, Sequence[str]]) -> None:
    size = 1
    for words in space.values():
        size *= len(words)
    if size > CASES_MAX:
        raise CreditTableError(
            f"the table has {size} cases, more than {CASES_MAX}; use fewer bands and classes"
        )
    for case in cases(space):
        deciding = [n for n, rule in enumerate(table.rules, 1) if rule.matches(case)]
        if len(deciding) != 1:
            told = ", ".join(f"{name} {word}" for name, word in zip(DIMENSIONS, case, strict=True))
            if not deciding:
                raise CreditTableError(f"no rule decides the case {told}; add it to one rule")
            first, second = deciding[:2]
            raise CreditTableError(
                f"rules {first} and {second} both decide the case {told}; take it from one of them"
            )


def _read_rule(position: int, value: object, space: Mapping[str, tuple[str, ...]]) -> Rule:
    where = f"rules[{position}]"
    if not isinstance(value, Mapping):
        raise CreditTableError(f"{where} must be a table with when, outcome and texts")
    known = ("when", "outcome", "texts", "deposit_percent", "due_days")
    for key in value:
        if key not in known:
            raise CreditTableError(f"unknown key {where}.{key}; known keys are {', '.join(known)}")
    when = value.get("when", {})
    if not isinstance(when, Mapping):
        raise CreditTableError(f"{where}.when must be a table of lists")
    for name in when:
        if name not in space:
            raise CreditTableError(
                f"unknown key {where}.when.{name}; known keys are {', '.join(DIMENSIONS)}"
            )
    said = value.get("outcome")
    if said not in tuple(Outcome):
        raise CreditTableError(f"{where}.outcome must be one of {', '.join(Outcome)}, not {said!r}")
    outcome = Outcome(str(said))
    return Rule(
        when={
            name: frozenset(_words(f"{where}.when.{name}", words, space[name]))
            for name, words in when.items()
        },
        outcome=outcome,
        texts=_texts(where, value.get("texts")),
        deposit_percent=_deposit(where, outcome, value.get("deposit_percent")),
        due_days=_due_days(where, outcome, value.get("due_days")),
    )


def _texts(where: str, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or set(value) != set(LANGUAGES):
        raise CreditTableError(
            f"{where}.texts must tell the reason in {' and '.join(LANGUAGES)} (LGPD art. 20)"
        )
    for language, said in value.items():
        if not isinstance(said, str) or not 0 < len(said.strip()) <= 300 or not said.isprintable():
            raise CreditTableError(f"{where}.texts.{language} must be a sentence of 1 to 300 signs")
    return {language: str(value[language]).strip() for language in LANGUAGES}


def _deposit(where: str, outcome: Outcome, value: object) -> int:
    if outcome is Outcome.DEPOSIT:
        return _whole(f"{where}.deposit_percent", value, 1, 300)
    if value is not None:
        raise CreditTableError(f"{where}.deposit_percent is for outcome deposit only; remove it")
    return 0


def _due_days(where: str, outcome: Outcome, value: object) -> tuple[int, ...]:
    if outcome is Outcome.OTHER_DUE_DAY:
        if not isinstance(value, list) or not value:
            raise CreditTableError(f"{where}.due_days must list days of the month, as [5, 10]")
        return tuple(sorted({_whole(f"{where}.due_days", day, 1, 31) for day in value}))
    if value is not None:
        raise CreditTableError(f"{where}.due_days is for outcome other_due_day only; remove it")
    return ()


def _cuts(key: str, value: object, most: int) -> tuple[Cut, ...]:
    if not isinstance(value, Mapping) or not value:
        raise CreditTableError(f"{key} must name where each band starts, the first at 0")
    names = _words(key, list(value), None)
    if NO_SCORE in names:
        raise CreditTableError(f"{key} may not be called {NO_SCORE}; that is who has no score")
    cuts = [Cut(name, _whole(f"{key}.{name}", value[name], 0, most)) for name in names]
    cuts.sort(key=lambda cut: cut.start)
    if cuts[0].start != 0:
        raise CreditTableError(f"{key} leaves a gap: {cuts[0].name} must start at 0")
    starts = [cut.start for cut in cuts]
    if len(set(starts)) < len(starts):
        raise CreditTableError(f"{key} overlap: two of them start at one number")
    return tuple(cuts)


def _words(key: str, value: object, allowed: Sequence[str] | None) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise CreditTableError(f"{key} must be a list with at least one word")
    for word in value:
        if not isinstance(word, str) or (allowed is not None and word not in allowed):
            known = f" of {', '.join(allowed)}" if allowed else "s"
            raise CreditTableError(f"{key} has {word!r}; use word{known}")
        if not word.isidentifier() or not word.isascii() or len(word) > _WORD_MAX:
            raise CreditTableError(
                f"{key} has {word!r}; use letters, digits and underscores, {_WORD_MAX} at most"
            )
    if len(set(value)) < len(value):
        raise CreditTableError(f"{key} names one word twice")
    return tuple(value)


def _whole(key: str, value: object, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise CreditTableError(
            f"{key} must be a whole number from {least} to {most}, not {value!r}"
        )
    return value
