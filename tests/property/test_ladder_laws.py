"""Laws of the ladder for situations that nobody thought of."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from billing.access import Level
from billing.calendar import next_cut
from billing.ladder import (
    Bar,
    CoveringNotice,
    Receivable,
    Rung,
    Situation,
    Verdict,
    decide,
    matures_on,
    settled,
)
from billing.policy import Policy, parse
from billing.stage import Stage
from tests.support.accounts import CALENDAR, STAGED, ZONE, policy

FULL_LADDER = [
    {"level": "reduced", "after_days": 0},
    {"level": "walled", "anchor": "reduced", "after_days": 5},
    {"level": "blocked", "anchor": "maturity", "after_days": 9},
]
BEYOND = [
    {"level": "walled"},
    {"level": "rescind", "anchor": "walled", "after_days": 5},
    {"level": "bureau", "anchor": "rescind"},
    {"level": "agency", "anchor": "rescind", "after_days": 4},
]
POLICIES = (
    policy(),
    policy(steps=STAGED, promise_level="reduced"),
    parse("old", 1, {"law": "anatel-632"}),
    parse("beyond", 1, {"law": "none", "notice_days": 5, "steps": BEYOND, "cut_from": "09:30"}),
    policy(steps=FULL_LADDER, min_debt_cents=50_00, float_bank_days=0),
    parse("quick", 2, {"law": "none", "notice_days": 2, "steps": FULL_LADDER, "cut_any_day": True}),
    parse("night", 1, {"steps": [{"level": "blocked"}], "cut_from": "00:00", "cut_until": "23:59"}),
)
# Spring of 2017 has São Paulo's missing midnight; the others are around holidays and a year's end.
STARTS = (date(2017, 9, 20), date(2018, 2, 1), date(2026, 10, 1), date(2026, 12, 15))
INVOICES_MAX = 3

policies = st.sampled_from(POLICIES)


@st.composite
def instants(draw: st.DrawFn) -> datetime:
    """Mostly near the hours at which cuts begin and end, and days begin."""
    start = draw(st.sampled_from(STARTS)) + timedelta(days=draw(st.integers(0, 60)))
    hour = draw(st.sampled_from([0, 3, 7, 8, 10, 15, 16, 23]))
    minute = draw(st.sampled_from([0, 1, 59]))
    local = datetime(start.year, start.month, start.day, hour, minute, tzinfo=ZONE)
    return utc(local).astimezone(ZONE)


@st.composite
def scenes(draw: st.DrawFn, rungs: bool = True, brakes: bool = True) -> tuple[Situation, datetime]:
    """An instant and a situation around it. Without `rungs` the ladder begins at its foot."""
    now = draw(instants())

    def near(back: int, ahead: int) -> date:
        # Small draws are common and lie far back, where debt counts.
        return now.date() + timedelta(days=draw(st.integers(0, back + ahead)) - back)

    ids = range(draw(st.integers(1, INVOICES_MAX)))
    receivables = tuple(
        Receivable(number, near(60, 5), draw(st.sampled_from([99_90, 60_00, 30_00, 0])))
        for number in ids
    )
    some = st.frozensets(st.sampled_from(range(INVOICES_MAX)))
    notices = (
        CoveringNotice(0, near(45, 2), frozenset(ids)),
        *(CoveringNotice(number, near(45, 2), draw(some)) for number in range(1, 3)),
    )[draw(st.integers(0, 1)) :]
    entered: tuple[Rung, ...] = ()
    if rungs:
        stages = draw(st.sets(st.sampled_from(list(Stage))))
        backs = sorted(draw(st.sets(st.integers(0, 40), min_size=6, max_size=6)), reverse=True)
        entered = tuple(
            Rung(stage, now.date() - timedelta(days=back))
            for stage, back in zip(sorted(stages, key=_severity), backs, strict=False)
        )
    situation = Situation(receivables, notices, entered)
    if draw(st.booleans()):
        situation = replace(situation, ended_on=near(30, 0))
    if brakes and draw(st.booleans()):
        situation = replace(situation, promise_until=near(4, 4))
    if brakes and draw(st.booleans()):
        hours = timedelta(hours=draw(st.integers(-20, 100)))
        situation = replace(situation, hold_until=later(now, hours))
    return situation, now


def _severity(stage: Stage) -> int:
    return stage.severity


def utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


def later(instant: datetime, by: timedelta) -> datetime:
    return (utc(instant) + by).astimezone(ZONE)


def life(
    situation: Situation, rules: Policy, now: datetime, looks: int = 40
) -> Iterator[tuple[datetime, Situation, Verdict]]:
    """Look at every review date; the situation is what each look started from."""
    for _ in range(looks):
        verdict = decide(situation, rules, CALENDAR, now)
        yield now, situation, verdict
        if verdict.review_on is None:
            return
        situation, now = settled(situation, verdict, now), verdict.review_on


@settings(max_examples=250, deadline=None)
@given(scenes(), policies, st.data())
def test_nothing_changes_before_review_on(
    scene: tuple[Situation, datetime], rules: Policy, data: st.DataObject
) -> None:
    situation, now = scene
    verdict = decide(situation, rules, CALENDAR, now)
    kept = settled(situation, verdict, now)
    assert decide(kept, rules, CALENDAR, now) == verdict, "a second look at once finds nothing"
    ahead = timedelta(days=200)
    if verdict.review_on is not None:
        ahead = utc(verdict.review_on) - utc(now)
        assert ahead > timedelta(0)
        assert decide(kept, rules, CALENDAR, later(verdict.review_on, -_TICK)) == verdict
        changed = decide(kept, rules, CALENDAR, verdict.review_on)
        assert replace(changed, review_on=None) != replace(verdict, review_on=None), "no earlier"
    for _ in range(4):
        minutes = data.draw(st.integers(0, max(0, ahead // timedelta(minutes=1) - 1)))
        between = later(now, timedelta(minutes=minutes))
        assert decide(kept, rules, CALENDAR, between) == verdict
    # The hours at which days and windows turn, on some days of the way.
    for hour in (0, 8, 16):
        day = data.draw(st.integers(0, min(ahead.days, 60)))
        between = later(now, timedelta(days=day)).replace(hour=hour, minute=0)
        if utc(now) < utc(between) < utc(now) + ahead:
            assert decide(kept, rules, CALENDAR, between) == verdict


_TICK = timedelta(microseconds=1)


@settings(max_examples=150, deadline=None)
@given(scenes(rungs=False, brakes=False), policies)
def test_waiting_never_softens(scene: tuple[Situation, datetime], rules: Policy) -> None:
    situation, now = scene
    level, steps = Level.FULL, 0
    for _, _, verdict in life(situation, rules, now):
        assert verdict.level.severity >= level.severity
        assert len(verdict.rungs) >= steps
        level, steps = verdict.level, len(verdict.rungs)
    assert decide(situation, rules, CALENDAR, now).step in (None, rules.steps[0].stage.value)


@settings(max_examples=150, deadline=None)
@given(scenes(rungs=False), policies)
def test_a_cut_has_its_notice_its_hour_and_no_brake(
    scene: tuple[Situation, datetime], rules: Policy
) -> None:
    situation, start = scene
    level = Level.FULL
    proven = {notice.notice_id: notice for notice in situation.notices}
    due = {item.invoice_id: item for item in situation.receivables}
    for now, before, verdict in life(situation, rules, start):
        if verdict.level.severity > level.severity:
            assert verdict.notice_id is not None
            notice = proven[verdict.notice_id]
            assert matures_on(notice, rules) <= now.date()
            assert notice.invoice_ids.intersection(verdict.invoice_ids)
            assert all(due[item].due_on < now.date() for item in verdict.invoice_ids)
            assert verdict.counted_cents == sum(due[i].unpaid_cents for i in verdict.invoice_ids)
            assert verdict.counted_cents >= rules.min_debt_cents
            assert next_cut(CALENDAR, rules, now) == now
            for number in verdict.invoice_ids:
                ages = [
                    (now.date() - item.proven_on).days
                    for item in situation.notices
                    if number in item.invoice_ids
                ]
                assert max(ages) >= rules.notice_days, "each counted invoice has its own proof"
            assert before.promise_until is None or before.promise_until < now.date()
            assert before.hold_until is None or before.hold_until <= now
        assert len(verdict.rungs) <= len(before.rungs) + 1
        days = [rung.entered_on for rung in verdict.rungs]
        assert sorted(set(days)) == days, "one step a day, mild to severe"
        level = verdict.level


@settings(max_examples=60, deadline=None)
@given(scenes(), policies)
def test_paying_everything_always_restores_full(
    scene: tuple[Situation, datetime], rules: Policy
) -> None:
    situation, now = scene
    paid = tuple(replace(item, unpaid_cents=0) for item in situation.receivables)
    verdict = decide(replace(situation, receivables=paid), rules, CALENDAR, now)
    assert (verdict.level, verdict.reason, verdict.rungs) == (Level.FULL, "no_debt", ())
    assert (verdict.counted_cents, verdict.review_on) == (0, None)


@settings(max_examples=150, deadline=None)
@given(scenes(), policies, st.data())
def test_paying_more_never_makes_it_worse(
    scene: tuple[Situation, datetime], rules: Policy, data: st.DataObject
) -> None:
    situation, now = scene
    assume(situation.receivables)
    before = decide(situation, rules, CALENDAR, now)
    situation = settled(situation, before, now)
    less = tuple(
        replace(item, unpaid_cents=data.draw(st.integers(0, item.unpaid_cents)))
        for item in situation.receivables
    )
    after = decide(replace(situation, receivables=less), rules, CALENDAR, now)
    assert after.level.severity <= before.level.severity


@settings(max_examples=150, deadline=None)
@given(scenes(brakes=False), policies.filter(lambda rules: rules.min_debt_cents == 1))
def test_no_rung_outruns_the_dates_of_the_debt_that_is_left(
    scene: tuple[Situation, datetime], rules: Policy
) -> None:
    """Rule 8: whatever rungs a paid debt left, the rest alone must have come as far by itself."""
    situation, now = scene
    situation = replace(situation, receivables=tuple(_before_its_notice(situation)))
    alone = replace(situation, rungs=())
    seen = [
        verdict.level.severity
        for at, _, verdict in life(alone, rules, later(now, timedelta(days=-90)))
        if utc(at) <= utc(now)
    ]
    verdict = decide(situation, rules, CALENDAR, now)
    assert verdict.level.severity <= seen[-1]


def _before_its_notice(situation: Situation) -> Iterator[Receivable]:
    """The receivables, each long overdue when the first notice that lists it was proven."""
    for item in situation.receivables:
        proven = [n.proven_on for n in situation.notices if item.invoice_id in n.invoice_ids]
        due_on = min([item.due_on, *(day - timedelta(days=10) for day in proven)])
        yield replace(item, due_on=due_on)


@settings(max_examples=100, deadline=None)
@given(scenes(rungs=False, brakes=False), policies, st.data())
def test_a_promise_never_brings_a_cut_forward(
    scene: tuple[Situation, datetime], rules: Policy, data: st.DataObject
) -> None:
    """Two lives of one debt, with and without a promise, compared whenever either changes."""
    situation, now = scene
    plain = list(life(situation, rules, now))
    until_on = now.date() + timedelta(days=data.draw(st.integers(0, 20)))
    taken_at = data.draw(st.integers(0, len(plain) - 1))
    at, before, _ = plain[taken_at]
    promised = list(life(replace(before, promise_until=until_on), rules, at))
    for instant in sorted({utc(at) for at, _, _ in [*plain[taken_at:], *promised]}):
        assert _level_at(promised, instant).severity <= _level_at(plain, instant).severity


def _level_at(lived: list[tuple[datetime, Situation, Verdict]], instant: datetime) -> Level:
    seen = [verdict.level for at, _, verdict in lived if utc(at) <= utc(instant)]
    return seen[-1]


@settings(max_examples=60, deadline=None)
@given(scenes(), policies, st.data())
def test_the_order_of_facts_does_not_matter(
    scene: tuple[Situation, datetime], rules: Policy, data: st.DataObject
) -> None:
    situation, now = scene
    shuffled = replace(
        situation,
        receivables=tuple(data.draw(st.permutations(situation.receivables))),
        notices=tuple(data.draw(st.permutations(situation.notices))),
    )
    assert decide(shuffled, rules, CALENDAR, now) == decide(situation, rules, CALENDAR, now)


@settings(max_examples=100, deadline=None)
@given(scenes(), policies, st.sampled_from(Bar))
def test_a_bar_takes_and_gives_nothing_but_the_next_step(
    scene: tuple[Situation, datetime], rules: Policy, bar: Bar
) -> None:
    """Barred, a contract stands as it would if nothing could be entered at this instant."""
    situation, now = scene
    free = decide(situation, rules, CALENDAR, now)
    barred = decide(replace(situation, bars=(bar,)), rules, CALENDAR, now)
    assert barred.level.severity <= free.level.severity
    assert barred.rungs == free.rungs[: len(barred.rungs)]
    assert len(free.rungs) - len(barred.rungs) in (0, 1)
    assert (barred.invoice_ids, barred.counted_cents) == (free.invoice_ids, free.counted_cents)
    if barred.rungs == free.rungs and situation.promise_until is None:
        assert barred.level is free.level, "no step to enter: the bar is nothing"


@settings(max_examples=100, deadline=None)
@given(scenes(rungs=False, brakes=False), policies, st.data())
def test_a_promise_never_shortens_a_deadline(
    scene: tuple[Situation, datetime], rules: Policy, data: st.DataObject
) -> None:
    """Two lives of one debt, with and without a promise: no stage is entered earlier with it."""
    situation, now = scene
    plain = list(life(situation, rules, now))
    until_on = now.date() + timedelta(days=data.draw(st.integers(0, 20)))
    at, before, _ = plain[data.draw(st.integers(0, len(plain) - 1))]
    promised = list(life(replace(before, promise_until=until_on), rules, at))
    first = {rung.stage: rung.entered_on for _, _, verdict in plain for rung in verdict.rungs}
    for _, _, verdict in promised:
        for rung in verdict.rungs:
            assert rung.entered_on >= first[rung.stage]


@settings(max_examples=100, deadline=None)
@given(scenes(), policies)
def test_beyond_the_line_comes_only_after_the_end_and_in_order(
    scene: tuple[Situation, datetime], rules: Policy
) -> None:
    situation, start = scene
    known = {rung.stage for rung in situation.rungs}
    for now, before, verdict in life(situation, rules, start):
        new = [rung.stage for rung in verdict.rungs if rung.stage not in known]
        known |= set(new)
        for stage in new:
            if stage.severity > Stage.RESCIND.severity:
                assert before.ended_on is not None
                assert before.ended_on <= now.date()
            else:
                assert next_cut(CALENDAR, rules, now) == now
        stages = [rung.stage.severity for rung in verdict.rungs]
        assert stages == sorted(set(stages))
        assert sum(verdict.amounts_cents) == verdict.counted_cents
