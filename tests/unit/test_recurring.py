"""What an invoice of a month contains, to the cent. Each row names its source."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from billing.access import Level
from billing.bounds import Flaw
from billing.cycle import (
    DueDay,
    Mode,
    as_many_on,
    change_due_day,
    cycle_of,
    due_in,
    issue_on,
    next_due_changed,
)
from billing.invoice import Kind, Line
from billing.recurring import correction, propose
from billing.reward import Paid, Reward, is_good_payer
from billing.subscription import BadDiscount, Discount, Extra, Outage, Subscription, first_due
from billing.tariff import Addon, BadTariff, Component, Tariff, check, divide
from billing.term import Leaving, MinimumTerm, penalty
from billing.terms import Terms
from tests.support.accounts import CALENDAR
from tests.support.subscriptions import day, out, period, subscription

TERMS = Terms()
ZONE = ZoneInfo("America/Sao_Paulo")
SCM_SVA = Tariff(
    "Fibra 300",
    99_90,
    (
        Component("internet", "Internet", Kind.SCM, basis_points=6_000),
        Component("filmes", "Filmes", Kind.SVA, stays_while_walled=True),
    ),
)


def cents_of(bill: Subscription, due: str, terms: Terms = TERMS) -> list[int]:
    return [line.amount_cents for line in propose(bill, day(due), terms).lines]


def changed(on: str, to: int, **given: Any) -> Subscription:
    bill = subscription(**given)
    return replace(bill, tariffs=(*bill.tariffs, period(on, to)))


@pytest.mark.parametrize(
    ("bill", "due", "cents"),
    [
        # rule 1: a whole cycle in arrears, and in advance
        (subscription(), "2026-09-10", [99_90]),
        (subscription(mode=Mode.ADVANCE), "2026-08-10", [99_90]),
        # rule 2: activated within a cycle; in advance its first days are on the first invoice
        (subscription("2026-11-22"), "2026-12-10", [59_94]),
        (subscription("2026-11-22", mode=Mode.ADVANCE), "2026-12-10", [59_94, 99_90]),
        (subscription("2026-12-09"), "2026-12-10", [3_33]),
        # rule 2: ended within a cycle, on the day before its end, on its first day
        (subscription(ended_on=day("2026-08-20")), "2026-09-10", [32_23]),
        (subscription(ended_on=day("2026-09-09")), "2026-09-10", [96_68]),
        (subscription(ended_on=day("2026-08-10")), "2026-09-10", []),
        # rule 3: up and down within a cycle
        (
            changed("2027-02-20", 149_90, billed_until="2027-02-10"),
            "2027-03-10",
            [35_68, 96_36],
        ),
        (
            changed("2027-02-20", 99_90, cents=149_90, billed_until="2027-02-10"),
            "2027-03-10",
            [53_54, 64_22],
        ),
        # rule 3: from the first day of the cycle it is the whole cycle
        (changed("2027-02-10", 149_90, billed_until="2027-02-10"), "2027-03-10", [149_90]),
        # rule 4: day 10 to 25 from 10 March, then a whole cycle
        (
            subscription(
                billed_until="2027-03-10",
                due_days=(DueDay(day("2026-08-10"), 10), DueDay(day("2027-03-10"), 25)),
            ),
            "2027-03-25",
            [48_34],
        ),
        (
            subscription(
                billed_until="2027-03-25",
                due_days=(DueDay(day("2026-08-10"), 10), DueDay(day("2027-03-10"), 25)),
            ),
            "2027-04-25",
            [99_90],
        ),
        # rule 4: and back from 25 to 10
        (
            subscription(
                due_day=25,
                billed_until="2027-03-25",
                due_days=(DueDay(day("2026-08-25"), 25), DueDay(day("2027-03-25"), 10)),
            ),
            "2027-04-10",
            [51_56],
        ),
        # rule 1: a day that February lacks, in an ordinary and in a leap year
        (subscription("2027-01-31", 31), "2027-02-28", [99_90]),
        (subscription("2027-02-28", 31), "2027-03-31", [99_90]),
        (subscription("2028-02-10", 31), "2028-02-29", [65_45]),
        # rule 8
        (
            subscription(billed_until="2026-08-10", suspensions=(out("2026-08-12", "2026-08-24"),)),
            "2026-09-10",
            [99_90, -38_67],
        ),
        # rule 9
        (subscription(tariff=SCM_SVA), "2026-09-10", [59_94, 39_96]),
        # rules 8 and 9: 12 of 31 days, of the component that cannot be used while walled
        (
            subscription(tariff=SCM_SVA, suspensions=(out("2026-08-12", "2026-08-24"),)),
            "2026-09-10",
            [59_94, 39_96, -23_20],
        ),
        # rule 8, ladder rule 13: blocked, as in the customer's own pause, all of it is given back
        (
            subscription(
                tariff=SCM_SVA, suspensions=(out("2026-08-12", "2026-08-24", Level.BLOCKED),)
            ),
            "2026-09-10",
            [59_94, 39_96, -23_20, -15_47],
        ),
        # rule 8: by default reduced days give nothing back
        (
            subscription(suspensions=(out("2026-08-12", "2026-08-24", Level.REDUCED),)),
            "2026-09-10",
            [99_90],
        ),
        # a product of its own, from a day within the cycle; it stays or not while walled
        (
            subscription(addons=(Addon("backup", "Backup", 20_00, day("2026-08-25")),)),
            "2026-09-10",
            [99_90, 10_32],
        ),
        (
            subscription(
                addons=(Addon("backup", "Backup", 20_00, day("2026-08-10")),),
                suspensions=(out("2026-08-12", "2026-08-24"),),
            ),
            "2026-09-10",
            [99_90, 20_00, -38_67, -7_74],
        ),
        # walled it stays, and is charged; blocked nothing does: 10 days of it, 18 of the rest
        (
            subscription(
                addons=(Addon("b", "B", 20_00, day("2026-08-10"), stays_while_walled=True),),
                suspensions=(
                    out("2026-08-12", "2026-08-20"),
                    out("2026-08-20", "2026-08-30", Level.BLOCKED),
                ),
            ),
            "2026-09-10",
            [99_90, 20_00, -58_01, -6_45],
        ),
        # nothing for nothing
        (subscription(cents=0), "2026-09-10", []),
    ],
)
def test_lines_of_an_invoice(bill: Subscription, due: str, cents: list[int]) -> None:
    assert cents_of(bill, due) == cents


@pytest.mark.parametrize(
    ("discounts", "cents"),
    [
        ([Discount("d", day("2026-01-01"), basis_points=1_000)], [-9_99]),
        ([Discount("d", day("2026-01-01"), cents=10_00)], [-10_00]),
        # rule 5: each of the full price, together at most the price
        (
            [
                Discount("d", day("2026-01-01"), basis_points=1_000),
                Discount("e", day("2026-01-01"), basis_points=2_000),
            ],
            [-9_99, -19_98],
        ),
        (
            [
                Discount("d", day("2026-01-01"), cents=60_00),
                Discount("e", day("2026-01-01"), cents=60_00),
            ],
            [-60_00, -39_90],
        ),
        # from a day within the cycle: 16 of 31 days of it
        ([Discount("d", day("2026-08-25"), cents=10_00)], [-5_16]),
        ([Discount("d", day("2026-01-01"), day("2026-08-10"), cents=10_00)], []),
    ],
)
def test_discounts(discounts: list[Discount], cents: list[int]) -> None:
    assert cents_of(subscription(discounts=tuple(discounts)), "2026-09-10") == [99_90, *cents]


def test_a_conditional_discount_is_no_part_of_the_principal_and_comes_last() -> None:
    held = Discount("em dia", day("2026-01-01"), basis_points=1_000, conditional=True)
    other = Discount("fiel", day("2026-01-01"), cents=95_00)
    bill = propose(subscription(discounts=(held, other)), day("2026-09-10"), TERMS)
    assert [(x.amount_cents, x.conditional) for x in bill.lines] == [
        (99_90, False),
        (-95_00, False),
        (-4_90, True),
    ]
    assert bill.amount_cents == 4_90


def test_a_discount_gives_nothing_on_days_that_are_given_back_anyhow() -> None:
    bill = subscription(
        cents=30_00,
        mode=Mode.ARREARS,
        discounts=(Discount("d", day("2026-01-01"), basis_points=5_000),),
        suspensions=(out("2026-08-10", "2026-09-10"),),
    )
    terms = Terms(issue_days_before=0)
    assert propose(bill, day("2026-09-10"), terms).amount_cents == 0


@pytest.mark.parametrize(
    ("discounts", "cents"),
    [
        # two discounts, once each
        ([("em dia", 10_00, True), ("fiel", 10_00, True)], [-10_00, -10_00]),
        # together at most what is left of the other cycle: 12 of 31 days, 47.79 of 123.45
        ([("em dia", 40_00, True), ("fiel", 40_00, True)], [-40_00, -7_79]),
        # what lateness cannot take away comes first, in each cycle
        ([("em dia", 40_00, True), ("fiel", 40_00, False)], [-40_00, -7_79]),
        # a part of the price, of the second cycle alone
        ([("metade", 61_72, False)], [-47_79]),
    ],
)
def test_a_cycle_that_is_given_back_earns_no_discount_of_the_next_one(
    discounts: list[tuple[str, int, bool]], cents: list[int]
) -> None:
    # 10 June to 9 July is wholly suspended and gave back more than it cost, so that one invoice
    # pays for it and for the cycle after it, 19 of whose 31 days were suspended too.
    bill = subscription(
        "2027-06-10",
        cents=123_45,
        discounts=tuple(
            Discount(title, day("2026-01-01"), cents=each, conditional=conditional)
            for title, each, conditional in discounts
        ),
        suspensions=(out("2027-06-10", "2027-07-29", Level.BLOCKED),),
    )
    assert cents_of(bill, "2027-08-10") == [123_45, 123_45, *cents, -123_45, -75_66]


@pytest.mark.parametrize(
    "wrong", [{}, {"cents": 1, "basis_points": 1}, {"cents": 0}, {"cents": -5}]
)
def test_a_discount_that_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadDiscount):
        Discount("d", day("2026-01-01"), **wrong)
    with pytest.raises(BadDiscount, match="all of the price"):
        Discount("d", day("2026-01-01"), basis_points=10_001)


def test_days_suspended_after_the_issue_are_given_back_by_the_next_invoice() -> None:
    # Issued on 31 August, which knows the days before it.
    bill = subscription(suspensions=(out("2026-08-30", "2026-09-12"),))
    first = propose(bill, day("2026-09-10"), TERMS)
    assert issue_on(first.due_on, TERMS.issue_days_before) == day("2026-08-31")
    assert [line.amount_cents for line in first.lines] == [99_90, -3_22]
    later = replace(bill, billed_until=first.billed_until, credited_until=first.credited_until)
    assert cents_of(later, "2026-10-10") == [99_90, -32_23, -6_66]


def test_reduced_days_are_credited_where_the_terms_say_so() -> None:
    bill = subscription(suspensions=(out("2026-08-12", "2026-08-24", Level.REDUCED),))
    assert cents_of(bill, "2026-09-10", Terms(reduced_credit_percent=50)) == [99_90, -19_34]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


@pytest.mark.parametrize(
    ("started", "ended", "cents"),
    [
        # rule 14: 600 of 44640 minutes of 99.90
        ("2026-08-15T10:00", "2026-08-15T20:00", [-1_34]),
        # not longer than the threshold
        ("2026-08-15T10:00", "2026-08-15T10:30", []),
        # a whole day of 31
        ("2026-08-15T00:00", "2026-08-16T00:00", [-3_22]),
        # over a cycle's end: half a day of 31 and half a day of the next 30
        ("2026-09-09T12:00", "2026-09-10T12:00", [-3_28]),
    ],
)
def test_an_outage_is_credited_by_the_minute(started: str, ended: str, cents: list[int]) -> None:
    bill = subscription(outages=(Outage(1, at(started), at(ended)),))
    found = propose(bill, day("2026-09-10"), TERMS)
    assert [line.amount_cents for line in found.lines] == [99_90, *cents]
    assert found.outage_ids == (1,)


def test_an_outage_gives_nothing_for_days_that_cost_nothing() -> None:
    bill = subscription(
        outages=(Outage(1, at("2026-08-15T00:00"), at("2026-08-17T00:00")),),
        suspensions=(out("2026-08-15", "2026-08-16"),),
    )
    assert cents_of(bill, "2026-09-10") == [99_90, -3_22, -3_22]


def extra(number: int, cents: int, due: str, *, by_hand: bool = True) -> Extra:
    return Extra(number, Line("Instalação", cents, Kind.ONE_OFF), day(due), by_hand)


def test_lines_wait_for_their_due_date_and_the_final_invoice_takes_all() -> None:
    bill = subscription(extras=(extra(1, 50_00, "2026-09-10"), extra(2, 50_00, "2026-10-10")))
    assert cents_of(bill, "2026-09-10") == [99_90, 50_00]
    assert propose(bill, day("2026-09-10"), TERMS).extra_ids == (1,)
    ended = replace(bill, ended_on=day("2026-08-20"))
    assert cents_of(ended, "2026-09-10") == [32_23, 50_00, 50_00]


def test_a_change_within_days_already_billed_is_corrected_by_the_difference() -> None:
    # In advance: 10 August to 9 September is billed at 99.90; from 25 August it is 149.90.
    before = subscription(mode=Mode.ADVANCE, billed_until="2026-09-10")
    after = replace(before, tariffs=(*before.tariffs, period("2026-08-25", 149_90)))
    lines = correction(before, after)
    assert [line.amount_cents for line in lines] == [-99_90, 48_34, 77_37]
    # The end of a contract gives back the days that were paid ahead.
    lines = correction(before, replace(before, ended_on=day("2026-08-25")))
    assert [line.amount_cents for line in lines] == [-99_90, 48_34]
    assert correction(before, before) == []


def test_two_changes_of_the_same_days_leave_the_last_one() -> None:
    first = Line("a", 48_34, Kind.SCM, "internet", day("2026-08-10"), day("2026-08-25"))
    waiting = [
        first,
        replace(first, amount_cents=-48_34),
        replace(first, amount_cents=32_23, until_on=day("2026-08-20")),
    ]
    bill = subscription(
        billed_until="2026-09-10",
        extras=tuple(Extra(n, x, day("2026-10-10"), False) for n, x in enumerate(waiting)),
    )
    assert cents_of(bill, "2026-10-10") == [99_90, 32_23]
    assert propose(bill, day("2026-10-10"), TERMS).extra_ids == (0, 1, 2)


def test_a_good_payer_has_a_part_of_the_price_or_a_product_for_nothing() -> None:
    assert cents_of(subscription(reward=Reward(basis_points=500)), "2026-09-10") == [99_90, -5_00]
    bill = subscription(
        addons=(Addon("filmes", "Filmes", 20_00, day("2026-08-10")),),
        reward=Reward(free_service="filmes"),
    )
    assert cents_of(bill, "2026-09-10") == [99_90, 20_00, -20_00]
    # 10 of 31 days without access: of both; what costs nothing gives nothing back.
    away = replace(bill, suspensions=(out("2026-08-20", "2026-08-30"),))
    assert cents_of(away, "2026-09-10") == [99_90, 20_00, -13_55, -32_23, -6_45]


@pytest.mark.parametrize(
    ("bill", "found"),
    [
        (subscription(), ()),
        # negative beyond what rules gave back
        (subscription(extras=(extra(1, -150_00, "2026-09-10"),)), (Flaw.NEGATIVE,)),
        # three monthly prices and a cent; an operator's line may be of any size
        (subscription(extras=(extra(1, 199_80, "2026-09-10", by_hand=False),)), ()),
        (
            subscription(extras=(extra(1, 199_81, "2026-09-10", by_hand=False),)),
            (Flaw.ABOVE_BOUND,),
        ),
        (subscription(extras=(extra(1, 900_00, "2026-09-10"),)), ()),
        # the same product twice
        (
            subscription(
                addons=tuple(
                    Addon("backup", "Backup", 1_00, day(start))
                    for start in ("2026-08-10", "2026-09-09")
                )
            ),
            (Flaw.TWICE,),
        ),
        (
            subscription(
                addons=tuple(
                    Addon(
                        "backup", "Backup", 31, day(f"2026-08-{n:02}"), day(f"2026-08-{n + 1:02}")
                    )
                    for n in range(10, 26)
                )
            ),
            (Flaw.TOO_MANY_LINES,),
        ),
        # the final invoice has none after it that could take what is left over
        (
            subscription(
                ended_on=day("2026-08-11"),
                suspensions=(out("2026-08-10", "2026-08-11"),),
                outages=(Outage(1, at("2026-08-10T00:00"), at("2026-08-10T20:00")),),
            ),
            (),
        ),
        (
            subscription(
                billed_until="2026-09-10",
                ended_on=day("2026-09-10"),
                suspensions=(out("2026-09-09", "2026-09-10"),),
                credited_until=day("2026-08-31"),
            ),
            (Flaw.NEGATIVE,),
        ),
    ],
)
def test_what_is_parked(bill: Subscription, found: tuple[Flaw, ...]) -> None:
    assert propose(bill, day("2026-09-10"), TERMS).flaws == found


@pytest.mark.parametrize(
    ("year", "month", "due_day", "due"),
    [
        (2027, 2, 29, "2027-02-28"),
        (2028, 2, 29, "2028-02-29"),
        (2028, 2, 31, "2028-02-29"),
        (2027, 4, 31, "2027-04-30"),
        (2027, 12, 31, "2027-12-31"),
    ],
)
def test_a_due_day_that_a_month_lacks_is_its_last(
    year: int, month: int, due_day: int, due: str
) -> None:
    assert due_in(year, month, due_day) == day(due)


@pytest.mark.parametrize(
    ("due", "asked", "news", "now"),
    [
        # rule 4: the bridging cycle ends before the old due date would have come
        ("2027-04-10", "2027-03-10", [25], "2027-03-25"),
        # the running cycle ends first
        ("2027-03-10", "2027-02-20", [25], "2027-03-10"),
        # the last of several counts
        ("2027-04-10", "2027-03-10", [25, 5], "2027-04-05"),
        # taken back before the bridge was billed, and before it began
        ("2027-04-10", "2027-03-10", [25, 10], "2027-04-10"),
        ("2028-03-10", "2028-02-20", [25, 10], "2028-03-10"),
    ],
)
def test_the_next_due_date_after_a_change(due: str, asked: str, news: list[int], now: str) -> None:
    due_days: tuple[DueDay, ...] = (DueDay(day("2026-08-10"), 10),)
    due_on = day(due)
    for new in news:
        after = change_due_day(due_days, new, day(asked))
        due_on = next_due_changed(due_on, due_days, after)
        due_days = after
    assert due_on == day(now)


@pytest.mark.parametrize(
    ("old", "new", "was", "waits", "moved"),
    [
        # one an invoice, the bridging one too, and none later than it was
        (10, 15, "2027-01-10", ["2027-01-10", "2027-02-10"], ["2026-12-15", "2027-01-15"]),
        (25, 5, "2027-01-25", ["2027-01-25", "2027-02-25"], ["2027-01-05", "2027-02-05"]),
        # never two on one: 28 February is the due date of both days
        (31, 30, "2027-01-31", ["2027-01-31", "2027-02-28"], ["2027-01-30", "2027-02-28"]),
        # what waited for an invoice that is past waits for the next one
        (10, 15, "2027-01-10", ["2026-12-01"], ["2026-12-15"]),
    ],
)
def test_what_waits_for_an_invoice_waits_for_the_same_one_after_a_change_of_due_day(
    old: int, new: int, was: str, waits: list[str], moved: list[str]
) -> None:
    before = (DueDay(day("2026-08-10"), old),)
    running = cycle_of(day(was) - timedelta(days=1), before)
    after = change_due_day(before, new, running.starts_on)
    now = next_due_changed(day(was), before, after)
    found = [as_many_on(day(due), day(was), before, now, after) for due in waits]
    assert found == [day(due) for due in moved]


def test_a_due_day_changes_at_the_end_of_the_running_cycle() -> None:
    due_days = (DueDay(day("2026-08-10"), 10),)
    bridged = change_due_day(due_days, 25, day("2027-02-20"))
    assert bridged == (*due_days, DueDay(day("2027-03-10"), 25))
    assert cycle_of(day("2027-03-12"), bridged).full_days == 31
    # Changed again before it began, and taken back.
    assert change_due_day(bridged, 5, day("2027-02-21"))[1:] == (DueDay(day("2027-03-10"), 5),)
    assert change_due_day(bridged, 10, day("2027-02-21")) == due_days
    assert change_due_day(bridged, 10, day("2027-03-10")) == due_days
    with pytest.raises(ValueError, match="already"):
        change_due_day(due_days, 10, day("2027-02-20"))
    with pytest.raises(ValueError, match="1 to 31"):
        change_due_day(due_days, 32, day("2027-02-20"))


@pytest.mark.parametrize(
    ("mode", "started", "due"),
    [
        (Mode.ARREARS, "2026-11-22", "2026-12-10"),
        (Mode.ARREARS, "2026-11-10", "2026-12-10"),
        (Mode.ADVANCE, "2026-11-22", "2026-12-10"),
        (Mode.ADVANCE, "2026-11-10", "2026-11-10"),
    ],
)
def test_when_the_first_invoice_is_due(mode: Mode, started: str, due: str) -> None:
    assert first_due(day(started), (DueDay(day(started), 10),), mode) == day(due)


@pytest.mark.parametrize(
    ("ended", "why", "cents"),
    [
        ("2026-08-31", Leaving.CUSTOMER, 202_19),  # rule 11: 123 of 365 days
        ("2026-01-01", Leaving.CUSTOMER, 600_00),
        ("2026-12-31", Leaving.CUSTOMER, 1_64),
        ("2027-01-01", Leaving.CUSTOMER, 0),
        ("2026-08-31", Leaving.PROVIDER_BREACH, 0),
        ("2026-08-31", Leaving.MOVED, 0),
    ],
)
def test_the_penalty_of_the_minimum_term_declines(ended: str, why: Leaving, cents: int) -> None:
    term = MinimumTerm(day("2026-01-01"), day("2027-01-01"), 600_00)
    assert penalty(term, day(ended), why) == cents


def test_a_sale_away_from_the_shop_may_be_regretted_for_seven_days() -> None:
    term = MinimumTerm(day("2026-01-01"), day("2027-01-01"), 600_00, away_from_shop=True)
    assert penalty(term, day("2026-01-08")) == 0
    assert penalty(term, day("2026-01-09")) == 586_85
    assert penalty(term, day("2026-08-31"), Leaving.MOVED, moving_is_free=False) == 202_19
    for wrong in (
        (day("2026-01-01"), day("2027-01-03"), 1),
        (day("2026-01-01"), day("2026-01-01"), 1),
    ):
        with pytest.raises(ValueError, match="1 to 366"):
            MinimumTerm(*wrong)
    with pytest.raises(ValueError, match="less than 0"):
        MinimumTerm(day("2026-01-01"), day("2027-01-01"), -1)


def parts(*parts: Component) -> Tariff:
    return Tariff("p", 100_00, parts)


REST = Component("rest", "Rest", Kind.SCM)


@pytest.mark.parametrize(
    ("tariff", "why"),
    [
        (parts(), "at least one"),
        (parts(Component("a", "", Kind.SVA, 5_000)), "last component"),
        (parts(Component("a", "", Kind.SVA), REST), "either basis_points or cents"),
        (parts(Component("a", "", Kind.SVA, 1, 1), REST), "either basis_points or cents"),
        (parts(Component("a", "", Kind.SVA, cents=-1), REST), "no less than 0"),
        (parts(Component("a", "", Kind.SVA, cents=100_01), REST), "more than the price"),
        (parts(Component("rest", "", Kind.SVA, cents=1), REST), "each service once"),
    ],
)
def test_a_composition_that_divides_no_price_is_refused(tariff: Tariff, why: str) -> None:
    with pytest.raises(BadTariff, match=why):
        check(tariff)


def test_a_component_of_cents_is_a_part_of_a_prorated_price_too() -> None:
    tariff = check(parts(Component("a", "", Kind.SVA, cents=20_00), REST))
    assert divide(tariff, 100_00) == (20_00, 80_00)
    assert divide(tariff, 33_33) == (6_66, 26_67)
    assert divide(replace(tariff, price_cents=0), 0) == (0, 0)


def paid(due: str, settled: str | None) -> Paid:
    return Paid(day(due), day(settled) if settled is not None else None)


GOOD = [paid(f"2026-{month:02}-10", f"2026-{month:02}-09") for month in range(1, 7)]


@pytest.mark.parametrize(
    ("history", "broken", "good"),
    [
        (GOOD, [], True),
        (GOOD[1:], [], False),
        # 10 May 2026 is a Sunday: Monday is in time, Tuesday is not
        ([*GOOD[:4], paid("2026-05-10", "2026-05-11"), GOOD[5]], [], True),
        ([*GOOD[:4], paid("2026-05-10", "2026-05-12"), GOOD[5]], [], False),
        ([*GOOD[:5], paid("2026-06-10", None)], [], False),
        # not due yet when the cycle begins: it says nothing
        ([*GOOD, paid("2026-07-10", None)], [], True),
        # paid late once, and well six times since
        ([paid("2025-12-10", "2026-01-02"), *GOOD], [], True),
        (GOOD, [date(2026, 3, 1)], False),
        (GOOD, [date(2025, 3, 1)], True),
    ],
)
def test_who_is_a_good_payer(history: list[Paid], broken: list[date], good: bool) -> None:
    assert is_good_payer(history, broken, day("2026-07-10"), CALENDAR, 6) is good
