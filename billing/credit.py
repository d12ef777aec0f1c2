"""Credit analysis: what is known of an applicant in, what may be sold and on which terms out.

Every decision has its reasons in words, and a person may decide otherwise with a reason of their
own: LGPD art. 20 (review of automated decisions, and the criteria told on request). What was
refused needs two persons.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Final

from billing.money import half_up
from billing.refusal import Refused

NO_SCORE: Final = "no_score"
SCORE_MAX: Final = 1000


class Outcome(StrEnum):
    """PREPAID is billed in advance; OTHER_DUE_DAY approves for the due days named with it."""

    APPROVE = "approve"
    DEPOSIT = "deposit"
    PREPAID = "prepaid"
    OTHER_DUE_DAY = "other_due_day"
    MANUAL_REVIEW = "manual_review"
    REFUSE = "refuse"

    @property
    def sells(self) -> bool:
        """Whether a contract may be made on it."""
        return self not in (Outcome.MANUAL_REVIEW, Outcome.REFUSE)


class Flag(StrEnum):
    """What bureaus say beside the score, mild to severe; the worst one is what counts."""

    NONE = "none"
    OTHER_DEBT = "other_debt"
    TELECOM_DEBT = "telecom_debt"
    NO_ANSWER = "no_answer"
    IDENTITY_DOUBT = "identity_doubt"
    DOCUMENT_INVALID = "document_invalid"


class History(StrEnum):
    """What our own books say of the document, in the order in which it counts."""

    NONE = "none"
    GOOD = "good"
    LATE = "late"
    BROKEN_AGREEMENT = "broken_agreement"
    DEBT = "debt"


DIMENSIONS: Final = ("band", "flag", "history", "price", "class")
Case = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Report:
    """What one bureau answered. `score` is 0 to 1000, higher is safer; None: it has none."""

    bureau: str
    score: int | None
    score_model: str = ""
    flags: frozenset[Flag] = frozenset()
    pending_count: int = 0
    pending_cents: int = 0
    protocol: str = ""


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """Our own books of one document: the `local` bureau. Counts are of invoices ever due."""

    contracts: int = 0
    overdue_cents: int = 0
    broken_agreements: int = 0
    paid: int = 0
    paid_late: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """A band begins at `start` (a score, or a monthly price in cents) and ends at the next."""

    name: str
    start: int


@dataclass(frozen=True, slots=True)
class Rule:
    """When every dimension named in `when` has one of its words, `outcome` is decided.

    `deposit_percent` is of the plan's monthly price. `texts` tell the customer why, by language.
    """

    when: Mapping[str, frozenset[str]]
    outcome: Outcome
    texts: Mapping[str, str]
    deposit_percent: int = 0
    due_days: tuple[int, ...] = ()

    def matches(self, case: Case) -> bool:
        """Whether this rule decides the case."""
        words = dict(zip(DIMENSIONS, case, strict=True))
        return all(words[dimension] in allowed for dimension, allowed in self.when.items())


@dataclass(frozen=True, slots=True)
class Table:
    """One version of the decision table: exactly one rule for every case.

    Attributes:
        bureaus: who is asked, beside our own books.
        required: whether a contract must name an analysis.
        cache_days: an inquiry is used again for so many days.
        valid_days: an analysis may be named by a contract for so many days.
        late_percent: more than so many of a hundred invoices paid late make a late payer.
        keep_days: what an inquiry said is forgotten after so many days (LGPD art. 15 and 16).
    """

    version: int
    bands: tuple[Cut, ...]
    prices: tuple[Cut, ...]
    classes: tuple[str, ...]
    rules: tuple[Rule, ...]
    bureaus: tuple[str, ...]
    required: bool
    cache_days: int
    valid_days: int
    late_percent: int
    keep_days: int


@dataclass(frozen=True, slots=True)
class Offer:
    """The terms on which it may be sold. `deposit_cents` only with DEPOSIT."""

    outcome: Outcome
    deposit_cents: int = 0
    due_days: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What the table says of a case; `rule` counts from 1."""

    case: Case
    rule: int
    offer: Offer
    texts: Mapping[str, str]


class AnalysisState(StrEnum):
    """WAITING for a bureau; DECIDED; AWAITING_SECOND person to overrule what was refused."""

    WAITING = "waiting"
    DECIDED = "decided"
    AWAITING_SECOND = "awaiting_second"


