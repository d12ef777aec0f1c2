"""docs/money-examples.md, row by row: its equations, the judge's answer, the product's answer."""

from collections import Counter

import pytest

from tests.support import product_answers
from tests.support.money_examples import Example, examples, wrong_equations
from tests.support.money_oracle.answers import ANSWERS

ROWS = examples()


def _row(example: Example) -> str:
    return f"{example.number}-{example.section.replace(' ', '-').lower()}"


def test_the_page_has_every_rule_and_no_number_twice() -> None:
    assert len(ROWS) >= 70
    assert {row.section for row in ROWS} == set(ANSWERS)
    assert Counter(row.number for row in ROWS).most_common(1)[0][1] == 1
    assert {row.number.split(".")[0] for row in ROWS} == {"B", *map(str, range(17))}
    assert all(row.source for row in ROWS)


@pytest.mark.parametrize("example", ROWS, ids=_row)
def test_its_equations_hold(example: Example) -> None:
    assert wrong_equations(example) == []


@pytest.mark.parametrize("example", ROWS, ids=_row)
def test_the_judge_answers_the_same(example: Example) -> None:
    assert ANSWERS[example.section](example) == example.result


@pytest.mark.parametrize("example", ROWS, ids=_row)
def test_the_product_answers_the_same(example: Example) -> None:
    assert product_answers.ANSWERS[example.section](example) == example.result
