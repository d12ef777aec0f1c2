"""Recomputing the books and keeping what came of it: while they differ nobody is cut.

Every night the worker has a process of its own do it, so that no restore waits for it.
"""

import asyncio
import logging
import sys
from collections.abc import Sequence
from datetime import datetime, time
from uuid import uuid4

from api.house import House
from api.store import book_rows
from api.verify import verify
from billing.calendar import ONE_DAY

# When the night's check is due, in local time: after the day's last postings, before its cuts.
DUE_FROM = time(3, 30)
SCHEDULED = "schedule"

log = logging.getLogger(__name__)


async def check(house: House, actor: str) -> Sequence[str]:
    """Every difference as a sentence; kept, so that the guards see it."""
    async with house.store.reading() as connection:
        differences = await verify(house, connection)
    async with house.uow(actor, uuid4().hex) as uow:
        before = await book_rows.last(uow.connection)
        await book_rows.keep(uow.connection, actor, differences, uow.clock.now())
        differed = before is not None and before.differences > 0
        if differences:
            told = {"differences": len(differences), "first": differences[0][:500]}
            await uow.audit("books.differ", "books", told)
        elif differed:
            await uow.audit("books.agree", "books", {})
    if differences:
        # What they say names what people owe, so it is no log's: `religa verify` tells it.
        log.error("the books differ in %d places, so nobody is cut", len(differences))
    return differences


async def check_nightly(house: House) -> bool:
    """Have the books recomputed if they were not since this night began; whether they were now.

    A check that comes to nothing is tried again when this is called again.
    """
    async with house.uow(SCHEDULED, "books") as uow:
        last = await book_rows.last(uow.connection)
        now = uow.clock.now()
    if last is not None and last.at.astimezone(now.tzinfo) >= _night_of(now):
        return False
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "api", "verify", "--scheduled"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        ended = await child.wait()
    finally:
        if child.returncode is None:
            child.terminate()
    async with house.uow(SCHEDULED, "books") as uow:
        kept = await book_rows.last(uow.connection)
    if kept == last:
        log.error("the books were not recomputed: the check ended with %s", ended)
    return kept != last


def _night_of(now: datetime) -> datetime:
    """When the last night's check was due."""
    due = datetime.combine(now.date(), DUE_FROM, now.tzinfo)
    if now < due:
        due = datetime.combine(now.date() - ONE_DAY, DUE_FROM, now.tzinfo)
    return due
