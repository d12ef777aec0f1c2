"""Whom nobody reminds and nobody cuts (ladder rule 10)."""

from datetime import datetime

from billing.ladder import Bar
from billing.payer import Account, Contract, HoldKind


def exempt(account: Account, contract: Contract, at: datetime) -> bool:
    """Whether a contract is neither reminded nor cut at an instant, whatever is owed on it.

    By an exemption in force, or by the customer's class. The debt and its dates remain, and so does
    the notice that the law asks for.
    """
    return Bar.NEVER_BLOCK in contract.bars or any(
        hold.kind is HoldKind.EXEMPTION and hold.contract_id == contract.id and hold.stands(at)
        for hold in account.holds
    )
