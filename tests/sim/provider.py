"""The product with its rows in memory: as `api.review`, `api.guards` and `api.drip` do it.

What is decided is decided by `billing`: verdicts, quiet looks, cuts, guards. Here are only the rows
that the store would keep, and the order in which the shell asks.
"""

from bisect import bisect_right, insort
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

from billing.access import Level
from billing.account import (
    Account,
    Contract,
    Desk,
    Payment,
    Promise,
    clear_payment,
    draw_notice,
    issue_invoice,
    notice_due,
    prove_notice,
    review,
    take_promise,
    void_invoice,
)
from billing.calendar import ONE_DAY, day_start
from billing.correct import Correcting
from billing.cuts import Cut, Outcome, cut_ids, cut_of, is_hasty, last_look, plan_hash, undated
from billing.events import Fact
from billing.guard import (
    RELEASABLE,
    WINDOW,
    Limits,
    RefusedPlan,
    Sight,
    bars,
    blindness,
    held_by,
    knows_the_day,
    overtaken,
    plan_flaws,
    to_answer,
)
from billing.invoice import Invoice
from billing.ladder import Bar
from billing.payer import Correction, CorrectionKind
from billing.policy import Policy, document
from billing.quiet import Quiet, quiet
from tests.support.accounts import CALENDAR, RATES, ZONE

RELEASE_WITHIN = timedelta(hours=1)
HELD = (Bar.GUARD, Bar.STALE_FEED)

Looked = tuple[Account, tuple[Fact, ...]]


@dataclass(frozen=True, slots=True)
class Plan:
    """A refused plan with its rows."""

    waits: RefusedPlan
    cuts: tuple[Cut, ...]

    @property
    def hash(self) -> bytes:
        return plan_hash(self.cuts)


