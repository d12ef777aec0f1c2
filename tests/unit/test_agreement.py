from dataclasses import replace

import pytest

from billing.agreement import (
    Agreement,
    AgreementState,
    Owed,
    Paid,
    Part,
    Proposal,
    Simulation,
    approve,
    breaks_on,
    may_accept,
    owed_by,
    revive,
    simulate,
)
from billing.invoice import Allocation, InvoiceState, Share
from billing.refusal import Refused
from billing.terms import USUAL_TERMS
from tests.support.accounts import CALENDAR, at, day, invoice, policy

TODAY = day("2026-10-20")
# Due 2026-09-01, 49 days late: fine 2 % = 2.00 (1.998), interest 99.90 x 49 / 3000 = 1.63.
OWED = Owed(1, 99_90, 2_00, 1_63)


def simulated(
    proposal: Proposal, owed: tuple[Owed, ...] = (OWED,), until: str = "2026-10-20"
) -> Simulation:
    return simulate(owed, proposal, TODAY, day(until), USUAL_TERMS)


def paid(payment_id: int, part_id: int, on: str, cents: int) -> Paid:
    return Paid(Share(payment_id, Allocation(part_id, 0, 0, cents)), day(on))


def offered(
    proposal: Proposal | None = None, state: AgreementState = AgreementState.OFFERED
) -> Agreement:
    proposal = proposal or Proposal(instalments=2, due_day=10)
    return Agreement(
        id=5,
        contract_id=1,
        author="ana",
        offered_at=at("2026-10-20 10:00"),
        valid_until=day("2026-10-25"),
        proposal=proposal,
        simulation=simulated(proposal),
        state=state,
    )


def test_the_debt_of_the_day() -> None:
    assert owed_by(invoice(), policy(), CALENDAR, TODAY) == OWED
    assert owed_by(invoice(), policy(), CALENDAR, day("2026-09-01")) == Owed(1, 99_90, 0, 0)


@pytest.mark.parametrize(
    ("debt_cents", "proposal", "cents"),
    [
        # money rule 10's own example
        (300_00, Proposal(7, 10), (42_85,) * 6 + (42_90,)),
        (300_00, Proposal(1, 10), (300_00,)),
        (300_00, Proposal(3, 10, down_payment_cents=100_00), (100_00, 66_66, 66_66, 66_68)),
        # 1 % a month on 300.00 for 7 months: 21.00; 321.00 in 7 = six of 45.85 and 45.90
        (300_00, Proposal(7, 10, interest_month_basis_points=100), (45_85,) * 6 + (45_90,)),
        # on the rest alone: 200.00 for 3 months = 6.00
        (
            300_00,
            Proposal(3, 10, down_payment_cents=100_00, interest_month_basis_points=100),
            (100_00, 68_66, 68_66, 68_68),
        ),
        (100_01, Proposal(1, 10, principal_percent=50), (50_00,)),  # 50.005 goes away from zero
    ],
)
def test_parts(debt_cents: int, proposal: Proposal, cents: tuple[int, ...]) -> None:
    found = simulated(proposal, (Owed(1, debt_cents, 0, 0),))
    assert tuple(part.cents for part in found.parts) == cents


def test_discounts_are_of_charges_and_of_principal_each_for_itself() -> None:
    # charges 2.00 + 1.63 = 3.63, half: 1.815 = 1.82; a tenth of 99.90 = 9.99
    found = simulated(Proposal(1, 10, charges_percent=50, principal_percent=10))
    assert (found.charges_discount_cents, found.principal_discount_cents) == (1_82, 9_99)
    assert found.total_cents == 99_90 + 3_63 - 1_82 - 9_99 == 91_72


@pytest.mark.parametrize(
    ("due_day", "until", "days"),
    [
        (25, "2026-10-20", ("2026-10-20", "2026-10-25", "2026-11-25", "2026-12-25")),
        (24, "2026-10-20", ("2026-10-20", "2026-11-24", "2026-12-24", "2027-01-24")),
        (31, "2026-11-19", ("2026-11-19", "2026-11-30", "2026-12-31", "2027-01-31")),
        (5, "2026-10-31", ("2026-10-31", "2026-11-05", "2026-12-05", "2027-01-05")),
    ],
)
def test_due_dates(due_day: int, until: str, days: tuple[str, ...]) -> None:
    found = simulated(Proposal(3, due_day, down_payment_cents=10_00), until=until)
    assert tuple(part.due_on.isoformat() for part in found.parts) == days


@pytest.mark.parametrize(
    ("proposal", "until", "says"),
    [
        (Proposal(0, 10), "2026-10-20", "instalments must be from 1 to 24, not 0"),
        (Proposal(1000, 10), "2026-10-20", "instalments must be from 1 to 24, not 1000"),
        (Proposal(1, 32), "2026-10-20", "due_day must be from 1 to 31"),
        (Proposal(1, 10, charges_percent=101), "2026-10-20", "from 0 to 100, not 101"),
        (Proposal(1, 10, principal_percent=51), "2026-10-20", "from 0 to 50, not 51"),
        (
            Proposal(1, 10, interest_month_basis_points=101),
            "2026-10-20",
            "interest_month_basis_points must be from 0 to 100",
        ),
        (Proposal(1, 10, down_payment_cents=-1), "2026-10-20", "a down payment is 0 or more"),
        (Proposal(1, 10, down_payment_cents=103_53), "2026-10-20", "leaves 0 of the 10353 owed"),
        (Proposal(1, 10, down_payment_cents=200_00), "2026-10-20", "leaves -9647 of the 10353"),
        (Proposal(1, 10), "2026-10-19", "valid until a day from 2026-10-20 to 2026-11-19"),
        (Proposal(1, 10), "2026-11-20", "valid until a day from 2026-10-20 to 2026-11-19"),
    ],
)
def test_what_is_not_offered(proposal: Proposal, until: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        simulated(proposal, until=until)


@pytest.mark.parametrize("owed", [(), (Owed(1, 0, 0, 0),)])
def test_no_debt_no_agreement(owed: tuple[Owed, ...]) -> None:
    with pytest.raises(Refused, match="nothing is owed on these invoices"):
        simulated(Proposal(1, 10), owed)


def test_a_second_person_approves() -> None:
    waiting = offered(state=AgreementState.AWAITING_APPROVAL)
    with pytest.raises(Refused, match="waits for the approval of a second person"):
        may_accept(waiting, [OWED], TODAY)
    with pytest.raises(Refused, match="the approval of somebody else"):
        approve(waiting, "ana", TODAY)
    with pytest.raises(Refused, match="open until 2026-10-25"):
        approve(waiting, "rui", day("2026-10-26"))
    approved = approve(waiting, "rui", TODAY)
    assert (approved.state, approved.approved_by) == (AgreementState.OFFERED, "rui")
    with pytest.raises(Refused, match="waits for no approval"):
        approve(approved, "rui", TODAY)


def test_what_may_be_accepted() -> None:
    may_accept(offered(), [OWED], day("2026-10-25"))
    with pytest.raises(Refused, match="was open until 2026-10-25; offer a new one"):
        may_accept(offered(), [OWED], day("2026-10-26"))
    with pytest.raises(Refused, match="was open until 2026-10-25; offer a new one"):
        may_accept(offered(state=AgreementState.EXPIRED), [OWED], TODAY)
    with pytest.raises(Refused, match="is accepted already; it is running"):
        may_accept(offered(state=AgreementState.RUNNING), [OWED], TODAY)
    for now in ([], [replace(OWED, principal_cents=99_89)], [replace(OWED, interest_cents=1_62)]):
        with pytest.raises(Refused, match="invoice 1 has changed since agreement 5 was offered"):
            may_accept(offered(), now, TODAY)


def test_broken_is_more_than_the_grace_after_an_unpaid_part() -> None:
    running = replace(offered(), invoice_ids=(8, 9))
    parts = [invoice(8, "2026-11-10", 50_00), invoice(9, "2026-12-10", 53_53)]
    assert breaks_on(running, parts, 5) == day("2026-11-16")
    assert breaks_on(running, parts[1:], 5) == day("2026-12-16")
    assert breaks_on(running, [], 5) is None
    assert breaks_on(running, [invoice(1)], 5) is None  # no part of it


def test_what_was_paid_pays_the_old_debt_as_of_its_days() -> None:
    # Both as renegotiated on 2026-10-20. 51.76 of part 8 came on 2026-11-10, 70 days after 09-01:
    # fine 2.00, interest 99.90 x 70 / 3000 = 2.331 = 2.33; principal 51.76 - 4.33 = 47.43.
    old = [replace(invoice(2, "2026-10-01", 50_00)), invoice()]
    revived, moves, over_cents = revive(old, [paid(3, 8, "2026-11-10", 51_76)], policy(), CALENDAR)
    assert over_cents == 0
    first, second = revived
    assert (first.id, first.state, first.paid_cents) == (1, InvoiceState.OPEN, 47_43)
    assert (first.fine_paid_cents, first.interest_paid_cents) == (2_00, 2_33)
    assert second == old[0]
    # The rest, 52.47, goes on from 2026-11-10: six days are 0.10494, all 2.43594 = 2.44, less 2.33.
    assert owed_by(first, policy(), CALENDAR, day("2026-11-16")) == Owed(1, 52_47, 0, 11)
    assert [move.allocation.total_cents for move in moves] == [51_76]


def test_what_the_old_debt_does_not_need_is_left_over() -> None:
    sums = [paid(4, 9, "2026-09-01", 60_00), paid(3, 8, "2026-09-01", 60_00)]
    (old,), moves, over_cents = revive([invoice()], sums, policy(), CALENDAR)
    assert (old.state, over_cents) == (InvoiceState.PAID, 20_10)
    assert [move.paid.share.payment_id for move in moves] == [3, 4]


def test_a_simulation_without_a_down_payment_has_instalments_alone() -> None:
    found = simulated(Proposal(2, 10))
    assert found.parts == (Part(day("2026-11-10"), 51_76), Part(day("2026-12-10"), 51_77))
    assert (found.principal_cents, found.fine_cents, found.late_interest_cents) == (
        99_90,
        2_00,
        1_63,
    )
