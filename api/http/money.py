"""Invoices, payments taken by hand, and Pix charges."""

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse

from api import cashier
from api.http import answers, fields, models
from api.http.cursor import Window, decode, encode, window
from api.http.idempotency import IdempotencyKey, once
from api.http.lists import listed, required, unknown
from api.http.problems import Problem, conflict, invalid, responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import listing
from api.store.bills import bill_for
from api.store.invoices import invoice_of
from api.store.money_tables import invoices, payments
from api.store.payments import lock_payment_key
from api.store.uow import UnknownContract, Uow
from billing.account import issue_invoice
from billing.invoice import Invoice, InvoiceState, Line, amount_due
from billing.payer import Refused
from billing.payments.provider import Charge, ProviderAway

router = APIRouter(tags=["money"], responses=responses(401, 403, 422, 503))

Asked = Annotated[Window, Depends(window)]
Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
IdFilter = Annotated[int | None, Query(ge=1, le=fields.ID_MAX)]
HAND = "hand"


@router.post(
    "/invoices",
    status_code=201,
    summary="Issue an invoice",
    response_model=answers.InvoiceAnswer,
    responses=responses(404, 409),
)
async def issue(
    request: Request,
    body: models.NewInvoice,
    caller: Annotated[Caller, Depends(require(Permission.WRITE_INVOICES))],
    key: IdempotencyKey = None,
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, answers.InvoiceAnswer]:
        try:
            payer = await uow.payer_of_contract(body.contract_id)
        except UnknownContract as error:
            raise unknown("contract", body.contract_id) from error
        account = await uow.account(payer)
        now = uow.clock.now()
        invoice = Invoice(
            id=await uow.draw("invoices"),
            contract_id=body.contract_id,
            due_on=body.due_on,
            issued_at=now,
            lines=tuple(Line(**line.model_dump()) for line in body.lines),
            bill_id=await bill_for(uow.connection, account, body.due_on, now),
        )
        try:
            _, facts = issue_invoice(account, invoice, await uow.desk())
        except Refused as error:
            raise conflict("refused", "The invoice cannot be issued", str(error)) from error
        await uow.record(account, facts)
        zone = caller.house.settings.zone
        row = await listing.one(
            uow.connection, listing.invoice_rows(), invoices.c.id, invoice.id, zone
        )
        if row is None:
            raise LookupError(f"invoice {invoice.id} was recorded and is not there")
        return 201, (await with_amounts(uow, [row]))[0]

    return await once(request, caller, key, "POST /invoices", body, work)


@router.get("/invoices", summary="List invoices")
async def list_invoices(
    asked: Asked,
    caller: Annotated[Caller, Depends(require(Permission.READ_DEBT))],
    contract_id: IdFilter = None,
    state: InvoiceState | None = None,
) -> answers.Page[answers.InvoiceAnswer]:
    query = listing.invoice_rows(contract_id, state)
    after = decode("invoices", asked.after) if asked.after is not None else None
    async with caller.uow() as uow:
        rows, last = await listing.page(
            uow.connection, query, invoices.c.id, after, asked.limit, caller.house.settings.zone
        )
        items = await with_amounts(uow, rows)
    return answers.Page(items=items, next=encode("invoices", last) if last is not None else None)


@router.get("/invoices/{id}", summary="Read an invoice", responses=responses(404))
async def read_invoice(
    id: Id, caller: Annotated[Caller, Depends(require(Permission.READ_DEBT))]
) -> answers.InvoiceAnswer:
    async with caller.uow() as uow:
        zone = caller.house.settings.zone
        row = await listing.one(uow.connection, listing.invoice_rows(), invoices.c.id, id, zone)
        if row is None:
            raise unknown("invoice", id)
        return (await with_amounts(uow, [row]))[0]


@router.post(
    "/payments",
    status_code=201,
    summary="Take money by hand",
    description="The same method and reference again is the same payment: it answers 200 with it."
    " Money for an invoice that does not exist is kept in suspense.",
    response_model=answers.PaymentTaken,
    responses=responses(409) | {200: {"model": answers.PaymentTaken, "description": "A repeat"}},
)
async def take_payment(
    request: Request,
    body: models.NewPayment,
    caller: Annotated[Caller, Depends(require(Permission.TAKE_PAYMENTS))],
    key: IdempotencyKey = None,
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, answers.PaymentTaken]:
        external_id = f"{body.method}:{body.reference}"
        earlier = await lock_payment_key(uow.connection, HAND, external_id)
        try:
            posted = await cashier.post_payment(
                caller.house,
                uow,
                provider=HAND,
                external_id=external_id,
                amount_cents=body.amount_cents,
                method=body.method,
                reference=body.reference,
                paid_at=_paid_at(body.paid_at, uow.clock.now()),
                invoice_id=body.invoice_id,
                bill_id=body.bill_id,
            )
        except cashier.PaymentConflict as error:
            raise conflict(
                "payment-conflict", "Another payment has this method and reference", str(error)
            ) from error
        row = await listing.one(
            uow.connection,
            listing.payment_rows(),
            payments.c.id,
            posted.id,
            caller.house.settings.zone,
        )
        if row is None:
            raise LookupError(f"payment {posted.id} was posted and is not there")
        taken = answers.PaymentTaken(**row, detail=_told(posted))
        return 201 if earlier is None else 200, taken

    return await once(request, caller, key, "POST /payments", body, work)


