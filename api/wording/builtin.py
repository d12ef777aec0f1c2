"""The templates that are built in: what is sent until somebody writes another."""

import tomllib
from functools import cache
from importlib.resources import files

from api.wording.template import Kind, Template
from api.wording.text import Language


@cache
def builtin(kind: Kind, language: Language) -> Template:
    """The text of this kind in this language."""
    text = files("api.templates").joinpath(f"{kind}.{language}.toml").read_text("utf-8")
    return Template(kind=kind, language=language, **tomllib.loads(text))
