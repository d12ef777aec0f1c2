"""The store and its unit of work: one transaction, committed once, as the block ends."""

import asyncio
import contextlib
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import psycopg
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncTransaction, create_async_engine

from api.clock import Clock, ManualClock
from api.store import (
    accounts,
    audit,
    bulk_issue,
    bulk_looks,
    chain,
    guard_rows,
    record,
    record_money,
)
from api.store.customer_tables import contracts
from api.store.holidays import KnownCalendars
from api.store.money_tables import invoices
from api.store.pen import Written
from api.store.policies import policies_on
from api.store.staff_tables import facts
from api.store.terms import read_terms
from billing.account import Account, Desk, Payment, Reversal
from billing.calendar import Calendar
from billing.events import Fact
from billing.guard import Limits, Sight, bars
from billing.ladder import Bar
from billing.ledger import Entry

RECONNECTED = "reconnected"
_USUAL_LIMITS = Limits()
_CONNECT_TIMEOUT_S = 5
_LISTEN_RETRY_S = 0.5
_NEXT_ID = text("select nextval(pg_get_serial_sequence(:table, 'id'))")
_NOTIFY = text(
    "select pg_notify(channel, payload)"
    " from unnest(cast(:channels as text[]), cast(:payloads as text[])) as word(channel, payload)"
)


class DatabaseAway(Exception):
    """The database cannot be reached, or went away in the middle.

    Went it away during the commit, nobody knows whether that happened: read again by key, or do
    the same again (everything that moves money is unique by key), never something else.
    """


class UnknownContract(LookupError):
    """No contract has this number."""


