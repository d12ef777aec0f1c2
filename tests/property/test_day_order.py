"""M9: a day's payments, reversals and notices, in any order and with repeats, end the same."""

from datetime import date, timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.account import Refused, ReversalKind, draw_notice, prove_notice
from billing.agreement import Proposal
from billing.invoice import Line
from tests.support.accounts import account, at, desk, policy
from tests.support.payer_books import Books, bill_of

RULES = policy()
TODAY = at("2026-10-20 10:00")
PLAN = Line("Plano", 99_90)
EM_DIA = Line("em dia", -9_99, conditional=True)

Input = tuple[str, int, int | None]


def world() -> Books:
    """A month of debt: one invoice paid, one part paid, one due today; a notice on its way."""
    books = Books(account())
    for due, *lines in (("08-10", PLAN), ("09-10", PLAN), ("10-20", PLAN, EM_DIA)):
        issued = at(f"2026-{due} 09:00") - timedelta(days=10)
        bill = bill_of(books.number(), 1, issued, 10, *lines)
        books.issue(bill, desk(issued, RULES))
    for cents, paid in ((99_90, "08-10"), (40_00, "09-20")):
        now = at(f"2026-{paid} 12:00")
        books.pay(cents, now, desk(now, RULES))
    now = at("2026-10-01 09:00")
    books.take(draw_notice(books.account, 1, desk(now, RULES)))
    return books


def lived(inputs: list[Input]) -> tuple[object, ...]:
    """Where the books stand after the inputs of one day."""
    books, now = world(), desk(TODAY, RULES)
    first, second = list(books.payments.values())
    for kind, cents, named in inputs:
        if kind == "pay":
            books.pay(cents, TODAY, now, named, key=f"{cents}-{named}")
        elif kind == "back":
            money = first if named == 1 else second
            books.reverse(ReversalKind.CHARGEBACK, money, cents, now, key=f"back-{cents}-{named}")
        else:
            books.take(prove_notice(books.account, 1, TODAY, now))
        books.check()
    access = [contract.access for contract in books.account.contracts]
    return books.account.credit_cents, books.account.invoices, access, +books.ledger, -books.ledger


PAY = st.tuples(st.just("pay"), st.integers(1, 250_00), st.sampled_from([None, 1, 2, 3]))
PROVE: Input = ("prove", 0, None)


@given(
    st.lists(PAY, min_size=1, max_size=5, unique=True),
    st.integers(0, 4),
    st.data(),
)
@settings(deadline=None, max_examples=150)
def test_payments_and_proofs(day: list[Input], repeats: int, data: st.DataObject) -> None:
    inputs = [*day, PROVE]
    other = data.draw(st.permutations([*inputs, *inputs[:repeats]]))
    assert lived(other) == lived(inputs)


BACK: list[Input] = [("back", 60_00, 1), ("back", 39_90, 1), ("back", 40_00, 2)]
PAID: list[Input] = [("pay", 30_00, 1), ("pay", 150_00, None)]


@pytest.mark.parametrize("order", list(permutations(BACK)))
def test_reversals(order: tuple[Input, ...]) -> None:
    """Each of money of its own; a repeat is nothing new."""
    assert lived([*order, order[0], order[-1], PROVE]) == lived([PROVE, *BACK])


def test_payments_and_reversals_together() -> None:
    inputs = [*BACK[-1:], ("back", 99_90, 1), *PAID]
    assert all(lived(list(order)) == lived(inputs) for order in permutations(inputs))


@given(
    st.lists(PAY, min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from(BACK), min_size=1, max_size=3, unique=True),
    st.integers(0, 3),
    st.data(),
)
@settings(deadline=None, max_examples=150)
def test_a_day_of_everything(
    paid: list[Input], back: list[Input], repeats: int, data: st.DataObject
) -> None:
    inputs = [*paid, *back, PROVE]
    other = data.draw(st.permutations([*inputs, *inputs[:repeats]]))
    assert lived(other) == lived(inputs)


def agreed() -> Books:
    """A payment paid one late invoice and part of another, which stands in an agreement since.

    Its down payment was made, with 50.00 too much.
    """
    books = Books(account())
    issued = at("2026-08-01 09:00")
    for days in (9, 40):
        books.issue(bill_of(books.number(), 1, issued, days, PLAN), desk(issued, RULES))
    now = at("2026-09-20 12:00")
    books.pay(150_00, now, desk(now, RULES))
    now = at("2026-10-02 12:00")
    books.agree(1, Proposal(2, 10, 20_00), desk(now, RULES))
    books.pay(70_00, now, desk(now, RULES))
    return books


@pytest.mark.parametrize(("cents", "taken"), [(60_00, True), (150_00, False)])
def test_whether_an_agreement_holds_the_money_hangs_on_no_order(cents: int, taken: bool) -> None:
    """No other money stands in for it: no credit, no down payment, nothing that came today."""
    inputs: list[int | str] = ["back", 10_00, 200_00]
    ends = []
    for order in permutations(inputs):
        books, now = agreed(), desk(TODAY, RULES)
        money = next(iter(books.payments.values()))
        for item in order:
            if isinstance(item, int):
                books.pay(item, TODAY, now, key=f"today-{item}")
            elif taken:
                books.reverse(ReversalKind.CHARGEBACK, money, cents, now, key=item)
            else:
                with pytest.raises(Refused, match="end the agreement first"):
                    books.reverse(ReversalKind.CHARGEBACK, money, cents, now, key=item)
            books.check()
        ends.append((books.account.credit_cents, books.account.invoices, +books.ledger))
    assert all(end == ends[0] for end in ends)


def test_the_day_is_one_on_which_much_can_change() -> None:
    books = world()
    assert [bill.rest_cents for bill in books.account.invoices] != [0, 0, 0]
    assert TODAY.date() == date(2026, 10, 20)
