"""The pages of a survey, in two languages: plain HTML that any browser and any reader takes."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from api.store.surveys import Asked
from api.wording.text import Language, day
from billing.survey import COMMENT_MAX, MARK_MAX, MARK_MIN, QUESTIONS, SCORE_MAX, Form

_STYLE = """
body { font-family: sans-serif; max-width: 40em; margin: 1em auto; padding: 0 1em; color: #1a1a1a;
  background: #fff; line-height: 1.5; }
fieldset { border: 1px solid #595959; margin: 1em 0; padding: 0.5em 1em; }
legend, label.comment { font-weight: bold; }
.choices { display: flex; flex-wrap: wrap; gap: 0.5em; }
.choices label { display: inline-flex; align-items: center; gap: 0.25em; min-width: 2.75em;
  min-height: 2.75em; }
textarea { width: 100%; box-sizing: border-box; font: inherit; }
button { font: inherit; padding: 0.6em 1.4em; }
.error { border: 2px solid #b00020; padding: 0.5em 1em; }
:focus-visible { outline: 3px solid #0b57d0; outline-offset: 2px; }
"""
STYLE_SHA256 = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_TEMPLATES = Environment(
    loader=PackageLoader("api", "templates"), autoescape=True, undefined=StrictUndefined
)


def language(asked: Asked, lang: str) -> Language:
    """The language of the page: the one that is asked for, else that of the letter."""
    if lang in ("en", "pt-BR"):
        return "en" if lang == "en" else "pt_BR"
    return "en" if asked.language == "en" else "pt_BR"


def form(
    provider: str,
    asked: Asked,
    expires_at: datetime,
    lang: Language,
    *,
    wrong: str | None,
    given: Mapping[str, Sequence[str]] | None,
) -> str:
    """The form, with what was given or answered before.

    Args:
        provider: who asks.
        asked: what, and what was answered.
        expires_at: in the provider's zone.
        lang: of the page.
        wrong: the field that was refused; None: none was.
        given: what was sent; None: nothing, so that the answer kept is shown.
    """
    words = _WORDS[lang]
    if given is not None:
        chosen = {name: values[0] for name, values in given.items() if values}
    else:
        kept = {
            **(asked.marks or {}),
            **({"score": asked.score} if asked.score is not None else {}),
        }
        chosen = {name: str(value) for name, value in kept.items()}
        chosen["comment"] = asked.comment or ""
    if asked.form is Form.NPS:
        questions = [("score", words["score"].format(provider=provider), range(SCORE_MAX + 1))]
    else:
        questions = [(name, words[name], range(MARK_MIN, MARK_MAX + 1)) for name in QUESTIONS]
    return _page(
        provider,
        lang,
        title=words["title"],
        questions=questions,
        scale=words["scale_nps" if asked.form is Form.NPS else "scale_marks"],
        chosen=chosen,
        wrong=wrong,
        comment_max=COMMENT_MAX,
        open_until=words["open_until"].format(
            on=day((expires_at - timedelta(microseconds=1)).date(), lang)
        ),
        answered=asked.answered_at is not None,
    )


def thanks(provider: str, lang: Language) -> str:
    """The answer is kept."""
    return _page(provider, lang, title=_WORDS[lang]["kept"], said=_WORDS[lang]["kept_more"])


def closed(provider: str, why: str, lang: Language) -> str:
    """There is no form: `why` is unknown, expired or throttled."""
    words = _WORDS[lang]
    return _page(provider, lang, title=words[why], said=words[f"{why}_more"])


def _page(provider: str, lang: Language, **values: Any) -> str:
    return _TEMPLATES.get_template("survey.html.j2").render(
        provider=provider,
        html_lang=lang.replace("_", "-"),
        other_lang="pt-BR" if lang == "en" else "en",
        words=_WORDS[lang],
        style=Markup(_STYLE),  # noqa: S704 -- our own constant
        **{"said": None, "questions": (), **values},
    )


_WORDS: Mapping[Language, Mapping[str, str]] = {
    "pt_BR": {
        "title": "Como estamos indo?",
        "score": "De 0 a 10, quanto você recomendaria {provider} a um amigo?",
        "scale_nps": "0 é de jeito nenhum; 10 é com certeza.",
        "scale_marks": "1 é muito ruim; 5 é muito bom.",
        "speed": "A velocidade da internet",
        "stability": "A estabilidade da conexão",
        "support": "O atendimento",
        "price": "O preço pelo que se recebe",
        "comment": "Quer contar mais? (opcional)",
        "send": "Enviar resposta",
        "wrong": "Falta uma resposta",
        "wrong_more": "Confira o item marcado e envie de novo.",
        "wrong_comment": "O comentário é longo demais ou tem caracteres que não se mostram.",
        "wrong_choice": "Escolha um número.",
        "answered": "Você já respondeu; enviar de novo muda a resposta.",
        "open_until": "Aberto até {on}.",
        "other_language": "In English",
        "kept": "Resposta recebida",
        "kept_more": "Obrigado. Enquanto ele estiver aberto, o mesmo link muda a resposta.",
        "unknown": "Este link não abre nada",
        "unknown_more": "Confira se ele foi copiado inteiro da mensagem.",
        "expired": "O formulário já foi encerrado",
        "expired_more": "Obrigado pelo interesse. Se quiser falar conosco, responda à mensagem.",
        "throttled": "Tentativas demais",
        "throttled_more": "Espere alguns minutos e tente de novo.",
    },
    "en": {
        "title": "How are we doing?",
        "score": "From 0 to 10, how likely are you to recommend {provider} to a friend?",
        "scale_nps": "0 is not at all; 10 is certainly.",
        "scale_marks": "1 is very bad; 5 is very good.",
        "speed": "The speed of the internet",
        "stability": "How stable the connection is",
        "support": "How we help you",
        "price": "The price for what you get",
        "comment": "Anything else? (optional)",
        "send": "Send the answer",
        "wrong": "An answer is missing",
        "wrong_more": "Look at the marked question and send it again.",
        "wrong_comment": "The comment is too long, or has characters that cannot be shown.",
        "wrong_choice": "Choose a number.",
        "answered": "You have answered already; sending again changes the answer.",
        "open_until": "Open until {on}.",
        "other_language": "Em português",
        "kept": "We have your answer",
        "kept_more": "Thank you. While the form is open, the same link changes the answer.",
        "unknown": "This link opens nothing",
        "unknown_more": "See whether all of it was copied from the message.",
        "expired": "The form is closed",
        "expired_more": "Thank you for your interest. To talk to us, answer to the message.",
        "throttled": "Too many attempts",
        "throttled_more": "Wait some minutes and try again.",
    },
}
