"""Every reason for which a plan is refused is told in both languages, with its numbers."""

from typing import Any

import pytest

from api.guard_words import blind_for, refusals
from api.sentences import Lang
from billing.guard import OF_THE_PLAN, Bound, Flaw

PLAN: dict[str, Any] = {
    "flaws": [flaw.value for flaw in Flaw],
    "cuts": 61,
    "cuts_max": 60,
    "cuts_max_by": "usual",
    "crowded": [{"nas": "pop-7", "cuts": 50, "cuts_max": 20, "contracts": 50}],
    "signs": [
        {"contract_id": 8, "sign": sign} for sign in ("payment", "promise", "dispute", "hold")
    ],
}


@pytest.mark.parametrize("lang", ["pt-BR", "en"])
def test_each_flaw_has_its_sentence(lang: Lang) -> None:
    said = dict(zip(PLAN["flaws"], refusals(lang, PLAN), strict=True))
    assert len(set(said.values())) == len(Flaw)
    assert "61" in said["too_many"]
    assert "60" in said["too_many"]
    assert all(part in said["too_many_on_nas"] for part in ("pop-7", "50", "20"))
    assert said["canary"].count("8") == 4
    assert not any(mark in sentence for sentence in said.values() for mark in "{}")
    for by in (*Bound, None):
        assert refusals(lang, PLAN | {"cuts_max_by": by})[0]
    blind = [flaw.value for flaw in Flaw if flaw not in OF_THE_PLAN]
    assert blind_for(lang, blind) == [said[flaw] for flaw in blind]
