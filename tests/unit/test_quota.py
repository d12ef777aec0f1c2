from dataclasses import replace
from datetime import date

import pytest

from billing.access import Access, Level
from billing.account import (
    Account,
    clear_payment,
    draw_notice,
    issue_invoice,
    prove_notice,
    review,
)
from billing.events import AccessDecided
from billing.payer import Contract
from billing.quota import Cycle, Meter, cycle_of, spent_until
from tests.support.accounts import RATES as UNMETERED
from tests.support.accounts import account, at, day, decided, desk, invoice, payment

RATES = replace(UNMETERED, quota_down_bps=5_000_000, quota_up_bps=500_000)
QUOTA = 1_000


@pytest.mark.parametrize(
    ("today", "reset_day", "starts_on", "ends_on"),
    [
        ("2026-09-10", 10, "2026-09-10", "2026-10-10"),
        ("2026-09-09", 10, "2026-08-10", "2026-09-10"),
        ("2026-10-09", 10, "2026-09-10", "2026-10-10"),
        ("2026-09-01", 1, "2026-09-01", "2026-10-01"),
        ("2026-09-30", 1, "2026-09-01", "2026-10-01"),
        # A month without that day: its last one.
        ("2027-02-27", 31, "2027-01-31", "2027-02-28"),
        ("2027-02-28", 31, "2027-02-28", "2027-03-31"),
        ("2027-03-30", 31, "2027-02-28", "2027-03-31"),
        ("2027-04-29", 31, "2027-03-31", "2027-04-30"),
        ("2027-04-30", 31, "2027-04-30", "2027-05-31"),
        ("2027-03-29", 30, "2027-02-28", "2027-03-30"),
        ("2027-02-28", 29, "2027-02-28", "2027-03-29"),
        # 29 February is there in 2028.
        ("2028-02-28", 29, "2028-01-29", "2028-02-29"),
        ("2028-02-29", 29, "2028-02-29", "2028-03-29"),
        ("2028-02-29", 31, "2028-02-29", "2028-03-31"),
        ("2028-02-28", 31, "2028-01-31", "2028-02-29"),
        # Over the year's end.
        ("2026-12-31", 31, "2026-12-31", "2027-01-31"),
        ("2026-12-15", 20, "2026-11-20", "2026-12-20"),
        ("2026-12-20", 20, "2026-12-20", "2027-01-20"),
        ("2027-01-19", 20, "2026-12-20", "2027-01-20"),
    ],
)
def test_the_cycle_of_a_day(today: str, reset_day: int, starts_on: str, ends_on: str) -> None:
    assert cycle_of(day(today), reset_day) == Cycle(day(starts_on), day(ends_on))


@pytest.mark.parametrize("reset_day", [0, 32, -1])
def test_a_reset_day_is_a_day_of_a_month(reset_day: int) -> None:
    with pytest.raises(ValueError, match="1 to 31"):
        cycle_of(date(2026, 9, 1), reset_day)


def test_used_up_is_from_the_last_octet_until_the_cycle_ends() -> None:
    cycle = cycle_of(day("2026-09-15"), 10)
    assert spent_until(None, day("2026-09-15")) is None
    assert spent_until(Meter(QUOTA, QUOTA - 1, cycle), day("2026-09-15")) is None
    assert spent_until(Meter(QUOTA, QUOTA, cycle), day("2026-09-15")) == day("2026-10-10")
    assert spent_until(Meter(QUOTA, QUOTA, cycle), day("2026-10-09")) == day("2026-10-10")
    # Read before midnight, judged after it: it says nothing of the new cycle.
    assert spent_until(Meter(QUOTA, QUOTA, cycle), day("2026-10-10")) is None


@pytest.mark.parametrize(
    ("level", "down_bps", "up_bps"),
    [
        (Level.FULL, 5_000_000, 500_000),
        (Level.REDUCED, 2_000_000, 500_000),
        (Level.WALLED, 2_000_000, 500_000),
        (Level.BLOCKED, 0, 0),
    ],
)
def test_a_used_up_quota_is_the_lower_rate_of_each_direction(
    level: Level, down_bps: int, up_bps: int
) -> None:
    assert RATES.at(level, quota_spent=True) == Access(level, down_bps, up_bps)
    assert RATES.at(level) == UNMETERED.at(level) == UNMETERED.at(level, quota_spent=True)


def metered(payer: Account, used_octets: int, today: str, reset_day: int = 10) -> Account:
    """The account as it is read on `today`, when so much of the cycle's quota is used."""
    meter = Meter(QUOTA, used_octets, cycle_of(day(today), reset_day))
    return replace(
        payer, contracts=tuple(replace(item, rates=RATES, meter=meter) for item in payer.contracts)
    )