class Store:
    """The database at `url`: pooled connections, and notifications."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url).set(drivername="postgresql+psycopg")
        self.url = parsed.render_as_string(hide_password=False)
        self.calendars = KnownCalendars()
        self.engine = create_async_engine(
            parsed,
            pool_size=10,
            max_overflow=10,
            # Costs 0.1 ms, and a restarted server costs no request.
            pool_pre_ping=True,
            connect_args={"connect_timeout": _CONNECT_TIMEOUT_S},
        )

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose transaction is rolled back at the end.

        Raises:
            DatabaseAway: the server cannot be reached.
        """
        with _telling_away():
            async with self.engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """One unchanging view of the database (REPEATABLE READ); what is written is committed.

        Raises:
            DatabaseAway: the server cannot be reached.
        """
        with _telling_away():
            async with self.engine.connect() as connection:
                await connection.execution_options(isolation_level="REPEATABLE READ")
                async with connection.begin():
                    yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction outside of any account: no clock, no audit row.

        Raises:
            DatabaseAway: the server cannot be reached.
        """
        with _telling_away():
            async with self.engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def dedicated(self) -> AsyncIterator[psycopg.AsyncConnection[tuple[object, ...]]]:
        """A connection outside of the pool, each statement its own: for session-level locks.

        Raises:
            DatabaseAway: the server cannot be reached.
        """
        with _telling_away():
            connection = await psycopg.AsyncConnection.connect(
                self._libpq_url(), autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S
            )
            async with connection:
                yield connection

    async def listen(self, channels: Sequence[str]) -> AsyncGenerator[tuple[str, str], None]:
        """Yield `(channel, payload)` for ever, over connections lost and made again.

        Each time that listening begins, the first included, `("reconnected", "")` comes first:
        what was told before is lost, so the listener looks at its rows once.
        """
        conninfo = self._libpq_url()
        listen = ";".join(f"listen {channel}" for channel in channels)
        while True:
            try:
                # A peer that vanished is noticed within half a minute.
                connection = await psycopg.AsyncConnection.connect(
                    conninfo,
                    autocommit=True,
                    connect_timeout=_CONNECT_TIMEOUT_S,
                    keepalives_idle=10,
                    keepalives_interval=5,
                    keepalives_count=3,
                )
                async with connection:
                    await connection.execute(listen.encode())
                    yield RECONNECTED, ""
                    async for notify in connection.notifies():
                        yield notify.channel, notify.payload
            except psycopg.OperationalError:
                await asyncio.sleep(_LISTEN_RETRY_S)

    def _libpq_url(self) -> str:
        url = make_url(self.url).set(drivername="postgresql")
        return url.render_as_string(hide_password=False)

    async def close(self) -> None:
        await self.engine.dispose()


class Uow:
    """One transaction of one actor. Commits as the block ends, rolls back if it raises."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        load_calendar: Callable[[], Calendar],
        actor: str,
        correlation_id: str,
        limits: Limits = _USUAL_LIMITS,
        cuts_off_here: Callable[[], bool] = lambda: False,
    ) -> None:
        self.clock = clock
        self.limits = limits
        self._cuts_off_here = cuts_off_here
        self._load_calendar = load_calendar
        self.actor = actor
        self.correlation_id = correlation_id
        self._store = store
        self._stack = contextlib.AsyncExitStack()
        self._connection: AsyncConnection | None = None
        self._transaction: AsyncTransaction | None = None
        self._audits: list[audit.Item] = []
        self._notifications: list[tuple[str, str]] = []
        self._entries: list[chain.Unsealed] = []
        self._desk: Desk | None = None

    @property
    def connection(self) -> AsyncConnection:
        """The connection inside the transaction."""
        if self._connection is None:
            raise RuntimeError("a unit of work is used inside its `async with` block")
        return self._connection

    async def __aenter__(self) -> Self:
        with _telling_away():
            self._connection = await self._stack.enter_async_context(self._store.engine.connect())
            try:
                self._transaction = await self._connection.begin()
                if isinstance(self.clock, ManualClock):
                    await self._read_clock(self.clock)
            except BaseException:
                await self._stack.aclose()
                raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._transaction is None:
            raise RuntimeError("left before it was entered")
        with _telling_away():
            try:
                if error is None:
                    await self._flush()
                    await self._transaction.commit()
                else:
                    await self._transaction.rollback()
            finally:
                await self._stack.aclose()
                self._connection = None
        if error is not None and is_away(error):
            raise DatabaseAway(_AWAY) from error

    async def account(self, subscriber_id: int, also: Sequence[int] = ()) -> Account:
        """The payer's account, locked until the end of the transaction.

        Args:
            subscriber_id: whose.
            also: invoices that are wanted though nothing is owed on them.

        Raises:
            LookupError: no such subscriber.
        """
        return await accounts.load(self.connection, subscriber_id, self.clock.now(), also)

    async def payer_of_contract(self, contract_id: int) -> int:
        """The subscriber who pays for a contract.

        Raises:
            UnknownContract: there is no such contract.
        """
        query = select(contracts.c.subscriber_id).where(contracts.c.id == contract_id)
        payer: int | None = await self.connection.scalar(query)
        if payer is None:
            raise UnknownContract(f"there is no contract {contract_id}")
        return payer

    async def payer_of_invoice(self, invoice_id: int) -> int | None:
        """The subscriber who owes an invoice; None: there is no such invoice."""
        query = (
            select(contracts.c.subscriber_id)
            .join(invoices, invoices.c.contract_id == contracts.c.id)
            .where(invoices.c.id == invoice_id)
        )
        payer: int | None = await self.connection.scalar(query)
        return payer

    async def desk(self) -> Desk:
        """Policies in the versions that rule, calendars and instant; read once in a transaction.

        What stands against any cut now lies on it too: the kill switch, and what the guards say.
        """
        if self._desk is None:
            desk = await self.desk_with(bars(await self.sight(), self.limits))
            self._desk = replace(desk, leaves_due=True)
        return self._desk

    async def sight(self) -> Sight:
        """What the judge can see now; the kill switch of this machine's file is seen too."""
        seen = await guard_rows.sight(self.connection, self.clock.now())
        if self._cuts_off_here() and not seen.switched_off:
            return replace(seen, switched_off=True)
        return seen

    async def desk_with(self, standing: tuple[Bar, ...], at: datetime | None = None) -> Desk:
        """The desk of who asks the guards apart: a sweep, which plans before it cuts.

        `at` is an instant to come that somebody looks ahead to; None: now.
        """
        now, own = at or self.clock.now(), self._load_calendar()
        policies = await policies_on(self.connection, now.date())
        terms = await read_terms(self.connection)
        calendars = await self._store.calendars.read(self.connection, own)
        return Desk(policies, calendars[own.place], now, terms, standing, calendars)

    async def draw(self, table: str) -> int:
        """The next id of a table. The pure core names its objects before they are stored."""
        drawn: int | None = await self.connection.scalar(_NEXT_ID, {"table": table})
        if drawn is None:
            raise ValueError(f"table {table} draws no ids")
        return drawn

    async def record(self, payer: Account, facts: Sequence[Fact]) -> None:
        """Write facts, in their order, to their tables, the audit chain and the channels.

        Args:
            payer: whose account they changed, as it was or as it is.
            facts: what changing it made true.
        """
        written = await record.write(self.connection, payer, facts, self.correlation_id)
        self._keep(written)

    async def record_many(self, facts: Sequence[bulk_issue.Bulk]) -> None:
        """Write the facts of many payers at once; one at least is a new invoice."""
        self._keep(await bulk_issue.write(self.connection, facts, self.correlation_id))

    async def free_accounts(self, subscriber_ids: Collection[int]) -> dict[int, Account]:
        """The same of many payers, locked too, without those whom somebody else has locked."""
        return await accounts.load_free(self.connection, subscriber_ids, self.clock.now())

    async def record_looks(self, looks: Sequence[tuple[int, Sequence[bulk_looks.Simple]]]) -> None:
        """Write what looks at many payers, by their ids, made true: dates of review, notices."""
        self._keep(await bulk_looks.write(self.connection, looks))

    async def accounts_unlocked(self, subscriber_ids: Sequence[int]) -> dict[int, Account]:
        """The same as they stand, for who only looks."""
        return await accounts.load_unlocked(self.connection, subscriber_ids, self.clock.now())

    async def record_suspense(self, payment: Payment, reason: str, entry: Entry) -> None:
        """Keep money that nobody can be credited with yet, with the reason why."""
        written = await record_money.write_suspense(
            self.connection, payment, reason, entry, self.correlation_id
        )
        self._keep(written)

    async def record_suspense_reversal(self, reversal: Reversal, entry: Entry) -> None:
        """Keep that money which waited in suspense went back."""
        self._keep(
            await record_money.write_suspense_reversal(
                self.connection, reversal, entry, self.correlation_id
            )
        )

    def _keep(self, written: Written) -> None:
        self._audits += written.audits
        self._notifications += written.notifications
        self._entries += written.entries

    async def audit(self, action: str, subject: str, data: Mapping[str, object]) -> None:
        """Queue a row of the audit chain; it is chained right before the commit."""
        self._audits.append(audit.Item(action, subject, dict(data)))

    def notify(self, channel: str, payload: str = "") -> None:
        """Tell listeners at commit; a rollback tells nobody. Equal ones are told once."""
        self._notifications.append((channel, payload))

    async def move_clock(self, to: datetime) -> None:
        """Set the rehearsal clock, for every process, as of the commit."""
        if not isinstance(self.clock, ManualClock):
            raise TypeError("only the rehearsal clock can be moved")
        value = to.astimezone(UTC).isoformat()
        statement = insert(facts).values(name="clock", value=value)
        await self.connection.execute(
            statement.on_conflict_do_update(index_elements=["name"], set_={"value": value})
        )
        # Whoever moves it by hand knows what day it is to be.
        await guard_rows.keep_seen(self.connection, to)
        self.clock.instant = to
        self._desk = None

    async def _read_clock(self, clock: ManualClock) -> None:
        stored = await self.connection.scalar(select(facts.c.value).where(facts.c.name == "clock"))
        if stored is not None:
            clock.instant = datetime.fromisoformat(str(stored))

    async def _flush(self) -> None:
        if self._notifications:
            channels, payloads = zip(*dict.fromkeys(self._notifications), strict=True)
            words = {"channels": list(channels), "payloads": list(payloads)}
            await self.connection.execute(_NOTIFY, words)
        if self._audits or self._entries:
            # Last of all: the lock is held from here to the end of the commit.
            await audit.lock(self.connection)
        if self._entries:
            await chain.append(self.connection, self._entries)
        if self._audits:
            await audit.append(
                self.connection, self._audits, self.actor, self.correlation_id, self.clock.now()
            )


_AWAY = "the database cannot be reached; see that PostgreSQL runs and what RELIGA_DATABASE_URL says"


def is_away(error: BaseException) -> bool:
    """Whether this error says that the server is away, and not that a statement was wrong."""
    if isinstance(error, psycopg.OperationalError):
        # A failed connect has no SQLSTATE; class 57P is shutdown or start-up, 08 the connection,
        # 53 a full disk or no memory or connection left: all pass without our doing.
        state = error.sqlstate
        return state is None or state[:3] == "57P" or state[:2] in ("08", "53")
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (
            isinstance(error.orig, BaseException) and is_away(error.orig)
        )
    return False


@contextlib.contextmanager
def _telling_away() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, psycopg.OperationalError) as error:
        if is_away(error):
            raise DatabaseAway(_AWAY) from error
        raise
