"""Tonight's review before it happens: each contract that is due or held back, what changes and why.

Nothing is locked, drawn or written but, if asked for, the preview itself. It foresees what the
review would find: broken agreements and lapsed disputes too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from api import guards
from api.house import House
from api.known import Known
from api.looking import Looked, everything, judge
from api.review import BATCH
from api.store import plan_rows, review_rows, trusted_rules
from api.store.review_rows import Context
from api.store.uow import Uow
from billing import guard
from billing.access import Level
from billing.account import Account
from billing.cuts import is_hasty
from billing.guard import Bound, Flaw, Sight, blindness, plan_flaws, sweep_bound
from billing.ladder import Bar, Verdict
from billing.payer import Contract, Desk
from billing.policy import Policy
from billing.standing import verdict_of

ACCOUNTS = 500


class NotAhead(ValueError):
    """A preview of an instant that is past, or so far off that no holidays are known."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a sweep would find. `flaws` are why the guards would refuse its cuts.

    `next_at` is when a contract is looked at that is not yet due; None: no other ever is.
    """

    rows: tuple[Looked, ...]
    sight: Sight
    flaws: tuple[Flaw, ...]
    cuts_max: int
    cuts_max_by: Bound
    next_at: datetime | None = None

    @property
    def changes(self) -> list[Looked]:
        """The contracts whose level would change."""
        return [row for row in self.rows if row.before is not row.after]


async def preview(
    house: House, contract_ids: Sequence[int] | None, at: datetime | None = None
) -> Preview:
    """What a run would do, contract by contract.

    Args:
        house: where to look.
        contract_ids: the contracts to look at; None: all that are due, and all that a hold, a
            promise, a dispute or the like holds back. An empty list is nobody.
        at: the instant of the run, with nothing paid, asked or looked at until then; None: now.
            What stands against cuts now stands against them then.

    Raises:
        NotAhead: `at` is past, or years away.
    """
    rows: list[Looked] = []
    hasty = after = 0
    limits = house.settings.limits
    async with house.uow("review", "preview") as uow:
        now = uow.clock.now()
        if at is not None:
            at = _ahead(at, now)
        sight = await uow.sight()
        next_at = await review_rows.next_after(uow.connection, at or now)
        day = (at or now).date()
        doubted = await trusted_rules.doubted(uow.connection, day, limits.sweep_floor)
    known = guard.knows_the_day(blindness(sight, limits))
    standing = (Bar.KILL_SWITCH,) if sight.switched_off else ()
    while contract_ids is None or contract_ids:
        async with house.uow("review", "preview") as uow:
            desk = await uow.desk_with(standing, at)
            payers = await review_rows.payers(
                uow.connection, desk.now, contract_ids, after, BATCH, with_held=True
            )
            if not payers:
                break
            found = await review_rows.due(
                uow.connection, desk.now, contract_ids, payers, with_held=True
            )
            told, more = await _told(uow, desk, found, known, doubted)
            rows += told
            hasty += more
            after = payers[-1]
    async with house.uow("review", "preview") as uow:
        sight = await guards.with_counts(uow, sight, rows, at)
    cuts, on = sum(row.is_cut for row in rows), guards.cuts_on(rows)
    refused = plan_flaws(cuts, 0, sight, limits, on, hasty=hasty)
    most, by = sweep_bound(sight.active, limits, sight.weekday_cuts)
    return Preview(tuple(rows), sight, refused, most, by, next_at)


def _ahead(at: datetime, now: datetime) -> datetime:
    at = at.replace(tzinfo=now.tzinfo) if at.tzinfo is None else at.astimezone(now.tzinfo)
    if not now.astimezone(UTC) <= at.astimezone(UTC) or at.year > now.year + 1:
        raise NotAhead(
            f"one looks ahead from now, {now.isoformat()}, until the end of the next year, not to"
            f" {at.isoformat()}"
        )
    return at


async def keep(uow: Uow, found: Preview) -> int:
    """Keep a preview for a day, to be read page by page; its id."""
    await plan_rows.forget_previews(uow.connection)
    return await guards.keep(uow, found.rows, "preview", found.sight, flaws=found.flaws)


async def _told(
    uow: Uow,
    desk: Desk,
    found: Sequence[review_rows.Due],
    knows_the_day: bool,
    doubted: Mapping[str, Policy],
) -> tuple[list[Looked], int]:
    """A row for each, and how many of the cuts follow from rules that nobody answered for."""
    hasty = 0
    rows: list[Looked] = []
    loud: dict[int, dict[int, Context]] = {}
    known = Known(desk)
    contexts = await review_rows.context(uow.connection, [item.contract_id for item in found])
    for item in found:
        said = known.said_of(item)
        if said is None:
            own = loud.setdefault(item.subscriber_id, {})
            own[item.contract_id] = contexts[item.contract_id]
            continue
        context = contexts[item.contract_id]
        rows.append(
            Looked(
                contract_id=item.contract_id,
                subscriber_id=item.subscriber_id,
                before=Level.FULL,
                after=Level.FULL,
                reason=said.reason,
                counted_cents=0,
                invoice_ids=(),
                notice_id=None,
                policy=item.policy,
                policy_version=desk.policies[item.policy].version,
                review_on=said.review_on,
                subscriber=context.subscriber,
                region=context.region,
                nas=context.nas,
            )
        )
    payers = sorted(loud)
    for start in range(0, len(payers), ACCOUNTS):
        accounts = await uow.accounts_unlocked(payers[start : start + ACCOUNTS])
        for payer_id, account in accounts.items():
            told = await _account(uow, desk, account, loud[payer_id], knows_the_day)
            hasty += sum(row.is_cut and is_hasty(account, row.cut, desk, doubted) for row in told)
            rows += told
    return sorted(rows, key=lambda row: (row.subscriber_id, row.contract_id)), hasty


async def _account(
    uow: Uow,
    desk: Desk,
    before: Account,
    contexts: Mapping[int, Context],
    knows_the_day: bool,
) -> list[Looked]:
    def unchanged(contract: Contract) -> Verdict:
        return verdict_of(before, contract, desk)

    try:
        after, facts = await judge(uow, before, desk, preview=True, knows_the_day=knows_the_day)
        return list(everything(before, after, facts, unchanged, contexts))
    except (LookupError, ValueError) as error:
        return [
            _unjudgeable(before.subscriber_id, contract, str(error)).told(contexts[contract.id])
            for contract in before.contracts
            if contract.id in contexts
        ]


def _unjudgeable(subscriber_id: int, contract: Contract, why: str) -> Looked:
    level = contract.access.level
    return Looked(
        contract_id=contract.id,
        subscriber_id=subscriber_id,
        before=level,
        after=level,
        reason=f"unjudgeable: {why}",
        counted_cents=0,
        invoice_ids=(),
        notice_id=None,
        policy=contract.policy_name,
        policy_version=0,
        review_on=contract.review_on,
    )
