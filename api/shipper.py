"""Carries accounting records from the journals of one node's workers into PostgreSQL.

A record leaves its journal only after the transaction that holds it committed; a crash between the
two repeats the record, and a repeat is harmless.
"""

import asyncio
import contextlib
import hashlib
import logging
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.exc import DBAPIError, OperationalError

from api.clock import wall
from api.crashpoints import reach
from api.house import House
from api.session_state import Counters, SessionChange
from api.store.accounting import Restart, keep
from api.store.silence import tell_shipped
from api.store.uow import DatabaseAway
from api.store.usage import OCTETS_MAX
from api.waiting import wait_for
from radius.accounting import Record, Status, read
from radius.codec import parse
from radius.errors import LocalError, PeerError
from radius.journal import Entry, Journal
from radius.session_class import Issuer

log = logging.getLogger(__name__)

BATCH = 1_000
LOOK_EVERY_S = 0.02
TELL_EVERY = timedelta(seconds=5)
# A record stamped outside of this window carries a clock that cannot be believed.
STAMP_PAST = timedelta(days=7)
STAMP_FUTURE = timedelta(minutes=5)


class Shipper:
    """Drains every journal under `folder`, also those of workers that no longer run."""

    def __init__(self, house: House, folder: Path, journal_max_bytes: int) -> None:
        self._house = house
        self._folder = folder
        self._max_bytes = journal_max_bytes
        self._journals: dict[Path, Journal] = {}
        self._waiting: set[Path] = set()
        self._classes = Issuer(house.secrets.derive("radius-class"))
        self._name = f"{socket.gethostname()}:{folder.resolve()}"
        self._told_until = datetime.fromtimestamp(0, UTC)

    async def run(self, stop: asyncio.Event) -> None:
        """Ship until told to stop; an absent database is waited for, the journals grow."""
        with contextlib.closing(self):
            await self._run(stop)

    async def _run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                shipped = await self.ship()
            except (DatabaseAway, OperationalError) as error:
                log.warning("shipper waits: %s", error)
                await wait_for(stop, 1.0)
                continue
            if not shipped:
                await wait_for(stop, LOOK_EVERY_S)

    def close(self) -> None:
        """Close the journals."""
        for journal in self._journals.values():
            journal.close()
        self._journals.clear()

    async def ship(self) -> int:
        """One batch from each journal, at once; answers how many records were shipped."""
        now = wall()
        shipping = [self._ship_from(path, now) for path in sorted(self._folder.glob("w*"))]
        done = await asyncio.gather(*shipping, return_exceptions=True)
        for failed in done:
            if isinstance(failed, BaseException):
                raise failed
        shipped = [one for one in done if not isinstance(one, BaseException)]
        await self._tell(min((until for _, until in shipped), default=now))
        return sum(count for count, _ in shipped)

    async def _ship_from(self, path: Path, now: datetime) -> tuple[int, datetime]:
        """How many records of this journal were shipped, and until when none is left in it.

        A journal that cannot be read holds up no other.
        """
        try:
            if path not in self._journals:
                self._journals[path] = Journal(path, self._max_bytes)
            journal = self._journals[path]
            entries = journal.read(BATCH)
            if entries:
                await self._ship_what_can_be(entries)
                reach("records-shipped")
                await asyncio.to_thread(journal.discard, entries[-1].sequence)
        except LocalError as error:
            if path not in self._waiting:
                log.warning("a journal waits: %s", error)
            self._waiting.add(path)
            return 0, self._told_until
        self._waiting.discard(path)
        if len(entries) < BATCH:
            return len(entries), now
        return BATCH, datetime.fromtimestamp(entries[-1].received_at, UTC)

    async def _tell(self, until: datetime) -> None:
        """What this node's workers took in by `until` is in the database."""
        if until >= self._told_until + TELL_EVERY:
            async with self._house.store.writing() as connection:
                await tell_shipped(
                    connection, self._name, until, self._house.settings.radius_interim_s
                )
            self._told_until = until

    async def _ship_what_can_be(self, entries: list[Entry]) -> None:
        """A record that the database refuses is left out, alone, and said so (N5, T34).

        What may pass (a deadlock, a full disk) is no refusal: the batch stays in its journal.
        """
        try:
            await self._ship(entries)
        except OperationalError:
            raise
        except DBAPIError as error:
            if len(entries) == 1:
                log.error("accounting record from %s refused: %s", entries[0].source, error.orig)
                return
            for entry in entries:
                await self._ship_what_can_be([entry])

    async def _ship(self, entries: list[Entry]) -> None:
        changes: dict[bytes, SessionChange] = {}
        restarts: list[Restart] = []
        for entry in entries:
            record = _read(entry)
            if record is None:
                continue
            received_at = datetime.fromtimestamp(entry.received_at, UTC)
            at = _event_at(record, received_at)
            if record.status in (Status.ON, Status.OFF):
                restarts.append(Restart(entry.nas_id, entry.source, at))
            elif record.status in (Status.START, Status.INTERIM, Status.STOP):
                change = self._change(record, entry, at, received_at)
                known = changes.setdefault(change.unique_id, change)
                if known is not change:
                    known.fold(change)
        async with self._house.store.writing() as connection:
            await keep(connection, changes.values(), restarts, self._house.settings.zone)

    def _change(
        self, record: Record, entry: Entry, at: datetime, received_at: datetime
    ) -> SessionChange:
        granted = None
        if record.class_value is not None:
            granted = self._classes.read(record.class_value)
        stopped = record.status == Status.STOP
        return SessionChange(
            unique_id=_unique_id(record, entry),
            acct_session_id=record.acct_session_id,
            username=record.username,
            login_id=granted[0] if granted else None,
            granted_generation=granted[1] if granted else 0,
            nas_id=entry.nas_id,
            nas_address=entry.source,
            nas_port_id=record.nas_port_id,
            ipv4=record.ipv4,
            ipv6=record.ipv6,
            delegated_ipv6=record.delegated_ipv6,
            mac=record.mac,
            class_value=record.class_value,
            started_at=at - timedelta(seconds=record.session_seconds),
            updated_at=at,
            alive_at=None if stopped else at,
            stopped_at=at if stopped else None,
            terminate_cause=record.terminate_cause if stopped else None,
            session_seconds=record.session_seconds,
            received_at=received_at,
            counted=[] if record.status == Status.START else [_counters(record, at)],
        )


