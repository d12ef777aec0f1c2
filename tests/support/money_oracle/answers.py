"""What the judge answers to each kind of worked example, as the page's own words."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from tests.support.money_examples import Example
from tests.support.money_oracle import lines
from tests.support.money_oracle.agreement import Offer, broken_on, offer, pay_oldest_first
from tests.support.money_oracle.bank_days import payable_until
from tests.support.money_oracle.bill import Bill, Share
from tests.support.money_oracle.bounds import Proposed, good_payer, parked
from tests.support.money_oracle.cycles import DAY, Cycle, bridge, cycle_at, is_due
from tests.support.money_oracle.exact import cents, half_up, reais, split
from tests.support.money_oracle.life import DueDayChanged, Ended, Life, PlanChanged
from tests.support.money_oracle.statement import cycle_cents, statement

ZONE = ZoneInfo("America/Sao_Paulo")
Answer = dict[str, str]


def _yes(truth: bool) -> str:
    return "yes" if truth else "no"


def due_in(month: str, due_day: int) -> date:
    """The due date of a month, as in `2027-02`."""
    day = date.fromisoformat(f"{month}-01")
    while not is_due(day, due_day):
        day += DAY
    return day


def paid_cycle(example: Example) -> Cycle:
    """The cycle that the invoice due in the example's month pays for, in arrears."""
    due_day = int(example.given["due_day"])
    return cycle_at(due_in(example.given["in"], due_day) - DAY, due_day)


def life_of(example: Example) -> Life:
    """A contract with the example's days, changes and cuts; active since long before by default."""
    first = example.given.get("first")
    last = [Ended(example.day("last"))] if "last" in example.given else []
    changes = [PlanChanged(on, price) for price, on in example.dated("change")]
    cuts = pauses_of(example)
    if "cut" in example.given:
        cut, back = example.given["cut"].split(" to ")
        cuts = [(_at(cut), _at(back)), *cuts]
    return Life(
        date.fromisoformat(first) if first else date(2015, 1, 1),
        int(example.given["due_day"]),
        example.money("price"),
        events=(*changes, *last),
        cuts=tuple(cuts),
    )


def pauses_of(example: Example) -> list[tuple[datetime, datetime]]:
    """The customer's own pause: from the first instant of its first day to the end of its last."""
    if "pause" not in example.given:
        return []
    first, last = (date.fromisoformat(day) for day in example.given["pause"].split(" to "))
    return [(lines.first_instant(first, ZONE), lines.first_instant(last + DAY, ZONE))]


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


def _rounding(example: Example) -> Answer:
    if "parts" in example.given:
        parts = split(example.money("amount"), int(example.given["parts"]))
        return {"each": reais(parts[0]), "last": reais(parts[-1])}
    part = Fraction(example.given["part"])
    return {"amount": reais(half_up(example.money("amount") * part))}


def _bank_days(example: Example) -> Answer:
    return {"until": payable_until(example.day("due")).isoformat()}


def _cycles(example: Example) -> Answer:
    due_day = int(example.given["due_day"])
    due = due_in(example.given["in"], due_day)
    inside = due if example.given["mode"] == "advance" else due - DAY
    cycle = cycle_at(inside, due_day)
    return {
        "due": due.isoformat(),
        "from": cycle.start.isoformat(),
        "to": cycle.last.isoformat(),
        "days": str(cycle.of_days),
        "issued": (due - timedelta(days=10)).isoformat(),
    }


def _recurring(example: Example) -> list[int]:
    found = cycle_cents(life_of(example), paid_cycle(example))
    return [line.cents for line in found if line.text == "service"]


def _first_and_last(example: Example) -> Answer:
    (amount,) = _recurring(example)
    return {"amount": reais(amount)}


def _plan_change(example: Example) -> Answer:
    return {"lines": ", ".join(reais(line) for line in _recurring(example))}


def _due_day_change(example: Example) -> Answer:
    if "first" in example.given:
        return _next_invoices(example)
    old = int(example.given["old_day"])
    between = bridge(cycle_at(example.day("asked"), old), old, int(example.given["new_day"]))
    assert between is not None
    days = (between.end - between.start).days
    return {
        "from": between.start.isoformat(),
        "to": between.last.isoformat(),
        "of": str(between.of_days),
        "amount": reais(lines.prorated(example.money("price"), days, between.of_days)),
    }


