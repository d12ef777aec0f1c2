"""Years of a small provider in virtual time, from one seed: random lives, invariants every day.

The checks are written from the policy text, not from the code: an own count of a notice's days, of
the days on which a cut may start, of every cent that came in, and at the end of every contract an
own reckoning of all it was to be billed.
"""

from collections import Counter, defaultdict
from datetime import date, timedelta
from random import Random

from billing.policy import Policy, parse
from tests.sim.judge import Broken
from tests.sim.subscriber import Subscriber
from tests.support.accounts import STAGED

__all__ = ["Broken", "World"]

POLICY: Policy = parse("anatel-765", 1, {"steps": STAGED})
# With 29 February 2020 and the midnights that São Paulo's clocks skipped on 2017-10-15 and
# 2018-11-04.
START = date(2017, 2, 1)


class World:
    """All subscribers, one clock, one sum of everything posted."""

    def __init__(self, seed: int, subscribers: int) -> None:
        self.random = Random(seed)
        self.subscribers = [
            Subscriber(number, self.random, POLICY, START) for number in range(subscribers)
        ]
        self._wakes: defaultdict[date, set[int]] = defaultdict(set)
        for each in self.subscribers:
            self._wakes[each.wakes_on].add(each.number)
        self._before = [Counter(each.books.ledger) for each in self.subscribers]
        self.ledger: Counter[str] = Counter()
        self.came_in = 0
        self.went_back = 0

    def run(self, days: int) -> None:
        """Live so many days; raises Broken at the first invariant that does not hold."""
        for elapsed in range(days):
            day = START + timedelta(days=elapsed)
            for number in sorted(self._wakes.pop(day, ())):
                each = self.subscribers[number]
                self._live(each, day)
                self._wakes[max(each.wakes_on, day + timedelta(days=1))].add(number)
            self._check_books(day)
        for each in self.subscribers:
            try:
                each.settle_up()
            except Broken as broken:
                raise Broken(f"subscriber {each.number}: {broken}") from broken

    def _live(self, each: Subscriber, day: date) -> None:
        try:
            each.live(day)
            if each.books.ledger != self._before[each.number]:
                each.books.check()
        except AssertionError as error:
            raise Broken(f"subscriber {each.number} on {day}: {error}") from error
        for name, cents in each.books.ledger.items():
            kind = name.partition(":")[0]
            self.ledger[kind] += cents - self._before[each.number][name]
        self._before[each.number] = Counter(each.books.ledger)
        self.came_in += each.came_in
        self.went_back += each.went_back
        each.came_in = each.went_back = 0

    def _check_books(self, day: date) -> None:
        if sum(self.ledger.values()) != 0:
            raise Broken(f"M1 the ledger does not sum to zero on {day}")
        if self.ledger["cash"] != self.came_in - self.went_back:
            raise Broken(
                f"M3 {self.came_in} came in and {self.went_back} went back;"
                f" {self.ledger['cash']} is posted, on {day}"
            )

    def count(self) -> Counter[str]:
        """How often what happened, over all lives."""
        total: Counter[str] = Counter()
        for each in self.subscribers:
            total.update(each.books.told)
            total.update(each.told)
        return total
