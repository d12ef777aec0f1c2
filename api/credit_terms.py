"""A contract on its credit analysis' terms: billed in advance, with a deposit, or as usual."""

from datetime import timedelta

from sqlalchemy import select, update

from api import contract_changes
from api.house import House
from api.store import credit, enrol
from api.store.credit_tables import credit_analyses
from api.store.customer_tables import subscribers
from api.store.uow import Uow
from billing.account import issue_invoice
from billing.credit import Outcome, check_contract
from billing.cycle import Mode
from billing.invoice import Invoice, Kind, Line
from billing.refusal import Refused

DEPOSIT_DUE = timedelta(days=5)
DEPOSIT_LINE = "Caução"


async def required(uow: Uow) -> bool:
    """Whether a contract must name an analysis."""
    return (await credit.table_in_force(uow.connection)).required


async def apply(
    house: House,
    uow: Uow,
    contract_id: int,
    analysis_id: int,
    *,
    subscriber_id: int,
    plan_id: int,
    due_day: int,
) -> None:
    """Give a new contract the terms that its analysis allows, in the contract's transaction.

    Raises:
        Refused: there is no such analysis, it is of somebody else, of a dearer plan, used, over, or
            does not allow the contract.
    """
    row = await credit.analysis_for_update(uow.connection, analysis_id)
    if row is None:
        raise Refused(f"there is no credit analysis {analysis_id}; POST /api/v1/credit-analyses")
    document = await uow.connection.scalar(
        select(subscribers.c.document).where(subscribers.c.id == subscriber_id)
    )
    if row.document != document:
        raise Refused(f"credit analysis {analysis_id} is of another document")
    if row.plan_id != plan_id:
        raise Refused(f"credit analysis {analysis_id} is of plan {row.plan_id}, not {plan_id}")
    if row.contract_id is not None:
        raise Refused(f"credit analysis {analysis_id} was used by contract {row.contract_id}")
    today = uow.clock.now().date()
    offer = check_contract(credit.read_analysis(row), due_day, today)
    await uow.connection.execute(
        update(credit_analyses)
        .where(credit_analyses.c.id == analysis_id)
        .values(contract_id=contract_id)
    )
    if offer.outcome is Outcome.PREPAID:
        await contract_changes.set_mode(house, uow, contract_id, Mode.ADVANCE, None)
    if offer.outcome is Outcome.DEPOSIT and offer.deposit_cents:
        # Enrolled before it has an invoice: else it would count as billed by hand.
        await enrol.enrol_one(uow, contract_id, house.settings.zone)
        account = await uow.account(subscriber_id)
        invoice = Invoice(
            id=await uow.draw("invoices"),
            contract_id=contract_id,
            due_on=today + DEPOSIT_DUE,
            issued_at=uow.clock.now(),
            lines=(Line(DEPOSIT_LINE, offer.deposit_cents, Kind.ONE_OFF),),
        )
        _, facts = issue_invoice(account, invoice, await uow.desk())
        await uow.record(account, facts)
    told = {"analysis_id": analysis_id, "outcome": offer.outcome.value}
    await uow.audit("credit.applied", f"contract:{contract_id}", told)