def _next_invoices(example: Example) -> Answer:
    """The first invoice, issued at once, is of the old day; what follows knows of both changes."""
    asked, new_day = example.day("asked"), int(example.given["new_day"])
    moved = DueDayChanged(asked, new_day)
    first, old_day = example.day("first"), int(example.given["old_day"])
    changes = [PlanChanged(on, price) for price, on in example.dated("change")]
    price = example.money("price", "1.00")
    life = Life(first, old_day, price, events=(*changes, moved))
    _, *found = statement(life, asked + timedelta(days=120)).invoices
    if "instalments" in example.given:
        count = int(example.given["instalments"])
        return {"dues": ", ".join(item.due_on.isoformat() for item in found[:count])}
    sums = {line.text: reais(line.cents) for line in found[0].lines}
    return {
        "due": found[0].due_on.isoformat(),
        "amount": sums["service"],
        "correction": sums["correction"],
    }


def offers(example: Example) -> list[Fraction | int]:
    """The conditional discounts: percentages and cents."""
    return [*example.percents("percent"), *(cents(item) for item in example.items("off"))]


def _discount_of_cycles(example: Example) -> Answer:
    """One invoice for several cycles: of each at most what suspended days leave of its price."""
    price, due = example.money("price"), example.day("due")
    cut, back = (_at(instant) for instant in example.given["cut"].split(" to "))
    off, last = 0, due - DAY
    for _ in range(int(example.given["cycles"])):
        cycle = cycle_at(last, due.day)
        gone = len(lines.suspended_days(cycle.days(), [(cut, back)], ZONE))
        rest = price - lines.prorated(price, gone, cycle.of_days)
        off += min(rest, lines.discount(price, offers(example)))
        last = cycle.start - DAY
    return {"discount": reais(off)}


def _discount(example: Example) -> Answer:
    if "cycles" in example.given:
        return _discount_of_cycles(example)
    price, due = example.money("price"), example.day("due")
    off = lines.discount(price, offers(example))
    bill = Bill(due, price, off)
    last = due
    for amount, last in example.dated("paid"):
        bill.pay(amount, last)
    asked = example.day("asked") if "asked" in example.given else last
    return {
        "discount": reais(off),
        "holds": _yes(bill.owed(asked).total == 0 and not bill.lost),
        "unpaid": reais(bill.owed(asked).principal),
    }


def _owed(share: Share) -> Answer:
    return {
        "fine": reais(share.fine),
        "interest": reais(share.interest),
        "rest": reais(share.principal),
    }


def _late(example: Example) -> Answer:
    price = example.money("principal")
    bill = Bill(
        example.day("due"),
        price,
        lines.discount(price, offers(example)),
        Fraction(example.given.get("fine_percent", "2")) / 100,
        Fraction(example.given.get("monthly_percent", "1")) / 3000,
    )
    for amount, day in example.dated("paid"):
        bill.pay(amount, day)
    return _owed(bill.owed(example.day("asked")))


def _bills(example: Example) -> list[Bill]:
    return [Bill(due, amount) for amount, due in example.dated("invoices", "due")]


def _allocation(example: Example) -> Answer:
    bills = _bills(example)
    credit = example.money("credit")
    took = [Share() for _ in bills]
    payments = example.dated("paid") or [(credit, bills[0].due_on - timedelta(days=10))]
    over = 0
    for amount, day in payments:
        for number, bill in enumerate(bills):
            if example.given.get("names", bill.due_on.isoformat()) != bill.due_on.isoformat():
                continue
            share = bill.pay(amount, day)
            amount -= share.total
            took[number] = Share(
                took[number].interest + share.interest,
                took[number].fine + share.fine,
                took[number].principal + share.principal,
            )
        over += amount
    texts = [f"{reais(s.interest)}/{reais(s.fine)}/{reais(s.principal)}" for s in took]
    return {"took": ", ".join(texts), "credit": reais(over)}


def _suspended(example: Example) -> Answer:
    life, cycle = life_of(example), paid_cycle(example)
    days = [day for day in cycle.days() if day >= life.activated_on]
    credits = [item.cents for item in cycle_cents(life, cycle) if item.text == "suspended"]
    # What can be used while walled is gone in a pause alone.
    gone = len(lines.suspended_days(days, pauses_of(example), ZONE))
    back = lines.prorated(example.money("stays"), gone, cycle.of_days)
    credits += [-back] if back else []
    return {
        "days": str(len(lines.suspended_days(days, life.cuts, ZONE))),
        "lines": ", ".join(reais(amount) for amount in credits) or "none",
    }


def _composition(example: Example) -> Answer:
    weights = example.percents("percent") or [Fraction(cents(it)) for it in example.items("cents")]
    price = half_up(example.money("price") * Fraction(example.given.get("days", "1")))
    return {"lines": ", ".join(reais(part) for part in lines.composed(price, weights))}


