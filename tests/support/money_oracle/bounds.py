"""Who is rewarded (rule 15) and what is parked (rule 16)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date


def good_payer(
    invoices: Sequence[tuple[date, bool]], broken_on: Sequence[date] = (), needed: int = 6
) -> bool:
    """Whether the last invoices were all paid in time and nothing was broken since.

    Args:
        invoices: (due date, paid by rule 5's date), in any order.
        broken_on: days on which a promise or an agreement was broken.
        needed: how many invoices it takes.
    """
    last = sorted(invoices)[-needed:]
    if len(last) < needed or not all(timely for _, timely in last):
        return False
    return not any(day >= last[0][0] for day in broken_on)


@dataclass(frozen=True, slots=True)
class Proposed:
    """One line of an invoice that nobody has seen yet.

    Attributes:
        service: what it charges for.
        cents: its amount.
        days: the days that a recurring line covers; none for another line.
        operator: somebody wrote it by hand.
    """

    service: str
    cents: int
    days: frozenset[date] = frozenset()
    operator: bool = False


def parked(
    lines: Sequence[Proposed], monthly: int, credit: int = 0, times: int = 3, most: int = 15
) -> set[str]:
    """Why an invoice is not issued: `negative`, `absurd`, `double`, `crowded`; empty if it is."""
    why = set()
    total = sum(line.cents for line in lines)
    if total < -credit:
        why.add("negative")
    if total > times * monthly and not any(line.operator for line in lines):
        why.add("absurd")
    covered = Counter((line.service, day) for line in lines for day in line.days)
    if any(number > 1 for number in covered.values()):
        why.add("double")
    if any(number > most for number in Counter(line.service for line in lines).values()):
        why.add("crowded")
    return why
