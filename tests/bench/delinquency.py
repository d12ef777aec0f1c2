"""Who is late among 100,000 contracts with a year of invoices, asked over the HTTP face.

Twelve in a hundred are late, for one to five months; five have an agreement, of which one in five
is behind; the others pay between three days early and eighty days late. Rows are made with COPY
into the embedded server as it comes, without the ledger behind them and without triggers; what
these would have told is told at once. Every route is asked for in turn on warm data, through the
application but no socket, and held to its slowest in a hundred.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import text

from api.compose import open_house, prepare
from api.house import House
from api.store import embedded, recovery
from config.settings import Settings
from tests.bench.figure import Figure, percentile
from tests.support.database import add_plan, libpq
from tests.support.http_face import open_face
from tests.support.product import cpf, own_folder

CONTRACTS = 100_000
MONTHS = 12
PLANS = 12
ASKED = 100
REACH_MS = 200.0
CENTS = 9_990
ROUTES = {
    "": "/delinquency",
    "_contracts": "/delinquency/contracts",
    "_contracts_by_name": "/delinquency/contracts?sort=name",
    "_contracts_by_days": "/delinquency/contracts?sort=days_late&bucket=31-60",
    "_contracts_found": "/delinquency/contracts?search=77&promise=false&agreement=false",
    "_cohorts": "/delinquency/cohorts",
    "_promises": "/delinquency/promises",
    "_agreements": "/delinquency/agreements",
    "_dso": "/delinquency/dso",
    "_forecast": "/delinquency/forecast",
}
_LAGS = (-3, -2, -1, 0, 0, 0, 0, 1, 2, 3, 5, 8, 10, 12, 15, 20, 30, 45, 60, 80)
# The books behind the payments are not asked for anything here: one entry stands for all.
_ENTRY = """
with entry as (
    insert into ledger_entries (id, kind, at, reference, correlation_id)
    values (1, 'payment', now(), 'bench', 'bench') returning id
)
insert into ledger_postings (entry_id, position, account, cents)
select id, 0, 'cash:bench', 1 from entry union all select id, 1, 'suspense', -1 from entry
"""
_RECOVERY = (
    """
    insert into recovery_news (due_on, cents)
    select due_on, sum(amount_cents - discount_cents) from invoices group by due_on
    """,
    """
    insert into recovery_news (due_on, paid_at, cents)
    select due_on, paid_at, sum(cents) from invoice_recoveries group by 1, 2
    """,
)
_STEPS = """
update contracts set level = 'walled', rungs = jsonb_build_array(
    jsonb_build_object('level', 'walled', 'entered_on', current_date))
