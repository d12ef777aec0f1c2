"""A look at one account: what it makes true, which of it is a cut, and how a person reads it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count

from api.renegotiating import Draw, run_out
from api.store.review_rows import Context
from api.store.uow import Uow
from billing.access import Level
from billing.account import Account, Desk, draw_notice, notice_due
from billing.account import review as review_account
from billing.cuts import Cut, judged_id
from billing.events import AccessDecided, Fact, Reviewed
from billing.ladder import Verdict
from billing.payer import Contract

NO_CONTEXT = Context("", "", "")


@dataclass(frozen=True, slots=True)
class Looked:
    """One contract as a look found it (or, in a preview, would find it).

    `reason` says why the level changes or, where it stays, why it does not. `review_on` is the
    next look; None: never, with no new fact.
    """

    contract_id: int
    subscriber_id: int
    before: Level
    after: Level
    reason: str
    counted_cents: int
    invoice_ids: tuple[int, ...]
    notice_id: int | None
    policy: str
    policy_version: int
    review_on: datetime | None
    subscriber: str = ""
    region: str = ""
    nas: str = ""

    @property
    def is_cut(self) -> bool:
        """Whether the line gets worse for debt; the customer's own suspension is no cut."""
        return self.after.severity > self.before.severity and self.reason != "paused"

    @property
    def is_restore(self) -> bool:
        """Whether the line gets better."""
        return self.after.severity < self.before.severity

    @property
    def cut(self) -> Cut:
        """What two people release of it."""
        return Cut(
            contract_id=self.contract_id,
            before=self.before,
            after=self.after,
            counted_cents=self.counted_cents,
            invoice_ids=self.invoice_ids,
            notice_id=self.notice_id,
            policy=self.policy,
            policy_version=self.policy_version,
        )

    def told(self, context: Context) -> "Looked":
        """The same, with what tells a person whose contract it is."""
        return replace(self, subscriber=context.subscriber, nas=context.nas, region=context.region)


async def judge(
    uow: Uow,
    account: Account,
    desk: Desk,
    draw: Draw | None = None,
    *,
    preview: bool = False,
    knows_the_day: bool = True,
) -> tuple[Account, Sequence[Fact]]:
    """What a look makes true: what is over, a notice that is due, the verdicts.

    A preview draws no number of the database, and no notice: one that is not proven yet changes no
    level. Nor does a look that does not know the day, which ends nothing either.
    """
    if preview:
        numbers = count(-1, -1)

        async def made_up(_table: str) -> int:
            return next(numbers)

        draw = made_up
    draw = draw or uow.draw
    over: Sequence[Fact] = ()
    if knows_the_day:
        account, over = await run_out(uow, account, desk, uow.actor, draw)
    if not preview and knows_the_day and notice_due(account, desk):
        after, facts = draw_notice(account, await draw("notices"), desk)
    else:
        after, facts = review_account(account, desk)
    return after, (*over, *facts)


def only(facts: Sequence[Fact], contract_ids: frozenset[int] | None) -> list[Fact]:
    """The facts, without verdicts on contracts that were not asked for; None: all were."""
    if contract_ids is None:
        return list(facts)
    return [fact for fact in facts if (number := judged_id(fact)) is None or number in contract_ids]


def changes(before: Account, facts: Sequence[Fact]) -> list[Looked]:
    """The contracts whose level the facts change."""
    last = {fact.contract_id: fact for fact in facts if isinstance(fact, AccessDecided)}
    found = [
        looked(before.subscriber_id, contract, fact.access.level, fact.verdict, fact.reason)
        for contract in before.contracts
        if (fact := last.get(contract.id)) is not None
    ]
    return [item for item in found if item.before is not item.after]


def everything(
    before: Account,
    after: Account,
    facts: Sequence[Fact],
    unchanged: Callable[[Contract], Verdict],
    contexts: Mapping[int, Context],
) -> Iterator[Looked]:
    """Every contract of which there is a context, changed or not.

    Args:
        before: the account as it was.
        after: as the look leaves it.
        facts: what it made true.
        unchanged: the verdict on a contract of which there is no news.
        contexts: what tells a person whose contracts these are.
    """
    said: Mapping[int, Verdict] = {
        fact.contract_id: fact.verdict
        for fact in facts
        if isinstance(fact, AccessDecided | Reviewed)
    }
    earlier = {contract.id: contract for contract in before.contracts}
    for contract in after.contracts:
        if contract.id in contexts:
            verdict = said.get(contract.id) or unchanged(contract)
            yield looked(
                before.subscriber_id,
                earlier[contract.id],
                contract.access.level,
                replace(verdict, review_on=contract.review_on),
                contract.reason,
                contexts[contract.id],
            )


def looked(
    subscriber_id: int,
    before: Contract,
    after: Level,
    verdict: Verdict,
    reason: str,
    context: Context = NO_CONTEXT,
) -> Looked:
    """A contract and what was said of it."""
    return Looked(
        contract_id=before.id,
        subscriber_id=subscriber_id,
        before=before.access.level,
        after=after,
        reason=reason,
        counted_cents=verdict.counted_cents,
        invoice_ids=verdict.invoice_ids,
        notice_id=verdict.notice_id,
        policy=verdict.policy_name,
        policy_version=verdict.policy_version,
        review_on=verdict.review_on,
        subscriber=context.subscriber,
        region=context.region,
        nas=context.nas,
    )
