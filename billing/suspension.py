"""The customer suspends the service and takes it up again (ladder rule 13)."""

from dataclasses import replace
from datetime import UTC

from billing.calendar import next_bank_day, zone_of
from billing.events import Fact, PauseEnded, PauseTaken
from billing.pause import Pause, may_pause
from billing.payer import Account, Desk, Refused
from billing.standing import look, running_contract, unpaid_invoices


def suspend(account: Account, pause: Pause, desk: Desk) -> tuple[Account, tuple[Fact, ...]]:
    """Suspend a contract's service from a day to a day, free of charge.

    Raises:
        Refused: the contract is not this payer's or has ended, the payer is in debt, the days are
            out of bounds, or the last suspension is too recent.
    """
    contract = running_contract(account, pause.contract_id)
    overdue_ids = [
        invoice.id
        for invoice in unpaid_invoices(account, contract)
        if next_bank_day(desk.calendar, invoice.due_on) < desk.now.date()
    ]
    earlier = [item for item in account.pauses if item.contract_id == contract.id]
    may_pause(pause, earlier, overdue_ids, zone_of(desk.now))
    account = replace(account, pauses=(*account.pauses, pause))
    return look(account, desk, [PauseTaken(pause)])


def resume(account: Account, pause_id: int, desk: Desk) -> tuple[Account, tuple[Fact, ...]]:
    """End a suspension now; one that has not begun is taken back.

    Raises:
        Refused: no such suspension, or it is over.
    """
    zone = zone_of(desk.now)
    pause = next((item for item in account.pauses if item.id == pause_id), None)
    if pause is None:
        raise Refused(f"subscriber {account.subscriber_id} has no suspension {pause_id}")
    over_at = pause.stops_at(zone)
    if over_at.astimezone(UTC) <= desk.now.astimezone(UTC):
        raise Refused(f"suspension {pause_id} is over since {over_at.isoformat()}")
    ended = replace(pause, ended_at=desk.now)
    pauses = tuple(ended if item is pause else item for item in account.pauses)
    return look(replace(account, pauses=pauses), desk, [PauseEnded(ended)])
