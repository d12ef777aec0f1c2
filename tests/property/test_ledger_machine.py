"""A payer's life in any order: money is conserved and access follows from it, at every step."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from billing.access import Level
from billing.account import (
    Account,
    Desk,
    Hold,
    Notice,
    Payment,
    Promise,
    Refused,
    Reversal,
    ReversalKind,
    clear_payment,
    draw_notice,
    issue_invoice,
    notice_due,
    place_hold,
    prove_notice,
    reverse_payment,
    review,
    situation_of,
    take_promise,
)
from billing.events import (
    AccessDecided,
    CreditUsed,
    Fact,
    InvoiceIssued,
    PaymentPosted,
    PaymentReversed,
    Reviewed,
)
from billing.invoice import Allocation, InvoiceState, Share, amount_due
from billing.ladder import decide
from billing.policy import parse
from billing.promise import PromiseRefused
from billing.reverse import Reversing
from tests.support.accounts import CALENDAR, STAGED, ZONE, account, at, desk, invoice, payment

# Short, so that a few days reach every step; one step a day still holds.
RULES = parse(
    "anatel-765",
    4,
    {"law": "none", "notice_days": 2, "promise_every_days": 5, "cut_any_day": True}
    | {"steps": [STAGED[0], {**STAGED[1], "after_days": 2}]},
)


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = at("2026-10-05 09:00")
        self.payer: Account = account(contracts=2)
        self.ledger: Counter[str] = Counter()
        self.generations = {contract.id: contract.generation for contract in self.payer.contracts}
        self.numbers = 0
        self.payments: dict[int, Payment] = {}
        self.went_back: Counter[int] = Counter()
        # Interest, fine, principal and discount by payment (None: credit) and invoice.
        self.shares: dict[tuple[int | None, int], tuple[int, ...]] = {}

    def desk(self) -> Desk:
        return desk(self.now, RULES)

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def record(self, outcome: tuple[Account, Sequence[Fact]]) -> None:
        before, (self.payer, facts) = self.payer, outcome
        levels = {contract.id: contract.access.level for contract in before.contracts}
        told = [fact.contract_id for fact in facts if isinstance(fact, AccessDecided | Reviewed)]
        assert len(told) == len(set(told)), "each contract is judged once"
        for fact in facts:
            match fact:
                case InvoiceIssued(entry=entry):
                    self.post({line.account: line.cents for line in entry.postings})
                case CreditUsed(entry=entry):
                    self.post({line.account: line.cents for line in entry.postings})
                    self.share(None, fact.allocation)
                case PaymentReversed(entry=entry):
                    self.post({line.account: line.cents for line in entry.postings})
                    for share in fact.taken:
                        self.share(share.payment_id, share.allocation, -1)
                    taken = sum(share.allocation.total_cents for share in fact.taken)
                    assert taken + fact.credit_cents == fact.reversal.amount_cents
                    self.went_back[fact.reversal.payment_id] += fact.reversal.amount_cents
                case PaymentPosted(entry=entry):
                    self.post({line.account: line.cents for line in entry.postings})
                    self.payments[fact.payment.id] = fact.payment
                    for allocation in fact.allocations:
                        self.share(fact.payment.id, allocation)
                    shares = sum(share.total_cents for share in fact.allocations)
                    assert shares + fact.credit_cents == fact.payment.amount_cents
                case AccessDecided():
                    assert fact.generation == self.generations[fact.contract_id] + 1
                    assert fact.access.level is not levels[fact.contract_id]
                    self.generations[fact.contract_id] += 1
                    again = decide(fact.situation, RULES, CALENDAR, fact.since)
                    assert replace(again, review_on=fact.verdict.review_on) == fact.verdict
                case _:
                    pass
        assert self.generations == {item.id: item.generation for item in self.payer.contracts}

    def share(self, payment_id: int | None, part: Allocation, sign: int = 1) -> None:
        key = (payment_id, part.invoice_id)
        parts = part.interest_cents, part.fine_cents, part.principal_cents, part.discount_cents
        known = self.shares.get(key, (0, 0, 0, 0))
        self.shares[key] = tuple(a + sign * b for a, b in zip(known, parts, strict=True))

    def post(self, postings: dict[str, int]) -> None:
        assert sum(postings.values()) == 0
        self.ledger.update(postings)

    @rule(
        days=st.integers(0, 20), cents=st.integers(1, 200_00), contract_id=st.sampled_from([1, 2])
    )
    def issue(self, days: int, cents: int, contract_id: int) -> None:
        due = (self.now.date() + timedelta(days=days - 10)).isoformat()
        bill = invoice(self.number(), due, cents, contract_id)
        self.record(issue_invoice(self.payer, bill, self.desk()))

    def due_cents(self) -> int:
        today = self.now.date()
        return sum(amount_due(item, RULES, CALENDAR, today) for item in self.payer.invoices)

    @rule(part=st.integers(1, 120), ago_days=st.integers(0, 8), data=st.data())
    def pay(self, part: int, ago_days: int, data: st.DataObject) -> None:
        named = data.draw(st.sampled_from([None, *(item.id for item in self.payer.invoices)]))
        cents = max(1, self.due_cents() * part // 100)
        paid = payment(cents, self.now - timedelta(days=ago_days), named, self.number())
        self.record(clear_payment(self.payer, paid, self.desk()))

    @rule()
    def pay_exactly(self) -> None:
        cents = self.due_cents()
        if cents:
            paid = payment(cents, self.now, None, self.number())
            self.record(clear_payment(self.payer, paid, self.desk()))
        assert all(item.unpaid_cents == 0 for item in self.payer.invoices)
        assert {item.access.level for item in self.payer.contracts} == {Level.FULL}

    @rule(part=st.integers(1, 100), kind=st.sampled_from(ReversalKind), data=st.data())
    @precondition(lambda self: self.payments)
    def reverse(self, part: int, kind: ReversalKind, data: st.DataObject) -> None:
        money = self.payments[data.draw(st.sampled_from(sorted(self.payments)))]
        left = money.amount_cents - self.went_back[money.id]
        number = self.number()
        asked = max(1, left * part // 100)
        reversal = Reversal(number, kind, money.id, "pix", str(number), asked, "ana", "x", self.now)
        shares = tuple(
            Share(payment_id, Allocation(invoice_id, *parts))
            for (payment_id, invoice_id), parts in self.shares.items()
            if any(parts)
        )
        reversing = Reversing(reversal, money, self.went_back[money.id], shares)
        if left == 0:
            with pytest.raises(Refused):
                reverse_payment(self.payer, reversing, self.desk())
            return
        self.record(reverse_payment(self.payer, reversing, self.desk()))

    @rule(hours=st.integers(1, 72))
    def wait(self, hours: int) -> None:
        """Time passes as the shell lets it: every review date on the way is kept."""
        end = self.now + timedelta(hours=hours)
        while True:
            dates = [item.review_on for item in self.payer.contracts if item.review_on is not None]
            soonest = min(dates, default=None)
            if soonest is None or soonest > end:
                break
            self.now = max(self.now, soonest)
            self.record(review(self.payer, self.desk()))
            if notice_due(self.payer, self.desk()):
                self.record(draw_notice(self.payer, self.number(), self.desk()))
        self.now = end
        _, facts = review(self.payer, self.desk())
        assert facts == (), "between review dates there is nothing to say"

    def waiting(self) -> list[Notice]:
        return [i for i in self.payer.notices if i.proven_at is None and i.failed_at is None]

    @rule(delivered=st.booleans())
    @precondition(lambda self: self.waiting())
    def answer_notice(self, delivered: bool) -> None:
        waiting = self.waiting()[0]
        if delivered:
            self.record(prove_notice(self.payer, waiting.id, self.now, self.desk()))
            return
        failed = replace(waiting, failed_at=self.now.astimezone(UTC))
        notices = tuple(failed if item is waiting else item for item in self.payer.notices)
        self.record(review(replace(self.payer, notices=notices), self.desk()))

    @rule(days=st.integers(0, 4), contract_id=st.sampled_from([1, 2]))
    def promise(self, days: int, contract_id: int) -> None:
        until_on = self.now.date() + timedelta(days=days)
        promise = Promise(self.number(), contract_id, self.now, until_on, "ana", ())
        try:
            self.record(take_promise(self.payer, promise, self.desk()))
        except PromiseRefused:
            return
        (contract,) = (item for item in self.payer.contracts if item.id == contract_id)
        assert contract.access.level is Level.FULL

    @rule(hours=st.integers(1, 60), contract_id=st.sampled_from([1, 2]))
    def hold(self, hours: int, contract_id: int) -> None:
        before = [item.access.level for item in self.payer.contracts]
        expires = self.now + timedelta(hours=hours)
        hold = Hold(self.number(), contract_id, "ana", "outage", self.now, expires)
        self.record(place_hold(self.payer, hold, self.desk()))
        assert [item.access.level for item in self.payer.contracts] == before

    @invariant()
    def money_is_conserved(self) -> None:
        assert sum(self.ledger.values()) == 0
        for contract in self.payer.contracts:
            owned = [item for item in self.payer.invoices if item.contract_id == contract.id]
            unpaid = sum(item.unpaid_cents for item in owned)
            assert self.ledger[f"receivable:{contract.id}"] == unpaid
        assert self.ledger["credit:7"] == -self.payer.credit_cents <= 0
        for kind, paid in (
            ("fine", sum(item.fine_paid_cents for item in self.payer.invoices)),
            ("interest", sum(item.interest_paid_cents for item in self.payer.invoices)),
        ):
            assert self.ledger[f"revenue:{kind}"] == -paid
        for item in self.payer.invoices:
            assert 0 <= item.paid_cents <= item.amount_cents
            assert (item.state is InvoiceState.PAID) == (item.paid_cents == item.amount_cents)

    @invariant()
    def access_follows_from_debt(self) -> None:
        for contract in self.payer.contracts:
            situation = situation_of(self.payer, contract, self.desk())
            verdict = decide(situation, RULES, CALENDAR, self.now)
            assert verdict.level is contract.access.level
            assert contract.access == contract.rates.at(verdict.level)
            if contract.access.level is not Level.FULL:
                assert verdict.counted_cents > 0
                assert verdict.notice_id is not None
            top = contract.rungs[-1].level if contract.rungs else Level.FULL
            assert contract.access.level.severity <= top.severity
        assert self.now.tzinfo is ZONE


Life.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase
