"""A template: text with `{{fields}}`, and what it must and must not hold.

A field is replaced once and by text; nothing is computed, so a template can run nothing. What the
law asks of a notice stands in fields whose words are ours: a template arranges them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from typing import Final

from api.wording.text import Language, Wording, one_line, page, sms, sms_parts

SUBJECT_MAX: Final = 150
BODY_MAX: Final = 10_000
SHORT_MAX: Final = 1_000
SMS_PARTS_MAX: Final = 3

FIELD: Final = re.compile(r"\{\{([a-z_]+)\}\}")
_BRACES = re.compile(r"\{[{%#]|[}%#]\}")
_MARKUP = re.compile(r"[<>]|&#|&[A-Za-z][A-Za-z0-9]*;")
# Those that a letter as HTML shows as links; they are made by us.
LINKS: Final = frozenset({"link"})


class Kind(StrEnum):
    """What a person is sent. The overdue notice is the law's; the others are ours."""

    NOTICE = "notice"
    REMINDER = "reminder"
    RECEIPT = "receipt"
    THANKS = "thanks"
    SURVEY = "survey"


class BadTemplate(ValueError):
    """A text that cannot be a template, in one sentence that says what to change."""


@dataclass(frozen=True, slots=True)
class Template:
    """The texts of one kind in one language. Version 0 is built in."""

    kind: Kind
    language: Language
    subject: str
    body: str
    short: str
    version: int = 0


_EVERYWHERE = {
    "provider": "the provider's name",
    "name": "the person's name",
    "today": "the day on which it is written",
}
FIELDS: Final[Mapping[Kind, Mapping[str, str]]] = {
    Kind.NOTICE: _EVERYWHERE
    | {
        "document": "CPF or CNPJ, masked",
        "notice_id": "the notice's number",
        "reason": "item 1: the reason",
        "rules": "item 2: rules and time limits, a list",
        "invoices": "item 3: the invoices with amounts, reference months and Pix, a list",
        "total": "item 3: what pays all of them today",
        "bureaus": "item 4: credit-protection registers after the rescission",
        "restoring": "item 5: the time limit for restoring",
        "five_items": "all five items in one sentence, for the short text",
    },
    Kind.REMINDER: _EVERYWHERE
    | {
        "amount": "what pays it today",
        "due_on": "the due date",
        "when": "how far away the due date is, as in `vence em 5 dias`",
        "invoices": "the invoices with their amounts, a list",
        "means_to_pay": "the Pix to copy and paste, or how else to pay",
        "options": "where to ask for more time, for instalments, or to dispute",
    },
    Kind.RECEIPT: _EVERYWHERE
    | {
        "payment_id": "the payment's number",
        "amount": "what was paid",
        "paid_on": "the day on which it was paid",
        "method": "how it was paid",
        "paid": "what it paid, a list",
    },
    Kind.THANKS: _EVERYWHERE | {"occasion": "what for, a sentence"},
    Kind.SURVEY: _EVERYWHERE
    | {
        "occasion": "why we ask, a sentence",
        "link": "the link to the form",
        "expires_on": "the last day on which the form is open",
    },
}

_ART_70 = "RGC 765/2023, articles 70 and 71"
# What a text must hold: the field, and what is missing without it.
REQUIRED: Final[Mapping[Kind, Mapping[str, str]]] = {
    Kind.NOTICE: {
        "reason": f"item 1 of the notice, the reason of the suspension ({_ART_70} I)",
        "rules": "item 2 of the notice, the rules and time limits of suspension and rescission"
        f" ({_ART_70} II)",
        "invoices": f"item 3 of the notice, the debt and its reference month ({_ART_70} III)",
        "total": f"item 3 of the notice, the amount of the debt ({_ART_70} III)",
        "bureaus": "item 4 of the notice, that the debt may be registered at credit bureaus after"
        f" the rescission ({_ART_70} IV)",
        "restoring": "item 5 of the notice, the time limit for restoring the service after payment"
        f" ({_ART_70} V)",
    },
    Kind.REMINDER: {
        "amount": "the amount",
        "due_on": "the due date",
        "means_to_pay": "the means to pay",
        "options": "the way to the payer's options",
    },
    Kind.RECEIPT: {"amount": "the amount", "paid": "what the payment paid"},
    Kind.THANKS: {},
    Kind.SURVEY: {"link": "the link to the form"},
}
REQUIRED_SHORT: Final[Mapping[Kind, Mapping[str, str]]] = {
    Kind.NOTICE: {"five_items": f"the five items of the notice ({_ART_70})"},
    Kind.REMINDER: {"amount": "the amount", "means_to_pay": "the means to pay"},
    Kind.RECEIPT: {"amount": "the amount"},
    Kind.THANKS: {},
    Kind.SURVEY: {"link": "the link to the form"},
}


