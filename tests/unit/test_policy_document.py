import json
from datetime import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.policy import Law, PolicyError, Step, document, parse, read
from billing.stage import Stage
from config.policies import shipped
from tests.support.accounts import STAGED


def test_the_shipped_policies_are_what_the_rules_say() -> None:
    documents = shipped()
    assert set(documents) == {"anatel-632", "anatel-765", "gentle", "simple", "strict"}
    brazilian = parse("anatel-765", 1, documents["anatel-765"])
    assert brazilian == parse("anatel-765", 1, {}), "the defaults are the law's preset"
    assert brazilian.steps == (
        Step(Stage.WALLED, "maturity", 0),
        Step(Stage.RESCIND, "walled", 60),
        Step(Stage.BUREAU, "rescind", 0),
        Step(Stage.AGENCY, "rescind", 30),
    )
    assert (brazilian.notice_days, brazilian.notice_after_days) == (15, 3)
    assert (brazilian.cut_from, brazilian.cut_until) == (time(8), time(16))
    simple = parse("simple", 1, documents["simple"])
    assert simple.law is Law.NONE
    assert [step.stage for step in simple.steps] == [Stage.REDUCED, Stage.WALLED]


def test_a_policy_survives_its_document_as_json() -> None:
    policy = parse("x", 3, {"steps": STAGED, "cut_any_day": True, "promise_level": "reduced"})
    assert parse("x", 3, json.loads(json.dumps(document(policy)))) == policy


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"noticedays": 15}, "unknown key noticedays; known keys are law, steps"),
        (
            {"law": "anatel-999"},
            "law must be one of anatel-765, anatel-632, none, not 'anatel-999'",
        ),
        ({"law": 765}, "law must be one of"),
        ({"notice_days": 14}, "law anatel-765 asks for 15 at least"),
        ({"notice_days": "15"}, "notice_days must be a whole number from 0 to 3650, not '15'"),
        ({"notice_days": 15.0}, "notice_days must be a whole number"),
        ({"notice_days": True}, "notice_days must be a whole number"),
        ({"notice_after_days": -1}, "notice_after_days must be a whole number from 0"),
        ({"min_debt_cents": 0}, "min_debt_cents must be a whole number from 1"),
        ({"promise_days": 0}, "promise_days must be a whole number from 1"),
        ({"promise_level": "walled"}, "promise_level must be one of full, reduced"),
        ({"fine_basis_points": 201}, "fine_basis_points must be a whole number from 0 to 200"),
        ({"interest_month_basis_points": 101}, "interest_month_basis_points must be"),
        ({"cut_from": "8:00"}, "cut_from must be a time such as \"08:00\", not '8:00'"),
        ({"cut_from": "24:00"}, "cut_from must be a time"),
        ({"cut_from": "٠٨:٠٠"}, "cut_from must be a time"),
        ({"cut_from": "16:00"}, "cut_from must be earlier than cut_until"),
        ({"cut_any_day": 1}, "cut_any_day must be true or false"),
        ({"channels": []}, "channels must be a list with at least one of email"),
        ({"channels": ["pigeon"]}, "unknown channel 'pigeon'; known channels are email"),
        ({"channels": ["email", "email"]}, "names one channel twice"),
        ({"channels": [["email"]]}, "unknown channel"),
        ({"steps": []}, "steps must be a list with at least one step"),
        ({"steps": {"level": "walled"}}, "steps must be a list"),
        ({"steps": ["walled"]}, r"steps\[0\] must be a table"),
        (
            {"steps": [{}]},
            r"steps\[0\].level must be one of reduced, walled, blocked, rescind, bureau",
        ),
        ({"steps": [{"level": "full"}]}, r"steps\[0\].level must be one of reduced"),
        ({"steps": [{"level": "walled", "days": 1}]}, r"unknown key steps\[0\].days"),
        ({"steps": [{"level": "walled", "after_days": -1}]}, "cannot come before its notice"),
        ({"steps": [{"level": "walled", "after_days": "x"}]}, r"steps\[0\].after_days must be"),
        ({"steps": [{"level": "walled", "anchor": "due"}]}, "anchor must be one of maturity, not"),
        ({"steps": [{"level": "walled", "anchor": "reduced"}]}, "anchor must be one of maturity"),
        (
            {"steps": [{"level": "walled"}, {"level": "reduced", "after_days": 15}]},
            "level reduced is not more severe than walled before it; a ladder never softens",
        ),
        ({"steps": [{"level": "walled"}, {"level": "walled"}]}, "not more severe than walled"),
        (
            {"steps": [{"level": "reduced", "after_days": 15}, {"level": "walled"}]},
            "puts walled before the milder reduced",
        ),
        (
            {"steps": [{"level": "reduced"}, {"level": "walled", "anchor": "blocked"}]},
            "anchor must be one of maturity, reduced, not 'blocked'",
        ),
    ],
)
def test_a_wrong_document_is_refused_in_one_sentence(changes: dict[str, object], says: str) -> None:
    with pytest.raises(PolicyError, match=says) as caught:
        parse("x", 1, changes)
    assert "\n" not in str(caught.value)


OLD_LAW: list[dict[str, object]] = [
    {"level": "reduced"},
    {"level": "blocked", "anchor": "reduced", "after_days": 30},
    {"level": "rescind", "anchor": "blocked", "after_days": 30},
]