@dataclass(frozen=True, slots=True)
class Overruling:
    """What a person decides instead, and why."""

    offer: Offer
    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """Where an analysis stands. `decided` is the table's word, `overruling` a person's after it.

    `proposed` waits for a second person. `valid_until` is the last day on which a contract may
    name it.
    """

    state: AnalysisState
    valid_until: date
    decided: Offer | None = None
    overruling: Overruling | None = None
    proposed: Overruling | None = None

    @property
    def offer(self) -> Offer | None:
        """The terms in force; None while it waits for a bureau."""
        return self.overruling.offer if self.overruling is not None else self.decided


def history_of(record: OwnRecord, late_percent: int) -> History:
    """The worst that our books say; GOOD needs something that was paid."""
    if record.overdue_cents > 0:
        return History.DEBT
    if record.broken_agreements:
        return History.BROKEN_AGREEMENT
    if not record.paid:
        return History.NONE
    late = record.paid_late * 100 > record.paid * late_percent
    return History.LATE if late else History.GOOD


def case_of(
    table: Table,
    reports: Sequence[Report],
    record: OwnRecord,
    price_cents: int,
    customer_class: str,
) -> Case:
    """What the table is asked: the lowest score and the worst flag of all bureaus that answered.

    A table that asks bureaus and has no report of any of them decides with `no_answer`.
    """
    scores = [report.score for report in reports if report.score is not None]
    flags = {flag for report in reports for flag in report.flags}
    if table.bureaus and not reports:
        flags.add(Flag.NO_ANSWER)
    order = list(Flag)
    return (
        _band(table.bands, min(scores)) if scores else NO_SCORE,
        max(flags, key=order.index, default=Flag.NONE).value,
        history_of(record, table.late_percent).value,
        _band(table.prices, price_cents),
        customer_class,
    )


def decide(table: Table, case: Case, price_cents: int) -> Decision:
    """The one rule that decides a case; `price_cents` is the plan's monthly price."""
    for number, rule in enumerate(table.rules, start=1):
        if rule.matches(case):
            deposit = half_up(Fraction(price_cents * rule.deposit_percent, 100))
            offer = Offer(rule.outcome, deposit, rule.due_days)
            return Decision(case, number, offer, rule.texts)
    raise ValueError(f"no rule decides {case}, which a valid table never lets happen")


def overrule(analysis: Analysis, by: Overruling, today: date) -> Analysis:
    """A person decides otherwise (LGPD art. 20); a refusal falls only by two persons.

    Raises:
        Refused: it still waits for a bureau, it is no longer valid, nothing would change, or the
            second person is the first.
    """
    offer = analysis.offer
    if offer is None or analysis.state is AnalysisState.WAITING:
        raise Refused("a bureau has not answered yet; wait for the decision, then overrule it")
    if today > analysis.valid_until:
        raise Refused(f"the analysis was valid until {analysis.valid_until}; make a new one")
    if by.offer.outcome is Outcome.MANUAL_REVIEW:
        raise Refused("a person decides to sell or to refuse, not to review once more")
    if by.offer == offer:
        raise Refused(f"the analysis says {offer.outcome} already; nothing would change")
    if offer.outcome is Outcome.REFUSE:
        first = analysis.proposed
        if first is None or first.offer != by.offer:
            return replace(analysis, state=AnalysisState.AWAITING_SECOND, proposed=by)
        if first.author == by.author:
            raise Refused(
                f"{by.author} proposed this already; what was refused needs a second person"
            )
    return replace(analysis, state=AnalysisState.DECIDED, overruling=by, proposed=None)


def check_contract(analysis: Analysis, due_day: int, today: date) -> Offer:
    """The terms on which a contract may be made today on the analysis.

    Raises:
        Refused: it allows none, or not with this due day, or not any more.
    """
    offer = analysis.offer
    if offer is None:
        raise Refused("the credit analysis still waits for a bureau")
    if not offer.outcome.sells:
        raise Refused(
            f"the credit analysis says {offer.outcome}; a person may decide otherwise at"
            " POST /api/v1/credit-analyses/{id}/decision"
        )
    if today > analysis.valid_until:
        raise Refused(f"the credit analysis was valid until {analysis.valid_until}; make a new one")
    if offer.due_days and due_day not in offer.due_days:
        days = ", ".join(map(str, offer.due_days))
        raise Refused(f"the credit analysis allows due days {days} only, not {due_day}")
    return offer


def _band(cuts: Sequence[Cut], value: int) -> str:
    return [cut.name for cut in cuts if cut.start <= value][-1]
