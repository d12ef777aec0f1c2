"""What may be at a bureau and by when it must be out, case by case, each with its source."""

from dataclasses import dataclass, replace
from datetime import date

import pytest

from billing.bureau import Answer, ListingState, Removal, after, begin_removal
from billing.calendar import brazil
from billing.handover import goes_to_agency, owed_cents, release
from billing.invoice import InvoiceState
from billing.ladder import Bar
from billing.listing import (
    Communication,
    Debt,
    Listing,
    ListingRules,
    Situation,
    due_listings,
    next_look,
)
from billing.record_days import alarms_from, prescribed_on, withdraw_by
from billing.stage import Stage

CALENDAR = brazil(range(2021, 2033))
RULES = ListingRules(bureaus=("serasa",))
# Walled on Monday 09-21, rescinded on Monday 11-23 (the ladder's own worked example).
ENDED = date(2026, 11, 23)
DEBT = Debt(1, date(2026, 9, 1), 9990)
PROVEN = Communication(7, frozenset({"serasa"}), {1: 9990}, ENDED, proven_on=ENDED)
RIPE = date(2026, 12, 3)
LISTED = Listing(3, "serasa", 1, DEBT.due_on, 9990, ListingState.LISTED)
OWED = Situation(5, ENDED, True, (DEBT,))
TOLD = replace(OWED, communications=(PROVEN,))
THERE = replace(TOLD, listings=(LISTED,))


@dataclass(frozen=True)
class Row:
    what: str
    source: str
    situation: Situation
    today: date
    tell: bool = False
    include: bool = False
    removal: Removal | None = None
    by: date | None = None


def settled(debt: Debt, state: InvoiceState, on: date) -> Situation:
    gone = replace(debt, state=state, unpaid_cents=0, changed_on=on)
    return replace(THERE, debts=(gone,))