def _with(steps: list[Any], place: int, **changes: object) -> list[Any]:
    return [{**step, **changes} if n == place else step for n, step in enumerate(steps)]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"steps": [{"level": "walled"}, {"level": "rescind", "anchor": "walled"}]},
            "steps.1. overlaps: rescind would begin on the day of walled",
        ),
        (
            {
                "steps": [
                    {"level": "walled"},
                    {"level": "rescind", "anchor": "walled", "after_days": 59},
                ]
            },
            "rescind comes less than 60 days after the suspension really began, which law"
            " anatel-765 asks for; anchor it to walled with after_days 60 or more",
        ),
        # 60 days from maturity, but a suspension that was postponed would not postpone it.
        (
            {"steps": [{"level": "walled"}, {"level": "rescind", "after_days": 60}]},
            "rescind comes less than 60 days after the suspension really began",
        ),
        (
            {
                "steps": [
                    {"level": "reduced"},
                    {"level": "rescind", "anchor": "reduced", "after_days": 90},
                ]
            },
            "rescind follows no suspension, but law anatel-765 ends a contract 60 days after one",
        ),
        (
            {"steps": [{"level": "walled"}, {"level": "bureau", "anchor": "walled"}]},
            "bureau comes without rescind before it: bureaus and agencies follow an ended contract",
        ),
        ({"law": "anatel-632", "notice_days": 14}, "law anatel-632 asks for 15 at least"),
        (
            {"law": "anatel-632", "steps": [{"level": "blocked"}]},
            "the first step is blocked, but law anatel-632 asks for reduced speed before",
        ),
        (
            {"law": "anatel-632", "steps": _with(OLD_LAW, 1, after_days=29)},
            "blocked comes less than 30 days after reduced speed really began",
        ),
        (
            {"law": "anatel-632", "steps": _with(OLD_LAW, 1, anchor="maturity", after_days=40)},
            "anchor it to reduced with after_days 30 or more",
        ),
        (
            {"law": "anatel-632", "steps": _with(OLD_LAW, 2, after_days=29)},
            "rescind comes less than 30 days after the suspension really began, which law"
            " anatel-632 asks for",
        ),
        ({"reminders": 5}, "reminders must be a list of at most 20 days"),
        ({"reminders": [0, "1"]}, "reminders are whole days from -60 to 60"),
        ({"reminders": [61]}, "before the due date negative, not 61"),
        ({"reminders": [1, -1, 1]}, "reminders names one day twice"),
        ({"scope": "family"}, "scope must be one of contract, payer"),
        ({"valid_from": "2026-13-01"}, "valid_from must be a date such as"),
        ({"valid_from": 20261201}, "valid_from must be a date such as"),
    ],
)
def test_what_overlaps_or_breaks_its_law_is_refused_with_what_to_put(
    changes: dict[str, object], says: str
) -> None:
    with pytest.raises(PolicyError, match=says):
        parse("x", 1, changes)


@pytest.mark.parametrize(
    "steps",
    [
        [
            {"level": "walled"},
            {"level": "blocked", "anchor": "walled", "after_days": 20},
            {"level": "rescind", "anchor": "blocked", "after_days": 40},
        ],
        [
            {"level": "reduced"},
            {"level": "walled", "anchor": "reduced", "after_days": 15},
            {"level": "rescind", "anchor": "walled", "after_days": 60},
            {"level": "bureau", "anchor": "rescind"},
        ],
    ],
)
def test_days_since_the_suspension_add_up_along_the_anchors(steps: list[object]) -> None:
    assert parse("x", 1, {"steps": steps}).law is Law.ANATEL_765
    with pytest.raises(PolicyError, match=r"the first step is walled|30 days after reduced"):
        parse("x", 1, {"steps": steps, "law": "anatel-632"})


def test_a_law_without_steps_of_its_own_has_the_laws_steps() -> None:
    stages = [step.stage for step in parse("x", 1, {"law": "anatel-632"}).steps]
    assert stages == [Stage.REDUCED, Stage.BLOCKED, Stage.RESCIND, Stage.BUREAU, Stage.AGENCY]


def test_a_stored_document_stays_readable_under_newer_bounds() -> None:
    """What was accepted once is read for ever; only what is written now is checked."""
    old = {"steps": [{"level": "reduced"}, {"level": "walled"}], "notice_days": 3}
    assert read("x", 1, old).reminders == (-5, -1, 1)
    with pytest.raises(PolicyError):
        parse("x", 1, old)


def test_reminders_are_kept_in_order() -> None:
    assert parse("x", 1, {"reminders": [3, -5, 0]}).reminders == (-5, 0, 3)
    assert parse("x", 1, {"reminders": []}).reminders == ()


def test_without_the_law_a_notice_may_be_shorter() -> None:
    assert parse("x", 1, {"law": "none", "notice_days": 0}).notice_days == 0


@pytest.mark.parametrize("name", ["", "a" * 65, "a/b", "a b", "é", "x\n"])
def test_a_name_that_no_path_could_carry_is_refused(name: str) -> None:
    with pytest.raises(PolicyError, match="policy name"):
        parse(name, 1, {})


_KEYS = st.sampled_from([*document(parse("x", 1, {})), "other"])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["level", "anchor", "after_days"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_any_document_is_a_policy_or_a_policy_error(changes: dict[str, object]) -> None:
    try:
        policy = parse("x", 1, changes)
    except PolicyError:
        return
    assert parse("x", 1, document(policy)) == policy