def _read(entry: Entry) -> Record | None:
    """The record, or None for one that was answered but says nothing we can keep."""
    try:
        return read(parse(entry.octets))
    except PeerError as error:
        log.warning("accounting record from %s not understood: %s", entry.source, error)
        return None


def _counters(record: Record, at: datetime) -> Counters:
    return Counters(
        at,
        min(record.input_octets, OCTETS_MAX),
        min(record.output_octets, OCTETS_MAX),
        record.gigawords_given,
    )


def _event_at(record: Record, received_at: datetime) -> datetime:
    """When it happened: Event-Timestamp, else receipt less Acct-Delay-Time, what is believable."""
    if record.event_at is not None:
        stamped = datetime.fromtimestamp(record.event_at, UTC)
        if received_at - STAMP_PAST < stamped < received_at + STAMP_FUTURE:
            return stamped
    return received_at - min(timedelta(seconds=record.delay_s), STAMP_PAST)


def _unique_id(record: Record, entry: Entry) -> bytes:
    """One session, however often and by whatever retransmission it is told.

    Acct-Session-Id alone is reused after reboots by many NASes; the Class that we gave at login is
    not. Without one, the port and name stand in (as FreeRADIUS' acct_unique does).
    """
    digest = hashlib.sha256()
    parts = [str(entry.nas_id), entry.source, record.acct_session_id]
    if record.class_value is not None:
        parts.append(record.class_value.hex())
    else:
        parts += [record.username, record.nas_identifier or "", record.nas_port_id or ""]
    for part in parts:
        digest.update(len(part).to_bytes(4, "big") + part.encode())
    return digest.digest()
