"""A database of before seals, recurring billing and agreements is brought up to date."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from alembic import command
from sqlalchemy import select, text

from api.correcting import correct
from api.house import House
from api.posting import post_payment
from api.store import chain, migrate
from api.store.money_tables import invoices, ledger_seals
from api.verify import verify
from billing.account import CorrectionKind
from tests.support.database import Cluster, libpq, make_house

NOW = datetime.fromisoformat("2026-09-20T10:00:00-03:00")

# Three invoices of 0005: one paid late with its charges, one paid in part from credit, one open.
_ROWS = """
insert into plans (name, down_bps, up_bps, reduced_down_bps, reduced_up_bps, price_cents)
    values ('Fibra 100', 100000000, 50000000, 2000000, 1000000, 9990);
insert into subscribers (name, document, created_at) values ('Assinante', '12345678909', '{at}');
insert into policies (name, version, document, author, created_at)
    values ('anatel-765', 1, '{{"law": "anatel-765"}}', 'seed', '{at}');
insert into contracts (subscriber_id, plan_id, due_day, policy, created_at, since)
    values (1, 1, 10, 'anatel-765', '{at}', '{at}');
insert into invoices (contract_id, due_on, issued_at, state, amount_cents, paid_cents,
        fine_paid_cents, interest_paid_cents)
    values (1, '2026-07-10', '{at}', 'paid', 9990, 9990, 200, 50),
        (1, '2026-08-10', '{at}', 'open', 9990, 100, 0, 0),
        (1, '2026-10-10', '{at}', 'open', 9990, 0, 0, 0);
insert into invoice_lines (invoice_id, position, description, amount_cents)
    select id, 0, 'Internet', amount_cents from invoices;
begin;
insert into ledger_entries (kind, at, reference, correlation_id)
    select 'invoice', issued_at, 'invoice:' || id, 'old' from invoices order by id;
insert into ledger_postings (entry_id, position, account, cents)
    select id, 0, 'receivable:1', 9990 from ledger_entries
    union all select id, 1, 'revenue:service', -9990 from ledger_entries;
insert into ledger_entries (kind, at, reference, correlation_id)
    values ('payment', '{at}', 'pix:E1', 'old'), ('credit', '{at}', 'invoice:2', 'old'),
        ('suspense', '{at}', 'pix:E2', 'old');
insert into ledger_postings (entry_id, position, account, cents)
    values (4, 0, 'cash:pix', 10340), (4, 1, 'receivable:1', -9990), (4, 2, 'revenue:fine', -200),
        (4, 3, 'revenue:interest', -50), (4, 4, 'credit:1', -100),
        (5, 0, 'credit:1', 100), (5, 1, 'receivable:1', -100),
        (6, 0, 'cash:pix', 700), (6, 1, 'suspense', -700);
commit;
insert into payments (provider, external_id, invoice_id, subscriber_id, amount_cents, method,
        reference, paid_at, cleared_at, credit_cents, state, suspense_reason, entry_id,
        correlation_id)
    values ('pix', 'E1', 1, 1, 10340, 'pix', 't', '{at}', '{at}', 100, 'posted', null, 4, 'old'),
        ('pix', 'E2', null, null, 700, 'pix', 't', '{at}', '{at}', 0, 'suspense', 'no invoice', 6,
        'old');
insert into allocations (payment_id, invoice_id, interest_cents, fine_cents, principal_cents)
    values (1, 1, 50, 200, 9990), (null, 2, 0, 0, 100);
insert into charges (provider, txid, invoice_id, amount_cents, copy_and_paste, created_at)
    values ('pix', 'old-charge', 1, 10240, 'x', '{at}');
insert into promises (contract_id, made_at, until_on, author, debt_invoice_ids)
    values (1, '2026-08-20T10:00:00-03:00', '2026-08-25', 'ana', '{{2}}'),
        (1, '2026-09-15T10:00:00-03:00', '2026-09-25', 'ana', '{{2}}');
"""


@pytest.fixture
def old_url(database_cluster: Cluster) -> Iterator[str]:
    """A database at 0005 with a few rows in it."""
    url = database_cluster.create_empty()
    command.upgrade(migrate.config(url), "0005")
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        connection.execute(_ROWS.format(at="2026-08-01T09:00:00-03:00").encode())
    yield url
    database_cluster.drop(url)


async def differences(house: House) -> list[str]:
    async with house.store.reading() as connection:
        return await verify(house, connection)


@pytest.mark.anyio
async def test_old_rows_are_sealed_sound_and_payable(old_url: str, tmp_path: Path) -> None:
    migrate.upgrade(old_url)
    house = await make_house(old_url, tmp_path, now=NOW)
    try:
        assert await differences(house) == []
        async with house.store.reading() as connection:
            assert await chain.verify(connection) == []
            sealed = list(await connection.scalars(select(ledger_seals.c.entry_id)))
            states = await connection.execute(text("select state from promises order by id"))
            assert [row.state for row in states] == ["extended", "running"]
        assert sealed == [1, 2, 3, 4, 5, 6]
        async with house.uow("ana", "pay") as uow:
            # 98.90 since 10 August, 41 days: fine 1.98, interest 1.35; and the whole of October's.
            await post_payment(
                house,
                uow,
                provider="hand",
                external_id="h-1",
                invoice_id=2,
                amount_cents=98_90 + 1_98 + 1_35 + 99_90,
                method="dinheiro",
                reference="h-1",
                paid_at=NOW,
            )
        async with house.store.reading() as connection:
            found = await connection.execute(select(invoices.c.state).order_by(invoices.c.id))
            assert [row.state for row in found] == ["paid", "paid", "paid"]
        async with house.uow("ana", "correct") as uow:
            await correct(
                uow, 1, CorrectionKind.CREDIT_NOTE, author="ana", reason="x", amount_cents=5_00
            )
        assert await differences(house) == []
    finally:
        await house.store.close()


@pytest.mark.anyio
async def test_a_change_of_an_old_row_is_named_after_the_upgrade(
    old_url: str, tmp_path: Path
) -> None:
    migrate.upgrade(old_url)
    house = await make_house(old_url, tmp_path, now=NOW)
    try:
        async with house.uow("test", "tamper") as uow:
            await uow.connection.execute(text("set local session_replication_role = replica"))
            await uow.connection.execute(text("update invoices set due_on = '2027-01-01'"))
        found = "\n".join(await differences(house))
        assert "invoices 3 has due_on 2027-01-01, the ledger tells 2026-10-10" in found
    finally:
        await house.store.close()


def test_back_to_before_and_up_again(old_url: str) -> None:
    migrate.upgrade(old_url)
    command.downgrade(migrate.config(old_url), "0005")
    with psycopg.connect(libpq(old_url)) as connection:
        kept = connection.execute(
            "select (select count(*) from invoices), (select sum(cents) from ledger_postings),"
            " (select count(*) from promises), (select count(*) from charges)"
        ).fetchone()
    assert kept == (3, 0, 2, 1)
    migrate.upgrade(old_url)
    command.check(migrate.config(old_url))
