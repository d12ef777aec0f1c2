"""What the product answers to each kind of worked example, as the page's own words."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Any

from billing.access import Level
from billing.account import Account, Desk, Payment, Refused, Reversal, ReversalKind
from billing.agreement import (
    Agreement,
    AgreementState,
    Owed,
    Paid,
    Proposal,
    breaks_on,
    owed_by,
    revive,
    simulate,
)
from billing.bounds import Flaw, flaws
from billing.calendar import ONE_DAY, next_bank_day
from billing.correct import Correcting, write_off_invoice
from billing.cycle import (
    DueDay,
    Mode,
    as_many_on,
    change_due_day,
    cycle_of,
    due_in,
    issue_on,
    next_due,
    next_due_changed,
)
from billing.events import InvoiceCorrected, PaymentPosted
from billing.invoice import Allocation, Invoice, Kind, Line, Share, charges
from billing.ledger import REVENUE_RECOVERED, WRITE_OFF
from billing.money import half_up, split
from billing.payer import Correction, CorrectionKind
from billing.policy import Policy
from billing.recurring import correction, propose
from billing.reverse import Reversing, refuse_excess, reverse_payment
from billing.reward import Paid as PaidInvoice
from billing.reward import is_good_payer
from billing.settle import clear_payment, issue_invoice
from billing.subscription import Discount, Extra, Outage, Subscription, Suspension
from billing.tariff import Addon, Component, Tariff, divide
from billing.term import MinimumTerm, penalty
from billing.terms import USUAL_TERMS, Terms
from tests.support.accounts import CALENDAR as BANKS
from tests.support.accounts import ZONE, account, payment, policy
from tests.support.money_examples import Example
from tests.support.money_oracle.answers import (
    Answer,
    life_of,
    monthly_from_january,
    paid_cycle,
    pauses_of,
)
from tests.support.money_oracle.exact import cents, reais
from tests.support.money_oracle.lines import first_instant, suspended_days
from tests.support.subscriptions import period, subscription

RULES = policy()


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12), ZONE)


def _desk(day: date, rules: Policy = RULES) -> Desk:
    return Desk({rules.name: rules}, BANKS, _noon(day))


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def _rounding(example: Example) -> Answer:
    amount = example.money("amount")
    if "parts" in example.given:
        parts = split(amount, int(example.given["parts"]))
        return {"each": reais(parts[0]), "last": reais(parts[-1])}
    return {"amount": reais(half_up(amount * Fraction(example.given["part"])))}


def _bank_days(example: Example) -> Answer:
    return {"until": next_bank_day(BANKS, example.day("due")).isoformat()}


def _due(example: Example) -> date:
    year, month = example.given["in"].split("-")
    return due_in(int(year), int(month), int(example.given["due_day"]))


def _cycles(example: Example) -> Answer:
    due = _due(example)
    due_days = (DueDay(date(2015, 1, 1), int(example.given["due_day"])),)
    inside = due if Mode(example.given["mode"]) is Mode.ADVANCE else due - ONE_DAY
    cycle = cycle_of(inside, due_days)
    return {
        "due": due.isoformat(),
        "from": cycle.starts_on.isoformat(),
        "to": (cycle.ends_on - ONE_DAY).isoformat(),
        "days": str(cycle.full_days),
        "issued": issue_on(due, 10).isoformat(),
    }


def _subscription(example: Example, **changes: Any) -> Subscription:
    due_day = int(example.given["due_day"])
    due = _due(example)
    first = cycle_of(due - ONE_DAY, (DueDay(date(2015, 1, 1), due_day),)).starts_on
    started = example.given.get("first", first.isoformat())
    bill = subscription(started, due_day, example.money("price"))
    later = [period(on.isoformat(), price) for price, on in example.dated("change")]
    ended = example.day("last") + ONE_DAY if "last" in example.given else None
    return replace(bill, tariffs=(*bill.tariffs, *later), ended_on=ended, **changes)


def _lines(example: Example, bill: Subscription) -> list[int]:
    # All of the cycle is known when it is billed.
    terms = Terms(issue_days_before=0, outage_minutes=int(example.given.get("threshold", "30")))
    return [line.amount_cents for line in propose(bill, _due(example), terms).lines]


def _first_and_last(example: Example) -> Answer:
    (amount,) = _lines(example, _subscription(example))
    return {"amount": reais(amount)}


def _plan_change(example: Example) -> Answer:
    return {"lines": ", ".join(reais(x) for x in _lines(example, _subscription(example)))}


def _due_day_change(example: Example) -> Answer:
    if "first" in example.given:
        return _next_invoices(example)
    old, new = int(example.given["old_day"]), int(example.given["new_day"])
    running = cycle_of(example.day("asked"), (DueDay(date(2015, 1, 1), old),))
    before = (DueDay(running.starts_on, old),)
    days = change_due_day(before, new, running.ends_on)
    between = cycle_of(running.ends_on, days)
    bill = subscription(
        running.starts_on.isoformat(),
        old,
        example.money("price"),
        billed_until=running.ends_on.isoformat(),
        due_days=days,
    )
    (line,) = propose(bill, between.ends_on, USUAL_TERMS).lines
    return {
        "from": between.starts_on.isoformat(),
        "to": (between.ends_on - ONE_DAY).isoformat(),
        "of": str(between.full_days),
        "amount": reais(line.amount_cents),
    }


def _next_invoices(example: Example) -> Answer:
    """One invoice is issued when the plan, then the due day changes: the lines that wait move."""
    bill = subscription(
        example.given["first"], int(example.given["old_day"]), example.money("price", "1.00")
    )
    issued = propose(bill, next_due(bill.started_on, bill.due_days), USUAL_TERMS)
    before = replace(bill, billed_until=issued.billed_until, credited_until=issued.credited_until)
    later = [period(on.isoformat(), price) for price, on in example.dated("change")]
    after = replace(before, tariffs=(*before.tariffs, *later))
    was = next_due(issued.due_on, before.due_days)
    waits = [(was, line) for line in correction(before, after)]
    due_on = was
    for _ in range(int(example.given.get("instalments", "0"))):
        waits.append((due_on, Line("Instalação", 1_00, Kind.ONE_OFF)))
        due_on = next_due(due_on, before.due_days)
    days = change_due_day(before.due_days, int(example.given["new_day"]), before.billed_until)
    now = next_due_changed(was, before.due_days, days)
    moved = [(as_many_on(due, was, before.due_days, now, days), line) for due, line in waits]
    if "instalments" in example.given:
        return {"dues": ", ".join(due.isoformat() for due, _ in moved)}
    extras = tuple(Extra(n, line, due, by_hand=False) for n, (due, line) in enumerate(moved))
    lines = propose(replace(after, due_days=days, extras=extras), now, USUAL_TERMS).lines
    return {
        "due": now.isoformat(),
        "amount": reais(lines[0].amount_cents),
        "correction": reais(sum(line.amount_cents for line in lines[1:])),
    }


def _offers(example: Example) -> tuple[Discount, ...]:
    since = date(2015, 1, 1)
    percents = [
        Discount("%", since, basis_points=int(item * 10_000), conditional=True)
        for item in example.percents("percent")
    ]
    sums = [
        Discount("R$", since, cents=cents(item), conditional=True) for item in example.items("off")
    ]
    return (*percents, *sums)


def _conditional(price: int, offers: tuple[Discount, ...]) -> tuple[Line, ...]:
    """The lines of a whole cycle at a price with its conditional discounts."""
    bill = subscription("2026-08-10", 10, price, discounts=offers)
    return propose(bill, date(2026, 9, 10), USUAL_TERMS).lines


class _Payer:
    """One payer with one contract: invoices and payments in the order of their days."""

    def __init__(self, rules: Policy = RULES) -> None:
        self.rules = rules
        self.account: Account = account()
        self.invoices: dict[int, Invoice] = {}
        self.allocations: list[tuple[int | None, Allocation]] = []
        self.payments: list[Payment] = []
        self.postings: dict[str, int] = {}

    def issue(self, due_on: date, lines: tuple[Line, ...]) -> int:
        number = len(self.invoices) + 1
        issued = _noon(due_on - timedelta(days=10))
        bill = Invoice(number, 1, due_on, issued, lines)
        self._do(issue_invoice(self.account, bill, _desk(issued.date(), self.rules)), bill)
        return number

    def pay(self, amount: int, day: date, names: int | None = None) -> None:
        money = payment(amount, _noon(day), names, len(self.payments) + 1)
        self.payments.append(money)
        self._do(clear_payment(self.account, money, _desk(day, self.rules)))

    def charge_back(self, day: date) -> None:
        money = self.payments[-1]
        shares = tuple(Share(number, item) for number, item in self.allocations)
        reversal = Reversal(
            1,
            ReversalKind.CHARGEBACK,
            money.id,
            "pix",
            "back-1",
            money.amount_cents,
            "ops",
            "test",
            _noon(day),
        )
        asked = Reversing(reversal, money, 0, shares)
        self._do(reverse_payment(self.account, asked, _desk(day, self.rules)))

    def write_off(self, number: int, day: date) -> None:
        bill = self.invoices[number]
        correction = Correction(
            1, CorrectionKind.WRITE_OFF, number, bill.unpaid_cents, "ops", "test", _noon(day)
        )
        shares = tuple(Share(paid, item) for paid, item in self.allocations)
        asked = Correcting(correction, shares)
        self._do(write_off_invoice(self.account, asked, _desk(day, self.rules)))

    def owed(self, number: int, day: date) -> Answer:
        bill = self.invoices[number]
        fine, interest = charges(bill, self.rules, BANKS, day)
        return {
            "fine": reais(fine),
            "interest": reais(interest),
            "rest": reais(bill.unpaid_cents),
        }

    def _do(self, outcome: tuple[Account, Sequence[object]], new: Invoice | None = None) -> None:
        self.account, facts = outcome
        if new is not None:
            self.invoices[new.id] = new
        for fact in facts:
            for posting in getattr(getattr(fact, "entry", None), "postings", ()):
                total = self.postings.get(posting.account, 0) + posting.cents
                self.postings[posting.account] = total
            if isinstance(fact, PaymentPosted):
                self.allocations += [(fact.payment.id, item) for item in fact.allocations]
            changed = [*getattr(fact, "invoices", ())]
            if isinstance(fact, InvoiceCorrected):
                changed.append(fact.invoice)
            self.invoices |= {item.id: item for item in changed}
        self.invoices |= {item.id: item for item in self.account.invoices}


def _discount_of_cycles(example: Example) -> Answer:
    """One invoice for several cycles, as after one that gave back more than it cost."""
    due = example.day("due")
    first = due
    for _ in range(int(example.given["cycles"])):
        first = cycle_of(first - ONE_DAY, (DueDay(date(2015, 1, 1), due.day),)).starts_on
    every = [first + n * ONE_DAY for n in range((due - first).days)]
    cut, back = (
        datetime.fromisoformat(at).replace(tzinfo=ZONE) for at in example.given["cut"].split(" to ")
    )
    spans = tuple(
        Suspension(day, day + ONE_DAY, Level.WALLED)
        for day in suspended_days(every, [(cut, back)], ZONE)
    )
    bill = subscription(
        first.isoformat(),
        due.day,
        example.money("price"),
        discounts=_offers(example),
        suspensions=spans,
    )
    lines = propose(bill, due, Terms(issue_days_before=0)).lines
    return {"discount": reais(-sum(line.amount_cents for line in lines if line.conditional))}


def _discount(example: Example) -> Answer:
    if "cycles" in example.given:
        return _discount_of_cycles(example)
    payer, due = _Payer(), example.day("due")
    lines = _conditional(example.money("price"), _offers(example))
    number = payer.issue(due, lines)
    asked = due
    for amount, asked in example.dated("paid"):
        payer.pay(amount, asked, number)
    if "asked" in example.given:
        asked = example.day("asked")
    bill = payer.invoices[number]
    return {
        "discount": reais(-sum(line.amount_cents for line in lines if line.conditional)),
        "holds": _yes(bill.unpaid_cents == 0 and bill.discount_cents > 0),
        "unpaid": reais(bill.unpaid_cents),
    }


def _late(example: Example) -> Answer:
    rules = policy(
        fine_basis_points=int(Fraction(example.given.get("fine_percent", "2")) * 100),
        interest_month_basis_points=int(Fraction(example.given.get("monthly_percent", "1")) * 100),
    )
    payer = _Payer(rules)
    number = payer.issue(
        example.day("due"), _conditional(example.money("principal"), _offers(example))
    )
    for amount, day in example.dated("paid"):
        payer.pay(amount, day, number)
    return payer.owed(number, example.day("asked"))


def _allocation(example: Example) -> Answer:
    payer = _Payer()
    payer.account = replace(payer.account, credit_cents=example.money("credit"))
    numbers = {
        due: payer.issue(due, (Line("Plano", amount),))
        for amount, due in example.dated("invoices", "due")
    }
    named = numbers[example.day("names")] if "names" in example.given else None
    for amount, day in example.dated("paid"):
        payer.pay(amount, day, named)
    bills = [payer.invoices[number] for number in numbers.values()]
    took = [
        f"{reais(x.interest_paid_cents)}/{reais(x.fine_paid_cents)}/{reais(x.paid_cents)}"
        for x in bills
    ]
    return {"took": ", ".join(took), "credit": reais(payer.account.credit_cents)}


def _suspended(example: Example) -> Answer:
    # Which days count is worked out in the shell; here they are the judge's.
    days = suspended_days(paid_cycle(example).days(), life_of(example).cuts, ZONE)
    paused = suspended_days(paid_cycle(example).days(), pauses_of(example), ZONE)
    spans = tuple(
        Suspension(day, day + ONE_DAY, Level.BLOCKED if day in paused else Level.WALLED)
        for day in days
    )
    bill = _subscription(example, suspensions=spans)
    if "stays" in example.given:
        own = Addon("sva", "SVA", example.money("stays"), bill.started_on, stays_while_walled=True)
        bill = replace(bill, addons=(own,))
    found = [x for x in _lines(example, bill) if x < 0]
    return {"days": str(len(days)), "lines": ", ".join(reais(x) for x in found) or "none"}


def _composition(example: Example) -> Answer:
    price = example.money("price")
    percents, sums = example.percents("percent"), [cents(item) for item in example.items("cents")]
    parts = [
        Component(f"s{number}", "", Kind.SVA, basis_points=int(share * 10_000))
        for number, share in enumerate(percents)
    ] or [Component(f"s{number}", "", Kind.SVA, cents=part) for number, part in enumerate(sums)]
    parts[-1] = replace(parts[-1], basis_points=None, cents=None)
    part = half_up(price * Fraction(example.given.get("days", "1")))
    found = divide(Tariff("plan", price, tuple(parts)), part)
    return {"lines": ", ".join(reais(item) for item in found)}


def _agreement(example: Example) -> Answer:
    today = example.day("signed") if "signed" in example.given else date(2026, 11, 20)
    debt = [
        owed_by(Invoice(n, 1, due, _noon(due), (Line("Plano", amount),)), RULES, BANKS, today)
        for n, (amount, due) in enumerate(example.dated("invoices", "due"), start=1)
    ] or [Owed(1, example.money("principal"), example.money("charges"), 0)]
    proposal = Proposal(
        int(example.given["instalments"]),
        10,
        example.money("down"),
        int(example.given.get("off_charges", "0")),
        int(example.given.get("off_principal", "0")),
        int(example.given.get("monthly_percent", "0")) * 100,
    )
    found = [part.cents for part in simulate(debt, proposal, today, today, USUAL_TERMS).parts]
    parts = found[1:] if proposal.down_payment_cents else found
    return {"each": reais(parts[0]), "last": reais(parts[-1])}


def _broken(example: Example) -> Answer:
    if "grace" in example.given:
        return {"broken": _breaks_on(example).isoformat()}
    old = [
        Invoice(n, 1, due, _noon(due), (Line("Plano", amount),))
        for n, (amount, due) in enumerate(example.dated("invoices", "due"), start=1)
    ]
    paid = [
        Paid(Share(n, Allocation(90 + n, 0, 0, amount)), day)
        for n, (amount, day) in enumerate(example.dated("paid"))
    ]
    revived, _, _ = revive(old, paid, RULES, BANKS)
    owed = [owed_by(bill, RULES, BANKS, example.day("asked")) for bill in revived]
    return {
        "fine": reais(sum(item.fine_cents for item in owed)),
        "interest": reais(sum(item.interest_cents for item in owed)),
        "rest": reais(sum(item.principal_cents for item in owed)),
    }


def _breaks_on(example: Example) -> date:
    due, today = example.day("due"), date(2026, 11, 20)
    proposal = Proposal(1, due.day)
    simulation = simulate([Owed(1, 100_00, 0, 0)], proposal, today, today, USUAL_TERMS)
    running = Agreement(
        1, 1, "ops", _noon(today), today, proposal, simulation, AgreementState.RUNNING
    )
    running = replace(running, invoice_ids=(8,))
    part = Invoice(8, 1, due, _noon(today), (Line("Parcela", 100_00, Kind.INSTALMENT),))
    found = breaks_on(running, [part], int(example.given["grace"]))
    assert found is not None
    return found


def _minimum_term(example: Example) -> Answer:
    total, remaining = int(example.given["total"]), int(example.given["remaining"])
    since = date(2026, 3, 1)
    until = since + timedelta(days=total)
    term = MinimumTerm(since, until, example.money("agreed"))
    return {"penalty": reais(penalty(term, until - timedelta(days=remaining)))}


def _reversals(example: Example) -> Answer:
    if "payment" in example.given:
        money = payment(example.money("payment"), _noon(date(2026, 9, 10)))
        back = Reversal(
            1,
            ReversalKind.REFUND,
            money.id,
            "pix",
            "back-1",
            example.money("back"),
            "ops",
            "test",
            _noon(date(2026, 9, 20)),
        )
        try:
            refuse_excess(back, money, example.money("before"))
        except Refused:
            return {"allowed": "no"}
        return {"allowed": "yes"}
    payer = _Payer()
    ((amount, due),) = example.dated("invoices", "due")
    number = payer.issue(due, (Line("Plano", amount),))
    for sum_, day in example.dated("paid"):
        payer.pay(sum_, day, number)
    payer.charge_back(example.day("charged_back"))
    return payer.owed(number, example.day("asked"))


def _write_off(example: Example) -> Answer:
    payer = _Payer()
    ((amount, due),) = example.dated("invoices", "due")
    number = payer.issue(due, (Line("Plano", amount),))
    for sum_, day in example.dated("paid"):
        payer.pay(sum_, day, number)
    payer.write_off(number, example.day("written_off"))
    if "later" in example.given:
        payer.pay(example.money("later"), example.day("written_off") + ONE_DAY, number)
    assert payer.postings.get("receivable:1", 0) == 0, "no second receivable"
    return {
        "lost": reais(payer.postings[WRITE_OFF]),
        "recovered": reais(-payer.postings.get(REVENUE_RECOVERED, 0)),
    }


def _outage(example: Example) -> Answer:
    cycle = paid_cycle(example)
    begins = first_instant(cycle.start, ZONE).astimezone(ZONE)
    minutes = timedelta(minutes=int(example.given["minutes"]))
    outage = Outage(1, begins, begins + minutes)
    found = [x for x in _lines(example, _subscription(example, outages=(outage,))) if x < 0]
    return {"credit": reais(-sum(found))}


def _good_payer(example: Example) -> Answer:
    history = [
        PaidInvoice(due, due if timely else due + timedelta(days=20))
        for due, timely in monthly_from_january(example.given["invoices"].split())
    ]
    broken = [example.day("broken")] if "broken" in example.given else []
    needed = int(example.given.get("needed", "6"))
    begins = history[-1].due_on + timedelta(days=28)
    return {"rewarded": _yes(is_good_payer(history, broken, begins, BANKS, needed))}


_WHY = {
    Flaw.NEGATIVE: "negative",
    Flaw.ABOVE_BOUND: "absurd",
    Flaw.TWICE: "double",
    Flaw.TOO_MANY_LINES: "crowded",
}


def _bounds(example: Example) -> Answer:
    monthly = example.money("monthly")
    if "periods" in example.given:
        lines = []
        for text in example.items("periods"):
            first, last = (date.fromisoformat(day) for day in text.split(" to "))
            lines.append(Line("Plano", monthly, Kind.SCM, "internet", first, last + ONE_DAY))
    elif "lines" in example.given:
        lines = [Line("Taxa", 1, Kind.SCM, "internet")] * int(example.given["lines"])
    else:
        lines = [Line("Plano", example.money("total"), Kind.SCM, "internet")]
    by_hand = lines if example.given.get("operator") == "yes" else []
    found = flaws(lines, bool(by_hand), monthly, example.money("credit"), USUAL_TERMS)
    return {"parked": ", ".join(sorted(_WHY[flaw] for flaw in found)) or "no"}


ANSWERS: dict[str, Callable[[Example], Answer]] = {
    "Rounding and splitting": _rounding,
    "Bank days": _bank_days,
    "Due dates and cycles": _cycles,
    "First and last cycle": _first_and_last,
    "Plan change": _plan_change,
    "Change of the due day": _due_day_change,
    "Conditional discount": _discount,
    "Late charges": _late,
    "Allocation": _allocation,
    "Suspended days": _suspended,
    "Telecom service and value-added services": _composition,
    "Agreement": _agreement,
    "Broken agreement": _broken,
    "Minimum term": _minimum_term,
    "Reversals": _reversals,
    "Write-off": _write_off,
    "Outage": _outage,
    "Good payer": _good_payer,
    "Bounds": _bounds,
}
