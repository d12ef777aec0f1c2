"""The ladder's rules, written again from the policy text alone: the judge of docs/ladder-cases.md.

Days are walked one by one and hours are looked at, where the product jumps from date to date. Not a
line of the product is used; the bank calendar is the money judge's own arithmetic.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from tests.support.ladder_cases import Rules
from tests.support.money_oracle.bank_days import easter, holidays, is_bank_day

DAY = timedelta(days=1)
CUTS = ("reduced", "walled", "blocked", "rescind")
LEVEL = {"rescind": "blocked", "bureau": "blocked", "agency": "blocked"}
SEVERITY = ("full", "reduced", "walled", "blocked")


@dataclass
class Invoice:
    """`shift` days is how long a dispute held its notices' days up.

    `replaced`: an agreement took it over, and access waits for the first payment.
    """

    number: int
    contract: int
    due: date
    cents: int
    disputed_on: date | None = None
    shift: int = 0
    replaced: bool = False


@dataclass
class Notice:
    listed: frozenset[int]
    drawn: date
    proven: date | None


@dataclass
class Contract:
    """`steps` are the days on which the first steps of the ladder were really entered."""

    number: int
    steps: list[date] = field(default_factory=list)
    promise_until: date | None = None
    promised_on: date | None = None
    promised: frozenset[int] = frozenset()
    lifted: bool = False
    bars: dict[str, datetime] = field(default_factory=dict)
    pause: tuple[date, date] | None = None
    ended: date | None = None
    ends: date | None = None


def public_holiday(day: date, extra: Collection[date]) -> bool:
    """National, without Carnival and Corpus Christi, which are the banks' alone; or the place's."""
    banks = {easter(day.year) + timedelta(days=away) for away in (-48, -47, 60)}
    return day in extra or (day in holidays(day.year) and day not in banks)


def may_cut(at: datetime, rules: Rules, extra: Collection[date]) -> bool:
    """Rule 6: no Friday, weekend, holiday or eve; within the hours."""
    day = at.date()
    begins, ends = map(time.fromisoformat, rules.numbers["window"].split("-"))
    if day.weekday() >= 4 or public_holiday(day, extra) or public_holiday(day + DAY, extra):
        return False
    return begins <= at.time() < ends


def overdue_from(due: date, rules: Rules) -> date:
    """Rule 1."""
    day = due
    while not is_bank_day(day):
        day += DAY
    day += DAY
    for _ in range(rules.number("float")):
        day += DAY
        while not is_bank_day(day):
            day += DAY
    return day


def notice_from(due: date, rules: Rules) -> date:
    """Rule 2."""
    return max(overdue_from(due, rules), due + timedelta(days=rules.notice_after_days))


def matures(notice: Notice, invoice: Invoice, rules: Rules) -> date | None:
    """Rule 3, with the days that a dispute took (rule 11)."""
    if notice.proven is None or invoice.number not in notice.listed:
        return None
    return notice.proven + timedelta(days=rules.notice_days + invoice.shift)


def counted(
    invoices: Collection[Invoice], notices: Collection[Notice], rules: Rules, today: date
) -> tuple[list[Invoice], date | None]:
    """Rule 4: what counts, and the day on which the oldest covering notice matured."""
    found, ripe = [], []
    for item in invoices:
        if item.cents and item.disputed_on is None and overdue_from(item.due, rules) <= today:
            days = [day for notice in notices if (day := matures(notice, item, rules)) is not None]
            if days and min(days) <= today:
                found.append(item)
                ripe.append(min(days))
    return found, min(ripe, default=None)


def own_dates(ripe: date, rules: Rules, extra: Collection[date]) -> Iterator[datetime]:
    """When each step would come by the debt's own dates (rules 5, 6 and 8)."""
    begins = time.fromisoformat(rules.numbers["window"].split("-")[0])
    days: dict[str, date] = {"maturity": ripe}
    last: date | None = None
    for stage, anchor, after in rules.steps:
        day = days[anchor] + timedelta(days=after)
        if last is not None:
            day = max(day, last + DAY)
        at = datetime.combine(day, time())
        if stage in CUTS:
            at = datetime.combine(day, begins)
            while not may_cut(at, rules, extra):
                at += DAY
        last = days[stage] = at.date()
        yield at


def judge(
    contract: Contract,
    owed: list[Invoice],
    ripe: date | None,
    rules: Rules,
    extra: Collection[date],
    at: datetime,
) -> str:
    """Rules 5 to 10, 13 and 14: the contract after a look, and the word for how it stands."""
    today = at.date()
    if ripe is None or sum(item.cents for item in owed) < rules.number("minimum_cents"):
        contract.steps.clear()
        contract.lifted = False
    else:
        reached = sum(instant <= at for instant in own_dates(ripe, rules, extra))
        del contract.steps[reached:]
        promised = contract.promise_until is not None and today <= contract.promise_until
        barred = promised or _paused(contract, today)
        barred = barred or any(at < until for until in contract.bars.values())
        free = may_cut(at, rules, extra)
        if free and not barred:
            contract.lifted = False
        _enter(contract, ripe, rules, reached, free, barred, today)
    if _paused(contract, today):
        return "paused"
    if not contract.steps:
        return "full"
    stage = rules.steps[len(contract.steps) - 1][0]
    level = LEVEL.get(stage, stage)
    promise_level = rules.numbers["promise_level"]
    if contract.lifted and SEVERITY.index(promise_level) < SEVERITY.index(level):
        return promise_level
    return stage


def _paused(contract: Contract, today: date) -> bool:
    return contract.pause is not None and contract.pause[0] <= today <= contract.pause[1]


def _enter(
    contract: Contract,
    ripe: date,
    rules: Rules,
    reached: int,
    free: bool,
    barred: bool,
    today: date,
) -> None:
    """At most the next step, and one a day (rule 5)."""
    place = len(contract.steps)
    if barred or place >= min(reached, len(rules.steps)):
        return
    stage, anchor, after = rules.steps[place]
    real = {rules.steps[n][0]: day for n, day in enumerate(contract.steps)} | {"maturity": ripe}
    day = real[anchor] + timedelta(days=after)
    if contract.steps:
        day = max(day, contract.steps[-1] + DAY)
    if today < day:
        return
    after_the_end = contract.ended is not None and contract.ended <= today
    if free if stage in CUTS else (after_the_end and (free or not contract.lifted)):
        contract.steps.append(today)