@router.get(
    "/payments",
    summary="List payments",
    description="`state=suspense` lists the money that nobody could be credited with yet.",
)
async def list_payments(
    asked: Asked,
    caller: Annotated[Caller, Depends(require(Permission.READ_DEBT))],
    state: Literal["posted", "suspense"] | None = None,
    invoice_id: IdFilter = None,
    subscriber_id: IdFilter = None,
) -> answers.Page[answers.PaymentAnswer]:
    query = listing.payment_rows(state, invoice_id, subscriber_id)
    return await listed(caller, "payments", query, payments.c.id, asked, answers.PaymentAnswer)


@router.get("/payments/{id}", summary="Read a payment", responses=responses(404))
async def read_payment(
    id: Id, caller: Annotated[Caller, Depends(require(Permission.READ_DEBT))]
) -> answers.PaymentAnswer:
    query = listing.payment_rows()
    return answers.PaymentAnswer(**await required(caller, "payment", query, payments.c.id, id))


@router.post(
    "/invoices/{id}/pix",
    summary="Make, or give again, the Pix charge that settles an invoice today",
    response_model=answers.PixCharge,
    responses=responses(404, 409),
)
async def charge_by_pix(
    request: Request,
    id: Id,
    caller: Annotated[Caller, Depends(require(Permission.TAKE_PAYMENTS))],
    key: IdempotencyKey = None,
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, answers.PixCharge]:
        return 200, await pix_answer(cashier.charge(caller.house, uow, id), "invoice", id)

    return await once(request, caller, key, "POST /invoices/{id}/pix", None, work)


async def pix_answer(making: Awaitable[Charge], what: str, row_id: int) -> answers.PixCharge:
    """The charge of an invoice or a bill, or the problem that says why there is none."""
    try:
        made = await making
    except cashier.NoProvider as error:
        raise conflict("no-provider", "Pix is not set up", str(error)) from error
    except cashier.NothingDue as error:
        raise conflict("nothing-due", "There is nothing to charge", str(error)) from error
    except LookupError as error:
        raise unknown(what, row_id) from error
    except ProviderAway as error:
        raise Problem(
            503,
            "provider-away",
            "The payment provider does not answer",
            "No charge was made; try again in a few seconds",
            headers={"Retry-After": "5"},
        ) from error
    return answers.PixCharge(
        txid=made.txid, amount_cents=made.amount_cents, copy_and_paste=made.copy_and_paste
    )


async def one_invoice(uow: Uow, invoice_id: int) -> answers.InvoiceAnswer:
    """An invoice as it stands in this transaction, or the problem that it is not there."""
    zone = uow.clock.now().tzinfo
    query = listing.invoice_rows()
    row = await listing.one(uow.connection, query, invoices.c.id, invoice_id, zone or UTC)
    if row is None:
        raise unknown("invoice", invoice_id)
    return (await with_amounts(uow, [row]))[0]


def _paid_at(given: datetime | None, now: datetime) -> datetime:
    if given is None:
        return now
    paid_at = given if given.tzinfo is not None else given.replace(tzinfo=now.tzinfo)
    if paid_at > now:
        raise invalid("paid_at", f"it lies ahead of now, {now.isoformat()}; leave it out for now")
    return paid_at


def _told(posted: cashier.PostedPayment) -> str:
    if posted.state == "suspense":
        return (
            f"Kept in suspense, credited to nobody: {posted.suspense_reason}."
            " GET /api/v1/payments?state=suspense lists such money"
        )
    if posted.credit_cents:
        return f"Posted; {posted.credit_cents} cents were over and are the customer's credit"
    return "Posted"


async def with_amounts(uow: Uow, rows: list[listing.Item]) -> list[answers.InvoiceAnswer]:
    """Lines, credit that was used among them, and what is due now with fine and interest."""
    credit = await listing.credit_used(uow.connection, [row["id"] for row in rows])
    lines = await listing.lines_of(uow.connection, [row["id"] for row in rows])
    desk = await uow.desk()
    return [
        answers.InvoiceAnswer(
            id=row["id"],
            contract_id=row["contract_id"],
            due_on=row["due_on"],
            state=row["state"],
            amount_cents=row["amount_cents"],
            paid_cents=row["paid_cents"],
            discount_cents=row["discount_cents"],
            bill_id=row["bill_id"],
            amount_due_cents=amount_due(
                invoice_of(row, lines[row["id"]]),
                desk.policies[row["policy"]],
                desk.calendar,
                desk.now.date(),
            ),
            lines=[
                *(answers.LineAnswer(**line) for line in lines[row["id"]]),
                *_credit_line(credit.get(row["id"], 0)),
            ],
        )
        for row in rows
    ]


def _credit_line(cents: int) -> list[answers.LineAnswer]:
    """Credit that paid of the invoice, as the line that its print has (money rule 7)."""
    if not cents:
        return []
    return [
        answers.LineAnswer(
            description="Crédito",
            amount_cents=-cents,
            kind="credit",
            service="",
            from_on=None,
            until_on=None,
            conditional=False,
        )
    ]
