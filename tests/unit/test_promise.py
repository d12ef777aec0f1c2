from dataclasses import replace
from datetime import UTC

import pytest

from billing.access import Level
from billing.account import (
    Account,
    Desk,
    Hold,
    Promise,
    Refused,
    clear_payment,
    draw_notice,
    issue_invoice,
    place_hold,
    prove_notice,
    review,
    take_promise,
)
from billing.events import PromiseSettled, PromiseTaken
from billing.payer import PromiseState
from billing.policy import Policy
from billing.promise import PromiseRefused
from tests.support.accounts import (
    account,
    at,
    day,
    decided,
    desk,
    invoice,
    payment,
    policy,
)


def promise(until: str, made: str, number: int = 1) -> Promise:
    """As it is read back from the store: made at an instant in UTC."""
    return Promise(number, 1, at(made).astimezone(UTC), day(until), "ana", ())


def walled(rules: Policy | None = None) -> Account:
    """The worked example, walled on Monday 2026-09-21 at 08:00."""
    payer, _ = issue_invoice(account(), invoice(), desk("2026-08-20 09:00", rules))
    payer, _ = draw_notice(payer, 1, desk("2026-09-04 00:00", rules))
    payer, _ = prove_notice(payer, 1, at("2026-09-04 00:01"), desk("2026-09-04 00:01", rules))
    payer, _ = review(payer, desk("2026-09-21 08:00", rules))
    assert payer.contracts[0].access.level is Level.WALLED
    return payer


def level_at(payer: Account, now: str) -> tuple[Account, Level]:
    payer, _ = review(payer, desk(now))
    return payer, payer.contracts[0].access.level


def evening() -> Desk:
    return desk("2026-09-22 22:30")


def test_a_promise_frees_and_unkept_cuts_again_without_a_new_notice() -> None:
    payer, facts = take_promise(walled(), promise("2026-09-25", "2026-09-22 22:30"), evening())
    (decision,) = decided(facts)
    assert (decision.access.level, decision.generation) == (Level.FULL, 3)
    assert decision.verdict.reason == "promise"
    for now, expected in [
        ("2026-09-25 23:59", Level.FULL),
        ("2026-09-26 10:00", Level.FULL),  # Saturday
        ("2026-09-28 08:00", Level.WALLED),
        ("2026-09-28 20:00", Level.WALLED),
        ("2026-09-29 10:00", Level.WALLED),
    ]:
        payer, level = level_at(payer, now)
        assert level is expected, now
    assert payer.contracts[0].rungs[0].entered_on == day("2026-09-21")
    # The promise is spent: a hold placed now keeps the cut, it does not bring the promise back.
    hold = Hold(1, 1, "ana", "dispute", at("2026-09-29 20:00"), at("2026-10-29 20:00"))
    payer, _ = place_hold(payer, hold, desk("2026-09-29 20:00"))
    assert payer.contracts[0].access.level is Level.WALLED


def test_what_is_promised_is_what_counted() -> None:
    payer, _ = issue_invoice(walled(), invoice(2, "2026-09-15"), evening())
    _, facts = take_promise(payer, promise("2026-09-25", "2026-09-22 22:30"), evening())
    assert facts[0] == PromiseTaken(
        replace(promise("2026-09-25", "2026-09-22 22:30"), debt_invoice_ids=(1,))
    )


def test_before_anything_counts_what_is_overdue_is_promised() -> None:
    payer, _ = issue_invoice(account(), invoice(), desk("2026-08-20 09:00"))
    _, facts = take_promise(
        payer, promise("2026-09-05", "2026-09-03 09:00"), desk("2026-09-03 09:00")
    )
    assert isinstance(facts[0], PromiseTaken)
    assert facts[0].promise.debt_invoice_ids == (1,)


@pytest.mark.parametrize(
    ("until", "says"),
    [
        ("2026-09-26", "a promise runs until a day from 2026-09-22 to 2026-09-25"),
        ("2026-09-21", "a promise runs until a day from 2026-09-22"),
    ],
)
def test_the_day_is_bounded(until: str, says: str) -> None:
    with pytest.raises(PromiseRefused, match=says):
        take_promise(walled(), promise(until, "2026-09-22 22:30"), evening())


def test_nothing_owed_nothing_promised() -> None:
    payer, _ = issue_invoice(account(), invoice(), desk("2026-08-20 09:00"))
    for now in ("2026-08-20 10:00", "2026-09-02 23:59"):
        with pytest.raises(PromiseRefused, match="nothing is overdue"):
            take_promise(payer, promise("2026-09-03", now), desk(now))


