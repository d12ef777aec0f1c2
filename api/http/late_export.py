"""The list of late contracts as one file: CSV or XLSX."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import IO, Any

from fastapi.responses import Response, StreamingResponse
from sqlalchemy import Select
from starlette.background import BackgroundTask

from api import exporting
from api.http.problems import conflict
from api.http.security import Caller
from api.sentences import LEVELS, Lang
from api.store import delinquency, listing
from api.store.delinquency import Day
from api.store.late_list import Filters, late_rows
from api.store.uow import Uow
from billing.ageing import days_late
from billing.documents import mask

BATCH = 1_000

_COLUMNS = (
    exporting.Column("contract_id", "number", "Contrato", "Contract"),
    exporting.Column("name", "text", "Assinante", "Subscriber"),
    exporting.Column("document", "text", "CPF/CNPJ", "Document"),
    exporting.Column("username", "text", "Login", "Login"),
    exporting.Column("plan", "text", "Plano", "Plan"),
    exporting.Column("region", "text", "Região", "Region"),
    exporting.Column("policy", "text", "Política", "Policy"),
    exporting.Column("level", "text", "Nível", "Level"),
    exporting.Column("step", "text", "Etapa", "Step"),
    exporting.Column("bucket", "text", "Faixa de atraso", "Bucket"),
    exporting.Column("days_late", "number", "Dias de atraso", "Days late"),
    exporting.Column("oldest_due_on", "day", "Vencimento mais antigo", "Oldest due date"),
    exporting.Column("invoices", "number", "Faturas em atraso", "Late invoices"),
    exporting.Column("debt_cents", "cents", "Dívida (R$)", "Debt (BRL)"),
    exporting.Column("disputed_cents", "cents", "Contestado (R$)", "Disputed (BRL)"),
    exporting.Column("promise", "flag", "Promessa", "Promise"),
    exporting.Column("agreement", "flag", "Acordo", "Agreement"),
    exporting.Column("dispute", "flag", "Contestação", "Dispute"),
    exporting.Column("exempt", "flag", "Isento de corte", "Exempt"),
)


def told(row: listing.Item, day: Day) -> dict[str, Any]:
    return row | {
        "document": mask(row["document"]),
        "days_late": days_late(row["oldest_due_on"], day.today),
    }


async def export(
    caller: Caller, wanted: Filters, sort: str, kind: exporting.Format, lang: Lang
) -> Response:
    """All of the list as one file, made whole before the first byte of it is sent."""
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- closed when all of it is sent
    try:
        async with caller.uow() as uow:
            day = Day.at(await uow.desk())
            await delinquency.without_jit(uow.connection)
            query = late_rows(day, wanted, sort)
            writer = exporting.writer(kind, file, _COLUMNS, lang)
            rows = await _write(uow, query, writer, lambda row: _worded(told(row, day), lang))
            asked = {name: value for name, value in asdict(wanted).items() if value is not None}
            data = {"format": kind, "rows": rows, "filters": asked}
            await uow.audit("delinquency.exported", "delinquency", data)
    except exporting.TooManyRows as error:
        file.close()
        raise conflict("too-many-rows", "Too many rows for a worksheet", str(error)) from error
    except BaseException:
        file.close()
        raise
    size = file.tell()
    file.seek(0)
    return StreamingResponse(
        iter(lambda: file.read(1 << 16), b""),
        media_type=exporting.MEDIA_TYPES[kind],
        headers={
            "Content-Disposition": f'attachment; filename="delinquency-{day.today}.{kind}"',
            "Content-Length": str(size),
        },
        background=BackgroundTask(file.close),
    )


def _worded(row: dict[str, Any], lang: Lang) -> dict[str, Any]:
    """The row in words of a language, as a person reads it."""
    words = LEVELS[lang]
    return row | {"level": words[row["level"]], "step": words.get(row["step"], "")}


async def _write(
    uow: Uow,
    query: Select[Any],
    writer: exporting.Writer,
    told_of: Callable[[listing.Item], dict[str, Any]],
) -> int:
    rows = 0
    async for batch in _batches(uow, query):
        told = [told_of(row) for row in batch]
        await asyncio.to_thread(writer.write, told)
        rows += len(told)
    await asyncio.to_thread(writer.close)
    return rows


async def _batches(uow: Uow, query: Select[Any]) -> AsyncIterator[list[listing.Item]]:
    async with uow.connection.stream(query) as found:
        async for part in found.mappings().partitions(BATCH):
            yield [dict(row) for row in part]
