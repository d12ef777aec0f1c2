"""What is to be sent goes out: written, put on record, sent, and then proven. In that order.

Notices, messages and letters before a listing take the same road. A channel is tried under an id
that is put on record before the first byte goes out, so dying in between asks again under the same
id; the ladder counts from the proof, never from the intent. The next channel is tried when one
refuses, comes back, or was not confirmed in its time.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never
from uuid import uuid4

from structlog.contextvars import bound_contextvars

from api import crashpoints, listing_letters, notice_letter, proving
from api.channels.channel import (
    BadAddress,
    Channel,
    Letter,
    Outcome,
    Outgoing,
    Postponed,
    Refused,
    Sent,
)
from api.channels.fleet import open_channels, patience
from api.house import House
from api.notice_text import Wording
from api.puller import Puller
from api.store import contacts, deliveries, notices, outbox, queues, reminders
from api.store.contacts import Contact
from api.store.deliveries import Delivery
from api.store.notices import Addressee
from api.store.queues import LETTERS, NOTICES, QUEUES, Claimed, Queue
from api.store.uow import Uow
from billing.contact import Cap, Hours, Later, Never, may_contact, order_of

AT_ONCE = 4
WAITS_S = (10, 60, 300, 900, 3600)
# What may not be sent while nobody is cut is looked at again by the business clock.
LATER = timedelta(hours=1)
BACK_FOR = timedelta(days=30)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Paper:
    """What is to be said at this instant, and the channels by which it may be."""

    kind: str
    wording: Wording
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Begun:
    """A channel about to be tried: on record, and ready to go."""

    delivery_id: int
    channel: Channel
    outgoing: Outgoing


class _CannotBeSent(Exception):
    """There is nobody to send it to, no way left, or nothing to say any more."""


class Messenger:
    """Sends whatever waits, as it is told and by looking every second; four of a queue at once.

    Raises:
        ValueError: at construction, if a channel's setting is not usable.
    """

    def __init__(self, house: House, channels: Mapping[str, Channel] | None = None) -> None:
        settings = house.settings
        self._house = house
        self._channels = open_channels(settings) if channels is None else channels
        self._key = house.secrets.derive("message-id")
        self._hours = Hours(settings.contact_from, settings.contact_until, settings.contact_sundays)
        self._cap = Cap(settings.contact_per_day, settings.contact_per_week)
        self._pullers = [self._puller(queue) for queue in QUEUES]

    async def run(self, stop: asyncio.Event) -> None:
        """Send until told to stop."""
        try:
            await asyncio.gather(*(puller.run(stop) for puller in self._pullers))
        finally:
            for channel in self._channels.values():
                await channel.close()

    async def drain(self) -> int:
        """Send everything that is due now, and wait for what others are sending."""
        return sum([await puller.drain() for puller in self._pullers])

    def _puller(self, queue: Queue) -> Puller[Claimed]:
        async def claim(limit: int) -> list[Claimed]:
            async with self._uow("claim") as uow:
                return await queues.claim(uow.connection, queue, limit, uow.clock.now())

        async def in_work() -> bool:
            async with self._uow("drain") as uow:
                return await queues.in_work(uow.connection, queue)

        return Puller[Claimed](
            store=self._house.store,
            channel=queue.woken_on,
            at_once=AT_ONCE,
            claim=claim,
            work=self._deliver,
            in_work=in_work,
        )

    async def _deliver(self, claimed: Claimed) -> None:
        """One channel's try. What goes on with another one is claimed again, by whoever is free."""
        correlation_id = uuid4().hex
        with bound_contextvars(correlation_id=correlation_id):
            try:
                async with self._uow(correlation_id) as uow:
                    begun = await self._begin(uow, claimed)
            except (_CannotBeSent, notice_letter.NothingOwed) as error:
                log.warning("%s failed: %s", claimed.name, error)
                async with self._uow(correlation_id) as uow:
                    await proving.give_up(uow, claimed, str(error))
                return
            except notice_letter.NotNow as error:
                async with self._uow(correlation_id) as uow:
                    until = uow.clock.now() + LATER
                    await queues.wait(uow.connection, claimed.queue, claimed.id, until, str(error))
                return
            if begun is None:
                return
            outcome = await self._send(begun.channel, begun.outgoing)
            crashpoints.reach("notice-sent")
            async with self._uow(correlation_id) as uow:
                await self._settle(uow, begun, outcome)

    async def _begin(self, uow: Uow, claimed: Claimed) -> _Begun | None:
        """Choose the channel and put it on record; None: it waits, or is done."""
        to = await notices.addressee(uow.connection, claimed.subscriber_id)
        if not await queues.is_open(uow.connection, claimed.queue, claimed.id):
            return None
        now = uow.clock.now()
        wish = await contacts.read(uow.connection, claimed.subscriber_id)
        paper = await self._paper(uow, claimed, to, wish)
        tried = await self._look_back(uow, claimed, now)
        running = next((item for item in tried if item.goes_on), None)
        if running is not None and running.state == "accepted":
            why = f"accepted by {running.channel}; its receipt is awaited"
            await queues.wait(uow.connection, claimed.queue, claimed.id, running.deadline_at, why)
            return None
        addresses, unreachable = self._reachable(paper.channels, to)
        usable = [name for name in paper.channels if name in self._channels]
        if running is not None and running.channel not in order_of(
            paper.kind, usable, wish.preferences
        ):
            ended = await _end(uow, running, "failed", "this channel may not be used any more")
            tried = [ended if item.id == ended.id else item for item in tried]
            running = None
        used = {item.channel for item in tried}
        left = [running.channel] if running else [c for c in addresses if c not in used]
        if len(left) > 1:
            # An address that letters came back from is the last that is tried for a while.
            dead = await deliveries.came_back(uow.connection, claimed.subscriber_id, now - BACK_FOR)
            left.sort(key=lambda name: (name, addresses[name]) in dead)
        answer = may_contact(
            paper.kind,
            left,
            wish.preferences,
            await deliveries.sent_at(uow.connection, claimed, now),
            self._hours,
            self._cap,
            now,
        )
        match answer:
            case Later(at, reason):
                await self._wait(uow, claimed, running, at, reason)
                return None
            case Never("opted_out"):
                raise _CannotBeSent(f"the person does not want messages of kind {paper.kind}")
            case Never():
                raise _CannotBeSent(_nowhere(tried, unreachable))
        channel = self._channels[answer.channels[0]]
        if running is not None:
            return await self._again(uow, running, channel, paper, to, now)
        return await self._first(uow, claimed, channel, addresses[channel.name], paper, to, now)

    async def _paper(self, uow: Uow, claimed: Claimed, to: Addressee, wish: Contact) -> _Paper:
        if claimed.queue is NOTICES:
            written = await notice_letter.write(self._house, uow, claimed.id, to, wish.language)
            return _Paper("notice", written.wording, written.channels)
        if claimed.queue is LETTERS:
            written = await listing_letters.write(self._house, uow, claimed.id, to, wish.language)
            return _Paper("listing", written.wording, written.channels)
        message = await outbox.read(uow.connection, claimed.id)
        if message.useful_until is not None and message.useful_until <= uow.clock.now():
            raise _CannotBeSent("its time was over before it could go out")
        if message.kind == "reminder" and await reminders.is_over(uow.connection, claimed.id):
            raise _CannotBeSent("what it reminds of was paid, promised or changed meanwhile")
        return _Paper(message.kind, message.wording, message.channels or tuple(self._channels))

    async def _look_back(self, uow: Uow, claimed: Claimed, now: datetime) -> list[Delivery]:
        """What was tried, each channel whose time is over ended."""
        tried: list[Delivery] = []
        for item in await deliveries.of(uow.connection, claimed):
            if item.goes_on and item.deadline_at <= now:
                if item.state == "accepted":
                    item = await _end(uow, item, "unconfirmed", "no receipt came in time")
                # One that was never answered may not have gone out at all: it is asked again.
                elif item.reason is not None:
                    item = await _end(uow, item, "failed", item.reason)
            tried.append(item)
        return tried

    def _reachable(
        self, channels: Sequence[str], to: Addressee
    ) -> tuple[dict[str, str], list[tuple[str, str]]]:
        addresses: dict[str, str] = {}
        unreachable: list[tuple[str, str]] = []
        for name in channels:
            channel = self._channels.get(name)
            if channel is None:
                setting = f"RELIGA_{name.upper()}_URL"
                unreachable.append((name, f"this channel is not set up; see {setting}"))
                continue
            try:
                addresses[name] = channel.address(to.name, to.email, to.phone)
            except BadAddress as error:
                unreachable.append((name, str(error)))
        return addresses, unreachable

    async def _wait(
        self, uow: Uow, claimed: Claimed, running: Delivery | None, at: datetime, reason: str
    ) -> None:
        if running is not None:
            # What may not be asked now has not had its time.
            deadline_at = at + (running.deadline_at - running.started_at)
            await deliveries.change(uow.connection, running.id, deadline_at=deadline_at)
        why = f"{reason} until {at.isoformat()}"
        await queues.wait(uow.connection, claimed.queue, claimed.id, at, why)

    async def _first(
        self,
        uow: Uow,
        claimed: Claimed,
        channel: Channel,
        address: str,
        paper: _Paper,
        to: Addressee,
        now: datetime,
    ) -> _Begun:
        tag = hmac.new(self._key, claimed.name.encode(), "sha256").hexdigest()[:16]
        letter = Letter(
            channel.message_id(claimed.name, tag), paper.kind, to.name, address, paper.wording, now
        )
        outgoing = channel.write(letter)
        delivery_id = await deliveries.begin(
            uow.connection,
            claimed,
            kind=paper.kind,
            channel=channel.name,
            address=address,
            external_id=letter.id,
            content_sha256=hashlib.sha256(outgoing.content).digest(),
            # An e-mail is kept as a file.
            text=None if channel.name == "email" else outgoing.content.decode(),
            at=now,
            deadline_at=now + patience(self._house.settings, channel.name),
        )
        return _Begun(delivery_id, channel, outgoing)

    async def _again(
        self,
        uow: Uow,
        running: Delivery,
        channel: Channel,
        paper: _Paper,
        to: Addressee,
        now: datetime,
    ) -> _Begun:
        """The same id; by an adapter the same bytes, since it may have done the thing."""
        if running.text is not None:
            content = running.text.encode()
            outgoing = Outgoing(running.external_id, running.address, content)
        else:
            outgoing = channel.write(
                Letter(
                    running.external_id, paper.kind, to.name, running.address, paper.wording, now
                )
            )
        await deliveries.change(
            uow.connection,
            running.id,
            tries=running.tries + 1,
            content_sha256=hashlib.sha256(outgoing.content).digest(),
        )
        return _Begun(running.id, channel, outgoing)

    async def _send(self, channel: Channel, outgoing: Outgoing) -> Outcome:
        return await channel.send(outgoing)

    async def _settle(self, uow: Uow, begun: _Begun, outcome: Outcome) -> None:
        delivery = await deliveries.by_id(uow.connection, begun.delivery_id)
        match outcome:
            case Sent(via, confirmed=True, provider_id=provider_id):
                await proving.confirm(uow, delivery, via=via, provider_id=provider_id)
            case Sent(provider_id=provider_id):
                await proving.accepted(uow, delivery, provider_id)
            case Refused(reason):
                await proving.failed(uow, delivery, reason, state="refused")
            case Postponed(reason):
                await self._postpone(uow, delivery, reason)
            case _:
                assert_never(outcome)

    async def _postpone(self, uow: Uow, delivery: Delivery, reason: str) -> None:
        await notices.addressee(uow.connection, delivery.of.subscriber_id)
        delivery = await deliveries.by_id(uow.connection, delivery.id)
        if delivery.state != "sending":
            return  # its receipt came first
        log.warning("%s waits: %s", delivery.of.name, reason)
        await deliveries.change(uow.connection, delivery.id, reason=reason)
        after_s = WAITS_S[min(delivery.tries, len(WAITS_S)) - 1]
        queue, row_id = delivery.of.queue, delivery.of.id
        await queues.retry(uow.connection, queue, row_id, after_s, reason)

    def _uow(self, correlation_id: str) -> Uow:
        return self._house.uow("messenger", correlation_id)


async def _end(uow: Uow, delivery: Delivery, state: str, reason: str) -> Delivery:
    await deliveries.change(
        uow.connection, delivery.id, state=state, ended_at=uow.clock.now(), reason=reason
    )
    return replace(delivery, state=state, reason=reason)


def _nowhere(tried: Sequence[Delivery], unreachable: Sequence[tuple[str, str]]) -> str:
    """Why no channel is left, in one line."""
    used = {item.channel for item in tried}
    told = [*deliveries.reasons(tried), *(item for item in unreachable if item[0] not in used)]
    if len(told) == 1:
        return told[0][1]
    return "; ".join(f"{channel}: {why}" for channel, why in told) or (
        "the person consented to no channel by which it may be sent"
    )
