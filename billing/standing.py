"""How an account's contracts stand: what the ladder and the notices read from it, nothing changed.

An ended contract asks for a notice as a running one does: rule 2 knows no difference, and without
one its final invoice would never count (ADR 0036).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, timedelta

from billing.agreement import Agreement, AgreementState, breaks_on
from billing.calendar import ONE_DAY, Calendar, day_start, zone_of
from billing.dispute import stood_still
from billing.events import AccessDecided, Fact, Reviewed, StageEntered, StageLeft
from billing.invoice import Invoice
from billing.ladder import (
    Bar,
    CoveringNotice,
    Receivable,
    Rung,
    Situation,
    Verdict,
    decide,
    in_force,
    notice_from,
    overdue_from,
    standing_promise,
)
from billing.lapses import after_the_end, awaits_first_payment, lapses_on, wind_up
from billing.pause import Pause
from billing.payer import Account, Contract, Desk, Notice, Refused
from billing.policy import Policy, PolicyError, Scope
from billing.quota import spent_until
from billing.stage import Stage

# A notice that could not be proven is drawn anew the next day, and after so many of an invoice once
# a week: some of them were read, and nobody is written to every day (CDC art. 42).
DAILY_TRIES = 3
SELDOM = timedelta(days=7)


def situation_of(account: Account, contract: Contract, desk: Desk) -> Situation:
    """What the ladder needs to know of one contract.

    Debt belongs to the contract, unless its policy counts what its payer owes on any (rule 15).
    """
    zone, today = zone_of(desk.now), desk.now.date()
    whose = [contract]
    if policy_of(contract, desk).scope is Scope.PAYER:
        whose += [other for other in account.contracts if other.id != contract.id]
    receivables = tuple(
        Receivable(invoice.id, invoice.due_on, invoice.unpaid_cents)
        for one in whose
        for invoice in unpaid_invoices(account, one)
    )
    agreed = renegotiated(account, contract, desk)
    old_ids = frozenset().union(*(item.old_invoice_ids for item in agreed))
    # Until its first payment, what an agreement replaces still says how the line stands.
    receivables += tuple(
        Receivable(invoice.id, invoice.due_on, invoice.rest_cents)
        for invoice in account.invoices
        if invoice.id in old_ids
    )
    breaks = [breaks_on(item, account.invoices, desk.terms.agreement_grace_days) for item in agreed]
    broken = [
        item.settled_at.astimezone(zone).date()
        for item in account.agreements
        if item.contract_id == contract.id
        and item.state is AgreementState.BROKEN
        and item.settled_at is not None
        and item.rungs
    ]
    unpaid_ids = frozenset(item.invoice_id for item in receivables)
    notices = [
        covering
        for notice in account.notices
        if notice.failed_at is None
        for covering in _coverings(account, notice, unpaid_ids, desk)
    ]
    promised = [item.until_on for item in account.promises if item.contract_id == contract.id]
    holds = [
        item.expires_at.astimezone(zone)
        for item in account.holds
        if item.contract_id == contract.id and item.stands(desk.now)
    ]
    pause = coming_pause(account, contract, desk)
    return Situation(
        receivables=receivables,
        notices=tuple(notices),
        rungs=contract.rungs,
        promise_until=standing_promise(
            max(promised, default=None), contract.access.level, contract.rungs, today
        ),
        hold_until=max(holds, key=lambda instant: instant.astimezone(UTC), default=None),
        agreed_until=max(
            (day_start(day, zone) for day in breaks if day is not None),
            key=lambda instant: instant.astimezone(UTC),
            default=None,
        ),
        broken_on=max(broken, default=None),
        paused_from=pause.starts_at(zone) if pause is not None else None,
        paused_until=pause.stops_at(zone) if pause is not None else None,
        bars=(*desk.bars, *contract.bars),
        ended_on=contract.ended_on,
    )


def verdict_of(account: Account, contract: Contract, desk: Desk) -> Verdict:
    """What the ladder alone says of a contract now; nothing is changed by asking."""
    situation = situation_of(account, contract, desk)
    return decide(situation, policy_of(contract, desk), calendar_of(contract, desk), desk.now)


def policy_of(contract: Contract, desk: Desk) -> Policy:
    """The policy that the contract follows.

    Raises:
        PolicyError: there is none of that name.
    """
    policy = desk.policies.get(contract.policy_name)
    if policy is None:
        raise PolicyError(
            f"contract {contract.id} follows policy {contract.policy_name!r}, which does not exist;"
            " put that policy or give the contract another"
        )
    return policy


def calendar_of(contract: Contract, desk: Desk) -> Calendar:
    """The holidays that bind a cut of this contract: those of its place, else the provider's."""
    return desk.calendar if contract.place is None else desk.calendars[contract.place]


