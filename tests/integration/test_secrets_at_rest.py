"""No secret is in the database in clear, and a database remembers which key sealed it."""

import psycopg
import pytest

from api.house import House
from api.store.secrets import LostKey, SecretBox, check_key
from tests.support.database import add_contract, add_nas, add_plan, libpq

CANARY = b"canary-5f2e"


@pytest.mark.anyio
async def test_no_secret_is_stored_in_clear(house: House, database_url: str) -> None:
    payer = await add_contract(house, await add_plan(house), password=CANARY)
    await add_nas(house, "bng-1", secret=CANARY)
    with psycopg.connect(libpq(database_url)) as connection:
        tables = connection.execute(
            "select tablename from pg_tables where schemaname = 'public'"
        ).fetchall()
        for (table,) in tables:
            rows = connection.execute(f"select row_to_json(t)::text from {table} t".encode())
            for (row,) in rows:
                assert CANARY.decode() not in row
                assert CANARY.hex() not in row
        [(password,)] = connection.execute("select password from logins").fetchall()
        [(secret,)] = connection.execute("select secret from nases").fetchall()
    assert house.secrets.open("logins", payer.username, "password", password) == CANARY
    assert house.secrets.open("nases", "bng-1", "secret", secret) == CANARY


@pytest.mark.anyio
async def test_the_key_that_sealed_is_accepted_again(house: House) -> None:
    for _ in range(2):
        async with house.uow("test", "start") as uow:
            await check_key(uow.connection, house.secrets)


@pytest.mark.anyio
async def test_another_key_is_refused_with_what_to_do(house: House) -> None:
    async with house.uow("test", "start") as uow:
        await check_key(uow.connection, house.secrets)
    with pytest.raises(LostKey, match=r"original secret\.key"):
        await _check(house, SecretBox(bytes(32)))


async def _check(house: House, box: SecretBox) -> None:
    async with house.store.reading() as connection:
        await check_key(connection, box)
