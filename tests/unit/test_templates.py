"""Templates: what each must say in both languages, and what none may hold."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.wording.builtin import builtin
from api.wording.examples import example
from api.wording.template import (
    FIELDS,
    REQUIRED,
    REQUIRED_SHORT,
    BadTemplate,
    Kind,
    Template,
    check,
    fill,
)
from api.wording.text import LANGUAGES, Language, page, sms, sms_parts

PROVIDER = "Provedor Exemplo"
EVERY = [(kind, language) for kind in Kind for language in LANGUAGES]
# What a reader of the notice must find, whoever wrote the template around it.
FIVE = {
    "pt_BR": [
        ("reason", "A falta de pagamento é o motivo"),
        ("rules", "60 dias depois da suspensão (a partir de 03/12/2026)"),
        ("invoices", "referência 07/2026, vencida em 01/07/2026: R$ 99,90"),
        ("total", "R$ 1.365,48"),
        ("bureaus", "Depois da rescisão do contrato, o débito poderá ser registrado"),
        ("restoring", "restabelecido em até 1 dia contado do conhecimento do pagamento"),
    ],
    "en": [
        ("reason", "we have no payment for them. This is the reason"),
        ("rules", "60 days after the suspension (from 2026-12-03)"),
        ("invoices", "month 2026-07, due on 2026-07-01: R$ 99.90"),
        ("total", "R$ 1,365.48"),
        ("bureaus", "After the contract is rescinded, the debt may be entered"),
        ("restoring", "restored within 1 day of our knowing of the payment"),
    ],
}
OWN_NOTICE = Template(
    Kind.NOTICE,
    "pt_BR",
    subject="Aviso {{notice_id}}",
    body="Olá {{name}}\n\n{{total}}\n{{invoices}}\n\n{{reason}}\n\n{{restoring}}\n\n{{rules}}\n"
    "{{bureaus}}",
    short="{{five_items}}",
    version=3,
)


def changed(template: Template, part: str, text: str) -> Template:
    return replace(template, **{part: text})  # type: ignore[arg-type]


def checked(template: Template) -> None:
    check(template, example(template.kind, template.language, PROVIDER))


@pytest.mark.parametrize(("kind", "language"), EVERY)
def test_what_is_built_in_passes_its_own_check(kind: Kind, language: Language) -> None:
    checked(builtin(kind, language))


@pytest.mark.parametrize(("kind", "language"), EVERY)
def test_an_example_has_a_value_for_every_field_and_for_no_other(
    kind: Kind, language: Language
) -> None:
    values = example(kind, language, PROVIDER)
    extra = {"link", "expires_on"} if kind is Kind.THANKS else set()
    assert set(values) - extra == set(FIELDS[kind])
    assert all(values.values())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("own", [False, True])
def test_the_five_items_are_in_text_and_html(language: Language, own: bool) -> None:
    template = replace(OWN_NOTICE, language=language) if own else builtin(Kind.NOTICE, language)
    checked(template)
    said = fill(template, example(Kind.NOTICE, language, PROVIDER))
    for _, words in FIVE[language]:
        for part in (said.plain, said.html):
            assert words in part, words


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_five_items_fit_into_an_sms(language: Language) -> None:
    said = fill(builtin(Kind.NOTICE, language), example(Kind.NOTICE, language, PROVIDER)).short
    assert sms_parts(said) <= 3
    wanted = {
        "pt_BR": ["por falta de pagamento", "suspenso a partir de 19/09/2026", "rescisao",
                  "R$ 1.365,48, ref. 07/2026 a 08/2026", "cadastros de protecao", "até 1 dia"],
        "en": ["for want of payment", "suspended from 2026-09-19", "rescission",
               "R$ 1,365.48, month 2026-07 to 2026-08", "credit-protection", "within 1 day"],
    }  # fmt: skip
    for words in wanted[language]:
        assert words in said, words


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(
    ("kind", "language", "part", "field"),
    [
        (kind, language, part, field)
        for kind, language in EVERY
        for part, required in (("body", REQUIRED), ("short", REQUIRED_SHORT))
        for field in required[kind]
    ],
)
def test_a_template_without_what_it_must_say_is_refused(
    kind: Kind, language: Language, part: str, field: str, own: bool
) -> None:
    template = builtin(kind, language)
    if own and kind is Kind.NOTICE:
        template = replace(OWN_NOTICE, language=language)
    missing = getattr(template, part).replace(f"{{{{{field}}}}}", "-")
    what = {"body": REQUIRED, "short": REQUIRED_SHORT}[part][kind][field]
    with pytest.raises(BadTemplate) as refused:
        checked(changed(template, part, missing))
    assert what in str(refused.value)
    assert f"{{{{{field}}}}}" in str(refused.value)


def test_all_five_items_of_the_law_are_asked_for() -> None:
    said = " ".join(REQUIRED[Kind.NOTICE].values())
    assert [f"item {n} of the notice" in said for n in range(1, 6)] == [True] * 5


@pytest.mark.parametrize(
    ("part", "text", "why"),
    [
        ("body", "{{nome}}", "there is no field {{nome}}"),
        ("body", "{{document}}", "there is no field {{document}}"),
        ("subject", "<b>oi</b>", "markup ('<')"),
        ("body", "a > b", "markup ('>')"),
        ("body", "&lt;b&gt;", "markup ('&lt;')"),
        ("body", "&#60;", "markup ('&#')"),
        ("short", "<img src=x>", "markup"),
        ("body", "{{ name }}", "braces that are no field"),
        ("body", "{{name.__class__}}", "braces that are no field"),
        ("body", "{{7*7}}", "braces that are no field"),
        ("body", "{% for x in y %}", "braces that are no field"),
        ("body", "{{{{name}}}}", "braces that are no field"),
        ("subject", "Aviso\nBcc: x@example.invalid", "U+000A"),
        ("subject", "Aviso\r", "U+000D"),
        ("short", "oi\n", "U+000A"),
        ("body", "oi\x00", "U+0000"),
        ("body", "oi\u202eio", "U+202E"),
        ("body", " \n ", "it is empty"),
        ("subject", "", "it is empty"),
        ("subject", "a" * 151, "150 is the most"),
        ("body", "a" * 10_001, "10000 is the most"),
        ("short", "a" * 1_001, "1000 is the most"),
        ("short", "a" * 460, "4 SMS"),
        ("short", "[" * 230, "4 SMS"),
    ],
)
def test_what_no_template_may_hold(part: str, text: str, why: str) -> None:
    template = builtin(Kind.THANKS, "pt_BR")
    with pytest.raises(BadTemplate) as refused:
        checked(changed(template, part, text))
    assert str(refused.value).startswith(f"{part}: ")
    assert why in str(refused.value)


def test_a_short_text_of_just_three_sms_passes() -> None:
    checked(replace(builtin(Kind.THANKS, "en"), short="a" * 459))


@given(
    kind=st.sampled_from(Kind),
    language=st.sampled_from(LANGUAGES),
    typed=st.text(max_size=80) | st.sampled_from(["<b>{{name}}</b>", "{{link}}", "</p>", "- x"]),
)
def test_nothing_that_was_typed_becomes_markup_or_a_template(
    kind: Kind, language: Language, typed: str
) -> None:
    values = example(kind, language, PROVIDER)
    said = fill(builtin(kind, language), values | {"name": typed})
    plain = fill(builtin(kind, language), values | {"name": "Ana"})
    tags = {piece.split(">")[0].split(" ")[0] for piece in said.html.split("<")[1:]}
    assert tags <= {
        "!doctype", "html", "/html", "head", "/head", "meta", "title", "/title", "body", "/body",
        "p", "/p", "h2", "/h2", "ul", "/ul", "li", "/li", "br", "a", "/a",
    }  # fmt: skip
    assert said.html.count("<a ") == plain.html.count("<a ")
    assert "\n" not in said.subject + said.short
    # A field inside of a value stays as it was typed.
    assert typed.strip() in said.plain or typed not in said.plain


@given(st.text(max_size=200))
def test_a_short_text_is_of_letters_that_an_sms_has(text: str) -> None:
    assert sms(sms(text)) == sms(text)
    assert sms_parts(sms(text)) >= 1


def test_layout() -> None:
    made = page("t", "1. Motivo\ntexto\n- um\n  dois\n- três\nfim\n\nnovo", "pt_BR")
    assert "<h2>1. Motivo</h2>\n<p>texto</p>\n<ul><li>um<br>dois</li><li>três</li></ul>" in made
    assert "<p>fim</p>\n<p>novo</p>" in made
    assert 'lang="pt-BR"' in made
