"""docs/ladder-cases.md, row by row: what the judge says and what the product lives."""

from collections import Counter

import pytest

from billing.policy import document, parse
from config.policies import shipped
from tests.support import ladder_product
from tests.support.ladder_cases import Case, cases, policies
from tests.support.ladder_oracle import life

ROWS = cases()
RULES = policies()
NOTHING = ("nothing",)
# What the page leaves to the money rules, or states in words.
_ELSEWHERE = ("fine_basis_points", "interest_month_basis_points", "reminders")


def _row(case: Case) -> str:
    return f"{case.number}-{case.policy}"


def test_the_page_has_every_rule_and_no_number_twice() -> None:
    assert len(ROWS) >= 90
    assert Counter(row.number for row in ROWS).most_common(1)[0][1] == 1
    assert {row.number.split(".")[0] for row in ROWS} == set(map(str, range(1, 17)))
    assert all(row.number.split(".")[0] == row.section.split(":")[0] for row in ROWS)
    assert all(row.source and row.situation for row in ROWS)
    assert {row.policy for row in ROWS} == set(RULES)


@pytest.mark.parametrize("name", sorted(shipped()))
def test_the_presets_on_the_page_are_those_that_ship(name: str) -> None:
    ours = document(parse(name, 1, shipped()[name]))
    pages = document(ladder_product.policy_of(RULES[name]))
    for key in _ELSEWHERE:
        del ours[key], pages[key]
    assert pages == ours


@pytest.mark.parametrize("case", ROWS, ids=_row)
def test_the_judge_says_the_same(case: Case) -> None:
    assert (life.lived(case, RULES[case.policy]) or NOTHING) == case.result


@pytest.mark.parametrize("case", ROWS, ids=_row)
def test_the_product_lives_the_same(case: Case) -> None:
    assert (ladder_product.lived(case, RULES[case.policy]) or NOTHING) == case.result
