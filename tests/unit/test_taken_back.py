"""A cut that reached no line is taken back, whatever step it was."""

from dataclasses import replace
from datetime import date

import pytest

from billing.access import Level
from billing.account import Account, Notice, Refused, review
from billing.ladder import Rung
from billing.stage import Stage
from billing.taken_back import take_back
from tests.support.accounts import STAGED, account, at, decided, desk, invoice, policy

REDUCED = Rung(Stage.REDUCED, date(2026, 9, 21))


def _owing() -> Account:
    notice = Notice(9, at("2026-09-04 09:00"), {1: 99_90}, at("2026-09-04 09:01"))
    return replace(account(), invoices=(invoice(),), notices=(notice,))


@pytest.mark.parametrize(
    ("now", "rungs_before", "before", "after"),
    [
        ("2026-09-21 08:00", (), Level.REDUCED, Level.FULL),
        ("2026-10-06 08:00", (REDUCED,), Level.WALLED, Level.REDUCED),
    ],
)
def test_the_level_of_before_the_cut_stands_again(
    now: str, rungs_before: tuple[Rung, ...], before: Level, after: Level
) -> None:
    rules = policy(steps=STAGED)
    owing = _owing()
    owing, _ = review(owing, desk("2026-09-21 08:00", rules))
    cut, _ = review(owing, desk(now, rules))
    assert cut.contracts[0].access.level is before
    taken, facts = take_back(cut, 1, rungs_before, desk(now, rules))
    (fact,) = decided(facts)
    assert (fact.access.level, fact.reason) == (after, "kill_switch")
    assert fact.generation == cut.contracts[0].generation + 1
    assert taken.contracts[0].rungs == rungs_before
    # The switch lifted, the step is entered like any other.
    lifted = tuple(replace(contract, bars=()) for contract in taken.contracts)
    again, _ = review(replace(taken, contracts=lifted), desk(now, rules))
    assert again.contracts[0].access.level is before


def test_an_ended_contract_has_nothing_to_take_back() -> None:
    ended = replace(account().contracts[0], ended_on=date(2026, 9, 1))
    with pytest.raises(Refused):
        take_back(replace(account(), contracts=(ended,)), 1, (), desk("2026-09-21 08:00"))
