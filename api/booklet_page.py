"""The booklet as a page to be printed."""

from collections.abc import Sequence
from functools import partial

from jinja2 import Environment, PackageLoader, StrictUndefined

from api.booklet import Leaf
from api.explain import money

_TEMPLATES = Environment(
    loader=PackageLoader("api", "templates"), autoescape=True, undefined=StrictUndefined
)


def page(provider: str, subscriber: str, contract_id: int, leaves: Sequence[Leaf]) -> str:
    """HTML without anything that is loaded from elsewhere."""
    return _TEMPLATES.get_template("booklet.html.j2").render(
        provider=provider,
        subscriber=subscriber,
        contract_id=contract_id,
        leaves=leaves,
        reais=partial(money, "pt-BR"),
    )
