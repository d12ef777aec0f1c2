from dataclasses import replace

import pytest

from billing.access import Level
from billing.account import issue_invoice
from billing.agreement import Offer, Proposal
from billing.contest import Answer, Opening, answer_dispute, due_to_lapse, open_dispute
from billing.dispute import DisputeState
from billing.invoice import Allocation, InvoiceState, Share, amount_due
from billing.payer import Refused
from billing.renegotiation import Acceptance, accept_agreement, offer_agreement
from tests.support.accounts import CALENDAR, at, day, invoice
from tests.support.books import Books

ACCEPTED, REJECTED, UNANSWERED = (
    DisputeState.ACCEPTED,
    DisputeState.REJECTED,
    DisputeState.UNANSWERED,
)


def dispute(
    books: Books, now: str, cents: int | None = None, paid_on: str | None = None, number: int = 1
) -> None:
    paid = day(paid_on) if paid_on else None
    opening = Opening(3, number, cents, "not my plan", "ana", paid, 8, (60, 61))
    books.keep(open_dispute(books.account, opening, books.desk(now)))


def answer(
    books: Books, now: str, state: DisputeState, *shares: Share, due: str | None = None
) -> None:
    due_on = day(due) if due else None
    said = Answer(3, state, "as the contract says", "rui", due_on, shares, (70, 71, 72))
    books.keep(answer_dispute(books.account, said, books.desk(now)))


def test_rejected_the_clocks_go_on_from_where_they_stopped() -> None:
    books = Books()
    books.wall()
    dispute(books, "2026-09-22 10:00")
    assert (books.level(), books.state(1)) == (Level.FULL, InvoiceState.DISPUTED)
    assert books.balances == {"receivable:1": 0, "disputed": 99_90, "revenue:other": -99_90}
    assert books.account.contracts[0].review_on == at("2026-10-23 00:00")
    assert books.review("2026-10-07 09:00") is Level.FULL
    answer(books, "2026-10-07 10:00", REJECTED)
    (owed,) = books.account.invoices
    assert (owed.due_on, owed.unpaid_cents) == (day("2026-10-12"), 99_90)
    # Monday 10-12 is a holiday: in time until 10-13, overdue from 10-15 with a day of float. The
    # notice of 09-04 stood still for 15 days, so it matured on 10-04 and covers it as it is.
    assert amount_due(owed, books.rules, CALENDAR, day("2026-10-13")) == 99_90
    assert amount_due(owed, books.rules, CALENDAR, day("2026-10-14")) == 99_90 + 2_00 + 7
    assert books.review("2026-10-14 10:00") is Level.FULL
    assert books.account.contracts[0].review_on == at("2026-10-15 00:00")
    assert books.review("2026-10-15 08:00") is Level.WALLED
    assert books.balances["receivable:1"] == 99_90


def test_a_notice_that_was_running_runs_on() -> None:
    books = Books()
    books.notice()
    dispute(books, "2026-09-05 10:00")
    answer(books, "2026-09-25 10:00", REJECTED)
    # Overdue again from 10-02, but 20 days late the notice of 09-04 matures on Friday 10-09; on
    # Monday 10-12 is a holiday.
    assert books.review("2026-10-05 10:00") is Level.FULL
    assert books.account.contracts[0].reason == "notice_running"
    assert books.review("2026-10-12 10:00") is Level.FULL
    assert books.review("2026-10-13 08:00") is Level.WALLED


def test_a_due_date_further_away_stays() -> None:
    books = Books()
    dispute(books, "2026-08-25 10:00")
    assert books.state(1) is InvoiceState.DISPUTED
    answer(books, "2026-08-26 10:00", REJECTED)
    (owed,) = books.account.invoices
    assert owed.due_on == day("2026-09-01")


def test_the_undisputed_part_stays_with_its_own_clocks() -> None:
    books = Books()
    books.wall()
    dispute(books, "2026-09-22 10:00", 30_00)
    rest, apart = books.account.invoices
    assert (rest.id, rest.unpaid_cents, rest.due_on) == (1, 69_90, day("2026-09-27"))
    assert (apart.id, apart.rest_cents, apart.state) == (8, 30_00, InvoiceState.DISPUTED)
    assert books.balances == {
        "receivable:1": 69_90,
        "disputed": 30_00,
        "renegotiated": 0,
        "revenue:other": -99_90,
    }
    # 09-27 is a Sunday: overdue from Wed 09-30; the old notice still covers it.
    assert books.level() is Level.FULL
    assert books.review("2026-09-29 10:00") is Level.FULL
    assert books.review("2026-09-30 08:00") is Level.WALLED
    books.pay(69_90 + 1_40 + 7, "2026-09-30 09:00", 1)
    assert books.level() is Level.FULL


def test_a_rejected_part_keeps_its_notice() -> None:
    books = Books()
    books.wall()
    dispute(books, "2026-09-22 10:00", 30_00)
    books.pay(69_90, "2026-09-25 10:00", 1)
    answer(books, "2026-10-07 10:00", REJECTED, due="2026-10-20")
    # Due Tue 10-20, overdue from Thu 10-22: no notice of its own is asked for.
    assert books.review("2026-10-22 08:00") is Level.WALLED
    with pytest.raises(Refused, match="asks for what another invoice had charged"):
        dispute(books, "2026-10-22 10:00", 1, number=8)


