"""A bureau that loses, delays and falls silent after doing the thing: nothing is done twice."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, text, update

from api import credit, listings
from api.bureau_clerk import BureauClerk
from api.credit import Asked
from api.house import House
from api.messenger import Messenger
from api.store import listings as listing_rows
from api.store.credit_tables import (
    credit_analyses,
    credit_inquiries,
    credit_tables,
    listing_letters,
)
from api.store.credit_tables import listings as listing_table
from api.store.customer_tables import contracts, subscribers
from api.store.policies import ensure_policies
from api.store.staff_tables import audit_log
from billing.bureau import Answer, Said
from billing.credit import Report
from billing.credit_table import document, parse
from billing.listing import ListingRules
from tests.support.bureau import IMPATIENT_MS, Bureau, add_bureau, bureau_server
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.debtors import audited, issue, move_clock, rows
from tests.support.money import add_payment

pytestmark = pytest.mark.anyio
CPF = "52998224725"
NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
ENDED = date(2026, 11, 23)
DUE_ON = date(2026, 9, 1)
REPORT = {
    "reports": [
        {
            "registration": {"statusRegistration": "REGULAR"},
            "score": {"score": 640, "scoreModel": "HSPN"},
            "negativeData": {"pefin": {"summary": {"count": 0, "balance": 0.0}}},
        }
    ]
}


@dataclass
class Scene:
    house: House
    bureau: Bureau
    added: Added
    plan_id: int
    invoice_id: int

    @property
    def clerk(self) -> BureauClerk:
        """One for whom no call is on its way any longer."""
        return BureauClerk(self.house, settled_s=0.0)

    async def be_silent(self, *moods: str) -> None:
        """The bureau has these moods, of which some give no answer, and is not waited for long."""
        await add_bureau(self.house, self.bureau.url, timeout_ms=IMPATIENT_MS)
        self.bureau.moods = [*moods]

    async def analyse(self) -> dict[str, Any]:
        asked = Asked(CPF, self.plan_id, "new_contract", {"given": True, "channel": "phone"})
        analysis_id = await credit.analyse(self.house, "ana", "analysis", asked)
        return next(r for r in await self.analyses() if r["id"] == analysis_id)

    async def analyses(self) -> list[dict[str, Any]]:
        return [dict(row) for row in await rows(self.house, credit_analyses)]

    async def inquiries(self) -> list[dict[str, Any]]:
        found = await rows(self.house, credit_inquiries)
        return [dict(row) for row in found if row["bureau"] != "local"]

    async def listing(self) -> dict[str, Any]:
        (row,) = await rows(self.house, listing_table)
        return dict(row)

    async def look(self) -> listings.Looked:
        return await listings.look(self.house, "look", "test")

    async def make_due(self) -> None:
        """Whatever waits for its next try is tried now."""
        async with self.house.uow("test", "due") as uow:
            for table in (credit_inquiries, listing_table):
                await uow.connection.execute(
                    update(table).values(next_attempt_wall=func.clock_timestamp())
                )

    async def tell(self) -> None:
        """The letter goes out, and its days pass."""
        await self.look()
        assert await Messenger(self.house).drain() == 1
        await move_clock(self.house, NOW + timedelta(days=10))

    async def list_it(self) -> None:
        await self.tell()
        await self.look()
        await self.clerk.drain()
        assert (await self.listing())["state"] == "listed"

    async def pay(self, cents: int = 20000) -> None:
        await add_payment(self.house, self.added, cents, "E1", self.invoice_id)


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    house = await make_house(database_url, tmp_path, now=NOW)
    plan_id = await add_plan(house)
    added = await add_contract(house, plan_id)
    invoice_id = await issue(house, added.contract_id, DUE_ON)
    async with bureau_server() as bureau:
        bureau.report = REPORT
        await add_bureau(house, bureau.url)
        async with house.uow("test", "seed") as uow:
            await uow.connection.execute(update(contracts).values(ended_on=ENDED))
            await uow.connection.execute(update(subscribers).values(document="11144477735"))
            await uow.connection.execute(
                insert(credit_tables).values(
                    version=1,
                    document=document(parse(1, {"bureaus": ["serasa"]}, ("serasa",))),
                    author="test",
                    created_at=NOW,
                )
            )
            await listing_rows.write_rules(uow.connection, ListingRules(bureaus=("serasa",)))
        yield Scene(house, bureau, added, plan_id, invoice_id)
    await house.store.close()


# --- inquiries ------------------------------------------------------------------------------------


async def test_an_analysis_asks_once_keeps_its_cost_and_is_used_again(scene: Scene) -> None:
    first = await scene.analyse()
    assert (first["state"], first["outcome"]) == ("decided", "approve")
    assert first["criteria"]["case"] == ["good", "none", "none", "standard", "person"]
    second = await scene.analyse()
    assert second["outcome"] == "approve"
    (inquiry,) = await scene.inquiries()
    assert (inquiry["cost_cents"], inquiry["state"], inquiry["protocol"]) == (250, "done", "P1")
    assert inquiry["consent"] == {"given": True, "channel": "phone"}
    assert len(scene.bureau.billed) == 1
    await move_clock(scene.house, NOW + timedelta(days=31))
    await scene.analyse()
    assert len(scene.bureau.billed) == 2


async def test_a_bureau_that_falls_silent_after_doing_it_is_billed_once(scene: Scene) -> None:
    await scene.be_silent("silent_after")
    assert (await scene.analyse())["outcome"] == "approve"
    assert len(scene.bureau.billed) == 1
    assert len(await scene.inquiries()) == 1


async def test_two_applications_at_once_cost_one_inquiry(scene: Scene) -> None:
    await asyncio.gather(*(scene.analyse() for _ in range(3)))
    assert len(scene.bureau.billed) == 1
    assert {row["outcome"] for row in await scene.analyses()} == {"approve"}


async def test_an_application_made_while_the_answer_is_written_is_decided(scene: Scene) -> None:
    await scene.be_silent("silent_after")
    scene.bureau.silent_status = 1
    assert (await scene.analyse())["state"] == "waiting"
    (inquiry,) = await scene.inquiries()
    said = Said(Answer.DONE, report=Report(bureau="serasa", score=640), protocol="P1")
    async with scene.house.uow("clerk", "answer") as uow:
        await credit.keep_answer(scene.house, uow, inquiry["id"], said, 1)
        second = asyncio.create_task(scene.analyse())
        while not (second.done() or await _somebody_waits_for_a_row(scene)):
            pass  # the question itself lets the other go on
    await second
    assert [row["outcome"] for row in await scene.analyses()] == ["approve", "approve"]
    assert len(scene.bureau.billed) == 1


async def _somebody_waits_for_a_row(scene: Scene) -> bool:
    waiting = text("select exists (select from pg_locks where not granted)")
    async with scene.house.uow("test", "look") as uow:
        return bool(await uow.connection.scalar(waiting))


async def test_silence_at_the_status_too_leaves_it_waiting_and_the_clerk_asks_on(
    scene: Scene,
) -> None:
    await scene.be_silent("silent_after")
    scene.bureau.silent_status = 1
    assert (await scene.analyse())["state"] == "waiting"
    # Another application meanwhile waits for the same answer.
    assert (await scene.analyse())["state"] == "waiting"
    await scene.make_due()
    await scene.clerk.drain()
    assert [row["outcome"] for row in await scene.analyses()] == ["approve", "approve"]
    assert len(scene.bureau.billed) == 1


async def test_a_lost_inquiry_is_sent_again_under_its_reference(scene: Scene) -> None:
    await scene.be_silent("lost")
    assert (await scene.analyse())["state"] == "waiting"
    await scene.make_due()
    await scene.clerk.drain()
    assert (await scene.analyses())[0]["outcome"] == "approve"
    (inquiry,) = await scene.inquiries()
    assert scene.bureau.billed == [inquiry["reference"]]


async def test_what_may_be_on_its_way_is_not_sent_again(scene: Scene) -> None:
    await scene.be_silent("late")
    await scene.analyse()
    await scene.make_due()
    await BureauClerk(scene.house).drain()
    assert sum(method == "POST" for method, _, _ in scene.bureau.asked) == 1
    scene.bureau.catch_up()
    await scene.make_due()
    await BureauClerk(scene.house).drain()
    assert (await scene.analyses())[0]["outcome"] == "approve"
    assert len(scene.bureau.billed) == 1


@pytest.mark.parametrize("mood", ["refuse", "ok"])
async def test_a_refusal_and_a_bad_report_end_as_no_answer(scene: Scene, mood: str) -> None:
    scene.bureau.moods = [mood]
    scene.bureau.report = {"reports": "none"}
    found = await scene.analyse()
    assert found["outcome"] == "manual_review"
    assert found["criteria"]["case"][1] == "no_answer"
    (inquiry,) = await scene.inquiries()
    assert inquiry["state"] == "failed"


async def test_a_bureau_that_cannot_be_reached_is_given_up_in_the_end(scene: Scene) -> None:
    await add_bureau(scene.house, "http://127.0.0.1:1/v1")
    assert (await scene.analyse())["state"] == "waiting"
    for _ in range(credit.ATTEMPTS_MAX):
        await scene.make_due()
        await scene.clerk.drain()
    assert (await scene.analyses())[0]["outcome"] == "manual_review"


async def test_what_was_asked_of_no_customer_is_forgotten(scene: Scene) -> None:
    await scene.analyse()
    assert await credit.forget(scene.house) == 0
    await move_clock(scene.house, NOW + timedelta(days=181))
    assert await credit.forget(scene.house) == 3
    (analysis,) = await scene.analyses()
    assert (analysis["document"], analysis["criteria"]) == (None, None)
    (inquiry,) = await scene.inquiries()
    assert (inquiry["document"], inquiry["report"], inquiry["cost_cents"]) == (None, None, 250)


async def test_no_log_and_no_audit_entry_names_anybody(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await scene.be_silent("refuse", "lost", "503")
    await scene.analyse()
    await scene.tell()
    await scene.look()
    for _ in range(3):
        await scene.clerk.drain()
        await scene.make_due()
    told = caplog.text + repr([dict(row) for row in await rows(scene.house, audit_log)])
    for personal in (CPF, "11144477735", "Assinante"):
        assert personal not in told


# --- records --------------------------------------------------------------------------------------


async def test_a_debt_is_listed_after_rescission_letter_and_days_and_goes_when_paid(
    scene: Scene,
) -> None:
    looked = await scene.look()
    assert (looked.letters, looked.inclusions) == (1, 0)
    assert (await scene.look()).letters == 0
    await Messenger(scene.house).drain()
    (letter,) = await rows(scene.house, listing_letters)
    assert (letter["state"], letter["channel"]) == ("proven", "eml_file")
    (kept,) = (scene.house.settings.data_dir / "mail").iterdir()
    said = kept.read_text()
    assert "Serasa Experian" in said
    assert "03/12/2026" in said
    assert "11144477735" not in said
    await move_clock(scene.house, NOW + timedelta(days=9))
    assert (await scene.look()).inclusions == 0
    await move_clock(scene.house, NOW + timedelta(days=10))
    assert (await scene.look()).inclusions == 1
    await scene.clerk.drain()
    assert scene.bureau.records == [("11144477735", str(scene.added.contract_id), "2026-09-01")]
    _, _, body = scene.bureau.asked[-1]
    assert (body["value"], body["debtType"]) == (99.9, "PEFIN")
    await scene.pay()
    assert (await scene.look()).withdrawals == 1
    assert (await scene.listing())["remove_by"] == date(2026, 12, 10)
    await scene.clerk.drain()
    assert scene.bureau.records == []
    assert (await scene.listing())["state"] == "removed"
    assert [len(await audited(scene.house, f"listing.{x}")) for x in ("listed", "removed")] == [
        1,
        1,
    ]


_STANDS: dict[str, tuple[tuple[str, ...], str]] = {
    "a hold": (
        (
            "insert into holds (contract_id, author, reason, placed_at, expires_at)"
            " values (:contract, 'ana', 'x', :at, cast(:at as timestamptz) + interval '30 days')",
        ),
        "update holds set ended_at = placed_at, ended_by = 'ana', end_reason = 'x'",
    ),
    "an exemption": (
        (
            "insert into holds (contract_id, author, reason, placed_at, expires_at, kind)"
            " values (:contract, 'ana', 'x', :at, cast(:at as timestamptz) + interval '30 days',"
            " 'exemption')",
        ),
        "update holds set ended_at = placed_at, ended_by = 'ana', end_reason = 'x'",
    ),
    "a class that is never blocked": (
        (
            "insert into customer_classes (name, never_block, note, author, written_at)"
            " values ('hospital', true, '', 'ana', :at)",
            "insert into subscriber_classes (subscriber_id, class_id, reason, author, written_at)"
            " select :subscriber, max(id), 'x', 'ana', :at from customer_classes",
        ),
        "delete from subscriber_classes",
    ),
    "a promise": (
        (
            "insert into promises (contract_id, made_at, until_on, author, debt_invoice_ids)"
            " values (:contract, :at, '2026-12-24', 'ana', array[:invoice]::bigint[])",
        ),
        "update promises set state = 'broken', settled_at = made_at",
    ),
    "a dispute": (
        ("update invoices set state = 'disputed' where id = :invoice",),
        "update invoices set state = 'open'",
    ),
    "an agreement that waits for its first payment": (
        (
            "update contracts set policy = 'pays-first'",
            "insert into agreements (contract_id, state, author, offered_at, valid_until, proposal,"
            " simulation, accepted_at, old_invoice_ids, invoice_ids)"
            " values (:contract, 'running', 'ana', :at, '2026-12-24', '{}', '{}', :at,"
            " '{}', array[:part]::bigint[])",
        ),
        # With the signature, access returns: nothing waits for a payment.
        "update contracts set policy = 'anatel-765'",
    ),
    "the contract's kill switch": (
        (
            "insert into kill_switches (scope, contract_id, author, reason, put_at)"
            " values ('contract', :contract, 'ana', 'x', :at)",
        ),
        "update kill_switches set lifted_at = put_at, lifted_by = 'a', lifted_because = 'x'",
    ),
    "everybody's kill switch": (
        (
            "insert into kill_switches (scope, author, reason, put_at)"
            " values ('global', 'ana', 'x', :at)",
        ),
        "update kill_switches set lifted_at = put_at, lifted_by = 'a', lifted_because = 'x'",
    ),
    "a payment that is being settled": (
        (
            "insert into charges (provider, txid, invoice_id, amount_cents, copy_and_paste,"
            " created_at) values ('pix', 'tx1', :invoice, 100, 'x', :at)",
            "insert into payment_notices (provider, external_id, kind, sha256, body, state,"
            " correlation_id, received_at) values ('pix', 'e1', 'pix', '',"
            " jsonb_build_object('txid', 'tx1'), 'received', 'x', :at)",
        ),
        "update payment_notices set state = 'refused'",
    ),
}


@pytest.mark.parametrize("what", _STANDS)
async def test_what_stands_against_cuts_stands_against_telling_and_listing(
    scene: Scene, what: str
) -> None:
    """Rules 6, 9, 10, 11 and 12; ADR 0027."""
    begin, end = _STANDS[what]
    async with scene.house.uow("test", "runs") as uow:
        await uow.connection.execute(update(contracts).values(ended_on=None))
    part = await issue(scene.house, scene.added.contract_id, date(2027, 3, 1), 500)
    async with scene.house.uow("test", "ended") as uow:
        await uow.connection.execute(update(contracts).values(ended_on=ENDED))
    pays_first: dict[str, object] = {"law": "none", "restore_on": "first_payment"}

    async def change(*statements: str) -> None:
        asked = {
            "contract": scene.added.contract_id,
            "subscriber": scene.added.subscriber_id,
            "invoice": scene.invoice_id,
            "part": part,
            "at": NOW,
        }
        async with scene.house.uow("test", "change") as uow:
            await ensure_policies(uow.connection, {"pays-first": pays_first}, NOW)
            for statement in statements:
                query = text(statement)
                names = query.compile().params
                await uow.connection.execute(query, {name: asked[name] for name in names})

    await change(*begin)
    assert (await scene.look()).letters == 0, "nobody is told of what may not come"
    await change(end)
    await scene.tell()
    again = {"'hospital'": "'school'", "'tx1'": "'tx2'", "'e1'": "'e2'"}
    for first, second in again.items():
        begin = tuple(one.replace(first, second) for one in begin)
    await change(*begin)
    assert (await scene.look()).inclusions == 0
    await change(end)
    assert (await scene.look()).inclusions == 1


async def test_an_inclusion_that_timed_out_after_it_was_done_is_not_done_twice(
    scene: Scene,
) -> None:
    await scene.tell()
    await scene.look()
    await scene.be_silent("silent_after")
    await scene.clerk.drain()
    assert (await scene.listing())["state"] == "sent"
    await scene.make_due()
    await scene.clerk.drain()
    assert (await scene.listing())["state"] == "listed"
    assert len(scene.bureau.records) == 1
    assert sum(path.endswith("listings") for _, path, _ in scene.bureau.asked) == 1


async def test_a_lost_inclusion_is_sent_again_and_a_late_one_is_waited_for(scene: Scene) -> None:
    await scene.tell()
    await scene.look()
    await scene.be_silent("lost", "late")
    for _ in range(4):
        await scene.clerk.drain()
        await scene.make_due()
    assert len({ref for _, ref, _ in scene.bureau.delayed}) <= 1
    scene.bureau.catch_up()
    for _ in range(2):
        await scene.make_due()
        await scene.clerk.drain()
    assert (await scene.listing())["state"] == "listed"
    assert len(scene.bureau.records) == 1


async def test_paid_while_nobody_knew_whether_it_is_listed_it_goes_out(scene: Scene) -> None:
    await scene.tell()
    await scene.look()
    await scene.be_silent("silent_after")
    await scene.clerk.drain()
    await scene.pay()
    await scene.look()
    assert (await scene.listing())["removal"] == "paid"
    for _ in range(3):
        await scene.make_due()
        await scene.clerk.drain()
    assert (await scene.listing())["state"] == "removed"
    assert scene.bureau.records == []


async def test_paid_before_the_call_nothing_is_sent(scene: Scene) -> None:
    await scene.tell()
    await scene.look()
    await scene.pay()
    await scene.clerk.drain()
    assert (await scene.listing())["state"] == "cancelled"
    assert scene.bureau.asked == []


async def test_a_removal_that_timed_out_or_is_refused_is_never_given_up(scene: Scene) -> None:
    await scene.list_it()
    await scene.pay()
    await scene.look()
    await scene.be_silent("refuse", "503", "silent_after")
    for _ in range(6):
        await scene.clerk.drain()
        await scene.make_due()
    assert (await scene.listing())["state"] == "removed"
    assert scene.bureau.records == []


async def test_an_asynchronous_bureau_is_asked_until_it_has_done_it(scene: Scene) -> None:
    await scene.tell()
    await scene.look()
    scene.bureau.moods = ["accept"]
    await scene.clerk.drain()
    assert (await scene.listing())["state"] == "awaiting"
    await scene.make_due()
    await scene.clerk.drain()
    assert (await scene.listing())["state"] == "listed"


async def test_a_removal_that_stays_undone_is_an_alarm_before_its_last_day(scene: Scene) -> None:
    await scene.list_it()
    await add_bureau(scene.house, "http://127.0.0.1:1/v1")
    await scene.pay()
    await scene.look()
    await scene.clerk.drain()
    assert (await scene.listing())["state"] == "removing"
    # Paid on Thursday 12-03: the last day is Thursday 12-10, the alarm on Tuesday.
    await move_clock(scene.house, datetime(2026, 12, 7, 12, tzinfo=UTC))
    assert (await scene.look()).alarms == 0
    await move_clock(scene.house, datetime(2026, 12, 8, 12, tzinfo=UTC))
    assert (await scene.look()).alarms == 1
    assert (await scene.look()).alarms == 0
    (told,) = await audited(scene.house, "listing.alarm")
    assert told["data"]["last_on"] == "2026-12-10"


async def test_a_part_paid_takes_the_record_out_and_needs_another_letter(scene: Scene) -> None:
    await scene.list_it()
    await scene.pay(4000)
    await scene.look()
    await scene.clerk.drain()
    assert (await scene.listing())["removal"] == "amount_changed"
    assert (await scene.look()).letters == 0
    await move_clock(scene.house, NOW + timedelta(days=11))
    assert (await scene.look()).letters == 1


async def test_the_next_instant_is_told_to_the_rehearsal_clock(scene: Scene) -> None:
    await scene.look()
    await Messenger(scene.house).drain()
    async with scene.house.uow("test", "read") as uow:
        at = await listings.next_at(scene.house, uow.connection)
    assert at == datetime(2026, 12, 3, 3, tzinfo=UTC)


async def test_what_the_bureau_refused_is_cleared_by_hand_and_told_anew(scene: Scene) -> None:
    await scene.tell()
    await scene.look()
    scene.bureau.moods = ["refuse"]
    await scene.clerk.drain()
    row = await scene.listing()
    assert (row["state"], row["last_error"]) == ("refused", "E17")
    assert not (await scene.look()).inclusions
    async with scene.house.uow("ana", "hand") as uow:
        await listings.withdraw_by_hand(scene.house, uow, row["id"], "cadastro corrigido")
    assert (await scene.listing())["state"] == "cancelled"
    await move_clock(scene.house, NOW + timedelta(days=11))
    assert (await scene.look()).letters == 1


async def test_two_looks_at_once_list_one_record(scene: Scene) -> None:
    await asyncio.gather(scene.look(), scene.look())
    assert len(await rows(scene.house, listing_letters)) == 1
    await Messenger(scene.house).drain()
    await move_clock(scene.house, NOW + timedelta(days=10))
    await asyncio.gather(scene.look(), scene.look(), scene.look())
    await asyncio.gather(scene.clerk.drain(), scene.clerk.drain())
    assert len(scene.bureau.records) == 1
    assert (await scene.listing())["state"] == "listed"


async def test_a_letter_that_cannot_go_lists_nothing(scene: Scene) -> None:
    async with scene.house.uow("test", "change") as uow:
        await uow.connection.execute(update(subscribers).values(email=None))
    await scene.look()
    await Messenger(scene.house).drain()
    await move_clock(scene.house, NOW + timedelta(days=20))
    looked = await scene.look()
    assert (looked.letters, looked.inclusions) == (1, 0)