FRIDAY = date(2026, 12, 4)
TABLE = [
    Row("still under contract", "RGC 2023: only after rescission",
        replace(OWED, ended_on=None), RIPE),
    Row("ends later", "RGC 2023: only after rescission",
        replace(OWED, ended_on=date(2026, 12, 4)), RIPE),
    Row("ended by the customer", "ladder rule 14: for debt", replace(OWED, for_debt=False), RIPE),
    Row("rescinded today", "CDC art. 43 par. 2: told first", OWED, ENDED, tell=True),
    Row("told, nine days on", "CDC art. 43 par. 2, ten days", TOLD, date(2026, 12, 2)),
    Row("told, ten days on", "CDC art. 43 par. 2, ten days", TOLD, RIPE, include=True),
    Row("letter drawn, not proven", "no proof, no days",
        replace(OWED, communications=(replace(PROVEN, proven_on=None),)), RIPE),
    Row("letter bounced yesterday", "no proof, no days", replace(
        OWED, communications=(replace(PROVEN, proven_on=None, failed_on=date(2026, 12, 2)),)),
        RIPE),
    Row("letter bounced a week ago", "another letter", replace(
        OWED, communications=(replace(PROVEN, proven_on=None, failed_on=date(2026, 11, 26)),)),
        RIPE, tell=True),
    Row("the ladder ended it and goes to no bureau yet", "ladder rule 5: a step has its day",
        replace(TOLD, stages=frozenset()), RIPE),
    Row("nor is anybody told before", "ladder rule 5",
        replace(OWED, stages=frozenset({Stage.RESCIND})), RIPE),
    Row("its step to the bureaus was entered", "ladder rule 5",
        replace(TOLD, stages=frozenset({Stage.RESCIND, Stage.BUREAU})), RIPE, include=True),
    Row("a hold's last day", "ladder rule 10", replace(TOLD, held_until=RIPE), RIPE),
    Row("a hold is over", "ladder rule 10",
        replace(TOLD, held_until=date(2026, 12, 2)), RIPE, include=True),
    *(
        Row(f"barred: {bar}", "ADR 0027", replace(TOLD, bars=(bar,)), RIPE)
        for bar in Bar
    ),
    Row("barred, not told yet", "ADR 0027", replace(OWED, bars=(Bar.NEVER_BLOCK,)), ENDED),
    Row("an agreement waits for its first payment", "ladder rule 12",
        replace(TOLD, agreed=True), RIPE),
    Row("a bar keeps nobody listed", "Súmula 548", replace(
        settled(DEBT, InvoiceState.PAID, FRIDAY), bars=(Bar.NEVER_BLOCK,)), FRIDAY,
        removal=Removal.PAID, by=date(2026, 12, 11)),
    Row("a hold keeps nobody listed", "Súmula 548", replace(
        settled(DEBT, InvoiceState.PAID, FRIDAY), held_until=date(2027, 1, 1)), FRIDAY,
        removal=Removal.PAID, by=date(2026, 12, 11)),
    Row("told before the rescission", "RGC 2023", replace(
        OWED, communications=(replace(PROVEN, drawn_on=date(2026, 11, 22)),)), RIPE, tell=True),
    Row("told of less than is owed", "CDC art. 43 par. 1: true", replace(
        OWED, communications=(replace(PROVEN, amounts_cents={1: 9989}),)), RIPE, tell=True),
    Row("told of more: a part was paid", "CDC art. 43 par. 1: true", replace(
        TOLD, debts=(replace(DEBT, unpaid_cents=5000),)), RIPE, include=True),
    Row("told of another bureau", "CDC art. 43 par. 2", replace(
        OWED, communications=(replace(PROVEN, bureaus=frozenset({"spc"})),)), RIPE, tell=True),
    Row("ten reais", "Serasa: 10.00 at least",
        replace(OWED, debts=(replace(DEBT, unpaid_cents=1000),)), ENDED, tell=True),
    Row("less than ten reais", "Serasa: 10.00 at least",
        replace(OWED, debts=(replace(DEBT, unpaid_cents=999),)), ENDED),
    Row("due on Sunday, today Monday", "bank days", replace(
        OWED, debts=(replace(DEBT, due_on=date(2026, 11, 22)),)), date(2026, 11, 23)),
    Row("due on Sunday, today Tuesday", "bank days", replace(
        OWED, debts=(replace(DEBT, due_on=date(2026, 11, 22)),)), date(2026, 11, 24), tell=True),
    Row("disputed", "never for disputed amounts", replace(
        OWED, debts=(replace(DEBT, state=InvoiceState.DISPUTED, unpaid_cents=0),)), RIPE),
    Row("about to be five years old", "CDC art. 43 par. 1", replace(
        TOLD, debts=(replace(DEBT, due_on=date(2021, 12, 7)),)), RIPE),
    Row("listed", "the same inclusion never twice", THERE, RIPE),
    Row("on its way", "the same inclusion never twice", replace(
        TOLD, listings=(replace(LISTED, state=ListingState.SENT),)), RIPE),
    Row("the bureau refused it", "waits for a person", replace(
        TOLD, listings=(replace(LISTED, state=ListingState.REFUSED),)), RIPE),
    Row("paid on Friday", "Súmula 548, Tema 735: fifth bank day from Monday",
        settled(DEBT, InvoiceState.PAID, FRIDAY), FRIDAY,
        removal=Removal.PAID, by=date(2026, 12, 11)),
    Row("paid on Saturday", "Tema 735: first bank day after",
        settled(DEBT, InvoiceState.PAID, date(2026, 12, 5)), date(2026, 12, 5),
        removal=Removal.PAID, by=date(2026, 12, 11)),
    Row("paid before Christmas", "bank calendar",
        settled(DEBT, InvoiceState.PAID, date(2026, 12, 22)), date(2026, 12, 22),
        removal=Removal.PAID, by=date(2026, 12, 30)),
    Row("paid, noticed later", "from the payment, not from our look",
        settled(DEBT, InvoiceState.PAID, FRIDAY), date(2026, 12, 9),
        removal=Removal.PAID, by=date(2026, 12, 11)),
    Row("agreed on", "on renegotiation, when it takes effect",
        settled(DEBT, InvoiceState.RENEGOTIATED, FRIDAY), FRIDAY,
        removal=Removal.RENEGOTIATED, by=date(2026, 12, 11)),
    Row("in dispute", "never for disputed amounts",
        settled(DEBT, InvoiceState.DISPUTED, FRIDAY), FRIDAY,
        removal=Removal.DISPUTED, by=date(2026, 12, 11)),
    Row("voided", "what is not owed", settled(DEBT, InvoiceState.VOID, FRIDAY), FRIDAY,
        removal=Removal.CANCELLED, by=date(2026, 12, 11)),
    Row("a part was paid", "CDC art. 43 par. 1: a record is true", replace(
        THERE, debts=(replace(DEBT, unpaid_cents=5000, changed_on=FRIDAY),)), FRIDAY,
        removal=Removal.AMOUNT_CHANGED, by=date(2026, 12, 11)),
    Row("eight days to five years", "CDC art. 43 par. 1", THERE, date(2031, 8, 24)),
    Row("a week to five years", "CDC art. 43 par. 1, Súmula 323", THERE, date(2031, 8, 25),
        removal=Removal.PRESCRIBED, by=date(2031, 9, 1)),
    Row("paid at the end of five years", "the earlier of both",
        settled(DEBT, InvoiceState.PAID, date(2031, 8, 29)), date(2031, 8, 29),
        removal=Removal.PAID, by=date(2031, 9, 1)),
    Row("removal decided already", "once", replace(THERE, listings=(replace(
        LISTED, state=ListingState.REMOVING, removal=Removal.PAID, removal_on=FRIDAY),)), FRIDAY),
    Row("withdrawn, owed again", "CDC art. 43 par. 2: told anew", replace(THERE, listings=(replace(
        LISTED, state=ListingState.REMOVED, removal=Removal.PAID, removal_on=FRIDAY),)),
        date(2026, 12, 20), tell=True),
    Row("taken out by hand", "a person's word", replace(THERE, listings=(replace(
        LISTED, state=ListingState.REMOVED, removal=Removal.BY_HAND, removal_on=FRIDAY),)),
        date(2026, 12, 20)),
    Row("withdrawn, told anew, ten days", "CDC art. 43 par. 2", replace(
        THERE,
        communications=(PROVEN, replace(
            PROVEN, id=8, drawn_on=date(2026, 12, 7), proven_on=date(2026, 12, 7))),
        listings=(replace(
            LISTED, state=ListingState.REMOVED, removal=Removal.PAID, removal_on=FRIDAY),)),
        date(2026, 12, 17), include=True),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=[row.what for row in TABLE])
