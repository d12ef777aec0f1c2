"""Laws of listings, over whole lives of a debt: told, listed, paid, reopened, at any pace."""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.bureau import Answer, ListingState, Removal, after, begin_removal
from billing.calendar import brazil
from billing.invoice import InvoiceState
from billing.listing import (
    Communication,
    Debt,
    Listing,
    ListingRules,
    Situation,
    due_listings,
    next_look,
)
from billing.record_days import prescribed_on, withdraw_by

CALENDAR = brazil(range(2024, 2034))
ENDED = date(2026, 11, 23)
BUREAUS = ("serasa", "spc")
ANSWERS = st.sampled_from(list(Answer))
EVENTS = st.sampled_from(["pay", "part", "reopen", "dispute", "prove", "bounce", "call", "wait"])


@dataclass
class World:
    """A contract, and a bureau that may do what it does not answer."""

    rules: ListingRules
    today: date
    situation: Situation
    # What the bureaus really hold: (bureau, invoice), and since when it must be out.
    held: set[tuple[str, int]] = field(default_factory=set)

    @property
    def debt(self) -> Debt:
        return self.situation.debts[0]

    def change(self, **values: object) -> None:
        debt = replace(self.debt, changed_on=self.today, **values)  # type: ignore[arg-type]
        self.situation = replace(self.situation, debts=(debt,))

    def look(self) -> None:
        """Do what is due, as the shell does."""
        work = due_listings(self.situation, self.rules, CALENDAR, self.today)
        letters, listings = self.situation.communications, list(self.situation.listings)
        if work.tell:
            amounts = {debt.invoice_id: debt.unpaid_cents for debt in work.tell}
            letter = Communication(len(letters) + 1, frozenset(BUREAUS), amounts, self.today)
            letters = (*letters, letter)
        for item in work.include:
            self._check_inclusion(item.bureau, item.debt, item.letter_id)
            made = Listing(
                len(listings) + 1,
                item.bureau,
                item.debt.invoice_id,
                item.debt.due_on,
                item.debt.unpaid_cents,
                ListingState.PENDING,
            )
            listings.append(made)
        for gone in work.withdraw:
            assert gone.by >= self.today or gone.by == withdraw_by(
                self.debt.changed_on or self.today, CALENDAR
            )
            assert gone.by <= prescribed_on(gone.listing.due_on)
            listings[gone.listing.id - 1] = replace(
                gone.listing,
                state=begin_removal(gone.listing.state),
                removal=gone.removal,
                removal_on=self.today,
            )
        self.situation = replace(self.situation, communications=letters, listings=tuple(listings))
        again = due_listings(self.situation, self.rules, CALENDAR, self.today)
        assert not again.include, "the same inclusion twice"
        assert not again.withdraw, "the same withdrawal twice"
        assert not again.tell, "the same letter twice"

    def _check_inclusion(self, bureau: str, debt: Debt, letter_id: int) -> None:
        ended_on = self.situation.ended_on
        assert ended_on is not None
        assert ended_on <= self.today
        letter = next(x for x in self.situation.communications if x.id == letter_id)
        assert letter.proven_on is not None
        assert letter.proven_on >= ended_on
        assert (self.today - letter.proven_on).days >= self.rules.notice_days
        assert bureau in letter.bureaus
        assert debt.state is InvoiceState.OPEN
        assert debt.unpaid_cents <= letter.amounts_cents[debt.invoice_id]
        assert (bureau, debt.invoice_id) not in self.held, "listed twice"

    def call(self, answer: Answer, really: bool) -> None:
        """The clerk's call for every record; an answer may hide what really happened."""
        listings = list(self.situation.listings)
        for place, one in enumerate(listings):
            key = (one.bureau, one.invoice_id)
            including = one.state in (IN.PENDING, IN.SENT, IN.AWAITING)
            if not including and one.state not in (IN.REMOVING, IN.REMOVAL_SENT):
                continue
            said = self._honest(key, one.state, including, answer, really)
            if said is None:
                continue
            state = after(one.state, said, removing=one.removal is not None)
            listings[place] = replace(one, state=state)
        self.situation = replace(self.situation, listings=tuple(listings))

    def _honest(
        self,
        key: tuple[str, int],
        state: ListingState,
        including: bool,
        answer: Answer,
        really: bool,
    ) -> Answer | None:
        """What a bureau may say: it lies about nothing but by silence."""
        if state in (IN.PENDING, IN.REMOVING):
            if answer is Answer.ABSENT or answer is Answer.ACCEPTED:
                return None
            done = answer is Answer.DONE or (answer is Answer.UNKNOWN and really)
            if done:
                (self.held.add if including else self.held.discard)(key)
            return answer
        if answer in (Answer.UNKNOWN, Answer.AWAY):
            return answer
        is_done = (key in self.held) == including
        return Answer.DONE if is_done else Answer.ABSENT


