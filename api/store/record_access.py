"""Writing what the ladder decided: access, stages beyond the line, and the next look."""

from typing import assert_never

from sqlalchemy import bindparam, insert, text, update

from api.store import holidays, situations
from api.store.access_tables import access_decisions
from api.store.customer_tables import contracts
from api.store.ladder_tables import contract_stages
from api.store.levels import SEVERITY
from api.store.pen import Pen
from api.store.rungs import write_rungs
from billing.access import Level
from billing.events import AccessDecided, Reviewed, StageEntered, StageLeft
from billing.ladder import Verdict

Judged = AccessDecided | Reviewed | StageEntered | StageLeft

# Counted whoever decides it, with what stood before; the customer's own suspension is no cut.
_COUNT_CUT = text(f"""
insert into cuts (contract_id, generation, at, level_before, rungs_before)
select id, :generation, :at, level, rungs from contracts
 where id = :contract_id
   and {SEVERITY.format("level")} < {SEVERITY.format("cast(:level as text)")}
""")  # noqa: S608 -- no text but our own constants
_INSERT_DECISION = insert(access_decisions)
_INSERT_STAGE = insert(contract_stages)
_LEAVE_STAGE = update(contract_stages).where(
    contract_stages.c.contract_id == bindparam("which"),
    contract_stages.c.stage == bindparam("over"),
    contract_stages.c.left_at.is_(None),
)
_UPDATE_CONTRACT = update(contracts).where(contracts.c.id == bindparam("which"))


async def write_judged(pen: Pen, fact: Judged) -> None:
    """Write one of these facts."""
    match fact:
        case AccessDecided():
            await _access_decided(pen, fact)
        case Reviewed(contract_id=contract_id, verdict=verdict):
            look = {"which": contract_id, **_last_look(verdict)}
            await pen.connection.execute(_UPDATE_CONTRACT, look)
        case StageEntered():
            await _stage_entered(pen, fact)
        case StageLeft():
            await _stage_left(pen, fact)
        case _:
            assert_never(fact)


async def _access_decided(pen: Pen, fact: AccessDecided) -> None:
    verdict, until = fact.verdict, fact.quota_spent_until
    look = _last_look(verdict)
    await pen.connection.execute(
        _INSERT_DECISION,
        {
            "contract_id": fact.contract_id,
            "generation": fact.generation,
            "level": fact.access.level,
            "rate_down_bps": fact.access.rate_down_bps,
            "rate_up_bps": fact.access.rate_up_bps,
            "step": verdict.step,
            "invoice_ids": list(verdict.invoice_ids),
            "counted_cents": verdict.counted_cents,
            "notice_id": verdict.notice_id,
            "policy": verdict.policy_name,
            "policy_version": verdict.policy_version,
            "situation": situations.write(fact.situation, fact.meter)
            | holidays.named(fact.calendar),
            "decided_at": fact.since,
            "quota_spent_until": fact.quota_spent_until,
            "correlation_id": pen.correlation_id,
            **look,
            "reason": fact.reason,
        },
    )
    if fact.access.level is not Level.FULL and verdict.reason != "paused":
        counted = {
            "contract_id": fact.contract_id,
            "generation": fact.generation,
            "level": fact.access.level.value,
            "at": fact.since,
        }
        await pen.connection.execute(_COUNT_CUT, counted)
    standing = {
        "which": fact.contract_id,
        "level": fact.access.level,
        "generation": fact.generation,
        "since": fact.since,
        "quota_spent_until": fact.quota_spent_until,
        **look,
    }
    await pen.connection.execute(_UPDATE_CONTRACT, standing)
    pen.written.notifications.append(("religa_access", str(fact.contract_id)))
    pen.tell(
        "access.decided",
        f"contract:{fact.contract_id}",
        generation=fact.generation,
        level=fact.access.level,
        reason=fact.reason,
        quota_spent_until=until.isoformat() if until is not None else None,
        invoice_ids=list(verdict.invoice_ids),
        amounts_cents=list(verdict.amounts_cents),
        counted_cents=verdict.counted_cents,
        notice_id=verdict.notice_id,
        policy=f"{verdict.policy_name}@{verdict.policy_version}",
    )


async def _stage_entered(pen: Pen, fact: StageEntered) -> None:
    verdict = fact.verdict
    counted = {
        "stage": fact.stage.value,
        "invoice_ids": list(verdict.invoice_ids),
        "amounts_cents": list(verdict.amounts_cents),
        "counted_cents": verdict.counted_cents,
        "notice_id": verdict.notice_id,
    }
    row = counted | {
        "contract_id": fact.contract_id,
        "entered_at": fact.at,
        "policy": verdict.policy_name,
        "policy_version": verdict.policy_version,
        "situation": situations.write(fact.situation, None) | holidays.named(fact.calendar),
        "correlation_id": pen.correlation_id,
    }
    await pen.connection.execute(_INSERT_STAGE, row)
    pen.tell(
        "stage.entered",
        f"contract:{fact.contract_id}",
        **counted,
        policy=f"{verdict.policy_name}@{verdict.policy_version}",
    )


async def _stage_left(pen: Pen, fact: StageLeft) -> None:
    left = {"left_at": fact.at, "left_reason": fact.reason}
    await pen.connection.execute(
        _LEAVE_STAGE, {"which": fact.contract_id, "over": fact.stage.value, **left}
    )
    pen.tell(
        "stage.left",
        f"contract:{fact.contract_id}",
        stage=fact.stage.value,
        reason=fact.reason,
    )


def _last_look(verdict: Verdict) -> dict[str, object]:
    return {
        "reason": verdict.reason,
        "rungs": write_rungs(verdict.rungs),
        "review_on": verdict.review_on,
    }