where id % 100 < 12 and (id / 100) % 5 >= 1
"""
Row = tuple[Any, ...]


def delinquency() -> Iterator[Figure]:
    """Yield the slowest in a hundred of each route, and its median, in milliseconds."""
    with own_folder() as folder:
        settings = Settings(data_dir=folder / "var")
        settings.data_dir.mkdir()
        try:
            took = asyncio.run(_measure(settings))
        finally:
            embedded.stop(settings.data_dir)
    for name, waits in took.items():
        yield Figure(f"delinquency_100k{name}", percentile(waits, 99), "ms", REACH_MS)
        yield Figure(f"delinquency_100k{name}_median", percentile(waits, 50), "ms")


async def _measure(settings: Settings) -> dict[str, list[float]]:
    async with open_house(settings) as house:
        await prepare(house)
        plans = [await add_plan(house, f"Fibra {n}") for n in range(PLANS)]
        began = time.monotonic()
        await asyncio.to_thread(_fill, house, plans)
        async with house.store.writing() as connection:
            await recovery.fold(connection, house.settings.zone)
        async with house.store.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("vacuum analyze"))
        print(f"rows made in {time.monotonic() - began:.0f} s", file=sys.stderr)
        async with open_face(house) as face:
            client = await face.client()
            return {name: await _asked(client, path) for name, path in ROUTES.items()}


async def _asked(client: Any, path: str) -> list[float]:
    waits: list[float] = []
    for turn in range(ASKED + 5):
        began = time.perf_counter()
        answer = await client.get(f"/api/v1{path}")
        if turn >= 5:
            waits.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
    return waits


def _fill(house: House, plans: Sequence[int]) -> None:
    today = house.clock.now().date()
    with (
        closing(psycopg.connect(libpq(house.store.url))) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(b"set session_replication_role = replica")
        cursor.execute(_ENTRY.encode())
        base = _Base(today, plans)
        for table, columns, rows in base.tables():
            words = ", ".join(columns)
            with cursor.copy(f"copy {table} ({words}) from stdin".encode()) as copy:
                for row in rows:
                    copy.write_row(row)
        for statement in (*_RECOVERY, _STEPS):
            cursor.execute(statement.encode())
        connection.commit()


class _Base:
    """A provider's rows, chosen by number alone."""

    def __init__(self, today: date, plans: Sequence[int]) -> None:
        self.today, self.plans = today, plans
        self.at = datetime(today.year, today.month, today.day, 15, tzinfo=UTC)

    def tables(self) -> Iterator[tuple[str, tuple[str, ...], Iterator[Row]]]:
        yield "subscribers", ("id", "name", "document", "created_at"), self._people()
        yield (
            "contracts",
            ("id", "subscriber_id", "plan_id", "due_day", "policy", "created_at", "since"),
            self._contracts(),
        )
        yield "logins", ("contract_id", "username", "password"), self._logins()
        yield (
            "invoices",
            ("id", "contract_id", "due_on", "issued_at", "state", "amount_cents", "paid_cents"),
            self._invoices(),
        )
        yield (
            "payments",
            (
                *("id", "provider", "external_id", "invoice_id", "subscriber_id", "amount_cents"),
                *("method", "reference", "paid_at", "cleared_at", "credit_cents", "state"),
                *("entry_id", "correlation_id"),
            ),
            self._payments(),
        )
        yield (
            "allocations",
            ("payment_id", "invoice_id", "interest_cents", "fine_cents", "principal_cents"),
            self._allocations(),
        )
        yield (
            "agreements",
            (
                *("contract_id", "state", "author", "offered_at", "valid_until", "proposal"),
                *("simulation", "accepted_at", "old_invoice_ids", "invoice_ids"),
            ),
            self._agreements(),
        )
        yield (
            "promises",
            ("contract_id", "made_at", "until_on", "author", "debt_invoice_ids", "state"),
            self._promises(),
        )

    def _people(self) -> Iterator[Row]:
        for n in range(1, CONTRACTS + 1):
            yield n, f"Assinante {n}", cpf(n), self.at

    def _contracts(self) -> Iterator[Row]:
        for n in range(1, CONTRACTS + 1):
            plan = self.plans[n % len(self.plans)]
            yield n, n, plan, 1 + n % 28, "anatel-765", self.at, self.at

    def _logins(self) -> Iterator[Row]:
        for n in range(1, CONTRACTS + 1):
            yield n, f"user{n}", b"sealed"

    def _due(self) -> Iterator[tuple[int, int, date, str]]:
        """Number, contract, due date and state of every invoice."""
        for n in range(1, CONTRACTS + 1):
            unpaid = 1 + n // 100 % 5 if n % 100 < 12 else 0
            agreed = 12 <= n % 100 < 17
            for month in range(MONTHS):
                # 0: not due yet; then each a month older.
                due_on = self.today + timedelta(days=1 + n % 28 - 30 * month)
                state = "open" if month <= unpaid else "paid"
                if agreed and 4 <= month <= 6:
                    state = "renegotiated"
                yield n * MONTHS + month, n, due_on, state
            if agreed:
                for part in range(4):
                    behind = n // 100 % 5 == 0
                    due_on = self.today + timedelta(days=30 * part - (20 if behind else -3))
                    yield (CONTRACTS + 1) * MONTHS + n * 4 + part, n, due_on, "open"

    def _invoices(self) -> Iterator[Row]:
        for number, contract, due_on, state in self._due():
            paid = CENTS if state == "paid" else 0
            yield number, contract, due_on, self.at, state, CENTS, paid

    def _paid(self) -> Iterator[tuple[int, int, datetime]]:
        for number, contract, due_on, state in self._due():
            if state == "paid":
                lag = min(_LAGS[number * 7 % len(_LAGS)], (self.today - due_on).days)
                on = due_on + timedelta(days=lag)
                at = datetime(on.year, on.month, on.day, 12 + number % 9, number % 60, tzinfo=UTC)
                yield number, contract, at

    def _payments(self) -> Iterator[Row]:
        for number, contract, at in self._paid():
            yield (
                *(number, "bench", str(number), number, contract, CENTS),
                *("pix", "bench", at, at, 0, "posted"),
                *(1, "bench"),
            )

    def _allocations(self) -> Iterator[Row]:
        for number, _, _ in self._paid():
            yield number, number, 0, 0, CENTS

    def _agreements(self) -> Iterator[Row]:
        for n in range(1, CONTRACTS + 1):
            if 12 <= n % 100 < 17:
                old = [n * MONTHS + month for month in (4, 5, 6)]
                parts = [(CONTRACTS + 1) * MONTHS + n * 4 + part for part in range(4)]
                owed = json.dumps(
                    {"owed": [{"invoice_id": i, "principal_cents": CENTS} for i in old]}
                )
                yield n, "running", "ana", self.at, self.today, "{}", owed, self.at, old, parts

    def _promises(self) -> Iterator[Row]:
        for n in range(1, CONTRACTS + 1):
            if n % 100 < 3:
                until_on = self.today + timedelta(days=n % 5 - 1)
                yield n, self.at, until_on, "ana", [n * MONTHS + 1], "running"
