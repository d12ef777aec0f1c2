"""Money after the fact: refunds, chargebacks, returns, suspense, notes, voiding, writing off."""

from collections.abc import Awaitable, Callable
from datetime import UTC, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import func, select

from api.correcting import correct
from api.http import answers, bookkeeping, fields
from api.http.cursor import Window, decode, encode, window
from api.http.idempotency import IdempotencyKey, once
from api.http.lists import unknown
from api.http.money import one_invoice
from api.http.problems import conflict, responses
from api.http.security import Caller, require
from api.operators import Permission
from api.reversing import Asked, ReversalConflict, UnknownPayment, assign, reverse
from api.store import listing
from api.store.money_tables import allocations, payments, reversals
from api.store.uow import Uow
from billing.account import CorrectionKind, Refused, ReversalKind
from billing.invoice import Kind

router = APIRouter(tags=["money"], responses=responses(401, 403, 422, 503))

Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
Payments = Annotated[Caller, Depends(require(Permission.TAKE_PAYMENTS))]
Invoices = Annotated[Caller, Depends(require(Permission.WRITE_INVOICES))]
# Invariant M16: what waits for longer is an alarm.
SUSPENSE_MAX = timedelta(hours=24)


@router.post(
    "/payments/{id}/refunds",
    status_code=201,
    summary="Record money that was sent back to the payer",
    description="It moves no money at the provider. It is taken from the customer's credit first;"
    " an invoice that gives up the rest is open again with a new due date.",
    response_model=bookkeeping.ReversalAnswer,
    responses=responses(404, 409),
)
async def refund(
    request: Request,
    id: Id,
    body: bookkeeping.NewReversal,
    caller: Payments,
    key: IdempotencyKey = None,
) -> JSONResponse:
    return await _reversed(request, id, body, caller, key, ReversalKind.REFUND, "refunds")


@router.post(
    "/payments/{id}/chargebacks",
    status_code=201,
    summary="Record money that the payer's bank took back",
    description="What the payment had paid is open again, with a new due date, without late charges"
    " for the time it stood paid.",
    response_model=bookkeeping.ReversalAnswer,
    responses=responses(404, 409),
)
async def chargeback(
    request: Request,
    id: Id,
    body: bookkeeping.NewReversal,
    caller: Payments,
    key: IdempotencyKey = None,
) -> JSONResponse:
    return await _reversed(request, id, body, caller, key, ReversalKind.CHARGEBACK, "chargebacks")


@router.post(
    "/payments/{id}/returns",
    status_code=201,
    summary="Record a Pix that went back (devolução), as a chargeback",
    response_model=bookkeeping.ReversalAnswer,
    responses=responses(404, 409),
)
async def give_back(
    request: Request,
    id: Id,
    body: bookkeeping.NewReversal,
    caller: Payments,
    key: IdempotencyKey = None,
) -> JSONResponse:
    return await _reversed(request, id, body, caller, key, ReversalKind.RETURNED, "returns")


async def _reversed(
    request: Request,
    payment_id: int,
    body: bookkeeping.NewReversal,
    caller: Caller,
    key: str | None,
    kind: ReversalKind,
    route: str,
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, bookkeeping.ReversalAnswer]:
        asked = Asked(kind, body.reference, body.amount_cents, caller.identity.name, body.reason)
        try:
            reversal_id, new = await reverse(uow, payment_id, asked)
        except UnknownPayment as error:
            raise unknown("payment", payment_id) from error
        except Refused as error:
            raise conflict("refused", "The money cannot go back", str(error)) from error
        except ReversalConflict as error:
            raise conflict(
                "reversal-conflict", "Another reversal has this reference", str(error)
            ) from error
        return 201 if new else 200, await _reversal(uow, reversal_id)

    return await once(request, caller, key, f"POST /payments/{{id}}/{route}", body, work)


async def _reversal(uow: Uow, reversal_id: int) -> bookkeeping.ReversalAnswer:
    zone = uow.clock.now().tzinfo
    query = select(*reversals.c)
    row = await listing.one(uow.connection, query, reversals.c.id, reversal_id, zone or UTC)
    if row is None:
        raise LookupError(f"reversal {reversal_id} was recorded and is not there")
    touched = await uow.connection.scalars(
        select(allocations.c.invoice_id)
        .where(allocations.c.reversal_id == reversal_id)
        .distinct()
        .order_by(allocations.c.invoice_id)
    )
    shown = [await one_invoice(uow, invoice_id) for invoice_id in touched.all()]
    return bookkeeping.ReversalAnswer(**row, invoices=shown)


@router.post(
    "/payments/{id}/assign",
    summary="Give money out of suspense to its payer",
    description="It pays as if it had been known from the first: late charges are those of the"
    " payment's own date.",
    response_model=answers.PaymentAnswer,
    responses=responses(404, 409),
)
async def assign_payment(
    request: Request,
    id: Id,
    body: bookkeeping.NewAssignment,
    caller: Payments,
    key: IdempotencyKey = None,
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, answers.PaymentAnswer]:
        try:
            await assign(uow, id, invoice_id=body.invoice_id, subscriber_id=body.subscriber_id)
        except UnknownPayment as error:
            raise unknown("payment", id) from error
        except Refused as error:
            raise conflict("refused", "The payment cannot be assigned", str(error)) from error
        except LookupError as error:
            if body.invoice_id is not None:
                raise unknown("invoice", body.invoice_id) from error
            raise unknown("subscriber", body.subscriber_id or 0) from error
        zone = caller.house.settings.zone
        row = await listing.one(uow.connection, listing.payment_rows(), payments.c.id, id, zone)
        if row is None:
            raise LookupError(f"payment {id} was assigned and is not there")
        return 200, answers.PaymentAnswer(**row)

    return await once(request, caller, key, "POST /payments/{id}/assign", body, work)


