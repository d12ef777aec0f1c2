"""Databases for tests, each fresh from one migrated template, and the rows that stories begin with.

A test takes the fixture `database_url` (or `house`); further helpers here fill it.
"""

import asyncio
import ipaddress
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import psycopg
from pydantic import SecretStr
from sqlalchemy import insert, make_url

from api.clock import Clock, ManualClock, SystemClock
from api.house import House
from api.store import embedded, migrate
from api.store.customer_tables import contracts, logins, nases, plans, subscribers
from api.store.following import DEFAULT_POLICY
from api.store.policies import ensure_policies
from api.store.secrets import SecretBox, load_key
from api.store.uow import Store
from billing.calendar import brazil
from config.settings import Settings
from tests.support.memory import in_memory

SEED_POLICIES: dict[str, dict[str, object]] = {
    "anatel-765": {"law": "anatel-765"},
    "simple": {"law": "none", "notice_days": 5, "cut_any_day": True},
}
_TEMPLATE = "religa_template"
# Three times as quick as through the log, where nothing is synced.
_COPY = "strategy file_copy"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running embedded server; `url` is its maintenance database."""

    url: str

    def create(self, template: str = _TEMPLATE) -> str:
        """A fresh database, with the schema in it; its URL."""
        name = f"test_{next(_numbers)}"
        with self._connect() as connection:
            connection.execute(f"create database {name} template {template} {_COPY}".encode())
        return _at(self.url, name)

    def create_empty(self) -> str:
        """A fresh database without the schema; its URL."""
        return self.create("template0")

    def copy(self, url: str) -> str:
        """A copy of a database to which nobody is connected; its URL."""
        return self.create(str(make_url(url).database))

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        with self._connect() as connection:
            connection.execute(f"drop database {make_url(url).database} with (force)".encode())

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(libpq(self.url), autocommit=True)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """An embedded server in a directory of its own, with the migrated template in it."""
    # Not under pytest's own directory: pytest closes that one to the server's user.
    data_dir = Path(tempfile.mkdtemp(prefix="religa-test-", dir=in_memory()))
    try:
        server = Cluster(_at(embedded.start(data_dir), "postgres"))
        with psycopg.connect(libpq(server.url), autocommit=True) as connection:
            # Tests crash processes, not the machine.
            connection.execute("alter system set fsync = off")
            connection.execute("select pg_reload_conf()")
            connection.execute(f"create database {_TEMPLATE}".encode())
        migrate.upgrade(_at(server.url, _TEMPLATE))
        yield server
    finally:
        embedded.stop(data_dir)
        shutil.rmtree(data_dir)


def libpq(url: str) -> str:
    """The URL as psycopg itself reads it, without SQLAlchemy's driver name."""
    plain = make_url(url).set(drivername="postgresql")
    return plain.render_as_string(hide_password=False)


def _at(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


async def make_house(
    url: str, data_dir: Path, *, now: datetime | None = None, **settings: Any
) -> House:
    """A house on the database at `url`, its policies stored. Close `house.store` at the end.

    Args:
        url: a migrated database.
        data_dir: where the house keeps its files.
        now: the rehearsal clock's instant; None: real time.
        settings: further settings by name, as `coa_per_s=10`.
    """
    mode: Literal["system", "manual"] = "system" if now is None else "manual"
    chosen = Settings(data_dir=data_dir, database_url=SecretStr(url), clock=mode, **settings)
    clock: Clock = SystemClock(chosen.zone) if now is None else ManualClock(chosen.zone, now)
    house = House(
        settings=chosen,
        store=Store(url),
        clock=clock,
        secrets=SecretBox(await asyncio.to_thread(load_key, chosen)),
        load_calendar=cache(lambda: brazil(range(2025, 2032))),
        providers={},
    )
    async with house.uow("test", "seed") as uow:
        await ensure_policies(uow.connection, SEED_POLICIES, clock.now())
        if now is not None:
            await uow.move_clock(now)
    return house


async def add_plan(house: House, name: str | None = None, **columns: Any) -> int:
    """A plan of 100/50 Mbit/s, 2/1 when reduced, at R$ 99.90; its id."""
    row = {
        "name": name or f"plan-{next(_numbers)}",
        "down_bps": 100_000_000,
        "up_bps": 50_000_000,
        "reduced_down_bps": 2_000_000,
        "reduced_up_bps": 1_000_000,
        "price_cents": 9990,
    }
    return await _add(house, plans, row | columns)


async def add_nas(
    house: House,
    name: str | None = None,
    *,
    address: str = "127.0.0.1",
    secret: bytes = b"nas-secret",
    **columns: Any,
) -> int:
    """A NAS of dialect mikrotik; its id."""
    name = name or f"nas-{next(_numbers)}"
    row = {
        "name": name,
        "address": ipaddress.ip_network(address),
        "secret": house.secrets.seal("nases", name, "secret", secret),
        "dialect": "mikrotik",
    }
    return await _add(house, nases, row | columns)


@dataclass(frozen=True, slots=True)
class Added:
    """Who was added by `add_contract`."""

    subscriber_id: int
    contract_id: int
    login_id: int
    username: str


async def add_contract(
    house: House,
    plan_id: int,
    username: str | None = None,
    *,
    password: bytes = b"password",
    policy: str = "anatel-765",
    subscriber_id: int | None = None,
    due_day: int = 10,
    **login: Any,
) -> Added:
    """A contract with its login, of a new subscriber unless one is given."""
    number = next(_numbers)
    name = username or f"user-{number}"
    now = house.clock.now().astimezone(UTC)
    if subscriber_id is None:
        person = {
            "name": f"Assinante {number}",
            "document": f"{number:011d}",
            "email": f"assinante{number}@example.invalid",
            "created_at": now,
        }
        subscriber_id = await _add(house, subscribers, person)
    contract = {
        "subscriber_id": subscriber_id,
        "plan_id": plan_id,
        "due_day": due_day,
        "policy": policy,
        "policy_own": policy != DEFAULT_POLICY,
        "created_at": now,
        "since": now,
    }
    contract_id = await _add(house, contracts, contract)
    sealed = house.secrets.seal("logins", name, "password", password)
    row = {"contract_id": contract_id, "username": name, "password": sealed}
    login_id = await _add(house, logins, row | login)
    return Added(subscriber_id, contract_id, login_id, name)


async def _add(house: House, table: Any, row: dict[str, Any]) -> int:
    async with house.uow("test", "seed") as uow:
        added: int = await uow.connection.scalar(insert(table).values(row).returning(table.c.id))
        return added
