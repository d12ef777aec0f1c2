"""A case of docs/ladder-cases.md lived by the product: its verbs, and a look when it asks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta

from billing.account import (
    clear_payment,
    draw_notice,
    issue_invoice,
    notice_due,
    place_hold,
    prove_notice,
    review,
    take_promise,
)
from billing.agreement import Offer, Proposal
from billing.calendar import Calendar
from billing.contest import Answer, Opening, answer_dispute, due_to_lapse, open_dispute
from billing.dispute import DisputeState
from billing.events import AccessDecided, Fact, Reviewed, StageEntered, StageLeft
from billing.invoice import Invoice, Line
from billing.ladder import Bar
from billing.pause import Pause
from billing.payer import Account, Contract, Desk, Hold, Promise, Refused
from billing.policy import Policy, parse
from billing.renegotiation import (
    Acceptance,
    Breach,
    accept_agreement,
    break_agreement,
    due_to_break,
    offer_agreement,
)
from billing.stage import Stage
from billing.suspension import suspend
from tests.support.accounts import CALENDAR, ZONE, account, payment
from tests.support.ladder_cases import Case, Happening, Rules, cents, happenings

_NEXT_DAY = timedelta(days=1)


def policy_of(rules: Rules) -> Policy:
    """The page's policy as a document; without late charges, which are the money rules' matter."""
    opens, closes = rules.numbers["window"].split("-")
    document = {
        "law": rules.numbers["law"],
        "steps": [
            {"level": stage, "anchor": anchor, "after_days": days}
            for stage, anchor, days in rules.steps
        ],
        "notice_after_days": rules.notice_after_days,
        "notice_days": rules.notice_days,
        "min_debt_cents": rules.number("minimum_cents"),
        "float_bank_days": rules.number("float"),
        "promise_days": rules.number("promise_days"),
        "promise_every_days": rules.number("promise_every"),
        "promise_level": rules.numbers["promise_level"],
        "cut_from": opens,
        "cut_until": closes,
        "scope": rules.numbers["scope"],
        "restore_on": rules.numbers["restore_on"],
        "fine_basis_points": 0,
        "interest_month_basis_points": 0,
    }
    return parse("anatel-765", 1, document)


@dataclass
class _Life:
    rules: Policy
    calendar: Calendar
    account: Account = field(default_factory=lambda: account(0))
    delivery_days: int | None = 0
    proofs: list[tuple[datetime, int]] = field(default_factory=list)
    bars: dict[Bar, datetime] = field(default_factory=dict)
    # Who lifts a bar has the contracts looked at.
    wakes: list[datetime] = field(default_factory=list)
    ends: dict[int, date] = field(default_factory=dict)
    ids: int = 100
    told: list[str] = field(default_factory=list)
    shown: dict[int, str] = field(default_factory=dict)

    def desk(self, at: datetime) -> Desk:
        bars = tuple(bar for bar, until in self.bars.items() if at < until)
        return Desk({self.rules.name: self.rules}, self.calendar, at, bars=bars)

    def draw(self) -> int:
        self.ids += 1
        return self.ids

    def tell(self, at: datetime, words: str) -> None:
        midnight = at.time() == time()
        self.told.append(f"{at:%Y-%m-%d} {words}" if midnight else f"{at:%Y-%m-%d %H:%M} {words}")

    def keep(self, done: tuple[Account, Sequence[Fact]], at: datetime) -> None:
        self.account, facts = done
        over = {contract.id for contract in self.account.contracts if contract.ended_on}
        for fact in facts:
            if not isinstance(fact, StageEntered) or fact.contract_id in over:
                continue
            if fact.stage is Stage.RESCIND:
                self.ends.setdefault(fact.contract_id, at.date() + _NEXT_DAY)
        for fact in facts:
            if isinstance(fact, StageLeft) and fact.stage is Stage.RESCIND:
                self.ends.pop(fact.contract_id, None)
        for fact in facts:
            if isinstance(fact, AccessDecided | Reviewed):
                verdict = fact.verdict
                assert sum(verdict.amounts_cents) == verdict.counted_cents
                assert len(verdict.amounts_cents) == len(verdict.invoice_ids)

    def show(self, at: datetime) -> None:
        several = len(self.account.contracts) > 1
        for contract in self.account.contracts:
            word = _word(contract)
            if word != self.shown.get(contract.id, "full"):
                self.tell(at, f"contract {contract.id} {word}" if several else word)
            self.shown[contract.id] = word

    def next_at(self) -> datetime | None:
        coming = [c.review_on for c in self.account.contracts if c.review_on is not None]
        coming += [at for at, _ in self.proofs]
        coming += self.wakes
        coming += [datetime.combine(day, time(), ZONE) for day in self.ends.values()]
        return min(coming, key=lambda at: at.astimezone(UTC), default=None)

    def look(self, at: datetime) -> None:
        self.wakes = [wake for wake in self.wakes if wake > at]
        for proven_at, notice_id in [item for item in self.proofs if item[0] <= at]:
            self.proofs.remove((proven_at, notice_id))
            self.keep(prove_notice(self.account, notice_id, proven_at, self.desk(at)), at)
        for contract_id in [number for number, day in self.ends.items() if day <= at.date()]:
            self._finish(contract_id, at)
        for lapsed in due_to_lapse(self.account, self.desk(at)):
            numbers = (self.draw(), self.draw(), self.draw())
            said = Answer(lapsed.id, DisputeState.UNANSWERED, "-", "-", None, (), numbers)
            self.keep(answer_dispute(self.account, said, self.desk(at)), at)
        for agreement in due_to_break(self.account, self.desk(at)):
            old = tuple(self.draw() for _ in range(10))
            breach = Breach(agreement.id, "ana", (), old)
            self.keep(break_agreement(self.account, breach, self.desk(at)), at)
        listed = notice_due(self.account, self.desk(at))
        if listed:
            notice_id = self.draw()
            self.keep(draw_notice(self.account, notice_id, self.desk(at)), at)
            self.tell(at, "notice " + ", ".join(map(str, listed)))
            if self.delivery_days is not None:
                self.proofs.append((at + timedelta(days=self.delivery_days), notice_id))
                self.look(at)
                return
        self.keep(review(self.account, self.desk(at)), at)

    def _finish(self, contract_id: int, at: datetime) -> None:
        day = self.ends.pop(contract_id)
        self.account = replace(
            self.account,
            contracts=tuple(
                replace(item, ended_on=day) if item.id == contract_id else item
                for item in self.account.contracts
            ),
        )
        several = len(self.account.contracts) > 1
        self.tell(at, f"contract {contract_id} ended" if several else "ended")

    def happen(self, one: Happening) -> None:
        getattr(self, f"_{one.what}")(one.instant().replace(tzinfo=ZONE), *one.words)

    def _invoice(
        self, at: datetime, number: str, amount: str, _due: str, day: str, *of: str
    ) -> None:
        contract_id = int(of[1]) if of else 1
        if contract_id not in {item.id for item in self.account.contracts}:
            new = account(contract_id).contracts[-1]
            self.account = replace(self.account, contracts=(*self.account.contracts, new))
        lines = (Line("Plano", cents(amount)),)
        made = Invoice(int(number), contract_id, date.fromisoformat(day), at, lines)
        self.keep(issue_invoice(self.account, made, self.desk(at)), at)

    def _paid(self, at: datetime, number: str, amount: str) -> None:
        money = payment(cents(amount), at, int(number), number=self.draw())
        self.keep(clear_payment(self.account, money, self.desk(at)), at)

    def _delivery(self, _at: datetime, days: str) -> None:
        self.delivery_days = None if days == "never" else int(days)

    def _promise(self, at: datetime, _until: str, day: str) -> None:
        asked = Promise(self.draw(), 1, at, date.fromisoformat(day), "ana", ())
        try:
            self.keep(take_promise(self.account, asked, self.desk(at)), at)
        except Refused:
            self.tell(at, "promise refused")

    def _hold(self, at: datetime, _until: str, *when: str) -> None:
        until = datetime.fromisoformat(" ".join(when)).replace(tzinfo=ZONE)
        for contract in self.account.contracts:
            held = Hold(self.draw(), contract.id, "ana", "illness", at, until)
            self.keep(place_hold(self.account, held, self.desk(at)), at)

    def _bar(self, _at: datetime, name: str, _until: str = "", *when: str) -> None:
        lifted = datetime.fromisoformat(" ".join(when)) if when else datetime.max  # noqa: DTZ901
        self.bars[Bar(name)] = lifted.replace(tzinfo=ZONE)
        if when:
            self.wakes.append(self.bars[Bar(name)])

    def _disputed(self, at: datetime, number: str, amount: str = "") -> None:
        part = cents(amount) if amount else None
        numbers = (self.draw(), self.draw())
        asked = Opening(1, int(number), part, "not mine", "ana", None, self.draw(), numbers)
        self.keep(open_dispute(self.account, asked, self.desk(at)), at)

    def _rejected(self, at: datetime) -> None:
        self._answer(at, DisputeState.REJECTED)

    def _accepted(self, at: datetime) -> None:
        self._answer(at, DisputeState.ACCEPTED)

    def _answer(self, at: datetime, state: DisputeState) -> None:
        numbers = (self.draw(), self.draw(), self.draw())
        said = Answer(1, state, "as the contract says", "rui", None, (), numbers)
        self.keep(answer_dispute(self.account, said, self.desk(at)), at)

    def _pause(self, at: datetime, _until: str, day: str) -> None:
        asked = Pause(self.draw(), 1, at, "ana", at.date(), date.fromisoformat(day))
        self.keep(suspend(self.account, asked, self.desk(at)), at)

    def _ended(self, at: datetime) -> None:
        self.ends[1] = at.date()

    def _agreement(self, at: datetime, number: str, _due: str, day: str) -> None:
        due = date.fromisoformat(day)
        asked = Offer(1, 1, "ana", at.date() + _NEXT_DAY, Proposal(1, due.day))
        self.keep(offer_agreement(self.account, asked, self.desk(at)), at)
        (offer,) = self.account.agreements
        old = tuple(self.draw() for _ in offer.simulation.owed)
        signed = Acceptance(1, "ana", (int(number),), old)
        self.keep(accept_agreement(self.account, signed, self.desk(at)), at)
        assert [i.due_on for i in self.account.invoices if i.id == int(number)] == [due]

    def _end(self, _at: datetime) -> None:
        pass


def _word(contract: Contract) -> str:
    if contract.reason == "paused":
        return "paused"
    level = contract.access.level
    top = contract.rungs[-1].stage if contract.rungs else None
    # Nobody uses an ended contract's access any more: its stage is all there is to it.
    if top is not None and (contract.ended_on is not None or top.level is level):
        return top.value
    return level.value if contract.ended_on is None else "full"


def lived(case: Case, rules: Rules) -> tuple[str, ...]:
    """What happens under a case's facts, as the page writes it."""
    life = _Life(
        policy_of(rules),
        replace(CALENDAR, holidays=CALENDAR.holidays.union(case.holidays)),
    )
    for one in happenings(case):
        at = one.instant().replace(tzinfo=ZONE)
        _until(life, at)
        life.happen(one)
        life.look(at)
        life.show(at)
    return tuple(life.told)


def _until(life: _Life, at: datetime) -> None:
    """Everything that the product asks to be looked at before an instant."""
    looks = 0
    while (due := life.next_at()) is not None and due < at:
        looks += 1
        assert looks < 1_000, "a look asks for itself again"
        life.look(due)
        life.show(due)
