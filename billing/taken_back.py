"""A cut that was decided and has reached no line, taken back because cuts were switched off."""

from collections.abc import Sequence
from dataclasses import replace

from billing.events import Fact
from billing.ladder import Bar, Rung
from billing.payer import Account, Desk
from billing.standing import look, running_contract


def take_back(
    account: Account, contract_id: int, rungs: Sequence[Rung], desk: Desk
) -> tuple[Account, tuple[Fact, ...]]:
    """Judge the contract as it stood before its last cut, with the switch against a new one.

    The debt and its dates remain: once the switch is lifted the step is entered like any other.

    Args:
        account: the payer's, under lock.
        contract_id: whose cut it is.
        rungs: the steps that were in force before it.
        desk: of whoever decides; the switch need not lie on it.

    Raises:
        Refused: the contract is not this payer's or has ended.
    """
    running_contract(account, contract_id)
    contracts = tuple(
        replace(item, rungs=tuple(rungs), bars=(*item.bars, Bar.KILL_SWITCH))
        if item.id == contract_id
        else item
        for item in account.contracts
    )
    taken, facts = look(replace(account, contracts=contracts), desk, [])
    # The switch is not the contract's own: the next desk says whether it is still on.
    bars = {item.id: item.bars for item in account.contracts}
    own = tuple(replace(item, bars=bars[item.id]) for item in taken.contracts)
    return replace(taken, contracts=own), facts
