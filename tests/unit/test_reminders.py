"""Which invoices are reminded of on a day: a table, and what silences a reminder."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.account import Account, Hold, Promise, clear_payment
from billing.contest import Opening, open_dispute
from billing.invoice import InvoiceState, Line
from billing.ladder import Bar
from billing.pause import Pause
from billing.payer import HoldKind, PromiseState
from billing.reminders import Reminder, reminders_due
from tests.support.accounts import account, at, day, desk, invoice, payment

# Tuesday 2026-09-01; 2026-09-05 is a Saturday, and Monday 2026-09-07 a national holiday.


def owing(due: str = "2026-09-01", **changes: object) -> Account:
    return replace(account(), invoices=(replace(invoice(due=due), **changes),))  # type: ignore[arg-type]


def due(payer: Account, now: str, automatic: frozenset[int] = frozenset()) -> list[Reminder]:
    return list(reminders_due(payer, automatic, frozenset(), desk(now)))


@pytest.mark.parametrize(
    ("due_on", "today", "offset", "cents"),
    [
        ("2026-09-01", "2026-08-26", None, 0),
        ("2026-09-01", "2026-08-27", -5, 99_90),
        # Made good for two days, then left out.
        ("2026-09-01", "2026-08-28", -5, 99_90),
        ("2026-09-01", "2026-08-29", -5, 99_90),
        ("2026-09-01", "2026-08-30", None, 0),
        ("2026-09-01", "2026-08-31", -1, 99_90),
        # The one of before the due date goes out late on that day, and never after it.
        ("2026-09-01", "2026-09-01", -1, 99_90),
        # 2 % and one day of 1 % a month.
        ("2026-09-01", "2026-09-02", 1, 101_93),
        ("2026-09-01", "2026-09-04", 1, 102_00),
        ("2026-09-01", "2026-09-05", None, 0),
        # Due on a Saturday before a holiday: in time until Tuesday, so late on Wednesday.
        ("2026-09-05", "2026-09-04", -1, 99_90),
        ("2026-09-05", "2026-09-06", None, 0),
        ("2026-09-05", "2026-09-08", None, 0),
        ("2026-09-05", "2026-09-09", 1, 102_03),
        # The day before a Monday is a Sunday: on Saturday. The day after a Saturday: on Monday.
        ("2026-08-31", "2026-08-29", -1, 99_90),
        ("2026-08-28", "2026-08-29", 1, 101_93),
        ("2026-09-11", "2026-09-12", 1, 101_93),
    ],
)
def test_the_days(due_on: str, today: str, offset: int | None, cents: int) -> None:
    found = due(owing(due_on), f"{today} 09:00")
    wanted = [] if offset is None else [Reminder(1, 1, None, day(due_on), offset, cents)]
    assert found == wanted


def test_a_discount_for_paying_in_time_is_in_the_amount() -> None:
    lines = (Line("Plano", 99_90), Line("Pontualidade", -10_00, conditional=True))
    assert due(owing(lines=lines), "2026-08-27 09:00")[0].due_cents == 89_90
    assert due(owing(lines=lines), "2026-09-02 09:00")[0].due_cents == 101_93


def test_none_of_what_was_made_before_and_one_for_another_due_date() -> None:
    now = desk("2026-08-27 09:00")
    made = {(1, day("2026-09-01"), -5)}
    assert reminders_due(owing(), (), made, now) == ()
    again = owing("2026-09-06")
    assert [
        item.day_offset for item in reminders_due(again, (), made, desk("2026-09-01 09:00"))
    ] == [-5]


HOLD = Hold(
    *(1, 1, "ana", "enchente", at("2026-08-01 09:00"), at("2026-08-27 12:00")),
    kind=HoldKind.EXEMPTION,
)
PROMISE = Promise(1, 1, at("2026-08-20 09:00"), day("2026-09-03"), "ana", (1,))
PAUSE = Pause(1, 1, at("2026-08-20 09:00"), "ana", day("2026-08-27"), day("2026-10-10"))


@pytest.mark.parametrize(
    "payer",
    [
        replace(owing(), holds=(HOLD,)),
        replace(owing(), promises=(PROMISE,)),
        replace(owing(), pauses=(PAUSE,)),
        replace(owing(), contracts=(replace(owing().contracts[0], bars=(Bar.NEVER_BLOCK,)),)),
        replace(owing(), contracts=(replace(owing().contracts[0], ended_on=day("2026-08-20")),)),
        *(owing(state=state) for state in InvoiceState if state is not InvoiceState.OPEN),
    ],
    ids=lambda payer: payer.invoices[0].state.value,
)
def test_who_is_not_reminded(payer: Account) -> None:
    assert due(payer, "2026-08-27 09:00") == []


@pytest.mark.parametrize(
    "payer",
    [
        replace(owing(), holds=(replace(HOLD, expires_at=at("2026-08-27 09:00")),)),
        replace(owing(), holds=(replace(HOLD, contract_id=2),)),
        replace(owing(), promises=(replace(PROMISE, state=PromiseState.BROKEN),)),
        replace(owing(), promises=(replace(PROMISE, debt_invoice_ids=(2,)),)),
        replace(owing(), pauses=(replace(PAUSE, from_on=day("2026-08-28")),)),
        replace(owing(), contracts=(replace(owing().contracts[0], bars=(Bar.OUTAGE,)),)),
    ],
)
def test_who_is_reminded_all_the_same(payer: Account) -> None:
    assert len(due(payer, "2026-08-27 09:00")) == 1


def test_automatic_payment_is_not_reminded_of() -> None:
    two = replace(account(2), invoices=(invoice(1), invoice(2, contract_id=2)))
    found = due(two, "2026-08-27 09:00", frozenset({1}))
    assert [item.contract_id for item in found] == [2]


def test_a_disputed_invoice_is_not_reminded_of_though_a_part_is_owed() -> None:
    opening = Opening(1, 1, 40_00, "valor errado", "ana", None, 2, (1, 2))
    disputed, _ = open_dispute(owing(), opening, desk("2026-08-20 10:00"))
    assert sum(item.unpaid_cents for item in disputed.invoices) == 59_90
    assert due(disputed, "2026-08-27 09:00") == []


def test_while_we_do_not_know_who_paid_nobody_is_told_to_be_late() -> None:
    for now, count in (("2026-08-31 09:00", 1), ("2026-09-02 09:00", 0)):
        blind = replace(desk(now), bars=(Bar.STALE_FEED,))
        assert len(reminders_due(owing(), (), (), blind)) == count


DAYS = st.integers(-40, 20)


@given(due_in=DAYS, paid=st.integers(0, 120_00), ahead=DAYS)
def test_what_is_paid_is_never_reminded_of(due_in: int, paid: int, ahead: int) -> None:
    due_on = day("2026-09-01") + timedelta(days=due_in)
    payer = replace(account(), invoices=(invoice(due=due_on.isoformat()),))
    if paid:
        payer, _ = clear_payment(
            payer, payment(paid, "2026-08-20 10:00", 1), desk("2026-08-20 10:00")
        )
    now = at("2026-09-01 09:00") + timedelta(days=ahead)
    for item in reminders_due(payer, (), (), desk(now)):
        owed = next(one for one in payer.invoices if one.id == item.invoice_id)
        assert owed.unpaid_cents > 0
        assert item.due_cents > 0


@given(due_in=DAYS, looks=st.lists(st.integers(-45, 30), max_size=40))
def test_each_is_made_once_whatever_the_order_of_looks(due_in: int, looks: list[int]) -> None:
    due_on = day("2026-09-01") + timedelta(days=due_in)
    payer = replace(account(), invoices=(invoice(due=due_on.isoformat()),))
    made: set[tuple[int, object, int]] = set()
    for ahead in sorted(looks):
        now = at("2026-09-01 09:00") + timedelta(days=ahead)
        for item in reminders_due(payer, (), made, desk(now)):  # type: ignore[arg-type]
            key = (item.invoice_id, item.due_on, item.day_offset)
            assert key not in made
            made.add(key)
    assert len(made) <= 3
