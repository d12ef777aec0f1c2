"""The shipped decision table case by case, and what a table or an overruling may not be."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from billing.credit import (
    NO_SCORE,
    Analysis,
    AnalysisState,
    Flag,
    History,
    Offer,
    Outcome,
    Overruling,
    OwnRecord,
    Report,
    case_of,
    check_contract,
    decide,
    history_of,
    overrule,
)
from billing.credit_table import CreditTableError, document, parse
from billing.refusal import Refused

SHIPPED = parse(0, {}, ())
ASKING = parse(1, {"bureaus": ["serasa"]}, ("serasa",))
TODAY = date(2026, 11, 24)
GOOD = OwnRecord(contracts=1, paid=12, paid_late=1)
LATE = OwnRecord(contracts=1, paid=12, paid_late=4)
BROKEN = OwnRecord(contracts=1, paid=12, broken_agreements=1)
OWING = OwnRecord(contracts=1, overdue_cents=1, paid=12)
NEW = OwnRecord()


def report(score: int | None, *flags: Flag) -> Report:
    return Report("serasa", score, "HSPN", frozenset(flags))


# (who, what the bureau says, our own books, price, what comes out, where it is from)
CASES: list[tuple[str, list[Report], OwnRecord, int, Outcome, str]] = [
    ("excellent", [report(701)], NEW, 9990, Outcome.APPROVE, "Serasa band 701-1000"),
    ("top of the range", [report(1000)], NEW, 9990, Outcome.APPROVE, "scores are 0-1000"),
    ("good", [report(501)], NEW, 9990, Outcome.APPROVE, "Serasa band 501-700"),
    ("last of low", [report(500)], NEW, 9990, Outcome.DEPOSIT, "Serasa band 301-500"),
    ("first of low", [report(301)], NEW, 9990, Outcome.DEPOSIT, "Serasa band 301-500"),
    ("very low", [report(300)], NEW, 9990, Outcome.PREPAID, "Serasa band 0-300"),
    ("zero", [report(0)], NEW, 9990, Outcome.PREPAID, "Serasa band 0-300"),
    ("very low, dear plan", [report(300)], NEW, 20000, Outcome.MANUAL_REVIEW, "no refusal by"),
    ("no score", [report(None)], NEW, 9990, Outcome.APPROVE, "nothing known against"),
    ("no score, debts", [report(None, Flag.OTHER_DEBT)], NEW, 9990, Outcome.DEPOSIT, "flags"),
    ("telecom debt", [report(900, Flag.TELECOM_DEBT)], NEW, 9990, Outcome.PREPAID, "flags"),
    ("two flags: the worse", [report(900, Flag.OTHER_DEBT, Flag.IDENTITY_DOUBT)], NEW, 9990,
     Outcome.MANUAL_REVIEW, "identity match"),
    ("cancelled CPF", [report(900, Flag.DOCUMENT_INVALID)], GOOD, 9990, Outcome.REFUSE, "RFB"),
    ("away", [], NEW, 9990, Outcome.MANUAL_REVIEW, "a bureau that did not answer"),
    ("two bureaus: the lower", [report(900), report(200)], NEW, 9990, Outcome.PREPAID, "caution"),
    ("owes us", [report(1000)], OWING, 9990, Outcome.REFUSE, "own history"),
    ("broke an agreement", [report(1000)], BROKEN, 9990, Outcome.PREPAID, "own history"),
    ("pays late", [report(800)], LATE, 9990, Outcome.OTHER_DUE_DAY, "own history"),
    ("pays us well", [report(100, Flag.TELECOM_DEBT)], GOOD, 9990, Outcome.APPROVE, "own first"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_the_shipped_table(
    case: tuple[str, list[Report], OwnRecord, int, Outcome, str],
) -> None:
    _, reports, own, price, outcome, _ = case
    found = decide(ASKING, case_of(ASKING, reports, own, price, "person"), price)
    assert found.offer.outcome is outcome
    assert set(found.texts) == {"pt-BR", "en"}


def test_a_table_that_asks_nobody_decides_by_our_books() -> None:
    assert case_of(SHIPPED, [], NEW, 9990, "person")[:2] == (NO_SCORE, "none")


def test_a_deposit_is_rounded_half_up_once() -> None:
    rule = {
        "outcome": "deposit",
        "deposit_percent": 50,
        "texts": {"pt-BR": "caução", "en": "deposit"},
    }
    table = parse(1, {"rules": [rule]}, ())
    case = case_of(table, [], NEW, 9999, "company")
    assert decide(table, case, 9999).offer.deposit_cents == 5000


@pytest.mark.parametrize(
    ("record", "history"),
    [
        (OwnRecord(), History.NONE),
        (OwnRecord(contracts=1), History.NONE),
        (OwnRecord(contracts=1, paid=4, paid_late=1), History.GOOD),
        (OwnRecord(contracts=1, paid=4, paid_late=2), History.LATE),
        (replace(BROKEN, paid_late=12), History.BROKEN_AGREEMENT),
        (replace(BROKEN, overdue_cents=5), History.DEBT),
    ],
)
def test_our_own_history(record: OwnRecord, history: History) -> None:
    assert history_of(record, 25) is history


TEXTS = {"pt-BR": "motivo", "en": "reason"}


def rule(outcome: str = "approve", **when: list[str]) -> dict[str, Any]:
    return {"when": when, "outcome": outcome, "texts": TEXTS}


HISTORIES = ["none", "good", "late", "broken_agreement"]
REFUSED_TABLES: list[tuple[dict[str, Any], str]] = [
    ({"rules": [rule(history=HISTORIES)]},
     "no rule decides the case band very_low, flag none, history debt, price standard,"
     " class person; add it to one rule"),
    ({"rules": [rule(), rule(flag=["none"])]},
     "rules 1 and 2 both decide the case band very_low, flag none"),
    ({"rules": [rule(band=["superb"])]}, "use word of very_low, low, good, excellent, no_score"),
    ({"rules": [rule(moon=["full"])]}, "unknown key rules[1].when.moon"),
    ({"rules": []}, "at least one rule"),
    ({"rules": [{"outcome": "approve"}]}, "in pt-BR and en (LGPD art. 20)"),
    ({"rules": [{"outcome": "approve", "texts": {"pt-BR": "só um"}}]}, "in pt-BR and en"),
    ({"rules": [rule("perhaps")]}, "outcome must be one of approve"),
    ({"rules": [rule("deposit")]}, "deposit_percent must be a whole number from 1 to 300"),
    ({"rules": [{**rule(), "deposit_percent": 10}]}, "for outcome deposit only"),
    ({"rules": [rule("other_due_day")]}, "due_days must list days"),
    ({"rules": [{**rule("other_due_day"), "due_days": [0]}]}, "from 1 to 31"),
    ({"bands": {"low": 10}}, "bands leaves a gap: low must start at 0"),
    ({"bands": {"a": 0, "b": 0}}, "bands overlap"),
    ({"bands": {"a": 0, "b": 1001}}, "bands.b must be a whole number from 0 to 1000"),
    ({"bands": {NO_SCORE: 0}}, "may not be called no_score"),
    ({"classes": ["person"]}, "classes must have 'company'"),
    ({"cache_days": 91}, "cache_days must be a whole number from 0 to 90"),
    ({"cache_days": True}, "cache_days must be a whole number"),
    ({"required": "yes"}, "required must be true or false"),
    ({"bureaus": ["astrology"]}, "use word of serasa"),
    ({"speed": 1}, "unknown key 'speed'"),
    ({"classes": ["person", "company", *(f"c{n}" for n in range(400))]}, "more than 20000"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "told"), REFUSED_TABLES)
def test_a_table_that_is_refused_says_what_to_change(table: dict[str, Any], told: str) -> None:
    with pytest.raises(CreditTableError) as refused:
        parse(1, table, ("serasa",))
    assert told in str(refused.value)


def test_a_document_is_read_as_the_table_that_wrote_it() -> None:
    assert parse(1, document(ASKING), ("serasa",)) == ASKING


REFUSE = Analysis(AnalysisState.DECIDED, TODAY, Offer(Outcome.REFUSE))
APPROVED = Offer(Outcome.APPROVE)


def by(author: str, offer: Offer = APPROVED) -> Overruling:
    return Overruling(offer, author, "comprovou renda")


def test_what_was_refused_falls_by_two_persons() -> None:
    once = overrule(REFUSE, by("ana"), TODAY)
    assert once.state is AnalysisState.AWAITING_SECOND
    assert once.offer == Offer(Outcome.REFUSE)
    with pytest.raises(Refused, match="a second person"):
        overrule(once, by("ana"), TODAY)
    twice = overrule(once, by("rui"), TODAY)
    assert (twice.state, twice.offer) == (AnalysisState.DECIDED, APPROVED)


def test_another_proposal_begins_anew() -> None:
    once = overrule(REFUSE, by("ana"), TODAY)
    other = overrule(once, by("rui", Offer(Outcome.PREPAID)), TODAY)
    assert other.state is AnalysisState.AWAITING_SECOND
    assert overrule(other, by("ana", Offer(Outcome.PREPAID)), TODAY).offer == Offer(Outcome.PREPAID)


def test_one_person_decides_what_was_not_refused() -> None:
    review = replace(REFUSE, decided=Offer(Outcome.MANUAL_REVIEW))
    assert overrule(review, by("ana"), TODAY).offer == APPROVED
    refused = overrule(review, by("ana", Offer(Outcome.REFUSE)), TODAY)
    assert overrule(refused, by("ana"), TODAY).state is AnalysisState.AWAITING_SECOND


@pytest.mark.parametrize(
    ("analysis", "overruling", "told"),
    [
        (Analysis(AnalysisState.WAITING, TODAY), by("ana"), "has not answered"),
        (replace(REFUSE, valid_until=date(2026, 11, 23)), by("ana"), "valid until 2026-11-23"),
        (REFUSE, by("ana", Offer(Outcome.MANUAL_REVIEW)), "to sell or to refuse"),
        (REFUSE, by("ana", Offer(Outcome.REFUSE)), "nothing would change"),
    ],
)
def test_an_overruling_that_is_refused(
    analysis: Analysis, overruling: Overruling, told: str
) -> None:
    with pytest.raises(Refused, match=told):
        overrule(analysis, overruling, TODAY)


@pytest.mark.parametrize(
    ("offer", "due_day", "told"),
    [
        (None, 10, "waits for a bureau"),
        (Offer(Outcome.REFUSE), 10, "says refuse"),
        (Offer(Outcome.MANUAL_REVIEW), 10, "says manual_review"),
        (Offer(Outcome.OTHER_DUE_DAY, due_days=(5, 10)), 15, "due days 5, 10 only, not 15"),
    ],
)
def test_a_contract_that_an_analysis_does_not_allow(
    offer: Offer | None, due_day: int, told: str
) -> None:
    state = AnalysisState.WAITING if offer is None else AnalysisState.DECIDED
    with pytest.raises(Refused, match=told):
        check_contract(Analysis(state, TODAY, offer), due_day, TODAY)


def test_a_contract_that_it_allows() -> None:
    offer = Offer(Outcome.OTHER_DUE_DAY, due_days=(5, 10))
    assert check_contract(Analysis(AnalysisState.DECIDED, TODAY, offer), 5, TODAY) == offer
    late = Analysis(AnalysisState.DECIDED, date(2026, 11, 23), APPROVED)
    with pytest.raises(Refused, match="valid until"):
        check_contract(late, 5, TODAY)
