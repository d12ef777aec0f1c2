"""What one contract is billed from: its changes, and its next invoice as it would be issued."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel
from sqlalchemy.dialects.postgresql import insert as upsert

from api import booklet, booklet_page, contract_changes, ending, issuing
from api.http import billing_models as bodies
from api.http import fields
from api.http.idempotency import IdempotencyKey, once
from api.http.lists import required, unknown
from api.http.problems import conflict, invalid, responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import enrol, good_payers, listing, subscriptions
from api.store.billing_tables import minimum_terms
from api.store.customer_tables import contracts
from api.store.uow import UnknownContract, Uow
from billing.cycle import issue_on
from billing.payer import Refused
from billing.subscription import BadDiscount, Discount

router = APIRouter(tags=["billing"], responses=responses(401, 403, 422, 503))

Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
Number = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
Selling = Annotated[Caller, Depends(require(Permission.WRITE_CONTRACTS))]
Invoicing = Annotated[Caller, Depends(require(Permission.WRITE_INVOICES))]
AnswerT = TypeVar("AnswerT", bound=BaseModel)
# Of an end, from those who may not read what anyone owes.
_HIDDEN = {"penalty_cents": None, "given_back_cents": None}


async def _changed(
    request: Request,
    caller: Caller,
    key: str | None,
    route: str,
    body: BaseModel | None,
    contract_id: int,
    change: Callable[[Uow], Awaitable[AnswerT]],
    status: int = 201,
) -> JSONResponse:
    """A change that moves money, once; what refuses it is a 409 that says what to do."""

    async def work(uow: Uow) -> tuple[int, AnswerT]:
        try:
            return status, await change(uow)
        except UnknownContract as error:
            raise unknown("contract", contract_id) from error
        except Refused as error:
            raise conflict("refused", "The change is refused", str(error)) from error

    return await once(request, caller, key, route, body, work)


@router.get(
    "/contracts/{id}/billing",
    summary="How a contract is billed, and its next invoice",
    responses=responses(404),
)
async def read_billing(
    id: Id, caller: Annotated[Caller, Depends(require(Permission.READ_DEBT))]
) -> bodies.BillingAnswer:
    zone = caller.house.settings.zone
    async with caller.uow() as uow:
        try:
            await uow.payer_of_contract(id)
        except UnknownContract as error:
            raise unknown("contract", id) from error
        await enrol.enrol_one(uow, id, zone)
        desk = await uow.desk()
        today = desk.now.date()
        loaded = await subscriptions.load(uow.connection, [id], today, zone)
        billed = (await good_payers.rewarded(uow.connection, loaded, desk))[id]
        automatic = await enrol.pays_automatically(uow.connection, id)
    bill, due_on = billed.subscription, billed.next_due_on
    answer = bodies.BillingAnswer(
        contract_id=id,
        mode=bill.mode,
        started_on=bill.started_on,
        billed_until=bill.billed_until,
        next_due_on=due_on,
        automatic_payment=automatic,
        issue_on=None,
        amount_cents=0,
        lines=[],
        flaws=[],
    )
    if due_on is None:
        return answer
    proposal = issuing.proposal_of(billed, due_on, desk.terms, today)
    return answer.model_copy(
        update={
            "issue_on": issue_on(due_on, desk.terms.issue_days_before),
            "amount_cents": proposal.amount_cents,
            "lines": [bodies.ProposedLine(**asdict(line)) for line in proposal.lines],
            "flaws": [flaw.value for flaw in proposal.flaws],
        }
    )


@router.put(
    "/contracts/{id}/billing",
    summary="Bill a contract in arrears or in advance, from a day on",
    description="Before its first recurring invoice only. It also starts the recurring invoices of"
    " a contract that was billed by hand.",
    response_model=bodies.Done,
    responses=responses(404, 409),
)
async def set_billing(
    request: Request, id: Id, body: bodies.BillingMode, caller: Selling
) -> JSONResponse:
    async def change(uow: Uow) -> bodies.Done:
        await contract_changes.set_mode(caller.house, uow, id, body.mode, body.started_on)
        return bodies.Done(contract_id=id, from_on=body.started_on or uow.clock.now().date())

    return await _changed(request, caller, None, "PUT billing", body, id, change, 200)


@router.put(
    "/contracts/{id}/automatic-payment",
    summary="Say whether a contract is paid automatically",
    description="Nobody is reminded of invoices that are; the overdue notice goes out anyway.",
    response_model=bodies.Done,
    responses=responses(404, 409),
)
async def set_automatic(
    request: Request, id: Id, body: bodies.AutomaticPayment, caller: Selling
) -> JSONResponse:
    async def change(uow: Uow) -> bodies.Done:
        await contract_changes.set_automatic(caller.house, uow, id, body.automatic)
        return bodies.Done(contract_id=id, from_on=uow.clock.now().date())

    return await _changed(request, caller, None, "PUT automatic-payment", body, id, change, 200)


@router.post(
    "/contracts/{id}/plan-changes",
    status_code=201,
    summary="Change the plan from the first instant of a day",
    description="Both plans are billed by the day. Days billed already are corrected on the next"
    " invoice.",
    response_model=bodies.Done,
    responses=responses(404, 409),
)
async def change_plan(
    request: Request, id: Id, body: bodies.PlanChange, caller: Selling, key: IdempotencyKey = None
) -> JSONResponse:
    async def change(uow: Uow) -> bodies.Done:
        on = await contract_changes.change_plan(
            caller.house, uow, id, body.plan_id, body.from_on, caller.identity.name
        )
        return bodies.Done(contract_id=id, from_on=on)

    route = "POST /contracts/{id}/plan-changes"
    return await _changed(request, caller, key, route, body, id, change)


@router.post(
    "/contracts/{id}/due-day-changes",
    status_code=201,
    summary="Change the due day at the end of the running cycle",
    description="One bridging cycle is prorated. GET /terms has the days that are offered.",
    response_model=bodies.Done,
    responses=responses(404, 409),
)
async def change_due_day(
    request: Request, id: Id, body: bodies.DueDayChange, caller: Selling, key: IdempotencyKey = None
) -> JSONResponse:
    async def change(uow: Uow) -> bodies.Done:
        on = await contract_changes.change_day(caller.house, uow, id, body.due_day)
        return bodies.Done(contract_id=id, from_on=on)

    route = "POST /contracts/{id}/due-day-changes"
    return await _changed(request, caller, key, route, body, id, change)


@router.post(
    "/contracts/{id}/products",
    status_code=201,
    summary="Add a product of the catalogue",
    response_model=bodies.Numbered,
    responses=responses(404, 409),
)
async def subscribe(
    request: Request, id: Id, body: bodies.Subscribing, caller: Selling, key: IdempotencyKey = None
) -> JSONResponse:
    async def change(uow: Uow) -> bodies.Numbered:
        number = await contract_changes.subscribe(
            caller.house, uow, id, body.product_id, body.from_on, caller.identity.name
        )
        return bodies.Numbered(id=number, contract_id=id)

    return await _changed(request, caller, key, "POST /contracts/{id}/products", body, id, change)


@router.post(
    "/contracts/{id}/products/{number}/end",
    summary="End a product",
    response_model=bodies.Done,
    responses=responses(404, 409),
)
async def unsubscribe(
    request: Request,
    id: Id,
    number: Number,
    body: bodies.ProductEnd,
    caller: Selling,
    key: IdempotencyKey = None,
) -> JSONResponse:
    async def change(uow: Uow) -> bodies.Done:
        on = await contract_changes.unsubscribe(
            caller.house, uow, id, number, body.until_on, caller.identity.name
        )
        return bodies.Done(contract_id=id, from_on=on)

    route = "POST /contracts/{id}/products/{number}/end"
    return await _changed(request, caller, key, route, body, id, change, 200)


@router.post(
    "/contracts/{id}/discounts",
    status_code=201,
    summary="Give a discount on the plan's price",
    response_model=bodies.Numbered,
    responses=responses(404, 409),
)
async def give_discount(
    request: Request,
    id: Id,
    body: bodies.NewDiscount,
    caller: Invoicing,
    key: IdempotencyKey = None,
) -> JSONResponse:
    async def change(uow: Uow) -> bodies.Numbered:
        values = body.model_dump() | {"from_on": body.from_on or uow.clock.now().date()}
        try:
            discount = Discount(**values)
        except BadDiscount as error:
            raise invalid("discount", str(error)) from error
        number = await contract_changes.add_discount(caller.house, uow, id, discount)
        return bodies.Numbered(id=number, contract_id=id)

    return await _changed(request, caller, key, "POST /contracts/{id}/discounts", body, id, change)


@router.post(
    "/contracts/{id}/one-off-lines",
    status_code=201,
    summary="Put a line on the next invoice",
    response_model=bodies.Instalments,
    responses=responses(404, 409),
)
async def one_off(
    request: Request, id: Id, body: bodies.OneOffLine, caller: Invoicing, key: IdempotencyKey = None
) -> JSONResponse:
    async def change(uow: Uow) -> bodies.Instalments:
        due_on = await contract_changes.add_one_off(
            caller.house, uow, id, body.description, body.amount_cents, caller.identity.name
        )
        line = bodies.Instalment(due_on=due_on, amount_cents=body.amount_cents)
        return bodies.Instalments(contract_id=id, lines=[line])

    route = "POST /contracts/{id}/one-off-lines"
    return await _changed(request, caller, key, route, body, id, change)


@router.post(
    "/contracts/{id}/installation",
    status_code=201,
    summary="Charge the installation in instalments on the next invoices",
    response_model=bodies.Instalments,
    responses=responses(404, 409),
)
async def installation(
    request: Request,
    id: Id,
    body: bodies.Installation,
    caller: Invoicing,
    key: IdempotencyKey = None,
) -> JSONResponse:
    async def change(uow: Uow) -> bodies.Instalments:
        dues = await contract_changes.add_instalments(
            caller.house,
            uow,
            id,
            body.description,
            body.amount_cents,
            body.instalments,
            caller.identity.name,
        )
        lines = [bodies.Instalment(due_on=on, amount_cents=cents) for on, cents in dues]
        return bodies.Instalments(contract_id=id, lines=lines)

    route = "POST /contracts/{id}/installation"
    return await _changed(request, caller, key, route, body, id, change)


@router.put(
    "/contracts/{id}/minimum-term",
    summary="Agree a minimum term with a penalty that declines by the day",
    response_model=bodies.Done,
    responses=responses(404, 409),
)
async def agree_term(request: Request, id: Id, body: bodies.Term, caller: Selling) -> JSONResponse:
    async def change(uow: Uow) -> bodies.Done:
        await contract_changes.locked(caller.house, uow, id)
        values = body.model_dump()
        await uow.connection.execute(
            upsert(minimum_terms)
            .values(contract_id=id, **values)
            .on_conflict_do_update(index_elements=["contract_id"], set_=values)
        )
        await uow.audit("contract.term_agreed", f"contract:{id}", body.model_dump(mode="json"))
        return bodies.Done(contract_id=id, from_on=body.from_on)

    return await _changed(request, caller, None, "PUT minimum-term", body, id, change, 200)


@router.post(
    "/contracts/{id}/termination",
    status_code=201,
    summary="End a contract today or after a last day, with its final invoice",
    description="The days used, all lines that wait, and the penalty of the minimum term. What was"
    " billed ahead is given back by credit notes. An end to come is done by the run of its day;"
    " telling it anew changes it.",
    response_model=bodies.EndAnswer,
    responses=responses(404, 409),
)
async def terminate(
    request: Request, id: Id, body: bodies.Ending, caller: Selling, key: IdempotencyKey = None
) -> JSONResponse:
    async def change(uow: Uow) -> bodies.EndAnswer:
        ended = await ending.end(
            caller.house, uow, id, body.why, caller.identity.name, body.last_day
        )
        shown = asdict(ended) | ({} if caller.may(Permission.READ_DEBT) else _HIDDEN)
        return bodies.EndAnswer.model_validate({"contract_id": id, **shown})

    route = "POST /contracts/{id}/termination"
    return await _changed(request, caller, key, route, body, id, change)


@router.delete(
    "/contracts/{id}/termination",
    summary="Withdraw an end that is still to come",
    response_model=bodies.Done,
    responses=responses(404, 409),
)
async def withdraw_end(request: Request, id: Id, caller: Selling) -> JSONResponse:
    async def change(uow: Uow) -> bodies.Done:
        await ending.withdraw(caller.house, uow, id, caller.identity.name)
        return bodies.Done(contract_id=id, from_on=uow.clock.now().date())

    return await _changed(request, caller, None, "DELETE termination", None, id, change, 200)


@router.post(
    "/contracts/{id}/booklet",
    status_code=201,
    summary="Issue the next invoices ahead, for a booklet (carnê)",
    description="A later change of plan voids the unpaid rest and issues it anew.",
    response_model=bodies.BookletAnswer,
    responses=responses(404, 409),
)
async def make_booklet(
    request: Request, id: Id, body: bodies.Booklet, caller: Invoicing, key: IdempotencyKey = None
) -> JSONResponse:
    async def change(uow: Uow) -> bodies.BookletAnswer:
        await contract_changes.locked(caller.house, uow, id)
        await booklet.issue(caller.house, uow, id, body.invoices)
        return _leaves(id, await booklet.leaves(uow, id))

    return await _changed(request, caller, key, "POST /contracts/{id}/booklet", body, id, change)


@router.get(
    "/contracts/{id}/booklet",
    summary="Read or print the booklet",
    description="HTML to be printed where text/html is accepted.",
    response_model=bodies.BookletAnswer,
    responses=responses(404)
    | {200: {"content": {"text/html": {}}, "description": "The invoices, due from today on"}},
)
async def read_booklet(
    id: Id,
    caller: Annotated[Caller, Depends(require(Permission.READ_DEBT))],
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    query = listing.contract_details(with_debt=False)
    contract = await required(caller, "contract", query, contracts.c.id, id)
    async with caller.uow() as uow:
        leaves = await booklet.leaves(uow, id)
    if "text/html" in accept:
        provider = caller.house.settings.provider_name
        return HTMLResponse(booklet_page.page(provider, contract["subscriber"], id, leaves))
    return JSONResponse(_leaves(id, leaves).model_dump(mode="json"))


def _leaves(contract_id: int, leaves: list[booklet.Leaf]) -> bodies.BookletAnswer:
    items = [bodies.LeafAnswer(**asdict(leaf)) for leaf in leaves]
    return bodies.BookletAnswer(contract_id=contract_id, leaves=items)
