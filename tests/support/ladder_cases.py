"""The rows of docs/ladder-cases.md: the policies, and what happens to whom under which facts."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "ladder-cases.md"
LEVELS = ("full", "reduced", "walled", "blocked", "rescind", "bureau", "agency", "paused")


@dataclass(frozen=True, slots=True)
class Rules:
    """A policy as the page states it. Money in cents; `steps` are (stage, anchor, days)."""

    name: str
    notice_after_days: int
    notice_days: int
    steps: tuple[tuple[str, str, int], ...]
    numbers: dict[str, str]

    def number(self, key: str) -> int:
        return int(self.numbers[key])


@dataclass(frozen=True, slots=True)
class Case:
    """One row. `facts` and `result` are its items, in the page's order."""

    section: str
    number: str
    situation: str
    policy: str
    holidays: tuple[date, ...]
    facts: tuple[str, ...]
    result: tuple[str, ...]
    source: str


def _rows(pattern: str) -> list[tuple[str, list[str]]]:
    """The cells of each matching table row, with the heading above it."""
    found, section = [], ""
    for line in PAGE.read_text("utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
        if re.match(pattern, line):
            found.append((section, [cell.strip() for cell in line.strip("|").split("|")]))
    return found


def policies() -> dict[str, Rules]:
    """The page's policies, by name."""
    found = {}
    for section, cells in _rows(r"\| `"):
        if section != "Policies":
            continue
        name, notice, steps, others = (cell.strip("`") for cell in cells)
        after, days = re.fullmatch(r"due \+ (\d+), matures in (\d+)", notice).groups()  # type: ignore[union-attr]
        numbers = dict(item.split("=") for item in others.split("; "))
        found[name] = Rules(
            name, int(after), int(days), tuple(map(_step, steps.split("; "))), numbers
        )
    return found


def _step(text: str) -> tuple[str, str, int]:
    stage, anchor, _, days = text.split()
    return stage, anchor, int(days)


def cases() -> list[Case]:
    """Every case of every table, in the page's order."""
    found = []
    for section, cells in _rows(r"\| \d+\.\d+ \|"):
        number, situation, policy, calendar, facts, result, source = cells
        extra = tuple(map(date.fromisoformat, re.findall(r"\d{4}-\d\d-\d\d", calendar)))
        found.append(
            Case(
                section=section,
                number=number,
                situation=situation,
                policy=policy.strip("`"),
                holidays=extra,
                facts=tuple(facts.split("; ")),
                result=tuple(result.split("; ")),
                source=source,
            )
        )
    return found


@dataclass(frozen=True, slots=True, order=True)
class Happening:
    """A fact with its instant; `what` and its words. Those of one instant stand in their order."""

    at: str
    place: int
    what: str
    words: tuple[str, ...]

    def instant(self) -> datetime:
        return datetime.fromisoformat(self.at)


def happenings(case: Case) -> list[Happening]:
    """A case's facts in time: `2026-09-26 23:10 paid 1 99.90` and the like."""
    found = []
    for place, text in enumerate(case.facts):
        match = re.fullmatch(r"(\d{4}-\d\d-\d\d(?: \d\d:\d\d)?) (\S+)(?: (.*))?", text)
        if match is None:
            raise ValueError(f"case {case.number} has a fact that nobody reads: {text}")
        at, what, rest = match.groups()
        at = at if " " in at else f"{at} 00:00"
        found.append(Happening(at, place, what, tuple((rest or "").split())))
    return sorted(found)


def cents(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole) * 100 + int(part)
