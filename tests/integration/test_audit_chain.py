"""The audit chain: gap-free whoever writes, and no edit goes unnoticed."""

import asyncio

import pytest
from sqlalchemy import select, text

from api.house import House
from api.store import audit
from api.store.staff_tables import audit_log


async def _log(house: House, number: int) -> None:
    async with house.uow("test", f"c-{number}") as uow:
        await uow.audit("thing.done", f"thing:{number}", {"number": number, "text": "São ☂"})
        await uow.audit("thing.seen", f"thing:{number}", {"deep": [{"b": 1, "a": None}]})


async def _verify(house: House) -> int | None:
    async with house.store.reading() as connection:
        return await audit.verify(connection)


async def _tamper(house: House, statement: str) -> None:
    """As somebody would who owns the database."""
    async with house.uow("test", "tamper") as uow:
        await uow.connection.execute(text("alter table audit_log disable trigger append_only"))
        await uow.connection.execute(text(statement))
        await uow.connection.execute(text("alter table audit_log enable trigger append_only"))


@pytest.mark.anyio
async def test_an_empty_chain_is_whole(house: House) -> None:
    assert await _verify(house) is None


@pytest.mark.anyio
async def test_writers_at_once_leave_no_gap(house: House) -> None:
    await asyncio.gather(*(_log(house, number) for number in range(12)))
    async with house.store.reading() as connection:
        rows = (await connection.execute(select(audit_log).order_by(audit_log.c.seq))).all()
    assert [row.seq for row in rows] == list(range(1, 25))
    # The two rows of one transaction stand together.
    correlations = [row.correlation_id for row in rows]
    assert correlations[::2] == correlations[1::2]
    assert await _verify(house) is None


@pytest.mark.anyio
async def test_a_rollback_leaves_no_gap(house: House) -> None:
    await _log(house, 1)
    with pytest.raises(RuntimeError, match="no"):
        await _log_and_fail(house)
    await _log(house, 2)
    assert await _verify(house) is None


async def _log_and_fail(house: House) -> None:
    async with house.uow("test", "c-x") as uow:
        await uow.audit("thing.done", "thing:x", {})
        raise RuntimeError("no")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("update audit_log set actor = 'mallory' where seq = 3", 3),
        ("update audit_log set data = data || '{\"number\": 7}' where seq = 1", 1),
        ("update audit_log set at = at + interval '1 microsecond' where seq = 4", 4),
        ("delete from audit_log where seq = 2", 2),
        ("delete from audit_log where seq = 1", 1),
        ("update audit_log set version = 2 where seq = 2", 2),
        ("update audit_log set hash = sha256(hash) where seq = 2", 2),
    ],
)
async def test_an_edit_is_found_where_it_was_made(
    house: House, statement: str, broken: int
) -> None:
    await _log(house, 1)
    await _log(house, 2)
    await _tamper(house, statement)
    assert await _verify(house) == broken
