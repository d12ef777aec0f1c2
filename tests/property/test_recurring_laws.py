"""Laws of the monthly invoice: nothing twice, nothing left out, no cent lost."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from billing.access import Level
from billing.cycle import DueDay, Mode, change_due_day, cycle_of, next_due
from billing.invoice import Kind, Line
from billing.recurring import correction, propose
from billing.subscription import Subscription, Suspension, first_due
from billing.tariff import Component, Tariff, TariffPeriod, check, divide
from billing.terms import Terms

ONE_DAY = timedelta(days=1)
DAYS = st.dates(date(2023, 1, 1), date(2029, 12, 31))
DUE_DAYS = st.integers(1, 31)
PRICES = st.integers(1, 1_000_00)
MODES = st.sampled_from(Mode)
TERMS = Terms(issue_days_before=0)


@st.composite
def tariffs(draw: st.DrawFn, price: int | None = None) -> Tariff:
    cents = draw(PRICES) if price is None else price
    share = draw(st.integers(0, 10_000))
    first = Component("internet", "Internet", Kind.SCM, basis_points=share)
    stays = draw(st.booleans())
    film = Component("sva", "Filmes", Kind.SVA, stays_while_walled=stays)
    return check(Tariff("plan", cents, (first, film)))


@st.composite
def histories(draw: st.DrawFn) -> tuple[DueDay, ...]:
    start = draw(DAYS)
    due_days: tuple[DueDay, ...] = (DueDay(start, draw(DUE_DAYS)),)
    for _ in range(draw(st.integers(0, 3))):
        start += timedelta(days=draw(st.integers(0, 200)))
        new = draw(DUE_DAYS)
        if new != due_days[-1].day:
            due_days = change_due_day(due_days, new, start)
    return due_days


@st.composite
def subscriptions(draw: st.DrawFn) -> Subscription:
    due_days = draw(histories())
    start = due_days[0].from_on
    periods = [TariffPeriod(start, draw(tariffs()))]
    for _ in range(draw(st.integers(0, 3))):
        later = periods[-1].from_on + timedelta(days=draw(st.integers(1, 60)))
        periods.append(TariffPeriod(later, draw(tariffs())))
    ended = draw(st.none() | st.integers(0, 300).map(lambda n: start + timedelta(days=n)))
    return Subscription(
        started_on=start,
        due_days=due_days,
        tariffs=tuple(periods),
        billed_until=start,
        credited_until=start,
        mode=draw(MODES),
        ended_on=ended,
    )


def billed(bill: Subscription, count: int, terms: Terms = TERMS) -> list[Line]:
    """The lines of so many invoices in a row."""
    due_on = first_due(bill.started_on, bill.due_days, bill.mode)
    lines: list[Line] = []
    for _ in range(count):
        made = propose(bill, due_on, terms)
        lines += made.lines
        bill = replace(bill, billed_until=made.billed_until, credited_until=made.credited_until)
        due_on = next_due(due_on, bill.due_days)
    return lines


@given(histories(), st.integers(0, 700))
def test_each_day_is_in_one_cycle_and_cycles_leave_no_gap(
    due_days: tuple[DueDay, ...], offset: int
) -> None:
    today = due_days[0].from_on + timedelta(days=offset)
    cycle = cycle_of(today, due_days)
    assert cycle.starts_on <= today < cycle.ends_on
    assert cycle_of(cycle.starts_on, due_days) == cycle
    assert cycle_of(cycle.ends_on - ONE_DAY, due_days) == cycle
    assert cycle_of(cycle.ends_on, due_days).starts_on == cycle.ends_on
    assert 28 <= cycle.full_days <= 31
    assert 1 <= (cycle.ends_on - cycle.starts_on).days <= 31


@given(subscriptions(), st.integers(1, 14))
def test_recurring_lines_are_disjoint_and_leave_no_active_day_out(
    bill: Subscription, count: int
) -> None:
    """Invariant M5."""
    end = first_due(bill.started_on, bill.due_days, bill.mode)
    for _ in range(count - (bill.mode is Mode.ARREARS)):
        end = next_due(end, bill.due_days)
    if bill.ended_on is not None:
        end = min(end, bill.ended_on)
    if bill.started_on == end:
        assert billed(bill, count) == []
        return
    # Parts that cost less than half a cent have no line.
    dear = replace(
        bill,
        tariffs=tuple(
            replace(p, tariff=replace(p.tariff, price_cents=p.tariff.price_cents + 10_000))
            for p in bill.tariffs
        ),
    )
    spans = sorted(
        {
            (line.from_on, line.until_on)
            for line in billed(dear, count)
            if line.from_on is not None and line.until_on is not None
        }
    )
    assert spans[0][0] == bill.started_on
    assert spans[-1][1] == end
    assert all(before[1] == after[0] for before, after in pairwise(spans))


@given(DAYS, DUE_DAYS, PRICES, st.lists(st.integers(1, 30), max_size=4), st.data())
def test_parts_of_one_price_add_up_to_the_cycle(
    start: date, due_day: int, price: int, offsets: list[int], data: st.DataObject
) -> None:
    due_days = (DueDay(start, due_day),)
    cycle = cycle_of(start, due_days)
    periods = [TariffPeriod(cycle.starts_on, data.draw(tariffs(price)))]
    periods += [
        TariffPeriod(cycle.starts_on + timedelta(days=n), data.draw(tariffs(price)))
        for n in sorted(set(offsets))
    ]
    bill = Subscription(cycle.starts_on, due_days, tuple(periods), cycle.starts_on, cycle.starts_on)
    assert propose(bill, cycle.ends_on, TERMS).amount_cents == price


@given(tariffs(), st.integers(0, 1_000_00))
def test_components_add_up(tariff: Tariff, cents: int) -> None:
    shares = divide(tariff, cents)
    assert sum(shares) == cents
    assert all(share >= 0 for share in shares)


@given(subscriptions(), st.integers(0, 12), st.integers(1, 10))
def test_who_is_suspended_all_the_time_pays_nothing(
    bill: Subscription, days_before: int, count: int
) -> None:
    """Invariant M17, whatever is known at the issue: by the end all of it is given back.

    Blocked, as in the customer's own pause, that is also what could be used while walled.
    """
    parts = [part for period in bill.tariffs for part in period.tariff.components]
    stays = any(part.stays_while_walled for part in parts)
    terms = Terms(issue_days_before=days_before)
    end = bill.started_on + timedelta(days=400)
    bill = replace(
        bill,
        ended_on=bill.started_on + timedelta(days=31 * count),
        suspensions=(Suspension(bill.started_on, end, Level.BLOCKED if stays else Level.WALLED),),
    )
    # Each change of due day may have put an invoice more before the last one.
    until_the_end = count + 3 + len(bill.due_days)
    total = sum(line.amount_cents for line in billed(bill, until_the_end, terms))
    # A cycle whose parts are rounded apart may differ by as many half cents.
    assert abs(total) <= len(bill.tariffs) * 2 + len(bill.due_days)


@given(DAYS, DUE_DAYS, PRICES, MODES)
def test_a_whole_cycle_suspended_at_one_price_is_nothing(
    start: date, due_day: int, price: int, mode: Mode
) -> None:
    due_days = (DueDay(start, due_day),)
    start = cycle_of(start, due_days).ends_on
    component = (Component("internet", "Internet", Kind.SCM),)
    bill = Subscription(
        start,
        (DueDay(start, due_day),),
        (TariffPeriod(start, Tariff("p", price, component)),),
        start,
        start,
        mode,
        suspensions=(Suspension(start, start + timedelta(days=400), Level.BLOCKED),),
    )
    for days_before in (0, 10):
        lines = billed(bill, 5, Terms(issue_days_before=days_before))
        charged = sum(x.amount_cents for x in lines if x.amount_cents > 0)
        assert sum(x.amount_cents for x in lines) <= 2 * price
        assert charged == 5 * price
    in_arrears = replace(bill, mode=Mode.ARREARS)
    assert sum(x.amount_cents for x in billed(in_arrears, 5)) == 0


@given(subscriptions(), st.integers(0, 60), PRICES, st.integers(1, 4))
def test_a_change_after_the_bill_comes_to_the_same_as_one_before_it(
    bill: Subscription, offset: int, price: int, count: int
) -> None:
    """Invariant M9 for one change: what is corrected later adds up to what was right at once."""
    on = bill.tariffs[-1].from_on + timedelta(days=offset + 1)
    component = (Component("internet", "Internet", Kind.SCM),)
    after = replace(bill, tariffs=(*bill.tariffs, TariffPeriod(on, Tariff("n", price, component))))
    late = billed(bill, count)
    due_on = first_due(bill.started_on, bill.due_days, bill.mode)
    until = bill.billed_until
    for _ in range(count):
        until = propose(replace(bill, billed_until=until), due_on, TERMS).billed_until
        due_on = next_due(due_on, bill.due_days)
    moved = correction(replace(bill, billed_until=until), replace(after, billed_until=until))
    at_once = billed(after, count)
    assert sum(x.amount_cents for x in [*late, *moved]) == sum(x.amount_cents for x in at_once)
