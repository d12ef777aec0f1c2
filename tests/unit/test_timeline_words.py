"""Every change that the timeline tells has its sentence in both languages."""

import string
from typing import get_args

import pytest

from api.sentences import REMOVALS, SENTENCES, Lang
from api.store.history import CHANGES
from billing.bureau import Removal


@pytest.mark.parametrize("lang", get_args(Lang))
def test_every_change_is_told(lang: Lang) -> None:
    for action in CHANGES:
        full, bare = SENTENCES[lang][action.replace(".", "_")]
        named = {field for _, field, _, _ in string.Formatter().parse(bare) if field}
        assert not named & {"amount", "counted", "covered_amount"}, action
        assert full
    assert set(REMOVALS[lang]) == {reason.value for reason in Removal}


def test_the_languages_tell_the_same() -> None:
    portuguese, english = (set(SENTENCES[lang]) for lang in get_args(Lang))
    assert portuguese == english