def judged(
    account: Account, contract: Contract, desk: Desk
) -> tuple[Contract, AccessDecided | Reviewed | None]:
    """The contract judged anew, and what that says: other access, another review date, nothing.

    Ladder and quota are judged apart and stand together: neither decision forgets the other.
    """
    situation = situation_of(account, contract, desk)
    calendar = calendar_of(contract, desk)
    verdict = decide(situation, policy_of(contract, desk), calendar, desk.now)
    worse = verdict.level.severity > contract.access.level.severity
    if worse and desk.leaves_due and _awaits_sweep(contract, desk):
        situation = replace(situation, bars=(*situation.bars, Bar.GUARD))
        verdict = decide(situation, policy_of(contract, desk), calendar, desk.now)
    zone = zone_of(desk.now)
    days = [_notice_due_on(account, contract, desk), lapses_on(account, contract, desk)]
    # In the past when it is due already: then the next look is now, to draw a notice or to end
    # what is over.
    starts = [day_start(day, zone) for day in days if day is not None]
    if starts:
        instants = [verdict.review_on, *starts]
        review_on = min(filter(None, instants), key=lambda instant: instant.astimezone(UTC))
        verdict = replace(verdict, review_on=review_on)
    after = replace(
        contract, reason=verdict.reason, rungs=verdict.rungs, review_on=verdict.review_on
    )
    today, standing = desk.now.date(), contract.quota_spent_until
    quota_spent_until = spent_until(contract.meter, today)
    level_stays = verdict.level is contract.access.level
    if level_stays and quota_spent_until == standing:
        return after, None if after == contract else Reviewed(contract.id, verdict)
    after = replace(
        after,
        access=contract.rates.at(verdict.level, quota_spent=quota_spent_until is not None),
        quota_spent_until=quota_spent_until,
        generation=contract.generation + 1,
        since=desk.now,
    )
    decided = AccessDecided(
        contract_id=contract.id,
        generation=after.generation,
        access=after.access,
        verdict=verdict,
        since=after.since,
        reason=_quota_reason(after, standing, today) if level_stays else verdict.reason,
        situation=situation,
        meter=contract.meter,
        quota_spent_until=quota_spent_until,
        calendar=calendar,
    )
    return after, decided


def _awaits_sweep(contract: Contract, desk: Desk) -> bool:
    """Whether a sweep is to look at the contract: it is due, or was held back by a guard."""
    review_on = contract.review_on
    due = review_on is not None and review_on.astimezone(UTC) <= desk.now.astimezone(UTC)
    return due or contract.reason in (Bar.GUARD, Bar.STALE_FEED)


def _quota_reason(after: Contract, standing: date | None, today: date) -> str:
    """Why the quota alone changed what was granted; `standing` is until when it was used up."""
    if after.quota_spent_until is not None:
        return "quota_spent"
    return "quota_renewed" if standing is not None and standing <= today else "quota_changed"


def renegotiated(account: Account, contract: Contract, desk: Desk) -> list[Agreement]:
    """The contract's agreements under which access still waits for the first payment."""
    policy = policy_of(contract, desk)
    return [
        item
        for item in account.agreements
        if item.contract_id == contract.id and awaits_first_payment(item, account.invoices, policy)
    ]


def coming_pause(account: Account, contract: Contract, desk: Desk) -> Pause | None:
    """The customer's own suspension that is in force or comes next."""
    zone = zone_of(desk.now)
    pauses = [
        item
        for item in account.pauses
        if item.contract_id == contract.id
        and item.took_place(zone)
        and item.stops_at(zone).astimezone(UTC) > desk.now.astimezone(UTC)
    ]
    return min(pauses, key=lambda item: item.from_on, default=None)


def notice_due(account: Account, desk: Desk) -> dict[int, int]:
    """What a notice drawn now would list, unpaid cents by invoice id; empty when none is due.

    One is due when an invoice is overdue, `notice_after_days` past its due date, and listed in no
    notice (rule 2); it then lists every overdue invoice of the payer's contracts, ended ones too. A
    notice that could not be delivered on any channel is tried anew from the next day.
    """
    due = [_notice_due_on(account, contract, desk) for contract in account.contracts]
    if not any(day is not None and day <= desk.now.date() for day in due):
        return {}
    listed = [
        invoice
        for contract in account.contracts
        for invoice in unpaid_invoices(account, contract)
        if overdue_from(invoice.due_on, policy_of(contract, desk), desk.calendar) <= desk.now.date()
    ]
    listed.sort(key=lambda invoice: (invoice.due_on, invoice.id))
    return {invoice.id: invoice.unpaid_cents for invoice in listed}


def _notice_due_on(account: Account, contract: Contract, desk: Desk) -> date | None:
    """The first local day on which this contract's invoices ask for a notice; None: never."""
    zone, policy = zone_of(desk.now), policy_of(contract, desk)
    covered = {
        number
        for item in account.notices
        if item.failed_at is None
        for number in covered_by(account, item)
    }
    days: list[date] = []
    for invoice in unpaid_invoices(account, contract):
        if invoice.id not in covered:
            failed = [
                item.failed_at.astimezone(zone).date()
                for item in account.notices
                if item.failed_at is not None and invoice.id in covered_by(account, item)
            ]
            again = ONE_DAY if len(failed) < DAILY_TRIES else SELDOM
            tried = [day + again for day in failed]
            days.append(max([notice_from(invoice.due_on, policy, desk.calendar), *tried]))
    return min(days, default=None)


