"""Holds, exemptions and classes: whom nobody cuts, whom nobody reminds, and for how long."""

from dataclasses import replace

import pytest

from billing.access import Level
from billing.account import Account, Desk, end_hold, place_hold, review
from billing.events import HoldEnded
from billing.exemption import exempt
from billing.ladder import Bar, CoveringNotice, Receivable, Situation, decide
from billing.local_holidays import Calendars, LocalHoliday, Sheet
from billing.payer import Hold, HoldKind, Notice, Refused
from billing.place import Place
from billing.standing import calendar_of
from billing.terms import Terms
from tests.support.accounts import CALENDAR, account, at, day, desk, invoice, policy

SANTOS = Place("SP", "3548500")


def owing() -> Account:
    """Due on 2026-09-01, notified on 09-04: walled on Monday 2026-09-21 at 08:00."""
    notice = Notice(1, at("2026-09-04 09:00"), {1: 99_90}, at("2026-09-04 09:00"))
    return replace(account(), invoices=(invoice(),), notices=(notice,))


def hold(expires: str, kind: HoldKind = HoldKind.EXEMPTION) -> Hold:
    return Hold(1, 1, "ana", "internada", at("2026-09-10 09:00"), at(expires), kind)


def held(expires: str, kind: HoldKind = HoldKind.EXEMPTION) -> Account:
    return place_hold(owing(), hold(expires, kind), desk("2026-09-10 09:00"))[0]


@pytest.mark.parametrize(
    ("kind", "instant", "is_exempt"),
    [
        (HoldKind.EXEMPTION, "2026-09-21 09:00", True),
        (HoldKind.EXEMPTION, "2026-09-22 11:59", True),
        (HoldKind.EXEMPTION, "2026-09-22 12:00", False),
        (HoldKind.HOLD, "2026-09-21 09:00", False),
    ],
)
def test_an_exemption_ends_reminders_and_a_hold_does_not(
    kind: HoldKind, instant: str, is_exempt: bool
) -> None:
    payer = held("2026-09-22 12:00", kind)
    assert exempt(payer, payer.contracts[0], at(instant)) is is_exempt


def test_an_exemption_is_of_one_contract() -> None:
    payer = replace(held("2026-09-22 12:00"), contracts=account(2).contracts)
    assert not exempt(payer, payer.contracts[1], at("2026-09-21 09:00"))


def test_a_class_that_is_never_blocked_is_exempt_and_never_cut() -> None:
    payer = owing()
    never = replace(payer.contracts[0], bars=(Bar.NEVER_BLOCK,))
    payer = replace(payer, contracts=(never,))
    assert exempt(payer, never, at("2036-01-01 00:00"))
    after, _ = review(payer, desk("2026-12-21 09:00"))
    assert (after.contracts[0].access.level, after.contracts[0].reason) == (
        Level.FULL,
        "never_block",
    )


def test_at_the_expiry_of_an_exemption_the_next_step_is_entered_and_no_more() -> None:
    # By the debt's own dates it would be walled since 09-21 and blocked since 10-01.
    rules = policy(
        steps=[{"level": "walled"}, {"level": "blocked", "anchor": "walled", "after_days": 10}]
    )
    payer, _ = place_hold(owing(), hold("2026-11-04 12:00"), desk("2026-09-10 09:00", rules))
    payer, _ = review(payer, desk("2026-11-03 09:00", rules))
    assert payer.contracts[0].access.level is Level.FULL
    payer, _ = review(payer, desk("2026-11-04 12:00", rules))
    assert payer.contracts[0].access.level is Level.WALLED
    payer, _ = review(payer, desk("2026-11-10 09:00", rules))
    assert payer.contracts[0].access.level is Level.WALLED, "its days count from the real entry"
    payer, _ = review(payer, desk("2026-11-16 09:00", rules))
    assert payer.contracts[0].access.level is Level.BLOCKED


def test_a_hold_that_is_ended_early_lets_the_dates_count() -> None:
    payer = held("2026-10-22 12:00")
    payer, _ = review(payer, desk("2026-09-21 09:00"))
    assert payer.contracts[0].reason == "hold"
    after, facts = end_hold(payer, 1, "bia", "voltou", desk("2026-09-21 10:00"))
    assert isinstance(facts[0], HoldEnded)
    ended = facts[0].hold
    assert (ended.ended_by, ended.end_reason, ended.ended_at) == (
        "bia",
        "voltou",
        at("2026-09-21 10:00"),
    )
    assert after.contracts[0].access.level is Level.WALLED
    assert not exempt(after, after.contracts[0], at("2026-09-21 10:00"))
    with pytest.raises(Refused, match="hold 1 is over already"):
        end_hold(after, 1, "bia", "outra vez", desk("2026-09-21 11:00"))


@pytest.mark.parametrize(
    ("number", "reason", "now", "says"),
    [
        (2, "voltou", "2026-09-21 10:00", "hold 2 is over already"),
        (1, " ", "2026-09-21 10:00", "author and a reason"),
        (1, "voltou", "2026-10-22 12:00", "hold 1 is over already"),
    ],
)
def test_a_wrong_end_is_refused(number: int, reason: str, now: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        end_hold(held("2026-10-22 12:00"), number, "bia", reason, desk(now))


def test_a_hold_is_no_longer_than_the_terms_allow() -> None:
    now = replace(desk("2026-09-10 09:00"), terms=Terms(hold_days=30))
    payer, _ = place_hold(owing(), hold("2026-10-10 09:00"), now)
    assert payer.holds
    with pytest.raises(Refused, match="the terms allow 30 days at most; give an earlier expiry"):
        place_hold(owing(), hold("2026-10-10 09:01"), now)


def test_a_contract_is_judged_by_the_calendar_of_its_place() -> None:
    # Monday the 21st is a holiday in Santos alone: there the cut comes a day later.
    sheets = [Sheet(1, SANTOS, 2026, (LocalHoliday(day("2026-09-21"), "x"),))]
    calendars = Calendars(CALENDAR, sheets)

    def at_desk(text: str) -> Desk:
        return replace(desk(text), calendars=calendars)

    payer = owing()
    elsewhere = replace(payer.contracts[0], place=SANTOS)
    assert calendar_of(payer.contracts[0], at_desk("2026-09-21 08:00")) is CALENDAR
    assert calendar_of(elsewhere, at_desk("2026-09-21 08:00")).place == SANTOS
    there, facts = review(replace(payer, contracts=(elsewhere,)), at_desk("2026-09-21 08:00"))
    assert there.contracts[0].access.level is Level.FULL
    assert there.contracts[0].review_on == at("2026-09-22 08:00")
    here, facts = review(payer, at_desk("2026-09-21 08:00"))
    assert here.contracts[0].access.level is Level.WALLED
    there, facts = review(there, at_desk("2026-09-22 08:00"))
    decided = next(fact for fact in facts if hasattr(fact, "calendar"))
    assert decided.calendar is not None
    assert (decided.calendar.place, decided.calendar.sheet_id) == (SANTOS, 1)


def test_an_outage_holds_the_cut_back_while_it_lasts() -> None:
    owed = Situation(
        (Receivable(1, day("2026-09-01"), 99_90),),
        (CoveringNotice(1, day("2026-09-04"), frozenset({1})),),
        bars=(Bar.OUTAGE,),
    )
    now = at("2026-09-21 08:00")
    assert decide(owed, policy(), CALENDAR, now).level is Level.FULL
    over = decide(replace(owed, bars=()), policy(), CALENDAR, now)
    assert over.level is Level.WALLED