@pytest.mark.parametrize("contract_id", [1, 2])
def test_a_contract_that_ended_or_is_foreign_makes_no_promise(contract_id: int) -> None:
    payer = walled()
    ended = replace(payer.contracts[0], ended_on=day("2026-09-21"))
    with pytest.raises(Refused, match=f"no running contract {contract_id}"):
        take_promise(
            replace(payer, contracts=(ended,)),
            replace(promise("2026-09-25", "2026-09-22 22:30"), contract_id=contract_id),
            evening(),
        )


def test_a_broken_promise_bars_the_next_until_its_debt_is_paid() -> None:
    payer, _ = take_promise(walled(), promise("2026-09-25", "2026-09-22 22:30"), evening())
    later = desk("2026-11-04 10:00")
    payer, _ = issue_invoice(payer, invoice(2, "2026-10-01"), later)
    with pytest.raises(PromiseRefused, match="until 2026-09-25 was not kept"):
        take_promise(payer, promise("2026-11-05", "2026-11-04 10:00", 2), later)
    payer, _ = clear_payment(payer, payment(110_00, "2026-11-04 10:00", 1), later)
    payer, facts = take_promise(payer, promise("2026-11-05", "2026-11-04 10:00", 2), later)
    assert isinstance(facts[0], PromiseTaken)


def test_one_promise_in_thirty_days() -> None:
    payer, _ = take_promise(walled(), promise("2026-09-25", "2026-09-22 22:30"), evening())
    payer, _ = clear_payment(
        payer, payment(102_00 + 1_00, "2026-09-23 10:00"), desk("2026-09-23 10:00")
    )
    payer, _ = issue_invoice(payer, invoice(2, "2026-10-01"), desk("2026-10-10 09:00"))
    with pytest.raises(PromiseRefused, match="the next may be made on 2026-10-22"):
        take_promise(payer, promise("2026-10-22", "2026-10-21 23:59", 2), desk("2026-10-21 23:59"))
    payer, _ = take_promise(
        payer, promise("2026-10-22", "2026-10-22 00:00", 2), desk("2026-10-22 00:00")
    )
    assert len(payer.promises) == 2


def test_a_second_promise_never_shortens_the_first() -> None:
    often = policy(promise_every_days=0)
    payer, _ = take_promise(
        walled(often),
        promise("2026-09-24", "2026-09-22 22:30"),
        desk("2026-09-22 22:30", often),
    )
    now = desk("2026-09-23 09:00", often)
    with pytest.raises(PromiseRefused, match="a promise until 2026-09-24 is in force"):
        take_promise(payer, promise("2026-09-23", "2026-09-23 09:00", 2), now)
    payer, _ = take_promise(payer, promise("2026-09-26", "2026-09-23 09:00", 2), now)
    assert payer.contracts[0].review_on == at("2026-09-27 00:00")
    assert states(payer) == [PromiseState.EXTENDED, PromiseState.RUNNING]
    payer, level = level_at(payer, "2026-09-25 10:00")
    assert level is Level.FULL


def states(payer: Account) -> list[PromiseState]:
    return [item.state for item in payer.promises]


def test_a_promise_is_kept_by_paying_and_broken_by_its_last_day() -> None:
    taken, _ = take_promise(walled(), promise("2026-09-25", "2026-09-22 22:30"), evening())
    now = desk("2026-09-25 20:00")
    kept, facts = clear_payment(taken, payment(110_00, "2026-09-25 20:00"), now)
    (settled,) = [fact for fact in facts if isinstance(fact, PromiseSettled)]
    assert settled.promise == kept.promises[0]
    assert (settled.promise.state, settled.promise.settled_at) == (PromiseState.KEPT, now.now)
    waiting, _ = review(taken, desk("2026-09-25 23:59"))
    assert states(waiting) == [PromiseState.RUNNING]
    assert waiting.contracts[0].review_on == at("2026-09-26 00:00")
    broken, facts = review(waiting, desk("2026-09-26 00:00"))
    assert states(broken) == [PromiseState.BROKEN]
    assert next(type(fact) for fact in facts) is PromiseSettled
    # Paid a day late it was broken all the same, and is told once.
    broken, facts = clear_payment(
        broken, payment(110_00, "2026-09-26 10:00"), desk("2026-09-26 10:00")
    )
    assert states(broken) == [PromiseState.BROKEN]
    assert not [fact for fact in facts if isinstance(fact, PromiseSettled)]


def test_a_part_paid_keeps_no_promise() -> None:
    taken, _ = take_promise(walled(), promise("2026-09-25", "2026-09-22 22:30"), evening())
    paid, _ = clear_payment(taken, payment(50_00, "2026-09-25 20:00"), desk("2026-09-25 20:00"))
    assert states(paid) == [PromiseState.RUNNING]
