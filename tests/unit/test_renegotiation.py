import pytest

from billing.access import Level
from billing.agreement import AgreementState, Offer, Paid, Proposal
from billing.invoice import Allocation, InvoiceState, Share, amount_due
from billing.payer import Refused
from billing.policy import Policy
from billing.renegotiation import (
    Acceptance,
    Approval,
    Breach,
    accept_agreement,
    approve_agreement,
    break_agreement,
    due_to_break,
    offer_agreement,
)
from tests.support.accounts import (
    CALENDAR,
    at,
    day,
    policy,
)
from tests.support.books import Books

TODAY = "2026-10-20 10:00"


class Agreed(Books):
    def __init__(self, rules: Policy | None = None) -> None:
        super().__init__(rules)
        self.wall()

    def offer(self, proposal: Proposal, now: str = TODAY, until: str = "2026-10-25") -> None:
        offer = Offer(5, 1, "ana", day(until), proposal)
        self.keep(offer_agreement(self.account, offer, self.desk(now)))

    def accept(self, *part_ids: int, now: str = TODAY) -> None:
        acceptance = Acceptance(5, "ana", part_ids, (50,))
        self.keep(accept_agreement(self.account, acceptance, self.desk(now)))

    def break_it(self, now: str, *paid: Paid) -> None:
        breach = Breach(5, "review", paid, tuple(range(60, 70)))
        self.keep(break_agreement(self.account, breach, self.desk(now)))

    def agreement(self) -> AgreementState:
        return self.account.agreements[0].state


def two_parts(rules: Policy | None = None) -> Agreed:
    """103.53 of 2026-10-20 in 51.76 due on 11-10 and 51.77 due on 12-10."""
    books = Agreed(rules)
    books.offer(Proposal(2, 10))
    books.accept(8, 9)
    return books


def test_signed_the_old_debt_is_gone_and_access_is_back() -> None:
    books = two_parts()
    assert (books.level(), books.agreement()) == (Level.FULL, AgreementState.RUNNING)
    assert books.state(1) is InvoiceState.RENEGOTIATED
    assert books.balances == {
        "receivable:1": 103_53,
        "revenue:other": -99_90,
        "revenue:fine": -2_00,
        "revenue:interest": -1_63,
        "renegotiated": 0,
    }
    assert books.account.contracts[0].review_on == at("2026-11-12 00:00")  # the first part overdue


def test_kept() -> None:
    books = two_parts()
    books.pay(51_76, "2026-11-10 09:00", 1)
    assert books.agreement() is AgreementState.RUNNING
    books.pay(51_77, "2026-12-10 09:00", 2)
    assert books.agreement() is AgreementState.KEPT
    assert books.balances["receivable:1"] == books.balances["renegotiated"] == 0
    assert books.review("2027-03-01 10:00") is Level.FULL


def test_broken_what_was_paid_pays_the_old_debt_and_the_ladder_goes_on() -> None:
    books = two_parts()
    books.pay(51_76, "2026-11-10 09:00", 1)
    assert books.review("2026-12-15 23:59") is Level.FULL
    assert not due_to_break(books.account, books.desk("2026-12-15 23:59"))
    books.break_it(
        "2026-12-16 00:00", Paid(Share(1, Allocation(8, 0, 0, 51_76)), day("2026-11-10"))
    )
    assert books.agreement() is AgreementState.BROKEN
    (old,) = (item for item in books.account.invoices if item.unpaid_cents)
    # 70 days on 99.90: interest 2.33; fine 2.00; so 51.76 leaves 47.43 for principal, 52.47 owed.
    assert (old.id, old.unpaid_cents, old.due_on) == (1, 52_47, day("2026-09-01"))
    # 36 days more on 52.47: 0.62964
    assert amount_due(old, books.rules, CALENDAR, day("2026-12-16")) == 52_47 + 63
    assert books.balances == {
        "receivable:1": 52_47,
        "revenue:other": -99_90,
        "revenue:fine": -2_00,
        "revenue:interest": -2_33,
        "renegotiated": 0,
        "cash:pix": 51_76,
        "credit:7": 0,
    }
    # Wednesday: back behind the wall at the first allowed instant, without a new notice.
    assert books.level() is Level.FULL
    assert books.account.contracts[0].review_on == at("2026-12-16 08:00")
    assert books.review("2026-12-16 08:00") is Level.WALLED
    assert books.account.contracts[0].rungs[0].entered_on == day("2026-12-16")
    assert books.review("2026-12-20 10:00") is Level.WALLED
    books.pay(53_25, "2026-12-20 10:00", 2)
    assert books.level() is Level.FULL


