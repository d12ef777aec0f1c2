"""What the database itself refuses, and what it tells the publishers of grants."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import Executable, delete, select, text, update
from sqlalchemy.exc import DBAPIError

from api.house import House
from api.store.customer_tables import contracts, logins, nases, plans
from api.store.network_tables import grant_changes
from tests.support.database import Added, add_contract, add_nas, add_plan, make_house
from tests.support.money import add_invoice, add_payment, cut

TUESDAY = date(2026, 9, 1)


@pytest.fixture
async def rehearsal(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    house = await make_house(database_url, tmp_path, now=datetime(2026, 9, 1, 13, tzinfo=UTC))
    yield house
    await house.store.close()


@pytest.fixture
async def payer(rehearsal: House) -> Added:
    return await add_contract(rehearsal, await add_plan(rehearsal))


async def _run(house: House, *statements: str) -> None:
    async with house.uow("test", "c-1") as uow:
        for statement in statements:
            await uow.connection.execute(text(statement))


_ENTRY = (
    "insert into ledger_entries (id, kind, at, reference, correlation_id)"
    " values (900, 'test', now(), 'r', 'c')"
)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "postings",
    [
        [],
        ["(900, 0, 'cash:pix', 100)"],
        ["(900, 0, 'cash:pix', 100)", "(900, 1, 'suspense', -99)"],
    ],
)
async def test_an_entry_that_does_not_balance_is_refused(
    rehearsal: House, postings: list[str]
) -> None:
    rows = [f"insert into ledger_postings values {posting}" for posting in postings]
    with pytest.raises(DBAPIError, match="ledger entry 900 has"):
        await _run(rehearsal, _ENTRY, *rows)


@pytest.mark.anyio
async def test_a_posting_cannot_be_added_to_an_old_entry(rehearsal: House, payer: Added) -> None:
    await add_invoice(rehearsal, payer, TUESDAY)
    with pytest.raises(DBAPIError, match="has 3 postings that sum to 5"):
        await _run(
            rehearsal,
            "insert into ledger_postings"
            " select id, 7, 'cash:pix', 5 from ledger_entries where kind = 'invoice'",
        )


@pytest.mark.anyio
async def test_what_was_written_stays(rehearsal: House, payer: Added) -> None:
    await cut(rehearsal, payer, TUESDAY)
    await add_payment(rehearsal, payer, 100, "e-1")
    columns = {
        "ledger_entries": "kind = 'x'",
        "ledger_postings": "cents = 1",
        "allocations": "fine_cents = 1",
        "access_decisions": "level = 'full'",
        "audit_log": "actor = 'x'",
    }
    for table, change in columns.items():
        for verb in (
            *(f"update {table} set {change}", f"delete from {table}"),
            f"truncate {table} cascade",
        ):
            with pytest.raises(DBAPIError, match="is refused"):
                await _run(rehearsal, verb)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "verb",
    [
        "update payments set amount_cents = 1",
        "delete from payments",
        "truncate payment_notices",
        "update notices set address = 'other@example.invalid'",
        "delete from notices",
    ],
)
async def test_proof_stays(rehearsal: House, payer: Added, verb: str) -> None:
    await cut(rehearsal, payer, TUESDAY)
    await add_payment(rehearsal, payer, 100, "e-1")
    with pytest.raises(DBAPIError, match="is refused"):
        await _run(rehearsal, verb)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("verb", "constraint"),
    [
        (
            "insert into access_decisions (contract_id, generation, level, rate_down_bps,"
            " rate_up_bps, reason, invoice_ids, counted_cents, policy, policy_version, rungs,"
            " situation, decided_at, correlation_id) select id, 2, 'walled', 1, 1, 'x', '{}', 0,"
            " 'anatel-765', 1, '[]', '{}', now(), 'c' from contracts",
            "cut_has_notice",
        ),
        ("update invoices set paid_cents = amount_cents + 1", "ck_invoices_paid"),
        ("update invoices set state = 'paid'", "paid_means_paid"),
        ("update logins set username = 'a b'", "ck_logins_username"),
        ("update contracts set due_day = 32", "due_day"),
        ("update plans set reduced_down_bps = down_bps + 1", "ck_plans_rates"),
        (
            "insert into logins (contract_id, username, password)"
            " select contract_id, 'second', password from logins",
            "uq_logins_contract_id",
        ),
    ],
)
async def test_the_impossible_is_refused(
    rehearsal: House, payer: Added, verb: str, constraint: str
) -> None:
    await add_invoice(rehearsal, payer, TUESDAY)
    with pytest.raises(DBAPIError, match=constraint):
        await _run(rehearsal, verb)


@pytest.mark.anyio
async def test_the_same_money_is_not_posted_twice(rehearsal: House, payer: Added) -> None:
    await add_payment(rehearsal, payer, 100, "e-1")
    with pytest.raises(DBAPIError, match="unique"):
        await add_payment(rehearsal, payer, 100, "e-1")


async def _changes(house: House) -> list[tuple[str, int]]:
    """What the log got since the last call."""
    async with house.uow("test", "look") as uow:
        rows = await uow.connection.execute(delete(grant_changes).returning(grant_changes))
        return sorted((row.subject, row.subject_id) for row in rows)


@pytest.mark.anyio
async def test_whatever_a_grant_depends_on_is_logged(rehearsal: House) -> None:
    plan_id = await add_plan(rehearsal)
    payer = await add_contract(rehearsal, plan_id)
    second = await add_contract(rehearsal, plan_id)
    other_plan_id = await add_plan(rehearsal)
    other = await add_contract(rehearsal, other_plan_id)
    nas_id = await add_nas(rehearsal)
    mine = [("login", payer.login_id)]
    all_logins = sorted(("login", added.login_id) for added in (payer, second, other))
    assert await _changes(rehearsal) == [*all_logins, ("nas", nas_id)]

    async def after(statement: Executable) -> list[tuple[str, int]]:
        async with rehearsal.uow("test", "c-1") as uow:
            await uow.connection.execute(statement)
        return await _changes(rehearsal)

    own = contracts.c.id == payer.contract_id
    assert await after(update(logins).where(logins.c.id == payer.login_id).values(mac="x")) == mine
    assert await after(update(contracts).where(own).values(generation=2)) == mine
    assert await after(update(contracts).where(own).values(plan_id=other_plan_id)) == mine
    assert await after(update(contracts).where(own).values(ended_on=TUESDAY)) == mine
    # What no grant depends on is not.
    assert await after(update(contracts).where(own).values(review_on=None, reason="x")) == []
    assert await after(update(plans).values(price_cents=1)) == []
    changed = await after(update(plans).where(plans.c.id == plan_id).values(ipv4_pool="p"))
    assert changed == [("login", second.login_id)]
    assert await after(update(nases).values(coa_port=1700)) == [("nas", nas_id)]
    assert await after(delete(nases)) == [("nas", nas_id)]
    assert await after(delete(logins).where(logins.c.id == payer.login_id)) == mine


@pytest.mark.anyio
async def test_a_logged_change_carries_its_transaction(rehearsal: House, payer: Added) -> None:
    async with rehearsal.uow("test", "c-1") as uow:
        await uow.connection.execute(update(logins).values(mac="x"))
        own = await uow.connection.scalar(text("select pg_current_xact_id()::text::bigint"))
        query = select(grant_changes.c.xid).order_by(grant_changes.c.seq.desc()).limit(1)
        assert await uow.connection.scalar(query) == own


@pytest.mark.anyio
async def test_a_proven_notice_has_its_proof(rehearsal: House, payer: Added) -> None:
    with pytest.raises(DBAPIError, match="ck_notices_proof"):
        await _run(
            rehearsal,
            "insert into notices (subscriber_id, drawn_at, amounts_cents, state, proven_at)"
            f" values ({payer.subscriber_id}, now(), '{{}}', 'proven', now())",
        )