def looked(payer: Account, used_octets: int, now: str) -> tuple[Account, list[AccessDecided]]:
    after, facts = review(metered(payer, used_octets, now[:10]), desk(now))
    return after, decided(facts)


def only(payer: Account) -> Contract:
    (contract,) = payer.contracts
    return contract


def test_used_up_and_whole_again_are_each_one_decision_at_full() -> None:
    payer, said = looked(account(), QUOTA - 1, "2026-09-15 10:00")
    assert said == []
    payer, (spent,) = looked(payer, QUOTA, "2026-09-15 10:30")
    assert (spent.generation, spent.reason, spent.access, spent.quota_spent_until) == (
        2,
        "quota_spent",
        Access(Level.FULL, 5_000_000, 500_000),
        day("2026-10-10"),
    )
    assert spent.verdict.notice_id is None, "nobody owes anything"
    assert only(payer).reason == "no_debt", "the ladder's standing is its own"
    for used, now in ((QUOTA, "2026-09-15 10:31"), (9 * QUOTA, "2026-10-09 23:59")):
        payer, said = looked(payer, used, now)
        assert said == []
    payer, (renewed,) = looked(payer, 0, "2026-10-10 00:00")
    assert (renewed.generation, renewed.reason) == (3, "quota_renewed")
    assert renewed.access == RATES.at(Level.FULL)
    assert only(payer).quota_spent_until is None
    assert looked(payer, 0, "2026-10-10 00:01")[1] == []


def test_a_cycle_that_nobody_looked_at_between_two_spent_ones_moves_the_day() -> None:
    payer, _ = looked(account(), QUOTA, "2026-09-15 10:00")
    payer, (again,) = looked(payer, QUOTA, "2026-11-12 10:00")
    assert (again.reason, again.quota_spent_until) == ("quota_spent", day("2026-12-10"))


def test_more_quota_within_the_cycle_lifts_the_throttle() -> None:
    payer, _ = looked(account(), QUOTA, "2026-09-15 10:00")
    _, (lifted,) = looked(payer, QUOTA - 1, "2026-09-16 10:00")
    assert (lifted.reason, lifted.access) == ("quota_changed", RATES.at(Level.FULL))
    gone = replace(payer, contracts=(replace(only(payer), meter=None),))
    (lifted,) = decided(review(gone, desk("2026-09-16 10:00"))[1])
    assert (lifted.reason, lifted.quota_spent_until) == ("quota_changed", None)


def test_an_ended_contract_has_no_quota_to_decide() -> None:
    ended = replace(only(account()), ended_on=day("2026-09-01"))
    assert looked(replace(account(), contracts=(ended,)), QUOTA, "2026-09-15 10:00")[1] == []


def walled(used_octets: int) -> Account:
    """Walled on 2026-09-21 for an invoice of 99.90, with so much of the quota used."""
    payer, _ = issue_invoice(account(), invoice(), desk("2026-08-20 09:00"))
    payer, _ = draw_notice(payer, 1, desk("2026-09-04 09:00"))
    payer, _ = prove_notice(payer, 1, at("2026-09-04 09:00"), desk("2026-09-04 09:00"))
    payer, said = looked(payer, used_octets, "2026-09-21 08:00")
    assert said[-1].access.level is Level.WALLED
    return payer


def test_a_payment_while_used_up_restores_full_at_the_quotas_rate() -> None:
    payer = walled(QUOTA)
    assert only(payer).access == Access(Level.WALLED, 2_000_000, 500_000)
    paid = payment(200_00, "2026-09-22 10:00")
    payer, facts = clear_payment(
        metered(payer, QUOTA, "2026-09-22"), paid, desk("2026-09-22 10:00")
    )
    (restore,) = decided(facts)
    assert (restore.reason, restore.access) == ("no_debt", RATES.at(Level.FULL, quota_spent=True))
    assert restore.quota_spent_until == day("2026-10-10")
    _, (renewed,) = looked(payer, 0, "2026-10-10 00:00")
    assert (renewed.reason, renewed.access) == ("quota_renewed", RATES.at(Level.FULL))


def test_a_quota_decision_keeps_the_level_and_its_notice() -> None:
    payer, (spent,) = looked(walled(0), QUOTA, "2026-09-22 10:00")
    assert (spent.reason, spent.access.level) == ("quota_spent", Level.WALLED)
    assert spent.verdict.notice_id == 1
    _, (renewed,) = looked(payer, 0, "2026-10-10 00:00")
    assert (renewed.reason, renewed.access) == ("quota_renewed", RATES.at(Level.WALLED))
    assert renewed.verdict.notice_id == 1


def test_a_cut_while_used_up_keeps_the_day_on_which_it_is_whole_again() -> None:
    assert only(walled(QUOTA)).quota_spent_until == day("2026-10-10")
