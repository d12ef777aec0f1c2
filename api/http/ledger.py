"""The ledger as an accountant reads it, and the bills of payers with several contracts."""

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse

from api import cashier
from api.http import answers, bookkeeping, fields
from api.http.cursor import Window, decode, encode, window
from api.http.idempotency import IdempotencyKey, once
from api.http.lists import unknown
from api.http.money import pix_answer, with_amounts
from api.http.problems import invalid, responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import books, listing
from api.store.bills import bill_rows, invoice_rows_of_bills
from api.store.money_tables import bills, ledger_entries
from api.store.uow import Uow
from billing.calendar import ONE_DAY, day_start

router = APIRouter(tags=["ledger"], responses=responses(401, 403, 422, 503))

Asked = Annotated[Window, Depends(window)]
Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
Reader = Annotated[Caller, Depends(require(Permission.READ_DEBT))]
Account = Annotated[
    str | None, Query(max_length=100, pattern=r"^[a-z_]+(:\S+)?$", examples=["cash:pix"])
]


@router.get("/ledger/balances", summary="Balances, now or as they stood at an instant")
async def balances(
    caller: Reader,
    account: Account = None,
    at: Annotated[
        str | None, Query(max_length=40, description="a date (its end) or an instant")
    ] = None,
) -> bookkeeping.Balances:
    async with caller.uow() as uow:
        now = uow.clock.now()
        until = now if at is None else _until(at, now)
        found = await books.balances(uow.connection, account, until)
    items = [bookkeeping.BalanceItem(account=name, cents=cents) for name, cents in found]
    return bookkeeping.Balances(at=until, items=items)


@router.get("/ledger/entries", summary="Entries in the order of their numbers, with their postings")
async def entries(
    asked: Asked, caller: Reader, account: Account = None
) -> answers.Page[bookkeeping.EntryAnswer]:
    after = decode("ledger", asked.after) if asked.after is not None else None
    async with caller.uow() as uow:
        rows, last = await listing.page(
            uow.connection,
            books.entry_rows(account),
            ledger_entries.c.id,
            after,
            asked.limit,
            caller.house.settings.zone,
        )
        postings = await books.postings_of(uow.connection, [row["id"] for row in rows])
    items = [
        bookkeeping.EntryAnswer.model_validate({**row, "postings": postings[row["id"]]})
        for row in rows
    ]
    return answers.Page(items=items, next=encode("ledger", last) if last is not None else None)


@router.get("/bills", summary="List bills: what payers of several contracts owe for one due date")
async def list_bills(
    asked: Asked,
    caller: Reader,
    subscriber_id: Annotated[int | None, Query(ge=1, le=fields.ID_MAX)] = None,
) -> answers.Page[bookkeeping.BillAnswer]:
    after = decode("bills", asked.after) if asked.after is not None else None
    async with caller.uow() as uow:
        rows, last = await listing.page(
            uow.connection,
            bill_rows(subscriber_id),
            bills.c.id,
            after,
            asked.limit,
            caller.house.settings.zone,
        )
        items = await _bills(uow, caller, rows)
    return answers.Page(items=items, next=encode("bills", last) if last is not None else None)


@router.get("/bills/{id}", summary="Read a bill", responses=responses(404))
async def read_bill(id: Id, caller: Reader) -> bookkeeping.BillAnswer:
    async with caller.uow() as uow:
        zone = caller.house.settings.zone
        row = await listing.one(uow.connection, bill_rows(), bills.c.id, id, zone)
        if row is None:
            raise unknown("bill", id)
        return (await _bills(uow, caller, [row]))[0]


@router.post(
    "/bills/{id}/pix",
    summary="Make, or give again, the Pix charge that settles all of a bill today",
    description="What is paid goes to the bill's invoices, oldest first.",
    response_model=answers.PixCharge,
    responses=responses(404, 409),
)
async def charge_bill_by_pix(
    request: Request,
    id: Id,
    caller: Annotated[Caller, Depends(require(Permission.TAKE_PAYMENTS))],
    key: IdempotencyKey = None,
) -> JSONResponse:
    async def work(uow: Uow) -> tuple[int, answers.PixCharge]:
        return 200, await pix_answer(cashier.charge_bill(caller.house, uow, id), "bill", id)

    return await once(request, caller, key, "POST /bills/{id}/pix", None, work)


async def _bills(
    uow: Uow, caller: Caller, rows: list[listing.Item]
) -> list[bookkeeping.BillAnswer]:
    query = invoice_rows_of_bills([row["id"] for row in rows])
    found = await listing.rows_of(uow.connection, query, caller.house.settings.zone)
    shown = await with_amounts(uow, found)
    made = []
    for row in rows:
        own = [item for item in shown if item.bill_id == row["id"]]
        made.append(
            bookkeeping.BillAnswer(
                **row,
                amount_cents=sum(item.amount_cents for item in own if item.state != "void"),
                amount_due_cents=sum(item.amount_due_cents for item in own),
                invoices=own,
            )
        )
    return made


def _until(at: str, now: datetime) -> datetime:
    """The instant meant by a date (the end of it) or an instant; without zone, the provider's."""
    try:
        if len(at) == len("2026-01-01"):
            return day_start(fields.near(date.fromisoformat(at)) + ONE_DAY, now.tzinfo or UTC)
        instant = datetime.fromisoformat(at)
        fields.near(instant.date())
    except (ValueError, OverflowError) as error:
        raise invalid("at", "a date or an instant in ISO 8601 is wanted") from error
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=now.tzinfo)
