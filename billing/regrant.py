"""The same level granted anew, because the plan or a reward grants other rates now."""

from dataclasses import replace

from billing.events import AccessDecided, Fact
from billing.ladder import decide
from billing.payer import Account, Desk
from billing.standing import calendar_of, look, policy_of, running_contract, situation_of


def regrant(account: Account, contract_id: int, desk: Desk) -> tuple[Account, tuple[Fact, ...]]:
    """Grant what a contract's rates are now; the generation moves, so that every session follows.

    Raises:
        Refused: the contract is not this payer's or has ended.
    """
    running_contract(account, contract_id)
    account, facts = look(account, desk, [])
    if any(isinstance(fact, AccessDecided) and fact.contract_id == contract_id for fact in facts):
        return account, facts
    contract = running_contract(account, contract_id)
    situation = situation_of(account, contract, desk)
    calendar = calendar_of(contract, desk)
    verdict = decide(situation, policy_of(contract, desk), calendar, desk.now)
    after = replace(contract, generation=contract.generation + 1, since=desk.now)
    decided = AccessDecided(
        contract_id=contract_id,
        generation=after.generation,
        access=after.access,
        # It may be earlier than the ladder's own: for a notice, or for what is over by then.
        verdict=replace(verdict, review_on=contract.review_on),
        since=desk.now,
        reason="rates_changed",
        situation=situation,
        meter=contract.meter,
        quota_spent_until=contract.quota_spent_until,
        calendar=calendar,
    )
    contracts = tuple(after if item.id == contract_id else item for item in account.contracts)
    return replace(account, contracts=contracts), (*facts, decided)