IN = ListingState


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(EVENTS, ANSWERS, st.booleans(), st.integers(0, 9)), max_size=30),
    st.integers(10, 20),
    st.integers(0, 5),
)
def test_a_debt_is_listed_rightly_and_never_twice_whatever_happens(
    events: list[tuple[str, Answer, bool, int]], notice_days: int, after_days: int
) -> None:
    rules = ListingRules(bureaus=BUREAUS, notice_days=notice_days, after_days=after_days)
    debt = Debt(1, date(2026, 9, 1), 9990)
    world = World(rules, date(2026, 11, 20), Situation(5, ENDED, True, (debt,)))
    for event, answer, really, days in events:
        world.look()
        if event == "pay":
            world.change(unpaid_cents=0, state=InvoiceState.PAID)
        elif event == "part" and world.debt.unpaid_cents > 1000:
            world.change(unpaid_cents=world.debt.unpaid_cents - 1000)
        elif event == "reopen":
            world.change(unpaid_cents=9990, state=InvoiceState.OPEN)
        elif event == "dispute":
            world.change(unpaid_cents=0, state=InvoiceState.DISPUTED)
        elif event in ("prove", "bounce") and world.situation.communications:
            *before, last = world.situation.communications
            if last.proven_on is None and last.failed_on is None:
                told = "proven_on" if event == "prove" else "failed_on"
                last = replace(last, **{told: world.today})  # type: ignore[arg-type]
                world.situation = replace(world.situation, communications=(*before, last))
        elif event == "call":
            world.call(answer, really)
        world.look()
        world.today += timedelta(days=days)
    # Paid at last, and the bureaus answer again: nothing of it is left anywhere.
    world.change(unpaid_cents=0, state=InvoiceState.PAID)
    for _ in range(4):
        world.look()
        world.call(Answer.DONE, True)
    assert world.held == set()
    assert all(one.state.over or one.state is IN.REFUSED for one in world.situation.listings)


@settings(max_examples=80, deadline=None)
@given(st.integers(-30, 2000), st.integers(0, 400), st.integers(10, 40))
def test_nothing_becomes_due_before_the_next_look(start: int, more: int, notice: int) -> None:
    rules = ListingRules(bureaus=BUREAUS, notice_days=notice)
    debt = Debt(1, date(2026, 9, 1), 9990)
    letter = Communication(1, frozenset(BUREAUS), {1: 9990}, ENDED, proven_on=ENDED)
    listing = Listing(1, "spc", 1, debt.due_on, 9990, ListingState.LISTED)
    situation = Situation(5, ENDED, True, (debt,), (letter,), (listing,))
    today = ENDED + timedelta(days=start)
    later = today + timedelta(days=more)
    now = due_listings(situation, rules, CALENDAR, today)
    then = due_listings(situation, rules, CALENDAR, later)
    look = next_look(situation, rules, CALENDAR, today)
    if now != then:
        assert look is not None
        assert look <= later


@given(st.dates(date(2025, 1, 1), date(2032, 12, 31)))
def test_five_bank_days_are_never_less_than_a_week(paid_on: date) -> None:
    by = withdraw_by(paid_on, CALENDAR)
    assert timedelta(days=5) <= by - paid_on <= timedelta(days=13)


def test_every_reason_has_a_word() -> None:
    assert {reason.value for reason in Removal} >= {"paid", "renegotiated", "disputed"}
