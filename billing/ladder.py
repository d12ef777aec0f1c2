"""Delinquency ladder: debt, notices and an instant in, a verdict out. No I/O, no clock.

Rules 1 to 9 and 16 of the policy text; the numbers are the policy document's.
Source: shape after Kill Bill's overdue states (facts, verdict and effect kept apart).
"""

from dataclasses import dataclass
from datetime import date, datetime

from billing.access import Level


@dataclass(frozen=True, slots=True)
class Receivable:
    """One invoice as the ladder sees it. `unpaid_cents` is principal only."""

    invoice_id: int
    due_on: date
    unpaid_cents: int


@dataclass(frozen=True, slots=True)
class CoveringNotice:
    """A notice that was proven delivered on `proven_on` (local), and the invoices it lists."""

    notice_id: int
    proven_on: date
    invoice_ids: frozenset[int]


@dataclass(frozen=True, slots=True)
class Rung:
    """A step that is in force and the local day on which it was really entered (rule 5)."""

    level: Level
    entered_on: date


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a verdict depends on besides policy, calendar and instant.

    `promise_until` is the last local day of a promise in force; `hold_until` the end of an
    operator's hold. `rungs` are mild to severe.
    """

    receivables: tuple[Receivable, ...]
    notices: tuple[CoveringNotice, ...] = ()
    rungs: tuple[Rung, ...] = ()
    promise_until: date | None = None
    hold_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the ladder says (rule 16), and `rungs`, which the caller keeps for the next look.

    `reason` is a stable code (`no_debt`, `notice_running`, `step_reached`, `awaiting_allowed_time`,
    `promise`, `hold`, ...); a person's sentence is made from it elsewhere. `review_on` is the first
    instant at which, with no new fact, the verdict could change; None: never.
    """

    level: Level
    step: str | None
    reason: str
    invoice_ids: tuple[int, ...]
    counted_cents: int
    notice_id: int | None
    policy_name: str
    policy_version: int
    review_on: datetime | None
    rungs: tuple[Rung, ...]