def test_nobody_answers() -> None:
    books = Books()
    dispute(books, "2026-08-25 10:00", 30_00)
    rest, _ = books.account.invoices
    assert rest.due_on == day("2026-09-01")
    with pytest.raises(Refused, match="may be answered until 2026-09-24"):
        answer(books, "2026-09-24 23:59", UNANSWERED)
    assert not due_to_lapse(books.account, books.desk("2026-09-24 23:59"))
    assert due_to_lapse(books.account, books.desk("2026-09-25 00:00"))
    with pytest.raises(Refused, match="was to be answered by 2026-09-24; it is decided for"):
        answer(books, "2026-09-25 00:00", REJECTED)
    answer(books, "2026-09-25 00:00", UNANSWERED)
    assert books.state(8) is InvoiceState.PAID
    assert books.balances == {
        "receivable:1": 69_90,
        "disputed": 0,
        "renegotiated": 0,
        "revenue:other": -69_90,
    }
    with pytest.raises(Refused, match="dispute 3 is not open"):
        answer(books, "2026-09-26 00:00", ACCEPTED)


def test_what_was_paid_and_undue_comes_back_double() -> None:
    books = Books()
    books.pay(99_90, "2026-09-01 10:00", 1)
    dispute(books, "2026-09-10 10:00", 30_00, "2026-09-01")
    assert books.state(1) is InvoiceState.PAID
    answer(books, "2026-10-16 10:00", ACCEPTED, Share(1, Allocation(1, 0, 0, 99_90)))
    # 60.00 for 45 days: 0.90
    assert books.account.credit_cents == 60_90
    assert books.balances == {
        "receivable:1": 0,
        "cash:pix": 99_90,
        "revenue:other": -69_90,
        "compensation": 30_90,
        "credit:7": -60_90,
    }


def test_what_comes_back_pays_what_is_owed() -> None:
    books = Books()
    books.pay(99_90, "2026-09-01 10:00", 1)
    later = invoice(2, "2026-10-01", 50_00)
    books.keep(issue_invoice(books.account, later, books.desk("2026-09-05 10:00")))
    dispute(books, "2026-09-10 10:00", 30_00, "2026-09-01")
    answer(books, "2026-09-16 10:00", ACCEPTED, Share(1, Allocation(1, 0, 0, 99_90)))
    # 60.00 for 15 days: 0.30; 60.30 - 50.00
    assert (books.state(2), books.account.credit_cents) == (InvoiceState.PAID, 10_30)


def test_part_paid_part_unpaid() -> None:
    books = Books()
    books.pay(60_00, "2026-09-01 10:00", 1)
    dispute(books, "2026-09-10 10:00", 50_00, "2026-09-01")
    (held,) = books.account.invoices
    assert (held.state, held.rest_cents) == (InvoiceState.DISPUTED, 39_90)
    answer(books, "2026-09-16 10:00", ACCEPTED, Share(1, Allocation(1, 0, 0, 60_00)))
    # 39.90 cancelled; of the 60.00 paid 10.10 comes back double, 15 days on 20.20: 0.101
    assert books.balances["receivable:1"] == books.balances["disputed"] == 0
    assert books.balances["revenue:other"] == -49_90
    assert books.account.credit_cents == 20_20 + 10


def test_what_cannot_be_disputed() -> None:
    books = Books()
    with pytest.raises(Refused, match="is of 1 to 9990 cents, not 9991"):
        dispute(books, "2026-08-25 10:00", 99_91)
    with pytest.raises(Refused, match="has no invoice 2"):
        dispute(books, "2026-08-25 10:00", number=2)
    with pytest.raises(Refused, match="for 3 years, until 2029-09-01"):
        dispute(books, "2029-09-02 10:00")
    dispute(books, "2026-08-25 10:00", 30_00)
    with pytest.raises(Refused, match="answer that first"):
        dispute(books, "2026-08-25 11:00", 1)
    with pytest.raises(Refused, match="is due on 2026-08-31 or later, 5 days from now"):
        answer(books, "2026-08-26 10:00", REJECTED, due="2026-08-30")


def test_renegotiated_there_is_no_charge_to_dispute() -> None:
    books = Books()
    now = books.desk("2026-09-10 10:00")
    offer = Offer(5, 1, "ana", day("2026-09-10"), Proposal(1, 20))
    books.keep(offer_agreement(books.account, offer, now))
    books.keep(accept_agreement(books.account, Acceptance(5, "ana", (8,), (50,)), now))
    with pytest.raises(Refused, match="invoice 1 is renegotiated"):
        dispute(books, "2026-09-10 11:00")


def test_a_late_payment_before_leaves_no_interest_for_the_days_in_dispute() -> None:
    books = Books()
    books.pay(50_00, "2026-09-16 10:00", 1)  # interest 0.50, fine 2.00, principal 47.50
    dispute(books, "2026-09-17 10:00")
    answer(books, "2026-10-05 10:00", REJECTED)
    (owed,) = books.account.invoices
    assert owed == replace(owed, due_on=day("2026-10-10"), interest_since=day("2026-10-10"))
    # Saturday 10-10 and the holiday 10-12: in time until 10-13; then four days on 52.40 = 0.07.
    assert amount_due(owed, books.rules, CALENDAR, day("2026-10-13")) == 52_40
    assert amount_due(owed, books.rules, CALENDAR, day("2026-10-14")) == 52_40 + 7