def test_what_is_due(row: Row) -> None:
    work = due_listings(row.situation, RULES, CALENDAR, row.today)
    assert bool(work.tell) is row.tell
    assert bool(work.include) is row.include
    if row.removal is None:
        assert work.withdraw == ()
    else:
        (gone,) = work.withdraw
        assert (gone.removal, gone.by) == (row.removal, row.by)


def test_nothing_is_listed_without_a_bureau() -> None:
    assert not due_listings(TOLD, ListingRules(), CALENDAR, RIPE)


def test_the_next_look_is_the_day_on_which_something_is_due() -> None:
    assert next_look(OWED, RULES, CALENDAR, date(2026, 11, 1)) == ENDED
    assert next_look(TOLD, RULES, CALENDAR, ENDED) == RIPE
    assert next_look(THERE, RULES, CALENDAR, RIPE) == date(2031, 8, 25)
    assert next_look(replace(OWED, for_debt=False), RULES, CALENDAR, ENDED) is None


@pytest.mark.parametrize(
    ("due_on", "gone_on"),
    [
        (date(2026, 9, 1), date(2031, 9, 1)),
        (date(2024, 2, 29), date(2029, 2, 28)),
    ],
)
def test_five_years(due_on: date, gone_on: date) -> None:
    assert prescribed_on(due_on) == gone_on


def test_an_alarm_comes_bank_days_before_the_last_day() -> None:
    last = withdraw_by(FRIDAY, CALENDAR)
    assert last == date(2026, 12, 11)
    assert alarms_from(last, 2, CALENDAR) == date(2026, 12, 9)
    assert alarms_from(date(2026, 12, 28), 2, CALENDAR) == date(2026, 12, 23)


