from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from billing.access import Level
from billing.ladder import (
    Bar,
    CoveringNotice,
    Receivable,
    Rung,
    Situation,
    Verdict,
    decide,
    notice_from,
    overdue_from,
    settled,
)
from billing.policy import Policy, read
from billing.stage import Stage
from tests.support.accounts import CALENDAR, STAGED, at, day, policy

# The line alone; what comes after it is in test_ladder_stages.py.
RULES = policy(steps=[{"level": "walled"}])
STAGES = policy(steps=STAGED)
LADDER = policy(
    steps=[
        {"level": "reduced", "anchor": "maturity", "after_days": 0},
        {"level": "walled", "anchor": "reduced", "after_days": 15},
        {"level": "blocked", "anchor": "walled", "after_days": 30},
    ]
)


def owed(number: int = 1, due: str = "2026-09-01", cents: int = 99_90) -> Receivable:
    return Receivable(number, day(due), cents)


def proven(on: str, *invoices: int, number: int = 1) -> CoveringNotice:
    return CoveringNotice(number, day(on), frozenset(invoices or (1,)))


def look(situation: Situation, now: str, rules: Policy = RULES) -> Verdict:
    return decide(situation, rules, CALENDAR, at(now))


def live(situation: Situation, rules: Policy, until: str) -> list[tuple[str, Level]]:
    """From the first of September, look whenever a verdict asks for it; the changes of level."""
    now, end, seen = at("2026-09-01 00:00"), at(until), list[tuple[str, Level]]()
    level = Level.FULL
    while now <= end:
        verdict = decide(situation, rules, CALENDAR, now)
        situation = settled(situation, verdict, now)
        if verdict.level is not level:
            level = verdict.level
            seen.append((f"{now:%Y-%m-%d %H:%M}", level))
        if verdict.review_on is None:
            break
        now = verdict.review_on
    return seen


# Each row: due date, first overdue day, first day on which a notice is due.
@pytest.mark.parametrize(
    ("due", "overdue", "notice"),
    [
        ("2026-09-01", "2026-09-03", "2026-09-04"),  # the worked example
        ("2026-09-03", "2026-09-08", "2026-09-08"),  # day after is Friday; bank day is Tuesday
        ("2026-09-04", "2026-09-08", "2026-09-08"),  # over a weekend and a holiday
        ("2026-09-05", "2026-09-10", "2026-09-10"),  # due on Saturday: as if due on Tuesday 8
        ("2026-02-16", "2026-02-20", "2026-02-20"),  # Carnival: due as if on Wednesday 18
        ("2026-12-31", "2027-01-04", "2027-01-04"),  # over the year
    ],
)
def test_overdue_and_notice_days(due: str, overdue: str, notice: str) -> None:
    assert overdue_from(day(due), RULES, CALENDAR) == day(overdue)
    assert notice_from(day(due), RULES, CALENDAR) == day(notice)


def test_no_float_is_a_setting() -> None:
    assert overdue_from(day("2026-09-01"), policy(float_bank_days=0), CALENDAR) == day("2026-09-02")


# The worked example of the rules: due 2026-09-01, notice proven 09-04, matures Saturday 09-19.
@pytest.mark.parametrize(
    ("now", "level", "reason", "review_on"),
    [
        ("2026-09-02 23:59", Level.FULL, "not_overdue", "2026-09-03 00:00"),
        ("2026-09-03 00:00", Level.FULL, "notice_running", "2026-09-19 00:00"),
        ("2026-09-18 23:59", Level.FULL, "notice_running", "2026-09-19 00:00"),
        ("2026-09-19 09:00", Level.FULL, "awaiting_allowed_time", "2026-09-21 08:00"),
        ("2026-09-21 07:59", Level.FULL, "awaiting_allowed_time", "2026-09-21 08:00"),
        ("2026-09-21 08:00", Level.WALLED, "step_reached", None),
        ("2026-09-21 16:00", Level.FULL, "awaiting_allowed_time", "2026-09-22 08:00"),
    ],
)
def test_the_worked_example(now: str, level: Level, reason: str, review_on: str | None) -> None:
    verdict = look(Situation((owed(),), (proven("2026-09-04"),)), now)
    assert (verdict.level, verdict.reason) == (level, reason)
    assert verdict.review_on == (at(review_on) if review_on else None)
    assert verdict.notice_id == (None if reason == "not_overdue" else 1)


def test_the_worked_example_lived() -> None:
    situation = Situation((owed(),), (proven("2026-09-04"),))
    assert live(situation, RULES, "2027-09-01 00:00") == [("2026-09-21 08:00", Level.WALLED)]


