"""Words as they go out: on one line, as HTML, as the short text of an SMS; money and days."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from html import escape
from typing import Final, Literal

Language = Literal["pt_BR", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("pt_BR", "en")

# GSM 03.38: what an SMS holds in septets; the second set takes two each.
_GSM: Final = frozenset(
    "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_DOUBLE: Final = frozenset("^{}\\[~]|€")
ONE_SMS: Final = 160
# What is left of each part of a long one.
PART_OF_SMS: Final = 153

_HEADING = re.compile(r"\d+\. ")


@dataclass(frozen=True, slots=True)
class Wording:
    """A letter as text: the same content thrice, `short` for SMS and WhatsApp."""

    subject: str
    plain: str
    html: str
    short: str = ""


def one_line(text: str) -> str:
    r"""Text without control characters or line breaks.

    >>> one_line("Ana\r\nBcc: x")
    'Ana Bcc: x'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def money(cents: int, language: Language) -> str:
    """An amount as people write it.

    >>> money(123456, "pt_BR"), money(123456, "en")
    ('R$ 1.234,56', 'R$ 1,234.56')
    """
    whole = f"{cents // 100:,}"
    if language == "pt_BR":
        return f"R$ {whole.replace(',', '.')},{cents % 100:02d}"
    return f"R$ {whole}.{cents % 100:02d}"


def day(on: date, language: Language) -> str:
    """A date as people write it."""
    return f"{on:%d/%m/%Y}" if language == "pt_BR" else on.isoformat()


def month(on: date, language: Language) -> str:
    """The month of a date."""
    return f"{on:%m/%Y}" if language == "pt_BR" else f"{on:%Y-%m}"


def sms(text: str) -> str:
    """The text on one line in letters that an SMS holds in septets; accents that it lacks fall.

    >>> sms("Não há débito")
    'Nao ha débito'
    """
    return one_line("".join(map(_septets, text)))


def _septets(letter: str) -> str:
    if letter in _GSM or letter in _GSM_DOUBLE:
        return letter
    if not letter.isprintable():
        return " "
    bare = "".join(c for c in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(c))
    return bare if bare and all(c in _GSM for c in bare) else "?"


def sms_parts(text: str) -> int:
    """How many SMS a text of `sms` takes."""
    septets = sum(2 if letter in _GSM_DOUBLE else 1 for letter in text)
    return 1 if septets <= ONE_SMS else -(-septets // PART_OF_SMS)


def page(title: str, escaped: str, language: Language) -> str:
    """An HTML letter of text that is escaped already.

    A blank line ends a paragraph, `1. ` begins a heading, `- ` an item of a list, and two spaces go
    on with it.
    """
    blocks = "\n".join(_block(block) for block in re.split(r"\n\s*\n", escaped.strip()))
    return (
        f'<!doctype html>\n<html lang="{language.replace("_", "-")}">\n<head><meta charset="utf-8">'
        f"<title>{escape(title)}</title></head>\n"
        '<body style="font-family: sans-serif; max-width: 40em; overflow-wrap: anywhere">\n'
        f"{blocks}\n</body>\n</html>\n"
    )


def _block(block: str) -> str:
    made: list[str] = []
    # Lines of the paragraph or the list that is open.
    lines: list[str] = []
    in_list = False

    def close() -> None:
        if lines and in_list:
            made.append("<ul>" + "".join(f"<li>{item}</li>" for item in lines) + "</ul>")
        elif lines:
            made.append(f"<p>{'<br>'.join(lines)}</p>")
        lines.clear()

    for number, line in enumerate(block.split("\n")):
        if number == 0 and _HEADING.match(line):
            made.append(f"<h2>{line}</h2>")
        elif line.startswith("- "):
            if not in_list:
                close()
                in_list = True
            lines.append(line[2:])
        elif in_list and line.startswith("  "):
            lines[-1] += f"<br>{line.strip()}"
        else:
            if in_list:
                close()
                in_list = False
            lines.append(line.strip())
    close()
    return "\n".join(made)