def covered_by(account: Account, notice: Notice) -> frozenset[int]:
    """The invoices that a notice covers: those it lists, but none that was reopened after it."""
    reopened = {
        invoice.id
        for invoice in account.invoices
        if invoice.reopened_at is not None
        and notice.drawn_at.astimezone(UTC) <= invoice.reopened_at.astimezone(UTC)
    }
    # A disputed part that is billed apart keeps the notice that it had.
    apart = {
        item.frozen_id: item.invoice_id
        for item in account.disputes
        if item.frozen_id is not None
        and notice.drawn_at.astimezone(UTC) <= item.opened_at.astimezone(UTC)
    }
    listed = frozenset(notice.amounts_cents) - reopened
    return listed | {number for number, origin_id in apart.items() if origin_id in listed}


def _coverings(
    account: Account, notice: Notice, unpaid_ids: frozenset[int], desk: Desk
) -> list[CoveringNotice]:
    """A proven notice as the ladder counts it: later for what a dispute held up (rule 11)."""
    if notice.proven_at is None:
        return []
    proven_on = notice.proven_at.astimezone(zone_of(desk.now)).date()
    by_day: dict[date, set[int]] = {}
    for number in unpaid_ids.intersection(covered_by(account, notice)):
        days = sum(
            stood_still(item, proven_on, desk.now.date())
            for item in account.disputes
            if item.frozen_id == number
        )
        by_day.setdefault(proven_on + timedelta(days=days), set()).add(number)
    return [
        CoveringNotice(notice.id, day, frozenset(numbers))
        for day, numbers in sorted(by_day.items())
    ]


def look(account: Account, desk: Desk, facts: Sequence[Fact]) -> tuple[Account, tuple[Fact, ...]]:
    """How every verb ends: each contract judged anew, and what that adds to the facts."""
    account, over = wind_up(account, desk)
    looked: list[Contract] = []
    told = [*facts, *over]
    for contract in account.contracts:
        fact: Fact | None
        if contract.ended_on is None:
            after, fact = judged(account, contract, desk)
        else:
            verdict = verdict_of(account, contract, desk)
            notice_on = _notice_due_on(account, contract, desk)
            after, fact = after_the_end(account, contract, verdict, notice_on, desk)
        looked.append(after)
        if fact is not None:
            told += [fact, *_stages_moved(account, contract, fact.verdict, desk)]
    return replace(account, contracts=tuple(looked)), tuple(told)


def _stages_moved(
    account: Account, before: Contract, verdict: Verdict, desk: Desk
) -> list[StageEntered | StageLeft]:
    """What beyond the line is entered, and what is over: rescission, bureau, agency."""
    if all(rung.stage.is_of_line for rung in (*before.rungs, *verdict.rungs)):
        return []
    situation = situation_of(account, before, desk)
    stood = _beyond_the_line(before.rungs, situation.broken_on)
    stand = _beyond_the_line(verdict.rungs, situation.broken_on)
    left = [stage for stage in stood if stage not in stand]
    entered = [stage for stage in stand if stage not in stood]
    calendar = calendar_of(before, desk)
    return [
        *(StageLeft(before.id, stage, desk.now, verdict.reason) for stage in reversed(left)),
        *(
            StageEntered(before.id, stage, desk.now, verdict, situation, calendar)
            for stage in entered
        ),
    ]


def _beyond_the_line(rungs: Sequence[Rung], broken_on: date | None) -> list[Stage]:
    return [rung.stage for rung in in_force(rungs, broken_on) if not rung.stage.is_of_line]


def running(account: Account) -> list[Contract]:
    """The contracts that have not ended."""
    return [contract for contract in account.contracts if contract.ended_on is None]


def contract_of(account: Account, contract_id: int) -> Contract:
    """The payer's contract of that id, running or ended.

    Raises:
        Refused: it is not this payer's.
    """
    for contract in account.contracts:
        if contract.id == contract_id:
            return contract
    raise Refused(
        f"subscriber {account.subscriber_id} has no contract {contract_id}; check the number"
    )


def running_contract(account: Account, contract_id: int) -> Contract:
    """The payer's contract of that id.

    Raises:
        Refused: it is not this payer's, or it has ended.
    """
    for contract in running(account):
        if contract.id == contract_id:
            return contract
    raise Refused(
        f"subscriber {account.subscriber_id} has no running contract {contract_id};"
        " check the number"
    )


def unpaid_invoices(account: Account, contract: Contract) -> list[Invoice]:
    """The contract's invoices with unpaid principal, oldest due date first."""
    unpaid = [i for i in account.invoices if i.contract_id == contract.id and i.unpaid_cents > 0]
    return sorted(unpaid, key=lambda invoice: (invoice.due_on, invoice.id))