def test_a_verdict_says_everything_of_rule_16() -> None:
    situation = Situation((owed(2, cents=5_00), owed(3, "2026-12-01")), (proven("2026-09-04", 2),))
    assert look(situation, "2026-09-21 08:00") == Verdict(
        level=Level.WALLED,
        step="walled",
        reason="step_reached",
        invoice_ids=(2,),
        counted_cents=5_00,
        notice_id=1,
        policy_name="anatel-765",
        policy_version=1,
        review_on=None,  # what becomes overdue later changes nothing before its own notice
        rungs=(Rung(Stage.WALLED, day("2026-09-21")),),
        amounts_cents=(5_00,),
    )


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        (Situation(()), "no_debt"),
        (Situation((owed(cents=0),), (proven("2026-08-01"),)), "no_debt"),
        (Situation((owed(due="2026-10-13"),)), "not_overdue"),
        (Situation((owed(),)), "awaiting_notice"),
        (Situation((owed(),), (proven("2026-09-04", 9),)), "awaiting_notice"),
        (Situation((owed(),), (proven("2026-10-13"),)), "notice_running"),
        (Situation((owed(due="2026-10-13"),), (proven("2026-09-04"),)), "not_overdue"),
    ],
)
def test_no_step_without_matured_debt(situation: Situation, reason: str) -> None:
    verdict = look(situation, "2026-10-14 10:00")
    assert (verdict.level, verdict.reason, verdict.rungs) == (Level.FULL, reason, ())
    assert verdict.counted_cents == 0


def test_debt_below_the_minimum_takes_no_step() -> None:
    rules = policy(min_debt_cents=100_00)
    situation = Situation((owed(),), (proven("2026-09-04"),))
    assert look(situation, "2026-09-21 08:00", rules).reason == "below_minimum"
    both = replace(situation, receivables=(owed(), owed(2, cents=10)))
    assert look(both, "2026-09-21 08:00", rules).level is Level.FULL, "the second is not covered"
    both = replace(both, notices=(proven("2026-09-04", 1, 2),))
    assert look(both, "2026-09-21 08:00", rules).level is Level.WALLED


@pytest.mark.parametrize(
    ("proven_on", "entered"),
    [
        ("2026-09-03", "2026-09-21 08:00"),  # matures on Friday 18
        ("2026-09-05", "2026-09-21 08:00"),  # on Sunday 20
        ("2026-09-06", "2026-09-21 08:00"),  # on Monday 21
        ("2026-09-26", "2026-10-13 08:00"),  # on Sunday 10-11, eve of a holiday
        ("2026-10-18", "2026-11-03 08:00"),  # on 11-02, a holiday on Monday
        ("2026-11-04", "2026-11-23 08:00"),  # on 11-19, eve of a Friday holiday
        ("2026-12-09", "2026-12-28 08:00"),  # on 12-24, eve of Christmas
        ("2026-12-16", "2027-01-04 08:00"),  # on 12-31, eve of New Year
    ],
)
def test_cuts_wait_for_an_allowed_day(proven_on: str, entered: str) -> None:
    situation = Situation((owed(),), (proven(proven_on),))
    assert live(situation, RULES, "2027-09-01 00:00") == [(entered, Level.WALLED)]


def test_stages_follow_from_the_day_they_were_really_entered() -> None:
    situation = Situation((owed(),), (proven("2026-09-04"),))
    assert live(situation, LADDER, "2027-09-01 00:00") == [
        ("2026-09-21 08:00", Level.REDUCED),
        ("2026-10-06 08:00", Level.WALLED),  # 15 days after the 21st, not after maturity
        ("2026-11-05 08:00", Level.BLOCKED),
    ]


def test_one_step_a_day_however_late_and_however_often_one_looks() -> None:
    situation = Situation((owed(),), (proven("2026-01-04"),))
    # As documents could say it once: read, but not accepted any more.
    steps = [{"level": name} for name in ("reduced", "walled", "blocked")]
    rules = read("x", 1, {"steps": steps, "cut_any_day": True})
    first = look(situation, "2026-10-14 08:00", rules)
    again = look(replace(situation, rungs=first.rungs), "2026-10-14 15:59", rules)
    assert again == first
    assert again.level is Level.REDUCED
    assert again.review_on == at("2026-10-15 08:00")
    assert live(situation, rules, "2026-12-01 00:00") == [
        ("2026-09-03 08:00", Level.REDUCED),
        ("2026-09-04 08:00", Level.WALLED),
        ("2026-09-05 08:00", Level.BLOCKED),
    ]


