"""One payer's books, kept from facts alone beside the account: the money laws read them."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import date, datetime, timedelta

from billing.account import Account, Payment, Refused, Reversal, ReversalKind
from billing.agreement import AgreementState, Offer, Paid, Proposal
from billing.correct import Correcting, add_note, void_invoice, write_off_invoice
from billing.events import (
    AgreementAccepted,
    AgreementBroken,
    CreditUsed,
    Fact,
    InvoiceCorrected,
    InvoiceIssued,
    PaymentAssigned,
    PaymentPosted,
    PaymentReversed,
)
from billing.invoice import Allocation, Invoice, InvoiceState, Line, Share
from billing.ledger import (
    REVENUE_FINE,
    REVENUE_INTEREST,
    REVENUE_RECOVERED,
    WRITE_OFF,
    cash,
    credit,
)
from billing.payer import Correction, CorrectionKind, Desk
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
from billing.reverse import Reversing, reverse_payment
from billing.same_day import reverse_within_day
from billing.settle import clear_payment, issue_invoice
from tests.support.accounts import ZONE, payment
from tests.support.payer_day import Dawn

Outcome = tuple[Account, Sequence[Fact]]
_NOTES = {CorrectionKind.CREDIT_NOTE, CorrectionKind.DEBIT_NOTE}


@dataclass(slots=True)
class Books:
    """What came in, what went back, and every fact's postings and shares.

    `asked` holds the keys of payments and reversals that were posted: the store has them unique.
    """

    account: Account
    ledger: Counter[str] = field(default_factory=Counter)
    invoices: dict[int, Invoice] = field(default_factory=dict)
    payments: dict[int, Payment] = field(default_factory=dict)
    returned: Counter[int] = field(default_factory=Counter)
    asked: set[tuple[str, str]] = field(default_factory=set)
    shares: defaultdict[tuple[int | None, int], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0, 0, 0])
    )
    credit_cents: int = 0
    numbers: int = 0
    agreed_charges: int = 0
    archived_cents: int = 0
    archived_charges: int = 0
    told: Counter[str] = field(default_factory=Counter)
    credit_on: dict[int, date] = field(default_factory=dict)
    dawn: Dawn | None = None

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def issue(self, bill: Invoice, desk: Desk) -> None:
        self.take(issue_invoice(self.account, bill, desk))

    def pay(
        self, cents: int, paid_at: datetime, desk: Desk, named: int | None = None, key: str = ""
    ) -> Payment | None:
        """Post a payment unless its key was posted before."""
        number = self.number()
        money = payment(cents, paid_at, named, number, key)
        name = ("payment", money.external_id)
        if name in self.asked:
            return None
        self.begin(desk)
        self.take(clear_payment(self.account, money, desk))
        self.asked.add(name)
        self.payments[number] = money
        return money

    def reverse(
        self, kind: ReversalKind, money: Payment, cents: int, desk: Desk, key: str = ""
    ) -> None:
        """Send money of a payment back unless the key was posted before."""
        number = self.number()
        name = ("reversal", key or f"back-{number}")
        if name in self.asked:
            return
        back = Reversal(number, kind, money.id, "pix", name[1], cents, "ops", "test", desk.now)
        asked = Reversing(back, money, self.returned[money.id], tuple(self.standing()))
        dawn = self.begin(desk)
        if kind is ReversalKind.REFUND:
            self.take(reverse_payment(self.account, asked, desk))
        else:
            self.take(reverse_within_day(self.account, asked, dawn.day(), desk))
        self.asked.add(name)
        self.returned[money.id] += cents

    def correct(self, kind: CorrectionKind, invoice_id: int, cents: int, desk: Desk) -> None:
        """A note, a void or a write-off."""
        change = Correction(self.number(), kind, invoice_id, cents, "ops", "test", desk.now)
        asked = Correcting(change, tuple(self.standing(invoice_id)))
        if kind in _NOTES:
            self.take(add_note(self.account, asked, desk))
        elif kind is CorrectionKind.VOID:
            self.take(void_invoice(self.account, asked, desk))
        else:
            self.take(write_off_invoice(self.account, asked, desk))

    def agree(self, contract_id: int, proposal: Proposal, desk: Desk) -> None:
        """Offer an agreement on what is past due, approve it where needed, and sign it."""
        number = self.number()
        offer = Offer(number, contract_id, "ops", desk.now.date(), proposal)
        self.take(offer_agreement(self.account, offer, desk))
        (agreement,) = (item for item in self.account.agreements if item.id == number)
        if agreement.state is AgreementState.AWAITING_APPROVAL:
            self.take(approve_agreement(self.account, Approval(number, "second"), desk))
        parts = tuple(self.number() for _ in agreement.simulation.parts)
        old = tuple(self.number() for _ in agreement.simulation.owed)
        self.take(accept_agreement(self.account, Acceptance(number, "ops", parts, old), desk))

    def break_due(self, desk: Desk) -> int:
        """Break every agreement that is due to be; how many."""
        due = due_to_break(self.account, desk)
        for agreement in due:
            got = [
                Paid(share, self._paid_on(share))
                for number in agreement.invoice_ids
                for share in self.standing(number)
            ]
            numbers = tuple(
                self.number() for _ in [*agreement.invoice_ids, *agreement.old_invoice_ids]
            )
            breach = Breach(agreement.id, "review", tuple(got), numbers)
            self.take(break_agreement(self.account, breach, desk))
        return len(due)

    def _paid_on(self, share: Share) -> date:
        if share.payment_id is None:
            return self.credit_on[share.allocation.invoice_id]
        return self.payments[share.payment_id].paid_at.astimezone(ZONE).date()

    def standing(self, invoice_id: int | None = None) -> list[Share]:
        """What of each payment and of credit stands on invoices."""
        return [
            Share(paid, Allocation(number, *parts))
            for (paid, number), parts in self.shares.items()
            if any(parts) and invoice_id in (None, number)
        ]

    def take(self, outcome: Outcome) -> Sequence[Fact]:
        """Keep an outcome's account and write its facts into the books."""
        self.account, facts = outcome
        for fact in facts:
            self.told[type(fact).__name__] += 1
            self._write(fact)
        if self.dawn is not None and not self.dawn.see(facts, self.payments):
            self.dawn = None
        return facts

    def begin(self, desk: Desk) -> Dawn:
        """What this day began with, as far as it can still be undone."""
        if self.dawn is None or self.dawn.on != desk.now.date():
            self.dawn = Dawn(desk.now.date(), self.account, tuple(self.standing()))
        return self.dawn

    def _write(self, fact: Fact) -> None:
        match fact:
            case InvoiceIssued(invoice=bill):
                self.invoices[bill.id] = bill
            case PaymentPosted() | PaymentAssigned():
                for part in fact.allocations:
                    self._share(fact.payment.id, part, 1)
                self.credit_cents += fact.credit_cents
                self._keep(fact.invoices)
                given = sum(part.total_cents for part in fact.allocations)
                assert given + fact.credit_cents == fact.payment.amount_cents, "M6"
            case CreditUsed(allocation=part):
                self._share(None, part, 1)
                self.credit_on[part.invoice_id] = fact.entry.at.astimezone(ZONE).date()
                self.credit_cents -= part.total_cents
                self._keep([fact.invoice])
            case PaymentReversed():
                for share in fact.taken:
                    self._share(share.payment_id, share.allocation, -1)
                self.credit_cents -= fact.credit_cents
                self._keep(fact.invoices)
                taken = sum(share.allocation.total_cents for share in fact.taken)
                assert taken + fact.credit_cents == fact.reversal.amount_cents, "M12"
            case InvoiceCorrected():
                for share in fact.taken:
                    self._share(share.payment_id, share.allocation, -1)
                if fact.given is not None:
                    self._share(None, fact.given, 1)
                self.credit_cents += fact.credit_cents
                self._keep([fact.invoice])
            case AgreementAccepted() | AgreementBroken():
                for line in fact.entry.postings if fact.entry is not None else ():
                    if line.account in (REVENUE_FINE, REVENUE_INTEREST):
                        self.agreed_charges -= line.cents
            case _:
                return
        lines = fact.entry.postings if fact.entry is not None else ()
        assert sum(line.cents for line in lines) == 0, "M1"
        assert all(type(line.cents) is int and line.cents for line in lines), "M8"
        for line in lines:
            self.ledger[line.account] += line.cents

    def archive(self, before: date) -> None:
        """Lay away what was settled long ago, as the store does that loads what is open."""
        held = {
            number
            for agreement in self.account.agreements
            for number in (*agreement.invoice_ids, *agreement.old_invoice_ids)
        }
        gone = {
            number
            for number, bill in self.invoices.items()
            if bill.state is InvoiceState.PAID and bill.due_on < before and number not in held
        }
        if not gone:
            return
        left = tuple(bill for bill in self.account.invoices if bill.id not in gone)
        self.account = replace(self.account, invoices=left)
        for key in [key for key in self.shares if key[1] in gone]:
            parts = self.shares.pop(key)
            self.archived_cents += sum(parts[:3])
            self.archived_charges += sum(parts[:2])
        for number in gone:
            del self.invoices[number]

    def _share(self, payment_id: int | None, part: Allocation, sign: int) -> None:
        _, *cents = astuple(part)
        held = self.shares[payment_id, part.invoice_id]
        for place, amount in enumerate(cents):
            held[place] += sign * amount

    def _keep(self, changed: Sequence[Invoice]) -> None:
        self.invoices |= {bill.id: bill for bill in changed}

    def check(self) -> None:
        """M1, M3, M6, M7, M8 and M12, by sums over what came in and what went back."""
        received = sum(money.amount_cents for money in self.payments.values())
        back = sum(self.returned.values())
        assert sum(self.ledger.values()) == 0, "M1"
        assert self.ledger[cash("pix")] == received - back, "M3"
        for number, money in self.payments.items():
            assert 0 <= self.returned[number] <= money.amount_cents, "M12"
        held = Counter(dict.fromkeys(self.payments, 0))
        gave_back: set[int] = set()
        on = {number: [0, 0, 0, 0] for number in self.invoices}
        for (paid, number), parts in self.shares.items():
            if paid is not None:
                held[paid] += sum(parts[:3])
                # Earning a discount gives back, through this payment, what lateness had cost.
                if min(parts) < 0:
                    gave_back.add(paid)
            on[number] = [a + b for a, b in zip(on[number], parts, strict=True)]
        for number, money in self.payments.items():
            assert held[number] <= money.amount_cents, "M6"
            assert held[number] >= 0 or number in gave_back, "M6"
        for bill in self.invoices.values():
            charges = [bill.interest_paid_cents, bill.fine_paid_cents]
            assert on[bill.id] == [*charges, bill.paid_cents, bill.discount_cents], "M6"
            assert 0 <= bill.paid_cents <= bill.amount_cents, "M6"
            assert bill.rest_cents >= 0, "M6"
            settled = bill.state is InvoiceState.OPEN and bill.amount_cents and not bill.rest_cents
            # Late charges alone may have gone back (ADR 20).
            assert not settled or bill.late_before, "an open invoice owes something"
        known = {bill.id: bill for bill in self.account.invoices}
        assert known == {number: self.invoices[number] for number in known}, "M7"
        assert self.account.credit_cents == self.credit_cents >= 0, "M7"
        name = credit(self.account.subscriber_id)
        assert self.ledger[name] == -self.credit_cents, "M7"
        for contract in self.account.contracts:
            owed = sum(
                bill.unpaid_cents
                for bill in self.invoices.values()
                if bill.contract_id == contract.id
            )
            assert self.ledger[f"receivable:{contract.id}"] == owed, "M7"
        # Every cent that came and stayed is a charge, principal, recovered or credit.
        taken = sum(sum(parts[:3]) for parts in self.shares.values())
        taken += self.archived_cents
        assert received - back == taken + self.credit_cents, "money in is money posted"
        earned = -self.ledger[REVENUE_FINE] - self.ledger[REVENUE_INTEREST]
        earned -= self.agreed_charges + self.archived_charges
        assert earned == sum(sum(parts[:2]) for parts in on.values()), "M7"
        given_up = sum(
            bill.rest_cents
            for bill in self.invoices.values()
            if bill.state is InvoiceState.WRITTEN_OFF
        )
        assert self.ledger[WRITE_OFF] + self.ledger[REVENUE_RECOVERED] == given_up, "rule 13"

    def open_invoices(self) -> list[Invoice]:
        """The invoices that owe something, oldest due date first."""
        owing = [bill for bill in self.account.invoices if bill.unpaid_cents > 0]
        return sorted(owing, key=lambda bill: (bill.due_on, bill.id))


def bill_of(number: int, contract_id: int, now: datetime, days: int, *lines: Line) -> Invoice:
    """An invoice issued now and due in so many days."""
    return Invoice(number, contract_id, now.date() + timedelta(days=days), now, lines)


__all__ = ["Books", "Refused", "bill_of"]
