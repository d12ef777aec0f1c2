"""Everything that can happen to a payer's money, in any order, and M1 to M9 and M12 after each."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from billing.account import Promise, ReversalKind, review, take_promise
from billing.agreement import Proposal
from billing.calendar import ONE_DAY
from billing.cycle import issue_on, next_due
from billing.events import CreditUsed, Fact, PaymentPosted
from billing.invoice import Allocation, Invoice, InvoiceState, Kind, Line, amount_due
from billing.pause import Pause
from billing.payer import CorrectionKind, Desk
from billing.policy import parse
from billing.promise import PromiseRefused
from billing.recurring import correction, propose
from billing.settle import clear_payment, issue_invoice
from billing.subscription import Discount, Extra, Subscription
from billing.suspension import resume, suspend
from billing.tariff import INTERNET, Component, Tariff, TariffPeriod, tariff_on
from billing.terms import USUAL_TERMS
from tests.support.accounts import CALENDAR, ZONE, account, at, desk, payment
from tests.support.money_oracle.bill import Bill
from tests.support.money_oracle.cycles import cycle_at
from tests.support.money_oracle.lines import composed, prorated
from tests.support.payer_books import Books, Outcome, Refused, bill_of
from tests.support.subscriptions import subscription

STEPS = 50_000
EXAMPLES = 540
OFTEN = (
    "InvoiceIssued",
    "PaymentPosted",
    "CreditUsed",
    "PaymentReversed",
    "InvoiceCorrected",
    "PromiseTaken",
    "PauseTaken",
    "PauseEnded",
    "AgreementAccepted",
    "AgreementBroken",
)
RULES = parse("anatel-765", 4, {"law": "none", "notice_days": 2, "cut_any_day": True})
SCM = Fraction(6, 10)
CONTRACT = st.sampled_from([1, 2])
AGO = st.sampled_from([0, 0, 0, 0, 1, 3])
PAID_PERCENT = st.sampled_from([1, 37, 60, 99, 100, 100, 130])
PERCENT = st.sampled_from([0, 10, 50, 100, 100, 130])
CORRECTION = st.sampled_from(
    [
        CorrectionKind.CREDIT_NOTE,
        CorrectionKind.DEBIT_NOTE,
        CorrectionKind.VOID,
        CorrectionKind.WRITE_OFF,
    ]
)


def tariff(cents: int) -> Tariff:
    return Tariff(
        f"Fibra {cents}",
        cents,
        (
            Component(INTERNET, "Internet", Kind.SCM, basis_points=6_000),
            Component("filmes", "Filmes", Kind.SVA),
        ),
    )


class Money(RuleBasedStateMachine):
    """Two contracts of one payer; one of them with a discount for who pays in time."""

    steps: ClassVar[int] = 0
    told: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = at("2027-01-25 09:00")
        self.books = Books(account(contracts=2))
        offer = Discount("em dia", date(2020, 1, 1), basis_points=1_000, conditional=True)
        self.bills: dict[int, Subscription] = {
            1: subscription("2027-01-12", 31, tariff=tariff(99_90), discounts=(offer,)),
            2: subscription("2027-01-20", 10, tariff=tariff(149_95)),
        }
        self.covered: dict[int, date] = {1: date(2027, 1, 12), 2: date(2027, 1, 20)}
        # The judge's own copy of each invoice that nothing but payments has touched.
        self.judged: dict[int, Bill] = {}
        self.seen: dict[int, date] = {}
        self.parts: Counter[int] = Counter()

    def desk(self) -> Desk:
        Money.steps += 1
        return desk(self.now, RULES)

    def pick(self, number: int) -> Invoice | None:
        found = list(self.books.account.invoices)
        return found[number % len(found)] if found else None

    def forget(self) -> None:
        """Nothing but payments is judged invoice by invoice; the sums are judged always."""
        self.judged = {}

    @rule(contract_id=CONTRACT)
    def bill_a_cycle(self, contract_id: int) -> None:
        """The recurring run: every day is billed once, without a gap (M5)."""
        now, bill = self.desk(), self.bills[contract_id]
        due_on = next_due(bill.billed_until, bill.due_days)
        if issue_on(due_on, 10) > self.now.date():
            return
        proposal = propose(bill, due_on, USUAL_TERMS)
        if proposal.flaws or proposal.amount_cents <= 0:
            return
        spans = {
            (line.from_on, line.until_on)
            for line in proposal.lines
            if line.service == INTERNET and line.amount_cents > 0 and line.from_on is not None
            if line.from_on >= self.covered[contract_id]
        }
        for from_on, until_on in sorted(spans):
            assert from_on == self.covered[contract_id], "M5"
            assert until_on is not None
            self.covered[contract_id] = until_on
        assert self.covered[contract_id] == proposal.billed_until == due_on, "M5"
        self._judge_parts(bill, proposal.lines, due_on)
        number = self.books.number()
        issued = Invoice(number, contract_id, due_on, self.now, proposal.lines)
        self.judged[number] = Bill(due_on, issued.amount_cents, issued.conditional_cents)
        self.write(issue_invoice(self.books.account, issued, now))
        self.bills[contract_id] = replace(
            bill,
            billed_until=proposal.billed_until,
            credited_until=proposal.credited_until,
            extras=tuple(item for item in bill.extras if item.id not in proposal.extra_ids),
        )

    def _judge_parts(self, bill: Subscription, lines: Sequence[Line], due_on: date) -> None:
        """M8: the components of a span come to what the span costs."""
        cycle = cycle_at(due_on - ONE_DAY, bill.due_days[-1].day)
        for line in lines:
            if line.service != INTERNET or line.from_on is None or line.until_on is None:
                continue
            if line.from_on < bill.billed_until or line.amount_cents < 0:
                continue
            price = tariff_on(bill.tariffs, line.from_on)
            assert price is not None
            whole = prorated(price.price_cents, (line.until_on - line.from_on).days, cycle.of_days)
            span = [x for x in lines if (x.from_on, x.until_on) == (line.from_on, line.until_on)]
            found = [x.amount_cents for x in span if x.service and x.amount_cents > 0]
            assert found == [cents for cents in composed(whole, [SCM, 1 - SCM]) if cents], "M8"

    @rule(contract_id=CONTRACT, cents=st.sampled_from([79_90, 99_90, 149_95]))
    def change_plan(self, contract_id: int, cents: int) -> None:
        self.desk()
        bill, today = self.bills[contract_id], self.now.date()
        if bill.tariffs[-1].from_on >= today:
            return
        after = replace(bill, tariffs=(*bill.tariffs, TariffPeriod(today, tariff(cents))))
        more = tuple(
            Extra(self.books.number(), line, today, by_hand=False)
            for line in correction(bill, after)
        )
        self.bills[contract_id] = replace(after, extras=(*after.extras, *more))

    @rule(contract_id=CONTRACT, cents=st.integers(1, 200_00), days=st.integers(0, 20))
    def charge_by_hand(self, contract_id: int, cents: int, days: int) -> None:
        now, number = self.desk(), self.books.number()
        issued = bill_of(number, contract_id, self.now, days, Line("Visita", cents, Kind.ONE_OFF))
        self.judged[number] = Bill(issued.due_on, cents)
        self.write(issue_invoice(self.books.account, issued, now))

    def owed(self, paid_on: date) -> int:
        return sum(amount_due(x, RULES, CALENDAR, paid_on) for x in self.books.open_invoices())

    @rule(
        percent=st.sampled_from([1, 37, 60, 99, 100, 100, 130]), ago=AGO, named=st.integers(-9, 9)
    )
    def pay(self, percent: int, ago: int, named: int) -> None:
        """A part, all or more; by its own date; for an invoice or the oldest."""
        now, paid_at = self.desk(), self.now - timedelta(days=ago)
        bill = self.pick(named) if named >= 0 else None
        cents = max(1, self.owed(paid_at.date()) * percent // 100)
        before = self.books.open_invoices()
        money = payment(cents, paid_at, bill.id if bill else None, self.books.number())
        self.books.begin(now)
        facts = self.write(clear_payment(self.books.account, money, now))
        self.books.payments[money.id] = money
        (posted,) = (fact for fact in facts if isinstance(fact, PaymentPosted))
        asked = [item.id for item in before if bill is None or item.id != bill.id]
        if bill in before:
            asked.insert(0, bill.id)
        written_off = bill is not None and bill.state is InvoiceState.WRITTEN_OFF
        if not written_off:
            order = [part.invoice_id for part in posted.allocations]
            assert order == [number for number in asked if number in order], "oldest first"
        if percent == 100 and ago == 0 and bill is None:
            assert not self.books.open_invoices()
            # A payment in time that was learnt of late gives back what lateness had cost.
            parts = [
                (x.interest_cents, x.fine_cents, x.principal_cents) for x in posted.allocations
            ]
            given_back = -sum(min(0, cents) for part in parts for cents in part)
            assert posted.credit_cents <= (given_back if before else 1)

    @rule(cents=st.integers(1, 100_00))
    def pay_twice(self, cents: int) -> None:
        """The second notice of one payment changes nothing (M4)."""
        now = self.desk()
        self.forget()
        key = f"e2e-twice-{self.books.numbers}"
        assert self.books.pay(cents, self.now, now, key=key) is not None
        before = self.books.account
        assert self.books.pay(cents, self.now, now, key=key) is None
        assert self.books.account is before

    @rule(kind=st.sampled_from(ReversalKind), which=st.integers(0, 30), percent=PERCENT)
    def reverse(self, kind: ReversalKind, which: int, percent: int) -> None:
        """Back goes at most what came (M12); too much is refused and changes nothing."""
        now = self.desk()
        paid = list(self.books.payments.values())
        if not paid:
            return
        self.forget()
        money = paid[which % len(paid)]
        left = money.amount_cents - self.books.returned[money.id]
        cents = money.amount_cents * percent // 100
        before = self.books.account
        try:
            self.books.reverse(kind, money, cents, now)
        except Refused as refused:
            why = str(refused)
        else:
            why = ""
        if why:
            assert cents > left or cents == 0 or "stand on invoices of an agreement" in why
            assert self.books.account is before
            return
        assert 0 < cents <= left

    @rule(kind=CORRECTION, which=st.integers(0, 30), percent=PERCENT)
    def correct(self, kind: CorrectionKind, which: int, percent: int) -> None:
        now, bill = self.desk(), self.pick(which)
        # A corrected part of an agreement that breaks later is a test of its own, below.
        parts = {number for x in self.books.account.agreements for number in x.invoice_ids}
        if bill is None or bill.id in parts:
            return
        self.forget()
        before = self.books.account
        try:
            self.books.correct(kind, bill.id, bill.amount_cents * percent // 100, now)
        except Refused:
            assert self.books.account is before

    @rule(contract_id=CONTRACT, days=st.integers(0, 3))
    def promise(self, contract_id: int, days: int) -> None:
        now, until_on = self.desk(), self.now.date() + timedelta(days=days)
        word = Promise(self.books.number(), contract_id, self.now, until_on, "ops", ())
        with suppress(PromiseRefused):
            self.write(take_promise(self.books.account, word, now))

    @rule(contract_id=CONTRACT, days=st.integers(25, 125))
    def pause(self, contract_id: int, days: int) -> None:
        now, today = self.desk(), self.now.date()
        until_on = today + timedelta(days=days)
        asked = Pause(self.books.number(), contract_id, self.now, "ops", today, until_on)
        with suppress(Refused):
            self.write(suspend(self.books.account, asked, now))

    @rule()
    def take_up_again(self) -> None:
        now, pauses = self.desk(), self.books.account.pauses
        if pauses:
            with suppress(Refused):
                self.write(resume(self.books.account, pauses[-1].id, now))

    @rule(
        contract_id=CONTRACT,
        parts=st.sampled_from([1, 2, 7, 12]),
        down=st.sampled_from([0, 10_00]),
        percent=st.sampled_from([0, 50, 100]),
    )
    def agree(self, contract_id: int, parts: int, down: int, percent: int) -> None:
        """What is past due is put on instalments; the daily review breaks what is not kept."""
        now = self.desk()
        self.forget()
        with suppress(Refused):
            self.books.agree(contract_id, Proposal(parts, 10, down, percent, percent // 5), now)

    @rule(days=st.sampled_from([1, 1, 1, 2, 5, 13]))
    def next_day(self, days: int) -> None:
        self.now += timedelta(days=days)
        now = self.desk()
        if self.books.break_due(now):
            self.forget()
        self.write(review(self.books.account, now))

    @rule(order=st.permutations(range(5)), cents=st.integers(1, 90_00), named=st.integers(0, 9))
    def a_day_in_any_order(self, order: list[int], cents: int, named: int) -> None:
        """M9: a day's payments and a chargeback in two orders, one with repeats, end the same."""
        now, bill = self.desk(), self.pick(named)
        name = bill.id if bill else None
        inputs = [(cents, None), (2 * cents, name), (7, None), (cents, name)]
        back = [
            money
            for money in self.books.payments.values()
            if money.paid_at < now.now and not self.books.returned[money.id]
        ]
        # Each begins its day here: what came before is not theirs to undo.
        self.books.dawn = None
        ends = []
        for sequence in (range(5), [*order, *order[:2]]):
            world = deepcopy_books(self.books)
            for place in sequence:
                if place < len(inputs):
                    amount, target = inputs[place]
                    world.pay(amount, self.now, now, target, f"day-{place}")
                elif back:
                    with suppress(Refused):
                        money = back[named % len(back)]
                        world.reverse(
                            *(ReversalKind.CHARGEBACK, money, money.amount_cents, now, "day-back")
                        )
            ends.append((world.account.credit_cents, world.account.invoices, +world.ledger))
        assert ends[0] == ends[1], "M9"

    def write(self, outcome: Outcome) -> Sequence[Fact]:
        facts = self.books.take(outcome)
        for fact in facts:
            match fact:
                case PaymentPosted():
                    paid_on = fact.payment.paid_at.astimezone(ZONE).date()
                    for part in fact.allocations:
                        self._judge(part, paid_on)
                case CreditUsed(allocation=part, invoice=bill):
                    # The money was there before the invoice: an issue after the due date is no
                    # lateness of the payer's.
                    self._judge(part, min(self.now.date(), bill.due_on))
                case _:
                    pass
        return facts

    def _judge(self, part: Allocation, paid_on: date) -> None:
        """The judge's interest, fine and principal of one payment, from rules 5 to 7."""
        bill = self.judged.get(part.invoice_id)
        if bill is None:
            return
        if paid_on < self.seen.get(part.invoice_id, paid_on):
            del self.judged[part.invoice_id]  # learnt of late: it is reckoned anew
            return
        self.seen[part.invoice_id] = paid_on
        late_parts = self.parts[part.invoice_id]
        due = bill.owed(paid_on)
        share = bill.pay(part.total_cents, paid_on)
        apart = abs(share.interest - part.interest_cents)
        # Interest over part payments is carried in whole cents (money-examples 6.24).
        assert apart <= late_parts, (due, share, part)
        if apart:
            del self.judged[part.invoice_id]
            return
        assert (share.fine, share.principal) == (part.fine_cents, part.principal_cents)
        if bill.lost:
            self.parts[part.invoice_id] += 1

    def teardown(self) -> None:
        Money.told.update(self.books.told)

    @invariant()
    def the_books_agree(self) -> None:
        self.books.check()
        for bill in self.books.invoices.values():
            if bill.state is InvoiceState.OPEN and bill.amount_cents and not bill.rest_cents:
                owed = amount_due(bill, RULES, CALENDAR, self.now.date())
                assert owed > 0, "an open invoice owes something, if late charges alone"

    @invariant()
    def the_judge_agrees(self) -> None:
        today = self.now.date()
        for number, bill in self.judged.items():
            invoice = self.books.invoices[number]
            if self.seen.get(number, today) > today or self.parts[number]:
                continue
            owed = amount_due(invoice, RULES, CALENDAR, today) if invoice.unpaid_cents else 0
            assert owed == bill.owed(today).total, (invoice, bill.owed(today))