def test_the_oldest_covering_notice_sets_the_days() -> None:
    notices = (proven("2026-09-20", 1, 2, number=2), proven("2026-09-04", 1, number=1))
    verdict = look(Situation((owed(), owed(2)), notices), "2026-09-21 08:00")
    assert (verdict.level, verdict.notice_id, verdict.invoice_ids) == (Level.WALLED, 1, (1,))


def rungs(*entered: tuple[Stage, str]) -> tuple[Rung, ...]:
    return tuple(Rung(stage, date.fromisoformat(on)) for stage, on in entered)


OLD, NEW = owed(1), owed(2, "2026-10-01")
BOTH = (proven("2026-09-04", 1, number=1), proven("2026-10-05", 2, number=2))
WALLED = rungs((Stage.REDUCED, "2026-09-21"), (Stage.WALLED, "2026-10-06"))


# Rule 8. Invoice 1: notice 09-04; invoice 2: notice 10-05, matures Tuesday 10-20.
@pytest.mark.parametrize(
    ("left", "now", "level", "kept"),
    [
        ([OLD, NEW], "2026-10-21 10:00", Level.WALLED, WALLED),
        # A part of the oldest: its dates go on, nothing changes.
        ([owed(1, cents=1), NEW], "2026-10-21 10:00", Level.WALLED, WALLED),
        # The oldest paid before the newer one's notice matured: full at once.
        ([NEW], "2026-10-19 23:10", Level.FULL, ()),
        # On the day that it matures, before the hour of cuts: its dates have not reached a step.
        ([NEW], "2026-10-20 07:59", Level.FULL, ()),
        # After it: only the first step has been reached, and keeps its real day.
        ([NEW], "2026-10-20 08:00", Level.REDUCED, WALLED[:1]),
        ([NEW], "2026-11-03 23:59", Level.REDUCED, WALLED[:1]),
        # 11-04 is reduced + 15 by its own dates: both stay.
        ([NEW], "2026-11-04 10:00", Level.WALLED, WALLED),
    ],
)
def test_partial_payment_keeps_only_what_the_rest_would_have_reached(
    left: Sequence[Receivable], now: str, level: Level, kept: tuple[Rung, ...]
) -> None:
    verdict = look(Situation(tuple(left), BOTH, WALLED), now, STAGES)
    assert (verdict.level, verdict.rungs) == (level, kept)


def test_the_next_step_waits_for_the_real_day_and_for_the_dates_of_what_is_left() -> None:
    # Really reduced on 10-15 (a hold), though the dates gave 09-21: walled is 15 days later, on
    # Friday 10-30, so Tuesday 11-03 (Monday is a holiday).
    late = Situation((OLD,), BOTH, rungs((Stage.REDUCED, "2026-10-15")))
    assert look(late, "2026-10-29 10:00", STAGES).review_on == at("2026-11-03 08:00")
    # Really reduced on 09-21, but for an invoice that is paid: what is left gives 10-20 and 11-04.
    left = Situation((NEW,), BOTH, WALLED[:1])
    assert look(left, "2026-10-20 10:00", STAGES).review_on == at("2026-11-04 08:00")
    assert look(left, "2026-11-04 08:00", STAGES).level is Level.WALLED


@pytest.mark.parametrize("now", ["2026-09-26 23:10", "2026-10-12 03:00", "2026-12-31 23:59"])
def test_restore_has_no_calendar(now: str) -> None:
    held = Situation((NEW,), BOTH[:1], WALLED, hold_until=at("2027-01-01 00:00"))
    verdict = look(held, now, STAGES)
    assert (verdict.level, verdict.rungs) == (Level.FULL, ())


# A promise until Friday 2026-09-25, made while walled since Monday 09-21.
@pytest.mark.parametrize(
    ("now", "level", "reason", "review_on"),
    [
        ("2026-09-22 10:00", Level.FULL, "promise", "2026-09-26 00:00"),
        ("2026-09-25 23:59", Level.FULL, "promise", "2026-09-26 00:00"),
        ("2026-09-26 00:00", Level.FULL, "awaiting_allowed_time", "2026-09-28 08:00"),
        ("2026-09-28 07:59", Level.FULL, "awaiting_allowed_time", "2026-09-28 08:00"),
        ("2026-09-28 08:00", Level.WALLED, "step_reached", None),
    ],
)
def test_a_promise_lifts_until_the_next_allowed_instant(
    now: str, level: Level, reason: str, review_on: str | None
) -> None:
    entered = rungs((Stage.WALLED, "2026-09-21"))
    situation = Situation((owed(),), (proven("2026-09-04"),), entered, day("2026-09-25"))
    verdict = look(situation, now)
    assert (verdict.level, verdict.reason) == (level, reason)
    assert verdict.review_on == (at(review_on) if review_on else None)
    assert verdict.rungs == entered, "the dates run on underneath"


