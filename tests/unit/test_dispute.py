from dataclasses import replace

import pytest

from billing.dispute import (
    Dispute,
    DisputeState,
    Refund,
    may_dispute,
    refund,
    stood_still,
    years_later,
)
from billing.refusal import Refused
from tests.support.accounts import at, day, invoice

TODAY = day("2026-09-10")


def dispute(cents: int = 30_00, state: DisputeState = DisputeState.OPEN) -> Dispute:
    """20.00 of it was unpaid, and is frozen where it was billed."""
    return Dispute(
        id=1,
        invoice_id=1,
        contract_id=1,
        cents=cents,
        frozen_cents=20_00,
        frozen_id=1,
        reason="not my plan",
        author="ana",
        opened_at=at("2026-09-10 10:00"),
        state=state,
    )


def test_the_days_to_answer() -> None:
    opened = dispute()
    assert opened.sac_due_on == day("2026-09-17")
    assert opened.answer_due_on == day("2026-10-10")
    assert opened.lapses_on == day("2026-10-11")
    assert opened.paid_cents == 10_00


@pytest.mark.parametrize(
    ("cents", "says"),
    [
        (0, "is of 1 to 9990 cents, not 0"),
        (-1, "is of 1 to 9990 cents, not -1"),
        (99_91, "is of 1 to 9990 cents, not 9991"),
    ],
)
def test_a_dispute_is_of_a_part_of_the_invoice(cents: int, says: str) -> None:
    with pytest.raises(Refused, match=says):
        may_dispute(invoice(), cents, [], TODAY)


def test_every_cent_may_be_disputed_once() -> None:
    rejected = dispute(state=DisputeState.REJECTED)
    may_dispute(invoice(), 69_90, [rejected], TODAY)
    with pytest.raises(Refused, match="is of 1 to 6990 cents"):
        may_dispute(invoice(), 69_91, [rejected], TODAY)
    with pytest.raises(Refused, match="answer that first"):
        may_dispute(invoice(), 1, [dispute()], TODAY)
    with pytest.raises(Refused, match="was disputed and answered already"):
        may_dispute(invoice(), 1, [dispute(99_90, DisputeState.REJECTED)], TODAY)
    # What was taken off the invoice, or billed apart, is no part of what is left.
    may_dispute(invoice(), 99_90, [dispute(state=DisputeState.ACCEPTED)], TODAY)
    apart = replace(rejected, frozen_id=8)
    may_dispute(invoice(), 89_90, [apart], TODAY)
    with pytest.raises(Refused, match="is of 1 to 8990 cents"):
        may_dispute(invoice(), 89_91, [apart], TODAY)


def test_three_years_from_the_charge() -> None:
    old = invoice(due="2023-09-10")
    may_dispute(old, 1, [], TODAY)
    with pytest.raises(Refused, match="for 3 years, until 2026-09-10"):
        may_dispute(old, 1, [], day("2026-09-11"))
    assert years_later(day("2024-02-29"), 3) == day("2027-02-28")


def test_a_refund_is_double_with_one_percent_a_month() -> None:
    # 2 x 30.00 for 45 days: 60.00 x 45 / 3000 = 0.90
    assert refund(30_00, day("2026-09-01"), day("2026-10-16")) == Refund(30_00, 30_00, 90)
    # 2 x 99.90 x 20 / 3000 = 1.332
    assert refund(99_90, day("2026-09-01"), day("2026-09-21")).total_cents == 201_13
    assert refund(99_90, day("2026-09-21"), day("2026-09-01")).interest_cents == 0


def test_a_notice_stands_still_while_the_dispute_is_open() -> None:
    opened = dispute()
    assert stood_still(opened, day("2026-09-04"), day("2026-09-30")) == 20
    assert stood_still(opened, day("2026-09-12"), day("2026-09-30")) == 18  # proven meanwhile
    answered = replace(opened, answered_at=at("2026-09-25 18:00"), state=DisputeState.REJECTED)
    assert stood_still(answered, day("2026-09-04"), day("2026-12-30")) == 15
    assert stood_still(answered, day("2026-10-01"), day("2026-12-30")) == 0