IN = ListingState
STEPS = [
    (IN.PENDING, Answer.DONE, False, IN.LISTED),
    (IN.PENDING, Answer.ACCEPTED, False, IN.AWAITING),
    (IN.PENDING, Answer.REFUSED, False, IN.REFUSED),
    (IN.PENDING, Answer.UNKNOWN, False, IN.SENT),
    (IN.PENDING, Answer.AWAY, False, IN.PENDING),
    (IN.SENT, Answer.UNKNOWN, False, IN.SENT),
    (IN.SENT, Answer.DONE, False, IN.LISTED),
    (IN.SENT, Answer.ABSENT, False, IN.PENDING),
    (IN.AWAITING, Answer.DONE, False, IN.LISTED),
    (IN.AWAITING, Answer.UNKNOWN, False, IN.AWAITING),
    # Decided to go while the call was under way.
    (IN.SENT, Answer.DONE, True, IN.REMOVING),
    (IN.SENT, Answer.UNKNOWN, True, IN.SENT),
    (IN.SENT, Answer.ABSENT, True, IN.CANCELLED),
    (IN.SENT, Answer.REFUSED, True, IN.CANCELLED),
    (IN.AWAITING, Answer.ACCEPTED, True, IN.AWAITING),
    (IN.REMOVING, Answer.DONE, True, IN.REMOVED),
    (IN.REMOVING, Answer.UNKNOWN, True, IN.REMOVAL_SENT),
    (IN.REMOVING, Answer.AWAY, True, IN.REMOVING),
    (IN.REMOVING, Answer.REFUSED, True, IN.REMOVING),
    (IN.REMOVAL_SENT, Answer.ABSENT, True, IN.REMOVING),
    (IN.REMOVAL_SENT, Answer.DONE, True, IN.REMOVED),
    (IN.REMOVAL_AWAITING, Answer.DONE, True, IN.REMOVED),
]


@pytest.mark.parametrize(("state", "answer", "removing", "then"), STEPS)
def test_where_a_record_stands_after_a_call(
    state: ListingState, answer: Answer, removing: bool, then: ListingState
) -> None:
    assert after(state, answer, removing=removing) is then


def test_nothing_is_called_for_a_record_that_rests() -> None:
    with pytest.raises(ValueError, match="nothing is called"):
        after(ListingState.LISTED, Answer.DONE, removing=False)


def test_a_removal_awaits_the_call_under_way() -> None:
    assert begin_removal(ListingState.LISTED) is ListingState.REMOVING
    assert begin_removal(ListingState.PENDING) is ListingState.CANCELLED
    assert begin_removal(ListingState.SENT) is ListingState.SENT


def test_an_agency_gets_what_is_old_and_large_enough() -> None:
    assert not goes_to_agency(OWED, RULES, CALENDAR, date(2026, 12, 22))
    assert goes_to_agency(OWED, RULES, CALENDAR, date(2026, 12, 23))
    dear = replace(RULES, agency_min_cents=9991)
    assert not goes_to_agency(OWED, dear, CALENDAR, date(2026, 12, 23))
    # Where the ladder ended the contract its own step says when, sooner or later.
    waits = replace(OWED, stages=frozenset({Stage.RESCIND, Stage.BUREAU}))
    assert not goes_to_agency(waits, RULES, CALENDAR, date(2027, 5, 1))
    entered = replace(OWED, stages=frozenset({Stage.AGENCY}))
    assert goes_to_agency(entered, RULES, CALENDAR, date(2026, 11, 28))
    held = replace(OWED, held_until=date(2026, 12, 23))
    assert not goes_to_agency(held, RULES, CALENDAR, date(2026, 12, 23))
    barred = replace(OWED, bars=(Bar.NEVER_BLOCK,))
    assert not goes_to_agency(barred, RULES, CALENDAR, date(2026, 12, 23))
    assert owed_cents(OWED, CALENDAR, RIPE) == 9990


@pytest.mark.parametrize(
    ("situation", "why"),
    [
        (settled(DEBT, InvoiceState.PAID, FRIDAY), Removal.PAID),
        (settled(DEBT, InvoiceState.RENEGOTIATED, FRIDAY), Removal.RENEGOTIATED),
        (settled(DEBT, InvoiceState.DISPUTED, FRIDAY), Removal.DISPUTED),
        (settled(DEBT, InvoiceState.VOID, FRIDAY), Removal.CANCELLED),
    ],
)
def test_an_account_comes_back_when_nothing_may_be_collected(
    situation: Situation, why: Removal
) -> None:
    gone = release(situation, CALENDAR, FRIDAY)
    assert gone is not None
    assert (gone.why, gone.by) == (why, date(2026, 12, 11))
    assert release(OWED, CALENDAR, FRIDAY) is None


def test_an_account_comes_back_after_five_years() -> None:
    gone = release(OWED, CALENDAR, date(2031, 9, 1))
    assert gone is not None
    assert gone.why is Removal.PRESCRIBED
