from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from billing.access import Level
from billing.account import (
    Account,
    Contract,
    Hold,
    Refused,
    clear_payment,
    draw_notice,
    issue_invoice,
    notice_due,
    place_hold,
    prove_notice,
    review,
    situation_of,
)
from billing.events import (
    AccessDecided,
    Allocation,
    CreditUsed,
    HoldPlaced,
    InvoiceIssued,
    NoticeDrawn,
    NoticeProven,
    PaymentPosted,
    Reviewed,
)
from billing.invoice import InvoiceState
from billing.ladder import CoveringNotice, Receivable, Rung, Situation, decide
from billing.ledger import Posting
from billing.policy import PolicyError
from billing.stage import Stage
from tests.support.accounts import (
    CALENDAR,
    RATES,
    account,
    at,
    day,
    decided,
    desk,
    invoice,
    payment,
    policy,
)


def issued(*invoices: tuple[int, str], contracts: int = 1) -> Account:
    payer = account(contracts)
    for number, due in invoices:
        bill = invoice(number, due, contract_id=min(number, contracts))
        payer, _ = issue_invoice(payer, bill, desk("2026-08-20 09:00"))
    return payer


def noticed(payer: Account, now: str, number: int = 1) -> Account:
    payer, _ = draw_notice(payer, number, desk(now))
    payer, _ = prove_notice(payer, number, at(now), desk(now))
    return payer


def only(payer: Account) -> Contract:
    (contract,) = payer.contracts
    return contract


def test_the_worked_example_from_invoice_to_restore() -> None:
    payer = issued((1, "2026-09-01"))
    seen = [(only(payer).reason, only(payer).review_on)]
    payer, facts = review(payer, desk("2026-09-03 00:00"))
    assert [type(fact) for fact in facts] == [Reviewed]
    seen.append((only(payer).reason, only(payer).review_on))
    assert notice_due(payer, desk("2026-09-03 23:59")) == {}
    assert notice_due(payer, desk("2026-09-04 00:00")) == {1: 99_90}
    payer, facts = draw_notice(payer, 5, desk("2026-09-04 00:00"))
    assert isinstance(facts[0], NoticeDrawn)
    assert notice_due(payer, desk("2026-09-30 00:00")) == {}
    seen.append((only(payer).reason, only(payer).review_on))
    payer, facts = prove_notice(payer, 5, at("2026-09-04 00:00"), desk("2026-09-04 00:01"))
    assert facts[0] == NoticeProven(5, at("2026-09-04 00:00"))
    seen.append((only(payer).reason, only(payer).review_on))
    payer, _ = review(payer, desk("2026-09-19 00:00"))
    seen.append((only(payer).reason, only(payer).review_on))
    assert seen == [
        ("not_overdue", at("2026-09-03 00:00")),
        ("awaiting_notice", at("2026-09-04 00:00")),
        ("awaiting_notice", None),
        ("notice_running", at("2026-09-19 00:00")),
        ("awaiting_allowed_time", at("2026-09-21 08:00")),
    ]
    payer, facts = review(payer, desk("2026-09-21 08:00"))
    (cut,) = decided(facts)
    assert (cut.access, cut.generation, cut.since) == (
        RATES.at(Level.WALLED),
        2,
        at("2026-09-21 08:00"),
    )
    assert cut.situation == Situation(
        (Receivable(1, day("2026-09-01"), 99_90),),
        (CoveringNotice(5, day("2026-09-04"), frozenset({1})),),
    )
    assert (cut.verdict.invoice_ids, cut.verdict.amounts_cents) == ((1,), (99_90,))
    assert only(payer).rungs == (Rung(Stage.WALLED, day("2026-09-21")),)
    # Saturday night: 99.90, fine 2.00 and 25 days of interest, 0.83.
    paid = payment(102_73, "2026-09-26 23:10", 1)
    payer, facts = clear_payment(payer, paid, desk("2026-09-26 23:10"))
    assert [type(fact) for fact in facts] == [PaymentPosted, AccessDecided]
    (restore,) = decided(facts)
    assert (restore.access.level, restore.generation) == (Level.FULL, 3)
    assert (only(payer).reason, only(payer).review_on, only(payer).rungs) == ("no_debt", None, ())
    assert payer.credit_cents == 0


