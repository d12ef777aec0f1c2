"""Recurring billing: the catalogue, runs, what is parked, the terms."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse
from sqlalchemy import insert, select, update

from api import billing_run, issuing
from api.http import billing_models as bodies
from api.http import fields
from api.http.answers import Page
from api.http.cursor import Window, window
from api.http.idempotency import IdempotencyKey, once
from api.http.lists import listed, required, unknown
from api.http.problems import conflict, invalid, responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import billing_rows
from api.store.billing_tables import billing_runs, parked_invoices, plan_components, products
from api.store.customer_tables import plans
from api.store.terms import read_terms, write_terms
from api.store.uow import Uow
from billing.bounds import MAY_BE_RELEASED, Flaw
from billing.invoice import Kind
from billing.tariff import BadTariff, Component, Tariff, check
from billing.terms import Terms

router = APIRouter(tags=["billing"], responses=responses(401, 403, 422, 503))

Asked = Annotated[Window, Depends(window)]
Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
Pricing = Annotated[Caller, Depends(require(Permission.WRITE_PLANS))]
Invoicing = Annotated[Caller, Depends(require(Permission.WRITE_INVOICES))]
Reading = Annotated[Caller, Depends(require(Permission.READ_DEBT))]


@router.post("/products", status_code=201, summary="Make a product", responses=responses(409))
async def make_product(body: bodies.NewProduct, caller: Pricing) -> bodies.ProductAnswer:
    values = body.model_dump()
    async with caller.uow() as uow:
        taken = select(products.c.id).where(products.c.code == body.code)
        if await uow.connection.scalar(taken) is not None:
            raise conflict(
                "already-exists",
                "Another product has this code",
                "code is taken by another product; change it, or use that one",
            )
        made = await uow.connection.execute(
            insert(products).values(**values).returning(products.c.id)
        )
        product_id = int(made.scalar_one())
        await uow.audit("product.created", f"product:{product_id}", values)
    return bodies.ProductAnswer(id=product_id, withdrawn_on=None, **values)


@router.get("/products", summary="List products")
async def list_products(
    asked: Asked, caller: Annotated[Caller, Depends(require(Permission.READ_PLANS))]
) -> Page[bodies.ProductAnswer]:
    query = select(*products.c)
    return await listed(caller, "products", query, products.c.id, asked, bodies.ProductAnswer)


@router.put(
    "/plans/{id}/components",
    summary="Say what a plan's price is made of",
    responses=responses(404),
)
async def compose(id: Id, body: bodies.Composition, caller: Pricing) -> bodies.CompositionAnswer:
    async with caller.uow() as uow:
        price = await uow.connection.scalar(select(plans.c.price_cents).where(plans.c.id == id))
        if price is None:
            raise unknown("plan", id)
        today = uow.clock.now().date()
        on = body.from_on or today
        if on < today:
            raise invalid("from_on", f"it is {today} or later; what was billed before stays")
        parts = tuple(
            Component(**item.model_dump() | {"kind": Kind(item.kind)}) for item in body.components
        )
        try:
            check(Tariff("", price, parts))
        except BadTariff as error:
            raise invalid("components", str(error)) from error
        rows = [
            {"plan_id": id, "from_on": on, "position": n, **item.model_dump()}
            for n, item in enumerate(body.components)
        ]
        await uow.connection.execute(
            plan_components.delete().where(
                plan_components.c.plan_id == id, plan_components.c.from_on >= on
            )
        )
        await uow.connection.execute(insert(plan_components), rows)
        told = {"from_on": on.isoformat(), "components": [i.model_dump() for i in body.components]}
        await uow.audit("plan.composed", f"plan:{id}", told)
    return bodies.CompositionAnswer(plan_id=id, from_on=on, components=body.components)


@router.post(
    "/plans/{id}/withdrawal",
    summary="Sell a plan no more: its contracts go on, no other comes to it",
    responses=responses(404),
)
async def withdraw_plan(
    id: Id, body: bodies.Withdrawal, caller: Pricing
) -> bodies.WithdrawalAnswer:
    async with caller.uow() as uow:
        on = body.withdrawn_on or uow.clock.now().date()
        done = await uow.connection.execute(
            update(plans).where(plans.c.id == id).values(withdrawn_on=on)
        )
        if not done.rowcount:
            raise unknown("plan", id)
        await uow.audit("plan.withdrawn", f"plan:{id}", {"withdrawn_on": on.isoformat()})
    return bodies.WithdrawalAnswer(id=id, withdrawn_on=on)


@router.post(
    "/billing-runs",
    summary="Issue what is due to be issued until a day",
    description="A run for a day already run issues nothing: its `id` is null, and the audit log"
    " keeps that it was asked for. One at a time.",
    response_model=bodies.RanAnswer,
    responses=responses(409),
)
async def run(
    request: Request, body: bodies.AskRun, caller: Invoicing, key: IdempotencyKey = None
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, bodies.RanAnswer]:
        # In transactions of its own, as a review: this one holds the key, and says if none was due.
        try:
            ran = await billing_run.run(
                caller.house, body.until, caller.correlation_id, caller.identity.name
            )
        except billing_run.RunGoesOn as error:
            raise conflict("run-goes-on", "A billing run is at work", str(error)) from error
        except billing_run.BadUntil as error:
            raise invalid("until", str(error)) from error
        await billing_run.keep_empty(uow, ran)
        return 200, bodies.RanAnswer(**asdict(ran) | {"failed": list(ran.failed)})

    return await once(request, caller, key, "POST /billing-runs", body, work)


@router.get("/billing-runs", summary="List billing runs")
async def list_runs(asked: Asked, caller: Reading) -> Page[bodies.RunAnswer]:
    query = billing_rows.run_rows()
    return await listed(caller, "billing-runs", query, billing_runs.c.id, asked, bodies.RunAnswer)


@router.get("/parked-invoices", summary="List invoices that were proposed and not issued")
async def list_parked(
    asked: Asked, caller: Reading, state: Literal["parked", "released", "issued"] | None = None
) -> Page[bodies.ParkedAnswer]:
    query = billing_rows.parked_rows(state)
    key = parked_invoices.c.id
    return await listed(caller, "parked-invoices", query, key, asked, bodies.ParkedAnswer)


@router.post(
    "/parked-invoices/{id}/release",
    summary="Issue a parked invoice as it is",
    description="Only what is large or long can be right as it is. What is negative or bills a day"
    " twice is corrected, and the next run issues it.",
    response_model=bodies.ParkedAnswer,
    responses=responses(404, 409),
)
async def release(
    request: Request, id: Id, caller: Invoicing, key: IdempotencyKey = None
) -> JSONResponse:
    query = billing_rows.parked_rows()
    found = await required(caller, "parked invoice", query, parked_invoices.c.id, id)

    async def work(uow: Uow) -> tuple[int, bodies.ParkedAnswer]:
        if found["state"] == "issued":
            raise conflict("already-issued", "It was issued", f"see invoice {found['invoice_id']}")
        if not MAY_BE_RELEASED.issuperset(Flaw(flaw) for flaw in found["flaws"]):
            raise conflict(
                "not-released",
                "It cannot be right as it is",
                f"it is {', '.join(found['flaws'])}: correct what it is billed from;"
                " the next run issues it",
            )
        await uow.connection.execute(
            update(parked_invoices)
            .where(parked_invoices.c.id == id)
            .values(state="released", released_by=caller.identity.name)
        )
        terms = (await uow.desk()).terms
        horizon = found["due_on"] + timedelta(days=terms.issue_days_before)
        await issuing.bill_in(caller.house, uow, found["contract_id"], horizon)
        row = (await uow.connection.execute(query.where(parked_invoices.c.id == id))).mappings()
        await uow.audit("invoice.released", f"parked_invoice:{id}", {"flaws": found["flaws"]})
        return 200, bodies.ParkedAnswer.model_validate(dict(row.one()))

    return await once(request, caller, key, "POST /parked-invoices/{id}/release", None, work)


@router.get("/terms", summary="Read the terms of billing")
async def get_terms(
    caller: Annotated[Caller, Depends(require(Permission.READ_POLICIES))],
) -> bodies.TermsBody:
    async with caller.uow() as uow:
        return _terms(await read_terms(uow.connection))


@router.put(
    "/terms",
    summary="Set the terms of billing",
    description="Fine and interest are a policy's, PUT /policies/{name}.",
)
async def put_terms(
    body: bodies.TermsBody,
    caller: Annotated[Caller, Depends(require(Permission.WRITE_POLICIES))],
) -> bodies.TermsBody:
    values = body.model_dump()
    async with caller.uow() as uow:
        await write_terms(uow.connection, Terms(**values | {"due_days": tuple(body.due_days)}))
        await uow.audit("terms.set", "terms", values)
    return body


def _terms(terms: Terms) -> bodies.TermsBody:
    return bodies.TermsBody(**asdict(terms) | {"due_days": list(terms.due_days)})
