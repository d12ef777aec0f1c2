"""The worker: settles, sends, enforces as events wake it, and looks again on a schedule.

Every replica runs the event loops (claims keep them apart); the schedule runs on the one that holds
an advisory lock, and stops the moment the lock may be lost.
"""

import asyncio
import contextlib
import json
import logging
import os
import socket
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy import text

from api import (
    billing_run,
    book_check,
    credit,
    drip,
    kill_switch,
    listings,
    payment_receipts,
    quota,
    reminding,
    review,
    surveys,
)
from api.bureau_clerk import BureauClerk
from api.cashier import Cashier, reconcile
from api.enforce import Enforcer
from api.house import House
from api.messenger import Messenger
from api.store import grants, recovery
from api.store.silence import close_lost
from api.store.uow import DatabaseAway
from api.waiting import wait_for
from radius.client import DynauthClient

log = logging.getLogger(__name__)

LEADER_LOCK = 0x52454C49  # "RELI"
BEAT_EVERY_S = 5.0
CLOSED_AT_ONCE = 1_000

# What is kept for a while only: guesses at passwords, answers to requests already repeated, and
# restarts that no believable record can be older than (`shipper.STAMP_PAST`).
_FORGET = (
    text("delete from login_failures where at_wall < clock_timestamp() - interval '1 day'"),
    text("delete from door_knocks where at_wall < clock_timestamp() - interval '1 day'"),
    text("delete from idempotency_keys where at_wall < clock_timestamp() - interval '7 days'"),
    text("delete from nas_restarts where at < clock_timestamp() - interval '8 days'"),
)


async def run(house: House, stop: asyncio.Event) -> None:
    """Work until told to stop."""
    house.load_calendar()  # now, so that the first payment does not wait for it
    client = DynauthClient()
    enforcer = Enforcer(house, client)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(Cashier(house).run(stop))
            group.create_task(Messenger(house).run(stop))
            group.create_task(enforcer.run(stop))
            group.create_task(BureauClerk(house).run(stop))
            if not house.clock.manual:
                group.create_task(drip.run(house, stop))
            group.create_task(kill_switch.follow(house, stop))
            group.create_task(_beat(house, stop))
            group.create_task(lead(house, stop))
    finally:
        await client.close()


async def lead(house: House, stop: asyncio.Event) -> None:
    """Run the schedule while this replica holds the lock; stand by otherwise."""
    while not stop.is_set():
        try:
            async with house.store.dedicated() as connection:
                while not stop.is_set() and not await _take_lock(connection):
                    await wait_for(stop, 1.0)
                if not stop.is_set():
                    await _scheduled(house, connection, stop)
        except (DatabaseAway, psycopg.Error) as error:
            log.warning("the schedule waits for the database: %s", error)
            await wait_for(stop, 1.0)


async def _take_lock(connection: "psycopg.AsyncConnection[tuple[object, ...]]") -> bool:
    cursor = await connection.execute("select pg_try_advisory_lock(%s)", (LEADER_LOCK,))
    row = await cursor.fetchone()
    return bool(row and row[0])


async def _scheduled(
    house: House, connection: "psycopg.AsyncConnection[tuple[object, ...]]", stop: asyncio.Event
) -> None:
    scheduler = AsyncIOScheduler(
        timezone=UTC,
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    # In rehearsal only the clock's own moves review; the rest keeps real time.
    if not house.clock.manual:
        scheduler.add_job(_review, "interval", seconds=30, args=[house], next_run_time=_now())
        scheduler.add_job(_remind, "interval", seconds=60, args=[house], next_run_time=_now())
        scheduler.add_job(_check_books, "interval", minutes=10, args=[house])
    scheduler.add_job(_receipts, "interval", seconds=10, args=[house], next_run_time=_now())
    if house.settings.billing != "off" and not house.clock.manual:
        scheduler.add_job(_bill, "interval", minutes=10, args=[house], next_run_time=_now())
    scheduler.add_job(_quotas, "interval", seconds=30, args=[house], next_run_time=_now())
    scheduler.add_job(_reconcile, "interval", seconds=60, args=[house], next_run_time=_now())
    scheduler.add_job(_close_lost, "interval", seconds=60, args=[house], next_run_time=_now())
    if not house.clock.manual:
        scheduler.add_job(_listings, "interval", seconds=60, args=[house], next_run_time=_now())
    scheduler.add_job(_forget_applicants, "interval", hours=6, args=[house])
    scheduler.add_job(_prune, "interval", minutes=10, args=[house])
    scheduler.start()
    log.info("this replica keeps the schedule")
    try:
        while not stop.is_set():
            # Losing the connection loses the lock: the error ends the schedule here at once.
            await connection.execute("select 1")
            await wait_for(stop, 1.0)
    finally:
        scheduler.shutdown(wait=False)


async def _review(house: House) -> None:
    with contextlib.suppress(DatabaseAway):
        await review.run(house, None, uuid4().hex, "schedule", patience_s=0.0)


async def _check_books(house: House) -> None:
    with contextlib.suppress(DatabaseAway):
        await book_check.check_nightly(house)


async def _bill(house: House) -> None:
    with contextlib.suppress(DatabaseAway, billing_run.RunGoesOn):
        await billing_run.run(house, house.clock.now().date(), uuid4().hex, "schedule")


async def _remind(house: House) -> None:
    with contextlib.suppress(DatabaseAway):
        await reminding.run(house, uuid4().hex, "schedule")
        await surveys.run(house, uuid4().hex, "schedule")


async def _receipts(house: House) -> None:
    with contextlib.suppress(DatabaseAway):
        await reminding.withdraw(house, uuid4().hex, "schedule")
        await payment_receipts.run(house, uuid4().hex, "schedule")


async def _quotas(house: House) -> None:
    with contextlib.suppress(DatabaseAway):
        await quota.look(house, uuid4().hex, "schedule")


async def _reconcile(house: House) -> None:
    with contextlib.suppress(DatabaseAway):
        await reconcile(house)


async def _close_lost(house: House) -> None:
    with contextlib.suppress(DatabaseAway):
        closed = CLOSED_AT_ONCE
        while closed == CLOSED_AT_ONCE:
            async with house.store.writing() as connection:
                closed = await close_lost(connection, CLOSED_AT_ONCE)
            if closed:
                log.warning("%d sessions were not heard of any more and are closed", closed)


async def _listings(house: House) -> None:
    with contextlib.suppress(DatabaseAway):
        await listings.look(house, uuid4().hex, "schedule")


async def _forget_applicants(house: House) -> None:
    with contextlib.suppress(DatabaseAway):
        await credit.forget(house)


async def _prune(house: House) -> None:
    with contextlib.suppress(DatabaseAway):
        async with house.store.writing() as connection:
            await grants.prune(connection)
            for forget in _FORGET:
                await connection.execute(forget)
            await recovery.fold(connection, house.settings.zone)


def _now() -> datetime:
    return datetime.now(UTC)


async def _beat(house: House, stop: asyncio.Event) -> None:
    """Say that this worker lives, for readiness."""
    name = f"worker@{socket.gethostname()}:{os.getpid()}"
    while not stop.is_set():
        try:
            async with house.store.writing() as connection:
                await grants.beat(connection, name, json.dumps({"role": "worker"}))
        except DatabaseAway:
            log.warning("the worker waits for the database")
        await wait_for(stop, BEAT_EVERY_S)