def test_a_decision_can_be_judged_again_from_its_situation() -> None:
    payer = noticed(issued((1, "2026-09-01")), "2026-09-04 09:00")
    now = desk("2026-09-21 08:00")
    (cut,) = decided(review(payer, now)[1])
    assert decide(cut.situation, policy(), CALENDAR, now.now) == cut.verdict


def test_a_look_that_finds_nothing_new_says_nothing() -> None:
    payer = noticed(issued((1, "2026-09-01")), "2026-09-04 09:00")
    for now in ("2026-09-04 09:00", "2026-09-10 12:00", "2026-09-18 23:59"):
        after, facts = review(payer, desk(now))
        assert (after, facts) == (payer, ())
    # The same instants read back in UTC are nothing new either.
    stored = only(payer).review_on
    assert stored is not None
    payer = replace(payer, contracts=(replace(only(payer), review_on=stored.astimezone(UTC)),))
    assert review(payer, desk("2026-09-10 12:00"))[1] == ()


def test_credit_pays_the_next_invoice() -> None:
    payer, facts = issue_invoice(account(credit_cents=30_00), invoice(), desk("2026-08-20 09:00"))
    assert [type(fact) for fact in facts] == [InvoiceIssued, CreditUsed, Reviewed]
    issue, used = facts[0], facts[1]
    assert isinstance(issue, InvoiceIssued)
    assert isinstance(used, CreditUsed)
    assert issue.entry.postings[0] == Posting("receivable:1", 99_90)
    assert used.allocation == Allocation(1, 0, 0, 30_00)
    assert used.entry.postings == (Posting("credit:7", 30_00), Posting("receivable:1", -30_00))
    assert payer.credit_cents == 0
    assert payer.invoices[0].unpaid_cents == 69_90


def test_credit_beyond_the_invoice_stays_and_is_never_late() -> None:
    payer, _ = issue_invoice(account(credit_cents=120_00), invoice(), desk("2026-12-01 09:00"))
    assert (payer.credit_cents, payer.invoices[0].state) == (20_10, InvoiceState.PAID)
    assert payer.invoices[0].fine_paid_cents == 0


# A payment of 150.00 on 2026-09-01 over three open invoices of 99.90.
@pytest.mark.parametrize(
    ("named", "allocated"),
    [
        (None, [(1, 99_90), (3, 50_10)]),  # oldest due date first, ties by id
        (2, [(2, 99_90), (1, 50_10)]),  # the one it names first
        (99, [(1, 99_90), (3, 50_10)]),  # the one it names is paid long ago
    ],
)
def test_allocation_order(named: int | None, allocated: list[tuple[int, int]]) -> None:
    payer = issued((2, "2026-11-01"), (3, "2026-09-01"), (1, "2026-09-01"))
    paid = payment(150_00, "2026-09-01 10:00", named)
    _, facts = clear_payment(payer, paid, desk("2026-09-01 10:00"))
    posted = facts[0]
    assert isinstance(posted, PaymentPosted)
    assert [(a.invoice_id, a.principal_cents) for a in posted.allocations] == allocated
    assert posted.credit_cents == 0


def test_what_is_over_becomes_credit() -> None:
    payer, facts = clear_payment(
        issued((1, "2026-09-01")), payment(100_00, "2026-09-01 10:00", 1), desk("2026-09-01 10:00")
    )
    posted = facts[0]
    assert isinstance(posted, PaymentPosted)
    assert (posted.credit_cents, payer.credit_cents) == (10, 10)
    assert posted.entry.postings[-1] == Posting("credit:7", -10)
    payer, _ = clear_payment(
        payer, payment(5_00, "2026-09-02 10:00", number=2), desk("2026-09-02 10:00")
    )
    assert payer.credit_cents == 5_10


# Late charges are those of the payer's own local day, whenever we learnt of it.
@pytest.mark.parametrize(
    ("paid", "credit"),
    [
        ("2026-09-01 23:59", 5_10),  # in time, in São Paulo; already 09-02 in UTC
        ("2026-09-02 00:00", 3_07),  # fine 2.00, interest 0.03
        ("2026-09-20 00:00", 2_90),  # a clock that runs ahead: as on 09-07, when we know
    ],
)
def test_charges_are_of_the_day_of_payment(paid: str, credit: int) -> None:
    payer, _ = clear_payment(
        issued((1, "2026-09-01")), payment(105_00, paid, 1), desk("2026-09-07 10:00")
    )
    assert payer.credit_cents == credit