@router.get(
    "/suspense",
    summary="Money that nobody could be credited with yet, with its age",
    description="Assign it (`POST /payments/{id}/assign`) or send it back within 24 hours.",
)
async def list_suspense(
    asked: Annotated[Window, Depends(window)],
    caller: Annotated[Caller, Depends(require(Permission.READ_DEBT))],
) -> bookkeeping.SuspensePage:
    after = decode("suspense", asked.after) if asked.after is not None else None
    query = listing.suspense_rows()
    async with caller.uow() as uow:
        now = uow.clock.now()
        rows, last = await listing.page(
            uow.connection, query, payments.c.id, after, asked.limit, caller.house.settings.zone
        )
        waiting = query.subquery()
        old = waiting.c.cleared_at < now - SUSPENSE_MAX
        sums = (
            await uow.connection.execute(
                select(
                    func.coalesce(func.sum(waiting.c.left_cents), 0),
                    func.count().filter(old),
                    func.coalesce(func.sum(waiting.c.left_cents).filter(old), 0),
                )
            )
        ).one()
    return bookkeeping.SuspensePage(
        items=[
            bookkeeping.SuspenseItem(
                **row,
                age_days=(now.date() - row["cleared_at"].date()).days,
                overdue=row["cleared_at"] < now - SUSPENSE_MAX,
            )
            for row in rows
        ],
        next=encode("suspense", last) if last is not None else None,
        total_cents=int(sums[0]),
        overdue_count=sums[1],
        overdue_cents=int(sums[2]),
    )


@router.post(
    "/invoices/{id}/credit-notes",
    status_code=201,
    summary="Take an amount off an invoice; what was paid of it becomes the customer's credit",
    response_model=answers.InvoiceAnswer,
    responses=responses(404, 409),
)
async def credit_note(
    request: Request,
    id: Id,
    body: bookkeeping.NewNote,
    caller: Invoices,
    key: IdempotencyKey = None,
) -> JSONResponse:
    work = _correcting(
        id, caller, CorrectionKind.CREDIT_NOTE, body.reason, body.amount_cents, body.kind
    )
    return await once(request, caller, key, "POST /invoices/{id}/credit-notes", body, work)


@router.post(
    "/invoices/{id}/debit-notes",
    status_code=201,
    summary="Add an amount to an open invoice",
    response_model=answers.InvoiceAnswer,
    responses=responses(404, 409),
)
async def debit_note(
    request: Request,
    id: Id,
    body: bookkeeping.NewNote,
    caller: Invoices,
    key: IdempotencyKey = None,
) -> JSONResponse:
    work = _correcting(
        id, caller, CorrectionKind.DEBIT_NOTE, body.reason, body.amount_cents, body.kind
    )
    return await once(request, caller, key, "POST /invoices/{id}/debit-notes", body, work)


@router.post(
    "/invoices/{id}/void",
    summary="Undo an invoice; what was paid of it becomes the customer's credit",
    response_model=answers.InvoiceAnswer,
    responses=responses(404, 409),
)
async def void(
    request: Request,
    id: Id,
    body: bookkeeping.NewCorrection,
    caller: Invoices,
    key: IdempotencyKey = None,
) -> JSONResponse:
    work = _correcting(id, caller, CorrectionKind.VOID, body.reason)
    return await once(request, caller, key, "POST /invoices/{id}/void", body, work)


@router.post(
    "/invoices/{id}/write-off",
    summary="Give up what is unpaid of an invoice; a later payment is recovered revenue",
    response_model=answers.InvoiceAnswer,
    responses=responses(404, 409),
)
async def write_off(
    request: Request,
    id: Id,
    body: bookkeeping.NewCorrection,
    caller: Invoices,
    key: IdempotencyKey = None,
) -> JSONResponse:
    work = _correcting(id, caller, CorrectionKind.WRITE_OFF, body.reason)
    return await once(request, caller, key, "POST /invoices/{id}/write-off", body, work)


def _correcting(
    invoice_id: int,
    caller: Caller,
    kind: CorrectionKind,
    reason: str,
    amount_cents: int = 0,
    line_kind: Kind | None = None,
) -> Callable[[Uow], Awaitable[tuple[int, BaseModel]]]:
    async def work(uow: Uow) -> tuple[int, BaseModel]:
        try:
            await correct(
                uow,
                invoice_id,
                kind,
                author=caller.identity.name,
                reason=reason,
                amount_cents=amount_cents,
                line_kind=line_kind,
            )
        except Refused as error:
            raise conflict("refused", "The invoice cannot be corrected", str(error)) from error
        except LookupError as error:
            raise unknown("invoice", invoice_id) from error
        noted = kind in (CorrectionKind.CREDIT_NOTE, CorrectionKind.DEBIT_NOTE)
        return 201 if noted else 200, await one_invoice(uow, invoice_id)

    return work