def deepcopy_books(books: Books) -> Books:
    """A second copy to try another order on; the account itself is immutable."""
    shares = books.shares.copy()
    for key, parts in books.shares.items():
        shares[key] = list(parts)
    return replace(
        books,
        ledger=Counter(books.ledger),
        invoices=dict(books.invoices),
        payments=dict(books.payments),
        returned=Counter(books.returned),
        asked=set(books.asked),
        shares=shares,
        dawn=None if books.dawn is None else books.dawn.copy(),
    )


def test_fifty_thousand_steps_keep_the_money() -> None:
    Money.steps = 0
    Money.told.clear()
    run_state_machine_as_test(
        Money,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=100,
            deadline=None,
            phases=[Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Money.steps >= STEPS
    rare = {kind: Money.told[kind] for kind in OFTEN if Money.told[kind] < 5}
    assert not rare, "steps that change nothing prove nothing"


@pytest.mark.parametrize("kind", [CorrectionKind.VOID, CorrectionKind.WRITE_OFF])
def test_a_part_of_a_running_agreement_is_not_corrected_by_hand(kind: CorrectionKind) -> None:
    books, began = Books(account()), at("2026-09-01 09:00")
    books.issue(bill_of(books.number(), 1, began, 9, Line("Plano", 99_90)), desk(began, RULES))
    signed = at("2026-10-20 10:00")
    books.agree(1, Proposal(2, 10), desk(signed, RULES))
    last = books.account.agreements[0].invoice_ids[-1]
    with pytest.raises(Refused, match="part of agreement"):
        books.correct(kind, last, 0, desk(signed, RULES))
    books.check()
    assert books.break_due(desk(at("2026-11-20 10:00"), RULES)) == 1
    books.check()
