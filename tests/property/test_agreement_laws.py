"""Laws of agreements: the parts are the debt, and a broken one is as if it had never been."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.account import clear_payment, issue_invoice
from billing.agreement import Offer, Owed, Paid, Proposal, simulate
from billing.invoice import InvoiceState, Share, amount_due
from billing.renegotiation import (
    Acceptance,
    Approval,
    Breach,
    accept_agreement,
    approve_agreement,
    break_agreement,
    offer_agreement,
)
from billing.terms import USUAL_TERMS
from tests.support.accounts import CALENDAR, at, day, desk, invoice, payment
from tests.support.books import Books

SIGNED = "2026-10-20 10:00"
CENTS = st.integers(1, 10**7)
PERCENT = st.integers(0, 50)
PROPOSALS = st.builds(
    Proposal,
    instalments=st.integers(1, 24),
    due_day=st.integers(1, 31),
    charges_percent=st.integers(0, 100),
    principal_percent=PERCENT,
    interest_month_basis_points=st.integers(0, 100),
)


@given(CENTS, CENTS, CENTS, PROPOSALS, st.dates(date(2020, 1, 1), date(2090, 1, 1)))
def test_the_parts_add_up_to_the_debt_and_fall_due_in_order(
    principal: int, fine: int, interest: int, proposal: Proposal, today: date
) -> None:
    owed = [Owed(1, 100 + principal, fine, interest)]
    found = simulate(owed, proposal, today, today, USUAL_TERMS)
    debt = 100 + principal + fine + interest
    forgiven = found.charges_discount_cents + found.principal_discount_cents
    assert found.total_cents == debt - forgiven + found.interest_cents
    cents = [part.cents for part in found.parts]
    assert len(cents) == proposal.instalments
    assert min(cents) >= 1
    assert set(cents[:-1]) <= {cents[0]}
    assert 0 <= cents[-1] - cents[0] < proposal.instalments
    days = [part.due_on for part in found.parts]
    assert days == sorted(set(days))
    assert days[0] >= today + timedelta(days=5)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 25), st.integers(1, 4000)), max_size=4),
    st.integers(1, 6),
    st.integers(0, 100),
    PERCENT,
)
def test_a_broken_agreement_is_as_if_it_had_never_been(
    sums: list[tuple[int, int]], instalments: int, charges_percent: int, principal_percent: int
) -> None:
    """Whatever was paid on whatever days, the old debt is what those sums would have left."""
    books, plain = Books(), Books()
    for each in (books, plain):
        later = invoice(2, "2026-10-01", 45_50)
        each.keep(issue_invoice(each.account, later, each.desk("2026-09-10 09:00")))
    proposal = Proposal(
        instalments, 10, charges_percent=charges_percent, principal_percent=principal_percent
    )
    now = books.desk(SIGNED)
    offer = Offer(5, 1, "ana", day("2026-10-20"), proposal)
    books.keep(offer_agreement(books.account, offer, now))
    if principal_percent:
        books.keep(approve_agreement(books.account, Approval(5, "rui"), now))
    parts = tuple(range(10, 10 + instalments))
    books.keep(accept_agreement(books.account, Acceptance(5, "ana", parts, (50, 51)), now))
    got: list[Paid] = []
    for number, (days, cents) in enumerate(sorted(sums), start=1):
        paid_at = at(SIGNED) + timedelta(days=days)
        for each in (books, plain):
            paid = payment(cents, paid_at, number=number)
            account, facts = clear_payment(each.account, paid, desk(paid_at))
            if each is books:
                got += [
                    Paid(Share(number, allocation), paid_at.date())
                    for fact in facts
                    for allocation in getattr(fact, "allocations", ())
                ]
            each.keep((account, facts))
    unpaid = [item for item in books.account.invoices if item.id in parts and item.unpaid_cents]
    if not unpaid:
        return
    broken_on = unpaid[0].due_on + timedelta(days=6)
    breach = Breach(5, "review", tuple(got), tuple(range(60, 80)))
    books.keep(break_agreement(books.account, breach, books.desk(f"{broken_on} 00:00")))
    for number in (1, 2):
        (ours,) = (item for item in books.account.invoices if item.id == number)
        (other,) = (item for item in plain.account.invoices if item.id == number)
        assert (ours.state, ours.paid_cents) == (other.state, other.paid_cents)
        due = [amount_due(item, books.rules, CALENDAR, broken_on) for item in (ours, other)]
        assert due[0] == due[1]
    assert books.account.credit_cents == plain.account.credit_cents
    for name in ("receivable:1", "revenue:fine", "revenue:interest", "cash:pix", "credit:7"):
        assert books.balances[name] == plain.balances[name], name
    assert books.balances["renegotiated"] == books.balances["forgiven"] == 0
    voided = [item for item in books.account.invoices if item.id in parts]
    assert {item.state for item in voided} == {InvoiceState.VOID}