def test_after_a_promise_comes_what_the_dates_give() -> None:
    # Reduced on 09-21; walled would have come on 10-06, under the promise.
    entered = rungs((Stage.REDUCED, "2026-09-21"))
    situation = Situation((owed(),), (proven("2026-09-04"),), entered, day("2026-10-07"))
    assert look(situation, "2026-10-06 10:00", STAGES).level is Level.FULL
    verdict = look(situation, "2026-10-08 08:00", STAGES)
    assert (verdict.level, verdict.rungs[1:]) == (
        Level.WALLED,
        rungs((Stage.WALLED, "2026-10-08")),
    )


def test_a_promise_may_leave_reduced_speed() -> None:
    rules = policy(steps=STAGED, promise_level="reduced")
    situation = Situation((owed(),), (proven("2026-09-04"),), WALLED, day("2026-10-09"))
    assert look(situation, "2026-10-08 10:00", rules).level is Level.REDUCED
    fresh = replace(situation, rungs=())
    assert look(fresh, "2026-10-08 10:00", rules).level is Level.FULL, "a promise cuts nobody"


def test_a_hold_forbids_cuts_and_undoes_none() -> None:
    hold = at("2026-10-14 12:00")
    situation = Situation((owed(),), (proven("2026-09-04"),), hold_until=hold)
    verdict = look(situation, "2026-09-21 08:00", STAGES)
    assert (verdict.level, verdict.reason, verdict.review_on) == (Level.FULL, "hold", hold)
    assert look(situation, "2026-10-14 12:00", STAGES).level is Level.REDUCED, "at its very end"
    entered = replace(situation, rungs=WALLED[:1])
    verdict = look(entered, "2026-10-13 10:00", STAGES)
    assert (verdict.level, verdict.reason) == (Level.REDUCED, "hold")


def test_a_hold_keeps_a_promise_that_is_over_from_being_cut_again() -> None:
    situation = Situation(
        (owed(),), (proven("2026-09-04"),), WALLED, day("2026-10-09"), at("2026-10-20 10:00")
    )
    verdict = look(situation, "2026-10-14 10:00", STAGES)
    assert (verdict.level, verdict.reason) == (Level.FULL, "hold")
    assert verdict.review_on == at("2026-10-20 10:00")


def test_days_are_local_where_midnight_does_not_exist() -> None:
    # Proven on 2017-09-30, matures on Sunday 2017-10-15, which began at 01:00 in São Paulo.
    situation = Situation((owed(due="2017-09-01"),), (proven("2017-09-30"),))
    verdict = look(situation, "2017-10-14 23:59")
    assert verdict.review_on is not None
    assert verdict.review_on.isoformat() == "2017-10-15T01:00:00-02:00"
    assert look(situation, "2017-10-15 01:00").counted_cents == 99_90


def test_under_a_new_policy_a_step_stays_only_as_far_as_its_dates_go() -> None:
    situation = Situation((owed(),), (proven("2026-09-04"),), WALLED)
    longer = policy(steps=[STAGED[0], {**STAGED[1], "after_days": 60}])
    assert look(situation, "2026-10-14 10:00", longer).rungs == WALLED[:1]
    # A rung that the new version does not know carries on, and anchors what follows it.
    other = policy(
        steps=[
            {"level": "reduced"},
            {"level": "blocked", "anchor": "reduced", "after_days": 1},
        ]
    )
    only_walled = replace(situation, rungs=WALLED[1:])
    verdict = look(only_walled, "2026-10-14 10:00", other)
    assert [rung.level for rung in verdict.rungs] == [Level.WALLED, Level.BLOCKED]


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="carries its zone"):
        decide(Situation((owed(),)), RULES, CALENDAR, at("2026-09-01 00:00").replace(tzinfo=None))


def test_a_bar_stands_against_cuts_and_never_against_a_restore() -> None:
    situation = Situation((owed(),), (proven("2026-09-04"),), bars=(Bar.STALE_FEED, Bar.OUTAGE))
    verdict = look(situation, "2026-09-21 08:00", STAGES)
    assert (verdict.level, verdict.reason) == (Level.FULL, "stale_feed")
    assert look(replace(situation, bars=()), "2026-09-21 08:00", STAGES).level is Level.REDUCED
    entered = replace(situation, rungs=WALLED[:1])
    verdict = look(entered, "2026-10-13 10:00", STAGES)
    assert (verdict.level, verdict.reason) == (Level.REDUCED, "stale_feed")
    paid = replace(entered, receivables=(owed(cents=0),))
    assert look(paid, "2026-10-13 10:00", STAGES).level is Level.FULL