class Provider:
    """One contract for each payer, both of one number. `now` is what its clock says.

    `moved` is told of every change of a level, `drawn` of every notice, `refused` of every plan.
    """

    def __init__(self, contracts: int, policy: Policy, now: datetime, limits: Limits) -> None:
        self.now, self.limits, self.policy = now, limits, policy
        full = RATES.at(Level.FULL)
        self.accounts = [
            Account(n, 0, (Contract(n, policy.name, RATES, full, 1, "no_debt", now),))
            for n in range(contracts)
        ]
        self.moved: Callable[[int, Level, Level], None] = lambda *_: None
        self.drawn: Callable[[int, int, Iterable[int]], None] = lambda *_: None
        self.refused: Callable[[Plan], None] = lambda _: None
        self.feed_alive = True
        self.heard_at = self.seen_at = now
        self.plans: dict[int, Plan] = {}
        self.trusted = policy
        self.queue: deque[tuple[Cut, bool]] = deque()
        self.told: Counter[str] = Counter()
        self.running = contracts
        self._waiting: set[int] = set()
        self._held: set[int] = set()
        self._cuts: list[datetime] = []
        self._due: list[tuple[datetime, int]] = []
        self._numbers = 0

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    # What the guards see

    def sight(self) -> Sight:
        if self.feed_alive:
            self.heard_at = self.now
        now = self.now.astimezone(UTC)
        return Sight(
            now=self.now,
            heard_at={"pix": self.heard_at},
            seen_at=self.seen_at,
            clocks_apart=timedelta(0),
            primary=True,
            active=self.running,
            cuts_in_window=bisect_right(self._cuts, now) - bisect_right(self._cuts, now - WINDOW),
            plan_waits=any(plan.waits.stands() for plan in self.plans.values()),
        )

    def desk(self, standing: tuple[Bar, ...] | None = None) -> Desk:
        """Of a sweep or a last look, with what stands; else of whatever happens to one payer."""
        found = bars(self.sight(), self.limits) if standing is None else standing
        policies = {self.policy.name: self.policy}
        return Desk(policies, CALENDAR, self.now, bars=found, leaves_due=standing is None)

    # What happens to a payer

    def issue(self, number: int, invoice: Invoice) -> None:
        self._take(number, issue_invoice(self.accounts[number], invoice, self.desk()))

    def pay(self, number: int, payment: Payment) -> None:
        self._take(number, clear_payment(self.accounts[number], payment, self.desk()))

    def promise(self, number: int, promise: Promise) -> None:
        self._take(number, take_promise(self.accounts[number], promise, self.desk()))

    def void(self, number: int, invoice_id: int) -> None:
        change = Correction(
            self.number(), CorrectionKind.VOID, invoice_id, 0, "ops", "import", self.now
        )
        self._take(number, void_invoice(self.accounts[number], Correcting(change), self.desk()))

    def prove(self, number: int, notice_id: int) -> None:
        account = self.accounts[number]
        if any(notice.id == notice_id for notice in account.notices):
            self._take(number, prove_notice(account, notice_id, self.now, self.desk()))

    def fail(self, number: int, notice_id: int) -> None:
        """No channel delivered it."""
        account = self.accounts[number]
        notices = tuple(
            replace(item, failed_at=self.now) if item.id == notice_id else item
            for item in account.notices
        )
        self._take(number, review(replace(account, notices=notices), self.desk()))

    def end(self, number: int) -> None:
        """The contract ends, as its rescission said."""
        account = self.accounts[number]
        contract = replace(account.contracts[0], ended_on=self.now.date())
        self.running -= 1
        self._keep(number, replace(account, contracts=(contract,)))

    def put_policy(self, policy: Policy) -> None:
        """Another version rules from now: who owes is looked at again."""
        self.policy = policy
        for number, account in enumerate(self.accounts):
            if account.invoices and account.contracts[0].ended_on is None:
                self._look_at(number, self.now)

    # A sweep, from its beginning to its plan

    def sweep(self) -> None:
        sight = self.sight()
        blind = blindness(sight, self.limits)
        if knows_the_day(blind):
            self.seen_at = self.now
        over = {n for n, plan in self.plans.items() if plan.waits.is_over(self.now)}
        if not blind:
            for plan_id in overtaken([plan.waits for plan in self.plans.values()], self.now):
                del self.plans[plan_id]
            if over.issuperset(self.plans):
                self._look_again()
        if not knows_the_day(blind) and not over.issuperset(self.plans):
            return  # people are asked what day it is
        found = self._looks(self.desk(()), knows_the_day(blind))
        for plan_id in over:
            del self.plans[plan_id]
        self._plan(found)

    def _looks(self, desk: Desk, known: bool) -> list[Cut]:
        """Look at whoever is due; the cuts."""
        now, found = self.now.astimezone(UTC), list[Cut]()
        self._hasty = 0
        changed = document(self.policy) != document(self.trusted)
        trusted = {self.policy.name: self.trusted} if changed else {}
        said: dict[tuple[object, ...], Quiet | None] = {}
        due: set[int] = set()
        while self._due and self._due[0][0] <= now:
            at, number = heappop(self._due)
            review_on = self.accounts[number].contracts[0].review_on
            if review_on is not None and review_on.astimezone(UTC) == at:
                due.add(number)
        for number in sorted(due):
            if number in self._waiting:
                continue  # whoever makes the cut looks again
            before = self.accounts[number]
            if _is_quiet(before):
                key = tuple(sorted(item.due_on for item in before.invoices))
                if key not in said:
                    said[key] = quiet(key, self.policy, CALENDAR, self.now)
                if (look := said[key]) is not None:
                    if not known:
                        self._schedule(number)
                        continue
                    contract = before.contracts[0]
                    kept = replace(contract, reason=look.reason, review_on=look.review_on)
                    self._keep(number, replace(before, contracts=(kept,)))
                    continue
            after, facts = self._judge(before, desk, known)
            if number in cut_ids(before, after):
                found.append(cut_of(before.contracts[0], facts))
                self._hasty += is_hasty(before, found[-1], desk, trusted)
                after = replace(after, contracts=before.contracts)
                self.accounts[number] = after
            elif known or undated(facts):
                self._take(number, (after, facts))
            else:
                self._schedule(number)
        return found

    def _judge(self, account: Account, desk: Desk, known: bool) -> Looked:
        if known and (listed := notice_due(account, desk)):
            notice_id = self.number()
            self.drawn(account.subscriber_id, notice_id, listed)
            return draw_notice(account, notice_id, desk)
        return review(account, desk)

    def _plan(self, cuts: list[Cut]) -> None:
        sight, waiting = self.sight(), len(self.queue)
        found = plan_flaws(len(cuts), waiting, sight, self.limits, hasty=self._hasty)
        flaws = to_answer(len(cuts), len(self.plans), found, blindness(sight, self.limits))
        if not flaws:
            self.queue += [(cut, False) for cut in cuts]
            self._waiting.update(cut.contract_id for cut in cuts)
            return
        plan_id = self.number()
        waits = RefusedPlan(plan_id, self.now, self.now + RELEASE_WITHIN, frozenset(flaws))
        plan = self.plans[plan_id] = Plan(waits, tuple(cuts))
        tomorrow = day_start(self.now.date() + ONE_DAY, ZONE)
        for cut in cuts:
            self._hold(cut.contract_id, held_by(flaws), tomorrow)
        self.refused(plan)

    def release(self, plan_id: int, given: bytes) -> bool:
        """Two people say that a refused plan is right; whether it could be released."""
        plan = self.plans.get(plan_id)
        blind = blindness(self.sight(), self.limits)
        if plan is None or plan.waits.is_over(self.now) or given != plan.hash:
            return False
        if not RELEASABLE.issuperset(blind):
            return False
        if not knows_the_day(blind):
            self.seen_at = self.now
        del self.plans[plan_id]
        self.trusted = self.policy
        self.queue += [(cut, True) for cut in plan.cuts]
        self._waiting.update(cut.contract_id for cut in plan.cuts)
        return True

    def drip(self) -> None:
        """Make the next planned cut, if there still is one to make."""
        cut, released = self.queue.popleft()
        number = cut.contract_id
        self._waiting.discard(number)
        sight = self.sight()
        desk = self.desk(bars(sight, self.limits, released=released))
        before = self.accounts[number]
        after, facts = self._judge(before, desk, knows_the_day(blindness(sight, self.limits)))
        last = last_look(before, after, facts, cut, released=released)
        self.told[f"planned: {last.outcome}"] += 1
        if last.outcome is Outcome.CHANGED:
            self._look_at(number, self.now)
        else:
            self._take(number, (after, facts))

    # Rows

    def _take(self, number: int, looked: Looked) -> None:
        before, (after, _) = self.accounts[number].contracts[0], looked
        self._keep(number, after)
        old, new = before.access.level, after.contracts[0].access.level
        if old is not new:
            if new.severity > old.severity:
                insort(self._cuts, self.now.astimezone(UTC))
            self.moved(number, old, new)

    def _keep(self, number: int, account: Account) -> None:
        """What the store would load again: what is owed, and what was told of it."""
        open_ = tuple(item for item in account.invoices if item.unpaid_cents)
        ids = {item.id for item in open_}
        notices = tuple(item for item in account.notices if ids.intersection(item.amounts_cents))
        self.accounts[number] = replace(
            account, invoices=open_, notices=notices, promises=account.promises[-1:]
        )
        self._schedule(number)

    def _schedule(self, number: int) -> None:
        contract = self.accounts[number].contracts[0]
        if contract.reason in HELD and contract.ended_on is None:
            self._held.add(number)
        else:
            self._held.discard(number)
        if contract.review_on is not None:
            heappush(self._due, (contract.review_on.astimezone(UTC), number))

    def _look_at(self, number: int, at: datetime) -> None:
        account = self.accounts[number]
        contract = replace(account.contracts[0], review_on=at)
        self.accounts[number] = replace(account, contracts=(contract,))
        self._schedule(number)

    def _hold(self, number: int, bar: Bar, until: datetime) -> None:
        account = self.accounts[number]
        contract = replace(account.contracts[0], reason=bar.value, review_on=until)
        self.accounts[number] = replace(account, contracts=(contract,))
        self._schedule(number)

    def _look_again(self) -> None:
        """Whom a guard held back is due now."""
        for number in sorted(self._held):
            self._look_at(number, self.now)


def _is_quiet(account: Account) -> bool:
    """What `api.store.review_rows` selects as quiet."""
    (contract,) = account.contracts
    return (
        contract.ended_on is None
        and contract.access.level is Level.FULL
        and not (contract.rungs or account.notices)
        and not any(promise.settled_at is None for promise in account.promises)
    )
