"""`religa verify` is silent about an untouched database and names what was tampered with."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from api import billing_run, renegotiating
from api.cashier import charge_bill
from api.correcting import correct
from api.house import House
from api.renegotiating import Asked as Wanted
from api.reversing import Asked, assign, reverse
from api.store import chain
from api.store.money_tables import bills
from api.store.uow import Uow
from api.verify import verify
from api.verify_rows import verify_rows
from billing.account import CorrectionKind, Payment, ReversalKind
from billing.agreement import Proposal
from billing.dispute import DisputeState
from billing.ledger import suspense_entry
from billing.pause import Pause
from billing.suspension import suspend
from tests.support.database import Added, Cluster, add_contract, add_plan, make_house
from tests.support.debtors import with_provider
from tests.support.money import add_invoice, add_payment, cut
from tests.support.provider import FakeProvider

TUESDAY = date(2026, 9, 1)
MORNING = datetime(2026, 9, 1, 13, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Lived:
    """A database in which a story was lived to its end, at `now`; nobody is connected to it."""

    url: str
    data_dir: Path
    now: datetime


@pytest.fixture(scope="module")
async def story(
    database_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Lived]:
    """Cuts, restores, credit, late charges and suspense: lived once, tampered with in copies."""
    lived = Lived(database_cluster.create(), tmp_path_factory.mktemp("lived"), MORNING)
    house = await make_house(lived.url, lived.data_dir, now=MORNING)
    await _live(house)
    now = house.clock.now()
    await house.store.close()
    yield replace(lived, now=now)
    database_cluster.drop(lived.url)


@pytest.fixture
async def lived_in(database_cluster: Cluster, story: Lived) -> AsyncIterator[House]:
    """A house on a copy of that database."""
    url = database_cluster.copy(story.url)
    house = await make_house(url, story.data_dir, now=story.now)
    yield house
    await house.store.close()
    database_cluster.drop(url)


async def _live(house: House) -> None:
    plan_id = await add_plan(house)
    restored = await add_contract(house, plan_id)
    await add_payment(house, restored, 90, "ahead")
    await cut(house, restored, TUESDAY)
    await add_payment(house, restored, 12_000, "all")
    walled = await add_contract(house, plan_id)
    await cut(house, walled, date(2026, 10, 6))
    await add_payment(house, walled, 1_000, "part")
    fresh = await add_contract(house, plan_id)
    await add_invoice(house, fresh, date(2026, 12, 1))
    async with house.uow("test", "suspense") as uow:
        now = uow.clock.now()
        money = Payment(await uow.draw("payments"), "pix", "s", 700, "pix", "x", now, now, None)
        await uow.record_suspense(money, "it names no invoice", suspense_entry(money))
    await _corrected(house, await add_contract(house, plan_id))
    await _agreed(house, await add_contract(house, plan_id))
    await _billed_together(house, await add_contract(house, plan_id), plan_id)


async def _corrected(house: House, payer: Added) -> None:
    """Notes, reversals, voiding, writing off and an assignment of one payer."""
    due_on = house.clock.now().date()
    numbers = [await add_invoice(house, payer, due_on, cents) for cents in (9_000, 8_000, 7_000)]
    first = await add_payment(house, payer, 9_000, "first", numbers[0])
    refunded = await add_payment(house, payer, 5_000, "refunded", numbers[1])
    async with house.uow("test", "later") as uow:
        await _correct(uow, numbers[0], CorrectionKind.CREDIT_NOTE, 500)
        back = Asked(ReversalKind.REFUND, "r-1", 300, "ana", "teste")
        await reverse(uow, refunded, back)
        await reverse(uow, first, Asked(ReversalKind.CHARGEBACK, "c-1", None, "ana", "teste"))
        await _correct(uow, numbers[1], CorrectionKind.VOID)
        await _correct(uow, numbers[2], CorrectionKind.DEBIT_NOTE, 100)
        await _correct(uow, numbers[2], CorrectionKind.WRITE_OFF)
        now = uow.clock.now()
        money = Payment(await uow.draw("payments"), "pix", "found", 900, "pix", "x", now, now, None)
        await uow.record_suspense(money, "it names no invoice", suspense_entry(money))
        await reverse(uow, money.id, Asked(ReversalKind.RETURNED, "d-1", 200, "ana", "teste"))
        await assign(uow, money.id, invoice_id=numbers[2], subscriber_id=None)


async def _agreed(house: House, payer: Added) -> None:
    """An agreement that runs and one that waits, a dispute that is answered, a pause that ended."""
    today = house.clock.now().date()
    old, disputed = [await add_invoice(house, payer, today, cents) for cents in (9_000, 8_000)]
    async with house.uow("test", "agree") as uow:
        asked = Wanted("ana", today + timedelta(days=9), Proposal(2, 10, 0, 0, 10, 0), (old,))
        for _ in range(2):
            account = await uow.account(payer.subscriber_id)
            number = await renegotiating.offer(uow, account, payer.contract_id, asked)
        await renegotiating.approve(uow, number, "bia")
        await renegotiating.accept(uow, number, "ana")
        number = await renegotiating.dispute(uow, disputed, 3_000, "cobrado a mais", "ana")
        await renegotiating.answer(uow, number, DisputeState.ACCEPTED, "de acordo", "bia", None)
        account = await uow.account(payer.subscriber_id)
        days = (today + timedelta(days=1), today + timedelta(days=40))
        pause = Pause(await uow.draw("pauses"), payer.contract_id, uow.clock.now(), "ana", *days)
        await uow.record(account, suspend(account, pause, await uow.desk())[1])
        await renegotiating.end_pause(uow, pause.id)


async def _billed_together(house: House, payer: Added, plan_id: int) -> None:
    """A payer of two contracts, whose run of the month makes a bill; and a charge of it."""
    await add_contract(house, plan_id, subscriber_id=payer.subscriber_id)
    await billing_run.run(house, date(2026, 11, 30), "bill", "test")
    async with house.uow("test", "charge") as uow:
        bill_id = await uow.connection.scalar(select(func.max(bills.c.id)))
        await charge_bill(with_provider(house, FakeProvider()), uow, bill_id or 0)


async def _correct(uow: Uow, invoice_id: int, kind: CorrectionKind, cents: int = 0) -> None:
    await correct(uow, invoice_id, kind, author="ana", reason="teste", amount_cents=cents)


# Ids that the database gives and nothing refers to; when a provider lets a charge expire.
_SAYS_NOTHING = {("allocations", "id"), ("charges", "id"), ("charges", "created_at")}
_OTHER = {
    "bigint": "coalesce({0}, 0) + 1000000",
    "integer": "{0} + 1",
    "smallint": "{0} + 50",
    "text": "concat({0}, 'x')",
    "date": "coalesce({0}, current_date) + 1",
    "timestamp with time zone": "coalesce({0}, now()) + interval '1 second'",
    "boolean": "not {0}",
    "bytea": "set_byte({0}, 0, (get_byte({0}, 0) + 1) % 256)",
    "jsonb": "'{{}}'",
    "ARRAY": "array_append({0}, 1000000)",
}


@pytest.mark.anyio
async def test_a_change_of_any_column_of_any_money_row_is_named(lived_in: House) -> None:
    tables = (
        "ledger_entries", "ledger_postings", "ledger_seals", "invoices", "invoice_lines",
        "allocations", "payments", "reversals", "corrections", "bills", "charges", "agreements",
        "disputes", "pauses",
    )  # fmt: skip
    async with lived_in.store.reading() as connection:
        await connection.execute(text("set local session_replication_role = replica"))
        named = await connection.execute(
            text(
                "select table_name, column_name, data_type from information_schema.columns"
                " where table_schema = 'public' and table_name = any(:tables)"
            ),
            {"tables": list(tables)},
        )
        columns = [tuple(row) for row in named]
        checks = await connection.execute(
            text("select conrelid::regclass::text, conname from pg_constraint where contype = 'c'")
        )
        for table, name in checks.all():
            if table in tables:
                await connection.execute(text(f"alter table {table} drop constraint {name}"))
        unseen = []
        for table, column, kind in columns:
            if (table, column) in _SAYS_NOTHING:
                continue
            point = await connection.begin_nested()
            other = _OTHER[kind].format(column)
            one = f"ctid = (select min(ctid) from {table})"
            await connection.execute(text(f"update {table} set {column} = {other} where {one}"))
            if not await chain.verify(connection) + await verify_rows(connection):
                unseen.append(f"{table}.{column}")
            await point.rollback()
        assert unseen == []
        assert len(columns) > 130


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("delete from allocations where id = 1", "the ledger tells it 1 times"),
        ("delete from reversals where external_id = 'r-1'", "reversals .* is gone"),
        (
            "insert into invoice_lines (invoice_id, position, description, amount_cents)"
            " values (3, 9, 'x', 1)",
            "no entry tells of invoice_lines 3/9",
        ),
        ("delete from pauses", "pauses 1 is gone, the audit log tells of it"),
        ("delete from charges", "charges pix/.* is gone"),
        ("delete from bills", "bill 1 is '', its invoices tell"),
        (
            "insert into bills (subscriber_id, due_on, made_at) values (1, '2026-01-01', now())",
            r"bill \d+ is .*, its invoices tell ''",
        ),
        (
            "insert into pauses (contract_id, asked_at, author, from_on, until_on)"
            " values (1, now(), 'x', '2026-10-01', '2026-11-01')",
            "no audit row tells of pauses 2",
        ),
        ("delete from ledger_seals where seq = 2", "entry 2 is not sealed"),
        ("delete from ledger_entries where id = 2", "breaks at seal 2, entry gone"),
    ],
)
async def test_a_row_that_is_gone_or_put_there_is_named(
    lived_in: House, statement: str, said: str
) -> None:
    async with lived_in.store.reading() as connection:
        await connection.execute(text("set local session_replication_role = replica"))
        await connection.execute(text(statement))
        found = await chain.verify(connection) + await verify_rows(connection)
    assert re.search(said, "\n".join(found))


async def _differences(house: House) -> list[str]:
    async with house.store.reading() as connection:
        return await verify(house, connection)


@pytest.mark.anyio
async def test_what_was_lived_through_can_be_computed_again(lived_in: House) -> None:
    assert await _differences(lived_in) == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "update ledger_postings set cents = cents + 1 where entry_id = 1 and position = 0",
            r"ledger entry 1 sums to 1 cents, not 0",
        ),
        ("update invoices set amount_cents = 99999 where id = 3", "its lines add up to 9990"),
        ("update invoices set paid_cents = 5 where id = 3", r"invoice 3 has 5\+0\+0\+0 cents"),
        (
            "update invoices set state = 'void' where id = 3",
            "9990 cents receivable of contract 3, its invoices have 0 unpaid",
        ),
        ("update payments set credit_cents = 7 where external_id = 'ahead'", "cents of credit of"),
        ("update payments set amount_cents = 7 where external_id = 'all'", "is of 7 cents"),
        ("update payments set amount_cents = 7 where external_id = 's'", "cents in suspense"),
        ("update payments set provider = 'x' where external_id = 's'", "from cash:x"),
        ("update contracts set level = 'full' where id = 2", r"contract 2 stands at full \(2\)"),
        ("update contracts set generation = 9 where id = 3", r"contract 3 stands at full \(9\)"),
        ("update audit_log set actor = 'mallory' where seq = 2", "chain breaks at row 2"),
        (
            "update agreements set simulation = jsonb_set(simulation, '{parts,0,1}', '1')",
            r"is of parts of 1\+.* cents, their invoices were issued for",
        ),
        ("update agreements set state = 'broken' where state = 'running'", "open"),
        (
            "update agreements set state = 'broken' where state = 'running'",
            "is renegotiated by 0 agreements that stand",
        ),
        ("update agreements set rungs = '[1]'", "has rungs"),
        ("update disputes set compensation_cents = 9", "has compensation_cents 9, the audit log"),
        ("update pauses set until_on = until_on + 30", "pauses 1 has until_on"),
        ("update charges set invoice_id = 1, bill_id = null", "has bill_id None, the audit log"),
        (
            "update access_decisions set counted_cents = 1 where contract_id = 2",
            "contract 2, decision 2: stored",
        ),
        (
            "update access_decisions set situation = jsonb_set(situation, '{notices}', '[]')"
            " where contract_id = 1 and level = 'walled'",
            "judged again",
        ),
    ],
)
async def test_a_change_behind_our_back_is_named(
    lived_in: House, statement: str, said: str
) -> None:
    async with lived_in.uow("test", "tamper") as uow:
        # As somebody would who owns the database.
        await uow.connection.execute(text("set local session_replication_role = replica"))
        await uow.connection.execute(text(statement))
    differences = await _differences(lived_in)
    assert re.search(said, "\n".join(differences))
