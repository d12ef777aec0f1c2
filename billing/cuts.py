"""Cuts on their way: which ones a look finds, what people release, and the last look at each.

A sweep writes what its looks make true but for the cuts: they wait for the guards, and are judged
once more, one by one, under the lock of their account. No I/O, no clock.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from billing.access import Level
from billing.events import AccessDecided, Fact, Reviewed, StageEntered, StageLeft
from billing.payer import Account, Contract, Desk
from billing.policy import Policy
from billing.standing import look


@dataclass(frozen=True, slots=True)
class Cut:
    """What two people release: should any of it differ later, it is another cut."""

    contract_id: int
    before: Level
    after: Level
    counted_cents: int
    invoice_ids: tuple[int, ...]
    notice_id: int | None
    policy: str
    policy_version: int


class Outcome(StrEnum):
    """What a last look makes of a planned cut.

    LEFT: there is nothing to cut any more, or something stands against it. CHANGED: it has become
    a more severe one or, if two people released it, any other.
    """

    MADE = "cut"
    LEFT = "left"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class LastLook:
    """What is made true of it: `facts`, without the cuts that are not made now."""

    outcome: Outcome
    reason: str
    facts: list[Fact]


def cut_ids(before: Account, after: Account) -> frozenset[int]:
    """The contracts that a look cuts; the customer's own suspension is no cut."""
    levels = {contract.id: contract.access.level for contract in before.contracts}
    return frozenset(
        contract.id
        for contract in after.contracts
        if contract.access.level.severity > levels[contract.id].severity
        and contract.reason != "paused"
    )


def without(facts: Iterable[Fact], contract_ids: frozenset[int]) -> list[Fact]:
    """The facts, but for the verdicts on these contracts: they are given later, or not at all."""
    return [fact for fact in facts if judged_id(fact) not in contract_ids]


def undated(facts: Iterable[Fact]) -> list[Fact]:
    """What a look that does not know the day may keep: no stage beyond the line, no next look.

    A wrong clock would put that look where nobody looks once the clock is right.
    """
    return [fact for fact in facts if not isinstance(fact, Reviewed | StageEntered)]


def judged_id(fact: Fact) -> int | None:
    """The contract on which a fact is a verdict; None: it is none."""
    of_a_verdict = AccessDecided | Reviewed | StageEntered | StageLeft
    return fact.contract_id if isinstance(fact, of_a_verdict) else None


def cut_of(contract: Contract, facts: Sequence[Fact]) -> Cut:
    """The cut that the facts make of a contract, which stands as it did before."""
    *_, fact = (
        fact
        for fact in facts
        if isinstance(fact, AccessDecided) and fact.contract_id == contract.id
    )
    said = fact.verdict
    return Cut(
        contract_id=contract.id,
        before=contract.access.level,
        after=fact.access.level,
        counted_cents=said.counted_cents,
        invoice_ids=said.invoice_ids,
        notice_id=said.notice_id,
        policy=said.policy_name,
        policy_version=said.policy_version,
    )


def is_hasty(account: Account, cut: Cut, desk: Desk, trusted: Mapping[str, Policy]) -> bool:
    """Whether a cut follows from new rules: by those trusted before it would be none, or milder.

    Args:
        account: the payer's, before the cut.
        cut: that the rules on the desk ask for.
        desk: of the sweep.
        trusted: the policies of which another version rules now, as somebody answered for them.
    """
    if cut.policy not in trusted:
        return False
    after, _ = look(account, replace(desk, policies={**desk.policies, **trusted}), [])
    contract = next(item for item in after.contracts if item.id == cut.contract_id)
    return contract.access.level.severity < cut.after.severity


def plan_hash(cuts: Iterable[Cut]) -> bytes:
    """Of who would be cut, from where to where and for which debt, whatever the rows' order."""
    said = sorted(
        (
            cut.contract_id,
            cut.before.value,
            cut.after.value,
            cut.counted_cents,
            list(cut.invoice_ids),
            cut.notice_id,
            cut.policy,
            cut.policy_version,
        )
        for cut in cuts
    )
    return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).digest()


def last_look(
    before: Account,
    after: Account,
    facts: Sequence[Fact],
    planned: Cut,
    *,
    released: bool,
) -> LastLook:
    """Whether a planned cut is made, now that its turn has come.

    Args:
        before: the payer's account, under lock.
        after: as a look leaves it now, with all that stands against cuts on the desk.
        facts: what that look makes true. What happened to the payer's other contracts stands; only
            their cuts wait for a plan of their own.
        planned: the cut whose turn it is.
        released: two people released it; else the guards let it through.
    """
    contract_id = planned.contract_id
    mine, found = frozenset({contract_id}), cut_ids(before, after)
    reason = next(item.reason for item in after.contracts if item.id == contract_id)
    kept = without(facts, found - mine)
    if contract_id not in found:
        return LastLook(Outcome.LEFT, reason, kept)
    contract = next(item for item in before.contracts if item.id == contract_id)
    cut = cut_of(contract, kept)
    if cut.after.severity > planned.after.severity or (released and cut != planned):
        return LastLook(Outcome.CHANGED, "changed", without(kept, mine))
    return LastLook(Outcome.MADE, reason, kept)