def test_the_debt_of_one_contract_does_not_cut_another() -> None:
    payer = noticed(issued((1, "2026-09-01"), (2, "2026-12-01"), contracts=2), "2026-09-04 09:00")
    payer, facts = review(payer, desk("2026-09-21 08:00"))
    assert [fact.contract_id for fact in decided(facts)] == [1]
    assert [c.access.level for c in payer.contracts] == [Level.WALLED, Level.FULL]


def test_a_notice_lists_everything_overdue_of_the_payer_and_each_invoice_needs_one() -> None:
    payer = issued((1, "2026-09-01"), (2, "2026-09-02"), (3, "2026-09-14"), contracts=2)
    now = desk("2026-09-04 09:00")
    assert notice_due(payer, now) == {1: 99_90, 2: 99_90}, "2 is overdue, if only by a day"
    payer = noticed(payer, "2026-09-04 09:00")
    assert notice_due(payer, desk("2026-09-16 23:59")) == {}
    assert payer.contracts[1].review_on == at("2026-09-17 00:00")
    later = desk("2026-09-17 00:00")
    assert list(notice_due(payer, later)) == [1, 2, 3]
    paid, _ = clear_payment(payer, payment(102_43, "2026-09-17 00:00", 1), later)
    assert list(notice_due(paid, later)) == [2, 3]


def test_the_next_look_is_now_while_a_notice_is_due() -> None:
    payer, _ = review(issued((1, "2026-09-01")), desk("2026-09-10 09:00"))
    assert only(payer).review_on == at("2026-09-04 00:00")
    assert notice_due(payer, desk("2026-09-10 09:00")) != {}


def test_a_notice_that_could_not_be_delivered_is_tried_the_next_day() -> None:
    payer, _ = draw_notice(issued((1, "2026-09-01")), 1, desk("2026-09-04 09:00"))
    failed = replace(payer.notices[0], failed_at=at("2026-09-05 23:00").astimezone(UTC))
    payer, _ = review(replace(payer, notices=(failed,)), desk("2026-09-05 23:00"))
    assert only(payer).review_on == at("2026-09-06 00:00")
    assert notice_due(payer, desk("2026-09-05 23:59")) == {}
    assert notice_due(payer, desk("2026-09-06 00:00")) == {1: 99_90}
    # Its receipt comes late: it was delivered all the same, and counts from that day.
    late = "2026-09-06 20:00"
    proven, _ = prove_notice(payer, 1, at(late), desk(late))
    assert notice_due(proven, desk("2026-09-30 00:00")) == {}
    assert only(review(proven, desk("2026-09-20 23:59"))[0]).access.level is Level.FULL
    assert only(review(proven, desk("2026-09-21 08:00"))[0]).access.level is Level.WALLED


def test_after_three_notices_in_vain_one_is_tried_a_week() -> None:
    payer, drawn = issued((1, "2026-09-01")), list[str]()
    for number in range(1, 6):
        due = only(review(payer, desk("2026-09-04 09:00"))[0]).review_on
        assert due is not None
        drawn.append(due.strftime("%m-%d"))
        payer, _ = draw_notice(payer, number, desk(f"{due:%Y-%m-%d %H:%M}"))
        failed = replace(payer.notices[-1], failed_at=due + timedelta(hours=9))
        payer = replace(payer, notices=(*payer.notices[:-1], failed))
    assert drawn == ["09-04", "09-05", "09-06", "09-13", "09-20"]


def test_no_notice_is_drawn_when_none_is_due() -> None:
    with pytest.raises(Refused, match="no notice is due to subscriber 7"):
        draw_notice(issued((1, "2026-09-01")), 1, desk("2026-09-03 09:00"))


def test_the_first_proof_of_a_notice_stands() -> None:
    payer = noticed(issued((1, "2026-09-01")), "2026-09-04 09:00")
    after, facts = prove_notice(payer, 1, at("2026-09-06 09:00"), desk("2026-09-06 09:00"))
    assert (after, facts) == (payer, ())
    with pytest.raises(Refused, match="notice 2 does not wait"):
        prove_notice(payer, 2, at("2026-09-06 09:00"), desk("2026-09-06 09:00"))


