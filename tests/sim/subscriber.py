"""One subscriber's random life on the whole core, and what the policy text says of it."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from heapq import heappop, heappush
from random import Random

from billing.access import Level
from billing.account import Promise, ReversalKind, draw_notice, prove_notice, review, take_promise
from billing.agreement import Proposal
from billing.bounds import Flaw
from billing.calendar import ONE_DAY
from billing.cycle import change_due_day, issue_on, next_due
from billing.invoice import Invoice, Line, amount_due
from billing.pause import Pause
from billing.payer import Desk
from billing.policy import Policy
from billing.promise import PromiseRefused
from billing.recurring import correction, propose
from billing.standing import notice_due
from billing.subscription import Discount, Extra, Subscription, Suspension
from billing.suspension import resume, suspend
from billing.tariff import TariffPeriod, plain
from billing.terms import USUAL_TERMS
from tests.sim.judge import Broken, judge_cut, reckon
from tests.support.accounts import CALENDAR, ZONE, account
from tests.support.money_oracle.life import DueDayChanged, Ended, Event, Life, PlanChanged
from tests.support.money_oracle.lines import suspended_days
from tests.support.payer_books import Books, Outcome, Refused
from tests.support.subscriptions import subscription

PRICES = (79_90, 99_90, 149_95, 199_99)
DUE_DAYS = (1, 5, 10, 15, 20, 25, 29, 30, 31)
HABITS = (-6, -3, -1, 0, 0, 0, 1, 3, 9, 25, 45, None)


class Subscriber:
    """A contract, its payer, and the calendar of what will happen to it."""

    def __init__(self, number: int, random: Random, policy: Policy, start: date) -> None:
        self.number, self._random, self._policy = number, random, policy
        self.began = start + timedelta(days=random.randrange(400))
        self.due_day = random.choice(DUE_DAYS)
        self.price = random.choice(PRICES)
        self.pays_after: int | None = random.choice(HABITS)
        offers = (
            (Discount("em dia", date(2000, 1, 1), basis_points=1_000, conditional=True),)
            if random.random() < 0.3
            else ()
        )
        self.bill: Subscription = subscription(
            self.began.isoformat(), self.due_day, self.price, discounts=offers
        )
        self.books = Books(account())
        self.told: Counter[str] = Counter()
        self.came_in = self.went_back = 0
        self.events: list[Event] = []
        self.cuts: list[tuple[datetime, datetime]] = []
        self._cut_at: datetime | None = None
        self._counted_to = self.began
        self._suspensions: list[Suspension] = []
        self._lines: list[Line] = []
        self._queue: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._order = 0
        self._ended = False
        self._at(self.began, 9, self._issue)

    @property
    def wakes_on(self) -> date:
        """The next day on which something happens."""
        days = [self._queue[0][0].astimezone(ZONE).date()] if self._queue else [date.max]
        review_on = self.books.account.contracts[0].review_on
        if review_on is not None:
            days.append(review_on.astimezone(ZONE).date())
        return min(days)

    def live(self, day: date) -> None:
        """Everything of one local day, in the order of its instants."""
        end = datetime.combine(day + ONE_DAY, time(0), ZONE).astimezone(UTC)
        for _ in range(200):
            review_on = self.books.account.contracts[0].review_on
            queued = self._queue[0][0] if self._queue else None
            soonest = min(
                (at for at in (review_on and review_on.astimezone(UTC), queued) if at),
                default=end,
            )
            if soonest >= end:
                return
            if queued is not None and queued <= soonest:
                at, _, verb = heappop(self._queue)
                verb(at.astimezone(ZONE))
            else:
                first = datetime.combine(day, time(0), ZONE).astimezone(UTC)
                self._review(max(soonest, first).astimezone(ZONE))
        raise Broken("the day does not end: a review asks for another at once")

    def _at(self, day: date, hour: int, verb: Callable[[datetime], None]) -> None:
        self._order += 1
        at = datetime.combine(day, time(hour), ZONE).astimezone(UTC)
        heappush(self._queue, (at, self._order, verb))

    def _desk(self, now: datetime) -> Desk:
        return Desk({self._policy.name: self._policy}, CALENDAR, now)

    def _level(self) -> Level:
        return self.books.account.contracts[0].access.level

    def _take(self, outcome: Outcome, now: datetime) -> None:
        before = self._level()
        self.books.take(outcome)
        self._see(before, now)

    def _see(self, before: Level, now: datetime) -> None:
        """What an event did to the access: counted, judged, and kept for the reckoning."""
        after = self._level()
        if after is before:
            return
        out = {Level.WALLED, Level.BLOCKED}
        if after.severity > before.severity:
            self.told["cuts"] += 1
            if not self._paused(now):
                judge_cut(self.books, now)
        else:
            self.told["restores"] += 1
        if after in out and before not in out:
            self._cut_at = now
        if before in out and after not in out:
            assert self._cut_at is not None
            self.cuts.append((self._cut_at, now))
            self._cut_at = None

    # Issue and money

    def _issue(self, now: datetime) -> None:
        """The recurring run of the day; then what the coming month will bring."""
        if self._ended:
            return
        due_on = next_due(self.bill.billed_until, self.bill.due_days)
        if issue_on(due_on, 10) > now.date():
            self._at(issue_on(due_on, 10), 6, self._issue)
            return
        self._bill(due_on, now)
        self.books.archive(now.date() - timedelta(days=400))
        self._at(now.date() + ONE_DAY, 6, self._issue)
        self._plan_month(now.date())

    def _bill(self, due_on: date, now: datetime) -> None:
        self._look_at_days(now.date())
        self.bill = replace(self.bill, suspensions=tuple(self._suspensions))
        proposal = propose(self.bill, due_on, USUAL_TERMS)
        # A final invoice that gives money back is parked for a person (rule 16).
        given_back = self._ended and proposal.flaws == (Flaw.NEGATIVE,)
        self.told["given back at the end"] += given_back
        assert given_back or not proposal.flaws, f"parked: {proposal.flaws} {proposal.lines}"
        before = self._level()
        self._lines += proposal.lines
        number = self.books.number()
        if proposal.amount_cents > 0:
            new = Invoice(number, 1, max(due_on, now.date()), now, proposal.lines)
            self.books.issue(new, self._desk(now))
            self._see(before, now)
            self._plan_payment(new, now.date())
        else:
            self.told["nothing to issue"] += 1
            left = -proposal.amount_cents
            extras = [Line("saldo", -left)] if left else []
            self.bill = replace(
                self.bill,
                extras=tuple(
                    Extra(self.books.number(), line, due_on, by_hand=False) for line in extras
                ),
            )
            self._lines += [Line("saldo", left)] if left else []
            self._advance(proposal.billed_until, proposal.credited_until, keep=True)
            return
        self._advance(proposal.billed_until, proposal.credited_until, keep=False)

    def _advance(self, billed_until: date, credited_until: date, *, keep: bool) -> None:
        self.bill = replace(
            self.bill,
            billed_until=billed_until,
            credited_until=credited_until,
            extras=self.bill.extras if keep else (),
        )

    def _look_at_days(self, until: date) -> None:
        """The days that count as suspended, by the judge's reading of their first instants."""
        days = [self._counted_to + n * ONE_DAY for n in range((until - self._counted_to).days)]
        cuts = list(self.cuts)
        if self._cut_at is not None:
            cuts.append((self._cut_at, datetime.combine(until + ONE_DAY, time(0), ZONE)))
        for day in suspended_days(days, cuts, ZONE):
            last = self._suspensions[-1] if self._suspensions else None
            if last is not None and last.until_on == day:
                self._suspensions[-1] = replace(last, until_on=day + ONE_DAY)
            else:
                self._suspensions.append(Suspension(day, day + ONE_DAY, Level.WALLED))
        self._counted_to = max(self._counted_to, until)

    def _plan_payment(self, new: Invoice, today: date) -> None:
        if self.pays_after is None and self._random.random() < 0.5:
            self._at(new.due_on + timedelta(days=self._random.randrange(60, 150)), 14, self._pay)
            return
        after = self.pays_after if self.pays_after is not None else 50
        on = new.due_on + timedelta(days=after + self._random.choice([0, 0, 0, 1, 5]))
        self._at(max(on, today), self._random.choice([7, 13, 23]), self._pay)

    def _pay(self, now: datetime) -> None:
        desk, before = self._desk(now), self._level()
        owed = self.books.open_invoices()
        if not owed:
            return
        due = sum(amount_due(item, self._policy, CALENDAR, now.date()) for item in owed)
        first = amount_due(owed[0], self._policy, CALENDAR, now.date())
        cents = self._random.choice([due, due, first, first, max(1, first // 2), due + 5_00])
        money = self.books.pay(cents, now, desk, owed[0].id)
        assert money is not None
        self.came_in += cents
        self._see(before, now)
        quiet = self._ended or self._paused(now)
        if not quiet and not self.books.open_invoices():
            assert self._level() is Level.FULL, "A5 everything is paid and the line is cut"
        if cents < due:
            self._at(now.date() + timedelta(days=self._random.randrange(3, 40)), 14, self._pay)
        if self._random.random() < 0.02:
            back_on = now.date() + timedelta(days=self._random.randrange(2, 60))
            self._at(back_on, 11, lambda at: self._charge_back(money.id, at))

    def _charge_back(self, number: int, now: datetime) -> None:
        money, before = self.books.payments[number], self._level()
        kind = self._random.choice(list(ReversalKind))
        with suppress(Refused):
            self.books.reverse(kind, money, money.amount_cents, self._desk(now))
            self.went_back += money.amount_cents
            self._at(now.date() + timedelta(days=self._random.randrange(1, 30)), 14, self._pay)
        self._see(before, now)

    # The ladder

    def _review(self, now: datetime) -> None:
        desk, before = self._desk(now), self._level()
        self.books.break_due(desk)
        self._see(before, now)
        if notice_due(self.books.account, desk):
            number = self.books.number()
            self._take(draw_notice(self.books.account, number, desk), now)
            if self._random.random() < 0.9:
                self._take(prove_notice(self.books.account, number, now, desk), now)
            else:
                self._fail(number, now)
        self._take(review(self.books.account, desk), now)

    def _fail(self, number: int, now: datetime) -> None:
        """Mail is refused now and then; the ladder must wait for proof."""
        notices = tuple(
            replace(item, failed_at=now.astimezone(UTC)) if item.id == number else item
            for item in self.books.account.notices
        )
        self.books.account = replace(self.books.account, notices=notices)

    def _paused(self, now: datetime) -> bool:
        at = now.astimezone(UTC)
        return any(
            pause.starts_at(ZONE).astimezone(UTC) <= at < pause.stops_at(ZONE).astimezone(UTC)
            for pause in self.books.account.pauses
        )

    # What a month brings

    def _plan_month(self, today: date) -> None:
        lot, on = self._random.random(), today + timedelta(days=self._random.randrange(1, 28))
        choices: list[tuple[float, Callable[[datetime], None]]] = [
            (0.06, self._change_plan),
            (0.09, self._change_due_day),
            (0.13, self._pause),
            (0.21, self._agree),
            (0.29, self._promise),
            (0.297, self._end),
        ]
        for bound, verb in choices:
            if lot < bound:
                self._at(on, 10, verb)
                return

    def _change_plan(self, now: datetime) -> None:
        today, current = now.date(), self.bill.tariffs[-1].tariff.price_cents
        # Two lines of one price in a cycle are one sum in two parts (M8), not rule 3's two lines.
        price = self._random.choice([price for price in PRICES if price != current])
        if self._ended or self.bill.tariffs[-1].from_on >= today:
            return
        period = TariffPeriod(today, plain(f"Plano {price} {today}", price))
        self._changed(replace(self.bill, tariffs=(*self.bill.tariffs, period)))
        self.events.append(PlanChanged(today, price))
        self.told["plan changes"] += 1

    def _changed(self, after: Subscription) -> None:
        more = [
            Extra(self.books.number(), line, after.started_on, by_hand=False)
            for line in correction(self.bill, after)
        ]
        self.bill = replace(after, extras=(*after.extras, *more))

    def _change_due_day(self, now: datetime) -> None:
        day = self._random.choice([day for day in DUE_DAYS if day <= 28])
        if self._ended or len(self.bill.due_days) > 1 or day == self.due_day:
            return
        anchor = max(self.bill.billed_until, now.date())
        try:
            due_days = change_due_day(self.bill.due_days, day, anchor)
        except ValueError:
            return
        self.bill = replace(self.bill, due_days=due_days)
        self.events.append(DueDayChanged(due_days[-1].from_on - ONE_DAY, day))
        self.told["due day changes"] += 1

    def _pause(self, now: datetime) -> None:
        if self._ended:
            return
        last = now.date() + timedelta(days=self._random.choice([29, 45, 119]))
        asked = Pause(self.books.number(), 1, now, "customer", now.date(), last)
        with suppress(Refused):
            self._take(suspend(self.books.account, asked, self._desk(now)), now)
            if self._random.random() < 0.3:
                self._at(now.date() + timedelta(days=20), 9, self._resume)

    def _resume(self, now: datetime) -> None:
        with suppress(Refused):
            number = self.books.account.pauses[-1].id
            self._take(resume(self.books.account, number, self._desk(now)), now)

    def _promise(self, now: datetime) -> None:
        until_on = now.date() + timedelta(days=self._random.randrange(1, 4))
        word = Promise(self.books.number(), 1, now, until_on, "customer", ())
        with suppress(PromiseRefused, Refused):
            self._take(take_promise(self.books.account, word, self._desk(now)), now)
            if self._random.random() < 0.6:
                self._at(until_on, 12, self._pay)

    def _agree(self, now: datetime) -> None:
        if self._ended:
            return
        before = self._level()
        parts = self._random.choice([1, 3, 7, 12])
        terms = Proposal(parts, self._random.choice([1, 10, 25]), 0, 50)
        with suppress(Refused):
            self.books.agree(1, terms, self._desk(now))
            months = parts if self._random.random() < 0.6 else 1
            for month in range(months):
                self._at(now.date() + timedelta(days=25 + 30 * month), 12, self._pay)
        self._see(before, now)

    def _end(self, now: datetime) -> None:
        """The contract ends with this day; the final invoice comes tomorrow."""
        if self._ended or self._paused(now):
            return
        self._changed(replace(self.bill, ended_on=now.date() + ONE_DAY))
        self.events.append(Ended(now.date()))
        self._ended = True
        self.told["ends"] += 1
        self._at(now.date() + ONE_DAY, 6, self._final)

    def _final(self, now: datetime) -> None:
        due_on = next_due(now.date(), self.bill.due_days)
        self._bill(due_on, now)
        contracts = tuple(
            replace(item, ended_on=self.bill.ended_on, review_on=None)
            for item in self.books.account.contracts
        )
        self.books.account = replace(self.books.account, contracts=contracts)

    def settle_up(self) -> None:
        """All that was to be billed, by the judge's own reckoning."""
        far = datetime.combine(self._counted_to + ONE_DAY, time(0), ZONE)
        open_cut = [(self._cut_at, far)] if self._cut_at is not None else []
        # Of an invoice that was due at once its day of issue was past: later days are on the next.
        credited = min(self._counted_to, self.bill.credited_until)
        if self._counted_to - credited > timedelta(days=45):
            raise Broken(f"M5 suspended: nothing is given back since {credited}")
        known = datetime.combine(credited, time(0), ZONE)
        cuts = [(cut, min(back, known)) for cut, back in [*self.cuts, *open_cut]]
        life = Life(
            self.began,
            self.due_day,
            self.price,
            events=tuple(sorted(self.events, key=lambda event: event.on)),
            cuts=tuple((cut, back) for cut, back in cuts if cut < back),
        )
        waiting = [item.line for item in self.bill.extras]
        reckon(life, [*self._lines, *waiting], self.bill.billed_until)