def test_what_was_paid_beyond_the_old_debt_is_credit() -> None:
    books = Agreed()
    books.offer(Proposal(1, 10, down_payment_cents=103_00))
    books.accept(8, 9)
    books.pay(103_00, "2026-10-20 12:00", 1)
    paid = Paid(Share(1, Allocation(8, 0, 0, 103_00)), day("2026-10-20"))
    books.break_it("2026-11-16 00:00", paid)
    # Of the same day: 1.63 + 2.00 + 99.37; 0.53 is left, and no charge on the 103.00 paid.
    (old,) = (item for item in books.account.invoices if item.unpaid_cents)
    assert old.unpaid_cents == 53
    assert books.account.credit_cents == 0


def test_access_may_wait_for_the_first_payment() -> None:
    rules = policy(restore_on="first_payment")
    books = two_parts(rules)
    assert (books.level(), books.account.contracts[0].reason) == (Level.WALLED, "agreement")
    books.pay(51_75, "2026-11-09 09:00", 1)
    assert books.level() is Level.WALLED
    books.pay(1, "2026-11-09 10:00", 2)
    assert books.level() is Level.FULL


def test_broken_before_the_first_payment_nothing_was_ever_restored() -> None:
    rules = policy(
        restore_on="first_payment",
        steps=[{"level": "walled"}, {"level": "blocked", "anchor": "walled", "after_days": 60}],
    )
    books = two_parts(rules)
    # 60 days after 09-21 is 11-20, but no step is entered while the agreement stands.
    assert books.review("2026-11-15 10:00") is Level.WALLED
    books.break_it("2026-11-16 00:00")
    assert books.level() is Level.WALLED
    assert books.account.contracts[0].rungs[0].entered_on == day("2026-09-21")
    # Friday 11-20 is a holiday.
    assert books.review("2026-11-20 10:00") is Level.WALLED
    assert books.review("2026-11-23 08:00") is Level.BLOCKED


def test_a_discount_on_principal_needs_a_second_person() -> None:
    books = Agreed()
    books.offer(Proposal(1, 10, charges_percent=100, principal_percent=10))
    assert books.agreement() is AgreementState.AWAITING_APPROVAL
    with pytest.raises(Refused, match="waits for the approval of a second person"):
        books.accept(8)
    books.keep(approve_agreement(books.account, Approval(5, "rui"), books.desk(TODAY)))
    books.accept(8)
    assert books.balances == {
        "receivable:1": 89_91,
        "revenue:other": -99_90,
        "renegotiated": 0,
        "forgiven": 9_99,
    }
    books.break_it("2026-11-16 00:00")
    assert books.balances["forgiven"] == books.balances["renegotiated"] == 0
    assert books.balances["receivable:1"] == 99_90


def test_an_offer_ends_with_its_last_day() -> None:
    books = Agreed()
    books.offer(Proposal(2, 10))
    assert books.account.contracts[0].review_on == at("2026-10-26 00:00")
    books.review("2026-10-26 00:00")
    assert books.agreement() is AgreementState.EXPIRED
    with pytest.raises(Refused, match="open until 2026-10-25"):
        books.accept(8, 9, now="2026-10-26 10:00")


def test_what_cannot_be_renegotiated() -> None:
    books = two_parts()
    for named, says in [((), "nothing is owed"), ((1,), "invoice 1"), ((8,), "a part of an agree")]:
        offer = Offer(6, 1, "ana", day("2026-10-25"), Proposal(1, 10), named)
        with pytest.raises(Refused, match=says):
            offer_agreement(books.account, offer, books.desk(TODAY))
    with pytest.raises(Refused, match="is accepted already; it is running"):
        books.accept(10, 11)
    with pytest.raises(Refused, match="not due to be broken"):
        books.break_it("2026-11-15 10:00")


def test_an_offer_of_before_a_payment_is_not_accepted() -> None:
    books = Agreed()
    books.offer(Proposal(2, 10))
    books.pay(1_00, "2026-10-20 11:00", 1)  # interest alone
    with pytest.raises(Refused, match="invoice 1 has changed"):
        books.accept(8, 9)