def hold(expires: str, reason: str = "outage in the street") -> Hold:
    return Hold(1, 1, "ana", reason, at("2026-09-10 09:00"), at(expires))


def test_a_hold_keeps_the_level_until_it_expires() -> None:
    payer = noticed(issued((1, "2026-09-01")), "2026-09-04 09:00")
    payer, facts = place_hold(payer, hold("2026-09-22 12:00"), desk("2026-09-10 09:00"))
    assert facts == (HoldPlaced(hold("2026-09-22 12:00")),)
    payer, facts = review(payer, desk("2026-09-21 10:00"))
    assert (only(payer).access.level, only(payer).reason) == (Level.FULL, "hold")
    assert only(payer).review_on == at("2026-09-22 12:00")
    payer, facts = review(payer, desk("2026-09-22 12:00"))
    assert only(payer).access.level is Level.WALLED


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (hold("2026-09-10 09:00"), "later than now"),
        (hold("2026-09-11 09:00", " "), "author and a reason"),
        (replace(hold("2026-09-11 09:00"), author=""), "author and a reason"),
        (replace(hold("2026-09-11 09:00"), contract_id=2), "no running contract 2"),
    ],
)
def test_a_wrong_hold_is_refused(wrong: Hold, says: str) -> None:
    with pytest.raises(Refused, match=says):
        place_hold(issued((1, "2026-09-01")), wrong, desk("2026-09-10 09:00"))


def test_wrong_invoices_and_payments_are_refused() -> None:
    payer, now = issued((1, "2026-09-01")), desk("2026-09-10 09:00")
    for wrong, says in [
        (invoice(2, cents=0), "more than 0"),
        (invoice(2, cents=-5), "more than 0"),
        (replace(invoice(2), lines=()), "at least one line"),
        (replace(invoice(2), paid_cents=1), "open and unpaid"),
        (invoice(2, contract_id=9), "subscriber 7 has no running contract 9"),
        (invoice(1), "already issued"),
    ]:
        with pytest.raises(Refused, match=says):
            issue_invoice(payer, wrong, now)
    for cents in (0, -1):
        with pytest.raises(Refused, match="more than 0 cents"):
            clear_payment(payer, payment(cents, "2026-09-10 09:00"), now)


def test_an_ended_contract_keeps_its_access_and_its_debt_goes_on_and_can_be_paid() -> None:
    payer = noticed(issued((1, "2026-09-01")), "2026-09-04 09:00")
    ended = replace(only(payer), ended_on=day("2026-09-05"))
    payer = replace(payer, contracts=(ended,))
    left, facts = review(payer, desk("2026-09-21 08:00"))
    (look,) = facts
    assert isinstance(look, Reviewed)
    assert (look.verdict.level, look.verdict.step) == (Level.FULL, "walled")
    walled = replace(
        ended,
        reason="step_reached",
        rungs=(Rung(Stage.WALLED, day("2026-09-21")),),
        review_on=at("2026-11-23 08:00"),
    )
    assert left == replace(payer, contracts=(walled,))
    assert review(left, desk("2026-09-22 08:00")) == (left, ())
    # Rule 2 knows no difference between a running contract and an ended one.
    unnoticed = replace(payer, notices=())
    assert notice_due(unnoticed, desk("2026-09-21 08:00")) == {1: 99_90}
    paid, facts = clear_payment(
        payer, payment(200_00, "2026-09-21 08:00"), desk("2026-09-21 08:00")
    )
    assert paid.invoices[0].state is InvoiceState.PAID
    assert decided(facts) == []


def test_a_policy_that_does_not_exist_is_named() -> None:
    lost = replace(account(), contracts=(replace(only(account()), policy_name="gone"),))
    with pytest.raises(PolicyError, match="contract 1 follows policy 'gone', which does not exist"):
        review(lost, desk("2026-09-21 08:00"))


def test_a_situation_reads_dates_in_the_providers_zone() -> None:
    payer, _ = draw_notice(issued((1, "2026-09-01")), 1, desk("2026-09-04 22:30"))
    late = at("2026-09-04 22:30").astimezone(UTC)  # already 09-05 in UTC
    payer, _ = prove_notice(payer, 1, late, desk("2026-09-04 22:30"))
    situation = situation_of(payer, only(payer), desk("2026-09-04 22:30"))
    assert situation.notices[0].proven_on == day("2026-09-04")
