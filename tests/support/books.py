"""An account and its ledger, driven by verbs."""

from collections import Counter
from collections.abc import Sequence

from billing.access import Level
from billing.account import clear_payment, draw_notice, issue_invoice, prove_notice, review
from billing.events import Fact
from billing.invoice import InvoiceState
from billing.payer import Account, Desk
from billing.policy import Policy
from tests.support.accounts import account, at, desk, invoice, payment, policy


class Books:
    """One account that owes 99.90 due on 2026-09-01; `balances` is what its entries add up to."""

    def __init__(self, rules: Policy | None = None) -> None:
        self.rules = rules or policy()
        self.balances: Counter[str] = Counter()
        self.account = account()
        self.keep(issue_invoice(self.account, invoice(), self.desk("2026-08-20 09:00")))

    def notice(self) -> None:
        """Drawn and proven on 2026-09-04."""
        self.keep(draw_notice(self.account, 1, self.desk("2026-09-04 00:00")))
        proven = at("2026-09-04 00:01")
        self.keep(prove_notice(self.account, 1, proven, self.desk("2026-09-04 00:01")))

    def wall(self) -> None:
        """The worked example of the ladder's policy text."""
        self.notice()
        self.review("2026-09-21 08:00")
        assert self.level() is Level.WALLED

    def desk(self, now: str) -> Desk:
        return desk(now, self.rules)

    def keep(self, done: tuple[Account, tuple[Fact, ...]]) -> Sequence[Fact]:
        self.account, facts = done
        for fact in facts:
            entry = getattr(fact, "entry", None)
            for posting in entry.postings if entry is not None else ():
                self.balances[posting.account] += posting.cents
        return facts

    def review(self, now: str) -> Level:
        self.keep(review(self.account, self.desk(now)))
        return self.level()

    def pay(self, cents: int, when: str, number: int) -> None:
        self.keep(clear_payment(self.account, payment(cents, when, number=number), self.desk(when)))

    def level(self) -> Level:
        return self.account.contracts[0].access.level

    def state(self, number: int) -> InvoiceState:
        (found,) = (item for item in self.account.invoices if item.id == number)
        return found.state