def check(template: Template, example: Mapping[str, str]) -> None:
    """Pass if a person may be sent what the template says.

    Args:
        template: what somebody wrote.
        example: a value for every field of its kind, as long as they become.

    Raises:
        BadTemplate: it misses what it must say, or holds markup, an unknown field or too much.
    """
    parts = {"subject": template.subject, "body": template.body, "short": template.short}
    limits = {"subject": SUBJECT_MAX, "body": BODY_MAX, "short": SHORT_MAX}
    for part, text in parts.items():
        _check_text(part, text, limits[part], template.kind)
    for part, text, required in (
        ("body", template.body, REQUIRED[template.kind]),
        ("short", template.short, REQUIRED_SHORT[template.kind]),
    ):
        there = set(FIELD.findall(text))
        for field, what in required.items():
            if field not in there:
                raise BadTemplate(
                    f"{part}: {what} is missing; put {{{{{field}}}}} where it is to be said"
                )
    filled = fill(template, example)
    if (count := sms_parts(filled.short)) > SMS_PARTS_MAX:
        raise BadTemplate(
            f"short: it takes {count} SMS with the example's values, and {SMS_PARTS_MAX} is the"
            f" most; shorten it to about {SMS_PARTS_MAX * 153} characters, values included"
        )


def _check_text(part: str, text: str, limit: int, kind: Kind) -> None:
    if not text.strip():
        raise BadTemplate(f"{part}: it is empty; write what the person is to read")
    if len(text) > limit:
        raise BadTemplate(f"{part}: it has {len(text)} characters; {limit} is the most")
    allowed = "\n" if part == "body" else ""
    if strange := next((c for c in text if not c.isprintable() and c not in allowed), None):
        raise BadTemplate(
            f"{part}: it holds the character U+{ord(strange):04X}, which is not printable"
            f" {'or a line break' if part == 'body' else 'text on one line'}; take it out"
        )
    if found := _MARKUP.search(text):
        raise BadTemplate(
            f"{part}: it holds markup ({found.group()!r}); write plain text, the letter's layout is"
            " made of blank lines, `1. ` and `- `"
        )
    known = FIELDS[kind]
    for name in FIELD.findall(text):
        if name not in known:
            raise BadTemplate(
                f"{part}: there is no field {{{{{name}}}}} in a {kind}; its fields are"
                f" {', '.join(known)}"
            )
    if _BRACES.search(FIELD.sub("", text)):
        raise BadTemplate(
            f"{part}: it holds braces that are no field; a field is written as {{{{name}}}}, in"
            " small letters and without spaces"
        )


def fill(template: Template, values: Mapping[str, str]) -> Wording:
    """The template with its fields replaced, once: what a value holds stays text."""
    links = {name: _anchor(values[name]) for name in LINKS if name in values}
    escaped = {name: escape(value) for name, value in values.items()} | links
    subject = one_line(_replaced(template.subject, values))
    return Wording(
        subject=subject,
        plain=_replaced(template.body, values).strip() + "\n",
        html=page(subject, _replaced(escape(template.body), escaped), template.language),
        short=sms(_replaced(template.short, values)),
    )


def _replaced(text: str, values: Mapping[str, str]) -> str:
    return FIELD.sub(lambda found: values[found.group(1)], text)


def _anchor(url: str) -> str:
    return f'<a href="{escape(url)}">{escape(url)}</a>'
