"""What a survey asks, what may be answered, and what the answers come to.

The Net Promoter Score is the share of promoters (9 and 10) less that of detractors (0 to 6), in
points from -100 to 100. A satisfaction form is four questions, each answered from 1 to 5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

from billing.money import half_up

SCORE_MAX: Final = 10
DETRACTOR_MAX: Final = 6
PROMOTER_MIN: Final = 9
MARK_MIN: Final = 1
MARK_MAX: Final = 5
COMMENT_MAX: Final = 2000
QUESTIONS: Final = ("speed", "stability", "support", "price")


class Form(StrEnum):
    """What is asked: how likely the person is to recommend us, or how satisfied with what."""

    NPS = "nps"
    SATISFACTION = "satisfaction"


class BadAnswer(ValueError):
    """An answer that the form does not take. `field` is what to change."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Answer:
    """One person's answer: `score` of the form NPS, `marks` of the other."""

    score: int | None
    marks: Mapping[str, int] | None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """Answers of the form NPS, counted."""

    promoters: int
    passives: int
    detractors: int

    @property
    def answers(self) -> int:
        """How many answered."""
        return self.promoters + self.passives + self.detractors

    @property
    def nps(self) -> int | None:
        """Points from -100 to 100, rounded half away from zero; None: nobody answered."""
        if not self.answers:
            return None
        return half_up(Fraction(100 * (self.promoters - self.detractors), self.answers))


def tally(scores: Mapping[int, int]) -> Tally:
    """Count answers, given how many there are of each score."""

    def between(least: int, most: int) -> int:
        return sum(count for score, count in scores.items() if least <= score <= most)

    return Tally(
        promoters=between(PROMOTER_MIN, SCORE_MAX),
        passives=between(DETRACTOR_MAX + 1, PROMOTER_MIN - 1),
        detractors=between(0, DETRACTOR_MAX),
    )


def mean_hundredths(marks: Mapping[int, int]) -> int | None:
    """The mean mark in hundredths, given how many there are of each; None: nobody answered."""
    count = sum(marks.values())
    if not count:
        return None
    return half_up(Fraction(100 * sum(mark * times for mark, times in marks.items()), count))


def read_answer(form: Form, fields: Mapping[str, Sequence[str]]) -> Answer:
    """An answer from the fields of a page, each given as often as it was sent.

    Raises:
        BadAnswer: a field is missing, doubled or out of its bounds.
    """
    comment = _one(fields, "comment", "").replace("\r\n", "\n").strip()
    if len(comment) > COMMENT_MAX:
        raise BadAnswer("comment", f"it has {len(comment)} characters; {COMMENT_MAX} is the most")
    if any(not (c.isprintable() or c == "\n") for c in comment):
        raise BadAnswer("comment", "it holds characters that cannot be shown")
    if form is Form.NPS:
        return Answer(_whole(fields, "score", 0, SCORE_MAX), None, comment)
    marks = {name: _whole(fields, name, MARK_MIN, MARK_MAX) for name in QUESTIONS}
    return Answer(None, marks, comment)


def _whole(fields: Mapping[str, Sequence[str]], name: str, least: int, most: int) -> int:
    text = _one(fields, name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 2 and least <= int(text) <= most):
        raise BadAnswer(name, f"choose a number from {least} to {most}")
    return int(text)


def _one(fields: Mapping[str, Sequence[str]], name: str, default: str) -> str:
    given = fields.get(name, ())
    if len(given) > 1:
        raise BadAnswer(name, "it was sent twice; choose one")
    return given[0] if given else default
