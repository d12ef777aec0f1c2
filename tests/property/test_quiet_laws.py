"""What is said of quiet contracts by their dates is what a look at the account says."""

from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from billing.account import notice_due, review
from billing.quiet import quiet
from tests.support.accounts import CALENDAR, account, at, desk, invoice, policy

NOW = at("2026-09-04 03:00")
days = st.lists(
    st.integers(-20, 40).map(lambda count: date(2026, 9, 1) + timedelta(days=count)), max_size=4
)


@given(days, st.integers(0, 10), st.integers(0, 5), st.sampled_from([0, 500, 20_000]))
def test_quiet_is_what_the_account_would_say(
    due_on: list[date], after_days: int, float_days: int, least: int
) -> None:
    rules = policy(
        notice_after_days=after_days, float_bank_days=float_days, min_debt_cents=max(1, least)
    )
    owing = replace(
        account(),
        invoices=tuple(
            invoice(number, day.isoformat(), 99_90) for number, day in enumerate(due_on, 1)
        ),
    )
    looked, _ = review(owing, desk(NOW, rules))
    said = quiet(due_on, rules, CALENDAR, NOW)
    if notice_due(owing, desk(NOW, rules)):
        assert said is None
        return
    assert said is not None
    (contract,) = looked.contracts
    assert (contract.reason, contract.review_on) == (said.reason, said.review_on)
    assert contract.rungs == ()
    assert contract.access == owing.contracts[0].access
