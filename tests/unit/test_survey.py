"""Answers that a form takes, and the arithmetic of NPS and of mean marks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.survey import (
    QUESTIONS,
    Answer,
    BadAnswer,
    Form,
    Tally,
    mean_hundredths,
    read_answer,
    tally,
)

MARKS = {name: [str(n)] for n, name in enumerate(QUESTIONS, 1)}


@pytest.mark.parametrize(
    ("scores", "counted", "nps"),
    [
        ({}, (0, 0, 0), None),
        ({10: 1}, (1, 0, 0), 100),
        ({0: 1}, (0, 0, 1), -100),
        ({8: 5}, (0, 5, 0), 0),
        # The bounds of each class.
        ({6: 1, 7: 1, 8: 1, 9: 1}, (1, 2, 1), 0),
        ({9: 70, 7: 20, 3: 10}, (70, 20, 10), 60),
        # 1 of 8 is 12.5 points: half away from zero, both ways.
        ({10: 1, 7: 7}, (1, 7, 0), 13),
        ({0: 1, 7: 7}, (0, 7, 1), -13),
        ({10: 1, 7: 2}, (1, 2, 0), 33),
    ],
)
def test_nps(scores: dict[int, int], counted: tuple[int, int, int], nps: int | None) -> None:
    assert tally(scores) == Tally(*counted)
    assert tally(scores).nps == nps


@given(st.dictionaries(st.integers(0, 10), st.integers(0, 50)))
def test_nps_is_within_its_bounds_and_mirrors(scores: dict[int, int]) -> None:
    counted = tally(scores)
    assert counted.answers == sum(scores.values())
    if counted.nps is not None:
        assert -100 <= counted.nps <= 100
        assert Tally(counted.detractors, counted.passives, counted.promoters).nps == -counted.nps


@pytest.mark.parametrize(
    ("marks", "mean"),
    [({}, None), ({5: 3}, 500), ({1: 1, 2: 1}, 150), ({1: 2, 2: 1}, 133), ({4: 1, 5: 7}, 488)],
)
def test_mean_marks(marks: dict[int, int], mean: int | None) -> None:
    assert mean_hundredths(marks) == mean


def test_answers_that_are_taken() -> None:
    assert read_answer(Form.NPS, {"score": ["0"]}) == Answer(0, None)
    taken = read_answer(Form.NPS, {"score": ["10"], "comment": [" bom\r\ne rápido "]})
    assert taken == Answer(10, None, "bom\ne rápido")
    marks = read_answer(Form.SATISFACTION, MARKS)
    assert marks.marks == dict(zip(QUESTIONS, (1, 2, 3, 4), strict=True))


@pytest.mark.parametrize(
    ("form", "fields", "field"),
    [
        (Form.NPS, {}, "score"),
        (Form.NPS, {"score": ["11"]}, "score"),
        (Form.NPS, {"score": ["-1"]}, "score"),
        (Form.NPS, {"score": ["5.0"]}, "score"),
        (Form.NPS, {"score": ["٣"]}, "score"),
        (Form.NPS, {"score": [""]}, "score"),
        (Form.NPS, {"score": ["5", "6"]}, "score"),
        (Form.NPS, {"score": ["5"], "comment": ["a" * 2001]}, "comment"),
        (Form.NPS, {"score": ["5"], "comment": ["a\x00"]}, "comment"),
        (Form.SATISFACTION, {"score": ["5"]}, "speed"),
        (Form.SATISFACTION, MARKS | {"price": ["0"]}, "price"),
        (Form.SATISFACTION, MARKS | {"price": ["6"]}, "price"),
    ],
)
def test_answers_that_are_refused(form: Form, fields: dict[str, list[str]], field: str) -> None:
    with pytest.raises(BadAnswer) as refused:
        read_answer(form, fields)
    assert refused.value.field == field
