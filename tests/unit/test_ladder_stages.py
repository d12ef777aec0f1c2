"""The stages beyond the line: a contract's end, bureau and agency; and what stands against them."""

from dataclasses import replace

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
    settled,
)
from billing.policy import Policy, parse
from billing.stage import Stage
from tests.support.accounts import CALENDAR, at, day, policy

RULES = policy()
OWED = Situation(
    (Receivable(1, day("2026-09-01"), 99_90),),
    (CoveringNotice(1, day("2026-09-04"), frozenset({1})),),
)
WALLED = replace(OWED, rungs=(Rung(Stage.WALLED, day("2026-09-21")),))
RESCINDED = replace(WALLED, rungs=(*WALLED.rungs, Rung(Stage.RESCIND, day("2026-11-23"))))
ENDED = replace(RESCINDED, ended_on=day("2026-11-24"))
AT_BUREAU = replace(ENDED, rungs=(*ENDED.rungs, Rung(Stage.BUREAU, day("2026-11-24"))))


def look(situation: Situation, now: str, rules: Policy = RULES) -> Verdict:
    return decide(situation, rules, CALENDAR, at(now))


def lived(situation: Situation, rules: Policy, start: str) -> list[tuple[str, str]]:
    """Look whenever a verdict asks for it; a contract ends on the day after its rescission."""
    now, seen = at(start), list[tuple[str, str]]()
    while True:
        verdict = decide(situation, rules, CALENDAR, now)
        if verdict.step is not None and (not seen or seen[-1][1] != verdict.step):
            seen.append((f"{now:%Y-%m-%d %H:%M}", verdict.step))
        situation = settled(situation, verdict, now)
        if verdict.step == Stage.RESCIND and situation.ended_on is None:
            tomorrow = now.replace(hour=0, minute=0).toordinal() + 1
            situation = replace(situation, ended_on=now.date().fromordinal(tomorrow))
            now = at(f"{situation.ended_on} 00:00")
        elif verdict.review_on is None:
            return seen
        else:
            now = verdict.review_on


# The worked example of the policy text: never paid, rescission on 11-20, a holiday and a Friday.
def test_the_worked_example_to_the_agency() -> None:
    assert lived(OWED, RULES, "2026-09-05 00:00") == [
        ("2026-09-21 08:00", "walled"),
        ("2026-11-23 08:00", "rescind"),
        ("2026-11-24 00:00", "bureau"),
        ("2026-12-23 00:00", "agency"),
    ]


def test_the_old_law_counts_from_the_days_on_which_stages_began() -> None:
    old = parse("anatel-632", 1, {"law": "anatel-632"})
    assert lived(OWED, old, "2026-09-05 00:00") == [
        ("2026-09-21 08:00", "reduced"),
        ("2026-10-21 08:00", "blocked"),
        ("2026-11-23 08:00", "rescind"),  # 30 days later is 11-20
        ("2026-11-24 00:00", "bureau"),
        ("2026-12-23 00:00", "agency"),
    ]


@pytest.mark.parametrize(
    ("situation", "now", "level", "step", "reason", "review_on"),
    [
        (WALLED, "2026-11-20 10:00", "walled", "walled", "step_reached", "2026-11-23 08:00"),
        (WALLED, "2026-11-23 07:59", "walled", "walled", "step_reached", "2026-11-23 08:00"),
        (WALLED, "2026-11-23 08:00", "blocked", "rescind", "step_reached", None),
        # No bureau hears of a contract that has not ended.
        (RESCINDED, "2026-11-27 10:00", "blocked", "rescind", "step_reached", None),
        # A bureau waits for no hour and no bank; one step a day all the same.
        (ENDED, "2026-11-23 23:59", "blocked", "rescind", "step_reached", "2026-11-24 00:00"),
        (ENDED, "2026-11-24 00:00", "blocked", "bureau", "step_reached", "2026-12-23 00:00"),
        (AT_BUREAU, "2026-12-22 23:59", "blocked", "bureau", "step_reached", "2026-12-23 00:00"),
        (AT_BUREAU, "2026-12-23 00:00", "blocked", "agency", "step_reached", None),
    ],
)
def test_what_is_entered_when(
    situation: Situation, now: str, level: str, step: str, reason: str, review_on: str | None
) -> None:
    verdict = look(situation, now)
    assert (verdict.level, verdict.step, verdict.reason) == (level, step, reason)
    assert verdict.review_on == (at(review_on) if review_on else None)


@pytest.mark.parametrize("situation", [WALLED, RESCINDED, ENDED, AT_BUREAU])
def test_paying_ends_every_stage_at_any_hour(situation: Situation) -> None:
    verdict = look(replace(situation, receivables=()), "2026-11-29 03:00")
    assert (verdict.level, verdict.step, verdict.rungs) == (Level.FULL, None, ())


@pytest.mark.parametrize("bar", Bar)
def test_what_stands_against_cuts_stands_against_the_end_and_the_bureau(bar: Bar) -> None:
    walled = look(replace(WALLED, bars=(bar,)), "2026-11-23 08:00")
    assert (walled.step, walled.reason) == ("walled", bar)
    ended = look(replace(ENDED, bars=(bar,)), "2026-11-24 10:00")
    assert (ended.step, ended.reason) == ("rescind", bar)


def test_a_postponed_suspension_postpones_the_end() -> None:
    late = replace(OWED, hold_until=at("2026-10-14 10:00"))
    # Walled on Wednesday 10-14; 60 days later is Sunday 12-13.
    assert lived(late, RULES, "2026-09-05 00:00")[:2] == [
        ("2026-10-14 10:00", "walled"),
        ("2026-12-14 08:00", "rescind"),
    ]


def test_after_a_partial_payment_the_end_waits_for_what_is_left() -> None:
    """The second invoice was noticed on 10-05: walled by itself on 10-20, ended 60 days later."""
    both = Situation(
        (Receivable(2, day("2026-10-01"), 99_90),),
        (
            CoveringNotice(1, day("2026-09-04"), frozenset({1})),
            CoveringNotice(2, day("2026-10-05"), frozenset({2})),
        ),
        RESCINDED.rungs,
    )
    verdict = look(both, "2026-11-23 10:00")
    assert (verdict.level, verdict.step) == (Level.WALLED, "walled")
    assert verdict.rungs == WALLED.rungs, "its day in the stage is the real one"
    # 10-20 and 60 days is Saturday 12-19.
    assert verdict.review_on == at("2026-12-21 08:00")
