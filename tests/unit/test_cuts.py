"""What a look cuts, who may make the cut, and what the last look at a planned one says."""

from dataclasses import replace
from datetime import timedelta

import pytest

from billing.access import Level
from billing.account import Account, Desk, clear_payment, prove_notice, review
from billing.cuts import Cut, Outcome, cut_ids, cut_of, is_hasty, last_look, plan_hash
from billing.events import AccessDecided, Reviewed
from billing.ladder import Bar
from billing.payer import Notice
from billing.policy import Policy
from tests.support.accounts import account, at, desk, invoice, payment, policy

NOW = at("2026-09-21 08:00")
DRAWN = at("2026-09-04 03:00")


def debtor() -> Account:
    """Due to be walled now; another invoice is not overdue yet."""
    owing = replace(
        account(),
        invoices=(invoice(1), invoice(2, due="2026-10-01")),
        notices=(Notice(1, DRAWN, {1: 99_90}),),
    )
    return prove_notice(owing, 1, DRAWN, desk(DRAWN))[0]


def planned() -> Cut:
    before = debtor()
    after, facts = review(before, desk(NOW))
    assert cut_ids(before, after) == {1}
    return cut_of(before.contracts[0], facts)


def test_a_cut_is_told_whole() -> None:
    assert planned() == Cut(1, Level.FULL, Level.WALLED, 99_90, (1,), 1, "anatel-765", 1)


@pytest.mark.parametrize(
    ("now", "paid", "released", "bars", "outcome", "reason"),
    [
        ("2026-09-21 08:05", 0, False, (), Outcome.MADE, "step_reached"),
        ("2026-09-21 08:05", 0, True, (), Outcome.MADE, "step_reached"),
        ("2026-09-21 08:05", 200_00, False, (), Outcome.LEFT, "not_overdue"),
        ("2026-09-21 08:05", 200_00, True, (), Outcome.LEFT, "not_overdue"),
        # A part was paid: two people released another cut than this; the guards did not.
        ("2026-09-21 08:05", 10_00, False, (), Outcome.MADE, "step_reached"),
        ("2026-09-21 08:05", 10_00, True, (), Outcome.CHANGED, "changed"),
        ("2026-09-21 08:05", 0, True, (Bar.STALE_FEED,), Outcome.LEFT, "stale_feed"),
        ("2026-09-21 16:00", 0, False, (), Outcome.LEFT, "awaiting_allowed_time"),
    ],
)
def test_the_last_look_at_a_planned_cut(
    now: str, paid: int, released: bool, bars: tuple[Bar, ...], outcome: Outcome, reason: str
) -> None:
    before, last = debtor(), replace(desk(now), bars=bars)
    if paid:
        before, _ = clear_payment(before, payment(paid, NOW, 1), desk("2026-09-21 07:59"))
    after, facts = review(before, last)
    found = last_look(before, after, facts, planned(), released=released)
    assert (found.outcome, found.reason) == (outcome, reason)
    made = any(isinstance(fact, AccessDecided) for fact in found.facts)
    assert made is (outcome is Outcome.MADE)
    if outcome is Outcome.CHANGED:
        assert not any(isinstance(fact, Reviewed) for fact in found.facts)


HARSHER = [{"level": "blocked", "anchor": "maturity", "after_days": 0}]
GENTLER = [{"level": "reduced", "anchor": "maturity", "after_days": 0}]


@pytest.mark.parametrize(
    ("trusted", "hasty"),
    [
        ({}, False),
        ({"anatel-765": policy()}, False),
        ({"anatel-765": policy(steps=HARSHER)}, False),
        ({"anatel-765": policy(steps=GENTLER)}, True),
        ({"anatel-765": policy(notice_days=20)}, True),
        ({"anatel-765": policy(min_debt_cents=100_00)}, True),
        ({"other": policy(notice_days=20)}, False),
    ],
)
def test_a_cut_that_the_rules_before_would_not_make_is_hasty(
    trusted: dict[str, Policy], hasty: bool
) -> None:
    assert is_hasty(debtor(), planned(), desk(NOW), trusted) is hasty


def test_a_plan_let_through_makes_no_harder_cut_than_it_said() -> None:
    before, rules = debtor(), desk(NOW, policy(steps=HARSHER))
    after, facts = review(before, rules)
    assert last_look(before, after, facts, planned(), released=False).outcome is Outcome.CHANGED
    milder = review(before, desk(NOW, policy(steps=GENTLER)))
    assert last_look(before, *milder, planned(), released=False).outcome is Outcome.MADE


def test_the_hash_is_of_the_cuts_whatever_their_order() -> None:
    one = planned()
    other = replace(one, contract_id=2)
    assert plan_hash([one, other]) == plan_hash([other, one])
    for changed in (
        replace(one, after=Level.REDUCED),
        replace(one, counted_cents=99_89),
        replace(one, invoice_ids=(1, 2)),
        replace(one, notice_id=2),
        replace(one, policy_version=2),
    ):
        assert plan_hash([changed]) != plan_hash([one])


@pytest.mark.parametrize(
    ("leaves_due", "review_on", "reason", "expected"),
    [
        # Whoever is due, or held by a guard, is cut by the sweep that looks.
        (True, NOW, "awaiting_allowed_time", ("full", "guard")),
        (True, NOW - timedelta(hours=1), "awaiting_allowed_time", ("full", "guard")),
        (True, NOW + timedelta(hours=9), "guard", ("full", "guard")),
        (True, NOW + timedelta(hours=9), "stale_feed", ("full", "guard")),
        # What happens to a payer may make a cut due that was not.
        (True, NOW + timedelta(hours=9), "hold", ("walled", "step_reached")),
        (False, NOW, "awaiting_allowed_time", ("walled", "step_reached")),
    ],
)
def test_a_payment_cuts_nobody_who_waits_for_a_sweep(
    leaves_due: bool, review_on: object, reason: str, expected: tuple[str, str]
) -> None:
    owing = debtor()
    contract = replace(owing.contracts[0], review_on=review_on, reason=reason)  # type: ignore[arg-type]
    asked: Desk = replace(desk(NOW), leaves_due=leaves_due)
    after, _ = clear_payment(replace(owing, contracts=(contract,)), payment(99_90, NOW, 2), asked)
    (found,) = after.contracts
    assert (found.access.level, found.reason) == expected
