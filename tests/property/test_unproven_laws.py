"""Laws of a proof that came back: nothing counts from it, and nothing else is touched."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.access import Level
from billing.account import (
    Account,
    draw_notice,
    issue_invoice,
    prove_notice,
    review,
    unprove_notice,
)
from billing.events import AccessDecided, NoticeUnproven
from billing.payer import Refused
from billing.policy import parse
from tests.support.accounts import ZONE, account, desk, invoice

# Fast enough that a line is cut before an e-mail has come back.
QUICK = parse(
    "anatel-765",
    1,
    {"law": "none", "notice_days": 0, "cut_any_day": True, "cut_from": "00:00",
     "cut_until": "23:59", "steps": [{"level": "walled"}, {"level": "blocked", "after_days": 1}]},
)  # fmt: skip
NOTICED = datetime(2026, 9, 4, 9, tzinfo=ZONE)


def drawn(contracts: int = 2) -> Account:
    payer = account(contracts)
    for number in range(1, contracts + 1):
        due = invoice(number, "2026-09-01", contract_id=number)
        payer, _ = issue_invoice(payer, due, desk("2026-08-01 09:00", QUICK))
    payer, _ = draw_notice(payer, 1, desk(NOTICED, QUICK))
    return payer


def standing(payer: Account) -> list[tuple[object, ...]]:
    return [(c.access, c.reason, c.rungs, c.review_on) for c in payer.contracts]


@given(st.lists(st.integers(0, 60), max_size=4), st.integers(0, 60))
def test_unproven_is_as_if_it_had_never_been_proven(looks: list[int], back: int) -> None:
    before = drawn()
    payer, _ = prove_notice(before, 1, NOTICED, desk(NOTICED, QUICK))
    latest = NOTICED
    for hours in looks:
        latest += timedelta(hours=hours)
        payer, _ = review(payer, desk(latest, QUICK))
    latest += timedelta(hours=back)
    cut = [c.access.level for c in payer.contracts if c.access.level is not Level.FULL]
    after, facts = unprove_notice(payer, 1, "550 no such user", desk(latest, QUICK))
    assert facts[0] == NoticeUnproven(1, "550 no such user")
    assert after.notices == before.notices
    assert standing(after) == standing(review(before, desk(latest, QUICK))[0])
    assert all(c.access.level is Level.FULL and not c.rungs for c in after.contracts)
    decided = [fact for fact in facts if isinstance(fact, AccessDecided)]
    assert [fact.reason for fact in decided] == ["awaiting_notice"] * len(cut)
    assert unprove_notice(after, 1, "again", desk(latest, QUICK)) == (after, ())


@given(st.integers(1, 20))
def test_its_days_run_anew_from_another_channels_proof(days: int) -> None:
    payer, _ = prove_notice(drawn(1), 1, NOTICED, desk(NOTICED))
    payer, _ = unprove_notice(payer, 1, "550", desk(NOTICED + timedelta(hours=2)))
    later = NOTICED + timedelta(days=days)
    payer, _ = prove_notice(payer, 1, later, desk(later))
    review_on = payer.contracts[0].review_on
    assert review_on is not None
    assert review_on.date() == later.date() + timedelta(days=15)


@given(st.integers(0, 72))
def test_another_notice_goes_on_covering_what_it_lists(hours: int) -> None:
    payer, _ = prove_notice(drawn(1), 1, NOTICED, desk(NOTICED, QUICK))
    second = replace(payer.notices[0], id=2, proven_at=NOTICED)
    payer = replace(payer, notices=(*payer.notices, second))
    now = desk(NOTICED + timedelta(hours=hours), QUICK)
    payer, _ = review(payer, now)
    after, _ = unprove_notice(payer, 1, "550", now)
    assert after.contracts[0].access == payer.contracts[0].access
    assert after.contracts[0].rungs == payer.contracts[0].rungs


def test_what_is_not_there_cannot_come_back() -> None:
    payer = drawn()
    with pytest.raises(Refused, match="nothing that notice 9 lists is owed"):
        unprove_notice(payer, 9, "550", desk(NOTICED, QUICK))
    assert unprove_notice(payer, 1, "550", desk(NOTICED, QUICK))[0] == payer