def signed(example: Example) -> Offer:
    """The agreement of an example, from its debt or from its invoices."""
    principal, charges = example.money("principal"), example.money("charges")
    for bill in _bills(example):
        share = bill.owed(example.day("signed"))
        principal += share.principal
        charges += share.interest + share.fine
    return offer(
        principal,
        charges,
        Fraction(example.given.get("off_charges", "0")) / 100,
        Fraction(example.given.get("off_principal", "0")) / 100,
        example.money("down"),
        int(example.given["instalments"]),
        Fraction(example.given.get("monthly_percent", "0")) / 100,
    )


def _agreement(example: Example) -> Answer:
    parts = signed(example).instalments
    return {"each": reais(parts[0]), "last": reais(parts[-1])}


def _broken(example: Example) -> Answer:
    if "grace" in example.given:
        first = broken_on(example.day("due"), int(example.given["grace"]))
        return {"broken": first.isoformat()}
    bills = _bills(example)
    pay_oldest_first(bills, [(day, amount) for amount, day in example.dated("paid")])
    owed = [bill.owed(example.day("asked")) for bill in bills]
    return _owed(
        Share(
            sum(share.interest for share in owed),
            sum(share.fine for share in owed),
            sum(share.principal for share in owed),
        )
    )


def _minimum_term(example: Example) -> Answer:
    remaining, total = int(example.given["remaining"]), int(example.given["total"])
    return {"penalty": reais(lines.penalty(example.money("agreed"), remaining, total))}


def _reversals(example: Example) -> Answer:
    if "payment" in example.given:
        back = example.money("before") + example.money("back")
        return {"allowed": _yes(back <= example.money("payment"))}
    (bill,), ((amount, day),) = _bills(example), example.dated("paid")
    bill.reopen(bill.pay(amount, day), example.day("charged_back"))
    return _owed(bill.owed(example.day("asked")))


def _write_off(example: Example) -> Answer:
    (bill,) = _bills(example)
    for amount, day in example.dated("paid"):
        bill.pay(amount, day)
    lost = bill.close(example.day("written_off"))
    return {"lost": reais(lost), "recovered": reais(example.money("later"))}


def _outage(example: Example) -> Answer:
    credit = lines.outage(
        example.money("price"),
        int(example.given["minutes"]),
        int(example.given["threshold"]),
        lines.minutes_of(paid_cycle(example), ZONE),
    )
    return {"credit": reais(credit)}


def monthly_from_january(marks: Sequence[str]) -> list[tuple[date, bool]]:
    """Invoices due on the tenth of the months of 2026, and whether each was paid in time."""
    return [(date(2026, number, 10), mark == "Y") for number, mark in enumerate(marks, start=1)]


def _good_payer(example: Example) -> Answer:
    broken = [example.day("broken")] if "broken" in example.given else []
    invoices = monthly_from_january(example.given["invoices"].split())
    needed = int(example.given.get("needed", "6"))
    return {"rewarded": _yes(good_payer(invoices, broken, needed))}


def proposed(example: Example) -> list[Proposed]:
    """The lines of a proposed invoice."""
    if "periods" in example.given:
        found = []
        for period in example.items("periods"):
            first, last = (date.fromisoformat(day) for day in period.split(" to "))
            days = frozenset(first + number * DAY for number in range((last - first).days + 1))
            found.append(Proposed("internet", example.money("monthly"), days))
        return found
    if "lines" in example.given:
        return [Proposed("internet", 1)] * int(example.given["lines"])
    operator = example.given.get("operator") == "yes"
    return [Proposed("internet", example.money("total"), operator=operator)]


def _bounds(example: Example) -> Answer:
    why = parked(proposed(example), example.money("monthly"), example.money("credit"))
    return {"parked": ", ".join(sorted(why)) or "no"}


ANSWERS: dict[str, Callable[[Example], Answer]] = {
    "Rounding and splitting": _rounding,
    "Bank days": _bank_days,
    "Due dates and cycles": _cycles,
    "First and last cycle": _first_and_last,
    "Plan change": _plan_change,
    "Change of the due day": _due_day_change,
    "Conditional discount": _discount,
    "Late charges": _late,
    "Allocation": _allocation,
    "Suspended days": _suspended,
    "Telecom service and value-added services": _composition,
    "Agreement": _agreement,
    "Broken agreement": _broken,
    "Minimum term": _minimum_term,
    "Reversals": _reversals,
    "Write-off": _write_off,
    "Outage": _outage,
    "Good payer": _good_payer,
    "Bounds": _bounds,
}
