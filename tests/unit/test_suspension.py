from dataclasses import replace

import pytest

from billing.access import Level
from billing.account import clear_payment, issue_invoice, review
from billing.events import PauseEnded, PauseTaken
from billing.pause import Pause
from billing.payer import Account, Refused
from billing.suspension import resume, suspend
from tests.support.accounts import account, at, day, decided, desk, invoice, payment


def pause(number: int = 1, first: str = "2026-09-11", last: str = "2026-10-10") -> Pause:
    return Pause(number, 1, at("2026-09-10 10:00"), "ana", day(first), day(last))


def paused() -> Account:
    payer, facts = suspend(account(), pause(), desk("2026-09-10 10:00"))
    assert facts[0] == PauseTaken(pause())
    return payer


def level_at(payer: Account, now: str) -> tuple[Account, Level]:
    payer, _ = review(payer, desk(now))
    return payer, payer.contracts[0].access.level


def test_blocked_from_its_first_day_to_its_last() -> None:
    payer = paused()
    assert payer.contracts[0].access.level is Level.FULL
    for now, expected, review_on in [
        ("2026-09-10 23:59", Level.FULL, "2026-09-11 00:00"),
        ("2026-09-11 00:00", Level.BLOCKED, "2026-10-11 00:00"),  # a Friday, at night
        ("2026-10-10 23:59", Level.BLOCKED, "2026-10-11 00:00"),
    ]:
        payer, level = level_at(payer, now)
        assert (level, payer.contracts[0].review_on) == (expected, at(review_on)), now
    assert payer.contracts[0].reason == "paused"
    payer, level = level_at(payer, "2026-10-11 00:00")
    assert level is Level.FULL
    assert payer.contracts[0].review_on is None


def test_from_today_is_at_once() -> None:
    payer, facts = suspend(
        account(), pause(first="2026-09-10", last="2026-10-09"), desk("2026-09-10 10:00")
    )
    (decision,) = decided(facts)
    assert (decision.access.level, decision.reason) == (Level.BLOCKED, "paused")
    assert payer.contracts[0].review_on == at("2026-10-10 00:00")


def test_the_customer_may_end_it_any_time() -> None:
    payer, _ = level_at(paused(), "2026-09-20 00:00")
    payer, facts = resume(payer, 1, desk("2026-09-20 21:00"))
    assert facts[0] == PauseEnded(replace(pause(), ended_at=at("2026-09-20 21:00")))
    assert payer.contracts[0].access.level is Level.FULL
    with pytest.raises(Refused, match="suspension 1 is over since 2026-09-20T21:00"):
        resume(payer, 1, desk("2026-09-20 22:00"))
    with pytest.raises(Refused, match="has no suspension 2"):
        resume(payer, 2, desk("2026-09-20 22:00"))


def test_one_taken_back_never_was() -> None:
    payer, _ = resume(paused(), 1, desk("2026-09-10 12:00"))
    assert payer.contracts[0].review_on is None
    payer, _ = suspend(
        payer, replace(pause(2), asked_at=at("2026-09-10 13:00")), desk("2026-09-10 13:00")
    )
    assert len(payer.pauses) == 2


def test_a_debtor_is_refused_and_one_who_pays_is_not() -> None:
    payer, _ = issue_invoice(account(), invoice(1, "2026-09-09"), desk("2026-08-20 10:00"))
    now = desk("2026-09-10 10:00")
    with pytest.raises(Refused, match=r"has overdue invoices \(1\)"):
        suspend(payer, pause(), now)
    payer, _ = clear_payment(payer, payment(102_00, "2026-09-10 09:00"), now)
    suspend(payer, pause(), now)


def test_what_falls_due_meanwhile_is_owed_and_cuts_no_milder_than_the_pause() -> None:
    payer, _ = issue_invoice(paused(), invoice(1, "2026-09-15"), desk("2026-09-10 11:00"))
    payer, level = level_at(payer, "2026-09-25 09:00")
    assert level is Level.BLOCKED
    payer, level = level_at(payer, "2026-10-11 00:00")
    assert (level, payer.contracts[0].reason) == (Level.FULL, "awaiting_notice")


def test_a_contract_that_ended_does_not_pause() -> None:
    payer = account()
    ended = replace(payer.contracts[0], ended_on=day("2026-09-01"))
    with pytest.raises(Refused, match="no running contract 1"):
        suspend(replace(payer, contracts=(ended,)), pause(), desk("2026-09-10 10:00"))
